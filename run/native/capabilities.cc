#include "run/native/capabilities.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

struct CapFree {
  void operator()(cap_t caps) const noexcept { ::cap_free(caps); }
};
struct CapNameFree {
  void operator()(char* name) const noexcept { ::cap_free(name); }
};
using UniqueCaps = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;

std::uint64_t bit(cap_value_t value) {
  return std::uint64_t{1} << value;
}

}  // namespace

std::uint64_t capabilityMask(const std::set<std::string>& names) {
  std::uint64_t mask = 0;
  for (const std::string& name : names) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    cap_value_t value = 0;
    if (::cap_from_name(lower.c_str(), &value) != 0 || value < 0 || value > 63) {
      throw Error("there is no capability \"" + printable(name) + "\" on this system");
    }
    mask |= bit(value);
  }
  return mask;
}

std::vector<std::string> capabilityNames(std::uint64_t mask) {
  std::vector<std::string> names;
  for (cap_value_t value = 0; value < cap_max_bits(); ++value) {
    if ((mask & bit(value)) == 0) continue;
    const std::unique_ptr<char, CapNameFree> name(::cap_to_name(value));
    if (!name) throwErrno("naming a capability");
    std::string upper = name.get();
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    names.push_back(std::move(upper));
  }
  return names;
}

std::uint64_t availableCapabilities() {
  const UniqueCaps caps(::cap_get_proc());
  if (!caps) throwErrno("reading capabilities");
  std::uint64_t mask = 0;
  for (cap_value_t value = 0; value < cap_max_bits(); ++value) {
    cap_flag_value_t permitted = CAP_CLEAR;
    if (::cap_get_flag(caps.get(), value, CAP_PERMITTED, &permitted) != 0) {
      throwErrno("reading capabilities");
    }
    if (permitted == CAP_SET && ::cap_get_bound(value) == 1) mask |= bit(value);
  }
  return mask;
}

void limitBoundingSet(std::uint64_t keep) {
  for (cap_value_t value = 0; value < cap_max_bits(); ++value) {
    if ((keep & bit(value)) != 0) continue;
    // One that is not held is asked for only when this fails: pods are started by the dozen.
    if (::cap_drop_bound(value) != 0 && ::cap_get_bound(value) != 0) {
      throwErrno("taking a capability out of the bounding set");
    }
  }
}

void limitOwnCapabilities(std::uint64_t keep) {
  // libcap's function asks for each one first.
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    throwErrno("clearing ambient capabilities");
  }
  const UniqueCaps caps(::cap_get_proc());
  if (!caps) throwErrno("reading capabilities");
  for (cap_value_t value = 0; value < cap_max_bits(); ++value) {
    cap_flag_value_t permitted = CAP_CLEAR;
    if (::cap_get_flag(caps.get(), value, CAP_PERMITTED, &permitted) != 0) {
      throwErrno("reading capabilities");
    }
    const bool stays = permitted == CAP_SET && (keep & bit(value)) != 0;
    for (const cap_flag_t flag : {CAP_PERMITTED, CAP_EFFECTIVE, CAP_INHERITABLE}) {
      const bool on = stays && flag != CAP_INHERITABLE;
      if (::cap_set_flag(caps.get(), flag, 1, &value, on ? CAP_SET : CAP_CLEAR) != 0) {
        throwErrno("changing capabilities");
      }
    }
  }
  if (::cap_set_proc(caps.get()) != 0) throwErrno("setting capabilities");
}

}  // namespace actool::run::native
