// Functions that run for every byte or every file of an image. Programs and libraries of this
// machine are the data, as they compress like those of images.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cas/aci_file_source.h"
#include "cas/erofs/write.h"
#include "cas/inflate.h"
#include "cas/pipeline.h"
#include "core/base/process.h"
#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {
namespace {

constexpr std::size_t kDataBytes = 64 << 20;
constexpr std::size_t kMaxFileBytes = 4 << 20;
constexpr int kSmallFiles = 7000;  // what a Debian root file system has

// The tar of an image with some 64 MiB of programs.
const std::string& programsTar() {
  static const std::string tar = [] {
    std::string entries;
    int number = 0;
    for (const char* top : {"/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib"}) {
      for (const auto& entry : std::filesystem::directory_iterator(top)) {
        if (entries.size() > kDataBytes) break;
        if (!entry.is_regular_file() || entry.is_symlink() || entry.file_size() > kMaxFileBytes) {
          continue;
        }
        entries +=
            file("rootfs/f" + std::to_string(number++), readFile(entry.path(), kMaxFileBytes));
      }
    }
    return image(entries);
  }();
  return tar;
}

const std::string& programsGzip() {
  static const std::string gzip =
      runCommand({"gzip", "-6", "-c"}, 2 * kDataBytes, programsTar()).out;
  return gzip;
}

// Of 7,000 small files in 70 directories.
const std::string& manyFilesTar() {
  static const std::string tar = [] {
    std::string entries;
    for (int i = 0; i < kSmallFiles; ++i) {
      const std::string parent = "rootfs/dir" + std::to_string(i / 100);
      if (i % 100 == 0) entries += dir(parent);
      entries += file(parent + "/file" + std::to_string(i), "content of it");
    }
    return image(entries);
  }();
  return tar;
}

UniqueFd inMemory(const std::string& bytes) {
  UniqueFd fd(memfd_create("bench", MFD_CLOEXEC));
  if (!fd) throwErrno("making a file in memory");
  writeAll(fd.get(), bytes, "memory");
  return fd;
}

void setBytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(each));
}

void inflate(benchmark::State& state) {
  const auto input = std::as_bytes(std::span(programsGzip()));
  std::vector<std::byte> out(256 << 10);
  for (auto unused : state) {
    const auto inflater = makeInflater(Encoding::gzip, 0);
    auto rest = input;
    for (;;) {
      const auto step = inflater->step(rest, out);
      rest = rest.subspan(step.consumed);
      if (rest.empty() && step.produced < out.size()) break;
    }
    inflater->finish();
  }
  setBytes(state, programsTar().size());
}
BENCHMARK(inflate)->UseRealTime()->Unit(benchmark::kMillisecond);

void sha512(benchmark::State& state) {
  for (auto unused : state)
    benchmark::DoNotOptimize(digestOf(DigestAlgorithm::sha512, programsTar()));
  setBytes(state, programsTar().size());
}
BENCHMARK(sha512)->UseRealTime()->Unit(benchmark::kMillisecond);

// All of an ingest but the signature and the commit, into files in memory.
void pipeline(benchmark::State& state) {
  const UniqueFd input = inMemory(programsGzip());
  const TempDir dir("/dev/shm", "actool-bench.");
  for (auto unused : state) {
    if (lseek(input.get(), 0, SEEK_SET) < 0) throwErrno("lseek");
    const UniqueFd data =
        openFile((dir.path() / "data").string(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    benchmark::DoNotOptimize(runPipeline({.input = input.get(),
                                          .inputName = "input",
                                          .data = data.get(),
                                          .dataName = "data",
                                          .tar = dir.path() / "tar",
                                          .size = std::nullopt,
                                          .limits = {},
                                          .onProgress = {}}));
  }
  setBytes(state, programsTar().size());
}
BENCHMARK(pipeline)->UseRealTime()->Unit(benchmark::kMillisecond);

void tarHeaders(benchmark::State& state) {
  const UniqueFd tar = inMemory(manyFilesTar());
  for (auto unused : state) {
    FileTarSource source(tar.get(), "tar");
    TarReader reader(source);
    while (auto entry = reader.next())
      benchmark::DoNotOptimize(entry);
  }
  state.SetItemsProcessed(state.iterations() * kSmallFiles);
}
BENCHMARK(tarHeaders)->Unit(benchmark::kMillisecond);

void checkOfTheArchive(benchmark::State& state) {
  const UniqueFd tar = inMemory(manyFilesTar());
  for (auto unused : state) {
    FileTarSource source(tar.get(), "tar");
    benchmark::DoNotOptimize(checkAci(source, {}));
  }
  state.SetItemsProcessed(state.iterations() * kSmallFiles);
}
BENCHMARK(checkOfTheArchive)->Unit(benchmark::kMillisecond);

void erofsWrite(benchmark::State& state) {
  const UniqueFd tar = inMemory(manyFilesTar());
  const auto id = schema::ImageId::parse("sha512-" + std::string(128, 'a'));
  for (auto unused : state) {
    RenderTree tree;
    tree.addLayer(tar.get(), {id, "tar", {}});
    tree.prune();
    const UniqueFd out(memfd_create("erofs", MFD_CLOEXEC));
    benchmark::DoNotOptimize(
        writeErofs(tree, {{"tar", manyFilesTar().size(), tar.get()}}, {0}, out.get()));
  }
  state.SetItemsProcessed(state.iterations() * kSmallFiles);
}
BENCHMARK(erofsWrite)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace actool::cas
