// Image arguments and references: whatever is accepted writes itself so that it reads the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "core/record/image_arg.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    actool::record::parseImageArg(text);
  } catch (const actool::Error&) {
  }
  const auto ref = actool::schema::AppRef::tryParse(text);
  if (ref && !(actool::schema::AppRef::parse(ref->str()) == *ref)) std::abort();
  return 0;
}
