// fill_store DIR COUNT: a store of COUNT small unsigned images, ten versions each of
// example.com/app0 and so on; every tenth depends on the one before it. Through the library and
// without syncing each file, as a store of 100,000 is wanted within a minute.
#include <cstdio>
#include <string>

#include "core/base/strings.h"
#include "tests/unit/cas/plain_image.h"

namespace actool::cas {
namespace {

constexpr std::uint64_t kVersions = 10;

Json manifestOf(std::uint64_t number) {
  const auto app = [](std::uint64_t n) {
    return "example.com/app" + std::to_string(n / kVersions);
  };
  const auto version = [](std::uint64_t n) { return "1." + std::to_string(n % kVersions) + ".0"; };
  const auto labels = [&](std::uint64_t n) {
    return Json::array({{{"name", "version"}, {"value", version(n)}},
                        {{"name", "os"}, {"value", "linux"}},
                        {{"name", "arch"}, {"value", "amd64"}}});
  };
  Json manifest = {{"acKind", "ImageManifest"},
                   {"acVersion", "0.8.11"},
                   {"name", app(number)},
                   {"labels", labels(number)}};
  if (number % 10 == 9) {
    manifest["dependencies"] = Json::array(
        {{{"imageName", app(number - 1)},
          {"labels", Json::array({{{"name", "version"}, {"value", version(number - 1)}}})}}});
  }
  return manifest;
}

void fill(const Path& dir, std::uint64_t count) {
  const StoreLayout layout(dir);
  createStore(layout);
  for (std::uint64_t number = 0; number < count; ++number) {
    // Imported one second after the other.
    addPlainImage(
        layout, manifestOf(number), std::to_string(number),
        "https://example.com/aci/" + std::to_string(number) + ".aci",
        std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000 + number)));
  }
  indexPlainImages(layout);
}

}  // namespace
}  // namespace actool::cas

int main(int argc, char** argv) {
  const auto count = argc == 3 ? actool::parseUint(argv[2]) : std::nullopt;
  if (!count) {
    std::fprintf(stderr, "usage: fill_store DIR COUNT\n");
    return 2;
  }
  try {
    actool::cas::fill(argv[1], *count);
  } catch (const actool::Error& error) {
    std::fprintf(stderr, "fill_store: %s\n", error.what());
    return 1;
  }
  return 0;
}
