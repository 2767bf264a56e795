// The whole text of an error, for comparing.
#pragma once

#include <string>

#include "core/base/error.h"

namespace actool::test {

// What the E that `fn` throws says; exceptions of other types go through.
template <typename E = Error, typename Fn>
std::string messageOf(Fn&& fn) {
  try {
    fn();
  } catch (const E& error) {
    return error.what();
  }
  return "(no error)";
}

}  // namespace actool::test
