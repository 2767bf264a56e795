// Images put into a store as files, with no ingest and no flush: for stores of very many. The index
// knows nothing of them until it is made anew.
#pragma once

#include <chrono>
#include <string>

#include "cas/store.h"
#include "core/base/json.h"
#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {

// An unsigned image with the one file rootfs/file, imported, asked for and fetched from `url` at
// `when`.
inline schema::ImageId addPlainImage(const StoreLayout& layout, const Json& manifestJson,
                                     const std::string& content, const std::string& url,
                                     std::chrono::system_clock::time_point when) {
  const std::string manifest = manifestJson.dump();
  const std::string tar =
      file("manifest", manifest) + dir("rootfs") + file("rootfs/file", content) + kTarEnd;
  const auto parsed = schema::ImageManifest::parse(manifest, "manifest");
  StoredImage image{
      .id = schema::ImageId::fromTarDigest(digestOf(DigestAlgorithm::sha512, tar)),
      .name = parsed.name,
      .labels = parsed.labels,
      .tarSize = tar.size(),
      .distributed = {.digest = digestOf(DigestAlgorithm::sha256, tar), .size = tar.size()},
      .imported = preciseTime(when),
      .signature = std::nullopt,
      .requested = {},
      .sources = {}};
  image.noteRequested({schema::AppRef(parsed.name, parsed.labels), preciseTime(when)});
  image.noteSource({url, "\"1\"", "", preciseTime(when)});
  makeDirs(layout.tarBlob(image.id).parent_path());
  writeFilePlain(layout.tarBlob(image.id), tar);
  makeDirs(layout.imageDir(image.id));
  writeFilePlain(layout.manifestFile(image.id), manifest);
  writeFilePlain(layout.imageFile(image.id), dumpPretty(image.toJson()));
  return image.id;
}

// Makes the index of the images' files.
inline void indexPlainImages(const StoreLayout& layout) {
  removeTree(layout.indexDir());
  const StoreWriter writer(layout);
}

}  // namespace actool::cas
