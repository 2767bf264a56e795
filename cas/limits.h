// Limits on what may enter the store, each with its reason. The defaults hold when neither the
// command line nor a configuration file of kind "limits" says otherwise
// (docs/store-format.md, Limits).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cas/aci_check.h"
#include "core/base/config_file.h"
#include "core/base/error.h"

namespace actool::cas {

struct IngestLimits {
  // A sender that never stops must not fill the disk. The largest images people publish
  // (machine learning tool sets) have some 20 GiB.
  std::uint64_t distributedBytes = 64ULL << 30;
  // The tar as such: what it takes on disk, and about what its rendered tree takes.
  std::uint64_t tarBytes = 256ULL << 30;
  // Bytes of tar for each byte as distributed. Root file systems have 2 to 5, text up to 20;
  // gzip can make 1032, bzip2 and xz thousands. Counted only beyond `inflateFloor`, which no
  // disk minds and where a run of zeros weighs most.
  std::uint64_t inflateRatio = 200;
  std::uint64_t inflateFloor = 64ULL << 20;
  // xz asks the reader for memory, up to 4 GiB. `xz -9` needs 65 MiB, the default of xz 9 MiB.
  std::uint64_t xzMemory = 80ULL << 20;
  AciLimits aci;  // entries, manifest, path lengths
};

// What the command line overrides.
struct LimitOptions {
  std::optional<std::string> distributedSize;
  std::optional<std::string> tarSize;
  std::optional<std::uint64_t> inflateRatio;
  std::optional<std::uint64_t> entries;
};

// The defaults, overridden by the configuration (`limits.d/*.json`), overridden by `options`.
// Throws UsageError on what is no size or number.
IngestLimits effectiveLimits(const ConfigDirs& dirs, const LimitOptions& options);

// The bytes are refused because they go over a limit: nothing more of them needs to be read.
class LimitError : public TrustError {
 public:
  using TrustError::TrustError;
};

}  // namespace actool::cas
