#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"

namespace actool::run::native {

// The whole message of the Error that `work` throws; what it has thrown otherwise fails the test.
template <typename Work>
std::string messageOf(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace actool::run::native
