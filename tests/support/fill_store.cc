// fill_store DIR COUNT: a store of COUNT small unsigned images, ten versions each of
// example.com/app0 and so on; every tenth depends on the one before it. Through the library and
// without syncing each file, as a store of 100,000 is wanted within a minute.
#include <cstdio>
#include <string>

#include "cas/store.h"
#include "core/base/strings.h"
#include "tests/unit/cas/aci_test_support.h"

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

void addImage(const StoreLayout& layout, std::uint64_t number) {
  const std::string manifest = manifestOf(number).dump();
  const std::string tar = file("manifest", manifest) + dir("rootfs") +
                          file("rootfs/number", std::to_string(number)) + kTarEnd;
  const auto parsed = schema::ImageManifest::parse(manifest, "manifest");
  // Imported one second after the other.
  const std::chrono::system_clock::time_point when{std::chrono::seconds(1'700'000'000 + number)};
  StoredImage image{
      .id = schema::ImageId::fromTarDigest(digestOf(DigestAlgorithm::sha512, tar)),
      .name = parsed.name,
      .labels = parsed.labels,
      .tarSize = tar.size(),
      .distributed = {.digest = digestOf(DigestAlgorithm::sha256, tar), .size = tar.size()},
      .imported = preciseTime(when),
      .signature = std::nullopt,
      .requested = {},
      .sources = {}};
  image.noteRequested({schema::AppRef(parsed.name, parsed.labels), preciseTime(when)});
  image.noteSource({"https://example.com/aci/" + std::to_string(number) + ".aci", "\"1\"", "",
                    preciseTime(when)});
  makeDirs(layout.tarBlob(image.id).parent_path());
  writeFilePlain(layout.tarBlob(image.id), tar);
  makeDirs(layout.imageDir(image.id));
  writeFilePlain(layout.manifestFile(image.id), manifest);
  writeFilePlain(layout.imageFile(image.id), dumpPretty(image.toJson()));
}

void fill(const Path& dir, std::uint64_t count) {
  const StoreLayout layout(dir);
  createStore(layout);
  for (std::uint64_t number = 0; number < count; ++number)
    addImage(layout, number);
  removeTree(layout.indexDir());
  // Makes the index of the files.
  const StoreWriter writer(layout);
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
