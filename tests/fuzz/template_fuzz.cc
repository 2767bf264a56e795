// URL templates: the first line names an image, the rest is the template. What is rendered is
// a URL of printable ASCII without braces, at most kMaxUrlBytes long.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/schema/app_ref.h"
#include "discovery/url_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto ref = actool::schema::AppRef::tryParse(text.substr(0, line));
  if (!ref) return 0;
  try {
    const auto endpoint = actool::discovery::renderTemplate(text.substr(line + 1), *ref);
    for (const std::string& url : {endpoint.aci, endpoint.asc}) {
      if (url.size() > actool::discovery::kMaxUrlBytes) std::abort();
      if (url.find("://") == std::string::npos) std::abort();
      for (const char c : url) {
        if (c <= 0x20 || c >= 0x7f || c == '{' || c == '}') std::abort();
      }
    }
    if (endpoint.aci == endpoint.asc) std::abort();
  } catch (const actool::Error&) {
    // The template cannot be used, and the error says why.
  }
  return 0;
}
