// The first instructions of a statically linked program (its ELF entry point, see
// cmake/Actool.cmake). A short program spends a good part of its time in page faults: some 30 for
// what relocation writes to alone. Each is an exception, which is dear, and dearest in a virtual
// machine; one system call for the whole segment maps the same pages for a twentieth of that. Code
// is left to faults, of which each maps 16 pages that are in the page cache: to map all of it, and
// to unmap it at the end, takes longer. Kernels before 5.14 say EINVAL, and the pages come by
// faults as they did.
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

inline void populate(std::uintptr_t from, std::uintptr_t to) {
  from &= ~(kPage - 1);
  long result = SYS_madvise;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(from), "S"(((to + kPage - 1) & ~(kPage - 1)) - from), "d"(MADV_POPULATE_WRITE)
               : "rcx", "r11", "memory");
}

}  // namespace

[[gnu::optimize("no-stack-protector")]] void actoolPrefault() {
  const auto base = reinterpret_cast<std::uintptr_t>(__ehdr_start);
  const auto* file = reinterpret_cast<const Elf64_Ehdr*>(__ehdr_start);
  const auto* segment = reinterpret_cast<const Elf64_Phdr*>(__ehdr_start + file->e_phoff);
  for (unsigned i = 0; i < file->e_phnum; ++i, ++segment) {
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) == 0) continue;
    populate(base + segment->p_vaddr, base + segment->p_vaddr + segment->p_memsz);
  }
  const auto stack = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  populate(stack - kStack, stack);
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
