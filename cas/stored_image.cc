#include "cas/stored_image.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::string_view kKind = "actool-image";
constexpr int kVersion = 1;

std::uint64_t sizeMember(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  if (!value.is_number_unsigned()) {
    throw Error(fmt::format("\"{}\" is not a whole number", key));
  }
  return value.get<std::uint64_t>();
}

Json signatureJson(const SignatureInfo& signature) {
  return {{"digest", signature.digest.str()},
          {"fingerprint", signature.fingerprint},
          {"signingFingerprint", signature.signingFingerprint},
          {"userId", signature.userId},
          {"created", signature.created},
          {"trustRule", signature.trustRule},
          {"keyFile", signature.keyFile}};
}

// Members without a value are left out: most are, and every reader of the index parses all of it.
Json importJson(const Import& import) {
  Json object = {{"at", import.at}, {"via", import.via}, {"uid", import.by.uid}};
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) object[key] = value;
  };
  add("user", import.by.name);
  if (import.by.sudoUid) object["sudoUid"] = *import.by.sudoUid;
  add("sudoUser", import.by.sudoName);
  add("source", import.source);
  add("requested", import.requested);
  add("fingerprint", import.fingerprint);
  add("trustRule", import.trustRule);
  add("keyFile", import.keyFile);
  return object;
}

Import importFrom(const Json& object) {
  Import note{.at = stringMember(object, "at"),
              .by = {.uid = sizeMember(object, "uid"),
                     .name = stringMemberOr(object, "user", ""),
                     .sudoUid = std::nullopt,
                     .sudoName = stringMemberOr(object, "sudoUser", "")},
              .via = stringMemberOr(object, "via", ""),
              .source = stringMemberOr(object, "source", ""),
              .requested = stringMemberOr(object, "requested", ""),
              .fingerprint = stringMemberOr(object, "fingerprint", ""),
              .trustRule = stringMemberOr(object, "trustRule", ""),
              .keyFile = stringMemberOr(object, "keyFile", "")};
  if (object.contains("sudoUid")) note.by.sudoUid = sizeMember(object, "sudoUid");
  return note;
}

// Forgets the oldest but the first `keep`.
template <typename T>
void forgetOldest(std::vector<T>& list, std::size_t most, std::size_t keep) {
  if (list.size() <= most) return;
  const auto first = list.begin() + static_cast<std::ptrdiff_t>(keep);
  list.erase(first, first + static_cast<std::ptrdiff_t>(list.size() - most));
}

SignatureInfo signatureFrom(const Json& object) {
  return SignatureInfo{.digest = Digest::parse(stringMember(object, "digest")),
                       .fingerprint = stringMember(object, "fingerprint"),
                       .signingFingerprint = stringMemberOr(object, "signingFingerprint", ""),
                       .userId = stringMemberOr(object, "userId", ""),
                       .created = stringMemberOr(object, "created", ""),
                       .trustRule = stringMemberOr(object, "trustRule", ""),
                       .keyFile = stringMemberOr(object, "keyFile", "")};
}

DistributedFile distributedFrom(const Json& object) {
  return DistributedFile{.digest = Digest::parse(stringMember(object, "digest")),
                         .size = sizeMember(object, "size"),
                         .encoding = parseEncoding(stringMember(object, "encoding")),
                         .kept = boolMemberOr(object, "kept", true)};
}

}  // namespace

std::string preciseTime(std::chrono::system_clock::time_point time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count() %
      1'000'000;
  std::string text = formatRfc3339(time);
  text.pop_back();
  return fmt::format("{}.{:06}Z", text, micros);
}

std::string_view name(Encoding encoding) {
  constexpr std::array<std::string_view, 4> kNames = {"none", "gzip", "bzip2", "xz"};
  return kNames.at(static_cast<std::size_t>(encoding));
}

Encoding parseEncoding(std::string_view text) {
  for (const Encoding encoding : {Encoding::none, Encoding::gzip, Encoding::bzip2, Encoding::xz}) {
    if (text == name(encoding)) return encoding;
  }
  throw Error(fmt::format("unknown encoding '{}'", printable(text)));
}

