// The socket over which an OCI runtime hands out the terminal of a detached container.
#pragma once

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run::oci {

class ConsoleSocket {
 public:
  // Listens at `path`, which must be shorter than 108 bytes: UsageError otherwise.
  explicit ConsoleSocket(Path path);
  ~ConsoleSocket();
  ConsoleSocket(const ConsoleSocket&) = delete;
  ConsoleSocket& operator=(const ConsoleSocket&) = delete;

  const Path& path() const { return path_; }
  // The master side that the runtime has sent; Error when it sent none. To be called once the
  // runtime has ended: what it sent waits here.
  UniqueFd receive() const;

 private:
  Path path_;
  UniqueFd socket_;
};

}  // namespace actool::run::oci
