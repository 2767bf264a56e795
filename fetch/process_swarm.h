// SwarmClient over `actool-p2p get` as a child process.
#pragma once

#include "core/cli/sibling_tool.h"
#include "fetch/swarm_client.h"

namespace actool::fetch {

class ProcessSwarmClient final : public SwarmClient {
 public:
  ProcessSwarmClient(const cli::Siblings& siblings, SwarmWords words)
      : siblings_(siblings), words_(std::move(words)) {}
  bool available() const override;
  record::Image get(const std::string& torrent, const IngestRequest& request,
                    const std::vector<std::string>& webSeeds,
                    const SwarmProgress& progress) override;

 private:
  const cli::Siblings& siblings_;
  SwarmWords words_;
};

}  // namespace actool::fetch
