#include "p2p/mirror/site.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "p2p/mirror/site_pages.h"
#include "p2p/mirror/site_walk.h"

namespace actool::mirror {
namespace {

constexpr std::size_t kMaxConfigFileBytes = std::size_t{4} << 20;
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
// A sync that is about to end is worth waiting for; one that is at work is not.
constexpr std::chrono::seconds kLockTimeout{2};

// The bytes of `from` into `to`, and their digest.
Digest copyHashed(const Path& from, const Path& to) {
  const UniqueFd in = openFile(from.string(), O_RDONLY);
  const UniqueFd out = openFile(to.string(), O_WRONLY | O_CREAT | O_EXCL, 0644);
  std::vector<std::byte> buffer(kCopyBytes);
  Hasher hasher(DigestAlgorithm::sha256);
  while (const std::size_t got = readSome(in.get(), buffer, from.string())) {
    const auto bytes = std::span<const std::byte>(buffer).first(got);
    hasher.update(bytes);
    writeAll(out.get(), bytes, to.string());
  }
  return hasher.finish();
}

bool hasSize(const Path& path, std::uint64_t size) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<std::uint64_t>(info.st_size) == size;
}

}  // namespace

void initSite(const Path& dir, const SiteConfig& config) {
  const SiteLayout layout(dir);
  if (actool::exists(layout.configFile()))
    throw UsageError(fmt::format("{} is a mirror site already", dir.string()));
  makeDirs(layout.webRoot());
  makeDirs(layout.tmpDir());
  writeFileAtomic(layout.configFile(), dumpPretty(config.toJson()) + "\n");
}

Site Site::open(const Path& dir) {
  SiteLayout layout(std::filesystem::absolute(dir).lexically_normal());
  const auto text = tryReadFile(layout.configFile(), kMaxConfigFileBytes);
  if (!text) {
    throw NotFoundError(fmt::format("{} is no mirror site: it has no mirror.json", dir.string()),
                        "make one with `actool mirror init`");
  }
  return {layout, SiteConfig::parse(*text, layout.configFile().string())};
}

std::vector<schema::AcIdentifier> Site::names() const {
  std::vector<schema::AcIdentifier> names;
  walkSite(layout_, [&](const Path& folder) {
    const auto name =
        schema::AcIdentifier::tryParse(folder.lexically_relative(layout_.webRoot()).string());
    if (name && currentRevision(layout_, *name)) names.push_back(*name);
  });
  std::sort(names.begin(), names.end());
  return names;
}

SiteWriter::SiteWriter(const Site& site)
    : site_(site),
      lock_(FileLock::acquireFor(site.layout().lockFile(), LockMode::exclusive, kLockTimeout,
                                 "the mirror site " + site.layout().dir().string())) {
  makeDirs(site_.layout().tmpDir());
  for (const std::string& entry : listDir(site_.layout().tmpDir()))
    removeTree(site_.layout().tmpDir() / entry);
}

void SiteWriter::placeFile(const Path& target, const std::function<void(const Path&)>& write) {
  makeDirs(target.parent_path());
  const TempDir scratch(site_.layout().tmpDir(), "file.");
  const Path made = scratch.path() / "file";
  write(made);
  {
    const UniqueFd fd = openFile(made.string(), O_RDONLY);
    if (::fchmod(fd.get(), 0644) != 0) throwErrno("setting the mode of " + made.string());
    if (::fsync(fd.get()) != 0) throwErrno("syncing " + made.string());
  }
  if (::rename(made.c_str(), target.c_str()) != 0) throwErrno("renaming to " + target.string());
  syncDir(target.parent_path());
}

void SiteWriter::place(const cas::DistributedImage& image) {
  if (!image.signature) {
    throw TrustError(fmt::format("image {} has no signature, and nobody would take it from here",
                                 image.id.shortForm()),
                     "fetch it again without --insecure-options=image");
  }
  const SiteLayout& layout = site_.layout();
  if (const Path target = layout.image(image.digest); !hasSize(target, image.size)) {
    placeFile(target, [&](const Path& made) {
      if (copyHashed(image.file, made) == image.digest) return;
      throw TrustError(fmt::format("the file as distributed of image {} is damaged in the store",
                                   image.id.shortForm()),
                       "run `actool image fsck --repair`, then fetch it again");
    });
  }
  const Digest digest = digestOf(DigestAlgorithm::sha256, *image.signature);
  if (const Path target = layout.signature(digest); !hasSize(target, image.signature->size()))
    placeFile(target, [&](const Path& made) { writeFilePlain(made, *image.signature); });
}

Digest SiteWriter::placeKey(const std::string& armored) {
  Digest digest = digestOf(DigestAlgorithm::sha256, armored);
  if (const Path target = site_.layout().key(digest); !hasSize(target, armored.size()))
    placeFile(target, [&](const Path& made) { writeFilePlain(made, armored); });
  return digest;
}

bool SiteWriter::publish(const Release& release) {
  if (release.versions.images.empty()) return withdrawName(site_.layout(), release.versions.name);
  return publishRelease(site_.layout(), site_.config(), release);
}

void SiteWriter::writeListPages() {
  const PagesBesideNames pages(site_.config(), site_.names());
  pages.write(site_.layout(), [&](const Path& target, const std::string& content) {
    placeFile(target, [&](const Path& made) { writeFilePlain(made, content); });
  });
}

std::vector<Removed> SiteWriter::prune(const PruneOptions& options,
                                       std::chrono::system_clock::time_point now) {
  return pruneSite(site_, options, now);
}

}  // namespace actool::mirror
