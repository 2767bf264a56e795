#include <gtest/gtest.h>

#include "cas/catalog.h"
#include "cas/store.h"
#include "tests/support/errors.h"
#include "tests/unit/cas/memory_index.h"

namespace actool::cas {
namespace {

using test::messageOf;

schema::ImageId idOf(int number) {
  return schema::ImageId::parse("sha512-" + std::string(126, '0') + std::to_string(10 + number));
}

class CatalogTest : public testing::Test {
 protected:
  StoredImage& image(int number, const std::string& name, const Json& labels) {
    images_.push_back(StoredImage{
        .id = idOf(number),
        .name = schema::AcIdentifier::parse(name),
        .labels = schema::Labels::fromObject(labels),
        .tarSize = 1,
        .distributed = {.digest = digestOf(DigestAlgorithm::sha256, std::to_string(number)),
                        .size = 1,
                        .encoding = Encoding::gzip,
                        .kept = true},
        .imported = "2026-01-01T00:00:0" + std::to_string(number) + ".000000Z",
        .signature = std::nullopt,
        .requested = {},
        .sources = {}});
    return images_.back();
  }
  static RequestedAs askedFor(const char* ref, const char* at) {
    return {schema::AppRef::parse(ref), at};
  }
  std::optional<schema::ImageId> match(const char* ref) {
    IndexBatch batch;
    for (const auto& image : images_) {
      for (auto& [key, value] : recordEntries(image))
        batch.put(key, value);
    }
    index_.commit(batch);
    const auto found = catalog_.match(schema::AppRef::parse(ref));
    return found ? std::optional(found->id) : std::nullopt;
  }

