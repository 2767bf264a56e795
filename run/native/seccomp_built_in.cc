#include <array>

#include "run/native/seccomp.h"

namespace actool::run::native {
namespace {

constexpr sock_filter kFilter[] = {
#include <default_filter.inc>
};

}  // namespace

std::span<const sock_filter> builtInFilter() {
  return kFilter;
}

}  // namespace actool::run::native
