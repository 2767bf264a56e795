// A site in a directory of its own, the other tools faked.
#include "p2p/mirror/sync.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "p2p/mirror/check.h"
#include "p2p/mirror/publisher.h"

namespace actool::mirror {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

schema::AcIdentifier id(std::string_view text) {
  return schema::AcIdentifier::parse(text);
}

schema::AppRef ref(std::string_view text) {
  return schema::AppRef::parse(text);
}

// A web of images that are all signed and fetched at once.
class FakeOutside final : public Outside {
 public:
  explicit FakeOutside(Path dir) : dir_(std::move(dir)) { makeDirs(dir_); }

  // `name:version` exists, with these bytes; also without a version when `latest`.
  void put(const std::string& name, const std::string& version, const std::string& bytes,
           const std::vector<schema::AppRef>& needs = {}) {
    const Path file = dir_ / digestOf(DigestAlgorithm::sha256, bytes).hex();
    writeFilePlain(file, bytes);
    const auto imageId = schema::ImageId::fromTarDigest(digestOf(DigestAlgorithm::sha512, bytes));
    record::Image image{.id = imageId,
                        .name = id(name),
                        .labels = schema::Labels::make({{id("version"), version}}),
                        .requested = std::nullopt,
                        .distributedSize = bytes.size(),
                        .imported = {},
                        .lastUsed = {},
                        .signedBy = "abcd",
                        .sources = {}};
    images.insert_or_assign(name + ":" + version, image);
    latest.insert_or_assign(name, image);
    files.insert_or_assign(imageId.str(), file);
    dependencies_.insert_or_assign(imageId.str(), needs);
  }

  std::vector<Fetched> fetch(const std::vector<schema::AppRef>& refs, Freshness freshness,
                             bool) override {
    std::vector<Fetched> answers;
    for (const schema::AppRef& wanted : refs) {
      fetched.push_back((freshness == Freshness::asked ? "ask " : "") + wanted.str());
      const auto version = wanted.labels().get("version");
      const auto& from = version ? images : latest;
      const auto found = from.find(version ? wanted.name().str() + ":" + std::string(*version)
                                           : wanted.name().str());
      answers.push_back(found == from.end() ? Fetched{std::nullopt, ExitCode::notFound}
                                            : Fetched{found->second, ExitCode::ok});
    }
    return answers;
  }
  record::Versions versions(const schema::AcIdentifier& name) override {
    if (!lists) throw NotFoundError("no list of " + name.str());
    record::Versions list{name, {}};
    for (const auto& [key, image] : images) {
      if (image.name == name) list.images.push_back({.labels = image.labels});
    }
    return list;
  }
  record::Image resolve(const std::string& image) override { return images.at(image); }
  std::vector<schema::AppRef> dependencies(const schema::ImageId& imageId) override {
    return dependencies_.at(imageId.str());
  }
  std::optional<cas::DistributedImage> distributed(const schema::ImageId& imageId) override {
    const auto found = files.find(imageId.str());
    if (found == files.end()) return std::nullopt;
    const UniqueFd fd = openFile(found->second.string(), O_RDONLY);
    return cas::DistributedImage{
        .id = imageId,
        .digest = Digest(DigestAlgorithm::sha256, found->second.filename().string()),
        .size = std::filesystem::file_size(found->second),
        .file = found->second,
        .signature = "signature of " + imageId.str()};
  }
  void verify(const schema::AcIdentifier& name, const Path&, const Path&) override {
    verified.push_back(name.str());
    if (refuse) throw TrustError("the key is revoked");
  }
  std::optional<std::string> key(const std::string& fingerprint) override {
    return "key " + fingerprint;
  }
  void makeTorrent(const schema::AcIdentifier&, const Path&, const Path&, const Path& output,
                   const std::string& webSeed, const std::vector<std::string>&) override {
    writeFilePlain(output, "torrent of " + webSeed);
  }

  std::map<std::string, record::Image> images;  // "NAME:VERSION"
  std::map<std::string, record::Image> latest;
  std::map<std::string, Path> files;
  std::vector<std::string> fetched;
  std::vector<std::string> verified;
  bool lists = true;
  bool refuse = false;

