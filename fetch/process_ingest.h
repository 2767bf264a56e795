// IngestClient over `actool-image ingest` as a child process.
#pragma once

#include "core/cli/sibling_tool.h"
#include "fetch/ingest_client.h"

namespace actool::fetch {

class ProcessIngestClient final : public IngestClient {
 public:
  explicit ProcessIngestClient(const cli::Siblings& siblings) : siblings_(siblings) {}
  std::unique_ptr<IngestSession> begin(const IngestRequest& request) override;
  record::Image ingestFile(const IngestRequest& request, const Path& file) override;

 private:
  const cli::Siblings& siblings_;
};

}  // namespace actool::fetch
