// Leases, and which images quotas take.
#include <gtest/gtest.h>

#include <algorithm>

#include "cas/care.h"
#include "cas/gc_record.h"
#include "cas/layout/lease.h"
#include "tests/unit/cas/plain_image.h"
#include "tests/unit/cas/store_test_support.h"

namespace actool::cas {
namespace {

using namespace std::chrono_literals;
using test::messageOf;

class QuotaTest : public StoreTest {
 protected:
  schema::ImageId add(const std::string& name, const std::string& version,
                      const Json& members = Json::object()) {
    return ingestSigned(imageTar("example.com/" + name, {"version=" + version}, "x", members)).id;
  }
  static Json needing(const std::string& name) {
    return {{"dependencies", Json::array({{{"imageName", "example.com/" + name}}})}};
  }
  // As if it had been used so long ago, and not asked for since.
  void age(const schema::ImageId& id, std::chrono::hours past) {
    StoreWriter writer(layout_);
    StoredImage image = *writer.catalog().find(id);
    image.imported = preciseTime(systemClock().now() - past);
    writer.update(image);
  }
  // The images that went, in their order.
  std::vector<schema::ImageId> gc(std::optional<std::uint64_t> keepLast,
                                  std::optional<std::uint64_t> keepBytes,
                                  std::chrono::seconds grace = 0s, bool dryRun = false) {
    const GcReport report = collectGarbage(layout_,
                                           {.grace = grace,
                                            .dropDistributed = false,
                                            .keepBytes = keepBytes,
                                            .keepLast = keepLast,
                                            .dryRun = dryRun},
                                           systemClock());
    std::vector<schema::ImageId> ids;
    for (const auto& item : report.items) {
      if (item.what == "image") ids.push_back(schema::ImageId::parse(item.name));
    }
    EXPECT_EQ(report.images, ids.size());
    return ids;
  }
  using Ids = std::vector<schema::ImageId>;
};

TEST_F(QuotaTest, NoQuotaTakesNoImage) {
  add("web", "1.0.0");
  EXPECT_EQ(gc({}, {}), Ids{});
}

TEST_F(QuotaTest, TheHighestVersionsOfEachNameStay) {
  const auto first = add("web", "1.9.0");
  add("web", "1.10.0");
  const auto nightly = add("web", "nightly");
  const auto other = add("other", "0.1.0");
  auto gone = gc(1, {});
  std::sort(gone.begin(), gone.end());
  Ids expected{first, nightly};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(gone, expected);
  EXPECT_EQ(listed().size(), 2U);
  EXPECT_FALSE(actool::exists(layout_.tarBlob(first)));
  EXPECT_TRUE(actool::exists(layout_.tarBlob(other)));
  EXPECT_EQ(checkStore(layout_).entriesRemoved, 0U);
}

TEST_F(QuotaTest, TheLeastRecentlyUsedGoFirstUntilTheRestFits) {
  const auto oldest = add("a", "1.0.0");
  const auto used = add("b", "1.0.0");
  const auto newer = add("c", "1.0.0");
  age(oldest, 72h);
  age(used, 96h);
  age(newer, 48h);
  StoreReader(layout_).noteUse(used);
  const std::uint64_t each = StoreView(layout_).catalog().find(used)->tarSize;
  EXPECT_EQ(gc({}, 3 * each), Ids{});
  EXPECT_EQ(gc({}, 2 * each, 0s, true), Ids{oldest});
  EXPECT_EQ(listed().size(), 3U);
  EXPECT_EQ(gc({}, each), (Ids{oldest, newer}));
  EXPECT_EQ(listed(), Ids{used});
}

TEST_F(QuotaTest, WhatIsYoungStays) {
  const auto old = add("a", "1.0.0");
  add("b", "1.0.0");
  age(old, 48h);
  EXPECT_EQ(gc({}, 0, 24h), Ids{old});
  EXPECT_EQ(listed().size(), 1U);
}

TEST_F(QuotaTest, DependenciesStayWithWhatNeedsThem) {
  const auto base = add("base", "1.0.0");
  const auto app = add("app", "1.0.0", needing("base"));
  age(base, 96h);
  age(app, 48h);
  const Path pod = layout_.podsDir() / "run/6733c088-a507-4694-aabf-eda6cb99b5c4";
  makeDirs(pod);
  writeFilePlain(pod / "pod",
                 R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[{"name":"app",)"
                 R"("image":{"id":")" +
                     app.str() + R"("}}]})");
  EXPECT_EQ(gc(0, 0), Ids{});
  // A pod that can't be read may need anything.
  writeFilePlain(pod / "pod", "garbage");
  EXPECT_NE(messageOf([&] { gc(0, 0); }), "(no error)");
  EXPECT_EQ(listed().size(), 2U);
  removeTree(layout_.podsDir());
  EXPECT_EQ(gc(0, 0), (Ids{app, base}));
}