 private:
  Path dir_;
  std::map<std::string, std::vector<schema::AppRef>> dependencies_;
};

class SyncTest : public ::testing::Test {
 protected:
  SyncTest() : outside_(dir_.path() / "upstream") {
    config_.url = "https://m.test";
    initSite(siteDir(), config_);
  }
  Path siteDir() const { return dir_.path() / "site"; }

  void follow(const std::string& name, std::vector<std::string> versions, std::uint64_t keep = 0) {
    config_.names.push_back({id(name), std::move(versions), {}, keep});
    writeConfig();
  }
  void writeConfig() const {
    writeFileAtomic(siteDir() / "mirror.json", dumpPretty(config_.toJson()));
  }
  SyncReport sync(const SyncOptions& options = {}) {
    outside_.fetched.clear();
    const Site site = Site::open(siteDir());
    SiteWriter writer(site);
    return syncSite(site, writer, outside_, options, systemClock().now());
  }
  std::vector<std::string> changes(const SyncOptions& options = {}) { return lines(sync(options)); }
  static std::vector<std::string> lines(const SyncReport& report) {
    std::vector<std::string> all;
    for (const ChangeLine& line : report.changes) {
      const char sign = line.change == Change::added     ? '+'
                        : line.change == Change::removed ? '-'
                                                         : '~';
      all.push_back(sign + schema::AppRef(line.name, line.image.labels).str());
    }
    return all;
  }
  std::vector<std::string> served() {
    const Site site = Site::open(siteDir());
    std::vector<std::string> all;
    for (const schema::AcIdentifier& name : site.names()) {
      const auto versions = currentVersions(site.layout(), name);
      for (const record::ListedImage& image : versions->images)
        all.push_back(schema::AppRef(name, image.labels).str());
    }
    return all;
  }
  std::string fileAt(const std::string& path) {
    return readFile(siteDir() / "public" / path, 1 << 20);
  }

  TempDir dir_{tempRoot()};
  SiteConfig config_;
  FakeOutside outside_;
};

TEST_F(SyncTest, WhatIsThereIsNotAskedForAgain) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"1.0.0"});
  EXPECT_THAT(changes(), ElementsAre("+a.b/c:1.0.0"));
  EXPECT_THAT(outside_.fetched, ElementsAre("a.b/c:1.0.0"));
  EXPECT_THAT(changes(), IsEmpty());
  EXPECT_THAT(outside_.fetched, IsEmpty());
}

TEST_F(SyncTest, ThePageLeadsToOneRelease) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"1.0.0"});
  sync();
  const Site site = Site::open(siteDir());
  const std::string revision = *currentRevision(site.layout(), id("a.b/c"));
  const std::string page = fileAt("a.b/c/index.html");
  EXPECT_THAT(page, HasSubstr(fmt::format("content=\"a.b/c https://m.test/a.b/c/_r/{}/any/"
                                          "{{name}}/{{version}}.{{ext}}\"",
                                          revision)));
  EXPECT_THAT(page, HasSubstr(fmt::format("https://m.test/a.b/c/_r/{}/keys/", revision)));
  const std::string release = "a.b/c/_r/" + revision + "/";
  EXPECT_EQ(fileAt(release + "any/a.b/c/1.0.0.aci"), "one");
  EXPECT_EQ(fileAt(release + "any/a.b/c/latest.aci"), "one");
  EXPECT_THAT(fileAt(release + "any/a.b/c/1.0.0.aci.asc"), HasSubstr("signature of"));
  EXPECT_THAT(fileAt("index.html"), HasSubstr("<a href=\"a.b/\">"));
}

TEST_F(SyncTest, PatternsFollowTheListAndKeepSoMany) {
  for (const std::string version : {"1.0.0", "1.9.0", "1.10.0", "2.0.0"})
    outside_.put("a.b/c", version, version);
  follow("a.b/c", {"1.*"}, 2);
  EXPECT_THAT(changes(), ElementsAre("+a.b/c:1.10.0", "+a.b/c:1.9.0"));
  outside_.put("a.b/c", "1.11.0", "eleven");
  EXPECT_THAT(changes(), UnorderedElementsAre("+a.b/c:1.11.0", "-a.b/c:1.9.0"));
}

TEST_F(SyncTest, WithoutTheListWhatThereIsStays) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"1.*"});
  sync();
  outside_.lists = false;
  const SyncReport report = sync();
  EXPECT_EQ(report.code, ExitCode::notFound);
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_THAT(served(), ElementsAre("a.b/c:1.0.0"));
}

