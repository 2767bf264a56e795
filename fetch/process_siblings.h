// StoreQuery, Discoverer and KeyTruster over the other tools as child processes.
#pragma once

#include <mutex>
#include <set>

#include "core/cli/sibling_tool.h"
#include "fetch/siblings.h"

namespace actool::fetch {

class ProcessStoreQuery final : public StoreQuery {
 public:
  explicit ProcessStoreQuery(const cli::Siblings& siblings) : siblings_(siblings) {}
  std::optional<record::Image> resolve(const std::string& image) override;
  std::optional<Remote> remote(const std::string& url) override;
  void noteRemote(const std::string& url, const std::string& etag,
                  std::chrono::seconds maxAge) override;
  schema::ImageManifest manifest(const schema::ImageId& id) override;

 private:
  // Standard output; nothing when the tool says "not found" (252).
  std::optional<std::string> query(const std::vector<std::string>& args);

  const cli::Siblings& siblings_;
};

class ProcessDiscoverer final : public Discoverer {
 public:
  explicit ProcessDiscoverer(const cli::Siblings& siblings) : siblings_(siblings) {}
  record::Discovered discover(const schema::AppRef& ref) override;
  record::Discovered discoverOrigin(const schema::AppRef& ref) override;

 private:
  record::Discovered run(const std::vector<std::string>& args) const;

  const cli::Siblings& siblings_;
};

class ProcessKeyTruster final : public KeyTruster {
 public:
  explicit ProcessKeyTruster(const cli::Siblings& siblings) : siblings_(siblings) {}
  void trustAnnounced(const schema::AcIdentifier& name) override;

 private:
  bool hasTrustedKey(const schema::AcIdentifier& name) const;

  const cli::Siblings& siblings_;
  std::mutex mutex_;  // two dependencies may have one name
  std::set<schema::AcIdentifier> done_;
};

}  // namespace actool::fetch
