// What the files of a bundle say, and what is refused of them.
#include "cas/bundle/bundle_format.h"

#include <gtest/gtest.h>

#include "cas/bundle/request.h"
#include "core/base/json.h"
#include "tests/unit/cas/bundle_test_support.h"

namespace actool::cas {
namespace {

using test::messageOf;

BundleImage image(const std::string& name, std::uint64_t size,
                  std::vector<schema::ImageId> dependencies = {}) {
  BundleImage image{.id = schema::ImageId::fromTarDigest(sha512(name)),
                    .name = schema::AcIdentifier::parse("example.com/" + name),
                    .labels = schema::Labels::fromObject({{"version", "1.0.0"}}),
                    .dependencies = std::move(dependencies),
                    .distributed = digestOf(DigestAlgorithm::sha256, name),
                    .size = size,
                    .pieces = {},
                    .signature = BundleSignature{.piece = sha512(name + ".asc"), .size = 100}};
  for (std::uint64_t at = 0; at < size; at += kPieceBytes)
    image.pieces.push_back(sha512(name + std::to_string(at)));
  return image;
}

ImageList exampleList() {
  const BundleImage base = image("base", 2 * kPieceBytes);
  BundleImage app = image("app", kPieceBytes + 1, {base.id});
  app.pieces[0] = base.pieces[1];
  return {.asked = {app.id}, .assumed = {}, .images = {base, app}};
}

std::string refusal(const std::function<void(Json&)>& change) {
  Json object = Json::parse(exampleList().dump());
  change(object);
  return messageOf<TrustError>([&] { ImageList::parse(object.dump()); });
}

TEST(BundleFormat, PiecePaths) {
  const Digest digest = sha512("x");
  const std::string path = piecePath(digest);
  EXPECT_EQ(path, "pieces/" + digest.hex().substr(0, 2) + "/" + digest.hex());
  EXPECT_EQ(parsePiecePath(path), digest);
  for (const std::string& wrong :
       {std::string(), std::string("pieces/"), "./" + path, path + "/", path + "0",
        path.substr(0, path.size() - 1), "pieces/zz/" + digest.hex(),
        "pieces/" + digest.hex().substr(2, 2) + "/" + digest.hex(),
        "Pieces/" + digest.hex().substr(0, 2) + "/" + digest.hex(),
        "pieces/../" + digest.hex().substr(0, 127)}) {
    EXPECT_EQ(parsePiecePath(wrong), std::nullopt) << wrong;
  }
  std::string upper = path;
  std::transform(upper.begin() + 10, upper.end(), upper.begin() + 10, ::toupper);
  EXPECT_EQ(parsePiecePath(upper), std::nullopt);
}

TEST(BundleFormat, AListReadsAsItWasWritten) {
  ImageList list = exampleList();
  list.assumed.push_back({.id = schema::ImageId::fromTarDigest(sha512("there")),
                          .name = schema::AcIdentifier::parse("example.com/there"),
                          .labels = {}});
  list.images[1].dependencies.push_back(list.assumed[0].id);
  list.images[0].signature.reset();
  const std::string text = list.dump();
  const ImageList read = ImageList::parse(text);
  EXPECT_EQ(read.dump(), text);
  EXPECT_EQ(read.images[1].dependencies, list.images[1].dependencies);
  EXPECT_EQ(read.images[1].pieces, list.images[1].pieces);
  EXPECT_FALSE(read.images[0].signature);
  EXPECT_EQ(read.images[1].describe().substr(0, 22), "example.com/app:1.0.0 ");
}

TEST(BundleFormat, PiecesStandOnceInTheOrderOfTheImages) {
  const ImageList list = exampleList();
  const auto pieces = list.pieces();
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[0].digest, list.images[0].pieces[0]);
  EXPECT_EQ(pieces[1].offset, kPieceBytes);
  EXPECT_EQ(pieces[2].digest, list.images[1].pieces[1]);
  EXPECT_EQ(pieces[2].image, 1U);
  EXPECT_EQ(pieces[2].size, 1U);
}

TEST(BundleFormat, ListsThatAreRefused) {
  const auto& first = [](Json& object) -> Json& { return object["images"][0]; };
  EXPECT_EQ(refusal([](Json& object) { object["kind"] = "actool-bundle"; }),
            "actool-bundle/images.json: \"kind\" is another");
  EXPECT_EQ(refusal([](Json& object) { object["version"] = 2; }),
            "actool-bundle/images.json: its version is not one this release knows");
  EXPECT_EQ(refusal([](Json& object) { object["pieceSize"] = 1; }),
            "actool-bundle/images.json: its version is not one this release knows");
  EXPECT_EQ(refusal([&](Json& object) { first(object)["distributed"]["size"] = 0; }),
            "actool-bundle/images.json: 0 bytes are not cut into 2 pieces");
  EXPECT_EQ(refusal([&](Json& object) { first(object)["distributed"]["size"] = UINT64_MAX; }),
            "actool-bundle/images.json: 18446744073709551615 bytes are not cut into 2 pieces");
  EXPECT_EQ(refusal([&](Json& object) { first(object)["distributed"]["size"] = 1.5; }),
            "actool-bundle/images.json: \"size\" is no count");
  EXPECT_EQ(refusal([&](Json& object) { first(object)["signature"]["size"] = 256 * 1024 + 1; }),
            "actool-bundle/images.json: a signature of 262145 bytes");
  EXPECT_EQ(refusal([&](Json& object) {
              first(object)["signature"]["digest"] = "sha256:" + std::string(64, '0');
            }),
            "actool-bundle/images.json: \"digest\" is no sha512 digest");
  EXPECT_NE(refusal([&](Json& object) { first(object)["id"] = "sha512-12"; }), "(no error)");
  EXPECT_NE(refusal([&](Json& object) { first(object)["name"] = "../x"; }), "(no error)");
  EXPECT_NE(refusal([&](Json& object) { first(object)["distributed"]["pieces"][0] = "../x"; }),
            "(no error)");
  // A piece of one image under another size in the next.
  EXPECT_NE(refusal([](Json& object) {
              object["images"][1]["distributed"]["pieces"][1] =
                  object["images"][0]["distributed"]["pieces"][0];
            }).find("has two sizes"),
            std::string::npos);
  // In a circle, in the wrong order, twice.
  EXPECT_NE(refusal([&](Json& object) {
              first(object)["dependencies"].push_back(object["images"][1]["id"]);
            }).find("which is not before it"),
            std::string::npos);
  EXPECT_NE(refusal([&](Json& object) {
              object["asked"].push_back("sha512-" + std::string(128, '0'));
            }).find("\"asked\" names"),
            std::string::npos);
  EXPECT_NE(refusal([&](Json& object) {
              object["images"].push_back(first(object));
            }).find("stands in it twice"),
            std::string::npos);
}

TEST(BundleFormat, LimitsOfLists) {
  const BundleLimits small{.imagesJson = 1000, .volumeJson = 100, .images = 1};
  const std::string text = exampleList().dump();
  EXPECT_NE(
      messageOf<TrustError>([&] { ImageList::parse(text, small); }).find("more than the limit"),
      std::string::npos);
  EXPECT_EQ(messageOf([&] { exampleList().dump({.imagesJson = 1 << 20, .images = 1}); }),
            "2 images; 1 is the limit");
  EXPECT_NE(
      messageOf([&] { exampleList().dump({.imagesJson = 1000}); }).find("export fewer images"),
      std::string::npos);
}

TEST(BundleFormat, VolumeHeaders) {
  const VolumeHeader header{.set = sha512("set"), .volume = 2, .starts = {0, 3, 3, 7}};
  const VolumeHeader read = VolumeHeader::parse(header.dump());
  EXPECT_EQ(read.set, header.set);
  EXPECT_EQ(read.volume, 2U);
  EXPECT_EQ(read.starts, header.starts);
  EXPECT_EQ(read.volumeOf(0), 1U);
  EXPECT_EQ(read.volumeOf(2), 1U);
  EXPECT_EQ(read.volumeOf(3), 3U);
  EXPECT_EQ(read.volumeOf(6), 3U);
  EXPECT_EQ(read.volumeOf(100), 4U);
  const auto wrong = [&](const VolumeHeader& bad) {
    return messageOf<TrustError>([&] { VolumeHeader::parse(bad.dump()); });
  };
  const std::string order = "actool-bundle/volume.json: volumes that do not follow each other";
  EXPECT_EQ(wrong({.set = header.set, .volume = 0, .starts = {0}}), order);
  EXPECT_EQ(wrong({.set = header.set, .volume = 2, .starts = {0}}), order);
  EXPECT_EQ(wrong({.set = header.set, .volume = 1, .starts = {}}), order);
  EXPECT_EQ(wrong({.set = header.set, .volume = 1, .starts = {1}}), order);
  EXPECT_EQ(wrong({.set = header.set, .volume = 1, .starts = {0, 5, 4}}), order);
}

TEST(BundleFormat, Requests) {
  BundleRequest request;
  request.addWanted("example.com/web:1.0.0");
  request.addWanted("sha512-0123");
  request.have.insert(schema::ImageId::fromTarDigest(sha512("there")));
  request.pieces.insert(sha512("piece"));
  const BundleRequest read = BundleRequest::parse(request.dump(), "request.json");
  EXPECT_EQ(read.want, request.want);
  EXPECT_EQ(read.have, request.have);
  EXPECT_EQ(read.pieces, request.pieces);
  for (const std::string wrong :
       {"/etc/passwd", "./x.aci", "https://example.com/x", "docker://x"}) {
    EXPECT_NE(messageOf<UsageError>([&] { request.addWanted(wrong); }), "(no error)") << wrong;
  }
  EXPECT_EQ(messageOf([] { BundleRequest::parse("{\"kind\":\"x\"}", "request.json"); }),
            "request.json: this is no request; 'actool bundle want' writes one");
}

}  // namespace
}  // namespace actool::cas
