// Which IDs a user namespace has, and which of the host's they are (user_namespaces(7)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/id_range.h"

namespace actool {

struct IdMapping {
  std::uint32_t inside;
  std::uint32_t outside;
  std::uint32_t count;
  bool operator==(const IdMapping&) const = default;
};

class IdMap {
 public:
  // The text of /proc/PID/uid_map or gid_map. Throws Error on anything else.
  static IdMap parse(std::string_view text);
  // This process's. SystemError.
  static IdMap ofUsers();
  static IdMap ofGroups();
  // Where root is `own` and 1, 2, ... are the IDs of the ranges, one range after the other. Left
  // out are ranges that have `own` or overlap an earlier one, and those beyond what the kernel
  // takes: it refuses the whole map otherwise.
  static IdMap ofOwnRoot(std::uint32_t own, const std::vector<IdRange>& ranges);

  const std::vector<IdMapping>& mappings() const { return mappings_; }
  // Every ID is the host's own: this is no user namespace, or might as well be none.
  bool isWhole() const;
  bool has(std::uint32_t inside) const { return outside(inside).has_value(); }
  std::optional<std::uint32_t> outside(std::uint32_t inside) const;
  // "0 1000 1\n1 100000 65536\n", as the kernel has it.
  std::string text() const;

 private:
  explicit IdMap(std::vector<IdMapping> mappings) : mappings_(std::move(mappings)) {}

  std::vector<IdMapping> mappings_;
};

// Whether this process is in a user namespace, where root is not the host's.
bool inUserNamespace();

}  // namespace actool
