#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "cas/bundle/scratch.h"
#include "cas/care.h"
#include "cas/ingest_slot.h"
#include "core/base/error.h"
#include "core/base/lock.h"

namespace actool::cas {

namespace {

class Collector {
 public:
  Collector(const StoreLayout& layout, const GcOptions& options, const Clock& clock)
      : layout_(layout), options_(options), now_(clock.now()), writer_(layout) {}

  GcReport run() {
    if (options_.dropDistributed) dropDistributed();
    collectScratch();
    collectIngests();
    report_.bytes += collectBundles(layout_, now_ - options_.grace);
    collectBlobs();
    collectTrees();
    return report_;
  }

 private:
  struct State {
    std::uint64_t bytes;
    bool old;
  };

  // Of a file or directory itself; nothing when it is gone.
  std::optional<State> look(const Path& path) const {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
      if (errno == ENOENT) return std::nullopt;
      throwErrno("looking at " + path.string());
    }
    const auto changed = std::chrono::system_clock::from_time_t(info.st_mtime);
    return State{static_cast<std::uint64_t>(info.st_size), changed + options_.grace <= now_};
  }

  void dropDistributed() {
    for (auto& image : writer_.catalog().list()) {
      if (image.distributed.encoding == Encoding::none || !image.distributed.kept) continue;
      image.distributed.kept = false;
      // First nobody counts on the file, then it goes (with the unreferenced blobs).
      writer_.update(image);
      dropped_.insert(layout_.blob(image.distributed.digest));
      ++report_.distributed;
    }
  }

  void collectScratch() {
    // Renderings hold this lock; commits hold the store's, as we do.
    const auto unused = FileLock::tryAcquire(layout_.tmpDir(), LockMode::exclusive);
    if (!unused) return;
    for (const auto& entry : listDir(layout_.tmpDir())) {
      removeTree(layout_.tmpDir() / entry);
      ++report_.scratch;
    }
  }

  void collectIngests() {
    for (const auto& entry : listDir(layout_.ingestDir())) {
      const Path dir = layout_.ingestDir() / entry;
      const auto lock = tryLockSlot(dir);
      if (!lock) continue;
      const auto data = look(dir / "data");
      const auto state = data ? data : look(dir);
      if (!state || !(state->old || isDisposableSlot(entry))) continue;
      removeTree(dir);
      ++report_.ingests;
      report_.bytes += data ? data->bytes : 0;
    }
  }

  void collectBlobs() {
    const auto needed = neededBlobs(writer_);
    for (const std::string algorithm : {"sha256", "sha512"}) {
      const Path top = layout_.dir() / "blobs" / algorithm;
      for (const auto& shard : listDir(top)) {
        for (const auto& entry : listDir(top / shard)) {
          const Path blob = top / shard / entry;
          if (needed.contains(algorithm + ':' + entry)) continue;
          const auto state = look(blob);
          if (!state) continue;
          if (!state->old && !dropped_.contains(blob)) continue;
          removeTree(blob);
          ++report_.blobs;
          report_.bytes += state->bytes;
        }
      }
    }
  }

  // Trees by their names that an image links to or a pod lies on.
  std::set<std::string> neededTrees() const {
    std::set<std::string> needed;
    for (const auto& id : writer_.reader().ids()) {
      if (auto key = writer_.reader().linkedTree(id)) needed.insert(std::move(*key));
    }
    for (const auto& phase : listDir(layout_.podsDir())) {
      const Path phaseDir = layout_.podsDir() / phase;
      if (!std::filesystem::is_directory(phaseDir)) continue;
      for (const auto& uuid : listDir(phaseDir)) {
        addPodTrees(phaseDir / uuid, needed);
      }
    }
    return needed;
  }

  // A pod's files hold absolute paths in trees: trees/<key>/rootfs or trees/<key>/erofs
  // (run/pod_layout.h).
  static void addPodTrees(const Path& pod, std::set<std::string>& needed) {
    constexpr std::size_t kMaxPathBytes = 1 << 16;
    const auto add = [&](const Path& file) {
      if (const auto root = tryReadFile(file, kMaxPathBytes)) {
        needed.insert(Path(*root).parent_path().filename().string());
      }
    };
    for (const auto& app : listDir(pod / "appsinfo"))
      add(pod / "appsinfo" / app / "tree");
    add(pod / "stage1/tree");
  }

  void collectTrees() {
    const std::set<std::string> needed = neededTrees();
    for (const auto& key : listDir(layout_.treesDir())) {
      if (key.ends_with(".lock")) continue;
      const Path dir = layout_.treeDir(key);
      const auto state = look(dir);
      if (needed.contains(key) || !state || !state->old) continue;
      const Path lockFile = layout_.treesDir() / (key + ".lock");
      const auto lock = FileLock::tryAcquire(lockFile, LockMode::exclusive);
      if (!lock) continue;
      // Out of its name at once: nobody may take half a tree for a whole one.
      makeDirs(layout_.tmpDir());
      const TempDir trash(layout_.tmpDir(), "removed.");
      if (!renameNoReplace(dir, trash.path() / "tree")) {
        throw Error(trash.path().string() + " is not empty");
      }
      removeTree(lockFile);
      ++report_.trees;
    }
  }

  const StoreLayout& layout_;
  const GcOptions& options_;
  const std::chrono::system_clock::time_point now_;
  StoreWriter writer_;
  std::set<Path> dropped_;
  GcReport report_;
};

}  // namespace

GcReport collectGarbage(const StoreLayout& layout, const GcOptions& options, const Clock& clock) {
  return Collector(layout, options, clock).run();
}

}  // namespace actool::cas
