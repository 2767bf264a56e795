#include "p2p/mirror/release.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "p2p/mirror/page.h"
#include "p2p/mirror/version_pattern.h"

namespace actool::mirror {
namespace {

constexpr std::string_view kListName = "versions.json";
constexpr std::string_view kKeys = "keys";

schema::Labels withoutVersion(const schema::Labels& labels) {
  std::vector<schema::Label> left;
  for (const schema::Label& label : labels.list()) {
    if (label.name.str() != "version") left.push_back(label);
  }
  return schema::Labels::make(std::move(left));
}

// Every image by its path in the release. Who asks for no version gets the highest, where no image
// was put there for that.
std::map<std::string, const record::ListedImage*> imagesByPath(const record::Versions& versions) {
  std::map<std::string, const record::ListedImage*> paths;
  for (const record::ListedImage& image : versions.images)
    paths.emplace(imagePath(versions.name, image.labels), &image);
  std::vector<const record::ListedImage*> ordered;
  for (const record::ListedImage& image : versions.images) {
    if (image.labels.get("version")) ordered.push_back(&image);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    return isHigherVersion(*a->labels.get("version"), *b->labels.get("version"));
  });
  for (const record::ListedImage* image : ordered)
    paths.emplace(imagePath(versions.name, withoutVersion(image->labels)), image);
  return paths;
}

Announcements announcementsOf(const SiteConfig& config, const Release& release,
                              const std::string& releaseUrl) {
  Announcements announced;
  std::set<std::string> templates;
  for (const record::ListedImage& image : release.versions.images) {
    const std::string urlTemplate = imageTemplate(image.labels);
    if (!templates.insert(urlTemplate).second) continue;
    announced.templates.push_back(fmt::format("{}/{}.{{ext}}", releaseUrl, urlTemplate));
    if (config.torrents) {
      // The torrent is beside the image, with ".torrent" added.
      announced.templates.push_back(fmt::format("torrent+{}/{}.{{ext}}", releaseUrl, urlTemplate));
    }
  }
  for (const Digest& key : release.keys)
    announced.keys.push_back(fmt::format("{}/{}/{}.asc", releaseUrl, kKeys, key.hex()));
  announced.versions = fmt::format("{}/{}", releaseUrl, kListName);
  return announced;
}

// Of everything that a release's content follows from.
std::string revisionOf(const SiteLayout& layout, const SiteConfig& config, const Release& release) {
  Hasher hasher(DigestAlgorithm::sha256);
  const auto add = [&](std::string_view text) {
    hasher.update(fmt::format("{}:", text.size()));
    hasher.update(text);
  };
  add("1");  // the layout of releases
  add(config.url);
  add(dumpLine(release.versions.toJson()));
  for (const Digest& key : release.keys)
    add(key.str());
  if (config.torrents) {
    add("torrents");
    for (const record::ListedImage& image : release.versions.images)
      add(actool::exists(layout.torrent(*image.signature)) ? "there" : "missing");
  }
  return hasher.finish().hex().substr(0, 32);
}

void makeLink(const std::string& target, const Path& path) {
  if (::symlink(target.c_str(), path.c_str()) != 0)
    throwErrno("creating the link " + path.string());
}

// fsync of every file and directory, the deepest first.
void syncTree(const Path& path) {
  for (const std::string& name : listDir(path)) {
    const Path entry = path / name;
    struct stat info {};
    if (::lstat(entry.c_str(), &info) != 0) throwErrno("looking at " + entry.string());
    if (S_ISDIR(info.st_mode)) {
      syncTree(entry);
    } else if (S_ISREG(info.st_mode)) {
      const UniqueFd fd = openFile(entry.string(), O_RDONLY);
      if (::fsync(fd.get()) != 0) throwErrno("syncing " + entry.string());
    }
  }
  syncDir(path);
}

void fillRelease(const SiteLayout& layout, const SiteConfig& config, const Release& release,
                 const std::string& revision, const Path& made) {
  const schema::AcIdentifier& name = release.versions.name;
  const Path final = layout.releasesDir(name) / revision;
  for (const auto& [path, image] : imagesByPath(release.versions)) {
    const Path folder = Path(path).parent_path();
    makeDirs(made / folder);
    const auto link = [&, base = made / path](const Path& file, std::string_view suffix) {
      makeLink(file.lexically_relative(final / folder).string(),
               fmt::format("{}.{}", base.string(), suffix));
    };
    link(layout.image(*image->digest), "aci");
    link(layout.signature(*image->signature), "aci.asc");
    if (config.torrents && actool::exists(layout.torrent(*image->signature)))
      link(layout.torrent(*image->signature), "aci.torrent");
  }
  makeDirs(made / std::string(kKeys));
  for (const Digest& key : release.keys) {
    const Path file = layout.key(key);
    makeLink(file.lexically_relative(final / std::string(kKeys)).string(),
             made / std::string(kKeys) / file.filename());
  }
  const std::string releaseUrl = config.url + webPath(layout, final);
  writeFilePlain(made / std::string(kListName), dumpLine(release.versions.toJson()) + "\n");
  writeFilePlain(made / "index.html",
                 namePage(release.versions, announcementsOf(config, release, releaseUrl)));
}

// From now on the release counts as no longer in force: prune keeps it for the grace period.
void touchRelease(const SiteLayout& layout, const schema::AcIdentifier& name,
                  const std::string& revision) {
  const Path path = layout.releasesDir(name) / revision;
  if (::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0 && errno != ENOENT)
    throwErrno("touching " + path.string());
}

}  // namespace

