// Where a volume is written to: complete under its name, or not there.
#pragma once

#include <string>

#include "cas/aci_writer.h"
#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::cas {

// Bytes into a descriptor, which stays the caller's. `what` names it in errors.
class FdSink : public ByteSink {
 public:
  FdSink(int fd, std::string what) : fd_(fd), what_(std::move(what)) {}
  void write(std::span<const std::byte> bytes) override { writeAll(fd_, bytes, what_); }

 private:
  int fd_;
  std::string what_;
};

// A file that grows as ".NAME.part" beside its name. Unlike AciOutput it works on the file systems
// of memory sticks (FAT knows no modes), and what a killed process left has the one name under
// which the next one continues, so that nothing piles up.
class VolumeFile : public ByteSink {
 public:
  // Throws InUseError when another process writes the same file.
  explicit VolumeFile(Path path);
  ~VolumeFile() override;  // removes the file unless commit() was reached

  void write(std::span<const std::byte> bytes) override;
  // To the disk, then under its name, which another file may have had. The point of no return.
  void commit();

 private:
  Path path_;
  Path part_;
  UniqueFd fd_;
};

}  // namespace actool::cas
