#include "run/native/isolation.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <span>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/networks.h"

namespace actool::run::native {
namespace {

using State = IsolatorState::State;

constexpr std::string_view kAnyCapabilities = "os/linux/capabilities-";
constexpr std::string_view kAnySeccomp = "os/linux/seccomp-";
constexpr std::string_view kNoNewPrivileges = "os/linux/no-new-privileges";
constexpr std::string_view kOomScoreAdj = "os/linux/oom-score-adj";
constexpr std::string_view kAnySelinux = "os/linux/selinux-context";
constexpr std::string_view kAnyApparmor = "os/linux/apparmor-profile";
constexpr std::string_view kPodSysctl = "os/unix/sysctl";
constexpr std::string_view kNetworkBandwidth = "resource/network-bandwidth";
constexpr const char* kOwnOomScoreAdj = "/proc/self/oom_score_adj";
constexpr std::size_t kMaxScore = 64;
// A dozen cgroups for each of a pod's apps.
constexpr std::size_t kMaxCgroupList = 4 << 20;

void writeNumber(const char* file, int value) {
  const UniqueFd fd = openFile(file, O_WRONLY);
  writeAll(fd.get(), std::to_string(value), file);
}

// Whether the app's process will be let set it: tried with this one, which is as privileged.
void probeOomScoreAdj(int value) {
  const std::string before(trim(readFile(kOwnOomScoreAdj, kMaxScore)));
  writeNumber(kOwnOomScoreAdj, value);
  const UniqueFd fd = openFile(kOwnOomScoreAdj, O_WRONLY);
  writeAll(fd.get(), before, kOwnOomScoreAdj);
}

// Others read it at any time; it need not outlast a crash.
void replaceFile(const Path& file, const std::string& text) {
  const Path fresh = file.string() + ".new";
  writeFilePlain(fresh, text);
  if (::rename(fresh.c_str(), file.c_str()) != 0) throwErrno("writing " + file.string());
}

bool isOfAppsOnly(std::string_view name) {
  return name.starts_with(kAnyCapabilities) || name.starts_with(kAnySeccomp) ||
         name == kNoNewPrivileges || name == kOomScoreAdj;
}

void warnOfIgnored(std::span<const IsolatorState> states) {
  std::vector<std::string> parts;
  for (const IsolatorState& state : states) {
    if (state.state != State::ignored) continue;
    parts.push_back((state.app.empty() ? "pod: " : "app \"" + state.app + "\": ") + state.name +
                    " (" + state.detail + ")");
  }
  if (!parts.empty()) log::warn("isolators that are not applied: {}", join(parts, ", "));
}

}  // namespace

Isolation::Isolation(const PodPlan& plan, const PodLayout& layout, IsolatorVerdict verdict)
    : uuid_(plan.options.uuid),
      layout_(layout),
      verdict_(std::move(verdict)),
      apps_(plan.apps.size()) {
  take(plan, plan.isolators, {});
  for (std::size_t i = 0; i < plan.apps.size(); ++i)
    take(plan, plan.apps[i].app.isolators, {&plan.apps[i], &apps_[i]});
  if (cgroups_) {
    for (std::size_t i = 0; i < apps_.size(); ++i)
      apps_[i].joinFiles = cgroups_->joinFiles(i);
  }
  if (states_.empty()) return;
  writeFiles();
  warnOfIgnored(states_);
}

AppIsolation Isolation::add(const PodPlan& plan, const AppPlan& app) {
  const std::string& name = app.name.str();
  const std::size_t before = states_.size();
  std::erase_if(states_, [&](const IsolatorState& state) { return state.app == name; });
  const std::size_t others = states_.size();
  AppIsolation isolation;
  take(plan, app.app.isolators, {&app, &isolation, true});
  // Limits of the pod as a whole hold for what is in a cgroup below the pod's.
  if (cgroups_) isolation.joinFiles = cgroups_->joinFiles(cgroups_->addApp(name));
  if (before + states_.size() > 0) writeFiles();
  warnOfIgnored(std::span(states_).subspan(others));
  return isolation;
}

void Isolation::forget(const std::string& app) {
  if (cgroups_) cgroups_->removeApp(app);
  const auto known =
      std::erase_if(states_, [&](const IsolatorState& state) { return state.app == app; });
  if (cgroups_ || known > 0) writeFiles();
}

void Isolation::writeFiles() const {
  if (cgroups_) {
    std::string list;
    for (const Path& directory : cgroups_->directories())
      list += directory.string() + "\n";
    replaceFile(layout_.cgroupsFile(), list);
  }
  replaceFile(layout_.isolatorsFile(), dumpLine(isolatorsToJson(states_)) + "\n");
}

PodCgroups& Isolation::cgroups(const PodPlan& plan) {
  if (!cgroups_) {
    std::vector<std::string> names;
    for (const AppPlan& app : plan.apps)
      names.push_back(app.name.str());
    cgroups_.emplace(ownHierarchies(), uuid_, std::move(names));
  }
  return *cgroups_;
}

void Isolation::take(const PodPlan& plan, const schema::Isolators& isolators,
                     const Subject& subject) {
  for (const schema::Isolator& isolator : isolators.list()) {
    IsolatorState state;
    try {
      state = settle(plan, isolators, isolator, subject);
    } catch (const Error& error) {
      state = {"", "", State::ignored, error.what()};
    }
    if (subject.app != nullptr) state.app = subject.app->name.str();
    state.name = isolator.name.str();
    states_.push_back(std::move(state));
  }
}

IsolatorState Isolation::settle(const PodPlan& plan, const schema::Isolators& isolators,
                                const schema::Isolator& isolator, const Subject& subject) {
  const AppPlan* app = subject.app;
  const std::string& name = isolator.name.str();
  const auto ignored = [](std::string why) {
    return IsolatorState{"", "", State::ignored, std::move(why)};
  };
  if (app == nullptr && isOfAppsOnly(name)) return ignored("it is for apps");
  if (app != nullptr && name == kPodSysctl) return ignored("it is for pods");
  if (name.starts_with(kAnyCapabilities) && plan.options.disableCapabilities) {
    return ignored("capabilities are not restricted");
  }
  if (name.starts_with(kAnySeccomp) && plan.options.disableSeccomp) {
    return ignored("system calls are not filtered");
  }
  if (verdict_) {
    if (auto said = verdict_(isolator, app)) return *said;
  }
  if (isCgroupIsolator(name)) {
    PodCgroups& pods = cgroups(plan);
    std::optional<std::size_t> number;
    if (app != nullptr) number = pods.addApp(app->name.str());
    const std::string change = pods.apply(isolators, isolator, number);
    return {"", "", change.empty() ? State::applied : State::changed, change};
  }
  if (name == kOomScoreAdj) {
    const int value = isolator.value.get<int>();
    probeOomScoreAdj(value);
    subject.isolation->oomScoreAdj = value;
    return {"", "", State::applied, ""};
  }
  if (name == kNetworkBandwidth) {
    if (subject.added) return ignored("the pod's network is shaped when it is made");
    if (plan.options.networks.empty()) return ignored("the pod is in no network of its own");
    if (plan.options.networks == kUserNetwork) return ignored("not in a network without root");
    const bool another = app != nullptr && plan.isolators.find(kNetworkBandwidth) != nullptr;
    if (another) return ignored("the pod has one");
    const bool shared = app != nullptr && plan.apps.size() > 1;
    return {"", "", shared ? State::changed : State::applied,
            shared ? "the least of the apps' holds for the pod as a whole" : ""};
  }
  const bool byApp = name.starts_with(kAnyCapabilities) || name.starts_with(kAnySeccomp) ||
                     name == kNoNewPrivileges || name == kAnySelinux || name == kAnyApparmor ||
                     name == kPodSysctl;
  if (byApp) return {"", "", State::applied, ""};
  return ignored("this executor does not know it");
}

void Isolation::remove() {
  if (cgroups_) removeCgroups(cgroups_->directories(), uuid_);
}

void removeIsolation(const PodLayout& layout, const Uuid& pod) {
  const auto list = tryReadFile(layout.cgroupsFile(), kMaxCgroupList);
  if (!list) return;
  std::vector<Path> directories;
  for (const std::string_view line : split(*list, '\n'))
    if (line.starts_with('/')) directories.emplace_back(line);
  removeCgroups(directories, pod);
}

void joinCgroups(const AppIsolation& isolation) {
  for (const Path& file : isolation.joinFiles) {
    const UniqueFd fd = openFile(file.string(), O_WRONLY);
    writeAll(fd.get(), "0", file.string());
  }
}

}  // namespace actool::run::native
