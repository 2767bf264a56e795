#include "p2p/mirror/site_walk.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <set>

#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::mirror {
namespace {

bool isFolder(const Path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

void walkBelow(const Path& folder, const std::function<void(const Path&)>& visit) {
  for (const std::string& entry : listDir(folder)) {
    if (entry.starts_with('_') || !isFolder(folder / entry)) continue;
    walkBelow(folder / entry, visit);
  }
  visit(folder);
}

std::chrono::system_clock::time_point changed(const struct stat& info) {
  return std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec);
}

class Pruner {
 public:
  Pruner(const Site& site, const PruneOptions& options, std::chrono::system_clock::time_point now)
      : layout_(site.layout()), options_(options), limit_(now - options.grace) {}

  std::vector<Removed> run() {
    walkSite(layout_, [&](const Path& folder) { releasesIn(folder); });
    filesIn(layout_.imagesDir());
    filesIn(layout_.keysDir());
    if (!options_.dryRun) {
      // A folder that still has something refuses to go.
      walkSite(layout_, [&](const Path& folder) {
        ::rmdir((folder / "_r").c_str());
        if (folder != layout_.webRoot()) ::rmdir(folder.c_str());
      });
    }
    return std::move(removed_);
  }

 private:
  void releasesIn(const Path& folder) {
    const auto name =
        schema::AcIdentifier::tryParse(folder.lexically_relative(layout_.webRoot()).string());
    if (!name) return;
    const auto current = currentRevision(layout_, *name);
    for (const std::string& revision : listDir(layout_.releasesDir(*name))) {
      const Path path = layout_.releasesDir(*name) / revision;
      if (!isRevision(revision)) continue;  // none of ours
      if (revision != current && isOld(path)) {
        remove(path, 0);
      } else {
        keep(*name, revision);
      }
    }
  }

  // What the release leads to stays.
  void keep(const schema::AcIdentifier& name, const std::string& revision) {
    for (const record::ListedImage& image : versionsOfRevision(layout_, name, revision).images) {
      needed_.insert(layout_.image(*image.digest));
      needed_.insert(layout_.signature(*image.signature));
      needed_.insert(layout_.torrent(*image.signature));
    }
    for (const std::string& key : keyFilesOfRevision(layout_, name, revision))
      needed_.insert(layout_.keysDir() / key);
  }

  bool isOld(const Path& path) const {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) throwErrno("looking at " + path.string());
    return changed(info) <= limit_;
  }

  void filesIn(const Path& folder) {
    for (const std::string& entry : listDir(folder)) {
      const Path path = folder / entry;
      if (isFolder(path)) {
        filesIn(path);
        if (!options_.dryRun) ::rmdir(path.c_str());
        continue;
      }
      struct stat info {};
      if (::lstat(path.c_str(), &info) != 0) throwErrno("looking at " + path.string());
      if (needed_.contains(path) || changed(info) > limit_) continue;
      remove(path, static_cast<std::uint64_t>(info.st_size));
    }
  }

  void remove(const Path& path, std::uint64_t bytes) {
    removed_.push_back({path.lexically_relative(layout_.dir()).string(), bytes});
    if (options_.dryRun) return;
    // Out of sight at once: what is half removed must not be half served.
    const TempDir scratch(layout_.tmpDir(), "removed.");
    const Path away = scratch.path() / "it";
    if (::rename(path.c_str(), away.c_str()) != 0) throwErrno("renaming " + path.string());
  }

  const SiteLayout& layout_;
  const PruneOptions& options_;
  const std::chrono::system_clock::time_point limit_;
  std::set<Path> needed_;
  std::vector<Removed> removed_;
};

}  // namespace

void walkSite(const SiteLayout& layout, const std::function<void(const Path& folder)>& visit) {
  if (isFolder(layout.webRoot())) walkBelow(layout.webRoot(), visit);
}

std::vector<Removed> pruneSite(const Site& site, const PruneOptions& options,
                               std::chrono::system_clock::time_point now) {
  return Pruner(site, options, now).run();
}

}  // namespace actool::mirror