void StoredImage::noteRequested(RequestedAs request) {
  std::erase_if(requested, [&](const RequestedAs& old) { return old.ref == request.ref; });
  requested.push_back(std::move(request));
  forgetOldest(requested, kMostRemembered, 0);
}

void StoredImage::noteSource(Source source) {
  std::erase_if(sources, [&](const Source& old) { return old.url == source.url; });
  sources.push_back(std::move(source));
  forgetOldest(sources, kMostRemembered, 0);
}

void StoredImage::noteImport(Import import) {
  imports.push_back(std::move(import));
  forgetOldest(imports, kMostImports, 1);
}

std::string Person::describe() const {
  const auto one = [](const std::string& account, std::uint64_t id) {
    return account.empty() ? fmt::format("uid {}", id)
                           : fmt::format("{} (uid {})", printable(account), id);
  };
  return sudoUid ? fmt::format("{}, for {} by sudo", one(name, uid), one(sudoName, *sudoUid))
                 : one(name, uid);
}

Json StoredImage::toJson() const {
  Json object = {{"kind", kKind},
                 {"version", kVersion},
                 {"id", id.str()},
                 {"name", name.str()},
                 {"labels", labels.toJson()},
                 {"tarSize", tarSize},
                 {"distributed",
                  {{"digest", distributed.digest.str()},
                   {"size", distributed.size},
                   {"encoding", cas::name(distributed.encoding)},
                   {"kept", distributed.kept}}},
                 {"imported", imported},
                 {"requested", Json::array()},
                 {"sources", Json::array()}};
  if (signature) object["signature"] = signatureJson(*signature);
  for (const auto& request : requested) {
    object["requested"].push_back({{"ref", request.ref.str()}, {"at", request.at}});
  }
  for (const auto& source : sources) {
    object["sources"].push_back({{"url", source.url},
                                 {"etag", source.etag},
                                 {"expires", source.expires},
                                 {"confirmed", source.confirmed}});
  }
  for (const auto& import : imports)
    object["imports"].push_back(importJson(import));
  return object;
}

StoredImage StoredImage::fromJson(const Json& object) {
  if (stringMember(object, "kind") != kKind) throw Error("\"kind\" is not an image of the store");
  if (member(object, "version") != kVersion) {
    throw Error("\"version\" is not one this release knows");
  }
  StoredImage image{.id = schema::ImageId::parse(stringMember(object, "id")),
                    .name = schema::AcIdentifier::parse(stringMember(object, "name")),
                    .labels = schema::Labels::fromJson(member(object, "labels")),
                    .tarSize = sizeMember(object, "tarSize"),
                    .distributed = distributedFrom(member(object, "distributed")),
                    .imported = stringMember(object, "imported"),
                    .signature = std::nullopt,
                    .requested = {},
                    .sources = {}};
  if (object.contains("signature")) image.signature = signatureFrom(object["signature"]);
  for (const Json& request : listMember(object, "requested")) {
    image.requested.push_back(
        {schema::AppRef::parse(stringMember(request, "ref")), stringMember(request, "at")});
  }
  for (const Json& source : listMember(object, "sources")) {
    image.sources.push_back({stringMember(source, "url"), stringMemberOr(source, "etag", ""),
                             stringMemberOr(source, "expires", ""),
                             stringMemberOr(source, "confirmed", "")});
  }
  if (object.contains("imports")) {
    for (const Json& import : listMember(object, "imports"))
      image.imports.push_back(importFrom(import));
  }
  return image;
}

StoredImage StoredImage::parse(std::string_view text, std::string_view what) {
  return withContext(what, [&] { return fromJson(parseJson(text, what)); });
}

record::Image StoredImage::record() const {
  record::Image record{.id = id,
                       .name = name,
                       .labels = labels,
                       .requested = std::nullopt,
                       .tarSize = tarSize,
                       .distributedSize = distributed.size,
                       .imported = imported,
                       .lastUsed = {},
                       .signedBy = signature ? signature->fingerprint : std::string(),
                       .sources = {}};
  if (!requested.empty()) record.requested = requested.back().ref;
  for (const auto& source : sources)
    record.sources.push_back(source.url);
  return record;
}

}  // namespace actool::cas
