// Pipe records: a record that is accepted survives being written and read again unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <variant>

#include "core/base/error.h"
#include "core/record/record.h"

namespace {

using namespace actool::record;

template <typename T>
void roundTrip(const Record& record) {
  const T* read = std::get_if<T>(&record);
  if (read == nullptr) return;
  const actool::Json first = read->toJson();
  if (std::get<T>(parseLine(actool::dumpLine(first))).toJson() != first) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::optional<Record> record;
  try {
    record = parseLine(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const actool::Error&) {
    return 0;
  }
  roundTrip<Discovered>(*record);
  roundTrip<Image>(*record);
  return 0;
}
