// HTML pages: whatever a server sends, tags come out or an Error, within the limits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "discovery/meta_tags.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view html(reinterpret_cast<const char*>(data), size);
  const actool::discovery::HtmlLimits limits;
  try {
    const auto tags = actool::discovery::extractMetaTags(html, limits);
    if (tags.size() > limits.metas) std::abort();
    for (const auto& tag : tags) {
      if (tag.prefix.empty() || tag.value.empty()) std::abort();
      if (tag.prefix.size() + tag.value.size() > limits.contentBytes) std::abort();
    }
  } catch (const actool::Error&) {
    // A limit was passed: the one thing that may be wrong with a page.
  }
  return 0;
}
