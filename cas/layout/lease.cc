#include "cas/layout/lease.h"

#include <fmt/format.h>

#include <cstdio>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/schema/timestamp.h"

namespace actool::cas {

namespace {

constexpr std::string_view kLeaseKind = "actool-lease";
constexpr std::string_view kSuffix = ".json";
constexpr int kLeaseVersion = 1;
constexpr std::size_t kMaxNameBytes = 64;
// One line of 140 bytes for each image.
constexpr std::size_t kMaxLeaseBytes = 64 << 20;

Path leaseFile(const StoreLayout& layout, const std::string& name) {
  return layout.leasesDir() / (name + std::string(kSuffix));
}

// Nobody holds the file of a lease that is there only while somebody does.
bool isAbandoned(const Path& file) {
  return FileLock::tryAcquire(file, LockMode::exclusive).has_value();
}

template <typename Fn>
void forEachLease(const StoreLayout& layout, Fn&& fn) {
  for (const auto& entry : listDir(layout.leasesDir())) {
    if (!entry.ends_with(kSuffix)) continue;  // being written, or not ours
    const Path file = layout.leasesDir() / entry;
    const auto text = tryReadFile(file, kMaxLeaseBytes);
    if (text) fn(file, Lease::parse(*text, file.string()));
  }
}

bool holds(const Path& file, const Lease& lease, std::chrono::system_clock::time_point now) {
  return !lease.isOver(now) && !(lease.whileLocked && isAbandoned(file));
}

}  // namespace

void checkLeaseName(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
  if (good) return;
  throw UsageError(fmt::format("'{}' is no name for a lease", printable(name)),
                   "use up to 64 lower-case letters, digits, '.', '_' and '-'");
}

Json Lease::toJson() const {
  Json object = {{"kind", kLeaseKind}, {"version", kLeaseVersion},   {"name", name},
                 {"created", created}, {"whileLocked", whileLocked}, {"images", Json::array()}};
  if (!expires.empty()) object["expires"] = expires;
  for (const auto& id : images)
    object["images"].push_back(id.str());
  return object;
}

Lease Lease::parse(std::string_view text, std::string_view what) {
  return withContext(what, [&] {
    const Json object = parseJson(text, what, {.bytes = kMaxLeaseBytes});
    if (stringMember(object, "kind") != kLeaseKind) throw Error("\"kind\" is not a lease");
    if (member(object, "version") != kLeaseVersion) {
      throw Error("\"version\" is not one this release knows");
    }
    Lease lease{.name = stringMember(object, "name"),
                .created = stringMember(object, "created"),
                .expires = stringMemberOr(object, "expires", ""),
                .whileLocked = boolMemberOr(object, "whileLocked", false),
                .images = {}};
    checkLeaseName(lease.name);
    if (!lease.expires.empty()) schema::Timestamp::parse(lease.expires);
    for (const Json& image : listMember(object, "images")) {
      if (!image.is_string()) throw Error("\"images\" has something else than image IDs");
      lease.images.push_back(schema::ImageId::parse(image.get<std::string>()));
    }
    return lease;
  });
}

bool Lease::isOver(std::chrono::system_clock::time_point now) const {
  return !expires.empty() && schema::Timestamp::parse(expires).time() <= now;
}

std::vector<Lease> activeLeases(const StoreLayout& layout,
                                std::chrono::system_clock::time_point now) {
  std::vector<Lease> leases;
  forEachLease(layout, [&](const Path& file, Lease lease) {
    if (holds(file, lease, now)) leases.push_back(std::move(lease));
  });
  return leases;
}

void dropLeases(const StoreLayout& layout, std::chrono::system_clock::time_point now) {
  forEachLease(layout, [&](const Path& file, const Lease& lease) {
    if (!holds(file, lease, now)) removeTree(file);
  });
}

void writeLease(const StoreLayout& layout, const Lease& lease) {
  checkLeaseName(lease.name);
  makeDirs(layout.leasesDir());
  writeFileAtomic(leaseFile(layout, lease.name), dumpPretty(lease.toJson()));
}

bool removeLease(const StoreLayout& layout, const std::string& name) {
  checkLeaseName(name);
  const Path file = leaseFile(layout, name);
  if (!actool::exists(file)) return false;
  removeTree(file);
  syncDir(layout.leasesDir());
  return true;
}

HeldLease HeldLease::take(const StoreLayout& layout, Lease lease) {
  checkLeaseName(lease.name);
  lease.whileLocked = true;
  makeDirs(layout.leasesDir());
  const Path file = leaseFile(layout, lease.name);
  // Locked before it has its name: nobody finds it abandoned.
  const Path fresh = layout.leasesDir() / (lease.name + ".new");
  writeFilePlain(fresh, dumpPretty(lease.toJson()));
  FileLock lock = FileLock::acquire(fresh, LockMode::shared);
  if (!renameNoReplace(fresh, file)) {
    removeTree(fresh);
    throw InUseError(fmt::format("there is a lease {} already", lease.name));
  }
  return HeldLease(file, std::move(lock));
}

HeldLease::~HeldLease() {
  if (!lock_) return;
  // Who comes before the removal finds it unlocked soon enough.
  if (::unlink(file_.c_str()) != 0) log::debug("removing {}: errno {}", file_.string(), errno);
}

}  // namespace actool::cas
