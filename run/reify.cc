#include "run/reify.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/schema/labels.h"

namespace actool::run {
namespace {

using schema::App;
using schema::EnvVar;
using schema::Mount;
using schema::PodManifest;
using schema::RuntimeApp;
using schema::Volume;

void setVariable(std::vector<EnvVar>& environment, const EnvVar& variable, bool replace) {
  const auto found = std::find_if(environment.begin(), environment.end(),
                                  [&](const EnvVar& other) { return other.name == variable.name; });
  if (found == environment.end()) {
    environment.push_back(variable);
  } else if (replace) {
    found->value = variable.value;
  }
}

// EnvVar's rule for names; the host's environment may hold others (bash exports "BASH_FUNC_x%%").
bool isVariableName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

App makeApp(const PodOptions& pod, const AppPlan& plan,
            const std::vector<std::string>& environment) {
  const AppOptions& options = plan.options;
  App app;
  if (plan.image.app) {
    app = *plan.image.app;
  } else {
    if (options.exec.empty()) {
      throw UsageError(fmt::format("image {} has no app section", plan.image.name.str()),
                       "say what to run with --exec");
    }
    app.user = app.group = "0";
  }
  if (!options.exec.empty()) app.exec = {options.exec};
  app.exec.insert(app.exec.end(), options.args.begin(), options.args.end());
  if (app.exec.empty()) {
    throw UsageError(fmt::format("image {} does not say what to run", plan.image.name.str()),
                     "say it with --exec");
  }
  if (!options.user.empty()) app.user = options.user;
  if (!options.group.empty()) app.group = options.group;
  if (!options.workingDir.empty()) app.workingDirectory = options.workingDir;
  if (!options.supplementaryGids.empty()) app.supplementaryGids = options.supplementaryGids;
  for (const auto& [name, value] : options.userAnnotations)
    app.extra["userAnnotations"][name] = value;
  for (const auto& [name, value] : options.userLabels)
    app.extra["userLabels"][name] = value;
  applyIsolatorOptions(options.isolators, app);

  for (const std::string& entry : environment) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || !isVariableName(entry.substr(0, equals))) continue;
    setVariable(app.environment, {entry.substr(0, equals), entry.substr(equals + 1)}, false);
  }
  for (const auto* list : {&pod.setEnvFiles, &pod.setEnv, &options.environment}) {
    for (const EnvVar& variable : *list)
      setVariable(app.environment, variable, true);
  }
  return app;
}

schema::AcName defaultName(const schema::AcIdentifier& image) {
  const std::string& text = image.str();
  const std::size_t slash = text.rfind('/');
  return schema::AcName::sanitize(slash == std::string::npos ? text : text.substr(slash + 1));
}

std::string cleanPath(const std::string& path) {
  std::string clean = Path(path).lexically_normal().string();
  while (clean.size() > 1 && clean.back() == '/')
    clean.pop_back();
  return clean;
}

void requireUniqueNames(const PodManifest& manifest) {
  std::set<schema::AcName> names;
  for (const RuntimeApp& app : manifest.apps) {
    if (!names.insert(app.name).second) {
      throw UsageError(fmt::format("two apps of the pod are called {}", app.name.str()),
                       "give one of them another name with --name");
    }
  }
}

}  // namespace

void checkPlatform(const schema::ImageManifest& image) {
  const auto os = image.labels.get("os");
  const auto arch = image.labels.get("arch");
  const bool rightOs = !os || *os == schema::hostOs();
  const bool rightArch =
      !arch || *arch == schema::hostArch() || (*arch == "i386" && schema::hostArch() == "amd64");
  if (rightOs && rightArch) return;
  throw UsageError(fmt::format("image {} is for {}/{}, this machine is {}/{}", image.name.str(),
                               os ? *os : "any", arch ? *arch : "any", schema::hostOs(),
                               schema::hostArch()));
}

