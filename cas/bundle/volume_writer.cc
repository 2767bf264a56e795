#include "cas/bundle/volume_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.h"
#include "core/base/fd.h"

namespace actool::cas {

namespace {

constexpr std::uint64_t kBlock = 512;
constexpr std::uint64_t kEndMarker = 2 * kBlock;

class CountingSink : public ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override { count_ += bytes.size(); }
  std::uint64_t count() const { return count_; }

 private:
  std::uint64_t count_ = 0;
};

class StringSink : public ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override {
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// No time, owner or mode but these: volumes depend on the images alone.
TarEntry entryOf(std::string_view path, std::uint64_t size) {
  TarEntry entry;
  entry.path = path;
  entry.mode = 0644;
  entry.size = entry.dataSize = size;
  return entry;
}

void putFile(TarWriter& tar, std::string_view path, std::string_view content) {
  tar.begin(entryOf(path, content.size()));
  tar.data(std::as_bytes(std::span(content)));
  tar.end();
}

// An entry's bytes in the tar: headers, content, padding.
std::uint64_t entrySize(std::string_view path, std::uint64_t size) {
  CountingSink sink;
  TarWriter(sink).begin(entryOf(path, size));
  return sink.count() + (size + kBlock - 1) / kBlock * kBlock;
}

std::string sumLine(const Digest& sha512, std::string_view path) {
  return fmt::format("{}  {}\n", sha512.hex(), path);
}

VolumeHeader headerOf(const BundlePlan& plan, std::size_t volume) {
  return {.set = plan.set, .volume = volume + 1, .starts = plan.starts};
}

std::string sumsOf(const BundlePlan& plan, std::size_t volume, std::string_view volumeJson) {
  std::string sums = sumLine(digestOf(DigestAlgorithm::sha512, volumeJson), kVolumeFile) +
                     sumLine(plan.set, kImagesFile);
  for (const auto& signature : plan.signatures)
    sums += sumLine(signature.piece, piecePath(signature.piece));
  for (std::size_t i = plan.starts[volume]; i < plan.endOf(volume); ++i) {
    const Digest& digest = plan.pieces[i].digest;
    if (!plan.leftOut[i]) sums += sumLine(digest, piecePath(digest));
  }
  return sums;
}

// Adds up a volume piece by piece. The header's length depends on the number of volumes.
class Ruler {
 public:
  Ruler(const BundlePlan& plan, std::size_t volumes) : plan_(plan) {
    // As long as it can get with so many volumes.
    const VolumeHeader longest{.set = plan.set,
                               .volume = volumes,
                               .starts = std::vector<std::uint64_t>(volumes, plan.pieces.size())};
    fixed_ = entrySize(kVolumeFile, longest.dump().size()) +
             entrySize(kImagesFile, plan.imagesJson.size()) + kEndMarker;
    fixedSums_ = sumLine(plan.set, kVolumeFile).size() + sumLine(plan.set, kImagesFile).size();
    for (const auto& signature : plan.signatures) {
      fixed_ += entrySize(piecePath(signature.piece), signature.text.size());
      fixedSums_ += sumLine(signature.piece, piecePath(signature.piece)).size();
    }
    start();
  }

  void start() {
    bytes_ = fixed_;
    sums_ = fixedSums_;
  }
  void add(std::size_t piece) {
    if (plan_.leftOut[piece]) return;
    const std::string path = piecePath(plan_.pieces[piece].digest);
    bytes_ += entrySize(path, plan_.pieces[piece].size);
    sums_ += sumLine(plan_.pieces[piece].digest, path).size();
  }
  std::uint64_t total() const { return bytes_ + entrySize(kSumsFile, sums_); }

 private:
  const BundlePlan& plan_;
  std::uint64_t fixed_ = 0;
  std::uint64_t fixedSums_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t sums_ = 0;
};

std::vector<std::uint64_t> cut(const BundlePlan& plan, std::uint64_t limit, std::size_t volumes) {
  Ruler ruler(plan, volumes);
  std::vector<std::uint64_t> starts{0};
  for (std::size_t i = 0; i < plan.pieces.size(); ++i) {
    ruler.add(i);
    if (ruler.total() <= limit) continue;
    ruler.start();
    ruler.add(i);
    if (i != starts.back()) starts.push_back(i);
    if (ruler.total() > limit) break;
  }
  if (ruler.total() > limit) {
    throw UsageError(fmt::format("a volume of {} bytes is too small", limit),
                     fmt::format("the list of images and one piece need {}", ruler.total()));
  }
  return starts;
}

}  // namespace

std::size_t BundlePlan::endOf(std::size_t volume) const {
  return volume + 1 < starts.size() ? starts[volume + 1] : pieces.size();
}

std::vector<std::uint64_t> fitVolumes(const BundlePlan& plan, std::optional<std::uint64_t> limit) {
  if (!limit) return {0};
  for (std::size_t volumes = 1;;) {
    std::vector<std::uint64_t> starts = cut(plan, *limit, volumes);
    // More volumes than thought make a longer header in each.
    if (starts.size() <= volumes) return starts;
    volumes = starts.size();
  }
}

std::string volumeHead(const BundlePlan& plan, std::size_t volume) {
  StringSink sink;
  TarWriter tar(sink);
  const std::string header = headerOf(plan, volume).dump();
  putFile(tar, kVolumeFile, header);
  putFile(tar, kImagesFile, plan.imagesJson);
  putFile(tar, kSumsFile, sumsOf(plan, volume, header));
  for (const auto& signature : plan.signatures)
    putFile(tar, piecePath(signature.piece), signature.text);
  return sink.take();
}

std::uint64_t volumeSize(const BundlePlan& plan, std::size_t volume) {
  std::uint64_t bytes = volumeHead(plan, volume).size() + kEndMarker;
  for (std::size_t i = plan.starts[volume]; i < plan.endOf(volume); ++i) {
    if (!plan.leftOut[i]) bytes += entrySize(piecePath(plan.pieces[i].digest), plan.pieces[i].size);
  }
  return bytes;
}

void writeVolume(const BundlePlan& plan, std::size_t volume, ByteSink& sink) {
  const std::string head = volumeHead(plan, volume);
  sink.write(std::as_bytes(std::span(head)));
  TarWriter tar(sink);
  std::vector<std::byte> buffer(kPieceBytes);
  UniqueFd file;
  std::size_t opened = plan.files.size();
  for (std::size_t i = plan.starts[volume]; i < plan.endOf(volume); ++i) {
    if (plan.leftOut[i]) continue;
    const ListedPiece& piece = plan.pieces[i];
    const std::string& path = plan.files[piece.image].string();
    if (opened != piece.image) file = openFile(path, O_RDONLY);
    opened = piece.image;
    if (::lseek(file.get(), static_cast<off_t>(piece.offset), SEEK_SET) < 0) {
      throwErrno("reading " + path);
    }
    const auto bytes = std::span(buffer).first(static_cast<std::size_t>(piece.size));
    Hasher hasher(DigestAlgorithm::sha512);
    const std::size_t got = readFull(file.get(), bytes, path);
    hasher.update(bytes.first(got));
    if (hasher.finish() != piece.digest) {
      throw Error(fmt::format("{} changed while it was read", path), "'actool image verify' it");
    }
    tar.begin(entryOf(piecePath(piece.digest), piece.size));
    tar.data(bytes);
    tar.end();
  }
  tar.finish();
}

}  // namespace actool::cas
