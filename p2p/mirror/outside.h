// What the mirror asks of the other tools, behind an interface that the tests fake. Nothing here
// talks to the network or decides what to believe: `actool fetch` and `actool image` do.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cas/layout/distributed.h"
#include "core/base/error.h"
#include "core/record/record.h"
#include "core/record/versions.h"
#include "core/schema/app_ref.h"

namespace actool::mirror {

// The answer to one reference that was to be fetched: the image, or why there is none.
struct Fetched {
  std::optional<record::Image> image;
  ExitCode code = ExitCode::ok;  // what the tool that failed has said itself
};

enum class Freshness {
  stored,  // what the store has of it is good enough
  asked    // the remote is asked whether there is a newer one
};

class Outside {
 public:
  virtual ~Outside() = default;
  // Into the store, verified by the operator's keys, dependencies too when `dependencies` says so.
  // One answer for each, in their order. Failures have been told to the operator.
  virtual std::vector<Fetched> fetch(const std::vector<schema::AppRef>& refs, Freshness freshness,
                                     bool dependencies) = 0;
  // What the name's own site lists. Throws NotFoundError where there is no list, NetworkError.
  virtual record::Versions versions(const schema::AcIdentifier& name) = 0;
  // By name with labels, image ID or a unique prefix of one. Throws NotFoundError.
  virtual record::Image resolve(const std::string& image) = 0;
  virtual std::vector<schema::AppRef> dependencies(const schema::ImageId& id) = 0;
  // The file as distributed; nothing when it was dropped.
  virtual std::optional<cas::DistributedImage> distributed(const schema::ImageId& id) = 0;
  // Holds file and signature against today's keys. Throws TrustError.
  virtual void verify(const schema::AcIdentifier& name, const Path& file,
                      const Path& signature) = 0;
  // The armoured public key of a fingerprint that is trusted for something; nothing when it is not.
  virtual std::optional<std::string> key(const std::string& fingerprint) = 0;
  // The torrent of `file`, an image of that name whose signature lies in `signature`, into
  // `output`.
  virtual void makeTorrent(const schema::AcIdentifier& name, const Path& file,
                           const Path& signature, const Path& output, const std::string& webSeed,
                           const std::vector<std::string>& trackers) = 0;
};

}  // namespace actool::mirror
