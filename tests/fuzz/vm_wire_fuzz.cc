// What the guest of a virtual machine says to the host, and what it is told: frames that are
// accepted are those they are made of, whatever the pieces they come in.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "run/vm/guest_config.h"
#include "run/vm/wire.h"

namespace {

using namespace actool;
using namespace actool::run::vm;

// Up to the first that is refused.
std::string acceptedOf(std::string_view bytes, std::size_t piece) {
  std::string buffer;
  std::string accepted;
  try {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      buffer += bytes.substr(at, piece);
      while (const auto frame = takeFrame(buffer))
        accepted += encodeFrame(frame->kind, frame->job, frame->payload);
    }
  } catch (const Error&) {
    return accepted;
  }
  return accepted;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = acceptedOf(bytes, size + 1);
  if (bytes.substr(0, whole.size()) != whole) std::abort();
  if (size <= 4096 && acceptedOf(bytes, 3) != whole) std::abort();
  try {
    const EnterRequest request = parseEnterRequest(bytes);
    if (parseEnterRequest(formatEnterRequest(request)).command != request.command) std::abort();
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
