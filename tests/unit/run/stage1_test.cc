#include "run/stage1.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "run/stage1_select.h"
#include "tests/support/errors.h"

namespace actool::run {
namespace {

using test::messageOf;

std::string manifestText(const std::string& annotations) {
  return R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/stage1","annotations":[)" +
         annotations + "]}";
}

const std::string kRun = R"({"name":"coreos.com/rkt/stage1/run","value":"/init"})";

std::string version(const std::string& text) {
  return R"({"name":"coreos.com/rkt/stage1/interface-version","value":")" + text + R"("})";
}

TEST(Stage1, ReadsEntryPointsAndVersion) {
  const auto plain = Stage1Manifest::parse(manifestText(kRun), "it");
  EXPECT_EQ(plain.entryPoint(kStage1Run), "/init");
  EXPECT_EQ(plain.entryPoint(kStage1Gc), std::nullopt);
  EXPECT_EQ(plain.interfaceVersion(), 1u);
  EXPECT_EQ(Stage1Manifest::parse(manifestText(kRun + "," + version("6")), "it").interfaceVersion(),
            6u);
}

TEST(Stage1, RefusesWhatIsNoStage1) {
  EXPECT_EQ(messageOf([] { Stage1Manifest::parse(manifestText(""), "it"); }),
            "it: it has no annotation coreos.com/rkt/stage1/run; it is not a stage1 image");
  EXPECT_EQ(
      messageOf([] { Stage1Manifest::parse(manifestText(kRun + "," + version("two")), "it"); }),
      "it: annotation coreos.com/rkt/stage1/interface-version is 'two', not a version number");
  EXPECT_EQ(messageOf([] {
              Stage1Manifest::parse(
                  manifestText(R"({"name":"coreos.com/rkt/stage1/run","value":"init"})"), "it");
            }),
            "it: annotation coreos.com/rkt/stage1/run is 'init', not an absolute path");
}

TEST(Stage1, PassesWhatTheVersionKnows) {
  const Uuid uuid = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000001");
  Stage1Options all{.debug = true,
                    .net = "host",
                    .interactive = true,
                    .localConfig = "/etc/actool",
                    .hostname = "h",
                    .disableCapabilities = true,
                    .disablePaths = true,
                    .disableSeccomp = true,
                    .dnsResolv = "host",
                    .ipc = "parent"};
  const std::vector<std::string> first = {"--debug", "--net=host", "--interactive",
                                          "--local-config=/etc/actool"};
  const std::vector<std::vector<std::string>> added = {
      {},
      {"--hostname=h"},
      {"--disable-capabilities-restriction", "--disable-paths", "--disable-seccomp"},
      {"--dns-conf-mode=resolv=host,hosts=default"},
      {},
      {"--ipc=parent"}};
  std::set<std::string> expected(first.begin(), first.end());
  for (std::uint64_t speaks = 1; speaks <= 6; ++speaks) {
    expected.insert(added[speaks - 1].begin(), added[speaks - 1].end());
    std::vector<std::string> arguments = runArguments(all, speaks, uuid);
    EXPECT_EQ(arguments.back(), uuid.str());
    arguments.pop_back();
    EXPECT_EQ(std::set<std::string>(arguments.begin(), arguments.end()), expected) << speaks;
  }
  EXPECT_EQ(runArguments({}, 6, uuid), (std::vector<std::string>{"--net=none", uuid.str()}));
  EXPECT_EQ(gcArguments(true, "/etc/actool", 4, uuid),
            (std::vector<std::string>{"--debug", uuid.str()}));
  EXPECT_EQ(gcArguments(false, "/etc/actool", 5, uuid),
            (std::vector<std::string>{"--local-config=/etc/actool", uuid.str()}));
}

class EntryPointTest : public testing::Test {
 protected:
  void SetUp() override {
    makeDirs(root_ / "ex");
    writeFilePlain(root_ / "ex/run", "#!/bin/sh\n", 0755);
    writeFilePlain(root_ / "ex/data", "text", 0644);
  }
  TempDir scratch_{tempRoot()};
  Path root_ = scratch_.path() / "rootfs";
};

TEST_F(EntryPointTest, IsResolvedInsideTheRoot) {
  EXPECT_EQ(resolveEntryPoint(root_, "/ex/run"), "ex/run");
  ASSERT_EQ(::symlink("/ex/run", (root_ / "init").c_str()), 0);
  EXPECT_EQ(resolveEntryPoint(root_, "/init"), "ex/run");
  ASSERT_EQ(::symlink("../../../ex/run", (root_ / "up").c_str()), 0);
  EXPECT_EQ(resolveEntryPoint(root_, "/up"), "ex/run");
  // Not the host's shell.
  ASSERT_EQ(::symlink("/bin/sh", (root_ / "sh").c_str()), 0);
  EXPECT_EQ(messageOf([&] { resolveEntryPoint(root_, "/sh"); }),
            "the stage1's entry point /sh is not in " + root_.string());
}

TEST_F(EntryPointTest, HasToBeExecutable) {
  EXPECT_EQ(messageOf([&] { resolveEntryPoint(root_, "/ex/data"); }),
            "the stage1's entry point /ex/data cannot be executed: Permission denied");
  EXPECT_EQ(messageOf([&] { resolveEntryPoint(root_, "/ex/none"); }),
            "the stage1's entry point /ex/none is not in " + root_.string());
}

// A pod whose stage1 was copied, so that no mounts are needed.
class CopiedStage1Test : public testing::Test {
 protected:
  void makeStage1(const std::string& script) {
    makeDirs(layout_.stage1Rootfs() / "ex");
    writeFilePlain(
        layout_.stage1Manifest(),
        manifestText(kRun + R"(,{"name":"coreos.com/rkt/stage1/stop","value":"/ex/stop"})"));
    writeFilePlain(layout_.stage1Rootfs() / "ex/stop", script, 0755);
  }
  TempDir scratch_{tempRoot()};
  PodLayout layout_{scratch_.path() / "pod"};
};

TEST_F(CopiedStage1Test, RunsEntryPointsInThePodsDirectory) {
  makeStage1("#!/bin/sh\necho \"$(pwd -P) $*\" > told\nexit 3\n");
  const auto status = runEntryPoint(layout_, kStage1Stop, {"--force", "uuid"});
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->value, 3);
  EXPECT_EQ(readFile(layout_.dir() / "told", 4096), layout_.dir().string() + " --force uuid\n");
  EXPECT_EQ(runEntryPoint(layout_, kStage1Gc, {}), std::nullopt);
}

TEST_F(CopiedStage1Test, ReportsAnExecThatFails) {
  makeStage1("#!/no/such/interpreter\n");
  EXPECT_EQ(
      messageOf([&] { runEntryPoint(layout_, kStage1Stop, {}); }),
      "executing " + (layout_.stage1Rootfs() / "ex/stop").string() + ": No such file or directory");
}

TEST(Stage1Config, LaterDirectoriesReplacePairAndLocationSeparately) {
  const TempDir scratch(tempRoot());
  const ConfigDirs dirs{{scratch.path() / "system", scratch.path() / "local"}};
  for (const Path& dir : dirs.dirs)
    makeDirs(dir / "stage1.d");
  writeFilePlain(dirs.dirs[0] / "stage1.d/a.json",
                 R"({"rktKind":"stage1","rktVersion":"v1","name":"a.com/s","version":"1",)"
                 R"("location":"/usr/s.aci"})");
  writeFilePlain(dirs.dirs[1] / "stage1.d/a.json",
                 R"({"rktKind":"stage1","rktVersion":"v1","location":"https://a.com/s.aci"})");
  const Stage1Config config = readStage1Config(dirs);
  EXPECT_EQ(config.name, "a.com/s");
  EXPECT_EQ(config.version, "1");
  EXPECT_EQ(config.location, "https://a.com/s.aci");

  const Path bad = dirs.dirs[1] / "stage1.d/b.json";
  writeFilePlain(bad, R"({"rktKind":"stage1","rktVersion":"v1","name":"a.com/s"})");
  EXPECT_EQ(messageOf([&] { readStage1Config(dirs); }),
            bad.string() + ": name and version stand together or not at all");
}

}  // namespace
}  // namespace actool::run
