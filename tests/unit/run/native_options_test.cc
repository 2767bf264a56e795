#include "run/native/options.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

constexpr const char* kUuid = "11111111-2222-4333-8444-555555555555";

TEST(RunOptions, TakesAllOfTheInterface) {
  const RunOptions options = parseRunOptions(
      {"--debug", "--net=host", "--interactive", "--local-config=/etc/actool", "--mds-token=x",
       "--hostname=web", "--disable-capabilities-restriction", "--disable-paths",
       "--disable-seccomp", "--dns-conf-mode=resolv=host,hosts=stage0", "--ipc=parent",
       "--mutable=false", kUuid});
  EXPECT_EQ(options.uuid.str(), kUuid);
  EXPECT_TRUE(options.debug && options.hostNetwork && options.interactive && options.hostIpc);
  EXPECT_TRUE(options.disableCapabilities && options.disablePaths);
  EXPECT_EQ(options.hostname, "web");
  EXPECT_EQ(options.resolv, DnsMode::host);
  EXPECT_EQ(options.hosts, DnsMode::stage0);
  EXPECT_EQ(options.metadataToken, "x");
  EXPECT_FALSE(options.changing);
  EXPECT_TRUE(parseRunOptions({"--mutable", kUuid}).changing);
}

TEST(RunOptions, NetworksToJoin) {
  EXPECT_EQ(parseRunOptions({"--net=none", kUuid}).networks, "");
  EXPECT_EQ(parseRunOptions({"--net", kUuid}).networks, "default");
  const RunOptions options = parseRunOptions({"--net=a,b:IP=10.0.0.7", kUuid});
  EXPECT_EQ(options.networks, "a,b:IP=10.0.0.7");
  EXPECT_FALSE(options.hostNetwork);
}

TEST(RunOptions, DefaultsAreTheStrictOnes) {
  const RunOptions options = parseRunOptions({kUuid});
  EXPECT_FALSE(options.hostNetwork || options.hostIpc || options.interactive);
  EXPECT_FALSE(options.disableCapabilities || options.disablePaths);
  EXPECT_EQ(options.resolv, DnsMode::standard);
}

struct BadArguments {
  std::vector<std::string> arguments;
  const char* message;
};

TEST(RunOptions, RefusesTheRest) {
  const BadArguments cases[] = {
      {{}, "the pod's UUID is missing"},
      {{"web"}, "\"web\" is not a UUID"},
      {{kUuid, "more"}, "unexpected argument \"more\""},
      {{"--fast", kUuid}, "unknown argument \"--fast\""},
      {{"--net=a,none", kUuid}, "--net: 'none' stands alone"},
      {{"--interactive=maybe", kUuid}, "\"--interactive=maybe\" takes true or false"},
      {{"--local-config", kUuid}, "\"--local-config\" needs a value"},
      {{"--dns-conf-mode=hosts=none", kUuid}, "--dns-conf-mode has no mode \"none\""},
      {{"--dns-conf-mode=motd=host", kUuid}, "--dns-conf-mode has no file \"motd\""},
      {{"--ipc=other", kUuid}, "\"--ipc=other\": the modes are auto, private and parent"},
      {{"--private-users=0:65536", kUuid}, "\"--private-users=0:65536\" is not FIRST:COUNT"},
      {{"--mds-token=", kUuid}, "\"--mds-token=\" needs a value"},
      {{"--mutable=maybe", kUuid}, "\"--mutable=maybe\" takes true or false"},
      {{"--hostname=" + std::string(65, 'a'), kUuid}, "--hostname is longer than 64 bytes"},
  };
  for (const BadArguments& one : cases) {
    EXPECT_EQ(messageOf([&] { parseRunOptions(one.arguments); }), one.message);
  }
}

TEST(EnterOptions, EverythingAfterTheSeparatorIsTheCommand) {
  const EnterOptions options =
      parseEnterOptions({"--pid=812", "--appname=web", "--", "ls", "--pid=1", "--"});
  EXPECT_EQ(options.pid, 812);
  EXPECT_EQ(options.app, "web");
  EXPECT_EQ(options.command, (std::vector<std::string>{"ls", "--pid=1", "--"}));
}

TEST(EnterOptions, RefusesTheRest) {
  const BadArguments cases[] = {
      {{"--appname=web", "--", "ls"}, "--pid is missing"},
      {{"--pid=812", "--", "ls"}, "--appname is missing"},
      {{"--pid=812", "--appname=web"}, "the command to execute is missing after \"--\""},
      {{"--pid=1", "--appname=web", "--", "ls"}, "\"--pid=1\" is not a process ID"},
      {{"--pid=-5", "--appname=web", "--", "ls"}, "\"--pid=-5\" is not a process ID"},
      {{"--pid=99999999999", "--appname=w", "--", "ls"},
       "\"--pid=99999999999\" is not a process ID"},
      {{"ls"}, "unknown argument \"ls\""},
  };
  for (const BadArguments& one : cases) {
    EXPECT_EQ(messageOf([&] { parseEnterOptions(one.arguments); }), one.message);
  }
}

TEST(StopAndGcOptions, TakeAUuid) {
  EXPECT_TRUE(parseStopOptions({"--force", kUuid}).force);
  EXPECT_FALSE(parseStopOptions({kUuid}).force);
  EXPECT_EQ(parseGcOptions({"--debug", "--local-config=/x", kUuid}).uuid.str(), kUuid);
  EXPECT_EQ(messageOf([] { parseStopOptions({"--force"}); }), "the pod's UUID is missing");
  EXPECT_EQ(messageOf([] { parseGcOptions({"--force", kUuid}); }), "unknown argument \"--force\"");
}

}  // namespace
}  // namespace actool::run::native
