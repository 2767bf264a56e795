#include "core/schema/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/members.h"

namespace actool::schema {
namespace {

// aci.md, "labels", and what appc's ValidOSArch has grown to.
const std::map<std::string, std::vector<std::string>, std::less<>>& knownArchs() {
  static const std::map<std::string, std::vector<std::string>, std::less<>> table = {
      {"linux",
       {"amd64", "i386", "aarch64", "aarch64_be", "armv6l", "armv7l", "armv7b", "ppc64", "ppc64le",
        "s390x"}},
      {"freebsd", {"amd64", "i386", "arm"}},
      {"darwin", {"x86_64", "i386"}},
  };
  return table;
}

void checkOsArch(const Labels& labels) {
  const auto os = labels.get("os");
  const auto arch = labels.get("arch");
  if (!os) {
    if (!arch) return;
    throw Error(fmt::format("the label arch=\"{}\" has no meaning without os", printable(*arch)),
                "add the label os");
  }
  const auto archs = knownArchs().find(*os);
  if (archs == knownArchs().end()) {
    throw Error(fmt::format("the label os=\"{}\" is unknown", printable(*os)),
                "it must be darwin, freebsd or linux");
  }
  const auto& known = archs->second;
  if (arch && std::find(known.begin(), known.end(), *arch) == known.end()) {
    throw Error(fmt::format("the label arch=\"{}\" is unknown for os={}", printable(*arch), *os),
                fmt::format("it must be one of {}", join(known, ", ")));
  }
}

// JSON can carry no other bytes than UTF-8, and C strings no NUL.
void checkValue(std::string_view value) {
  if (value.find('\0') != std::string_view::npos) {
    throw Error(fmt::format("the label value \"{}\" has a NUL byte", printable(value)));
  }
  try {
    static_cast<void>(Json(value).dump());
  } catch (const Json::exception&) {
    throw Error(fmt::format("the label value \"{}\" is not UTF-8", printable(value)));
  }
}

}  // namespace

Labels Labels::make(std::vector<Label> labels) {
  std::vector<std::string_view> names;
  for (const Label& label : labels) {
    if (label.name.str() == "name") {
      throw Error("a label cannot be called \"name\"", "the name of an image is no label");
    }
    checkValue(label.value);
    names.push_back(label.name.str());
  }
  checkUnique(names, "label");
  Labels result;
  result.labels_ = std::move(labels);
  checkOsArch(result);
  return result;
}

Labels Labels::fromJson(const Json& list) {
  std::vector<Label> labels;
  forEachElement(list, [&](const Json& element) {
    auto [name, value] = nameAndValue(element);
    labels.push_back({AcIdentifier::parse(name), std::move(value)});
  });
  return make(std::move(labels));
}

Labels Labels::fromObject(const Json& object) {
  checkStringMap(object);
  std::vector<Label> labels;
  for (const auto& [name, value] : object.items()) {
    labels.push_back({AcIdentifier::parse(name), stringValue(value)});
  }
  return make(std::move(labels));
}

Json Labels::toJson() const {
  Json list = Json::array();
  for (const Label& label : labels_) {
    list.push_back({{"name", label.name.str()}, {"value", label.value}});
  }
  return list;
}

Json Labels::toObject() const {
  Json object = Json::object();
  for (const Label& label : labels_) {
    object[label.name.str()] = label.value;
  }
  return object;
}

std::optional<std::string_view> Labels::get(std::string_view name) const {
  for (const Label& label : labels_) {
    if (label.name.str() == name) return label.value;
  }
  return std::nullopt;
}

bool Labels::matchedBy(const Labels& manifest) const {
  return !firstMismatch(manifest);
}

std::optional<Label> Labels::firstMismatch(const Labels& manifest) const {
  for (const Label& label : labels_) {
    if (manifest.get(label.name.str()) != label.value) return label;
  }
  return std::nullopt;
}

Labels Labels::withDefault(std::string_view name, std::string_view value) const {
  if (get(name)) return *this;
  std::vector<Label> labels = labels_;
  labels.push_back({AcIdentifier::parse(name), std::string(value)});
  return make(std::move(labels));
}

std::string_view hostOs() {
  return "linux";
}

std::string_view hostArch() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__i386__)
  return "i386";
#elif defined(__aarch64__) && defined(__AARCH64EB__)
  return "aarch64_be";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__arm__) && defined(__ARMEB__)
  return "armv7b";
#elif defined(__arm__) && __ARM_ARCH >= 7
  return "armv7l";
#elif defined(__arm__)
  return "armv6l";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  return "ppc64le";
#elif defined(__powerpc64__)
  return "ppc64";
#elif defined(__s390x__)
  return "s390x";
#else
#error "appc has no word for this machine's architecture (aci.md, labels)"
#endif
}

}  // namespace actool::schema
