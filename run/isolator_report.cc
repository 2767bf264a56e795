#include "run/isolator_report.h"

#include <array>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

// Some dozen isolators with a line each.
constexpr std::size_t kMaxReport = 1 << 20;

constexpr std::array kStates = {IsolatorState::State::applied, IsolatorState::State::changed,
                                IsolatorState::State::ignored};

}  // namespace

std::string_view isolatorStateName(IsolatorState::State state) {
  switch (state) {
    case IsolatorState::State::applied:
      return "applied";
    case IsolatorState::State::changed:
      return "changed";
    case IsolatorState::State::ignored:
      return "ignored";
  }
  return "";  // unreachable: every value has its case
}

Json isolatorsToJson(const std::vector<IsolatorState>& states) {
  Json list = Json::array();
  for (const IsolatorState& state : states) {
    Json entry = {{"name", state.name}, {"state", isolatorStateName(state.state)}};
    if (!state.app.empty()) entry["app"] = state.app;
    if (!state.detail.empty()) entry["detail"] = state.detail;
    list.push_back(std::move(entry));
  }
  return {{"isolators", std::move(list)}};
}

std::vector<IsolatorState> readIsolators(const PodLayout& layout) {
  const auto text = tryReadFile(layout.isolatorsFile(), kMaxReport);
  std::vector<IsolatorState> states;
  if (!text) return states;
  try {
    const Json report = parseJson(*text, layout.isolatorsFile().string());
    for (const Json& entry : member(report, "isolators")) {
      const std::string word = stringMember(entry, "state");
      for (const IsolatorState::State state : kStates) {
        if (isolatorStateName(state) != word) continue;
        states.push_back({stringMemberOr(entry, "app", ""), stringMember(entry, "name"), state,
                          stringMemberOr(entry, "detail", "")});
      }
    }
  } catch (const Error&) {
    states.clear();
  }
  return states;
}

}  // namespace actool::run
