#include "run/native/cgroups.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

constexpr std::size_t kMaxControllers = 4096;
// A process that has ended leaves its cgroup a moment later.
constexpr int kRemoveAttempts = 100;
constexpr auto kRemovePause = std::chrono::milliseconds(2);

std::string podName(const Uuid& pod) {
  return "actool-" + pod.str();
}

// Zero or errno.
int tryWrite(const Path& file, const std::string& value) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  return ::write(fd.get(), value.data(), value.size()) < 0 ? errno : 0;
}

bool hasController(const Path& file, const std::string& controller) {
  const auto text = tryReadFile(file, kMaxControllers);
  if (!text) return false;
  const std::vector<std::string_view> words = split(trim(*text), ' ');
  return std::find(words.begin(), words.end(), controller) != words.end();
}

// Whether children of the cgroup have the controller, if need be by giving it to them.
bool divides(const Path& cgroup, const std::string& controller) {
  if (hasController(cgroup / "cgroup.subtree_control", controller)) return true;
  if (!hasController(cgroup / "cgroup.controllers", controller)) return false;
  return tryWrite(cgroup / "cgroup.subtree_control", "+" + controller) == 0;
}

}  // namespace

PodCgroups::PodCgroups(std::vector<CgroupHierarchy> hierarchies, const Uuid& pod,
                       std::vector<std::string> apps)
    : hierarchies_(std::move(hierarchies)),
      uuid_(pod),
      name_(podName(pod)),
      apps_(std::move(apps)) {}

const std::vector<std::string>& PodCgroups::devices() {
  if (!devices_) devices_ = blockDevices();
  return *devices_;
}

void PodCgroups::make(Path directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making the cgroup " + directory.string());
  }
  directories_.push_back(std::move(directory));
}

Path PodCgroups::makeBelow(const CgroupHierarchy& hierarchy, const Path& parent) {
  Path pod = parent / name_;
  make(pod);
  for (const std::string& app : apps_)
    make(pod / app);
  pods_.emplace(hierarchy.mountPoint, pod);
  return pod;
}

std::size_t PodCgroups::addApp(const std::string& name) {
  const auto known = std::find(apps_.begin(), apps_.end(), name);
  if (known != apps_.end()) return static_cast<std::size_t>(known - apps_.begin());
  for (const auto& [mountPoint, pod] : pods_)
    make(pod / name);
  apps_.push_back(name);
  return apps_.size() - 1;
}

void PodCgroups::removeApp(const std::string& name) {
  std::erase(apps_, name);
  const auto its =
      std::stable_partition(directories_.begin(), directories_.end(), [&](const Path& directory) {
        return directory.filename() != name || directory.parent_path().filename() != name_;
      });
  removeCgroups({its, directories_.end()}, uuid_);
  directories_.erase(its, directories_.end());
}

const Path& PodCgroups::podDirectory(const CgroupHierarchy& hierarchy,
                                     const std::string& controller) {
  const auto known = pods_.find(hierarchy.mountPoint);
  if (!hierarchy.unified) {
    if (known == pods_.end()) makeBelow(hierarchy, hierarchy.own);
    return pods_.at(hierarchy.mountPoint);
  }
  if (known != pods_.end()) {
    if (!divides(known->second.parent_path(), controller) || !divides(known->second, controller)) {
      throw Error("the controller \"" + controller + "\" is not to be had for the pod's cgroup");
    }
    return known->second;
  }
  std::optional<SystemError> failure;
  for (Path parent = hierarchy.own;; parent = parent.parent_path()) {
    if (divides(parent, controller)) {
      try {
        const Path pod = makeBelow(hierarchy, parent);
        if (!divides(pod, controller)) {
          throw Error("the cgroup " + pod.string() + " cannot be divided");
        }
        return pods_.at(hierarchy.mountPoint);
      } catch (const SystemError& error) {
        if (!failure) failure = error;  // the nearest says most
      }
    }
    if (parent == hierarchy.mountPoint) break;
  }
  if (failure) throw SystemError(*failure);
  throw Error("no cgroup from " + hierarchy.own.string() + " upwards lets the controller \"" +
                  controller + "\" be given to a pod",
              "run it as root, or in a unit with Delegate=yes");
}

std::string PodCgroups::apply(const schema::Isolators& isolators, const schema::Isolator& isolator,
                              std::optional<std::size_t> app) {
  const std::string& name = isolator.name.str();
  const CgroupHierarchy* hierarchy = nullptr;
  for (const bool unified : {false, true}) {
    const std::string controller = controllerOf(name, unified);
    const CgroupHierarchy* found = findController(hierarchies_, controller);
    if (hierarchy == nullptr && found != nullptr && found->unified == unified) hierarchy = found;
  }
  if (hierarchy == nullptr) {
    throw Error("no cgroup controller \"" + controllerOf(name, true) + "\" is mounted here");
  }
  const bool isBlock = name.starts_with("resource/block-");
  const CgroupSettings settings = cgroupSettings(isolators, isolator, hierarchy->unified,
                                                 isBlock ? devices() : std::vector<std::string>());
  Path directory = podDirectory(*hierarchy, settings.controller);
  if (app) directory /= apps_.at(*app);
  for (const CgroupWrite& write : settings.writes) {
    const int error = tryWrite(directory / write.file, write.value);
    if (error == 0 || (error == ENOENT && write.mayBeMissing)) continue;
    // Of block devices not all have a queue that could be slowed down.
    if (error == ENODEV && isBlock) continue;
    throw SystemError(error,
                      "writing \"" + write.value + "\" to " + (directory / write.file).string());
  }
  return settings.change;
}

std::vector<Path> PodCgroups::joinFiles(std::size_t app) const {
  std::vector<Path> files;
  for (const auto& [mountPoint, pod] : pods_)
    files.push_back(pod / apps_.at(app) / "cgroup.procs");
  return files;
}

void removeCgroups(const std::vector<Path>& directories, const Uuid& pod) {
  const std::string name = podName(pod);
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    if (directory->filename() != name && directory->parent_path().filename() != name) continue;
    for (int attempt = 0; ::rmdir(directory->c_str()) != 0 && errno != ENOENT; ++attempt) {
      if (errno != EBUSY || attempt == kRemoveAttempts) {
        log::warn("{}", SystemError(errno, "removing the cgroup " + directory->string()).what());
        break;
      }
      std::this_thread::sleep_for(kRemovePause);
    }
  }
}

}  // namespace actool::run::native