void settleMounts(PodManifest& manifest) {
  std::set<std::string> volumes;
  for (const Volume& volume : manifest.volumes)
    volumes.insert(volume.name.str());
  for (RuntimeApp& app : manifest.apps) {
    std::set<std::string> paths;
    for (const Mount& mount : app.mounts) {
      if (!mount.appVolume && !volumes.contains(mount.volume.str())) {
        throw UsageError(fmt::format("app {} mounts the volume {}, which does not exist",
                                     app.name.str(), mount.volume.str()),
                         "define it with --volume");
      }
      if (!paths.insert(cleanPath(mount.path)).second) {
        throw UsageError(fmt::format("app {} has two mounts at {}", app.name.str(), mount.path));
      }
    }
    if (!app.app) continue;
    for (const schema::MountPoint& point : app.app->mountPoints) {
      if (!paths.insert(cleanPath(point.path)).second) continue;
      if (volumes.contains(point.name.str())) {
        app.mounts.push_back(Mount{point.name, point.path, std::nullopt, Json::object()});
        continue;
      }
      schema::AcName implicit = schema::AcName::parse(app.name.str() + "-" + point.name.str());
      for (int i = 2; volumes.contains(implicit.str()); ++i) {
        implicit =
            schema::AcName::parse(fmt::format("{}-{}-{}", app.name.str(), point.name.str(), i));
      }
      log::warn("no volume for mount point {} of app {}: it gets an empty one", point.name.str(),
                app.name.str());
      volumes.insert(implicit.str());
      manifest.volumes.push_back(Volume{.name = implicit});
      app.mounts.push_back(Mount{implicit, point.path, std::nullopt, Json::object()});
    }
  }
}

PodManifest reify(const PodOptions& pod, const std::vector<AppPlan>& apps,
                  const std::vector<std::string>& environment) {
  PodManifest manifest;
  for (const AppPlan& plan : apps) {
    checkPlatform(plan.image);
    RuntimeApp app{
        .name = plan.options.name ? *plan.options.name : defaultName(plan.image.name),
        .image = {plan.id, plan.image.name, plan.image.labels},
    };
    app.app = makeApp(pod, plan, environment);
    app.readOnlyRootFs = plan.options.readOnlyRootfs;
    for (const auto& [name, mode] : plan.options.stdio) {
      app.annotations.set(schema::AcIdentifier::parse("coreos.com/rkt/stage2/" + name), mode);
    }
    for (const auto& annotation : plan.options.annotations) {
      app.annotations.set(
          withContext("--annotation",
                      [&] { return schema::AcIdentifier::parse(annotation.first); }),
          annotation.second);
    }
    app.mounts = plan.options.mounts;
    for (const Mount& mount : pod.mounts) {
      const bool overridden = std::any_of(
          plan.options.mounts.begin(), plan.options.mounts.end(),
          [&](const Mount& own) { return cleanPath(own.path) == cleanPath(mount.path); });
      if (!overridden) app.mounts.push_back(mount);
    }
    manifest.apps.push_back(std::move(app));
  }
  requireUniqueNames(manifest);
  manifest.volumes = pod.volumes;
  manifest.ports = pod.ports;
  std::set<std::string> names;
  for (const Volume& volume : manifest.volumes) {
    if (!names.insert(volume.name.str()).second) {
      throw UsageError(fmt::format("--volume: {} is defined twice", volume.name.str()));
    }
  }
  settleMounts(manifest);
  return manifest;
}

PodManifest reifyManifest(PodManifest manifest,
                          const std::map<schema::ImageId, schema::ImageManifest>& images) {
  if (manifest.apps.empty()) throw UsageError("the pod manifest has no apps");
  for (RuntimeApp& app : manifest.apps) {
    const schema::ImageManifest& image = images.at(app.image.id);
    checkPlatform(image);
    if (!app.app) app.app = image.app;
    if (!app.app || app.app->exec.empty()) {
      throw UsageError(fmt::format("neither the pod manifest nor image {} says what app {} runs",
                                   image.name.str(), app.name.str()));
    }
    app.image.name = image.name;
    app.image.labels = image.labels;
  }
  requireUniqueNames(manifest);
  settleMounts(manifest);
  return manifest;
}

}  // namespace actool::run
