// What stored files looked like when their bytes were last read and found good, so that a run
// need not read them all again (docs/store-format.md, Stamps). Links no database.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"

namespace actool::cas {

// A file as stat(2) shows it. Nobody can write to a file, or put another one in its place, and have
// it look the same: the kernel alone sets the time of change.
struct FileLook {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // nanoseconds since 1970
  std::int64_t changed = 0;

  bool operator==(const FileLook&) const = default;
};

// Throws SystemError.
FileLook lookOf(int fd, std::string_view what);
FileLook lookOf(const Path& path);

// Of a whole tree: device and inode of its root, how many names are below it, the latest time of
// change, and, in place of a time of modification, a sum over what stat(2) shows of every file.
// Anything that is done to any file of it changes that. Costs a stat(2) for each; reads no content.
// Throws SystemError.
FileLook lookOfTree(const Path& root);

// The names of stamps.
inline constexpr std::string_view kTarStamp = "tar";
inline constexpr std::string_view kMetadataStamp = "erofs";
inline constexpr std::string_view kDevicesStamp = "devices";
inline constexpr std::string_view kTreeStamp = "rootfs";  // its look is lookOfTree()'s

struct Stamp {
  std::string name;  // one of the above
  FileLook look;
  std::int64_t hashed = 0;  // seconds since 1970
};

using Seconds = std::chrono::seconds;

// The stamps in a file "verified"; none when there is no such file or it is not one: nothing is
// believed then, and everything read again.
std::vector<Stamp> readStamps(const Path& file);
// Replaces the file, not durably: after a crash there may be none.
void writeStamps(const Path& file, const std::vector<Stamp>& stamps);
// As writeStamps(), but the file's other stamps stay.
void addStamps(const Path& file, const std::vector<Stamp>& stamps);

// A stamp of now.
Stamp makeStamp(std::string name, const FileLook& look);

// Whether the file `name` looks now as it did when it was hashed, less than `maxAge` ago.
bool isStamped(const std::vector<Stamp>& stamps, std::string_view name, const FileLook& look,
               std::chrono::system_clock::time_point now, Seconds maxAge);

}  // namespace actool::cas
