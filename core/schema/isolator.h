// Isolators and resource quantities (appc spec/ace.md, Isolators).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "core/schema/identifier.h"

namespace actool::schema {

// A Kubernetes-style quantity: "1G", "125952Ki", "300m", "0.5", "128974848". Kept exactly,
// in thousandths of the base unit; parse() throws Error on bad syntax, a precision finer
// than a thousandth, or overflow.
class Quantity {
 public:
  static Quantity parse(std::string_view text);
  const std::string& str() const { return text_; }
  std::int64_t milli() const { return milli_; }
  std::int64_t value() const;  // in base units, rounded up away from zero
  bool operator==(const Quantity& other) const { return milli_ == other.milli_; }

 private:
  Quantity() = default;
  std::string text_;
  std::int64_t milli_ = 0;
};

// {"name": ..., "value": ...}; the value is any JSON. Known names are checked when made.
struct Isolator {
  AcIdentifier name;
  Json value;
  bool operator==(const Isolator&) const = default;
};

struct ResourceIsolator {
  std::optional<Quantity> request;
  std::optional<Quantity> limit;
};

// Isolator lists: names of known isolators hold values of the right shape (resource/*
// limits, capability and seccomp sets, no-new-privileges, ...); retain and remove sets of one
// kind exclude each other. Unknown names are kept as they are.
class Isolators {
 public:
  Isolators() = default;
  static Isolators fromJson(const Json& list);  // throws Error
  static Isolators make(std::vector<Isolator> list);
  Json toJson() const;
  const std::vector<Isolator>& list() const { return list_; }
  const Isolator* find(std::string_view name) const;  // null when absent

  std::optional<ResourceIsolator> resource(std::string_view name) const;  // "resource/memory"
  // The set of os/linux/capabilities-{retain,remove}-set, upper case, "CAP_" in front.
  std::optional<std::set<std::string>> capabilities(bool retain) const;
  bool noNewPrivileges() const;
  bool operator==(const Isolators&) const = default;

 private:
  std::vector<Isolator> list_;
};

// The 14 capabilities of spec/ace.md's default set.
const std::set<std::string>& defaultCapabilities();

}  // namespace actool::schema
