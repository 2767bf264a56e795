// appc meta-discovery (spec/discovery.md): from a name to the places where its images and its
// public keys are, asked of the pages of the name itself.
//
// The page of "example.com/a/b" is https://example.com/a/b?ac-discovery=1. When it answers
// with a 4xx, or has no tag that serves the name, the page of the parent is asked, up to the
// host. Whatever else goes wrong (no connection, a certificate of another host, a redirect
// loop, a 5xx, a page that is too large) is no answer and ends the walk: what the page would
// have said must not be replaced by what its parent says.
//
// Images, keys and lists of versions have a walk each, over the same pages; each page is fetched
// once.
//
// A mirror (docs/mirror.md) has pages of the same kind for names that are not its own: of
// "example.com/a/b" at BASE/example.com/a/b?ac-discovery=1. What they announce has to lie at the
// mirror's own host.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/http.h"
#include "core/record/record.h"
#include "core/schema/app_ref.h"
#include "core/schema/identifier.h"
#include "discovery/meta_tags.h"

namespace actool::discovery {

struct Options {
  bool allowHttp = false;             // http too, where https did not give a page
  bool verifyTls = true;              // false: any certificate will do
  std::optional<std::uint16_t> port;  // instead of the scheme's own
  // A mirror's base URL, without a '/' at its end; empty: each name's own host is asked.
  std::string base;
  HtmlLimits html;
};

// One request, and why it did not serve; what errors and --debug tell.
struct Attempt {
  enum class Result { page, refused, noAnswer };  // 200; 4xx; everything else
  std::string url;
  Result result = Result::noAnswer;
  int status = 0;      // 0 when there was none
  std::string reason;  // "404", "no ac-discovery tag", ...
};

class Discoverer {
 public:
  // `client` must outlive the object.
  Discoverer(net::HttpClient& client, const Options& options)
      : client_(client), options_(options) {}

  // Every endpoint that the first serving page has for `ref`, in the page's order; never
  // empty. Version defaults to "latest"; os and arch are what `ref` says (see
  // AppRef::withDefaults), and a template that needs a label it lacks does not serve. Throws
  // NotFoundError when the walk ended at the host with nothing, NetworkError when it was cut
  // short or a page asked for credentials; both list every attempt.
  std::vector<record::Endpoint> images(const schema::AppRef& ref);

  // The same for the URLs of public keys; labels do not matter.
  std::vector<std::string> keys(const schema::AcIdentifier& name);

  // The same for the URLs of lists of versions.
  std::vector<std::string> versionLists(const schema::AcIdentifier& name);

 private:
  struct Page {
    std::vector<Attempt> attempts;  // https, then perhaps http; the last one counts
    std::vector<MetaTag> tags;
  };
  // Takes what it can use of a page's tags and returns an empty string, or why it took none.
  using Taker = std::function<std::string(const std::vector<MetaTag>&)>;

  std::vector<std::string> urls(const schema::AcIdentifier& name, MetaTag::Kind kind,
                                std::string_view tagName);
  std::string pageUrl(std::string_view scheme, std::string_view prefix) const;
  void checkPlace(std::string_view url) const;
  void walk(const schema::AcIdentifier& name, std::string_view what, const Taker& take);
  const Page& page(std::string_view prefix);
  Attempt request(const std::string& url, std::vector<MetaTag>& tags);

  net::HttpClient& client_;
  const Options options_;
  std::map<std::string, Page, std::less<>> pages_;  // by prefix of the name
};

}  // namespace actool::discovery
