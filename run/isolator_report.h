// What became of a pod's isolators: a file that the stage1 writes and `actool status` shows
// (docs/stage1-interface.md).
#pragma once

#include <string>
#include <vector>

#include "core/base/json.h"
#include "run/pod_layout.h"

namespace actool::run {

struct IsolatorState {
  enum class State { applied, changed, ignored };

  std::string app;   // empty: the pod's own
  std::string name;  // "resource/memory"
  State state = State::applied;
  std::string detail;  // what is otherwise than asked for, or why it was ignored
};

std::string_view isolatorStateName(IsolatorState::State state);

// {"isolators": [{"app": "web", "name": "resource/cpu", "state": "changed", "detail": "..."}]}
Json isolatorsToJson(const std::vector<IsolatorState>& states);

// Of a pod; empty when the stage1 wrote none, or something that is no report: apps can do nothing
// to that file, but a stage1 may be anybody's.
std::vector<IsolatorState> readIsolators(const PodLayout& layout);

}  // namespace actool::run
