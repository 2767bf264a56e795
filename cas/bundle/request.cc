#include "cas/bundle/request.h"

#include <fmt/format.h>

#include <variant>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/record/image_arg.h"

namespace actool::cas {

namespace {

constexpr std::string_view kRequestKind = "actool-bundle-request";
constexpr int kRequestVersion = 1;

template <typename Fn>
void forEachString(const Json& object, std::string_view key, Fn&& fn) {
  for (const Json& value : listMember(object, key)) {
    if (!value.is_string()) throw Error(fmt::format("\"{}\" has what is no string", key));
    fn(value.get<std::string>());
  }
}

}  // namespace

void BundleRequest::addWanted(const std::string& argument) {
  const auto parsed = record::parseImageArg(argument);
  if (!std::holds_alternative<schema::AppRef>(parsed) &&
      !std::holds_alternative<schema::ImageIdPrefix>(parsed)) {
    throw UsageError(fmt::format("'{}' is no name of an image", printable(argument)),
                     "ask for a name with labels, or an image ID");
  }
  want.push_back(argument);
}

std::string BundleRequest::dump() const {
  Json object = {{"kind", kRequestKind},
                 {"version", kRequestVersion},
                 {"want", want},
                 {"have", Json::array()},
                 {"pieces", Json::array()}};
  for (const auto& id : have)
    object["have"].push_back(id.str());
  for (const auto& piece : pieces)
    object["pieces"].push_back(piece.hex());
  return dumpLine(object) + "\n";
}

BundleRequest BundleRequest::parse(std::string_view text, std::string_view what) {
  return withContext(what, [&] {
    const Json object = parseJson(text, "line", {.bytes = kMaxRequestBytes, .depth = 8});
    if (stringMember(object, "kind") != kRequestKind) {
      throw Error("this is no request", "'actool bundle want' writes one");
    }
    if (member(object, "version") != kRequestVersion) {
      throw Error("its version is not one this release knows");
    }
    BundleRequest request;
    forEachString(object, "want", [&](const std::string& image) { request.addWanted(image); });
    forEachString(object, "have",
                  [&](const std::string& id) { request.have.insert(schema::ImageId::parse(id)); });
    forEachString(object, "pieces", [&](std::string hex) {
      request.pieces.emplace(DigestAlgorithm::sha512, std::move(hex));
    });
    return request;
  });
}

}  // namespace actool::cas
