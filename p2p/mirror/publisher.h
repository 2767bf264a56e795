// From images of the store to releases of a site, and what that changed.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "p2p/mirror/outside.h"
#include "p2p/mirror/site.h"
#include "p2p/mirror/sync.h"

namespace actool::mirror {

class Publisher {
 public:
  // All outlive the object.
  Publisher(const Site& site, SiteWriter& writer, Outside& outside)
      : site_(site), writer_(writer), outside_(outside) {}

  // What the site had of a name when this run began; valid as long as the object.
  const std::optional<record::Versions>& current(const schema::AcIdentifier& name);
  // Whether its files are in the site, at the size they should have.
  bool isPlaced(const record::ListedImage& image) const;

  // Copies an image of the store, with its signature and torrent, into the site, where nothing
  // leads to it yet. Without `versioned` it is listed as what is served when no version is asked
  // for. `verify` holds it against today's keys first. Throws Error.
  record::ListedImage place(const record::Image& image, bool versioned, bool verify);

  // The next release of a name: these images and no others. Names without any lose their page.
  void publish(const schema::AcIdentifier& name, std::vector<record::ListedImage> images);
  // After the last one: the pages beside those of names.
  void finish();

  const std::vector<ChangeLine>& changes() const { return changes_; }

  // Says why something failed, once, on standard error.
  static void tell(const Error& error);

 private:
  std::vector<Digest> keysOf(const std::vector<record::ListedImage>& images);
  void noteChanges(const schema::AcIdentifier& name,
                   const std::vector<record::ListedImage>& images);
  void placeTorrent(const schema::AcIdentifier& name, const record::ListedImage& image);

  const Site& site_;
  SiteWriter& writer_;
  Outside& outside_;
  std::map<schema::AcIdentifier, std::optional<record::Versions>> current_;
  std::map<std::string, std::optional<Digest>> keys_;  // by fingerprint
  std::vector<ChangeLine> changes_;
};

}  // namespace actool::mirror
