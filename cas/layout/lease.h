// What keeps images from being collected beside pods and other images: files in <dir>/leases/
// (docs/store-format.md, Leases). They need no database and survive the loss of the index.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cas/layout.h"
#include "core/base/json.h"
#include "core/base/lock.h"
#include "core/schema/image_id.h"

namespace actool::cas {

struct Lease {
  std::string name;  // lower-case letters, digits, '.', '_' and '-'; at most 64, no dot first
  std::string created = {};  // RFC 3339
  std::string expires = {};  // RFC 3339; empty: it never does
  // It holds as long as some process has a shared flock(2) on its file, however that process ends.
  bool whileLocked = false;
  std::vector<schema::ImageId> images = {};

  Json toJson() const;
  static Lease parse(std::string_view text, std::string_view what);  // throws Error
  bool isOver(std::chrono::system_clock::time_point now) const;
};

// Throws UsageError on what is no name of a lease.
void checkLeaseName(const std::string& name);

// All of them that hold at `now`, by name. A file that can't be read is an error: what it held
// must not be collected.
std::vector<Lease> activeLeases(const StoreLayout& layout,
                                std::chrono::system_clock::time_point now);
// Removes the files of those that are over. Under the store's lock.
void dropLeases(const StoreLayout& layout, std::chrono::system_clock::time_point now);

// Makes the lease or replaces the one of that name. Under the store's lock, so that no collection
// comes between looking for the images and this.
void writeLease(const StoreLayout& layout, const Lease& lease);
// False when there is none.
bool removeLease(const StoreLayout& layout, const std::string& name);

// A lease with `whileLocked` that ends with its owner, or with the process. For who gives images
// to others for as long as it runs.
class HeldLease {
 public:
  // Under the store's lock too.
  static HeldLease take(const StoreLayout& layout, Lease lease);
  ~HeldLease();
  HeldLease(HeldLease&&) = default;
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;
  HeldLease& operator=(HeldLease&&) = delete;

 private:
  HeldLease(Path file, FileLock lock) : file_(std::move(file)), lock_(std::move(lock).release()) {}

  Path file_;
  UniqueFd lock_;
};

}  // namespace actool::cas
