#include <gtest/gtest.h>

#include "core/base/duration.h"
#include "core/base/error.h"

namespace actool {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsGoSyntax) {
  EXPECT_EQ(parseDuration("0"), milliseconds(0));
  EXPECT_EQ(parseDuration("0s"), milliseconds(0));
  EXPECT_EQ(parseDuration("30m"), milliseconds(30 * 60 * 1000));
  EXPECT_EQ(parseDuration("24h0m0s"), milliseconds(24 * 3600 * 1000));
  EXPECT_EQ(parseDuration("1h30m"), milliseconds(90 * 60 * 1000));
  EXPECT_EQ(parseDuration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parseDuration("500ms"), milliseconds(500));
  EXPECT_EQ(parseDuration("48h30m"), milliseconds((48 * 60 + 30) * 60 * 1000));
}

TEST(Duration, ReadsDaysAndBareSeconds) {
  EXPECT_EQ(parseDuration("1d"), milliseconds(86400 * 1000));
  EXPECT_EQ(parseDuration("7d12h"), milliseconds((7 * 24 + 12) * 3600 * 1000));
  EXPECT_EQ(parseDuration("90"), milliseconds(90 * 1000));
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "s", "-5s", "5 s", "1h ", "5x", "1y", "1..5s", "1.5", "1h30", "h1",
                           "1e3s", "inf", "999999999999h", "99999999999999999999"})
    EXPECT_EQ(parseDuration(text), std::nullopt) << text;
}

TEST(Duration, NamesTheOption) {
  try {
    requireDuration("soon", "--grace-period");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "--grace-period: 'soon' is not a duration; write it as 30m, 24h or 7d");
  }
}

TEST(Duration, TellsAges) {
  using namespace std::chrono_literals;
  EXPECT_EQ(describeAge(0s), "now");
  EXPECT_EQ(describeAge(1s), "1 second ago");
  EXPECT_EQ(describeAge(59s), "59 seconds ago");
  EXPECT_EQ(describeAge(60s), "1 minute ago");
  EXPECT_EQ(describeAge(3h + 59min), "3 hours ago");
  EXPECT_EQ(describeAge(49h), "2 days ago");
  EXPECT_EQ(describeAge(-10s), "now");  // clocks are set back
}

}  // namespace
}  // namespace actool