  TempDir dir_{tempRoot()};
  StoreReader reader_{StoreLayout(dir_.path())};
  MemoryIndex index_;
  Catalog catalog_{reader_, index_};
  std::vector<StoredImage> images_;
};

TEST_F(CatalogTest, RecordsRoundTrip) {
  StoredImage& made = image(1, "example.com/web", {{"version", "1.0.0"}});
  made.signature = SignatureInfo{.digest = digestOf(DigestAlgorithm::sha256, "sig"),
                                 .fingerprint = "ab",
                                 .signingFingerprint = "cd",
                                 .userId = "U",
                                 .created = "2026-01-01T00:00:00Z",
                                 .trustRule = "root"};
  made.noteRequested(askedFor("example.com/web:1.0.0", "2026-01-01T00:00:00.000000Z"));
  made.noteSource({"https://example.com/web.aci", "\"e\"", "", "2026-01-01T00:00:00.000000Z"});
  const Json json = made.toJson();
  EXPECT_EQ(StoredImage::parse(json.dump(), "image.json").toJson(), json);
}

TEST_F(CatalogTest, BadRecordsAreNamed) {
  Json json = image(1, "example.com/web", Json::object()).toJson();
  const auto messageWith = [&](const char* key, const Json& value) {
    Json changed = json;
    changed[key] = value;
    return messageOf([&] { StoredImage::parse(changed.dump(), "image.json"); });
  };
  EXPECT_EQ(messageWith("kind", "other"), "image.json: \"kind\" is not an image of the store");
  EXPECT_EQ(messageWith("version", 2), "image.json: \"version\" is not one this release knows");
  EXPECT_EQ(messageWith("tarSize", -1), "image.json: \"tarSize\" is not a whole number");
  EXPECT_EQ(messageWith("sources", 1), "image.json: \"sources\" is not a list");
  EXPECT_EQ(messageOf([] { parseEncoding("zip"); }), "unknown encoding 'zip'");
}

TEST_F(CatalogTest, NamesMatchWhole) {
  image(1, "example.com/foobar", Json::object());
  image(2, "example.com/foo/bar", Json::object());
  EXPECT_EQ(match("example.com/foo"), std::nullopt);
  EXPECT_EQ(match("example.com/foobar"), idOf(1));
}

TEST_F(CatalogTest, EveryLabelHasToMatch) {
  image(1, "example.com/web", {{"version", "1.0.0"}, {"channel", "beta"}});
  EXPECT_EQ(match("example.com/web:1.0.0"), idOf(1));
  EXPECT_EQ(match("example.com/web,channel=beta"), idOf(1));
  EXPECT_EQ(match("example.com/web:1.0.1"), std::nullopt);
  EXPECT_EQ(match("example.com/web,other=x"), std::nullopt);
}

TEST_F(CatalogTest, TheHighestVersionBySemVer) {
  image(1, "example.com/web", {{"version", "1.10.0"}});
  image(2, "example.com/web", {{"version", "1.9.0"}});
  image(3, "example.com/web", {{"version", "1.10.0-rc.1"}});
  image(4, "example.com/web", {{"version", "nightly"}});
  EXPECT_EQ(match("example.com/web"), idOf(1));
}

TEST_F(CatalogTest, TheOneAskedForWithoutAVersionComesFirst) {
  image(1, "example.com/web", {{"version", "2.0.0"}})
      .noteRequested(askedFor("example.com/web:2.0.0", "2026-01-03T00:00:00.000000Z"));
  image(2, "example.com/web", {{"version", "1.0.0"}})
      .noteRequested(askedFor("example.com/web", "2026-01-02T00:00:00.000000Z"));
  image(3, "example.com/web", {{"version", "0.9.0"}})
      .noteRequested(askedFor("example.com/web", "2026-01-01T00:00:00.000000Z"));
  EXPECT_EQ(match("example.com/web"), idOf(2));
  EXPECT_EQ(match("example.com/web:2.0.0"), idOf(1));
}

TEST_F(CatalogTest, ElseTheOneImportedLast) {
  image(1, "example.com/web", Json::object());
  image(2, "example.com/web", Json::object());
  EXPECT_EQ(match("example.com/web"), idOf(2));
}

TEST_F(CatalogTest, AnotherMachinesImageOnlyWhenThereIsNoOther) {
  const std::string foreign = schema::hostArch() == "amd64" ? "aarch64" : "amd64";
  image(1, "example.com/web", {{"version", "1.0.0"}});
  image(2, "example.com/web", {{"version", "2.0.0"}, {"os", "linux"}, {"arch", foreign}});
  EXPECT_EQ(match("example.com/web"), idOf(1));
  EXPECT_EQ(match(("example.com/web,os=linux,arch=" + foreign).c_str()), idOf(2));
  EXPECT_EQ(match("example.com/web:2.0.0"), idOf(2));
}

TEST_F(CatalogTest, OfSeveralImagesFromOneUrlTheOneConfirmedLast) {
  const std::string url = "https://example.com/web.aci";
  for (const int number : {1, 2, 3}) {
    const std::string day = std::to_string(number == 2 ? 9 : number);
    image(number, "example.com/web", Json::object())
        .noteSource({url, "", "", "2026-01-0" + day + "T00:00:00.000000Z"});
  }
  image(4, "example.com/web", Json::object())
      .noteSource({url + ".asc", "", "", "2026-02-01T00:00:00.000000Z"});
  match("example.com/web");
  EXPECT_EQ(catalog_.bySource(url)->id, idOf(2));
  EXPECT_EQ(catalog_.bySource("https://example.com/web"), std::nullopt);
}

TEST_F(CatalogTest, ResolveSaysWhatIsMissing) {
  const std::string store = dir_.path().string();
  EXPECT_EQ(messageOf<NotFoundError>([&] { catalog_.resolve("example.com/web:1.0.0"); }),
            "no image example.com/web:1.0.0 in the store " + store +
                "; fetch it, or see 'actool image list'");
  EXPECT_EQ(messageOf<UsageError>([&] { catalog_.resolve("https://example.com/web.aci"); }),
            "'https://example.com/web.aci' names no image of the store; give a name with labels, "
            "an image ID or the beginning of one");
}

}  // namespace
}  // namespace actool::cas
