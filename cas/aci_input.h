// ACI files as people have them: compressed or not, told apart by content, never by name.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "cas/aci_check.h"
#include "cas/aci_source.h"
#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::cas {

enum class Compression { none, gzip, bzip2, xz };

// By the first bytes of a file (6 are enough).
Compression detectCompression(std::span<const std::byte> head);

// The uncompressed tar of an ACI file. Errors of the compressed stream are TrustErrors. It is
// for the tools of those who make images; the store's ingest has a faster way of its own.
class AciFile : public AciSource {
 public:
  // Throws NotFoundError when there is no such file, TrustError when it is nothing an ACI can be.
  explicit AciFile(const Path& path);
  ~AciFile() override;

  Compression compression() const { return compression_; }
  std::span<const std::byte> next() override;
  bool skip(std::uint64_t count) override;

 private:
  struct Filter;

  Path path_;
  UniqueFd fd_;
  Compression compression_ = Compression::none;
  std::unique_ptr<AciSource> plain_;
  std::unique_ptr<Filter> filter_;
};

// The whole check of an ACI file, with the file's name in errors.
AciSummary checkAciFile(const Path& path, const AciLimits& limits = {});

// The manifest's bytes; reads no further than it, and checks nothing else of the archive.
std::string readAciManifest(const Path& path, const AciLimits& limits = {});

}  // namespace actool::cas
