#include "cas/bundle/bundle_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/schema/app_ref.h"
#include "trust/verifier.h"

namespace actool::cas {

namespace {

constexpr std::string_view kVolumeKind = "actool-bundle";
constexpr std::string_view kImagesKind = "actool-bundle-images";
constexpr int kBundleVersion = 1;
constexpr std::string_view kPieces = "pieces/";
constexpr int kDepth = 8;

std::string describeImage(const schema::ImageId& id, const schema::AcIdentifier& name,
                          const schema::Labels& labels) {
  std::string text = name.str();
  if (const auto version = labels.get("version")) text += ":" + printable(*version, 60);
  return fmt::format("{} ({})", text, id.shortForm());
}

std::uint64_t countMember(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  if (!value.is_number_unsigned()) throw Error(fmt::format("\"{}\" is no count", key));
  return value.get<std::uint64_t>();
}

std::string text(const Json& value) {
  if (!value.is_string()) throw Error("expected a string, found " + std::string(value.type_name()));
  return value.get<std::string>();
}

Digest digestMember(const Json& object, std::string_view key, DigestAlgorithm algorithm) {
  Digest digest = Digest::parse(stringMember(object, key));
  if (digest.algorithm() != algorithm) {
    throw Error(fmt::format("\"{}\" is no {} digest", key, name(algorithm)));
  }
  return digest;
}

std::vector<schema::ImageId> idsMember(const Json& object, std::string_view key) {
  std::vector<schema::ImageId> ids;
  for (const Json& id : listMember(object, key))
    ids.push_back(schema::ImageId::parse(text(id)));
  return ids;
}

Json idsJson(const std::vector<schema::ImageId>& ids) {
  Json list = Json::array();
  for (const auto& id : ids)
    list.push_back(id.str());
  return list;
}

Json imageJson(const BundleImage& image) {
  Json pieces = Json::array();
  for (const auto& piece : image.pieces)
    pieces.push_back(piece.hex());
  Json object = {{"id", image.id.str()},
                 {"name", image.name.str()},
                 {"labels", image.labels.toJson()},
                 {"dependencies", idsJson(image.dependencies)},
                 {"distributed",
                  {{"digest", image.distributed.str()}, {"size", image.size}, {"pieces", pieces}}}};
  if (image.signature) {
    object["signature"] = {{"digest", image.signature->piece.str()},
                           {"size", image.signature->size}};
  }
  return object;
}

BundleImage imageFrom(const Json& object) {
  const Json& distributed = member(object, "distributed");
  BundleImage image{.id = schema::ImageId::parse(stringMember(object, "id")),
                    .name = schema::AcIdentifier::parse(stringMember(object, "name")),
                    .labels = schema::Labels::fromJson(member(object, "labels")),
                    .dependencies = idsMember(object, "dependencies"),
                    .distributed = digestMember(distributed, "digest", DigestAlgorithm::sha256),
                    .size = countMember(distributed, "size"),
                    .pieces = {},
                    .signature = std::nullopt};
  for (const Json& piece : listMember(distributed, "pieces"))
    image.pieces.emplace_back(DigestAlgorithm::sha512, text(piece));
  if (image.size == 0 || (image.size - 1) / kPieceBytes + 1 != image.pieces.size()) {
    throw Error(
        fmt::format("{} bytes are not cut into {} pieces", image.size, image.pieces.size()));
  }
  if (object.contains("signature")) {
    const Json& signature = object["signature"];
    image.signature =
        BundleSignature{.piece = digestMember(signature, "digest", DigestAlgorithm::sha512),
                        .size = countMember(signature, "size")};
    if (image.signature->size == 0 || image.signature->size > trust::kMaxSignatureBytes) {
      throw Error(fmt::format("a signature of {} bytes", image.signature->size));
    }
  }
  return image;
}

// The rules that concern more than one member of the list.
void checkList(const ImageList& list, const BundleLimits& limits) {
  const std::size_t count = list.images.size() + list.assumed.size();
  if (count > limits.images) {
    throw Error(fmt::format("{} images; {} is the limit", count, limits.images));
  }
  std::set<schema::ImageId> known;
  const auto add = [&](const schema::ImageId& id) {
    if (!known.insert(id).second) throw Error(id.shortForm() + " stands in it twice");
  };
  const auto check = [&](const std::vector<schema::ImageId>& ids, std::string_view where) {
    for (const auto& id : ids) {
      if (!known.contains(id)) {
        throw Error(fmt::format("{} names {}, which is not before it", where, id.shortForm()));
      }
    }
  };
  for (const auto& image : list.assumed)
    add(image.id);
  std::map<std::string_view, std::uint64_t> sizes;
  const auto addPiece = [&](const Digest& digest, std::uint64_t size) {
    if (sizes.emplace(digest.hex(), size).first->second != size) {
      throw Error(fmt::format("the piece {}... has two sizes", digest.hex().substr(0, 12)));
    }
  };
  for (const auto& image : list.images) {
    check(image.dependencies, image.id.shortForm());
    add(image.id);
    for (std::size_t i = 0; i < image.pieces.size(); ++i)
      addPiece(image.pieces[i], image.pieceSize(i));
    if (image.signature) addPiece(image.signature->piece, image.signature->size);
  }
  check(list.asked, "\"asked\"");
}

// What is wrong with a file of a volume is the volume's maker's fault, whatever it is.
template <typename Fn>
auto asTrustError(std::string_view file, Fn&& fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const Error& error) {
    throw TrustError(fmt::format("{}: {}", file, error.what()));
  }
}

}  // namespace

