// The metadata service of a pod (docs/native.md): a socket of the pod's, served by a process
// outside.
#pragma once

#include <optional>
#include <string>

#include "core/base/fd.h"
#include "core/base/process.h"
#include "core/base/uuid.h"

namespace actool::run::native {

// In the pod's network namespace: a listening socket on its loopback interface, and the URL of it
// with the token.
struct MetadataSocket {
  UniqueFd fd;
  std::string url;
};
MetadataSocket makeMetadataSocket(const std::string& token);

// The process; it ends with this object, or with the process that owns it. The working directory
// is the pod's.
class MetadataService {
 public:
  MetadataService(UniqueFd socket, std::string token, const Uuid& uuid);
  // Again, as the pod's manifest is now. Who connects meanwhile waits.
  void restart();

 private:
  UniqueFd socket_;
  std::string token_;
  std::string uuid_;
  std::optional<Child> child_;
};

}  // namespace actool::run::native
