#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/process.h"

namespace actool {
namespace {

TEST(Process, CapturesOutputAndStatus) {
  const CommandResult result = runCommand({"sh", "-c", "echo out; exit 3"});
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.status.shellCode(), 3);
  EXPECT_EQ(result.status.describe(), "exited with 3");
}

TEST(Process, FeedsInputLargerThanAPipe) {
  const std::string input(1 << 20, 'x');
  EXPECT_EQ(runCommand({"cat"}, 2 << 20, input).out, input);
  EXPECT_TRUE(runCommand({"true"}, 100, input).status.ok());  // who does not read, does not hang us
}

TEST(Process, OutputHasALimit) {
  EXPECT_THROW(runCommand({"sh", "-c", "yes | head -c 100000"}, 1000), Error);
}

TEST(Process, SignalsAreTold) {
  const CommandResult result = runCommand({"sh", "-c", "kill -KILL $$"});
  EXPECT_TRUE(result.status.signaled);
  EXPECT_EQ(result.status.shellCode(), 128 + SIGKILL);
  EXPECT_EQ(result.status.describe(), "was killed by SIGKILL");
}

TEST(Process, MissingProgramsAreReportedFromTheChild) {
  EXPECT_THROW(runCommand({"no-such-program-here"}), NotFoundError);
  EXPECT_THROW(runCommand({"/no/such/program"}), NotFoundError);
  EXPECT_THROW(runCommand({"/etc/passwd"}), SystemError);
}

// leveldb's lesson: a child counts what it got. What this program itself was started with (a
// shell's or ctest's descriptors) is there before and after.
TEST(Process, NothingLeaksIntoChildren) {
  const std::vector<std::string> list{"ls", "/proc/self/fd"};
  const std::string before = runCommand(list).out;
  const UniqueFd extra = openFile("/dev/null", O_RDONLY);
  const Pipe pipe = makePipe();
  EXPECT_EQ(runCommand(list).out, before);
}

TEST(Process, DescriptorsArriveUnderTheirNumbers) {
  Pipe pipe = makePipe();
  SpawnOptions options;
  options.argv = {"sh", "-c", "echo five >&5; echo six >&6"};
  options.fds = {{5, pipe.write.get()}, {6, pipe.write.get()}};
  Child child = Child::spawn(options);
  pipe.write.reset();
  EXPECT_EQ(readAll(pipe.read.get(), 100, "pipe"), "five\nsix\n");
  EXPECT_TRUE(child.wait().ok());
}

TEST(Process, EnvironmentIsReplacedWhenGiven) {
  Pipe pipe = makePipe();
  SpawnOptions options;
  options.argv = {"/usr/bin/env"};
  options.env = {"A=1"};
  options.fds = {{1, pipe.write.get()}};
  Child child = Child::spawn(options);
  pipe.write.reset();
  EXPECT_EQ(readAll(pipe.read.get(), 100, "pipe"), "A=1\n");
  EXPECT_TRUE(child.wait().ok());
}

TEST(Process, TheOwnerKillsAndReapsWhatItDidNotWaitFor) {
  pid_t pid = 0;
  {
    SpawnOptions options;
    options.argv = {"sleep", "1000"};
    const Child child = Child::spawn(options);
    pid = child.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

}  // namespace
}  // namespace actool
