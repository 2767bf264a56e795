// For work on many things, where the failure of one must not keep the others from being done.
#pragma once

#include <exception>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::run {

// Keeps the first Error to be thrown at the end; further ones become warnings.
class FirstError {
 public:
  template <typename Fn>
  void attempt(Fn&& fn) {
    try {
      std::forward<Fn>(fn)();
    } catch (const Error& error) {
      if (first_) {
        log::warn("{}", error.what());
      } else {
        first_ = std::current_exception();
      }
    }
  }

  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

}  // namespace actool::run
