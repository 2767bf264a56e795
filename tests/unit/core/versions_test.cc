// Lists of versions: what is taken, what is refused.
#include "core/record/versions.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace actool::record {
namespace {

using ::testing::HasSubstr;

std::string listOf(const std::string& images) {
  return R"({"kind":"versions","name":"example.com/web","images":[)" + images + "]}";
}

std::string failure(const std::string& text, const VersionsLimits& limits = {}) {
  try {
    Versions::parse(text, "list", limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(VersionsTest, RoundTrip) {
  const std::string full = fmt::format(
      R"({{"labels":{{"arch":"amd64","os":"linux","version":"1.0.0"}},"id":"sha512-{}",)"
      R"("digest":"sha256:{}","signature":"sha256:{}","size":12,"signedBy":"abcd","added":true,)"
      R"("dependencies":["example.com/base:2"]}},{{"labels":{{}}}})",
      std::string(128, 'a'), std::string(64, 'b'), std::string(64, 'c'));
  const Versions versions = Versions::parse(listOf(full), "list");
  ASSERT_EQ(versions.images.size(), 2U);
  EXPECT_EQ(versions.images[0].labels.get("version"), "1.0.0");
  EXPECT_EQ(versions.images[0].dependencies.at(0).str(), "example.com/base:2");
  EXPECT_TRUE(versions.images[0].added);
  EXPECT_EQ(versions.images[1].size, 0U);
  const Versions again = Versions::fromJson(versions.toJson());
  EXPECT_EQ(again.images, versions.images);
}

TEST(VersionsTest, UnknownMembersAreIgnored) {
  EXPECT_EQ(failure(listOf(R"({"labels":{"version":"1"},"colour":"blue"})")), "no error");
}

TEST(VersionsTest, Refusals) {
  EXPECT_THAT(failure("<html>"), HasSubstr("list:1:1: not valid JSON"));
  EXPECT_THAT(failure(R"({"kind":"image","name":"example.com/web","images":[]})"),
              HasSubstr("list: it is of kind \"image\", not \"versions\""));
  EXPECT_THAT(failure(R"({"kind":"versions","name":"Example","images":[]})"), HasSubstr("list: "));
  EXPECT_THAT(failure(R"({"kind":"versions","name":"example.com/web"})"), HasSubstr("images"));
  EXPECT_THAT(failure(listOf("7")), HasSubstr("images: [0]"));
  EXPECT_THAT(failure(listOf(R"({"labels":{"version":7}})")), HasSubstr("images: [0]: labels"));
  EXPECT_THAT(failure(listOf(R"({"labels":{"os":"plan9","arch":"amd64"}})")), HasSubstr("labels"));
  EXPECT_THAT(failure(listOf(R"({"labels":{},"digest":"sha512:ab"})")), HasSubstr("digest"));
  EXPECT_THAT(failure(listOf(R"({"labels":{},"size":-1})")), HasSubstr("size"));
  EXPECT_THAT(failure(listOf(R"({"labels":{},"signedBy":"<b>"})")), HasSubstr("no fingerprint"));
  EXPECT_THAT(failure(listOf(R"({"labels":{"os":"linux","version":"1"}},)"
                             R"({"labels":{"version":"1","os":"linux"}})")),
              HasSubstr("come twice"));
}

TEST(VersionsTest, Limits) {
  const std::string two = listOf(R"({"labels":{"version":"1"}},{"labels":{"version":"2"}})");
  EXPECT_EQ(failure(two, {.images = 2}), "no error");
  EXPECT_THAT(failure(two, {.images = 1}),
              HasSubstr("it lists 2 images, more than the limit of 1"));
  EXPECT_THAT(failure(two, {.bytes = 40}), HasSubstr("more than the limit of 40"));
  EXPECT_THAT(failure(std::string(20, '[') + std::string(20, ']')), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace actool::record
