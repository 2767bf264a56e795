// For std::visit: the call operators of several lambdas as one object.
#pragma once

namespace actool {

template <typename... Fns>
struct Overloaded : Fns... {
  using Fns::operator()...;
};
template <typename... Fns>
Overloaded(Fns...) -> Overloaded<Fns...>;

}  // namespace actool