TEST_F(SyncTest, LatestIsAskedForEachTime) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"latest"});
  EXPECT_THAT(changes(), ElementsAre("+a.b/c"));
  outside_.put("a.b/c", "1.1.0", "two");
  EXPECT_THAT(changes(), ElementsAre("~a.b/c"));
  EXPECT_THAT(outside_.fetched, ElementsAre("ask a.b/c"));
  EXPECT_THAT(served(), ElementsAre("a.b/c"));
}

TEST_F(SyncTest, AnImageThatCannotBeHadStaysAsItIs) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"latest"});
  follow("a.b/d", {"1.0.0"});
  const SyncReport report = sync();
  EXPECT_EQ(report.code, ExitCode::notFound);
  EXPECT_THAT(lines(report), ElementsAre("+a.b/c"));
  outside_.latest.clear();
  EXPECT_THAT(changes(), IsEmpty());
  EXPECT_THAT(served(), ElementsAre("a.b/c"));
}

TEST_F(SyncTest, DependenciesOfWhatIsThereAreKnownWithoutTheStore) {
  outside_.put("x.y/base", "2.0.0", "base");
  outside_.put("a.b/c", "1.0.0", "one", {ref("x.y/base:2.0.0")});
  follow("a.b/c", {"1.0.0"});
  EXPECT_THAT(changes(), ElementsAre("+x.y/base:2.0.0", "+a.b/c:1.0.0"));
  outside_.images.clear();
  EXPECT_THAT(changes(), IsEmpty());
  config_.names.clear();
  writeConfig();
  EXPECT_THAT(changes(), UnorderedElementsAre("-x.y/base:2.0.0", "-a.b/c:1.0.0"));
}

TEST_F(SyncTest, ACircleOfDependenciesEnds) {
  outside_.put("a.b/c", "1.0.0", "one", {ref("a.b/d:1.0.0")});
  outside_.put("a.b/d", "1.0.0", "two", {ref("a.b/c:1.0.0")});
  follow("a.b/c", {"1.0.0"});
  EXPECT_EQ(changes().size(), 2U);
}

TEST_F(SyncTest, OneNameAloneTakesNothingElseAway) {
  outside_.put("a.b/c", "1.0.0", "one");
  outside_.put("a.b/d", "1.0.0", "two");
  follow("a.b/c", {"1.0.0"});
  follow("a.b/d", {"1.0.0"});
  sync();
  config_.names.erase(config_.names.begin());
  writeConfig();
  EXPECT_THAT(changes({.only = {id("a.b/d")}, .prune = {}}), IsEmpty());
  EXPECT_THAT(changes(), ElementsAre("-a.b/c:1.0.0"));
}

TEST_F(SyncTest, WhatWasAddedByHandStays) {
  outside_.put("a.b/c", "1.0.0", "one");
  {
    const Site site = Site::open(siteDir());
    SiteWriter writer(site);
    EXPECT_THAT(lines(addImages(site, writer, outside_, {outside_.images.at("a.b/c:1.0.0")})),
                ElementsAre("+a.b/c:1.0.0"));
  }
  EXPECT_THAT(outside_.verified, ElementsAre("a.b/c"));
  EXPECT_THAT(changes(), IsEmpty());
  const Site site = Site::open(siteDir());
  SiteWriter writer(site);
  EXPECT_THROW(removeImages(site, writer, outside_, {ref("a.b/c:2.0.0")}), NotFoundError);
  EXPECT_THAT(lines(removeImages(site, writer, outside_, {ref("a.b/c")})),
              ElementsAre("-a.b/c:1.0.0"));
}

TEST_F(SyncTest, WhatTodaysKeysRefuseIsNotPublished) {
  outside_.put("a.b/c", "1.0.0", "one");
  outside_.refuse = true;
  follow("a.b/c", {"1.0.0"});
  const SyncReport report = sync();
  EXPECT_EQ(report.code, ExitCode::notTrusted);
  EXPECT_THAT(served(), IsEmpty());
}

TEST_F(SyncTest, DamagedBytesOfTheStoreAreNotPublished) {
  outside_.put("a.b/c", "1.0.0", "one");
  writeFilePlain(outside_.files.begin()->second, "eno");
  follow("a.b/c", {"1.0.0"});
  EXPECT_EQ(sync().code, ExitCode::notTrusted);
  EXPECT_THAT(served(), IsEmpty());
}

