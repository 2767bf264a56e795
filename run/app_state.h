// How far one app of a pod has come.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/json.h"
#include "core/schema/pod_manifest.h"
#include "run/pod.h"

namespace actool::run {

struct AppStatus {
  std::string name;
  std::string imageId;
  std::string_view state;  // rkt's words: prepared, running, exited
  std::optional<std::chrono::system_clock::time_point> created = {};
  std::optional<std::chrono::system_clock::time_point> started = {};
  std::optional<std::chrono::system_clock::time_point> finished = {};
  std::optional<int> exitCode = {};

  std::string text() const;  // NAME=VALUE lines
  Json toJson() const;       // rkt's members; times in nanoseconds
};

AppStatus appStatus(const Pod& pod, const schema::PodManifest& manifest,
                    const schema::RuntimeApp& app);

}  // namespace actool::run
