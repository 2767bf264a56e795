// By which way images come (docs/p2p.md, Which transport).
#pragma once

#include <string_view>

namespace actool::fetch {

enum class Transport {
  automatic,  // "auto": a swarm where one is announced, with the web's place as one of its sources
  https,      // the web alone
  torrent,    // swarms alone
};

Transport parseTransport(std::string_view word);  // throws UsageError

}  // namespace actool::fetch
