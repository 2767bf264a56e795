#include "core/schema/isolator.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/members.h"

namespace actool::schema {
namespace {

constexpr std::string_view kRetainCapabilities = "os/linux/capabilities-retain-set";
constexpr std::string_view kRemoveCapabilities = "os/linux/capabilities-remove-set";
constexpr std::string_view kRetainSyscalls = "os/linux/seccomp-retain-set";
constexpr std::string_view kRemoveSyscalls = "os/linux/seccomp-remove-set";
constexpr std::string_view kNoNewPrivileges = "os/linux/no-new-privileges";

// appc's implementation takes quantities as JSON numbers too.
Quantity quantityFromJson(const Json& value) {
  Quantity quantity = Quantity::parse(value.is_number() ? value.dump() : stringValue(value));
  if (quantity.milli() < 0) {
    throw Error(fmt::format("\"{}\" is less than nothing", printable(quantity.str())));
  }
  return quantity;
}

ResourceIsolator resourceFromJson(Members& members) {
  ResourceIsolator resource;
  members.with("request", [&](const Json& v) { resource.request = quantityFromJson(v); });
  members.with("limit", [&](const Json& v) { resource.limit = quantityFromJson(v); });
  return resource;
}

// resource/cpu and resource/memory.
void checkRequestAndLimit(const Json& value) {
  Members members(value);
  const ResourceIsolator resource = resourceFromJson(members);
  if (!resource.request && !resource.limit) throw Error("has neither a request nor a limit");
  if (members.boolean("default").value_or(false)) {
    throw Error("\"default\" is true, which it cannot be for this resource");
  }
}

// The bandwidths and block-iops: for all devices, by a limit alone.
void checkDefaultLimit(const Json& value) {
  Members members(value);
  const ResourceIsolator resource = resourceFromJson(members);
  if (!members.boolean("default").value_or(false)) throw Error("\"default\" must be true");
  if (resource.request) throw Error("this resource has no request");
  if (!resource.limit) throw Error("the member \"limit\" is missing");
}

std::string capabilityName(const Json& value) {
  std::string name = stringValue(value);
  const bool valid = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!valid) throw Error(fmt::format("\"{}\" is no capability", printable(name)));
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name.starts_with("CAP_") ? name : "CAP_" + name;
}

std::set<std::string> capabilitySet(const Json& value) {
  Members members(value);
  const auto names = members.list<std::string>("set", capabilityName);
  if (names.empty()) throw Error("the set is empty");
  return {names.begin(), names.end()};
}

void checkSeccomp(const Json& value) {
  Members members(value);
  const auto calls = members.list<std::string>("set", [](const Json& element) {
    std::string call = stringValue(element);
    if (call.empty()) throw Error("is empty, it should name a system call");
    return call;
  });
  if (calls.empty()) throw Error("the set is empty");
  const std::string error = members.stringOr("errno", {});
  const bool valid = std::all_of(error.begin(), error.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!error.empty() && (error[0] != 'E' || !valid)) {
    throw Error(fmt::format("errno: \"{}\" is no name of an error", printable(error)),
                "it is written like EPERM");
  }
}

void checkBool(const Json& value) {
  if (!value.is_boolean()) {
    throw Error(fmt::format("is {}, it should be true or false", value.type_name()));
  }
}

std::function<void(const Json&)> checkRange(std::int64_t lowest, std::int64_t highest) {
  return [=](const Json& value) {
    // Larger unsigned numbers become negative ones here, which no range begins with.
    const bool valid = value.is_number_integer() && value.get<std::int64_t>() >= lowest &&
                       value.get<std::int64_t>() <= highest &&
                       (!value.is_number_unsigned() ||
                        value.get<std::uint64_t>() <= static_cast<std::uint64_t>(highest));
    if (valid) return;
    throw Error(fmt::format("is {}, it should be a whole number from {} to {}",
                            value.is_number() ? value.dump() : value.type_name(), lowest, highest));
  };
}

void checkSelinux(const Json& value) {
  Members members(value);
  for (const char* key : {"user", "role", "type", "level"}) {
    const std::string part = members.string(key);
    // Only the level has colons of its own ("s0-s0:c0").
    const bool colon = part.find(':') != std::string::npos && std::string_view(key) != "level";
    if (part.empty() || colon) {
      throw Error(fmt::format("{}: \"{}\" is no part of an SELinux context", key, printable(part)));
    }
  }
}

void checkApparmor(const Json& value) {
  if (Members(value).string("profile").empty()) throw Error("the profile is empty");
}

const std::map<std::string_view, std::function<void(const Json&)>>& knownIsolators() {
  static const std::map<std::string_view, std::function<void(const Json&)>> table = {
      {"resource/cpu", checkRequestAndLimit},
      {"resource/memory", checkRequestAndLimit},
      {"resource/block-bandwidth", checkDefaultLimit},
      {"resource/block-iops", checkDefaultLimit},
      {"resource/network-bandwidth", checkDefaultLimit},
      {kRetainCapabilities, [](const Json& value) { capabilitySet(value); }},
      {kRemoveCapabilities, [](const Json& value) { capabilitySet(value); }},
      {kRetainSyscalls, checkSeccomp},
      {kRemoveSyscalls, checkSeccomp},
      {kNoNewPrivileges, checkBool},
      {"os/linux/oom-score-adj", checkRange(-1000, 1000)},
      {"os/linux/cpu-shares", checkRange(2, 262144)},
      {"os/linux/selinux-context", checkSelinux},
      {"os/linux/apparmor-profile", checkApparmor},
      {"os/unix/sysctl", checkStringMap},
  };
  return table;
}

void checkExclusive(const Isolators& isolators, std::string_view one, std::string_view other) {
  if (isolators.find(one) != nullptr && isolators.find(other) != nullptr) {
    throw Error(fmt::format("{} and {} exclude each other", one, other));
  }
}

}  // namespace

