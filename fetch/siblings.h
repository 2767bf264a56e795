// What this tool asks of the other tools, behind interfaces that the tests fake. Calls may
// come from several threads at once.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/record/record.h"
#include "core/schema/image_manifest.h"

namespace actool::fetch {

// What the store knows of the bytes at a URL.
struct Remote {
  std::string url;
  std::string etag;
  bool fresh = false;  // their max-age has not passed
  schema::ImageId id;
};

// Read access to the store (`actool image resolve|remote|cat-manifest`).
class StoreQuery {
 public:
  virtual ~StoreQuery() = default;
  // By name with labels, image ID or a unique prefix of one.
  virtual std::optional<record::Image> resolve(const std::string& image) = 0;
  virtual std::optional<Remote> remote(const std::string& url) = 0;
  // Notes what a response said of the bytes at `url`, which the store has. An empty ETag leaves
  // the one it knows.
  virtual void noteRemote(const std::string& url, const std::string& etag,
                          std::chrono::seconds maxAge) = 0;
  virtual schema::ImageManifest manifest(const schema::ImageId& id) = 0;
};

// Names to endpoints (`actool discover`).
class Discoverer {
 public:
  virtual ~Discoverer() = default;
  virtual record::Discovered discover(const schema::AppRef& ref) = 0;
  // Of the name's own pages alone, whatever mirrors there are.
  virtual record::Discovered discoverOrigin(const schema::AppRef& ref) = 0;
};

// --trust-keys-from-https (`actool trust`).
class KeyTruster {
 public:
  virtual ~KeyTruster() = default;
  // Trusts the keys that the name's page announces for the name, unless a key is trusted for it
  // already.
  virtual void trustAnnounced(const schema::AcIdentifier& name) = 0;
};

}  // namespace actool::fetch
