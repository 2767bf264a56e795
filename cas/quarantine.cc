#include "cas/quarantine.h"

#include <fmt/format.h>

#include <cstdio>

#include "cas/aci_input.h"
#include "cas/care.h"
#include "cas/index_entries.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

std::optional<StoredImage> recordOf(const StoreLayout& layout, const schema::ImageId& id) {
  try {
    const auto text = tryReadFile(layout.imageFile(id), JsonLimits{}.bytes);
    if (!text) return std::nullopt;
    StoredImage image = StoredImage::parse(*text, layout.imageFile(id).string());
    if (image.id == id) return image;
  } catch (const Error& error) {
    log::debug("{}", error.what());
  }
  return std::nullopt;
}

// Whether the tar is what the image ID says; its manifest then is the image's.
std::optional<std::string> manifestInTar(const StoreLayout& layout, const schema::ImageId& id) {
  try {
    verifyBlob(layout, id.tarDigest(), "the tar");
    return readAciManifest(layout.tarBlob(id));
  } catch (const Error& error) {
    log::debug("{}", error.what());
    return std::nullopt;
  }
}

// A directory of its own below quarantine/.
Path newPlace(const StoreLayout& layout, const schema::ImageId& id) {
  const Path top = layout.dir() / "quarantine";
  makeDirs(top);
  Path place = top / id.str();
  for (int count = 2; actool::exists(place); ++count)
    place = top / fmt::format("{}.{}", id.str(), count);
  makeDirs(place, 0700);  // an image's programs are not for the host's users
  syncDir(top);
  return place;
}

void moveTo(const Path& from, const Path& to) {
  if (!actool::exists(from)) return;
  if (!renameNoReplace(from, to)) throw Error(to.string() + " is there already");
  syncDir(from.parent_path());
  syncDir(to.parent_path());
}

}  // namespace

std::vector<std::string> mendImage(const StoreReader& reader, const schema::ImageId& id,
                                   const std::optional<StoredImage>& indexed) {
  const StoreLayout& layout = reader.layout();
  std::vector<std::string> mended;
  const auto manifest = manifestInTar(layout, id);
  if (!manifest) return mended;
  std::optional<StoredImage> image = recordOf(layout, id);
  if (!image && indexed) {
    writeFileAtomic(layout.imageFile(id), dumpPretty(indexed->toJson()));
    mended.push_back(fmt::format("{}: image.json was written anew from the index", id.str()));
    image = indexed;
  }
  std::optional<std::string> there;
  try {
    there = tryReadFile(layout.manifestFile(id), schema::kMaxManifestBytes);
  } catch (const Error& error) {
    log::debug("{}", error.what());
  }
  if (there != *manifest) {
    writeFileAtomic(layout.manifestFile(id), *manifest);
    mended.push_back(fmt::format("{}: the manifest was written anew from the tar", id.str()));
  }
  if (!image || blobsOf(*image).size() < 2) return mended;
  try {
    verifyBlob(layout, image->distributed.digest, "the file as distributed");
  } catch (const Error& error) {
    image->distributed.kept = false;
    writeFileAtomic(layout.imageFile(id), dumpPretty(image->toJson()));
    // Another namespace's image may have been mended of the same.
    const Path blob = layout.blob(image->distributed.digest);
    if (actool::exists(blob)) moveTo(blob, newPlace(layout, id) / "distributed");
    mended.push_back(
        fmt::format("{}: goes on without its file as distributed ({})", id.str(), error.what()));
  }
  return mended;
}

std::optional<LostImage> quarantineImage(const StoreReader& reader, const schema::ImageId& id,
                                         const std::optional<StoredImage>& indexed,
                                         const std::string& why,
                                         const std::function<bool(const Digest&)>& isNeeded) {
  const StoreLayout& layout = reader.layout();
  auto image = recordOf(layout, id);
  if (!image) image = indexed;
  const Path place = newPlace(layout, id);
  writeFileAtomic(place / "why", why + "\n");
  // The blobs first: killed in between, the image is still found to be broken.
  if (!isNeeded(id.tarDigest())) moveTo(layout.tarBlob(id), place / "tar");
  if (image && blobsOf(*image).size() > 1 && !isNeeded(image->distributed.digest)) {
    moveTo(layout.blob(image->distributed.digest), place / "distributed");
  }
  moveTo(layout.imageDir(id), place / "image");
  if (!image) return std::nullopt;
  return LostImage{layout.ns(), std::move(*image), place};
}

}  // namespace actool::cas
