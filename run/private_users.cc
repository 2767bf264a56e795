#include "run/private_users.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/lock.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

constexpr std::size_t kMaxRecord = 64;
// A host with a range for each of thousands of users.
constexpr std::size_t kMaxSubordinates = 16 << 20;
constexpr std::string_view kOwner = "actool";
// systemd's container range, UIDS.md: beyond what users and services get.
constexpr std::uint32_t kFirstPicked = 0x00080000;
constexpr std::uint32_t kLastPicked = 0x6fff0000;
constexpr auto kPatience = std::chrono::seconds(30);
constexpr std::array kPhases = {Phase::embryo, Phase::prepare,       Phase::prepared,
                                Phase::run,    Phase::exitedGarbage, Phase::garbage};

std::string readIfThere(const Path& path) {
  return tryReadFile(path, kMaxSubordinates).value_or("");
}

bool within(const IdRange& outer, std::uint64_t first) {
  return first >= outer.first && first + kIdsOfPod <= std::uint64_t{outer.first} + outer.count;
}

// In whole steps, so that what is free is seen by where ranges begin.
std::vector<std::uint32_t> candidates(const std::vector<IdRange>& users,
                                      const std::vector<IdRange>& groups) {
  std::vector<std::uint32_t> firsts;
  for (const IdRange& range : users) {
    for (std::uint64_t first = range.first; within(range, first); first += kIdsOfPod) {
      const bool both = std::any_of(groups.begin(), groups.end(),
                                    [&](const IdRange& other) { return within(other, first); });
      if (both) firsts.push_back(static_cast<std::uint32_t>(first));
    }
  }
  return firsts;
}

std::vector<IdRange> takenByPods(const PodsLayout& pods) {
  std::vector<IdRange> taken;
  for (const Phase phase : kPhases) {
    if (!actool::exists(pods.phaseDir(phase))) continue;
    for (const std::string& name : listDir(pods.phaseDir(phase))) {
      if (const auto range = idRangeOf(PodLayout(pods.phaseDir(phase) / name))) {
        taken.push_back(*range);
      }
    }
  }
  return taken;
}

bool isFree(std::uint32_t first, const std::vector<IdRange>& taken) {
  const IdRange wanted{first, kIdsOfPod};
  return std::none_of(taken.begin(), taken.end(),
                      [&](const IdRange& one) { return one.overlaps(wanted); });
}

std::optional<std::uint32_t> pick(const Uuid& uuid, const PodsLayout& pods) {
  const std::string subuid = readIfThere("/etc/subuid");
  const std::string subgid = readIfThere("/etc/subgid");
  std::vector<IdRange> taken = takenByPods(pods);
  const std::size_t seed = std::hash<std::string>{}(uuid.str());

  const auto given = candidates(subordinateIds(subuid, kOwner), subordinateIds(subgid, kOwner));
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::uint32_t first = given[(seed + i) % given.size()];
    if (isFree(first, taken)) return first;
  }
  if (!given.empty()) return std::nullopt;

  for (const std::string* text : {&subuid, &subgid}) {
    const auto others = subordinateIds(*text, "");
    taken.insert(taken.end(), others.begin(), others.end());
  }
  constexpr std::uint32_t kPlaces = (kLastPicked - kFirstPicked) / kIdsOfPod + 1;
  for (std::uint32_t i = 0; i < kPlaces; ++i) {
    const auto place = static_cast<std::uint32_t>((seed + i) % kPlaces);
    const std::uint32_t first = kFirstPicked + place * kIdsOfPod;
    if (isFree(first, taken)) return first;
  }
  return std::nullopt;
}

}  // namespace

void assignIdRange(const Pod& pod, const PodsLayout& pods) {
  // Two pods that are made at once must not find the same range free.
  const FileLock lock = FileLock::acquireFor(pods.dir() / "private-users.lck", LockMode::exclusive,
                                             kPatience, "the list of the pods' user IDs");
  const auto first = pick(pod.uuid(), pods);
  if (!first) {
    throw Error("there are no user IDs left for the pod",
                "remove pods, or give the name actool more of them in /etc/subuid and /etc/subgid");
  }
  writeFilePlain(pod.layout().privateUsers(), IdRange{*first, kIdsOfPod}.text() + "\n");
}

std::optional<IdRange> idRangeOf(const PodLayout& pod) {
  const auto text = tryReadFile(pod.privateUsers(), kMaxRecord);
  if (!text) return std::nullopt;
  const auto range = IdRange::parse(trim(*text));
  if (!range) throw Error(pod.privateUsers().string() + " has no range of IDs");
  return range;
}

}  // namespace actool::run
