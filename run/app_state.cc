#include "run/app_state.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "run/pod_apps.h"

namespace actool::run {
namespace {

using std::chrono::system_clock;

std::optional<system_clock::time_point> modifiedAt(const Path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(
      std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec)));
}

}  // namespace

AppStatus appStatus(const Pod& pod, const schema::PodManifest& manifest,
                    const schema::RuntimeApp& app) {
  const PodLayout layout = pod.layout();
  AppStatus status{.name = app.name.str(), .imageId = app.image.id.str(), .state = "prepared"};
  status.created = modifiedAt(layout.appManifest(app.name));
  status.started = isMutable(manifest) ? modifiedAt(layout.appPid(app.name)) : pod.started();
  status.exitCode = pod.exitStatus(app.name);
  if (status.exitCode) status.finished = modifiedAt(layout.statusFile(app.name));
  if (status.exitCode) {
    status.state = "exited";
  } else if (status.started) {
    // Of an app whose pod was killed nobody has noted the end.
    status.state = pod.state() == PodState::running ? "running" : "exited";
  }
  return status;
}

std::string AppStatus::text() const {
  std::string lines = fmt::format("name={}\nstate={}\nimage_id={}\n", name, state, imageId);
  const auto add = [&](std::string_view key, const auto& time) {
    if (time) lines += fmt::format("{}={}\n", key, formatRfc3339(*time));
  };
  add("created_at", created);
  add("started_at", started);
  add("finished_at", finished);
  if (exitCode) lines += fmt::format("exit_code={}\n", *exitCode);
  return lines;
}

Json AppStatus::toJson() const {
  Json object = {{"name", name}, {"state", state}, {"image_id", imageId}};
  const auto add = [&](const char* key, const auto& time) {
    if (!time) return;
    object[key] =
        std::chrono::duration_cast<std::chrono::nanoseconds>(time->time_since_epoch()).count();
  };
  add("created_at", created);
  add("started_at", started);
  add("finished_at", finished);
  if (exitCode) object["exit_code"] = *exitCode;
  return object;
}

}  // namespace actool::run
