#include "discovery/finder.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::discovery {
namespace {

constexpr std::chrono::seconds kListTimeout{60};

}  // namespace

// Why the mirrors did not serve, and what that comes to.
struct Finder::Failures {
  std::vector<std::string> reasons;
  bool network = false;

  void add(const std::string& base, const Error& error) {
    reasons.push_back(fmt::format("mirror {}: {}", base, error.what()));
    network = network || error.code() == ExitCode::network;
  }
  [[noreturn]] void raise() const {
    const std::string hint = "the configuration (mirrors.d, \"only\") lets nobody else be asked";
    if (network) throw NetworkError(join(reasons, "; "), hint);
    throw NotFoundError(join(reasons, "; "), hint);
  }
};

Discoverer& Finder::at(const std::string& base) {
  Options options = options_;
  options.base = base;
  return places_.try_emplace(base, client_, options).first->second;
}

bool Finder::askMirrors(const MirrorRule& rule, Failures& failures,
                        const std::function<bool(Discoverer&, const std::string&)>& ask) {
  bool served = false;
  for (const std::string& base : rule.bases) {
    try {
      const bool more = ask(at(base), base);
      served = true;
      if (!more) break;
    } catch (const Error& error) {
      if (error.code() == ExitCode::network) {
        log::warn("mirror {} is passed over: {}", base, error.what());
      } else {
        log::debug("mirror {} is passed over: {}", base, error.what());
      }
      failures.add(base, error);
    }
  }
  return served;
}

// Public keys come with images when there are any: an image may be signed by a key that is
// trusted already.
std::vector<std::string> Finder::keysBeside(const schema::AcIdentifier& name) {
  try {
    return at("").keys(name);
  } catch (const NotFoundError& error) {
    log::debug("{}", error.what());
  } catch (const NetworkError& error) {
    log::warn("public keys of {}: {}", name.str(), error.what());
  }
  return {};
}

record::Discovered Finder::images(const schema::AppRef& ref) {
  record::Discovered found{ref, {}, {}};
  const schema::AppRef full = ref.withDefaults(true);
  if (const MirrorRule* rule = mirrors_.find(ref.name())) {
    Failures failures;
    const bool served =
        askMirrors(*rule, failures, [&](Discoverer& mirror, const std::string& /*base*/) {
          const std::vector<record::Endpoint> endpoints = mirror.images(full);
          found.endpoints.insert(found.endpoints.end(), endpoints.begin(), endpoints.end());
          return true;
        });
    if (served) {
      found.askOrigin = !rule->only;
      return found;
    }
    if (rule->only) failures.raise();
  }
  found.endpoints = at("").images(full);
  found.keys = keysBeside(ref.name());
  return found;
}

std::vector<std::string> Finder::keys(const schema::AcIdentifier& name) {
  if (const MirrorRule* rule = mirrors_.find(name); rule != nullptr && rule->only) {
    throw NotFoundError(
        fmt::format("the public keys of {} are announced by its own pages, which the configuration "
                    "(mirrors.d, \"only\") keeps from being asked",
                    name.str()),
        "get the key from its owner, and give the file to `actool trust add`");
  }
  return at("").keys(name);
}

record::Versions Finder::listAt(const std::vector<std::string>& urls,
                                const schema::AcIdentifier& name) {
  const std::string& url = urls.front();
  const record::VersionsLimits limits;
  net::HttpRequest request;
  request.url = url;
  request.allowHttp = options_.allowHttp;
  request.verifyTls = options_.verifyTls;
  request.maxBytes = limits.bytes;
  request.totalTimeout = kListTimeout;
  const auto [response, text] = client_.getText(request);
  if (response.status != 200) net::throwStatus(response, url);
  record::Versions versions = record::Versions::parse(text, url, limits);
  if (versions.name != name) {
    throw Error(
        fmt::format("{}: it lists the versions of {}", printable(url), versions.name.str()));
  }
  return versions;
}

record::Versions Finder::versions(const schema::AcIdentifier& name) {
  if (const MirrorRule* rule = mirrors_.find(name)) {
    Failures failures;
    std::optional<record::Versions> found;
    askMirrors(*rule, failures, [&](Discoverer& mirror, const std::string& /*base*/) {
      found = listAt(mirror.versionLists(name), name);
      return false;
    });
    if (found) return *std::move(found);
    if (rule->only) failures.raise();
  }
  return listAt(at("").versionLists(name), name);
}

}  // namespace actool::discovery