TEST_F(QuotaTest, LeasesHoldUntilTheyExpire) {
  const auto base = add("base", "1.0.0");
  const auto app = add("app", "1.0.0", needing("base"));
  const auto other = add("other", "1.0.0");
  const auto now = systemClock().now();
  writeLease(layout_, {.name = "release",
                       .created = formatRfc3339(now),
                       .expires = formatRfc3339(now + 1h),
                       .images = {app}});
  removeTree(layout_.indexDir());  // leases outlive the index
  EXPECT_EQ(gc(0, 0), Ids{other});
  {
    const StoreWriter writer(layout_);
    EXPECT_EQ(usersOf(writer, app), std::vector<std::string>{"lease release"});
  }
  writeLease(layout_, {.name = "release",
                       .created = formatRfc3339(now),
                       .expires = formatRfc3339(now - 1s),
                       .images = {app}});
  EXPECT_TRUE(activeLeases(layout_, now).empty());
  EXPECT_EQ(gc(0, 0), (Ids{app, base}));
  EXPECT_TRUE(listDir(layout_.dir() / "leases").empty());
}

TEST_F(QuotaTest, AHeldLeaseEndsWithItsHolder) {
  const auto id = add("web", "1.0.0");
  {
    const auto held = HeldLease::take(layout_, {.name = "seeder", .created = "x", .images = {id}});
    EXPECT_EQ(gc(0, 0), Ids{});
    EXPECT_THROW(HeldLease::take(layout_, {.name = "seeder", .images = {}}), InUseError);
  }
  // As a holder that was killed leaves it.
  writeLease(layout_, {.name = "dead", .created = "x", .whileLocked = true, .images = {id}});
  EXPECT_TRUE(activeLeases(layout_, systemClock().now()).empty());
  EXPECT_EQ(gc(0, 0), Ids{id});
}

TEST_F(QuotaTest, ARunningFetchKeepsWhatIsNew) {
  const auto old = add("a", "1.0.0");
  const auto fresh = add("b", "1.0.0");
  age(old, 48h);
  {
    const auto fetching = FileLock::acquire(layout_.dir() / "fetching", LockMode::shared);
    EXPECT_EQ(gc(0, 0), Ids{old});
  }
  EXPECT_EQ(gc(0, 0), Ids{fresh});
}

TEST_F(QuotaTest, ManyGoAtOnce) {
  // More than are removed as one change of the index.
  createStore(layout_);
  for (int i = 0; i < 300; ++i) {
    const std::string version = "1.0." + std::to_string(i);
    addPlainImage(layout_,
                  {{"acKind", "ImageManifest"},
                   {"acVersion", "0.8.11"},
                   {"name", "example.com/many"},
                   {"labels", Json::array({{{"name", "version"}, {"value", version}}})}},
                  version, "https://example.com/" + version, systemClock().now() - 48h);
  }
  indexPlainImages(layout_);
  EXPECT_EQ(gc(2, {}).size(), 298U);
  EXPECT_EQ(listed().size(), 2U);
  const FsckReport report = checkStore(layout_);
  EXPECT_EQ(report.entriesAdded + report.entriesRemoved, 0U);
}

// The short reading of a record and the whole one say the same.
TEST_F(QuotaTest, RecordsAreReadAlike) {
  StoredImage image = ingestSigned(imageTar("example.com/web", {"version=1.2.3", "other=a\"b"}));
  for (int round = 0; round < 6; ++round) {
    const std::string text = dumpLine(image.toJson());
    const GcRecord record = readGcRecord(text);
    const StoredImage whole = StoredImage::parse(text, "record");
    const MatchKey key = matchKeyOf(whole);
    EXPECT_EQ(record.name, "example.com/web");
    EXPECT_EQ(record.label("version"), "1.2.3");
    EXPECT_EQ(record.label("other"), "a\"b");
    EXPECT_EQ(record.label("none"), "");
    EXPECT_EQ(record.imported, whole.imported);
    EXPECT_EQ(record.askedWithoutVersion, key.askedWithoutVersion);
    std::uint64_t bytes = whole.tarSize;
    if (blobsOf(whole).size() > 1) bytes += whole.distributed.size;
    EXPECT_EQ(record.bytes, bytes);
    if (round == 0) image.distributed.encoding = Encoding::xz;
    if (round == 1) image.distributed.kept = false;
    if (round == 2) image.noteRequested({schema::AppRef::parse("example.com/web:1.2.3"), "2031"});
    if (round == 3) {
      EXPECT_EQ(record.active, "2031");
      image.noteRequested({schema::AppRef::parse("example.com/web,other=x"), "2030"});
      image.noteSource({"https://example.com/", "\"{[\"", "2099", "2032"});
    }
    if (round == 4) {
      EXPECT_EQ(record.active, "2032");
      EXPECT_EQ(record.askedWithoutVersion, "2030");
    }
  }
  for (const char* text : {"", "{}", "[]", "{\"name\":\"x\"", "{\"name\":\"x\",\"tarSize\":1}"})
    EXPECT_THROW(readGcRecord(text), Error) << text;
}

TEST_F(QuotaTest, BadLeasesStopTheCollection) {
  const auto id = add("web", "1.0.0");
  makeDirs(layout_.dir() / "leases");
  writeFilePlain(layout_.dir() / "leases/broken.json", "{");
  EXPECT_NE(messageOf([&] { gc(0, 0); }), "(no error)");
  EXPECT_EQ(listed(), Ids{id});
  for (const char* name : {"", "../x", "Upper", ".dot", "a/b"})
    EXPECT_THROW(checkLeaseName(name), UsageError) << name;
}

}  // namespace
}  // namespace actool::cas
