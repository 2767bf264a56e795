#include "fetch/process_siblings.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::fetch {

std::optional<std::string> ProcessStoreQuery::query(const std::vector<std::string>& args) {
  cli::SiblingResult result = siblings_.run("actool-image", args);
  if (result.status.ok()) return std::move(result.out);
  // "Not found" is an answer here; the line that says so on its standard error is not passed on.
  if (!result.status.signaled && result.status.value == static_cast<int>(ExitCode::notFound))
    return std::nullopt;
  cli::throwSiblingFailure("actool-image", result.status, std::move(result.err));
}

std::optional<record::Image> ProcessStoreQuery::resolve(const std::string& image) {
  const auto out = query({"resolve", image});
  if (!out) return std::nullopt;
  return record::Image::fromJson(parseJson(trim(*out), "the answer of actool-image resolve"));
}

std::optional<Remote> ProcessStoreQuery::remote(const std::string& url) {
  const auto out = query({"remote", url});
  if (!out) return std::nullopt;
  return withContext("the answer of actool-image remote", [&] {
    const Json object = parseJson(trim(*out), "record");
    return Remote{stringMember(object, "url"), stringMemberOr(object, "etag", {}),
                  boolMemberOr(object, "fresh", false),
                  schema::ImageId::parse(stringMember(object, "id"))};
  });
}

void ProcessStoreQuery::noteRemote(const std::string& url, const std::string& etag,
                                   std::chrono::seconds maxAge) {
  std::vector<std::string> args{"remote", url, "--refresh",
                                fmt::format("--max-age={}", maxAge.count())};
  if (!etag.empty()) args.push_back("--etag=" + etag);
  siblings_.runOrThrow("actool-image", args);
}

schema::ImageManifest ProcessStoreQuery::manifest(const schema::ImageId& id) {
  const std::string out = siblings_.runOrThrow("actool-image", {"cat-manifest", id.str()});
  return schema::ImageManifest::parse(out, "manifest of " + id.shortForm());
}

record::Discovered ProcessDiscoverer::discover(const schema::AppRef& ref) {
  return run({"--format=jsonl", ref.str()});
}

record::Discovered ProcessDiscoverer::discoverOrigin(const schema::AppRef& ref) {
  return run({"--format=jsonl", "--no-mirrors", ref.str()});
}

record::Discovered ProcessDiscoverer::run(const std::vector<std::string>& args) const {
  const std::string out = siblings_.runOrThrow("actool-discover", args);
  return record::Discovered::fromJson(parseJson(trim(out), "the answer of actool-discover"));
}

bool ProcessKeyTruster::hasTrustedKey(const schema::AcIdentifier& name) const {
  // One record a key; masks and longer prefixes are the keystore's business.
  const std::string out =
      siblings_.runOrThrow("actool-trust", {"list", "--prefix=" + name.str(), "--format=jsonl"});
  return !trim(out).empty();
}

void ProcessKeyTruster::trustAnnounced(const schema::AcIdentifier& name) {
  const std::lock_guard lock(mutex_);
  if (!done_.insert(name).second || hasTrustedKey(name)) return;
  siblings_.runOrThrow("actool-trust",
                       {"add", "--prefix=" + name.str(), "--skip-fingerprint-review"});
}

}  // namespace actool::fetch
