#include "core/base/id_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace actool {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(IdRangeText, IsParsedAndWritten) {
  const auto range = IdRange::parse("100000:65536");
  ASSERT_TRUE(range);
  EXPECT_EQ(*range, (IdRange{100000, 65536}));
  EXPECT_EQ(range->text(), "100000:65536");
}

TEST(IdRangeText, RefusesWhatIsNoRange) {
  for (const char* text : {"", ":", "1", "1:", ":1", "0:1", "1:0", "-1:5", "1:-5", "1:2:3", " 1:2",
                           "1:2 ", "a:b", "4294967295:1", "4294967294:2", "4294967296:1"}) {
    EXPECT_FALSE(IdRange::parse(text)) << text;
  }
  // The last ID that there is.
  EXPECT_EQ(IdRange::parse("4294967294:1"), (IdRange{4294967294, 1}));
}

TEST(IdRangeOverlap, CountsFromFirstToLast) {
  const IdRange range{100, 10};
  EXPECT_TRUE(range.overlaps(range));
  EXPECT_TRUE(range.overlaps({109, 1}));
  EXPECT_TRUE(range.overlaps({1, 100}));
  EXPECT_TRUE(range.overlaps({1, 1000}));
  EXPECT_FALSE(range.overlaps({110, 1}));
  EXPECT_FALSE(range.overlaps({1, 99}));
  // Ends that do not fit 32 bits.
  EXPECT_TRUE((IdRange{4294967000, 294}).overlaps({4294967290, 1}));
}

constexpr std::string_view kSubuid =
    "alice:100000:65536\n"
    "# a comment\n"
    "bob:200000:10\n"
    "alice:bad\n"
    "alice:0:5\n"
    "1000:300000:1000 \n"
    "alice:400000:1";

TEST(SubordinateIds, AreThoseOfTheName) {
  EXPECT_THAT(subordinateIds(kSubuid, "alice"),
              ElementsAre(IdRange{100000, 65536}, IdRange{400000, 1}));
  EXPECT_THAT(subordinateIds(kSubuid, "1000"), ElementsAre(IdRange{300000, 1000}));
  EXPECT_THAT(subordinateIds(kSubuid, "ali"), IsEmpty());
  EXPECT_THAT(subordinateIds("", "alice"), IsEmpty());
}

TEST(SubordinateIds, AreEverybodysWithoutAName) {
  EXPECT_EQ(subordinateIds(kSubuid, "").size(), 4U);
}

}  // namespace
}  // namespace actool
