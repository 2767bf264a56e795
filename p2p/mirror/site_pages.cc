#include "p2p/mirror/site_pages.h"

#include <unistd.h>

#include <cerrno>

#include "core/base/error.h"
#include "p2p/mirror/page.h"
#include "p2p/mirror/release.h"
#include "p2p/mirror/site_walk.h"

namespace actool::mirror {
namespace {

constexpr std::size_t kMaxPageBytes = std::size_t{16} << 20;

void removePage(const Path& page) {
  if (::unlink(page.c_str()) != 0 && errno != ENOENT) throwErrno("removing " + page.string());
}

void writeAlias(const SiteLayout& layout, const Path& page, const schema::AcIdentifier& name) {
  const Path target = layout.page(name).lexically_relative(page.parent_path());
  if (linkTarget(page) == target.string()) return;
  makeDirs(page.parent_path());
  const TempDir scratch(layout.tmpDir(), "page.");
  const Path link = scratch.path() / "page";
  if (::symlink(target.c_str(), link.c_str()) != 0)
    throwErrno("creating the link " + link.string());
  if (::rename(link.c_str(), page.c_str()) != 0) throwErrno("renaming to " + page.string());
}

}  // namespace

std::string ownHost(const std::string& siteUrl) {
  const std::string place = siteUrl.substr(siteUrl.find("://") + 3);
  if (place.find('/') != std::string::npos) return {};
  return place.substr(0, place.find(':'));
}

PagesBesideNames::PagesBesideNames(const SiteConfig& config,
                                   const std::vector<schema::AcIdentifier>& names) {
  std::set<std::string> own;
  for (const schema::AcIdentifier& name : names)
    own.insert(name.str());
  lists_[""];
  for (const schema::AcIdentifier& name : names) {
    std::string below = name.str();
    for (;;) {
      const std::size_t slash = below.rfind('/');
      const std::string parent = slash == std::string::npos ? "" : below.substr(0, slash);
      if (!own.contains(parent))
        lists_[parent].insert(below.substr(slash == std::string::npos ? 0 : slash + 1));
      if (slash == std::string::npos) break;
      below = parent;
    }
  }
  const std::string host = ownHost(config.url);
  for (const schema::AcIdentifier& name : names) {
    if (host.empty() || name.host() != host) continue;
    const std::string rest =
        name.str().size() > host.size() ? name.str().substr(host.size() + 1) : "";
    // A mirrored name goes first: its page is asked for by that path and no other.
    if (own.contains(rest)) continue;
    aliases_.emplace(rest, name);
    lists_.erase(rest);
  }
}

void PagesBesideNames::write(
    const SiteLayout& layout,
    const std::function<void(const Path&, const std::string&)>& place) const {
  walkSite(layout, [&](const Path& folder) {
    const std::string relative =
        folder == layout.webRoot() ? "" : folder.lexically_relative(layout.webRoot()).string();
    const auto name = schema::AcIdentifier::tryParse(relative);
    if (name && currentRevision(layout, *name)) return;
    if (!lists_.contains(relative) && !aliases_.contains(relative))
      removePage(folder / "index.html");
  });
  for (const auto& [folder, name] : aliases_)
    writeAlias(layout, layout.webRoot() / folder / "index.html", name);
  for (const auto& [folder, entries] : lists_) {
    const Path page = layout.webRoot() / folder / "index.html";
    const std::string content =
        listPage(folder, std::vector<std::string>(entries.begin(), entries.end()));
    if (!linkTarget(page) && tryReadFile(page, kMaxPageBytes) == content) continue;
    place(page, content);
  }
}

}  // namespace actool::mirror
