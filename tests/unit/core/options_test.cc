#include "core/cli/options.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace actool::cli {
namespace {

TEST(OptionsForWords, KnowsWhatStandsAmongThem) {
  const std::vector<std::string> words{"--name=a", "--quiet", "image"};
  Options options = Options::forWords("x", words);
  std::string name;
  std::string other;
  bool quiet = false;
  bool loud = false;
  std::vector<std::string> images;
  options.add("--name,-n", name, "").typeName("NAME").group("G").lastHolds();
  options.add("--other", other, "").oneOf({"a", "b"}).defaultFromTarget();
  options.flag("--quiet", quiet, "");
  options.flag("--loud", loud, "");
  options.add("IMAGE", images, "");
  EXPECT_NE(options.find("--name"), nullptr);
  EXPECT_EQ(options.find("--other"), nullptr);
  EXPECT_EQ(options.find("--loud"), nullptr);
  ASSERT_TRUE(options.parse(words, "x"));
  EXPECT_EQ(name, "a");
  EXPECT_TRUE(quiet);
  EXPECT_FALSE(loud);
  EXPECT_EQ(images, std::vector<std::string>{"image"});
}

TEST(OptionsForWords, RefusesAsAllOptionsDo) {
  const std::vector<std::string> words{"--name"};
  Options options = Options::forWords("x", words);
  std::string name;
  options.add("--name", name, "");
  EXPECT_THROW(options.parse(words, "x"), UsageError);
  Options none = Options::forWords("x", {"--nam=a"});
  none.add("--name", name, "");
  EXPECT_THROW(none.parse({"--nam=a"}, "x"), UsageError);
}

TEST(OptionsForWords, ShortOnesMakeAllOfThem) {
  const std::vector<std::string> words{"-qn", "a"};
  Options options = Options::forWords("x", words);
  std::string name;
  bool quiet = false;
  options.add("--name,-n", name, "");
  options.flag("--quiet,-q", quiet, "");
  ASSERT_TRUE(options.parse(words, "x"));
  EXPECT_EQ(name, "a");
  EXPECT_TRUE(quiet);
}

TEST(OptionsForWords, NoneMayBeRequired) {
  Options options = Options::forWords("x", {});
  std::string name;
  EXPECT_THROW(options.add("--name", name, "").required(), std::logic_error);
}

}  // namespace
}  // namespace actool::cli
