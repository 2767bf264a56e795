// Files and directories: reading with limits, publishing durably, removing safely.
//
// Durable publication has one order everywhere: write a temporary file in the same
// directory, fsync it, rename it, fsync the directory. The rename is the point of no return.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace actool {

using Path = std::filesystem::path;

// The whole file. Throws NotFoundError when it does not exist, Error over `limit` bytes.
std::string readFile(const Path& path, std::size_t limit);
// As above, nothing when the file does not exist.
std::optional<std::string> tryReadFile(const Path& path, std::size_t limit);

// Replaces or creates `path` durably with `content`, in the order above.
void writeFileAtomic(const Path& path, std::string_view content, mode_t mode = 0644);

// Writes without fsync or atomicity: for files that live no longer than a process.
void writeFilePlain(const Path& path, std::string_view content, mode_t mode = 0644);

// mkdir -p; existing directories are left as they are.
void makeDirs(const Path& path, mode_t mode = 0755);

// fsync(2) on the directory, so that names made or removed in it survive a crash.
void syncDir(const Path& path);

// renameat2(RENAME_NOREPLACE). False when `to` exists already; throws on other failures.
bool renameNoReplace(const Path& from, const Path& to);

// rm -rf that never follows a symbolic link and crosses no mount point below `path`.
// A missing `path` is no error. Throws SystemError on the first failure.
void removeTree(const Path& path);

// Names in a directory, sorted, without "." and ".."; empty when it does not exist.
std::vector<std::string> listDir(const Path& path);

bool exists(const Path& path);  // lstat(2); ENOENT and ENOTDIR are false, the rest throws

// A directory that is removed with all in it when the owner goes.
class TempDir {
 public:
  // Made in `parent` as PREFIXxxxxxx, mode 0700.
  explicit TempDir(const Path& parent, std::string_view prefix = "tmp.");
  ~TempDir();
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&&) = delete;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const Path& path() const noexcept { return path_; }
  // Gives the directory up: it stays.
  Path release();

 private:
  Path path_;
};

// $TMPDIR or /tmp.
Path tempRoot();

}  // namespace actool
