#include "run/executor/app_pid.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"
#include "run/native/enter.h"
#include "run/native/namespaces.h"

namespace actool::run::executor {
namespace {

constexpr std::size_t kMaxPidFile = 32;
constexpr std::size_t kMaxProcFile = 1 << 20;

bool isChild(pid_t pid, pid_t parent) {
  const UniqueFd file = tryOpen("/proc/" + std::to_string(pid) + "/status", O_RDONLY);
  if (!file) return false;
  const std::string status = readAll(file.get(), kMaxProcFile, "a process's status");
  constexpr std::string_view kKey = "PPid:";
  for (const std::string_view line : split(status, '\n')) {
    if (line.starts_with(kKey)) return parseUint(trim(line.substr(kKey.size()))) == parent;
  }
  return false;
}

}  // namespace

void writeAppPid(const PodLayout& layout, const schema::AcName& app, pid_t pid) {
  const Path file = layout.appPid(app);
  makeDirs(file.parent_path());
  const Path fresh = file.string() + ".new";
  writeFilePlain(fresh, std::to_string(pid) + "\n");
  if (::rename(fresh.c_str(), file.c_str()) != 0) throwErrno("writing " + file.string());
}

void removeAppPid(const PodLayout& layout, const schema::AcName& app) {
  const Path file = layout.appPid(app);
  if (::unlink(file.c_str()) != 0) throwErrno("removing " + file.string());
}

pid_t appPid(const PodLayout& layout, const schema::AcName& app) {
  const auto text = tryReadFile(layout.appPid(app), kMaxPidFile);
  const auto pid = text ? parseUint(trim(*text)) : std::nullopt;
  if (!pid || *pid < 2 || *pid > std::numeric_limits<pid_t>::max()) {
    throw NotFoundError("it is not running");
  }
  return static_cast<pid_t>(*pid);
}

UniqueFd openApp(const PodLayout& layout, const schema::AcName& app, pid_t parent) {
  const UniqueFd pod = native::openProcess(parent);
  if (!pod) throw NotFoundError("it is not running");
  native::awaitBegin(pod, [&] {
    return actool::exists(layout.appPid(app)) || actool::exists(layout.statusFile(app));
  });
  const pid_t pid = appPid(layout, app);
  UniqueFd process = native::openProcess(pid);
  // After the pidfd is open: the process that it names cannot be replaced by another.
  if (!process || !isChild(pid, parent)) throw NotFoundError("it is not running");
  return process;
}

}  // namespace actool::run::executor
