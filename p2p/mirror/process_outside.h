// Outside over the other tools as child processes, and the store's files.
#pragma once

#include <map>

#include "cas/layout.h"
#include "core/cli/sibling_tool.h"
#include "p2p/mirror/outside.h"

namespace actool::mirror {

class ProcessOutside final : public Outside {
 public:
  // `globals` and `siblings` outlive the object.
  ProcessOutside(const cli::Globals& globals, const cli::Siblings& siblings)
      : globals_(globals), siblings_(siblings) {}

  std::vector<Fetched> fetch(const std::vector<schema::AppRef>& refs, Freshness freshness,
                             bool dependencies) override;
  record::Versions versions(const schema::AcIdentifier& name) override;
  record::Image resolve(const std::string& image) override;
  std::vector<schema::AppRef> dependencies(const schema::ImageId& id) override;
  std::optional<cas::DistributedImage> distributed(const schema::ImageId& id) override;
  void verify(const schema::AcIdentifier& name, const Path& file, const Path& signature) override;
  std::optional<std::string> key(const std::string& fingerprint) override;
  void makeTorrent(const schema::AcIdentifier& name, const Path& file, const Path& signature,
                   const Path& output, const std::string& webSeed,
                   const std::vector<std::string>& trackers) override;

 private:
  const cas::StoreReader& store();

  const cli::Globals& globals_;
  const cli::Siblings& siblings_;
  std::optional<std::map<std::string, Path>> keyFiles_;  // by fingerprint
  std::optional<cas::StoreReader> store_;
};

}  // namespace actool::mirror
