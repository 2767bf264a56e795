#include "cas/aci_path.h"

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

std::string normalPath(std::string_view path, const PathLimits& limits) {
  if (path.find('\0') != path.npos) throw Error("the path has a NUL in it");
  if (path.starts_with('/')) throw Error("the path is absolute");
  if (path == "." || path == "./") return {};
  if (path.starts_with("./")) path.remove_prefix(2);
  if (path.ends_with('/')) path.remove_suffix(1);
  std::size_t depth = 0;
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (component.empty()) throw Error("the path has an empty component");
    if (component == "..") throw Error("the path has a component \"..\"");
    if (component == ".") throw Error("the path has a component \".\" inside");
    if (component.size() > limits.component) {
      throw Error("a component of the path has more than " + std::to_string(limits.component) +
                  " bytes");
    }
    if (++depth > limits.depth) {
      throw Error("the path has more than " + std::to_string(limits.depth) + " components");
    }
    if (slash == rest.npos) break;
    rest.remove_prefix(slash + 1);
  }
  return std::string(path);
}

std::string inQuotes(std::string_view path) {
  return '"' + printable(path) + '"';
}

std::string_view parentOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

std::string_view baseOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

}  // namespace actool::cas
