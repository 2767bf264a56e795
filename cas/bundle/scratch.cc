#include "cas/bundle/scratch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/fs.h"

namespace actool::cas {

namespace {

constexpr std::string_view kImages = "images.json";
constexpr std::string_view kVolume = "volume.json";

Path dirOf(const StoreLayout& layout) {
  return layout.bundlesDir();
}

struct FileState {
  std::uint64_t size;
  std::chrono::system_clock::time_point changed;
};

std::optional<FileState> look(const Path& file) {
  struct stat info {};
  if (::lstat(file.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throwErrno("looking at " + file.string());
  }
  return FileState{static_cast<std::uint64_t>(info.st_size),
                   std::chrono::system_clock::from_time_t(info.st_mtime)};
}

std::optional<PendingSet> readSet(const Path& dir) {
  const BundleLimits limits;
  try {
    const auto header = tryReadFile(dir / kVolume, limits.volumeJson);
    const auto images = tryReadFile(dir / kImages, limits.imagesJson);
    if (!header || !images) return std::nullopt;
    PendingSet set{.header = VolumeHeader::parse(*header), .list = ImageList::parse(*images)};
    if (setOf(*images) != set.header.set || set.header.set.hex() != dir.filename()) {
      return std::nullopt;
    }
    return set;
  } catch (const TrustError&) {
    return std::nullopt;  // cut short by a power cut
  }
}

// Calls `visit` with the digest (nothing: a foreign file) and the path of all there is.
void forEachPiece(const Path& dir,
                  const std::function<void(const std::optional<Digest>&, const Path&)>& visit) {
  for (const auto& shard : listDir(dir / "pieces")) {
    for (const auto& file : listDir(dir / "pieces" / shard)) {
      visit(parsePiecePath("pieces/" + shard + "/" + file), dir / "pieces" / shard / file);
    }
  }
}

}  // namespace

BundleScratch::BundleScratch(const StoreLayout& layout, const std::function<void()>& waiting)
    : dir_(dirOf(layout)), lock_([&] {
        makeDirs(dir_);
        if (auto lock = FileLock::tryAcquire(dir_, LockMode::exclusive)) return std::move(*lock);
        waiting();
        return FileLock::acquire(dir_, LockMode::exclusive);
      }()) {}

std::optional<BundleScratch> BundleScratch::tryOpen(const StoreLayout& layout) {
  const Path dir = dirOf(layout);
  if (!actool::exists(dir)) return std::nullopt;
  auto lock = FileLock::tryAcquire(dir, LockMode::exclusive);
  if (!lock) return std::nullopt;
  return BundleScratch(dir, std::move(*lock));
}

void BundleScratch::putSet(const VolumeHeader& header, std::string_view imagesJson) {
  const Path dir = setDir(header.set);
  makeDirs(dir);
  writeFileAtomic(dir / kVolume, header.dump());
  writeFileAtomic(dir / kImages, imagesJson);
}

std::vector<PendingSet> BundleScratch::sets() const {
  std::vector<PendingSet> all;
  for (const auto& entry : listDir(dir_ / "sets")) {
    if (auto set = readSet(dir_ / "sets" / entry)) all.push_back(std::move(*set));
  }
  return all;
}

bool BundleScratch::hasOtherThan(const Digest& set) const {
  const auto entries = listDir(dir_ / "sets");
  return std::any_of(entries.begin(), entries.end(),
                     [&](const std::string& entry) { return entry != set.hex(); });
}

bool BundleScratch::isEmpty() const {
  return listDir(dir_ / "sets").empty();
}

bool BundleScratch::has(const Digest& piece, std::uint64_t size) const {
  const auto state = look(pieceFile(piece));
  return state && state->size == size;
}

void BundleScratch::putPiece(const Digest& piece, std::span<const std::byte> bytes) const {
  const Path fresh = dir_ / "new";
  const Path file = pieceFile(piece);
  makeDirs(file.parent_path());
  try {
    const UniqueFd fd = openFile(fresh.string(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    writeAll(fd.get(), bytes, fresh.string());
  } catch (const Error&) {
    removeTree(fresh);
    throw;
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) throwErrno("renaming " + fresh.string());
}

std::optional<std::string> BundleScratch::piece(const Digest& digest, std::uint64_t size) const {
  if (!has(digest, size)) return std::nullopt;
  std::string bytes = readFile(pieceFile(digest), static_cast<std::size_t>(size));
  if (digestOf(DigestAlgorithm::sha512, bytes) == digest) return bytes;
  removePiece(digest);
  return std::nullopt;
}

void BundleScratch::removePiece(const Digest& piece) const {
  removeTree(pieceFile(piece));
}

std::uint64_t BundleScratch::keepOnly(
    const std::function<bool(const Digest& set, const BundleImage&)>& needs) const {
  removeTree(dir_ / "new");
  std::unordered_set<std::string> needed;
  std::set<std::string> kept;
  for (const auto& set : sets()) {
    bool any = false;
    for (const auto& image : set.list.images) {
      if (!needs(set.header.set, image)) continue;
      any = true;
      for (const auto& piece : image.pieces)
        needed.insert(piece.hex());
      if (image.signature) needed.insert(image.signature->piece.hex());
    }
    if (any) kept.insert(set.header.set.hex());
  }
  for (const auto& entry : listDir(dir_ / "sets")) {
    if (!kept.contains(entry)) removeTree(dir_ / "sets" / entry);
  }
  std::uint64_t bytes = 0;
  forEachPiece(dir_, [&](const std::optional<Digest>& piece, const Path& file) {
    if (piece && needed.contains(piece->hex())) return;
    const auto state = look(file);
    bytes += state ? state->size : 0;
    removeTree(file);
  });
  if (kept.empty()) {
    removeTree(dir_ / "pieces");
    removeTree(dir_ / "sets");
  }
  return bytes;
}

std::uint64_t BundleScratch::removeOlder(std::chrono::system_clock::time_point limit) const {
  for (const auto& entry : listDir(dir_ / "sets")) {
    const auto state = look(dir_ / "sets" / entry / kImages);
    if (!state || state->changed <= limit) removeTree(dir_ / "sets" / entry);
  }
  return keepOnly([](const Digest&, const BundleImage&) { return true; });
}

void BundleScratch::sync() const {
  if (::syncfs(lock_.fd()) != 0) throwErrno("flushing " + dir_.string() + " to disk");
}

std::set<Digest> heldPieces(const StoreLayout& layout) {
  std::set<Digest> held;
  forEachPiece(dirOf(layout), [&](const std::optional<Digest>& piece, const Path&) {
    if (piece) held.insert(*piece);
  });
  return held;
}

std::uint64_t collectBundles(const StoreLayout& layout,
                             std::chrono::system_clock::time_point limit) {
  const auto scratch = BundleScratch::tryOpen(layout);
  return scratch ? scratch->removeOlder(limit) : 0;
}

}  // namespace actool::cas
