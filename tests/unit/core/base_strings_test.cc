#include <gtest/gtest.h>

#include "core/base/strings.h"

namespace actool {
namespace {

struct PrefixCase {
  const char* name;
  const char* prefix;
  bool covers;
};

class PathPrefix : public testing::TestWithParam<PrefixCase> {};

TEST_P(PathPrefix, MatchesWholeComponents) {
  EXPECT_EQ(hasPathPrefix(GetParam().name, GetParam().prefix), GetParam().covers)
      << GetParam().name << " by " << GetParam().prefix;
}

INSTANTIATE_TEST_SUITE_P(Nasty, PathPrefix,
                         testing::Values(PrefixCase{"example.com/foo", "example.com/foo", true},
                                         PrefixCase{"example.com/foo/bar", "example.com/foo", true},
                                         PrefixCase{"example.com/foobar", "example.com/foo", false},
                                         PrefixCase{"example.com/fo", "example.com/foo", false},
                                         PrefixCase{"example.com", "example.com/", false},
                                         PrefixCase{"example.com/foo", "example.com/", true},
                                         PrefixCase{"example.com.evil.org", "example.com", false},
                                         PrefixCase{"example.com-evil/foo", "example.com", false},
                                         PrefixCase{"example.com", "", false},
                                         PrefixCase{"", "", false}, PrefixCase{"/a", "/", true}));

TEST(Strings, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
  EXPECT_EQ(split(",", ','), (std::vector<std::string_view>{"", ""}));
}

TEST(Strings, TrimTakesBlanksOffBothEnds) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(Strings, ParseUintTakesDigitsOnly) {
  EXPECT_EQ(parseUint("18446744073709551615"), 18446744073709551615ULL);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x10", "18446744073709551616", "1.5"}) {
    EXPECT_EQ(parseUint(bad), std::nullopt) << bad;
  }
}

TEST(Strings, ParseByteSizeKnowsBinaryAndMetric) {
  EXPECT_EQ(parseByteSize("4096"), 4096u);
  EXPECT_EQ(parseByteSize("64MiB"), 64u << 20);
  EXPECT_EQ(parseByteSize("2GB"), 2000000000u);
  EXPECT_EQ(parseByteSize("1K"), 1024u);
  for (const char* bad :
       {"", "MiB", "1.5G", "1 GiB", "-1K", "20000000000000000000", "17179869184GiB"}) {
    EXPECT_EQ(parseByteSize(bad), std::nullopt) << bad;
  }
}

TEST(Strings, FormatByteSize) {
  EXPECT_EQ(formatByteSize(0), "0 B");
  EXPECT_EQ(formatByteSize(1023), "1023 B");
  EXPECT_EQ(formatByteSize(1536), "1.5 KiB");
  EXPECT_EQ(formatByteSize(std::uint64_t{3} << 40), "3.0 TiB");
}

TEST(Strings, PrintableLetsNothingSteerATerminal) {
  EXPECT_EQ(printable("plain \xc3\xa9"), "plain \xc3\xa9");
  EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(printable("a\nb"), "a\\x0ab");
  EXPECT_EQ(printable("say \"hi\""), "say \\x22hi\\x22");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J");                                // C1 CSI
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong '/'
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");           // cut off
  EXPECT_EQ(printable(std::string(300, 'x'), 10), "xxxxxxxxxx...");
}

TEST(Strings, NearestSuggestsOnlyWhatIsNear) {
  const std::vector<std::string> words{"discover", "fetch", "run", "rm"};
  EXPECT_EQ(nearest("fethc", words), "fetch");
  EXPECT_EQ(nearest("discovr", words), "discover");
  EXPECT_EQ(nearest("zebra", words), std::nullopt);
  EXPECT_EQ(nearest("xy", words), std::nullopt);
}

TEST(Strings, HexIsLowerCase) {
  EXPECT_EQ(toHex(std::string_view("\x00\xff\x1a", 3)), "00ff1a");
  EXPECT_TRUE(isLowerHex("09af"));
  EXPECT_FALSE(isLowerHex("09AF"));
}

}  // namespace
}  // namespace actool
