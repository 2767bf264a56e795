// Lists of versions: one that is accepted survives being written and read again unchanged.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/record/versions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using actool::record::Versions;
  std::optional<Versions> versions;
  try {
    versions = Versions::parse(std::string_view(reinterpret_cast<const char*>(data), size), "list");
  } catch (const actool::Error&) {
    return 0;
  }
  const actool::Json first = versions->toJson();
  if (Versions::fromJson(first).toJson() != first) std::abort();
  return 0;
}
