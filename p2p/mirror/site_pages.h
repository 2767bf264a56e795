// The pages of a site that are not those of names: lists for people, and, for names of the site's
// own host, links from where the name itself leads.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/schema/identifier.h"
#include "p2p/mirror/site_config.h"
#include "p2p/mirror/site_layout.h"

namespace actool::mirror {

// https://example.com makes "example.com"; a site that is not a whole host has none.
std::string ownHost(const std::string& siteUrl);

class PagesBesideNames {
 public:
  // `names` are all that have pages.
  PagesBesideNames(const SiteConfig& config, const std::vector<schema::AcIdentifier>& names);

  // Brings the site to this: `place` is called with what is to be written, pages that there should
  // be no more are removed.
  void write(const SiteLayout& layout,
             const std::function<void(const Path&, const std::string&)>& place) const;

  // By folder below the web root ("" is the root): the entries of a list.
  const std::map<std::string, std::set<std::string>>& lists() const { return lists_; }
  // By folder below the web root: the name whose page is meant.
  const std::map<std::string, schema::AcIdentifier>& aliases() const { return aliases_; }

 private:
  std::map<std::string, std::set<std::string>> lists_;
  std::map<std::string, schema::AcIdentifier> aliases_;
};

}  // namespace actool::mirror
