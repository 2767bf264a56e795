#include "core/base/fs.h"
#include "run/native/security_label.h"
#include "run/native/sysctl.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

schema::Isolators one(const std::string& name, const std::string& value) {
  return schema::Isolators::fromJson(
      parseJson(R"([{"name":")" + name + R"(","value":)" + value + "}]", "isolators"));
}

class Labels : public testing::Test {
 protected:
  void put(const Path& file, const std::string& content) {
    makeDirs((sys_.path() / file).parent_path());
    writeFilePlain(sys_.path() / file, content);
  }
  const schema::Isolators selinux_ =
      one("os/linux/selinux-context", R"({"user":"u","role":"r","type":"t","level":"s0:c1"})");
  const schema::Isolators profile_ = one("os/linux/apparmor-profile", R"({"profile":"web"})");
  TempDir sys_{tempRoot()};
};

TEST_F(Labels, AreRefusedWhereTheHostHasNoneOfThese) {
  EXPECT_EQ(messageOf([&] { securityLabels(selinux_, {}, sys_.path()); }),
            "os/linux/selinux-context: SELinux is not active on this host; take the isolator out "
            "of the manifest");
  EXPECT_EQ(messageOf([&] { securityLabels({}, profile_, sys_.path()); }),
            "os/linux/apparmor-profile: AppArmor is not active on this host; take the isolator "
            "out of the manifest");
}

TEST_F(Labels, SelinuxOfTheAppHoldsOverThePods) {
  put("fs/selinux/enforce", "1");
  const schema::Isolators own =
      one("os/linux/selinux-context", R"({"user":"a","role":"b","type":"c","level":"s1"})");
  EXPECT_EQ(securityLabels(selinux_, {}, sys_.path()).at(0).value, "u:r:t:s0:c1");
  EXPECT_EQ(securityLabels(selinux_, own, sys_.path()).at(0).value, "a:b:c:s1");
}

TEST_F(Labels, ApparmorProfileHasToBeThere) {
  put("module/apparmor/parameters/enabled", "Y\n");
  put("kernel/security/apparmor/profiles", "website (enforce)\nother (complain)\n");
  EXPECT_EQ(messageOf([&] { securityLabels({}, profile_, sys_.path()); }),
            "os/linux/apparmor-profile: there is no profile \"web\" on this host; load it with "
            "apparmor_parser");
  put("kernel/security/apparmor/profiles", "website (enforce)\nweb (enforce)\n");
  EXPECT_EQ(securityLabels({}, profile_, sys_.path()).at(0).value, "web");
}

TEST(Sysctl, OnlyThePodsOwn) {
  const auto check = [](const std::string& name, bool network, bool ipc) {
    return podSysctls(one("os/unix/sysctl", "{\"" + name + "\":\"1\"}"), network, ipc);
  };
  EXPECT_EQ(check("net.ipv4.ip_forward", true, true), (Sysctls{{"net.ipv4.ip_forward", "1"}}));
  EXPECT_EQ(check("kernel.shmmax", true, true).size(), 1U);
  EXPECT_EQ(messageOf([&] { check("kernel.panic", true, true); }),
            "os/unix/sysctl: \"kernel.panic\" is not a pod's own, it would change the host");
  EXPECT_NE(messageOf([&] { check("net.core.somaxconn", false, true); }).find("the host's"),
            std::string::npos);
  EXPECT_NE(messageOf([&] { check("fs.mqueue.msg_max", true, false); }).find("the host's"),
            std::string::npos);
  EXPECT_NE(messageOf([&] { check("net./../kernel.panic", true, true); }).find("no name"),
            std::string::npos);
  EXPECT_NE(messageOf([&] { check("net.//kernel/panic x", true, true); }).find("no name"),
            std::string::npos);
}

}  // namespace
}  // namespace actool::run::native
