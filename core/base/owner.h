// Owners for the objects of C libraries.
#pragma once

#include <memory>
#include <new>

namespace actool {

template <auto kRelease>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    kRelease(object);
  }
};

template <typename T, auto kRelease>
using Owner = std::unique_ptr<T, Release<kRelease>>;

// For libraries that give no object only when there is no memory.
template <typename T>
T own(typename T::pointer object) {
  if (object == nullptr) throw std::bad_alloc();
  return T(object);
}

}  // namespace actool
