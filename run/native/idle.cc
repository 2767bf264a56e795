#include "run/native/idle.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace actool::run::native {
namespace {

constexpr int kRestMilliseconds = 1000;

int letGo(dl_phdr_info* object, std::size_t /*size*/, void* /*unused*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (unsigned i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t end = (begin + segment.p_memsz + page - 1) & ~(page - 1);
    // Failing it costs memory, nothing else.
    ::madvise(reinterpret_cast<void*>(begin & ~(page - 1)), end - (begin & ~(page - 1)),
              MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

int pollAndRest(std::vector<pollfd>& fds, int timeout) {
  if (timeout >= 0) return ::poll(fds.data(), fds.size(), timeout);
  const int ready = ::poll(fds.data(), fds.size(), kRestMilliseconds);
  if (ready != 0) return ready;
  ::dl_iterate_phdr(letGo, nullptr);
  return ::poll(fds.data(), fds.size(), -1);
}

}  // namespace actool::run::native
