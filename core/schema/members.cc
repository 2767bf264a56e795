#include "core/schema/members.h"

#include <fmt/format.h>

#include "core/base/strings.h"

namespace actool::schema {

Members::Members(const Json& value) : object_(value) {
  if (!value.is_object()) {
    throw Error(fmt::format("is {}, it should be an object", value.type_name()));
  }
}

const Json* Members::find(std::string_view key) {
  known_.emplace(key);
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json& Members::require(std::string_view key) {
  if (const Json* value = find(key)) return *value;
  throw Error(fmt::format("the member \"{}\" is missing", key));
}

std::string Members::string(std::string_view key) {
  const Json& value = require(key);
  return withContext(key, [&] { return stringValue(value); });
}

std::string Members::stringOr(std::string_view key, std::string fallback) {
  return find(key) == nullptr ? std::move(fallback) : string(key);
}

std::optional<bool> Members::boolean(std::string_view key) {
  std::optional<bool> result;
  with(key, [&](const Json& value) {
    if (!value.is_boolean()) {
      throw Error(fmt::format("is {}, it should be true or false", value.type_name()));
    }
    result = value.get<bool>();
  });
  return result;
}

std::optional<std::uint64_t> Members::uint(std::string_view key, std::uint64_t maximum) {
  std::optional<std::uint64_t> result;
  with(key, [&](const Json& value) { result = uintValue(value, maximum); });
  return result;
}

Json Members::rest() const {
  Json result = Json::object();
  for (const auto& [key, value] : object_.items()) {
    if (!known_.contains(key)) result[key] = value;
  }
  return result;
}

void Members::refuseRest() const {
  for (const auto& [key, value] : object_.items()) {
    if (!known_.contains(key)) {
      throw Error(fmt::format("has the unknown member \"{}\"", printable(key)));
    }
  }
}

std::string stringValue(const Json& value) {
  if (!value.is_string()) {
    throw Error(fmt::format("is {}, it should be a string", value.type_name()));
  }
  auto text = value.get<std::string>();
  // The kernel ends strings at NUL: what is checked here would not be what is used there.
  if (text.find('\0') != std::string::npos) {
    throw Error(fmt::format("\"{}\" has a NUL byte", printable(text)));
  }
  return text;
}

std::uint64_t uintValue(const Json& value, std::uint64_t maximum) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > maximum) {
    throw Error(fmt::format("is {}, it should be a whole number from 0 to {}",
                            value.is_number() ? value.dump() : value.type_name(), maximum));
  }
  return value.get<std::uint64_t>();
}

std::string absolutePath(const std::string& path) {
  if (!path.starts_with('/')) {
    throw Error(fmt::format("\"{}\" is not an absolute path", printable(path)));
  }
  for (const std::string_view component : split(path, '/')) {
    if (component == "..") {
      throw Error(fmt::format("\"{}\" has a \"..\" component", printable(path)));
    }
  }
  return path;
}

std::pair<std::string, std::string> nameAndValue(const Json& value) {
  Members members(value);
  auto name = members.string("name");
  auto text = members.string("value");
  members.refuseRest();
  return {std::move(name), std::move(text)};
}

void checkStringMap(const Json& value) {
  if (!value.is_object()) {
    throw Error(fmt::format("is {}, it should be an object", value.type_name()));
  }
  for (const auto& [key, element] : value.items()) {
    if (!element.is_string()) {
      throw Error(
          fmt::format("\"{}\" is {}, it should be a string", printable(key), element.type_name()));
    }
  }
}

void checkIsList(const Json& value) {
  if (!value.is_array()) {
    throw Error(fmt::format("is {}, it should be a list", value.type_name()));
  }
}

std::string elementContext(std::size_t index) {
  return fmt::format("[{}]", index);
}

void checkUnique(const std::vector<std::string_view>& names, std::string_view what) {
  std::set<std::string_view> seen;
  for (const std::string_view name : names) {
    if (!seen.insert(name).second) {
      throw Error(fmt::format("the {} \"{}\" is there twice", what, printable(name)));
    }
  }
}

}  // namespace actool::schema
