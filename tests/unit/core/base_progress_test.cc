// What people and programs are shown of long work.
#include <gtest/gtest.h>

#include "core/base/progress.h"

namespace actool {
namespace {

std::string shown(ProgressMode mode, std::initializer_list<std::uint64_t> states,
                  std::optional<std::uint64_t> total) {
  testing::internal::CaptureStderr();
  const auto progress = makeProgress(mode, "work");
  for (const std::uint64_t done : states)
    progress->update(done, total);
  progress->finish();
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, EndsWithTheLastState) {
  const std::string text = shown(ProgressMode::plain, {0, 512, 1024}, 1024);
  EXPECT_NE(text.find("work: 1.0 KiB of 1.0 KiB (100%)"), std::string::npos) << text;
}

TEST(Progress, GoesBackWithoutHarm) {
  // A resumed transfer whose server begins anew.
  const std::string text = shown(ProgressMode::plain, {1 << 20, 0}, std::nullopt);
  EXPECT_TRUE(text.ends_with("work: 0 B 0 B/s\n")) << text;
}

TEST(Progress, ResumedBytesAreNoSpeed) {
  const std::string text = shown(ProgressMode::plain, {1 << 30}, 1 << 30);
  EXPECT_NE(text.find("(100%) 0 B/s\n"), std::string::npos) << text;
}

TEST(Progress, IsOneObjectALineForPrograms) {
  const std::string text = shown(ProgressMode::json, {7}, 9);
  EXPECT_TRUE(
      text.ends_with(R"({"done":7,"finished":true,"kind":"progress","label":"work","total":9})"
                     "\n"))
      << text;
}

}  // namespace
}  // namespace actool
