#include "fetch/transport.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::fetch {

Transport parseTransport(std::string_view word) {
  if (word == "auto") return Transport::automatic;
  if (word == "https") return Transport::https;
  if (word == "torrent") return Transport::torrent;
  throw UsageError(fmt::format("--transport: \"{}\" is not known", printable(word)),
                   "it is one of auto, https, torrent");
}

}  // namespace actool::fetch
