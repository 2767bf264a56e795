// An uncompressed tar in a file, with what is not needed passed over by seeking.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "cas/aci_source.h"

namespace actool::cas {

class FileTarSource : public AciSource {
 public:
  // Reads `fd`, a regular file, from its beginning by pread(2); the descriptor stays the caller's
  // and its offset as it is. `what` names the file in errors.
  FileTarSource(int fd, std::string what);

  std::span<const std::byte> next() override;
  bool skip(std::uint64_t count) override;

 private:
  int fd_;
  std::string what_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  bool skipped_ = false;
  std::vector<std::byte> buffer_;
};

}  // namespace actool::cas
