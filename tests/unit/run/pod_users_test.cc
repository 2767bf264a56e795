#include "run/pod_users.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/fs.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

constexpr uid_t kOrdinary = 54321;
constexpr std::size_t kMostText = 4096;

// What an Error says that `work` throws, done in a process of an ordinary user.
std::string refusedToOrdinaryUsers(const std::function<void()>& work) {
  Pipe report = makePipe();
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::string said = "nothing was refused";
    try {
      if (::geteuid() == 0 && (::setresgid(kOrdinary, kOrdinary, kOrdinary) != 0 ||
                               ::setresuid(kOrdinary, kOrdinary, kOrdinary) != 0)) {
        throwErrno("becoming an ordinary user");
      }
      work();
    } catch (const Error& error) {
      said = error.what();
    }
    writeAll(report.write.get(), said, "a pipe");
    ::_exit(0);
  }
  report.write.reset();
  const std::string said = readAll(report.read.get(), kMostText, "a pipe");
  ::waitpid(pid, nullptr, 0);
  return said;
}

std::string refused(const std::function<void(PodOptions&)>& change) {
  return refusedToOrdinaryUsers([&] {
    PodOptions options;
    change(options);
    becomeRootOfPods(options);
  });
}

TEST(RootOfPods, WhatOnlyTheHostsRootCanGiveIsRefusedFirst) {
  EXPECT_EQ(
      refused([](PodOptions& options) { options.privateUsers = true; }),
      "--private-users is for root; a pod that is not root's has a user namespace without it");
  EXPECT_EQ(refused([](PodOptions& options) { options.net = "web"; }),
            "a pod that is not root's can't be in the network web; give --net=default, none or "
            "host, or run it as root");
  EXPECT_EQ(refused([](PodOptions& options) { options.netNamespace = "/run/netns/x"; }),
            "a pod that is not root's can't be in a network namespace that is there already; give "
            "--net=default, none or host, or run it as root");
}

TEST(RootOfPods, DefaultIsANetworkWithoutRoot) {
  EXPECT_EQ(refusedToOrdinaryUsers([] {
              NetworkOptions options;
              options.net = "default";
              settleNetwork(options);
              throw Error(options.net);
            }),
            "slirp4netns");
  if (::geteuid() != 0) return;
  NetworkOptions options;
  options.net = "default";
  settleNetwork(options);
  EXPECT_EQ(options.net, "default");
}

TEST(UsersOfPod, NoneForPodsThatDoNotRun) {
  const TempDir dir(tempRoot());
  const PodLayout pod(dir.path());
  for (const char* text : {"", "x", "0", "1", "-5", "99999999999"}) {
    writeFilePlain(pod.pid(), text);
    EXPECT_FALSE(usersOf(pod)) << text;
  }
}

TEST(EntryPoints, OfAnotherUsersPodAreNotExecutedByRoot) {
  if (::geteuid() != 0) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "in CI this test has to run, as root";
    GTEST_SKIP() << "for root";
  }
  const TempDir dir(tempRoot());
  ASSERT_EQ(::chown(dir.path().c_str(), kOrdinary, kOrdinary), 0);
  try {
    runEntryPoint(PodLayout(dir.path()), kStage1Stop, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(
        std::string(error.what()).find("is that of user 54321, whose programs root does not run"),
        std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace actool::run