std::optional<std::string> linkTarget(const Path& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length >= 0) return std::string(target.data(), static_cast<std::size_t>(length));
  if (errno == ENOENT || errno == ENOTDIR || errno == EINVAL) return std::nullopt;
  throwErrno("reading the link " + path.string());
}

std::optional<std::string> currentRevision(const SiteLayout& layout,
                                           const schema::AcIdentifier& name) {
  // A page that is no link is one for people, of a name that only has others below it.
  const auto target = linkTarget(layout.page(name));
  return target ? revisionOfTarget(*target) : std::nullopt;
}

std::vector<std::string> keyFilesOfRevision(const SiteLayout& layout,
                                            const schema::AcIdentifier& name,
                                            std::string_view revision) {
  return listDir(layout.releasesDir(name) / std::string(revision) / std::string(kKeys));
}

record::Versions versionsOfRevision(const SiteLayout& layout, const schema::AcIdentifier& name,
                                    std::string_view revision) {
  const Path path = layout.releasesDir(name) / std::string(revision) / std::string(kListName);
  const record::VersionsLimits limits;
  record::Versions versions =
      record::Versions::parse(readFile(path, limits.bytes), path.string(), limits);
  return withContext(path.string(), [&] {
    if (versions.name != name)
      throw Error(fmt::format("it is the list of {}", versions.name.str()));
    for (const record::ListedImage& image : versions.images) {
      if (!image.digest || !image.signature || !image.id)
        throw Error("an image has no ID, digest or signature");
    }
    return std::move(versions);
  });
}

std::optional<record::Versions> currentVersions(const SiteLayout& layout,
                                                const schema::AcIdentifier& name) {
  const auto revision = currentRevision(layout, name);
  if (!revision) return std::nullopt;
  return versionsOfRevision(layout, name, *revision);
}

bool publishRelease(const SiteLayout& layout, const SiteConfig& config, const Release& release) {
  const schema::AcIdentifier& name = release.versions.name;
  const std::string revision = revisionOf(layout, config, release);
  const auto before = currentRevision(layout, name);
  if (before == revision) return false;

  const Path releases = layout.releasesDir(name);
  makeDirs(releases);
  const TempDir scratch(layout.tmpDir(), "release.");
  const Path made = scratch.path() / "release";
  makeDirs(made);
  fillRelease(layout, config, release, revision, made);
  syncTree(made);
  // One that is there already is the same: its name follows from its content.
  if (!renameNoReplace(made, releases / revision)) touchRelease(layout, name, revision);
  syncDir(releases);
  syncDir(layout.nameDir(name));

  const Path link = scratch.path() / "page";
  makeLink(pageTarget(revision), link);
  if (before) touchRelease(layout, name, *before);
  // The point of no return.
  const Path page = layout.page(name);
  if (::rename(link.c_str(), page.c_str()) != 0) throwErrno("renaming to " + page.string());
  syncDir(layout.nameDir(name));
  return true;
}

bool withdrawName(const SiteLayout& layout, const schema::AcIdentifier& name) {
  const auto before = currentRevision(layout, name);
  if (!before) return false;
  touchRelease(layout, name, *before);
  const Path page = layout.page(name);
  if (::unlink(page.c_str()) != 0) throwErrno("removing " + page.string());
  syncDir(layout.nameDir(name));
  return true;
}

}  // namespace actool::mirror
