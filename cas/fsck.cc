#include <fmt/format.h>

#include <map>
#include <memory>

#include "cas/care.h"
#include "cas/tree_care.h"
#include "core/base/error.h"
#include "core/base/lock.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

// An index that can't be read, or whose directory can't be opened, is made anew: all that is in it
// is in the image.json files.
std::unique_ptr<Index> openOrReplace(const StoreLayout& layout, bool& replaced,
                                     std::map<std::string, std::string>& entries) {
  const auto read = [&] {
    auto index = openIndex(layout.indexDir());
    entries.clear();
    index->forEach("", [&](std::string_view key, std::string_view value) {
      entries.emplace(key, value);
      return true;
    });
    return index;
  };
  try {
    return read();
  } catch (const Error& error) {
    log::warn("{}; making a new one", error.what());
  }
  removeTree(layout.indexDir());
  replaced = true;
  return read();
}

// The image.json says who the image is, its manifest what it is: they have to agree.
StoredImage readAgreeing(const StoreReader& reader, const schema::ImageId& id) {
  StoredImage image = readWhole(reader.layout(), id);
  const auto manifest = reader.manifest(id);
  if (manifest.name != image.name || manifest.labels != image.labels) {
    throw Error("image.json and manifest have different names or labels");
  }
  if (image.signature && !actool::exists(reader.layout().signatureFile(id))) {
    throw Error("signature.asc is missing");
  }
  return image;
}

}  // namespace

FsckReport checkStore(const StoreLayout& layout) {
  createStore(layout);
  const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
  const StoreReader reader(layout);
  FsckReport report;
  std::vector<StoredImage> images;
  for (const auto& id : reader.ids()) {
    ++report.images;
    try {
      images.push_back(readAgreeing(reader, id));
    } catch (const Error& error) {
      report.broken.push_back(fmt::format("{}: {}", id.str(), error.what()));
    }
  }
  IndexEntries expected{{std::string(kFormatKey), std::string(kIndexFormat)}};
  for (const auto& image : images)
    expected.merge(entriesOf(reader, image.id));

  std::map<std::string, std::string> entries;
  const auto index = openOrReplace(layout, report.indexReplaced, entries);
  IndexBatch batch;
  for (const auto& [key, value] : entries) {
    if (expected.contains(key)) continue;
    batch.remove(key);
    ++report.entriesRemoved;
  }
  for (const auto& [key, value] : expected) {
    const auto found = entries.find(key);
    if (found != entries.end() && found->second == value) continue;
    batch.put(key, value);
    ++report.entriesAdded;
  }
  if (!batch.empty()) index->commit(batch);
  report.metadataDropped = dropBadMetadata(layout);
  return report;
}

}  // namespace actool::cas