TEST_F(SyncTest, ALabelThatIsNoPathIsRefused) {
  outside_.put("a.b/c", "../x", "one");
  follow("a.b/c", {"*"});
  EXPECT_EQ(sync().code, ExitCode::failure);
  EXPECT_THAT(served(), IsEmpty());
}

TEST_F(SyncTest, TorrentsBesideTheImages) {
  outside_.put("a.b/c", "1.0.0", "one");
  config_.torrents = true;
  follow("a.b/c", {"1.0.0"});
  sync();
  const std::string revision = *currentRevision(Site::open(siteDir()).layout(), id("a.b/c"));
  EXPECT_THAT(fileAt("a.b/c/_r/" + revision + "/any/a.b/c/1.0.0.aci.torrent"),
              HasSubstr("torrent of https://m.test/_images/"));
  EXPECT_THAT(fileAt("a.b/c/index.html"), HasSubstr("torrent+https://m.test/a.b/c/_r/"));
}

TEST_F(SyncTest, PruneKeepsWhatReadersOfAnOldPageNeed) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"latest"});
  sync();
  outside_.put("a.b/c", "1.1.0", "two");
  EXPECT_THAT(sync().pruned, IsEmpty());
  const SyncReport report = sync({.only = {}, .prune = {.grace = std::chrono::seconds(-2)}});
  EXPECT_EQ(report.pruned.size(), 3U);  // a release, its image and its signature
  EXPECT_THAT(served(), ElementsAre("a.b/c"));
}

// Not a benchmark: what grows with the square of the names would not end.
TEST_F(SyncTest, WithoutGracePeriodWhatALongSyncReplacedGoesAtOnce) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"1.0.0"});
  sync();
  config_.names.clear();
  writeConfig();
  const Site site = Site::open(siteDir());
  SiteWriter writer(site);
  const auto began = systemClock().now() - std::chrono::seconds(30);
  const SyncOptions atOnce{.only = {}, .prune = {.grace = std::chrono::seconds(0)}};
  // The release, its image, signature and key.
  EXPECT_EQ(syncSite(site, writer, outside_, atOnce, began).pruned.size(), 4U);
}

TEST_F(SyncTest, ManyNames) {
  for (int i = 0; i < 200; ++i) {
    const std::string name = fmt::format("a.b/team{}/app{}", i % 20, i);
    outside_.put(name, "1.0.0", name);
    config_.names.push_back({id(name), {"1.*"}, {}});
  }
  writeConfig();
  EXPECT_EQ(changes().size(), 200U);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(changes(), IsEmpty());
  const auto spent = std::chrono::steady_clock::now() - start;
  EXPECT_LT(spent, std::chrono::seconds(20));
  RecordProperty(
      "secondSyncMilliseconds",
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(spent).count()));
}

TEST_F(SyncTest, AnotherWriterIsWaitedForNotRunOver) {
  const Site site = Site::open(siteDir());
  SiteWriter writer(site);
  EXPECT_THROW(SiteWriter{site}, InUseError);
}

TEST_F(SyncTest, CheckFindsWhatIsDamagedAndMissing) {
  outside_.put("a.b/c", "1.0.0", "one");
  follow("a.b/c", {"1.0.0"});
  sync();
  const Site site = Site::open(siteDir());
  const auto check = [&](bool repair) {
    std::string why;
    checkSite(site, outside_, repair, [&](const Checked& checked) { why = checked.why; });
    return why;
  };
  EXPECT_EQ(check(false), "");
  const auto versions = currentVersions(site.layout(), id("a.b/c"));
  writeFilePlain(site.layout().image(*versions->images.at(0).digest), "eno");
  EXPECT_THAT(check(false), HasSubstr("its image is damaged"));
  EXPECT_THAT(check(true), HasSubstr("removed now"));
  EXPECT_THAT(check(false), HasSubstr("its image is missing"));
  EXPECT_THAT(changes(), IsEmpty());  // the same image: no change to tell of, but there again
  EXPECT_EQ(check(false), "");
  outside_.refuse = true;
  EXPECT_EQ(check(false), "the key is revoked");
}

}  // namespace
}  // namespace actool::mirror
