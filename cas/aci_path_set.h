// Which paths an archive has had, in 16 bytes a path whatever their length.
//
// A path stands in it as 125 bits of SipHash-2-4 under a random key of this process, so that
// nobody can make two paths of one image collide but by luck of one in 2^86.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace actool::cas {

// What is known of a path.
enum class PathKind : std::uint8_t {
  implied = 0,  // a directory that only lies above others; it may still get its own entry
  directory = 1,
  symlink = 2,
  other = 3,  // whatever else is no directory
};

class PathSet {
 public:
  PathSet();
  ~PathSet();
  PathSet(const PathSet&) = delete;
  PathSet& operator=(const PathSet&) = delete;

  std::optional<PathKind> find(std::string_view path) const;
  void put(std::string_view path, PathKind kind);  // inserts or changes
  std::uint64_t size() const { return used_; }

 private:
  struct Slot {
    std::uint64_t low = 0;
    std::uint64_t high = 0;  // the two lowest bits are the kind
  };
  struct Mac;

  Slot hash(std::string_view path) const;
  std::size_t locate(const std::vector<Slot>& slots, const Slot& key) const;
  void grow();

  std::unique_ptr<Mac> mac_;
  std::vector<Slot> slots_;  // a power of two; empty slots are all zero
  std::uint64_t used_ = 0;
};

}  // namespace actool::cas
