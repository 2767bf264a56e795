#include "run/native/plan.h"

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/image_manifest.h"
#include "run/native/capabilities.h"

namespace actool::run::native {
namespace {

// spec/ace.md: the retain set alone, or the default set less the remove set.
std::uint64_t boundingSet(const schema::Isolators& isolators) {
  if (const auto retain = isolators.capabilities(true)) return capabilityMask(*retain);
  std::uint64_t mask = capabilityMask(schema::defaultCapabilities());
  if (const auto remove = isolators.capabilities(false)) mask &= ~capabilityMask(*remove);
  return mask;
}

const schema::Volume& volumeOf(const schema::Mount& mount,
                               const std::vector<schema::Volume>& volumes) {
  if (mount.appVolume) return *mount.appVolume;
  const auto found = std::find_if(volumes.begin(), volumes.end(), [&](const schema::Volume& one) {
    return one.name == mount.volume;
  });
  if (found == volumes.end()) {
    throw Error("the mount on \"" + printable(mount.path) + "\" names the volume \"" +
                mount.volume.str() + "\", which the pod does not have");
  }
  return *found;
}

// "/a//b/./c/" is "/a/b/c", so that targets can be compared. ".." stays out: what it means
// depends on symbolic links that only the kernel should follow.
std::string normalTarget(std::string_view path) {
  std::string normal;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      throw Error("the mount on \"" + printable(path) + "\" has a \"..\" in its path");
    }
    normal.append("/").append(part);
  }
  if (normal.empty()) throw Error("a volume cannot be mounted on the app's root directory");
  return normal;
}

std::vector<MountPlan> planMounts(const schema::RuntimeApp& runtime, const schema::App& app,
                                  const std::vector<schema::Volume>& volumes,
                                  const PodLayout& layout) {
  std::vector<MountPlan> plans;
  for (const schema::Mount& mount : runtime.mounts) {
    const schema::Volume& volume = volumeOf(mount, volumes);
    MountPlan plan;
    plan.volume = volume.name.str();
    plan.ofHost = volume.kind == schema::Volume::Kind::host;
    plan.source = plan.ofHost ? Path(volume.source) : layout.sharedVolume(volume.name);
    plan.target = normalTarget(mount.path);
    plan.readOnly = volume.readOnly.value_or(false) ||
                    std::any_of(app.mountPoints.begin(), app.mountPoints.end(),
                                [&](const schema::MountPoint& point) {
                                  return point.readOnly && normalTarget(point.path) == plan.target;
                                });
    plan.recursive = volume.recursive.value_or(true);
    plans.push_back(std::move(plan));
  }
  std::sort(plans.begin(), plans.end(),
            [](const MountPlan& a, const MountPlan& b) { return a.target < b.target; });
  // spec/ace.md, Volume Setup: overlapping targets are an error.
  for (const MountPlan& outer : plans) {
    for (const MountPlan& inner : plans) {
      if (&outer == &inner || !hasPathPrefix(inner.target, outer.target)) continue;
      throw Error("the mounts on \"" + printable(outer.target) + "\" and \"" +
                  printable(inner.target) + "\" overlap");
    }
  }
  return plans;
}

std::vector<std::string> handler(const schema::App& app, std::string_view name) {
  for (const schema::EventHandler& one : app.eventHandlers) {
    if (one.name == name) return one.exec;
  }
  return {};
}

schema::App appObject(const schema::RuntimeApp& runtime, std::string_view image) {
  if (runtime.app) return *runtime.app;
  const auto manifest = schema::ImageManifest::parse(image, "the image's manifest");
  if (!manifest.app) {
    throw Error("neither the pod nor the image says what to execute", "give it with --exec");
  }
  return *manifest.app;
}

}  // namespace

AppPlan planApp(const schema::RuntimeApp& runtime, const schema::PodManifest& pod,
                const RunOptions& options, const PodLayout& layout, std::string_view image) {
  AppPlan plan(runtime.name);
  return withContext(plan.shown(), [&] {
    plan.app = appObject(runtime, image);
    if (plan.app.exec.empty()) {
      throw Error("it has nothing to execute", "give it with --exec");
    }
    plan.rootfs = layout.appRootfs(runtime.name);
    plan.readOnlyRoot = runtime.readOnlyRootFs;
    plan.mounts = planMounts(runtime, plan.app, pod.volumes, layout);
    if (!options.disableCapabilities) plan.capabilities = boundingSet(plan.app.isolators);
    plan.noNewPrivileges = plan.app.isolators.noNewPrivileges();
    plan.stdio = stdioModes(runtime.annotations);
    if (!options.disableSeccomp) {
      plan.filter = appFilter(plan.app.isolators, plan.capabilities.value_or(kAllCapabilities));
    }
    plan.labels = securityLabels(pod.isolators, plan.app.isolators);
    plan.preStart = handler(plan.app, "pre-start");
    plan.postStop = handler(plan.app, "post-stop");
    return plan;
  });
}

AppPlan loadAppPlan(const std::string& name, const RunOptions& options, const PodLayout& layout) {
  const auto pod = schema::PodManifest::parse(
      readFile(layout.manifest(), schema::kMaxPodManifestBytes), "the pod's manifest");
  for (const schema::RuntimeApp& runtime : pod.apps) {
    if (runtime.name.str() != name) continue;
    const std::string image =
        runtime.app ? std::string()
                    : readFile(layout.appManifest(runtime.name), schema::kMaxManifestBytes);
    return planApp(runtime, pod, options, layout, image);
  }
  throw NotFoundError("the pod has no app \"" + printable(name) + "\"");
}

PodPlan makePlan(const RunOptions& options, const PodLayout& layout) {
  PodPlan plan{options, options.hostname, {}, {}, {}};
  if (plan.hostname.empty()) plan.hostname = "rkt-" + options.uuid.str();

  const auto pod = schema::PodManifest::parse(
      readFile(layout.manifest(), schema::kMaxPodManifestBytes), "the pod's manifest");
  if (pod.apps.empty() && !options.changing) throw Error("the pod has no app");
  if (options.interactive && pod.apps.size() > 1) {
    throw UsageError("--interactive is for pods of one app; this one has " +
                     std::to_string(pod.apps.size()));
  }
  plan.isolators = pod.isolators;
  if (options.users && !options.hostNetwork) plan.sysctls = privateUsersSysctls();
  for (auto& one : podSysctls(pod.isolators, !options.hostNetwork, !options.hostIpc))
    plan.sysctls.push_back(std::move(one));
  for (const schema::RuntimeApp& runtime : pod.apps) {
    const std::string image =
        runtime.app ? std::string()
                    : readFile(layout.appManifest(runtime.name), schema::kMaxManifestBytes);
    plan.apps.push_back(planApp(runtime, pod, options, layout, image));
  }
  return plan;
}

}  // namespace actool::run::native
