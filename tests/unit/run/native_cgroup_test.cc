#include <sys/stat.h>

#include "run/native/cgroups.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

const Uuid kPodOfCgroups = *Uuid::parse("11111111-2222-4333-8444-555555555555");
const std::string kCgroupName = "actool-11111111-2222-4333-8444-555555555555";

schema::Isolators isolators(const std::string& json) {
  return schema::Isolators::fromJson(parseJson(json, "isolators"));
}

std::string shown(const CgroupSettings& settings) {
  std::string text = settings.controller + ":";
  for (const CgroupWrite& write : settings.writes)
    text += " " + write.file + "=" + write.value;
  return text;
}

TEST(CgroupHierarchy, HybridPrefersVersion1) {
  const auto found = parseHierarchies(
      "30 20 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
      "31 30 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
      "32 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
      "33 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
      "34 30 0:29 /outer /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "35 30 0:29 /outer /elsewhere/memory rw - cgroup cgroup rw,memory\n",
      "5:memory:/outer/inner\n4:cpu,cpuacct:/\n1:name=systemd:/user.slice\n0::/user.slice\n");
  ASSERT_EQ(found.size(), 4U);
  const CgroupHierarchy* memory = findController(found, "memory");
  ASSERT_NE(memory, nullptr);
  EXPECT_FALSE(memory->unified);
  EXPECT_EQ(memory->own, "/sys/fs/cgroup/memory/inner");
  EXPECT_EQ(findController(found, "cpu")->own, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(findController(found, "io"), nullptr);
}

TEST(CgroupHierarchy, CgroupThatCannotBeSeenIsLeftOut) {
  EXPECT_TRUE(
      parseHierarchies("34 30 0:29 /other /m rw - cgroup cgroup rw,memory\n", "5:memory:/outer\n")
          .empty());
  EXPECT_TRUE(parseHierarchies("garbage\n1 2 3 - cgroup\n", "x\n:\n").empty());
}

TEST(CgroupSettings, OfBothVersions) {
  const schema::Isolators list = isolators(R"([
    {"name":"resource/memory","value":{"request":"64M","limit":"128Mi"}},
    {"name":"resource/cpu","value":{"limit":"500m"}},
    {"name":"resource/block-bandwidth","value":{"default":true,"limit":"2M"}},
    {"name":"resource/block-iops","value":{"default":true,"limit":"10"}}])");
  const auto text = [&](const char* name, bool unified) {
    return shown(cgroupSettings(list, *list.find(name), unified, {"8:0"}));
  };
  EXPECT_EQ(text("resource/memory", false),
            "memory: memory.soft_limit_in_bytes=64000000 memory.limit_in_bytes=134217728 "
            "memory.memsw.limit_in_bytes=134217728");
  EXPECT_EQ(text("resource/memory", true),
            "memory: memory.low=64000000 memory.max=134217728 memory.swap.max=0");
  // A request that is not given is the limit.
  EXPECT_EQ(text("resource/cpu", false),
            "cpu: cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 cpu.shares=512");
  EXPECT_EQ(text("resource/cpu", true), "cpu: cpu.max=50000 100000 cpu.weight=20");
  EXPECT_EQ(text("resource/block-bandwidth", false),
            "blkio: blkio.throttle.read_bps_device=8:0 2000000 "
            "blkio.throttle.write_bps_device=8:0 2000000");
  EXPECT_EQ(text("resource/block-iops", true), "io: io.max=8:0 riops=10 wiops=10");
}

TEST(CgroupSettings, SharesStandForTheRequest) {
  const schema::Isolators list = isolators(R"([
    {"name":"resource/cpu","value":{"request":"2","limit":"1m"}},
    {"name":"os/linux/cpu-shares","value":2048}])");
  const CgroupSettings cpu = cgroupSettings(list, *list.find("resource/cpu"), false, {});
  EXPECT_EQ(shown(cpu), "cpu: cpu.cfs_period_us=100000 cpu.cfs_quota_us=1000");
  EXPECT_EQ(cpu.change, "os/linux/cpu-shares stands for the request");
  EXPECT_EQ(shown(cgroupSettings(list, *list.find("os/linux/cpu-shares"), true, {})),
            "cpu: cpu.weight=79");
}

