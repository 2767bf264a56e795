// Resume, retries and limits of a transfer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/fetch/fakes.h"

namespace actool::fetch::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(TransferTest, SendsTheWholeBodyInOrder) {
  World world;
  const record::Image got = world.fetch(byName("example.com/web"));
  EXPECT_EQ(got.id, imageId('a'));
  EXPECT_EQ(world.ingest.committed, World::kBody);
  EXPECT_THAT(world.http.seenUrls(), ElementsAre(World::kAsc, World::kAci));
  EXPECT_EQ(world.ingest.abandoned, 0);
}

TEST(TransferTest, GoesOnWhereAnEarlierIngestStopped) {
  World world;
  world.ingest.partial = std::string(World::kBody).substr(0, 10);
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.ingest.committed, World::kBody);
  EXPECT_EQ(world.http.seen().back().request.offset, 10U);
  EXPECT_EQ(world.http.seen().back().request.ifRange, "");
}

TEST(TransferTest, DropsWhatIsKnownFromAServerWithoutRanges) {
  World world;
  world.ingest.partial = std::string(World::kBody).substr(0, 10);
  world.http.put(World::kAci, Page{.body = World::kBody, .ranges = false});
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.ingest.committed, World::kBody);
}

TEST(TransferTest, SendsNothingWhenThePartialIsTheWhole) {
  World world;
  world.ingest.partial = World::kBody;
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.ingest.committed, World::kBody);
}

TEST(TransferTest, RefusesAServerWithLessThanThePartial) {
  World world;
  world.ingest.partial = std::string(World::kBody) + " and more";
  try {
    world.fetch(byName("example.com/web"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "example.com/web: https://example.com/web.aci: the server has "
                 "\"bytes */36\" where 45 bytes have come already");
    EXPECT_EQ(error.code(), ExitCode::network);
  }
  EXPECT_EQ(world.ingest.partial.size(), 45U);  // another endpoint may have the rest
}

TEST(TransferTest, RefusesAWholeBodyThatIsShorterThanThePartial) {
  World world;
  world.ingest.partial = std::string(World::kBody) + " and more";
  world.http.put(World::kAci, Page{.body = World::kBody, .ranges = false});
  world.options.limits.retries = 0;
  EXPECT_THROW(
      {
        try {
          world.fetch(byName("example.com/web"));
        } catch (const Error& error) {
          EXPECT_STREQ(error.what(),
                       "example.com/web: https://example.com/web.aci: the server has 36 "
                       "bytes where 45 have come already");
          throw;
        }
      },
      Error);
  EXPECT_EQ(world.ingest.committed, "");
}

TEST(TransferTest, TakesABrokenTransferUpAgain) {
  World world;
  world.http.putOnce(World::kAci, World::page("\"v1\"", 7));
  world.http.putOnce(World::kAci, World::page("\"v1\"", 5));
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.ingest.committed, World::kBody);
  EXPECT_EQ(world.ingest.abandoned, 2);
  EXPECT_THAT(world.slept, ElementsAre(milliseconds(500), milliseconds(1000)));
  EXPECT_EQ(world.http.seen()[2].request.offset, 7U);
  EXPECT_EQ(world.http.seen()[2].request.ifRange, "\"v1\"");
  EXPECT_EQ(world.http.seen()[3].request.offset, 12U);
}

TEST(TransferTest, WeakEtagsAreNotGoodForRanges) {
  World world;
  world.http.putOnce(World::kAci, World::page("W/\"v1\"", 7));
  world.http.put(World::kAci, World::page("W/\"v1\""));
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.http.seen().back().request.offset, 7U);
  EXPECT_EQ(world.http.seen().back().request.ifRange, "");
}

TEST(TransferTest, GivesUpAfterItsRetriesAndKeepsThePartial) {
  World world;
  world.http.put(World::kAci, World::page("\"v1\"", 2));
  try {
    world.fetch(byName("example.com/web"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "example.com/web: getting https://example.com/web.aci: the connection to "
                 "example.com broke");
    EXPECT_EQ(error.code(), ExitCode::network);
  }
  EXPECT_EQ(world.slept.size(), 3U);
  EXPECT_EQ(world.ingest.abandoned, 4);
  EXPECT_EQ(world.ingest.partial, std::string(World::kBody).substr(0, 8));
}

TEST(TransferTest, WhatNeverBeganIsNotTriedAgain) {
  World world;
  world.http.fail(World::kAci, "connection refused");
  EXPECT_THROW(world.fetch(byName("example.com/web")), Error);
  EXPECT_THAT(world.slept, IsEmpty());
  EXPECT_EQ(world.ingest.abandoned, 1);
}

TEST(TransferTest, ARefusalOfTheStoreIsNotTriedAgain) {
  World world;
  world.ingest.refuseAfter = 9;
  try {
    world.fetch(byName("example.com/web"));
    FAIL() << "no error";
  } catch (const cli::SiblingFailure& failure) {
    EXPECT_EQ(failure.text(), "actool-image: error: refused\n");
    EXPECT_EQ(failure.code(), ExitCode::notTrusted);
  }
  EXPECT_THAT(world.slept, IsEmpty());
  EXPECT_EQ(world.http.seenUrls().size(), 2U);
}

TEST(TransferTest, NothingIsSentForWhatSomebodyElseBrought) {
  World world;
  world.ingest.already = true;
  EXPECT_EQ(world.fetch(byName("example.com/web")).id, imageId('a'));
  EXPECT_THAT(world.http.seenUrls(), ElementsAre(World::kAsc));
}

TEST(TransferTest, RefusesABodyOverTheLimit) {
  World world;
  world.options.limits.maxBytes = 20;
  try {
    world.fetch(byName("example.com/web"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "getting https://example.com/web.aci: the image has more than 20 B as "
                 "distributed; raise --max-bytes if it is meant to "
                 "be");
  }
  EXPECT_EQ(world.ingest.abandoned, 1);
  EXPECT_EQ(world.ingest.partial, "");
}

TEST(TransferTest, NotesWhatTheServerSaidOfTheBytes) {
  World world;
  Page page = World::page("\"v1\"");
  page.headers["cache-control"] = "max-age=60";
  world.http.put(World::kAci, page);
  world.fetch(byName("example.com/web"));
  ASSERT_EQ(world.store.notes.size(), 1U);
  EXPECT_EQ(world.store.notes[0].url, World::kAci);
  EXPECT_EQ(world.store.notes[0].etag, "\"v1\"");
  EXPECT_EQ(world.store.notes[0].maxAge, std::chrono::seconds(60));
}

}  // namespace
}  // namespace actool::fetch::test
