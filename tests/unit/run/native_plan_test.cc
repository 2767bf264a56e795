#include <linux/capability.h>

#include "run/native/plan.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

const std::string kId = "sha512-" + std::string(128, '0');

class Plan : public testing::Test {
 protected:
  // `apps` and `volumes` are JSON lists.
  PodPlan plan(const std::string& apps, const std::string& volumes = "[]",
               const std::string& more = "") const {
    writeFilePlain(dir_.path() / "pod", R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":)" +
                                            apps + R"(,"volumes":)" + volumes + more + "}");
    return makePlan(options_, PodLayout(dir_.path()));
  }
  static std::string app(const std::string& name, const std::string& appMembers = "",
                         const std::string& members = "") {
    return R"({"name":")" + name + R"(","image":{"id":")" + kId +
           R"("},"app":{"exec":["/bin/x"],"user":"0","group":"0")" + appMembers + "}" + members +
           "}";
  }

  RunOptions options_{*Uuid::parse("11111111-2222-4333-8444-555555555555")};
  TempDir dir_{tempRoot()};
};

TEST_F(Plan, SimplestPod) {
  const PodPlan pod = plan("[" + app("web") + "]");
  EXPECT_EQ(pod.hostname, "rkt-11111111-2222-4333-8444-555555555555");
  ASSERT_EQ(pod.apps.size(), 1U);
  EXPECT_EQ(pod.apps[0].rootfs, dir_.path() / "stage1/rootfs/opt/stage2/web/rootfs");
  EXPECT_EQ(pod.apps[0].capabilities, 0xa80425fbULL);
  EXPECT_FALSE(pod.apps[0].noNewPrivileges || pod.apps[0].readOnlyRoot);
  EXPECT_TRUE(pod.apps[0].filter);
}

TEST_F(Plan, ImageManifestFillsInForAMissingApp) {
  makeDirs(dir_.path() / "appsinfo/web");
  writeFilePlain(dir_.path() / "appsinfo/web/manifest",
                 R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/web",
                     "app":{"exec":["/bin/web"],"user":"1","group":"2"}})");
  const PodPlan pod = plan(R"([{"name":"web","image":{"id":")" + kId + R"("}}])");
  EXPECT_EQ(pod.apps[0].app.exec, std::vector<std::string>{"/bin/web"});
  EXPECT_EQ(pod.apps[0].app.user, "1");
}

TEST_F(Plan, MountsAreMatchedSortedAndReadOnlyFromEitherSide) {
  const PodPlan pod = plan(
      "[" +
          app("web", R"(,"mountPoints":[{"name":"logs","path":"/logs/","readOnly":true}])",
              R"(,"mounts":[{"volume":"data","path":"/z//data"},{"volume":"tmp","path":"/logs"}])") +
          "]",
      R"([{"name":"data","kind":"host","source":"/srv","recursive":false,"readOnly":true},
          {"name":"tmp","kind":"empty"}])");
  const std::vector<MountPlan>& mounts = pod.apps[0].mounts;
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].target, "/logs");
  EXPECT_EQ(mounts[0].source, dir_.path() / "sharedVolumes/tmp");
  EXPECT_FALSE(mounts[0].ofHost);
  EXPECT_TRUE(mounts[0].readOnly);
  EXPECT_EQ(mounts[1].target, "/z/data");
  EXPECT_EQ(mounts[1].source, "/srv");
  EXPECT_TRUE(mounts[1].ofHost && mounts[1].readOnly);
  EXPECT_FALSE(mounts[1].recursive);
}

TEST_F(Plan, IsolatorsOfProcesses) {
  const PodPlan pod = plan("[" + app("web", R"(,"isolators":[
          {"name":"os/linux/capabilities-remove-set","value":{"set":["CAP_CHOWN"]}},
          {"name":"os/linux/no-new-privileges","value":true},
          {"name":"resource/memory","value":{"limit":"1G"}}])") +
                               "]",
                           "[]", R"(,"isolators":[{"name":"resource/cpu","value":{"limit":"1"}}])");
  EXPECT_EQ(pod.apps[0].capabilities, 0xa80425fbULL & ~(1ULL << CAP_CHOWN));
  EXPECT_TRUE(pod.apps[0].noNewPrivileges);
  EXPECT_NE(pod.isolators.find("resource/cpu"), nullptr);
}

TEST_F(Plan, RetainSetIsAllThereIs) {
  const PodPlan pod = plan("[" + app("web", R"(,"isolators":[
      {"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_NET_ADMIN"]}}])") +
                           "]");
  EXPECT_EQ(pod.apps[0].capabilities, 1ULL << CAP_NET_ADMIN);
}

TEST_F(Plan, InsecureOptionLeavesSystemCallsAlone) {
  options_.disableSeccomp = true;
  EXPECT_FALSE(plan("[" + app("web") + "]").apps[0].filter);
}

TEST_F(Plan, InsecureOptionLeavesCapabilitiesAlone) {
  options_.disableCapabilities = true;
  EXPECT_EQ(plan("[" + app("web") + "]").apps[0].capabilities, std::nullopt);
}

TEST_F(Plan, WhatCannotRunIsRefused) {
  const std::string volumes = R"([{"name":"a","kind":"empty"},{"name":"b","kind":"empty"}])";
  const auto mounts = [&](const std::string& list) {
    return messageOf([&] { plan("[" + app("web", "", ",\"mounts\":" + list) + "]", volumes); });
  };
  EXPECT_EQ(messageOf([&] { plan("[]"); }), "the pod has no app");
  EXPECT_EQ(mounts(R"([{"volume":"c","path":"/c"}])"),
            "app \"web\": the mount on \"/c\" names the volume \"c\", which the pod does not have");
  EXPECT_EQ(mounts(R"([{"volume":"a","path":"/a"},{"volume":"b","path":"/a/b"}])"),
            "app \"web\": the mounts on \"/a\" and \"/a/b\" overlap");
  EXPECT_EQ(mounts(R"([{"volume":"a","path":"/a"},{"volume":"b","path":"/a/"}])"),
            "app \"web\": the mounts on \"/a\" and \"/a\" overlap");
  EXPECT_EQ(mounts(R"([{"volume":"a","path":"//"}])"),
            "app \"web\": a volume cannot be mounted on the app's root directory");
  EXPECT_EQ(messageOf([&] {
              plan("[" + app("web", R"(,"isolators":[{"name":"os/linux/capabilities-retain-set",
                                        "value":{"set":["CAP_FLY"]}}])") +
                   "]");
            }),
            "app \"web\": there is no capability \"CAP_FLY\" on this system");
  EXPECT_EQ(messageOf([&] {
              plan(R"([{"name":"web","image":{"id":")" + kId +
                   R"("},"app":{"exec":[],"user":"0","group":"0"}}])");
            }),
            "app \"web\": it has nothing to execute; give it with --exec");
}

TEST_F(Plan, SiblingMountsDoNotOverlap) {
  const PodPlan pod = plan("[" + app("web", "", R"(,"mounts":[{"volume":"a","path":"/a"},
      {"volume":"a","path":"/ab"}])") +
                               "]",
                           R"([{"name":"a","kind":"empty"}])");
  EXPECT_EQ(pod.apps[0].mounts.size(), 2U);
}

TEST_F(Plan, InteractiveIsForOneApp) {
  options_.interactive = true;
  EXPECT_EQ(messageOf([&] { plan("[" + app("a") + "," + app("b") + "]"); }),
            "--interactive is for pods of one app; this one has 2");
}

}  // namespace
}  // namespace actool::run::native
