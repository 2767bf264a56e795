#include "cas/index_entries.h"

namespace actool::cas {

namespace {

// '\0' is in no name, URL or digest, so that "example.com/foo" is no prefix of
// "example.com/foobar".
std::string prefixOf(std::string_view kind, std::string_view middle) {
  std::string key(kind);
  key += middle;
  key += '\0';
  return key;
}

}  // namespace

std::string imageKey(const schema::ImageId& id) {
  return std::string(kImagePrefix) + id.str();
}

std::string pendingKey(const schema::ImageId& id) {
  return std::string(kPendingPrefix) + id.str();
}

std::string namePrefix(const schema::AcIdentifier& name) {
  return prefixOf("name/", name.str());
}

std::string sourcePrefix(std::string_view url) {
  return prefixOf("source/", url);
}

std::string signaturePrefix(const Digest& sha256) {
  return prefixOf("signature/", sha256.hex());
}

std::string blobPrefix(const Digest& blob) {
  return prefixOf(kBlobPrefix, blob.str());
}

std::string needsPrefix(const schema::AcIdentifier& name) {
  return prefixOf(kNeedsPrefix, name.str());
}

std::string needsPrefix(const schema::ImageId& id) {
  return prefixOf(kNeedsPrefix, id.str());
}

std::optional<schema::ImageId> idInKey(std::string_view key) {
  const std::size_t nul = key.rfind('\0');
  if (nul == std::string_view::npos) return std::nullopt;
  return schema::ImageId::tryParse(key.substr(nul + 1));
}

std::string_view middleOf(std::string_view key) {
  key.remove_prefix(std::min(key.find('/') + 1, key.size()));
  return key.substr(0, key.find('\0'));
}

IndexEntries recordEntries(const StoredImage& image) {
  const std::string& id = image.id.str();
  IndexEntries entries;
  entries[imageKey(image.id)] = dumpLine(image.toJson());
  entries[namePrefix(image.name) + id] = "";
  for (const Digest& blob : blobsOf(image))
    entries[blobPrefix(blob) + id] = "";
  if (image.signature) entries[signaturePrefix(image.signature->digest) + id] = "";
  for (const auto& source : image.sources)
    entries[sourcePrefix(source.url) + id] = source.confirmed;
  return entries;
}

IndexEntries dependencyEntries(const schema::ImageId& id,
                               const std::vector<schema::Dependency>& dependencies) {
  IndexEntries entries;
  for (const auto& dependency : dependencies) {
    entries[needsPrefix(dependency.imageName) + id.str()] = "";
    if (dependency.imageId) entries[needsPrefix(*dependency.imageId) + id.str()] = "";
  }
  return entries;
}

std::vector<Digest> blobsOf(const StoredImage& image) {
  std::vector<Digest> blobs{image.id.tarDigest()};
  if (image.distributed.kept && image.distributedBlob() != blobs.front()) {
    blobs.push_back(image.distributedBlob());
  }
  return blobs;
}

}  // namespace actool::cas
