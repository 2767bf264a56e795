#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "run/isolator_options.h"
#include "run/isolator_report.h"

namespace actool::run {
namespace {

std::string isolatorsOf(const IsolatorOptions& options, const std::string& before = "[]") {
  schema::App app;
  app.isolators = schema::Isolators::fromJson(parseJson(before, "isolators"));
  applyIsolatorOptions(options, app);
  return dumpLine(app.isolators.toJson());
}

TEST(IsolatorOptions, ReplaceTheImages) {
  IsolatorOptions options;
  options.memory = "128M";
  EXPECT_EQ(
      isolatorsOf(options, R"([{"name":"resource/memory","value":{"request":"1G"}},
                                     {"name":"other/thing","value":null}])"),
      R"([{"name":"other/thing","value":null},{"name":"resource/memory","value":{"limit":"128M"}}])");
}

TEST(IsolatorOptions, CapabilitiesOfOneKindReplaceBoth) {
  IsolatorOptions options;
  options.capsRemove = {"CAP_KILL", "CAP_CHOWN"};
  EXPECT_EQ(
      isolatorsOf(options,
                  R"([{"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL"]}}])"),
      R"([{"name":"os/linux/capabilities-remove-set","value":{"set":["CAP_KILL","CAP_CHOWN"]}}])");
}

TEST(IsolatorOptions, Seccomp) {
  IsolatorOptions options;
  options.seccomp = "mode=retain,errno=EPERM,chmod,chown";
  EXPECT_EQ(
      isolatorsOf(options),
      R"([{"name":"os/linux/seccomp-retain-set","value":{"errno":"EPERM","set":["chmod","chown"]}}])");
}

TEST(IsolatorOptions, Numbers) {
  IsolatorOptions options;
  options.oomScoreAdj = "-5";
  options.cpuShares = "512";
  options.noNewPrivileges = true;
  schema::App app;
  applyIsolatorOptions(options, app);
  EXPECT_TRUE(app.isolators.noNewPrivileges());
  EXPECT_EQ(app.isolators.find("os/linux/oom-score-adj")->value, Json(-5));
}

TEST(IsolatorOptions, WhatIsWrongNamesTheOption) {
  const auto message = [](auto set) -> std::string {
    IsolatorOptions options;
    set(options);
    try {
      isolatorsOf(options);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(message([](auto& o) { o.memory = "much"; }).substr(0, 9), "--memory:");
  EXPECT_EQ(message([](auto& o) { o.cpuShares = "1"; }).substr(0, 13), "--cpu-shares:");
  EXPECT_EQ(message([](auto& o) { o.oomScoreAdj = "x"; }), "--oom-score-adj: 'x' is not a number");
  EXPECT_EQ(message([](auto& o) { o.seccomp = "chmod"; }),
            "--seccomp needs mode=retain or mode=remove");
  EXPECT_EQ(message([](auto& o) { o.seccomp = "mode=retain"; }).substr(0, 10), "--seccomp:");
  EXPECT_EQ(message([](auto& o) { o.seccomp = "mode=retain,x=y"; }).substr(0, 15),
            "--seccomp: 'x=y");
  EXPECT_EQ(message([](auto& o) {
              o.capsRetain = {"CAP_KILL"};
              o.capsRemove = {"CAP_KILL"};
            }),
            "--caps-retain and --caps-remove exclude each other");
}

TEST(IsolatorReport, IsReadAsWritten) {
  const TempDir dir(tempRoot());
  const PodLayout layout(dir.path());
  EXPECT_TRUE(readIsolators(layout).empty());
  makeDirs(layout.isolatorsFile().parent_path());
  using State = IsolatorState::State;
  writeFilePlain(layout.isolatorsFile(),
                 dumpLine(isolatorsToJson({{"", "resource/cpu", State::ignored, "no rights"},
                                           {"web", "resource/memory", State::applied, ""}})));
  const auto states = readIsolators(layout);
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].detail, "no rights");
  EXPECT_EQ(states[1].app, "web");
  EXPECT_EQ(states[1].state, State::applied);
  writeFilePlain(layout.isolatorsFile(), "{\"isolators\":[{\"state\":3}]}");
  EXPECT_TRUE(readIsolators(layout).empty());
}

}  // namespace
}  // namespace actool::run
