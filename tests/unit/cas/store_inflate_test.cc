#include <gtest/gtest.h>

#include <random>

#include "cas/inflate.h"
#include "core/base/process.h"
#include "tests/support/errors.h"

namespace actool::cas {
namespace {

using test::messageOf;

constexpr std::uint64_t kXzMemory = 80ULL << 20;

std::string run(const std::vector<std::string>& argv, const std::string& input) {
  const CommandResult result = runCommand(argv, 64 << 20, input);
  EXPECT_TRUE(result.status.ok()) << argv.front();
  return result.out;
}

// Half of it compresses well, half does not at all.
std::string sample(std::size_t size = 300'000) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) {
    text += std::string(1000, static_cast<char>('a' + random() % 26));
    for (int i = 0; i < 1000; ++i)
      text += static_cast<char>(random());
  }
  return text;
}

// Feeds `inStep` bytes at a time and takes `outStep`.
std::string inflate(const std::string& bytes, std::size_t inStep, std::size_t outStep,
                    std::uint64_t xzMemory = kXzMemory) {
  const auto input = std::as_bytes(std::span(bytes));
  const auto inflater = makeInflater(detectEncoding(input), xzMemory);
  std::string result;
  std::vector<std::byte> out(outStep);
  for (std::size_t at = 0; at < input.size(); at += inStep) {
    auto rest = input.subspan(at, std::min(inStep, input.size() - at));
    for (;;) {
      const auto done = inflater->step(rest, out);
      rest = rest.subspan(done.consumed);
      result.append(reinterpret_cast<const char*>(out.data()), done.produced);
      if (done.produced < out.size()) break;
    }
    if (!rest.empty()) throw Error("not all consumed");
  }
  inflater->finish();
  return result;
}

struct Case {
  const char* name;
  std::vector<std::string> command;
  Encoding encoding;
};

class InflateEach : public testing::TestWithParam<Case> {
 protected:
  std::string text_ = sample();
  std::string packed_ = run(GetParam().command, text_);
  std::string word_ = std::string(name(GetParam().encoding));
};

TEST_P(InflateEach, IsDetectedByContent) {
  EXPECT_EQ(detectEncoding(std::as_bytes(std::span(packed_))), GetParam().encoding);
}

TEST_P(InflateEach, WholePieces) {
  EXPECT_EQ(inflate(packed_, 1 << 18, 1 << 18), text_);
}
TEST_P(InflateEach, OneByteAtATime) {
  EXPECT_EQ(inflate(packed_, 1, 1 << 18), text_);
}
TEST_P(InflateEach, OneByteOfRoom) {
  EXPECT_EQ(inflate(packed_, 1 << 18, 1), text_);
}
TEST_P(InflateEach, OddSizes) {
  EXPECT_EQ(inflate(packed_, 4093, 8191), text_);
}

TEST_P(InflateEach, OutputThatEndsWithTheRoom) {
  EXPECT_EQ(inflate(packed_, 1 << 20, text_.size()), text_);
}

TEST_P(InflateEach, SeveralMembersAreOne) {
  for (const std::size_t step : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20}) {
    EXPECT_EQ(inflate(packed_ + packed_, step, 1 << 16), text_ + text_);
  }
}

TEST_P(InflateEach, AnEmptyMemberIsNothing) {
  const std::string empty = run(GetParam().command, "");
  EXPECT_EQ(inflate(empty, 1, 10), "");
  EXPECT_EQ(inflate(packed_ + empty, 1000, 1 << 16), text_);
}

TEST_P(InflateEach, GarbageBehindIsRefused) {
  EXPECT_EQ(messageOf<TrustError>(
                [&] { inflate(packed_ + "garbage, garbage, garbage", 1 << 20, 1 << 16); }),
            "there is garbage after the " + word_ + " data");
  EXPECT_EQ(
      messageOf<TrustError>([&] { inflate(packed_ + "garbage, garbage, garbage", 1, 1 << 16); }),
      "there is garbage after the " + word_ + " data");
}

TEST_P(InflateEach, EveryTruncationIsAnEarlyEnd) {
  for (const std::size_t missing : {std::size_t{1}, std::size_t{8}, packed_.size() / 2}) {
    EXPECT_EQ(messageOf<EarlyEndError>(
                  [&] { inflate(packed_.substr(0, packed_.size() - missing), 4096, 1 << 16); }),
              "the " + word_ + " data end too early; the file is truncated")
        << missing;
  }
}

TEST_P(InflateEach, AFlippedBitIsRefused) {
  for (const std::size_t at : {packed_.size() / 3, packed_.size() / 2, packed_.size() - 6}) {
    std::string damaged = packed_;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_THROW(inflate(damaged, 4096, 1 << 16), TrustError) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(All, InflateEach,
                         testing::Values(Case{"gzip", {"gzip", "-c"}, Encoding::gzip},
                                         Case{"gzipFast", {"gzip", "-1c"}, Encoding::gzip},
                                         Case{"bzip2", {"bzip2", "-c"}, Encoding::bzip2},
                                         Case{"xz", {"xz", "-c"}, Encoding::xz}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Inflate, AWrongChecksumIsNamed) {
  std::string packed = run({"gzip", "-c"}, "hello");
  packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);
  EXPECT_EQ(messageOf<TrustError>([&] { inflate(packed, 100, 100); }),
            "the gzip data are damaged: checksum mismatch");
}

TEST(Inflate, ZeroPaddingBehindGzipIsGarbage) {
  const std::string packed = run({"gzip", "-c"}, "hello") + std::string(512, '\0');
  EXPECT_EQ(messageOf<TrustError>([&] { inflate(packed, 1000, 100); }),
            "there is garbage after the gzip data");
}

TEST(Inflate, GzipWithANameInItsHeader) {
  // RFC 1952: FEXTRA, FNAME and FCOMMENT before the data, the latter two zero-terminated.
  const std::string plain = run({"gzip", "-nc"}, "hello");
  std::string packed = plain.substr(0, 10) + std::string("\4\0abcd", 6) +
                       std::string("web.tar\0a comment\0", 18) + plain.substr(10);
  packed[3] = 0x1c;
  const std::string twice = packed + packed;
  for (std::size_t step = 1; step <= twice.size(); ++step) {
    EXPECT_EQ(inflate(twice, step, 100), "hellohello") << step;
    EXPECT_EQ(inflate(twice, step, 1), "hellohello") << step;
  }
}

TEST(Inflate, XzMayNotTakeAllMemory) {
  const std::string packed = run({"xz", "-9", "-c"}, sample());
  const std::string message =
      messageOf<TrustError>([&] { inflate(packed, 1 << 20, 1 << 16, 8 << 20); });
  EXPECT_EQ(message,
            "the xz data need 64.1 MiB of memory, over the limit of 8.0 MiB; compress with a "
            "smaller dictionary, or raise \"xzMemory\" in limits.d");
}

TEST(Inflate, OtherBytesAreNotCompressed) {
  for (const std::string text : {"", "\x1f", "BZ",
                                 "\xfd"
                                 "7zXY",
                                 "manifest"}) {
    EXPECT_EQ(detectEncoding(std::as_bytes(std::span(text))), Encoding::none) << text;
  }
  EXPECT_EQ(makeInflater(Encoding::none, kXzMemory), nullptr);
}

}  // namespace
}  // namespace actool::cas
