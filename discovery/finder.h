// Discovery as a whole: the mirrors that are configured for a name, then the name's own pages.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/net/http.h"
#include "core/record/record.h"
#include "core/record/versions.h"
#include "discovery/discover.h"
#include "discovery/mirror_config.h"

namespace actool::discovery {

class Finder {
 public:
  // `client` must outlive the object. `options.base` is not looked at.
  Finder(net::HttpClient& client, const Options& options, MirrorConfig mirrors)
      : client_(client), options_(options), mirrors_(std::move(mirrors)) {}

  // Where `ref` may be had. Mirrors are asked in their order, and the endpoints of all that have
  // some come in that order; the name's own pages are asked only when none of them has one, and
  // the rule is not "only". A mirror that cannot be asked is warned about. Public keys come from
  // the name's own pages alone, as a mirror has no say about whom to trust. Throws as
  // Discoverer::images() does, with what was tried at every mirror.
  record::Discovered images(const schema::AppRef& ref);

  // Of the name's own pages. Where mirrors are all that may be asked, NotFoundError says so.
  std::vector<std::string> keys(const schema::AcIdentifier& name);

  // The list of the first mirror that has one, else of the name's own pages.
  record::Versions versions(const schema::AcIdentifier& name);

 private:
  struct Failures;
  // Calls `ask` with each mirror in its order until it returns false; a mirror for which it throws
  // is passed over. True when one did not.
  bool askMirrors(const MirrorRule& rule, Failures& failures,
                  const std::function<bool(Discoverer& mirror, const std::string& base)>& ask);
  std::vector<std::string> keysBeside(const schema::AcIdentifier& name);
  record::Versions listAt(const std::vector<std::string>& urls, const schema::AcIdentifier& name);
  Discoverer& at(const std::string& base);

  net::HttpClient& client_;
  const Options options_;
  const MirrorConfig mirrors_;
  std::map<std::string, Discoverer> places_;  // by base; empty: each name's own host
};

}  // namespace actool::discovery
