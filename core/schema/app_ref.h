// A reference to an image by name, as people type it (appc discovery/parse.go, rkt):
//   example.com/web:1.2.0
//   example.com/web,version=1.2.0,os=linux,arch=amd64
// ":VERSION" is short for ",version=VERSION" and both may not be given; the rest after the
// first ',' are labels, whose values are percent-decoded ("+" stays "+"). An arch without an
// os is taken for this machine's os. A ':' in a value is written %3A, a ',' %2C.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/schema/identifier.h"
#include "core/schema/labels.h"

namespace actool::schema {

class AppRef {
 public:
  static AppRef parse(std::string_view text);  // throws Error naming the offending part
  static std::optional<AppRef> tryParse(std::string_view text);
  // The version is moved to the front of the labels: a reference has one order.
  AppRef(AcIdentifier name, const Labels& labels);

  const AcIdentifier& name() const { return name_; }
  const Labels& labels() const { return labels_; }
  // Canonical: the name, ":VERSION" if there is a version that can be written so, then the
  // other labels in their order, values percent-encoded where needed. parse(str()) is equal.
  std::string str() const;
  // With defaults put in for discovery: os and arch of this machine and, when `version` is
  // set, the version (spec/discovery.md: "latest").
  AppRef withDefaults(bool version) const;
  bool operator==(const AppRef&) const = default;

 private:
  AcIdentifier name_;
  Labels labels_;
};

}  // namespace actool::schema
