// Writes the default filter as the elements of an array of sock_filter, when actool is built.
#include <cstdio>

#include "core/base/error.h"
#include "run/native/seccomp.h"

// The program that is being made; there is none yet.
std::span<const sock_filter> actool::run::native::builtInFilter() {
  return {};
}

int main() {
  try {
    for (const sock_filter& one : actool::run::native::makeDefaultFilter(0))
      std::printf("{%u, %u, %u, %uU},\n", one.code, one.jt, one.jf, one.k);
    return std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const actool::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
