#include "cas/limits.h"

#include <fmt/format.h>

#include "core/base/json.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

std::uint64_t parseSize(std::string_view text, std::string_view what) {
  const auto size = parseByteSize(text);
  if (!size || *size == 0) {
    throw UsageError(fmt::format("{}: '{}' is not a size", what, printable(text)),
                     "write \"64GiB\" or a number of bytes");
  }
  return *size;
}

std::uint64_t count(const Json& value, std::string_view what) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() == 0) {
    throw UsageError(fmt::format("{} is not a positive number", what));
  }
  return value.get<std::uint64_t>();
}

std::uint64_t byteSize(const Json& value, std::string_view what) {
  if (value.is_string()) return parseSize(value.get_ref<const std::string&>(), what);
  return count(value, what);
}

}  // namespace

IngestLimits effectiveLimits(const ConfigDirs& dirs, const LimitOptions& options) {
  IngestLimits limits;
  forEachConfig(dirs, "limits.d", "limits", [&](const ConfigFile& file, const Json& config) {
    for (const auto& [key, value] : config.items()) {
      const std::string what = fmt::format("{}: \"{}\"", file.path.string(), printable(key));
      if (key == "rktKind" || key == "rktVersion") continue;
      if (key == "distributedSize") {
        limits.distributedBytes = byteSize(value, what);
      } else if (key == "tarSize") {
        limits.tarBytes = byteSize(value, what);
      } else if (key == "inflateRatio") {
        limits.inflateRatio = count(value, what);
      } else if (key == "xzMemory") {
        limits.xzMemory = byteSize(value, what);
      } else if (key == "entries") {
        limits.aci.entries = count(value, what);
      } else {
        throw UsageError(fmt::format("{} is not a limit", what),
                         "there are distributedSize, tarSize, inflateRatio, xzMemory and entries");
      }
    }
  });
  if (options.distributedSize) {
    limits.distributedBytes = parseSize(*options.distributedSize, "--max-distributed-size");
  }
  if (options.tarSize) limits.tarBytes = parseSize(*options.tarSize, "--max-tar-size");
  if (options.inflateRatio) limits.inflateRatio = *options.inflateRatio;
  if (options.entries) limits.aci.entries = *options.entries;
  return limits;
}

}  // namespace actool::cas
