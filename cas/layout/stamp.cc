#include "cas/layout/stamp.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::string_view kHeader = "actool-verified 1\n";
constexpr std::size_t kMaxBytes = 4096;
constexpr std::size_t kFields = 7;

std::int64_t nanoseconds(const timespec& time) {
  constexpr std::int64_t kBillion = 1'000'000'000;
  return std::int64_t{time.tv_sec} * kBillion + time.tv_nsec;
}

FileLook lookOf(const struct stat& info) {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
          nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

// FNV-1a: tells whether anything changed, by accident or by hand. Who can forge times of change
// could write the stamp itself.
class Sum {
 public:
  void add(std::uint64_t value) {
    constexpr std::uint64_t kPrime = 0x100000001b3;
    for (int shift = 0; shift < 64; shift += 8)
      state_ = (state_ ^ ((value >> shift) & 0xff)) * kPrime;
  }
  // As a time that a stamp may have.
  std::int64_t value() const { return static_cast<std::int64_t>(state_ >> 1); }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

class TreeLook {
 public:
  explicit TreeLook(const Path& root) : root_(root) {}

  FileLook look() {
    const UniqueFd fd = openFile(root_.string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) fail();
    const FileLook own = lookOf(info);
    add(info);
    descend(fd.get());
    return {own.device, own.inode, names_, sum_.value(), changed_};
  }

 private:
  [[noreturn]] void fail() const { throwErrno("looking at the tree " + root_.string()); }

  void add(const struct stat& info) {
    const FileLook look = lookOf(info);
    for (const std::uint64_t value :
         {look.inode, look.size, static_cast<std::uint64_t>(look.modified),
          static_cast<std::uint64_t>(look.changed)}) {
      sum_.add(value);
    }
    changed_ = std::max(changed_, look.changed);
  }

  // In the order of the directory, which stays the same as long as nobody changes it.
  void descend(int fd) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(
        ::fdopendir(openFileAt(fd, ".", O_RDONLY | O_DIRECTORY).release()), ::closedir);
    if (!dir) fail();
    while (const dirent* entry = ::readdir(dir.get())) {  // NOLINT(concurrency-mt-unsafe)
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat info {};
      if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) fail();
      add(info);
      ++names_;
      if (S_ISDIR(info.st_mode)) {
        descend(openFileAt(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get());
      }
    }
  }

  const Path& root_;
  Sum sum_;
  std::uint64_t names_ = 0;
  std::int64_t changed_ = 0;
};

// Times before 1970 make no stamp: the file is read again each time.
std::optional<Stamp> parseStamp(std::string_view line) {
  const std::vector<std::string_view> fields = split(line, ' ');
  if (fields.size() != kFields) return std::nullopt;
  std::array<std::uint64_t, kFields - 1> numbers{};
  for (std::size_t i = 0; i + 1 < kFields; ++i) {
    const auto number = parseUint(fields[i]);
    if (!number) return std::nullopt;
    numbers.at(i) = *number;
  }
  return Stamp{.name = std::string(fields.back()),
               .look = {numbers[1], numbers[2], numbers[3], static_cast<std::int64_t>(numbers[4]),
                        static_cast<std::int64_t>(numbers[5])},
               .hashed = static_cast<std::int64_t>(numbers[0])};
}

}  // namespace

FileLook lookOf(int fd, std::string_view what) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throwErrno("looking at " + std::string(what));
  return lookOf(info);
}

FileLook lookOf(const Path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) throwErrno("looking at " + path.string());
  return lookOf(info);
}

FileLook lookOfTree(const Path& root) {
  return TreeLook(root).look();
}

std::vector<Stamp> readStamps(const Path& file) {
  const auto text = tryReadFile(file, kMaxBytes);
  if (!text || !text->starts_with(kHeader) || !text->ends_with('\n')) return {};
  std::vector<Stamp> stamps;
  const std::string_view lines = std::string_view(*text).substr(kHeader.size());
  for (const std::string_view line : split(lines, '\n')) {
    if (auto stamp = parseStamp(line)) stamps.push_back(std::move(*stamp));
  }
  return stamps;
}

void writeStamps(const Path& file, const std::vector<Stamp>& stamps) {
  std::string text(kHeader);
  for (const Stamp& stamp : stamps) {
    const FileLook& look = stamp.look;
    text += fmt::format("{} {} {} {} {} {} {}\n", stamp.hashed, look.device, look.inode, look.size,
                        look.modified, look.changed, stamp.name);
  }
  const Path fresh = file.string() + ".new" + std::to_string(::getpid());
  writeFilePlain(fresh, text);
  if (::rename(fresh.c_str(), file.c_str()) != 0) throwErrno("renaming " + fresh.string());
}

void addStamps(const Path& file, const std::vector<Stamp>& stamps) {
  auto all = readStamps(file);
  for (const Stamp& stamp : stamps) {
    std::erase_if(all, [&](const Stamp& old) { return old.name == stamp.name; });
    all.push_back(stamp);
  }
  writeStamps(file, all);
}

Stamp makeStamp(std::string name, const FileLook& look) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::move(name), look, std::chrono::duration_cast<Seconds>(now).count()};
}

bool isStamped(const std::vector<Stamp>& stamps, std::string_view name, const FileLook& look,
               std::chrono::system_clock::time_point now, Seconds maxAge) {
  const std::int64_t seconds = std::chrono::duration_cast<Seconds>(now.time_since_epoch()).count();
  return std::any_of(stamps.begin(), stamps.end(), [&](const Stamp& stamp) {
    return stamp.name == name && stamp.look == look && stamp.hashed <= seconds &&
           seconds - stamp.hashed < maxAge.count();
  });
}

}  // namespace actool::cas
