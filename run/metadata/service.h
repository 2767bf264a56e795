// The answers of a pod's metadata service (appc spec/ace.md, App Container Metadata Service), apart
// from HTTP itself.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/base/uuid.h"
#include "core/schema/image_id.h"

namespace actool::run::metadata {

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kText = "text/plain; charset=us-ascii";

// A form that is signed is a few lines.
inline constexpr std::size_t kMaxForm = 1 << 20;

struct AppMetadata {
  schema::ImageId imageId;
  std::string imageManifest;  // the bytes
  std::string annotations;    // JSON: the image's, then the pod's for this app
};

// Everything that the service knows; nothing is read while it runs.
struct PodMetadata {
  Uuid uuid;
  std::string token;
  std::string key;       // of this host; a pod's key is made of it and the pod's UUID
  std::string manifest;  // the bytes
  std::string annotations;
  std::map<std::string, AppMetadata> apps;

  // From the pod's directory: `pod`, `appsinfo/*/manifest`, `metadata-key`. Throws Error.
  static PodMetadata load(const std::string& directory, const Uuid& uuid, std::string token);
};

struct Reply {
  int status = 200;
  std::string_view contentType = kText;
  std::string body;
};
using Form = std::map<std::string, std::string>;

// What is asked for by GET or POST at `path` ("/TOKEN/acMetadata/v1/pod/uuid"). Without the
// right token every path is unknown: 404.
Reply answer(const PodMetadata& pod, std::string_view method, std::string_view path,
             const Form& form);

// The base64 of the HMAC-SHA512 (RFC 2104) of `content` with the key of pod `uuid`.
std::string sign(std::string_view hostKey, const Uuid& uuid, std::string_view content);

}  // namespace actool::run::metadata
