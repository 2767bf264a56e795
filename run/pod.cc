#include "run/pod.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

using std::chrono::system_clock;

// Small files of stage1: a number and perhaps a newline.
constexpr std::size_t kMaxNumberFile = 64;
// The pod manifest holds a few image manifests.
constexpr std::size_t kMaxPodManifest = 16 << 20;
constexpr auto kPollInterval = std::chrono::milliseconds(20);

bool tryFlock(int fd, int operation) {
  while (::flock(fd, operation | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) throwErrno("locking a pod's directory");
  }
  return true;
}

system_clock::time_point toTime(const timespec& time) {
  return system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

std::optional<system_clock::time_point> modified(const Path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return toTime(info.st_mtim);
  if (errno == ENOENT) return std::nullopt;
  throwErrno("looking at " + path.string());
}

template <typename Int>
std::optional<Int> readNumber(const Path& path) {
  const std::optional<std::string> text = tryReadFile(path, kMaxNumberFile);
  if (!text) return std::nullopt;
  const std::string_view digits = trim(*text);
  Int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  // A file that is being written is read as not there yet.
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

void makePhases(const PodsLayout& pods) {
  // Root only below: a pod's upper layers may hold set-user-ID programs that no other user of
  // the host should reach.
  makeDirs(pods.dir(), 0750);
  for (const Phase phase : kPhases)
    makeDirs(pods.phaseDir(phase), 0750);
}

}  // namespace

std::string_view podStateName(PodState state) {
  switch (state) {
    case PodState::embryo:
      return "embryo";
    case PodState::preparing:
      return "preparing";
    case PodState::abortedPrepare:
      return "aborted prepare";
    case PodState::prepared:
      return "prepared";
    case PodState::running:
      return "running";
    case PodState::exited:
      return "exited";
    case PodState::exitedGarbage:
      return "exited garbage";
    case PodState::exitedDeleting:
      return "exited deleting";
    case PodState::garbage:
      return "garbage";
    case PodState::deleting:
      return "deleting";
  }
  return "";  // unreachable: every value has its case
}

Pod Pod::create(const PodsLayout& pods) {
  Uuid uuid = Uuid::random();
  const Path embryo = pods.podDir(Phase::embryo, uuid);
  if (::mkdir(embryo.c_str(), 0750) != 0) {
    if (errno != ENOENT) throwErrno("creating pod directory " + embryo.string());
    makePhases(pods);
    if (::mkdir(embryo.c_str(), 0750) != 0) throwErrno("creating pod directory " + embryo.string());
  }
  Pod pod(pods, std::move(uuid), Phase::embryo,
          openFile(embryo.string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  // Waits: `list` may be looking just now.
  while (::flock(pod.fd_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throwErrno("locking pod directory " + embryo.string());
  }
  pod.locked_ = true;
  if (!pod.moveTo(Phase::prepare)) {
    throw Error("pod directory " + embryo.string() + " was moved or removed by another process");
  }
  return pod;
}

std::optional<Pod> Pod::open(const PodsLayout& pods, const Uuid& uuid) {
  // Pods move only forwards in this order, so one that moves meanwhile is met further on.
  for (const Phase phase : kPhases) {
    UniqueFd fd = tryOpen(pods.podDir(phase, uuid).string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd) return Pod(pods, uuid, phase, std::move(fd));
  }
  return std::nullopt;
}

Pod Pod::find(const PodsLayout& pods, std::string_view uuidOrPrefix) {
  std::string wanted(uuidOrPrefix);
  for (char& c : wanted)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');

  std::optional<Uuid> uuid = Uuid::parse(wanted);
  if (!uuid) {
    if (wanted.empty() || wanted.find_first_not_of("0123456789abcdef-") != std::string::npos) {
      throw UsageError(
          "'" + printable(uuidOrPrefix) + "' is not a pod's UUID or the beginning of one",
          "`actool list` shows the pods");
    }
    std::set<std::string> found;
    for (const Phase phase : kPhases) {
      for (const std::string& name : listDir(pods.phaseDir(phase)))
        if (name.starts_with(wanted)) found.insert(name);
    }
    if (found.size() > 1) {
      throw UsageError("'" + wanted + "' is the beginning of several pods' UUIDs: " +
                           join({found.begin(), found.end()}, ", "),
                       "give more digits");
    }
    if (!found.empty()) uuid = Uuid::parse(*found.begin());
  }
  if (uuid) {
    if (std::optional<Pod> pod = open(pods, *uuid)) return std::move(*pod);
  }
  throw NotFoundError("there is no pod '" + wanted + "'", "`actool list` shows the pods");
}

std::vector<Pod> Pod::list(const PodsLayout& pods, const std::vector<Phase>& phases) {
  std::map<Uuid, Pod> found;
  for (const Phase phase : phases) {
    for (const std::string& name : listDir(pods.phaseDir(phase))) {
      const std::optional<Uuid> uuid = Uuid::parse(name);
      if (!uuid) continue;
      UniqueFd fd =
          tryOpen(pods.podDir(phase, *uuid).string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!fd) continue;
      // A pod that moved on since it was met before is told by where it is now.
      found.insert_or_assign(*uuid, Pod(pods, *uuid, phase, std::move(fd)));
    }
  }
  std::vector<Pod> list;
  list.reserve(found.size());
  for (auto& [uuid, pod] : found)
    list.push_back(std::move(pod));
  return list;
}

PodState Pod::state() const {
  bool busy = locked_;
  if (!busy && phase_ != Phase::embryo && phase_ != Phase::prepared) {
    busy = !tryFlock(fd_.get(), LOCK_SH);
    if (!busy) ::flock(fd_.get(), LOCK_UN);
  }
  switch (phase_) {
    case Phase::embryo:
      return PodState::embryo;
    case Phase::prepare:
      return busy ? PodState::preparing : PodState::abortedPrepare;
    case Phase::prepared:
      return PodState::prepared;
    case Phase::run:
      return busy ? PodState::running : PodState::exited;
    case Phase::exitedGarbage:
      return busy ? PodState::exitedDeleting : PodState::exitedGarbage;
    case Phase::garbage:
      return busy ? PodState::deleting : PodState::garbage;
  }
  return PodState::embryo;  // unreachable: every value has its case
}

bool Pod::tryLock() {
  if (!locked_) locked_ = tryFlock(fd_.get(), LOCK_EX);
  return locked_;
}

void Pod::lockFor(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!tryLock()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      throw InUseError("pod " + uuid_.str() + " is locked by another process",
                       "wait for it to end and try again");
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

bool Pod::waitUnlocked(std::optional<std::chrono::milliseconds> timeout) const {
  if (!timeout) {
    while (::flock(fd_.get(), LOCK_SH) != 0) {
      if (errno != EINTR) throwErrno("waiting for pod " + uuid_.str());
    }
    ::flock(fd_.get(), LOCK_UN);
    return true;
  }
  const auto deadline = std::chrono::steady_clock::now() + *timeout;
  while (!tryFlock(fd_.get(), LOCK_SH)) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
  ::flock(fd_.get(), LOCK_UN);
  return true;
}

void Pod::unlock() {
  ::flock(fd_.get(), LOCK_UN);
  locked_ = false;
}

bool Pod::moveTo(Phase phase) {
  const Path from = pods_.podDir(phase_, uuid_);
  const Path to = pods_.podDir(phase, uuid_);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    if (errno != ENOENT) throwErrno("renaming " + from.string() + " to " + to.string());
    if (!actool::exists(pods_.phaseDir(phase))) {
      makePhases(pods_);
      return moveTo(phase);
    }
    return false;
  }
  phase_ = phase;
  return true;
}

system_clock::time_point Pod::phaseEntered() const {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) throwErrno("looking at pod " + uuid_.str());
  return toTime(info.st_ctim);
}

std::optional<system_clock::time_point> Pod::created() const {
  return modified(layout().created());
}

std::optional<system_clock::time_point> Pod::started() const {
  if (const auto time = modified(layout().pid())) return time;
  return modified(layout().ppid());
}

std::optional<schema::PodManifest> Pod::manifest() const {
  const std::optional<std::string> text = tryReadFile(layout().manifest(), kMaxPodManifest);
  if (!text) return std::nullopt;
  return schema::PodManifest::parse(*text, "manifest of pod " + uuid_.str());
}

std::optional<pid_t> Pod::pid() const {
  if (const auto pid = readNumber<pid_t>(layout().pid())) return pid;
  const auto parent = readNumber<pid_t>(layout().ppid());
  // An ended pod's parent may be any process by now.
  if (!parent || state() != PodState::running) return std::nullopt;
  const std::string id = std::to_string(*parent);
  return readNumber<pid_t>("/proc/" + id + "/task/" + id + "/children");
}

std::optional<int> Pod::exitStatus(const schema::AcName& app) const {
  return readNumber<int>(layout().statusFile(app));
}

std::string readUuidFile(const Path& path) {
  const std::string text = readFile(path, 4096);
  const std::optional<Uuid> uuid = Uuid::parse(trim(text));
  if (!uuid) throw UsageError(path.string() + " does not hold a pod's UUID");
  return uuid->str();
}

}  // namespace actool::run