// A tree of files that look like version 2. What is written to a file is what it has then.
class Unified : public testing::Test {
 protected:
  void SetUp() override { make("", "cpu memory", "cpu memory"); }

  void make(const Path& cgroup, const std::string& controllers, const std::string& divided) {
    makeDirs(root_.path() / cgroup);
    writeFilePlain(root_.path() / cgroup / "cgroup.controllers", controllers + "\n");
    writeFilePlain(root_.path() / cgroup / "cgroup.subtree_control", divided + "\n");
  }
  // What the kernel makes in a new cgroup.
  void makePod(const Path& parent) {
    make(parent / kCgroupName, "cpu memory", "cpu memory");
    for (const char* directory : {"", "web"}) {
      makeDirs(root_.path() / parent / kCgroupName / directory);
      for (const char* file : {"memory.max", "memory.low", "cpu.max", "cpu.weight"})
        writeFilePlain(root_.path() / parent / kCgroupName / directory / file, "");
    }
  }
  std::string read(const Path& file) { return readFile(root_.path() / file, 4096); }
  PodCgroups cgroups(const std::string& own) {
    return {parseHierarchies("31 30 0:26 / /" + root_.path().string().substr(1) +
                                 " rw,relatime - cgroup2 cgroup2 rw\n",
                             "0::" + own + "\n"),
            kPodOfCgroups,
            {"web"}};
  }

  TempDir root_{tempRoot()};
};

TEST_F(Unified, PodLiesInTheNearestCgroupThatCanBeDivided) {
  // A scope with processes in it: what it divides among children is nothing, and stays so.
  make("user.slice", "cpu memory", "cpu memory");
  make("user.slice/scope", "", "");
  makePod("user.slice");
  PodCgroups pod = cgroups("/user.slice/scope");
  const schema::Isolators list = isolators(R"([
    {"name":"resource/memory","value":{"limit":"1M"}},{"name":"resource/cpu","value":{"limit":"2"}}])");
  EXPECT_EQ(pod.apply(list, list.list()[0], 0), "");
  EXPECT_EQ(pod.apply(list, list.list()[1], std::nullopt), "");
  const Path made = Path("user.slice") / kCgroupName;
  EXPECT_EQ(read(made / "web/memory.max"), "1000000");
  EXPECT_EQ(read(made / "cpu.max"), "200000 100000");
  EXPECT_EQ(pod.joinFiles(0), std::vector<Path>{root_.path() / made / "web/cgroup.procs"});
  EXPECT_EQ(pod.directories(),
            (std::vector<Path>{root_.path() / made, root_.path() / made / "web"}));
}

TEST_F(Unified, ControllerIsGivenOnWhereItCanBe) {
  make("delegated", "memory", "");
  makePod("delegated");
  PodCgroups pod = cgroups("/delegated");
  const schema::Isolators list =
      isolators(R"([{"name":"resource/memory","value":{"limit":"1M"}}])");
  pod.apply(list, list.list()[0], 0);
  EXPECT_EQ(read("delegated/cgroup.subtree_control").substr(0, 7), "+memory");
}

TEST_F(Unified, WhatIsNotThereIsSaid) {
  PodCgroups pod = cgroups("/");
  const schema::Isolators list =
      isolators(R"([{"name":"resource/block-iops","value":{"default":true,"limit":"1"}}])");
  EXPECT_EQ(messageOf([&] { pod.apply(list, list.list()[0], 0); }),
            "no cgroup controller \"io\" is mounted here");
}

TEST_F(Unified, OnlyCgroupsOfThePodAreRemoved) {
  makeDirs(root_.path() / kCgroupName / "web");
  makeDirs(root_.path() / "other/web");
  removeCgroups({root_.path() / "other", root_.path() / "other/web", root_.path() / kCgroupName,
                 root_.path() / kCgroupName / "web"},
                kPodOfCgroups);
  EXPECT_FALSE(actool::exists(root_.path() / kCgroupName));
  EXPECT_TRUE(actool::exists(root_.path() / "other/web"));
}

}  // namespace
}  // namespace actool::run::native
