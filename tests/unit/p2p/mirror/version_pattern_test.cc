#include "p2p/mirror/version_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace actool::mirror {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(VersionPatternTest, Matches) {
  const std::vector<std::pair<std::string, std::string>> good = {
      {"*", ""},           {"*", "1.0.0"},     {"1.*", "1.2.3"}, {"1.*", "1."},
      {"*-rc*", "1-rc.2"}, {"1.*.3", "1.2.3"}, {"**", "x"},      {"1.0.0", "1.0.0"},
      {"a*b*c", "aXbbYc"}, {"*.0", "1.0.0"}};
  for (const auto& [pattern, version] : good)
    EXPECT_TRUE(matchesPattern(pattern, version)) << pattern << " " << version;
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"1.*", "10.0"}, {"1.*", "1"}, {"", "1"}, {"1.0", "1.0.0"}, {"*.1", "1.0"}, {"a*b", "aXbY"}};
  for (const auto& [pattern, version] : bad)
    EXPECT_FALSE(matchesPattern(pattern, version)) << pattern << " " << version;
}

TEST(VersionPatternTest, HostilePatternsAndVersionsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i)
    pattern += "a*";
  pattern += "b";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(matchesPattern(pattern, std::string(20000, 'a')));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(VersionPatternTest, HigherBySemVerThenByText) {
  EXPECT_TRUE(isHigherVersion("1.10.0", "1.9.0"));
  EXPECT_TRUE(isHigherVersion("1.0.0", "1.0.0-rc.1"));
  EXPECT_TRUE(isHigherVersion("0.0.1", "nightly"));
  EXPECT_TRUE(isHigherVersion("2026-02", "2026-01"));
  EXPECT_FALSE(isHigherVersion("1.0.0", "1.0.0"));
}

TEST(VersionPatternTest, Select) {
  const std::vector<std::string> all{"1.0.0", "1.10.0", "1.9.0", "2.0.0", "1.9.0"};
  EXPECT_THAT(selectVersions({"1.*"}, all, 2), ElementsAre("1.10.0", "1.9.0"));
  EXPECT_THAT(selectVersions({"1.*", "2.*"}, all, 0),
              ElementsAre("2.0.0", "1.10.0", "1.9.0", "1.0.0"));
  EXPECT_THAT(selectVersions({}, all, 0), IsEmpty());
}

}  // namespace
}  // namespace actool::mirror
