// The guest's initial root file system: our own program, modules, and what it is told about the
// pod.
#pragma once

#include <string>

#include "core/base/fd.h"
#include "core/base/fs.h"

struct archive;

namespace actool::run::vm {

// A cpio archive ("newc") in memory, as the kernel takes it. Everything in it is root's.
class Initrd {
 public:
  Initrd();
  ~Initrd();
  Initrd(const Initrd&) = delete;
  Initrd& operator=(const Initrd&) = delete;

  // `path` is relative; directories on the way to it are made. Throws Error.
  void addText(const std::string& path, std::string_view content, int mode = 0644);
  void addFile(const std::string& path, const Path& source, int mode = 0644);
  // The finished archive, from its beginning. To be called once, last.
  UniqueFd finish();

 private:
  void addParents(const std::string& path);
  void addEntry(const std::string& path, int type, int mode, std::size_t size);
  void check(int code);

  UniqueFd memory_;
  archive* writer_;
  std::string parents_;  // those there are, each with newlines around it
};

}  // namespace actool::run::vm
