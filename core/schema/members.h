// Reads the members of one JSON object of a manifest: asks for the known ones by name and
// hands back the rest, so that what we do not know survives a round trip. JSON null counts as
// absent, as it does for the Go programs that wrote most manifests there are.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/json.h"

namespace actool::schema {

inline constexpr std::uint64_t kMaxPort = 65535;
// Of users and groups: 0xffffffff is what chown(2) takes for "leave it".
inline constexpr std::uint64_t kMaxId = 0xfffffffe;

class Members {
 public:
  // Throws Error when `value` is no object. It must outlive this reader.
  explicit Members(const Json& value);

  const Json* find(std::string_view key);  // null when absent
  const Json& require(std::string_view key);
  std::string string(std::string_view key);  // required, no NUL byte in it
  std::string stringOr(std::string_view key, std::string fallback);
  std::optional<bool> boolean(std::string_view key);
  std::optional<std::uint64_t> uint(std::string_view key, std::uint64_t maximum);

  // Members that were not asked for.
  Json rest() const;
  // Throws when there is one.
  void refuseRest() const;

  // fn(member) with the key as context, when it is there.
  template <typename Fn>
  void with(std::string_view key, Fn&& fn) {
    if (const Json* value = find(key)) withContext(key, [&] { fn(*value); });
  }

  // A list of what fn(element) makes of each element; empty when absent. Errors name the key
  // and the element's index.
  template <typename T, typename Fn>
  std::vector<T> list(std::string_view key, Fn&& fn);

 private:
  const Json& object_;
  std::set<std::string, std::less<>> known_;
};

// fn(element, index) for each element; throws Error when `value` is no list.
template <typename Fn>
void forEachElement(const Json& value, Fn&& fn);

// A JSON string without NUL bytes: what may become a path, an argument or a variable.
std::string stringValue(const Json& value);
std::uint64_t uintValue(const Json& value, std::uint64_t maximum);
// A path that begins with '/' and has no ".." component.
std::string absolutePath(const std::string& path);
// The pair {"name": ..., "value": ...} that labels, annotations and variables are made of.
std::pair<std::string, std::string> nameAndValue(const Json& value);
// Throws unless `value` is an object of strings (userAnnotations, userLabels).
void checkStringMap(const Json& value);
void checkIsList(const Json& value);
std::string elementContext(std::size_t index);  // "[3]"
// Throws Error naming the first string that comes twice.
void checkUnique(const std::vector<std::string_view>& names, std::string_view what);

template <typename Fn>
void forEachElement(const Json& value, Fn&& fn) {
  checkIsList(value);
  std::size_t index = 0;
  for (const Json& element : value) {
    withContext(elementContext(index++), [&] { fn(element); });
  }
}

template <typename T, typename Fn>
std::vector<T> Members::list(std::string_view key, Fn&& fn) {
  std::vector<T> result;
  with(key, [&](const Json& value) {
    forEachElement(value, [&](const Json& element) { result.push_back(fn(element)); });
  });
  return result;
}

}  // namespace actool::schema
