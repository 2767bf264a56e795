#include "core/base/id_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace actool {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

TEST(IdMapText, IsTheKernels) {
  const IdMap map =
      IdMap::parse("         0       1000          1\n         1     100000      65536\n");
  EXPECT_THAT(map.mappings(), ElementsAre(IdMapping{0, 1000, 1}, IdMapping{1, 100000, 65536}));
  EXPECT_EQ(map.text(), "0 1000 1\n1 100000 65536\n");
  EXPECT_FALSE(map.isWhole());
}

TEST(IdMapText, RefusesWhatIsNoMap) {
  for (const char* text : {"0", "0 0", "0 0 0", "0 0 1 1", "a b c", "0 -1 1", "0 4294967296 1"}) {
    EXPECT_THROW(IdMap::parse(text), Error) << text;
  }
}

TEST(IdMapText, OfTheHostIsWhole) {
  EXPECT_TRUE(IdMap::parse("         0          0 4294967295\n").isWhole());
  EXPECT_FALSE(IdMap::parse("0 0 65536\n").isWhole());
  // Of a namespace that is not mapped yet.
  EXPECT_FALSE(IdMap::parse("").isWhole());
}

TEST(IdMapOutside, IsInOneOfItsMappings) {
  const IdMap map = IdMap::parse("0 1000 1\n1 100000 10\n20 500 2\n");
  EXPECT_EQ(map.outside(0), 1000U);
  EXPECT_EQ(map.outside(1), 100000U);
  EXPECT_EQ(map.outside(10), 100009U);
  EXPECT_FALSE(map.has(11));
  EXPECT_FALSE(map.has(19));
  EXPECT_EQ(map.outside(21), 501U);
  EXPECT_FALSE(map.has(22));
  EXPECT_FALSE(map.has(4294967295));
}

TEST(IdMapOfOwnRoot, HasTheUserAndThenTheRanges) {
  EXPECT_EQ(IdMap::ofOwnRoot(1000, {}).text(), "0 1000 1\n");
  EXPECT_EQ(IdMap::ofOwnRoot(1000, {{100000, 65536}, {300000, 10}}).text(),
            "0 1000 1\n1 100000 65536\n65537 300000 10\n");
}

TEST(IdMapOfOwnRoot, LeavesOutWhatTheKernelWouldRefuse) {
  // A range with the user in it, twice the same, and one that overlaps another.
  EXPECT_EQ(
      IdMap::ofOwnRoot(1000, {{900, 200}, {2000, 10}, {2000, 10}, {2009, 5}, {2010, 5}}).text(),
      "0 1000 1\n1 2000 10\n11 2010 5\n");
  std::vector<IdRange> many;
  for (std::uint32_t i = 0; i < 1000; ++i)
    many.push_back({10000 + 10 * i, 5});
  EXPECT_THAT(IdMap::ofOwnRoot(1000, many).mappings(), SizeIs(340));
  // No number beyond 32 bits inside.
  EXPECT_THAT(IdMap::ofOwnRoot(1, {{2, 4000000000}, {4000000002, 294967000}}).mappings(),
              SizeIs(3));
  EXPECT_THAT(IdMap::ofOwnRoot(4294967290, {{1, 4294967289}, {4294967291, 3}}).mappings(),
              SizeIs(3));
}

}  // namespace
}  // namespace actool
