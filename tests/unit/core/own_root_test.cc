#include "core/base/own_root.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/id_map.h"

namespace actool {
namespace {

using testing::HasSubstr;

class WhyNot : public testing::Test {
 protected:
  void set(const char* name, const char* value) {
    makeDirs((dir_.path() / name).parent_path());
    writeFilePlain(dir_.path() / name, value);
  }
  std::string why(int errnum) const { return whyNoUserNamespace(errnum, dir_.path()); }

  TempDir dir_{tempRoot(), "own-root-test."};
};

TEST_F(WhyNot, NamesTheSettingThatForbidsIt) {
  EXPECT_THAT(why(EPERM), HasSubstr("the kernel, or the container"));
  set("user/max_user_namespaces", "96364\n");
  set("kernel/unprivileged_userns_clone", "1\n");
  set("kernel/apparmor_restrict_unprivileged_userns", "0\n");
  EXPECT_THAT(why(EPERM), HasSubstr("the kernel, or the container"));
  EXPECT_THAT(why(ENOSPC), HasSubstr("are in use"));
  set("kernel/apparmor_restrict_unprivileged_userns", "1\n");
  EXPECT_THAT(why(EACCES), HasSubstr("AppArmor"));
  EXPECT_THAT(why(ENOSPC), HasSubstr("are in use"));
  set("user/max_user_namespaces", "0\n");
  EXPECT_THAT(why(ENOSPC), HasSubstr("user.max_user_namespaces is 0"));
  set("kernel/unprivileged_userns_clone", "0\n");
  EXPECT_THAT(why(EPERM), HasSubstr("kernel.unprivileged_userns_clone is 0"));
}

TEST(BecomeOwnRoot, LeavesRootAlone) {
  if (::geteuid() != 0) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "in CI this test has to run, as root";
    GTEST_SKIP() << "for root";
  }
  const std::string before = IdMap::ofUsers().text();
  becomeOwnRoot();
  EXPECT_EQ(IdMap::ofUsers().text(), before);
}

// What `check` says, asked in a process of an ordinary user, who has no ranges.
bool asOrdinaryUser(bool (*check)()) {
  constexpr uid_t kUser = 54321;
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool ordinary = ::geteuid() != 0 || (::setresgid(kUser, kUser, kUser) == 0 &&
                                               ::setresuid(kUser, kUser, kUser) == 0);
    // As an exec would: the user's own /proc/PID is the user's again.
    ::_exit(ordinary && check() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(OutsideUser, IsItselfOutsideOfNamespaces) {
  EXPECT_TRUE(asOrdinaryUser([] { return outsideUser(::geteuid()) == ::geteuid(); }));
}

}  // namespace
}  // namespace actool