Isolators Isolators::make(std::vector<Isolator> list) {
  std::vector<std::string_view> knownNames;
  for (const Isolator& isolator : list) {
    const auto known = knownIsolators().find(isolator.name.str());
    if (known == knownIsolators().end()) continue;
    knownNames.push_back(known->first);
    withContext(known->first, [&] { known->second(isolator.value); });
  }
  // Two settings of one thing leave open which of them holds.
  checkUnique(knownNames, "isolator");
  Isolators result;
  result.list_ = std::move(list);
  checkExclusive(result, kRetainCapabilities, kRemoveCapabilities);
  checkExclusive(result, kRetainSyscalls, kRemoveSyscalls);
  return result;
}

Isolators Isolators::fromJson(const Json& list) {
  std::vector<Isolator> isolators;
  forEachElement(list, [&](const Json& element) {
    Members members(element);
    AcIdentifier name = AcIdentifier::parse(members.string("name"));
    // "value" is any JSON, null too, but it must be there.
    isolators.push_back({std::move(name), member(element, "value")});
    members.find("value");
    members.refuseRest();
  });
  return make(std::move(isolators));
}

Json Isolators::toJson() const {
  Json list = Json::array();
  for (const Isolator& isolator : list_) {
    list.push_back({{"name", isolator.name.str()}, {"value", isolator.value}});
  }
  return list;
}

const Isolator* Isolators::find(std::string_view name) const {
  for (const Isolator& isolator : list_) {
    if (isolator.name.str() == name) return &isolator;
  }
  return nullptr;
}

std::optional<ResourceIsolator> Isolators::resource(std::string_view name) const {
  const Isolator* isolator = find(name);
  if (isolator == nullptr) return std::nullopt;
  Members members(isolator->value);
  return resourceFromJson(members);
}

std::optional<std::set<std::string>> Isolators::capabilities(bool retain) const {
  const Isolator* isolator = find(retain ? kRetainCapabilities : kRemoveCapabilities);
  if (isolator == nullptr) return std::nullopt;
  return capabilitySet(isolator->value);
}

bool Isolators::noNewPrivileges() const {
  const Isolator* isolator = find(kNoNewPrivileges);
  return isolator != nullptr && isolator->value.get<bool>();
}

const std::set<std::string>& defaultCapabilities() {
  static const std::set<std::string> set = {"CAP_AUDIT_WRITE",
                                            "CAP_CHOWN",
                                            "CAP_DAC_OVERRIDE",
                                            "CAP_FSETID",
                                            "CAP_FOWNER",
                                            "CAP_KILL",
                                            "CAP_MKNOD",
                                            "CAP_NET_RAW",
                                            "CAP_SETUID",
                                            "CAP_SETGID",
                                            "CAP_NET_BIND_SERVICE",
                                            "CAP_SETPCAP",
                                            "CAP_SETFCAP",
                                            "CAP_SYS_CHROOT"};
  return set;
}

}  // namespace actool::schema
