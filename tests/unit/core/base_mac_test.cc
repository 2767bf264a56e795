#include <gtest/gtest.h>

#include <string>

#include "core/base/mac.h"

namespace actool {
namespace {

std::span<const std::byte> bytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

Mac::Tag tagOf(const MacKey& key, const std::string& text) {
  Mac mac(key);
  mac.update(bytesOf(text));
  return mac.finish();
}

TEST(BaseMac, TellsBytesApart) {
  const MacKey key;
  const std::string text(100'000, 'a');
  EXPECT_EQ(tagOf(key, text), tagOf(key, text));
  for (const std::size_t place : {std::size_t{0}, text.size() / 2, text.size() - 1}) {
    std::string other = text;
    other[place] = 'b';
    EXPECT_NE(tagOf(key, text), tagOf(key, other)) << place;
  }
  EXPECT_NE(tagOf(key, text), tagOf(key, text + '\0'));
  EXPECT_NE(tagOf(key, text), tagOf(MacKey(), text));
}

TEST(BaseMac, TakesBytesInParts) {
  const MacKey key;
  const std::string text = "the same bytes, however they come";
  Mac parts(key);
  for (const char& letter : text)
    parts.update(std::as_bytes(std::span(&letter, 1)));
  EXPECT_EQ(parts.finish(), tagOf(key, text));
  EXPECT_EQ(Mac(key).finish(), tagOf(key, ""));
}

}  // namespace
}  // namespace actool
