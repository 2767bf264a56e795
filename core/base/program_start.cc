// The first instructions of a statically linked program (its ELF entry point, see
// cmake/Actool.cmake). A short program spends a good part of its time in page faults: some 30 for
// what relocation writes to, more for code that is in the page cache and only not mapped yet. Each
// is an exception, which is dear, and dearest in a virtual machine; one system call for a whole
// segment maps the same pages for a twentieth of that. Kernels before 5.14 say EINVAL, and the
// pages come by faults as they did.
//
// It runs before the program is relocated: no globals but those found relative to the instruction
// pointer, no calls.
#include <elf.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstdint>

#ifndef __x86_64__
#error "program_start.cc is for x86-64; other machines start at _start"
#endif

extern "C" {
[[gnu::visibility("hidden")]] extern const char __ehdr_start[];  // NOLINT: the linker's name

[[gnu::visibility("hidden"), gnu::used]] void actoolPrefault();
}

namespace {

constexpr std::uintptr_t kPage = 4096;
// The loader has this much of the stack ready to grow, and less than this is used before main().
constexpr std::uintptr_t kStack = 4 * kPage;

inline void advise(std::uintptr_t from, std::uintptr_t to, long advice) {
  from &= ~(kPage - 1);
  long result = SYS_madvise;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(from), "S"(((to + kPage - 1) & ~(kPage - 1)) - from), "d"(advice)
               : "rcx", "r11", "memory");
}

}  // namespace

[[gnu::optimize("no-stack-protector")]] void actoolPrefault() {
  const auto base = reinterpret_cast<std::uintptr_t>(__ehdr_start);
  const auto* file = reinterpret_cast<const Elf64_Ehdr*>(__ehdr_start);
  const auto* segment = reinterpret_cast<const Elf64_Phdr*>(__ehdr_start + file->e_phoff);
  for (unsigned i = 0; i < file->e_phnum; ++i, ++segment) {
    if (segment->p_type != PT_LOAD) continue;
    const bool written = (segment->p_flags & PF_W) != 0;
    if (!written && (segment->p_flags & PF_X) == 0) continue;
    advise(base + segment->p_vaddr, base + segment->p_vaddr + segment->p_memsz,
           written ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  }
  const auto stack = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  advise(stack - kStack, stack, MADV_POPULATE_WRITE);
}

// %rdx is the kernel's and _start's; %rbx is kept by the call.
asm(".globl actoolStart\n"
    ".hidden actoolStart\n"
    ".type actoolStart, @function\n"
    "actoolStart:\n"
    "  mov %rdx, %rbx\n"
    "  call actoolPrefault\n"
    "  mov %rbx, %rdx\n"
    "  jmp _start\n");
