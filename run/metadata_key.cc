#include "run/metadata_key.h"

#include <sys/random.h>

#include <array>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

constexpr std::size_t kMaxMetadataKey = 4096;

std::string randomHex() {
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throwErrno("getting random bytes");
  }
  return toHex({bytes.data(), bytes.size()});
}

// Of several that make it at once, one publishes its own, and all use that.
std::string hostKey(const Path& path) {
  if (auto key = tryReadFile(path, kMaxMetadataKey)) return std::move(*key);
  const Path fresh = path.string() + "." + Uuid::random().str();
  writeFileAtomic(fresh, randomHex(), 0600);
  if (!renameNoReplace(fresh, path)) removeTree(fresh);
  return readFile(path, kMaxMetadataKey);
}

}  // namespace

std::string prepareMetadata(const Pod& pod, const cas::StoreLayout& store) {
  const std::string key = hostKey(store.podsDir() / "metadata-key");
  writeFilePlain(pod.layout().metadataKey(), key, 0600);
  return randomHex();
}

}  // namespace actool::run
