// An ACI file being written: complete under its name, or not there.
#pragma once

#include <memory>

#include "cas/aci_writer.h"
#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::cas {

struct OutputOptions {
  bool overwrite = false;  // an existing file is replaced; otherwise it is an error
  bool compress = true;    // gzip with an empty header: the same bytes every time
};

class AciOutput : public ByteSink {
 public:
  // Starts a temporary file beside `path`. Throws UsageError when `path` exists and may not be
  // replaced.
  AciOutput(Path path, const OutputOptions& options);
  ~AciOutput() override;  // removes the file unless commit() was reached

  void write(std::span<const std::byte> bytes) override;
  // All has been written: what follows may read temporary().
  void close();
  const Path& temporary() const { return temporary_; }
  // Gives the file its name. The point of no return.
  void commit();

 private:
  struct Gzip;

  Path path_;
  OutputOptions options_;
  Path temporary_;
  UniqueFd fd_;
  std::unique_ptr<Gzip> gzip_;
  std::string pending_;  // small writes, put together
};

}  // namespace actool::cas
