// IngestClient over `actool-image ingest` as a child process.
#pragma once

#include "fetch/ingest_client.h"
#include "fetch/sibling_process.h"

namespace actool::fetch {

class ProcessIngestClient final : public IngestClient {
 public:
  explicit ProcessIngestClient(const Siblings& siblings) : siblings_(siblings) {}
  std::unique_ptr<IngestSession> begin(const IngestRequest& request) override;
  record::Image ingestFile(const IngestRequest& request, const Path& file) override;

 private:
  const Siblings& siblings_;
};

}  // namespace actool::fetch
