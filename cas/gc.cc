#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "cas/bundle/scratch.h"
#include "cas/care.h"
#include "cas/gc_quota.h"
#include "cas/ingest_slot.h"
#include "cas/layout/lease.h"
#include "cas/tree_care.h"
#include "core/base/error.h"
#include "core/base/lock.h"

namespace actool::cas {

namespace {

class Collector {
 public:
  Collector(const StoreLayout& layout, const GcOptions& options, const Clock& clock)
      : layout_(layout), options_(options), now_(clock.now()), writer_(layout) {}

  GcReport run() {
    if (!options_.dryRun) {
      for (const auto& ns : writer_.namespaces())
        dropLeases(layout_.in(ns), now_);
    }
    collectImages();
    if (options_.dropDistributed) dropDistributed();
    collectScratch();
    collectIngests();
    if (!options_.dryRun) {
      for (const auto& ns : writer_.namespaces())
        report_.bytes += collectBundles(layout_.in(ns), now_ - options_.grace);
    }
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

  void note(std::string_view what, const Path& path, std::uint64_t bytes, std::uint64_t& count) {
    report_.items.push_back({.what = std::string(what),
                             .name = path.lexically_relative(layout_.dir()).string(),
                             .label = {},
                             .bytes = bytes});
    ++count;
    report_.bytes += bytes;
  }

  void collectImages() {
    std::vector<schema::ImageId> ids;
    for (auto& item : imagesOverQuota(writer_, options_, now_)) {
      ids.push_back(schema::ImageId::parse(item.name));
      item.bytes -= std::min(item.bytes, sharedBytes(ids.back()));
      report_.bytes += item.bytes;
      report_.items.push_back(std::move(item));
    }
    report_.images = ids.size();
    going_ = {ids.begin(), ids.end()};
    if (!options_.dryRun) writer_.remove(ids, "gc");
  }

  // Of the image's blobs those that another namespace goes on needing.
  std::uint64_t sharedBytes(const schema::ImageId& id) const {
    if (writer_.namespaces().size() < 2) return 0;
    std::uint64_t bytes = 0;
    const auto image = writer_.record(id);
    for (const Digest& blob : image ? blobsOf(*image) : std::vector<Digest>{}) {
      if (!writer_.isNeededElsewhere(blob)) continue;
      bytes += blob == id.tarDigest() ? image->tarSize : image->distributed.size;
    }
    return bytes;
  }

  void dropDistributed() {
    for (auto& image : writer_.catalog().list()) {
      if (image.distributed.encoding == Encoding::none || !image.distributed.kept) continue;
      ++report_.distributed;
      const Path blob = layout_.blob(image.distributed.digest);
      if (options_.dryRun) {
        note("file", blob, image.distributed.size, report_.blobs);
        continue;
      }
      image.distributed.kept = false;
      // First nobody counts on the file, then it goes (with the unreferenced blobs).
      writer_.update(image);
      dropped_.insert(blob);
    }
  }

  void collectScratch() {
    // Renderings hold this lock; commits hold the store's, as we do.
    const auto unused = FileLock::tryAcquire(layout_.tmpDir(), LockMode::exclusive);
    if (!unused) return;
    for (const auto& entry : listDir(layout_.tmpDir())) {
      note("scratch", layout_.tmpDir() / entry, 0, report_.scratch);
      if (!options_.dryRun) removeTree(layout_.tmpDir() / entry);
    }
  }

  void collectIngests() {
    for (const auto& entry : listDir(layout_.ingestDir())) {
      const Path dir = layout_.ingestDir() / entry;
      const auto lock = tryLockSlot(dir);
      if (!lock) continue;
      auto data = look(dir / "data");
      if (!data) data = look(dir / "pieces");
      const auto state = data ? data : look(dir);
      if (!state || !(state->old || isDisposableSlot(entry))) continue;
      note("transfer", dir, data ? data->bytes : 0, report_.ingests);
      if (!options_.dryRun) removeSlot(dir);
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
          note("file", blob, state->bytes, report_.blobs);
          if (!options_.dryRun) removeTree(blob);
        }
      }
    }
  }

  // Trees by their names that an image links to or a pod lies on, in any namespace.
  std::set<std::string> neededTrees() const {
    std::set<std::string> needed =
        linkedTrees(layout_, [&](const NamespaceName& ns, const schema::ImageId& id) {
          return ns == layout_.ns() && going_.contains(id);  // of a dry run
        });
    for (const auto& ns : writer_.namespaces())
      addTreesOfPods(layout_.in(ns).podsDir(), needed);
    return needed;
  }

  static void addTreesOfPods(const Path& pods, std::set<std::string>& needed) {
    for (const auto& phase : listDir(pods)) {
      if (!std::filesystem::is_directory(pods / phase)) continue;
      for (const auto& uuid : listDir(pods / phase))
        addPodTrees(pods / phase / uuid, needed);
    }
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
    const auto keys = listDir(layout_.treesDir());
    if (keys.empty()) return;
    const std::set<std::string> needed = neededTrees();
    for (const auto& key : keys) {
      if (key.ends_with(".lock")) continue;
      const Path dir = layout_.treeDir(key);
      const auto state = look(dir);
      if (needed.contains(key) || !state || !state->old) continue;
      const Path lockFile = layout_.treesDir() / (key + ".lock");
      const auto lock = FileLock::tryAcquire(lockFile, LockMode::exclusive);
      if (!lock) continue;
      note("tree", dir, 0, report_.trees);
      if (options_.dryRun) continue;
      // Out of its name at once: nobody may take half a tree for a whole one.
      makeDirs(layout_.tmpDir());
      const TempDir trash(layout_.tmpDir(), "removed.");
      if (!renameNoReplace(dir, trash.path() / "tree")) {
        throw Error(trash.path().string() + " is not empty");
      }
      removeTree(lockFile);
    }
  }

  const StoreLayout& layout_;
  const GcOptions& options_;
  const std::chrono::system_clock::time_point now_;
  StoreWriter writer_;
  std::set<Path> dropped_;
  std::set<schema::ImageId> going_;
  GcReport report_;
};

}  // namespace

GcReport collectGarbage(const StoreLayout& layout, const GcOptions& options, const Clock& clock) {
  return Collector(layout, options, clock).run();
}

}  // namespace actool::cas
