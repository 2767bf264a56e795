#include "discovery/discover.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/net/url.h"
#include "discovery/url_template.h"

namespace actool::discovery {
namespace {

// A page is small: a server that does not deliver it in this time will not deliver it.
constexpr std::chrono::seconds kConnectTimeout{20};
constexpr std::chrono::seconds kPageTimeout{60};

// Host and port of a URL of any scheme: what follows the scheme has the same form in all.
std::string placeOf(std::string_view url) {
  return net::Url::parse(fmt::format("https{}", url.substr(url.find("://")))).hostPort();
}

// Pages write "example.com/" as well as "example.com".
bool coversName(std::string_view prefix, const schema::AcIdentifier& name) {
  if (prefix.size() > 1 && prefix.ends_with('/')) prefix.remove_suffix(1);
  return hasPathPrefix(name.str(), prefix);
}

std::string notForThisName(std::string_view tagName, std::string_view prefix) {
  return fmt::format("its {} tag is for \"{}\"", tagName, printable(prefix, 80));
}

// The errors of a client name the URL already.
std::string describe(const Attempt& attempt) {
  if (attempt.reason.find(attempt.url) != std::string::npos) return attempt.reason;
  return fmt::format("{}: {}", attempt.url, attempt.reason);
}

std::string describe(const std::vector<Attempt>& trail) {
  std::vector<std::string> parts;
  parts.reserve(trail.size());
  for (const Attempt& attempt : trail)
    parts.push_back(describe(attempt));
  return join(parts, "; ");
}

bool wantsCredentials(const Attempt& attempt) {
  return attempt.status == 401;
}

// `cut`: the walk ended before it reached the host.
[[noreturn]] void throwNothing(std::string_view what, const schema::AcIdentifier& name,
                               const std::vector<Attempt>& trail, bool cut) {
  const std::string tried = describe(trail);
  if (std::any_of(trail.begin(), trail.end(), wantsCredentials)) {
    throw NetworkError(
        tried,
        fmt::format("credentials for {} go into a file of auth.d (rktKind \"auth\")", name.host()));
  }
  if (cut) throw NetworkError(tried, trail.back().status >= 500 ? "try again later" : "");
  throw NotFoundError(fmt::format("no {} found; tried {}", what, tried),
                      fmt::format("is the name right, and does {} announce it?", name.host()));
}

}  // namespace

std::vector<record::Endpoint> Discoverer::images(const schema::AppRef& ref) {
  const schema::AppRef full(ref.name(), ref.labels().withDefault("version", "latest"));
  std::vector<record::Endpoint> endpoints;
  walk(ref.name(), "ac-discovery tag for it", [&](const std::vector<MetaTag>& tags) {
    std::string why = "no ac-discovery tag";
    for (const MetaTag& tag : tags) {
      if (tag.kind != MetaTag::Kind::image) continue;
      if (!coversName(tag.prefix, ref.name())) {
        why = notForThisName("ac-discovery", tag.prefix);
        log::debug("{}: {}", ref.name().str(), why);
        continue;
      }
      try {
        record::Endpoint endpoint = renderTemplate(tag.value, full);
        checkPlace(endpoint.aci);
        endpoint.mirror = options_.base;
        endpoints.push_back(std::move(endpoint));
      } catch (const Error& error) {
        why = error.what();
        log::debug("{}: template \"{}\" is skipped: {}", ref.name().str(), printable(tag.value),
                   why);
      }
    }
    return endpoints.empty() ? why : std::string();
  });
  return endpoints;
}

std::vector<std::string> Discoverer::keys(const schema::AcIdentifier& name) {
  return urls(name, MetaTag::Kind::keys, "ac-discovery-pubkeys");
}

std::vector<std::string> Discoverer::versionLists(const schema::AcIdentifier& name) {
  return urls(name, MetaTag::Kind::versions, "ac-discovery-versions");
}

std::vector<std::string> Discoverer::urls(const schema::AcIdentifier& name, MetaTag::Kind kind,
                                          std::string_view tagName) {
  std::vector<std::string> urls;
  walk(name, fmt::format("{} tag for it", tagName), [&](const std::vector<MetaTag>& tags) {
    std::string why = fmt::format("no {} tag", tagName);
    for (const MetaTag& tag : tags) {
      if (tag.kind != kind) continue;
      if (!coversName(tag.prefix, name)) {
        why = notForThisName(tagName, tag.prefix);
        log::debug("{}: {}", name.str(), why);
        continue;
      }
      try {
        std::string url = checkedUrl(tag.value);
        checkPlace(url);
        urls.push_back(std::move(url));
      } catch (const Error& error) {
        why = error.what();
        log::debug("{}: URL of {} is skipped: {}", name.str(), tagName, why);
      }
    }
    return urls.empty() ? why : std::string();
  });
  return urls;
}

void Discoverer::checkPlace(std::string_view url) const {
  if (options_.base.empty()) return;
  const std::string place = placeOf(url);
  const std::string own = placeOf(options_.base);
  if (place == own) return;
  throw Error(fmt::format("it leads to {}, away from the mirror's own {}", place, own));
}

void Discoverer::walk(const schema::AcIdentifier& name, std::string_view what, const Taker& take) {
  std::vector<Attempt> trail;
  std::string_view prefix = name.str();
  while (true) {
    const Page& asked = page(prefix);
    trail.insert(trail.end(), asked.attempts.begin(), asked.attempts.end());
    if (trail.back().result == Attempt::Result::page) {
      trail.back().reason = take(asked.tags);
      if (trail.back().reason.empty()) return;
      log::debug("{}", describe(trail.back()));
    }
    const bool answered = std::any_of(
        asked.attempts.begin(), asked.attempts.end(),
        [](const Attempt& attempt) { return attempt.result != Attempt::Result::noAnswer; });
    const std::size_t slash = prefix.rfind('/');
    if (!answered || slash == std::string_view::npos) {
      throwNothing(what, name, trail, !answered);
    }
    prefix = prefix.substr(0, slash);
  }
}

std::string Discoverer::pageUrl(std::string_view scheme, std::string_view prefix) const {
  if (!options_.base.empty()) return fmt::format("{}/{}?ac-discovery=1", options_.base, prefix);
  const std::size_t slash = prefix.find('/');
  const std::string_view host = prefix.substr(0, slash);
  const std::string_view path =
      slash == std::string_view::npos ? std::string_view() : prefix.substr(slash);
  const std::string portText = options_.port ? fmt::format(":{}", *options_.port) : std::string();
  return fmt::format("{}://{}{}{}?ac-discovery=1", scheme, host, portText, path);
}

const Discoverer::Page& Discoverer::page(std::string_view prefix) {
  if (const auto known = pages_.find(prefix); known != pages_.end()) return known->second;
  Page result;
  for (const std::string_view scheme : {"https", "http"}) {
    result.attempts.push_back(request(pageUrl(scheme, prefix), result.tags));
    const bool more = options_.allowHttp && options_.base.empty();
    if (!more || result.attempts.back().result == Attempt::Result::page) break;
  }
  return pages_.emplace(prefix, std::move(result)).first->second;
}

Attempt Discoverer::request(const std::string& url, std::vector<MetaTag>& tags) {
  net::HttpRequest request;
  request.url = url;
  request.allowHttp = options_.allowHttp;
  request.verifyTls = options_.verifyTls;
  request.maxBytes = options_.html.bytes;
  request.connectTimeout = kConnectTimeout;
  request.totalTimeout = kPageTimeout;

  Attempt attempt;
  attempt.url = url;
  log::debug("asking {}", url);
  try {
    const auto [response, html] = client_.getText(request);
    attempt.status = response.status;
    if (response.effectiveUrl != net::Url::parse(url).str)
      log::debug("{} led to {}", url, response.effectiveUrl);
    if (response.status == 200) {
      tags = extractMetaTags(html, options_.html);
      attempt.result = Attempt::Result::page;
    } else {
      attempt.reason = fmt::format("status {}", response.status);
      if (wantsCredentials(attempt)) attempt.reason += ", it asks for credentials";
      if (response.status / 100 == 4) attempt.result = Attempt::Result::refused;
    }
  } catch (const Error& error) {
    // The reason is told with the others when nothing serves.
    attempt.reason = error.what();
  }
  if (attempt.result != Attempt::Result::page) log::debug("{}", describe(attempt));
  return attempt;
}

}  // namespace actool::discovery
