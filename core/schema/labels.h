// Labels of an image (appc spec/aci.md): unique names with values, kept in their order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "core/schema/identifier.h"

namespace actool::schema {

struct Label {
  AcIdentifier name;
  std::string value;
  bool operator==(const Label&) const = default;
};

// Names are unique, none is "name", and os/arch, where both are there, are a pair of
// aci.md's list (linux: amd64 i386 aarch64 aarch64_be armv6l armv7l armv7b ppc64 ppc64le
// s390x; freebsd: amd64 i386 arm; darwin: x86_64 i386). arch without os is refused.
class Labels {
 public:
  Labels() = default;
  static Labels make(std::vector<Label> labels);  // throws Error
  static Labels fromJson(const Json& list);       // the list of {"name","value"}
  static Labels fromObject(const Json& object);   // {"version": "1.0.0"}, as in records
  Json toJson() const;
  Json toObject() const;

  std::optional<std::string_view> get(std::string_view name) const;
  const std::vector<Label>& list() const { return labels_; }
  bool empty() const { return labels_.empty(); }
  // Discovery's match rule (spec/discovery.md, Validation): every label of `this`, the
  // requested ones, is in `manifest` with the same value.
  bool matchedBy(const Labels& manifest) const;
  // The first requested label that `manifest` lacks or has otherwise; for messages.
  std::optional<Label> firstMismatch(const Labels& manifest) const;
  // With `value` for `name` put in where `name` is missing. Throws as make() does.
  Labels withDefault(std::string_view name, std::string_view value) const;
  bool operator==(const Labels&) const = default;

 private:
  std::vector<Label> labels_;
};

// This machine in appc's words: {"os": "linux", "arch": "amd64"}.
std::string_view hostOs();
std::string_view hostArch();

}  // namespace actool::schema
