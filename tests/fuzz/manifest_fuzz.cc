// Image and pod manifests: what is accepted survives being written and read again unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"

namespace {

template <typename Manifest>
void roundTrip(std::string_view text) {
  actool::Json first;
  try {
    first = Manifest::parse(text, "fuzz").toJson();
  } catch (const actool::Error&) {
    return;
  }
  // An exception from here on is a finding: we wrote this ourselves.
  if (Manifest::parse(actool::dumpPretty(first), "own").toJson() != first) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  roundTrip<actool::schema::ImageManifest>(text);
  roundTrip<actool::schema::PodManifest>(text);
  return 0;
}
