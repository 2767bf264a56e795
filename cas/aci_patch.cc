#include "cas/aci_patch.h"

#include <algorithm>
#include <optional>

#include "cas/aci_input.h"
#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

TarEntry findManifest(const Path& input) {
  AciFile file(input);
  TarReader reader(file);
  while (auto entry = reader.next()) {
    if (entry->path == "manifest" || entry->path == "./manifest") return *entry;
  }
  throw TrustError("the archive has no manifest");
}

// Passes a stream on but for the bytes from `from` to `to`; says when it has come there.
class Splicer {
 public:
  Splicer(AciSource& source, ByteSink& sink) : source_(source), sink_(sink) {}

  void copyTo(std::uint64_t end) { run(end, true); }
  void dropTo(std::uint64_t end) { run(end, false); }
  void copyRest() {
    sink_.write(chunk_);
    for (chunk_ = source_.next(); !chunk_.empty(); chunk_ = source_.next())
      sink_.write(chunk_);
  }

 private:
  void run(std::uint64_t end, bool copy) {
    while (at_ < end) {
      if (chunk_.empty()) chunk_ = source_.next();
      if (chunk_.empty()) throw TrustError("the archive is truncated");
      const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(end - at_, chunk_.size()));
      if (copy) sink_.write(chunk_.first(step));
      chunk_ = chunk_.subspan(step);
      at_ += step;
    }
  }

  AciSource& source_;
  ByteSink& sink_;
  std::span<const std::byte> chunk_;
  std::uint64_t at_ = 0;
};

}  // namespace

AciSummary replaceManifest(const Path& input, const Path& output, const std::string& manifest,
                           const OutputOptions& options) {
  TarEntry entry = withContext(input.string(), [&] { return findManifest(input); });
  const std::uint64_t begin = entry.headerOffset;
  const std::uint64_t end =
      entry.dataOffset + (entry.dataSize + kTarBlock - 1) / kTarBlock * kTarBlock;
  entry.size = entry.dataSize = manifest.size();
  entry.sparse = false;
  entry.pieces.clear();

  AciOutput file(output, options);
  withContext("writing " + output.string(), [&] {
    AciFile source(input);
    Splicer splicer(source, file);
    splicer.copyTo(begin);
    TarWriter writer(file);
    writer.begin(entry);
    writer.data(std::as_bytes(std::span(manifest)));
    writer.end();
    splicer.dropTo(end);
    splicer.copyRest();
    file.close();
  });
  AciSummary summary = [&] {
    AciFile written(file.temporary());
    return withContext(input.string() + " with the new manifest",
                       [&] { return checkAci(written); });
  }();
  file.commit();
  return summary;
}

}  // namespace actool::cas
