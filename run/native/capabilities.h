// Linux capabilities of an app (spec/ace.md, Linux Isolators), over libcap.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace actool::run::native {

inline constexpr std::uint64_t kAllCapabilities = ~std::uint64_t{0};

// "CAP_CHOWN" and so on as a set of bits. Throws Error naming one that does not exist here.
std::uint64_t capabilityMask(const std::set<std::string>& names);

// The names of the bits that are capabilities here: "CAP_CHOWN" and so on, in the kernel's order.
std::vector<std::string> capabilityNames(std::uint64_t mask);
// What this process has permitted and in its bounding set: what it could hand on.
std::uint64_t availableCapabilities();

// Takes out of this process's bounding set what is not in `keep`. Needs CAP_SETPCAP.
void limitBoundingSet(std::uint64_t keep);

// Leaves exactly the permitted capabilities in `keep` permitted and effective, and none inheritable
// or ambient: what was inherited from whoever started the pod is not the app's.
void limitOwnCapabilities(std::uint64_t keep);

}  // namespace actool::run::native