std::string piecePath(const Digest& sha512) {
  return fmt::format("{}{}/{}", kPieces, sha512.hex().substr(0, 2), sha512.hex());
}

std::optional<Digest> parsePiecePath(std::string_view path) {
  constexpr std::size_t kHex = 128;
  if (path.size() != kPieces.size() + 3 + kHex || !path.starts_with(kPieces)) return std::nullopt;
  const std::string_view hex = path.substr(kPieces.size() + 3);
  if (!isLowerHex(hex)) return std::nullopt;
  Digest digest(DigestAlgorithm::sha512, std::string(hex));
  if (piecePath(digest) != path) return std::nullopt;
  return digest;
}

std::uint64_t BundleImage::pieceSize(std::size_t index) const {
  return std::min(kPieceBytes, size - index * kPieceBytes);
}

std::string BundleImage::describe() const {
  return describeImage(id, name, labels);
}

std::string AssumedImage::describe() const {
  return describeImage(id, name, labels);
}

std::string ImageList::dump(const BundleLimits& limits) const {
  checkList(*this, limits);
  Json object = {{"kind", kImagesKind},     {"version", kBundleVersion}, {"pieceSize", kPieceBytes},
                 {"asked", idsJson(asked)}, {"assumed", Json::array()},  {"images", Json::array()}};
  for (const auto& image : assumed) {
    object["assumed"].push_back(
        {{"id", image.id.str()}, {"name", image.name.str()}, {"labels", image.labels.toJson()}});
  }
  for (const auto& image : images)
    object["images"].push_back(imageJson(image));
  std::string bytes = dumpLine(object) + "\n";
  if (bytes.size() > limits.imagesJson) {
    throw Error(fmt::format("the list of all pieces has {}; {} is the limit",
                            formatByteSize(bytes.size()), formatByteSize(limits.imagesJson)),
                "export fewer images at once");
  }
  return bytes;
}

ImageList ImageList::parse(std::string_view text, const BundleLimits& limits) {
  return asTrustError(kImagesFile, [&] {
    const Json object = parseJson(text, "line", {.bytes = limits.imagesJson, .depth = kDepth});
    if (stringMember(object, "kind") != kImagesKind) throw Error("\"kind\" is another");
    if (member(object, "version") != kBundleVersion || member(object, "pieceSize") != kPieceBytes) {
      throw Error("its version is not one this release knows");
    }
    ImageList list{.asked = idsMember(object, "asked"), .assumed = {}, .images = {}};
    for (const Json& image : listMember(object, "assumed")) {
      list.assumed.push_back({.id = schema::ImageId::parse(stringMember(image, "id")),
                              .name = schema::AcIdentifier::parse(stringMember(image, "name")),
                              .labels = schema::Labels::fromJson(member(image, "labels"))});
    }
    for (const Json& image : listMember(object, "images"))
      list.images.push_back(imageFrom(image));
    checkList(list, limits);
    return list;
  });
}

std::vector<ListedPiece> ImageList::pieces() const {
  std::vector<ListedPiece> all;
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < images.size(); ++i) {
    for (std::size_t k = 0; k < images[i].pieces.size(); ++k) {
      const Digest& digest = images[i].pieces[k];
      if (!seen.insert(digest.hex()).second) continue;
      all.push_back({.digest = digest,
                     .size = images[i].pieceSize(k),
                     .image = i,
                     .offset = k * kPieceBytes});
    }
  }
  return all;
}

Digest setOf(std::string_view imagesJson) {
  return digestOf(DigestAlgorithm::sha512, imagesJson);
}

std::string VolumeHeader::dump() const {
  return dumpLine(Json{{"kind", kVolumeKind},
                       {"version", kBundleVersion},
                       {"set", set.str()},
                       {"volume", volume},
                       {"volumes", starts.size()},
                       {"starts", starts}}) +
         "\n";
}

VolumeHeader VolumeHeader::parse(std::string_view text, const BundleLimits& limits) {
  return asTrustError(kVolumeFile, [&] {
    const Json object = parseJson(text, "line", {.bytes = limits.volumeJson, .depth = kDepth});
    if (stringMember(object, "kind") != kVolumeKind) throw Error("\"kind\" is another");
    if (member(object, "version") != kBundleVersion) {
      throw Error("its version is not one this release knows");
    }
    VolumeHeader header{.set = digestMember(object, "set", DigestAlgorithm::sha512),
                        .volume = countMember(object, "volume"),
                        .starts = {}};
    for (const Json& start : listMember(object, "starts")) {
      if (!start.is_number_unsigned()) throw Error("\"starts\" has what is no count");
      header.starts.push_back(start.get<std::uint64_t>());
    }
    if (header.starts.empty() || header.starts.front() != 0 ||
        !std::is_sorted(header.starts.begin(), header.starts.end()) ||
        countMember(object, "volumes") != header.starts.size() || header.volume == 0 ||
        header.volume > header.starts.size()) {
      throw Error("volumes that do not follow each other");
    }
    return header;
  });
}

std::uint64_t VolumeHeader::volumeOf(std::uint64_t piece) const {
  const auto after = std::upper_bound(starts.begin(), starts.end(), piece);
  return static_cast<std::uint64_t>(after - starts.begin());
}

}  // namespace actool::cas
