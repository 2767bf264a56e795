#include "core/schema/app_ref.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::schema {
namespace {

int hexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percentDecoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? hexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      throw Error(fmt::format("\"{}\" has a '%' without two hex digits", printable(text)),
                  "write a '%' itself as %25");
    }
    if (high == 0 && low == 0) throw Error(fmt::format("\"{}\" has a NUL byte", printable(text)));
    result.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return result;
}

// What would end the value, mean something else, or not survive a terminal.
std::string percentEncoded(std::string_view value) {
  std::string result;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == ',' || c == ':' || c == '%') {
      result += fmt::format("%{:02X}", byte);
    } else {
      result.push_back(c);
    }
  }
  return result;
}

Label parseLabel(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    throw Error(fmt::format("the label \"{}\" has no value", printable(text)),
                "labels are written ,NAME=VALUE");
  }
  const std::string_view value = text.substr(equals + 1);
  if (value.find(':') != std::string_view::npos) {
    throw Error(
        fmt::format("\"{}\" has a ':', which may stand only right after the name", printable(text)),
        "write a ':' in a value as %3A");
  }
  return {AcIdentifier::parse(text.substr(0, equals)), percentDecoded(value)};
}

bool has(const std::vector<Label>& labels, std::string_view name) {
  return std::any_of(labels.begin(), labels.end(),
                     [&](const Label& label) { return label.name.str() == name; });
}

AppRef parseParts(std::string_view text) {
  const auto parts = split(text, ',');
  std::string_view name = parts[0];
  std::vector<Label> labels;
  if (const auto colon = name.find(':'); colon != std::string_view::npos) {
    const std::string_view version = name.substr(colon + 1);
    if (version.empty()) throw Error("there is no version after the ':'");
    if (version.find(':') != std::string_view::npos) {
      throw Error("there is more than one ':'", "write a ':' in a version as %3A");
    }
    labels.push_back({AcIdentifier::parse("version"), percentDecoded(version)});
    name = name.substr(0, colon);
  }
  AcIdentifier identifier = AcIdentifier::parse(name);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    Label label = parseLabel(parts[i]);
    if (has(labels, label.name.str())) {
      throw Error(fmt::format("the label \"{}\" is given twice", label.name.str()));
    }
    labels.push_back(std::move(label));
  }
  // An arch alone says nothing (aci.md); who types one means it for this machine's system.
  if (has(labels, "arch") && !has(labels, "os")) {
    labels.push_back({AcIdentifier::parse("os"), std::string(hostOs())});
  }
  return AppRef(std::move(identifier), Labels::make(std::move(labels)));
}

}  // namespace

AppRef::AppRef(AcIdentifier name, const Labels& labels) : name_(std::move(name)) {
  std::vector<Label> ordered = labels.list();
  std::stable_partition(ordered.begin(), ordered.end(),
                        [](const Label& label) { return label.name.str() == "version"; });
  labels_ = Labels::make(std::move(ordered));
}

AppRef AppRef::parse(std::string_view text) {
  return withContext(fmt::format("image name \"{}\"", printable(text)),
                     [&] { return parseParts(text); });
}

std::optional<AppRef> AppRef::tryParse(std::string_view text) {
  try {
    return parseParts(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string AppRef::str() const {
  std::string result = name_.str();
  for (const Label& label : labels_.list()) {
    if (label.name.str() == "version" && !label.value.empty()) {
      result += ":" + percentEncoded(label.value);
    } else {
      result += "," + label.name.str() + "=" + percentEncoded(label.value);
    }
  }
  return result;
}

AppRef AppRef::withDefaults(bool version) const {
  Labels labels = labels_.withDefault("os", hostOs());
  // Another system's architecture cannot be guessed from ours.
  if (labels.get("os") == hostOs()) labels = labels.withDefault("arch", hostArch());
  if (version) labels = labels.withDefault("version", "latest");
  return AppRef(name_, labels);
}

}  // namespace actool::schema
