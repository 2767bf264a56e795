#include "run/pod.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <set>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "run/garbage.h"

namespace actool::run {
namespace {

using namespace std::chrono_literals;

class PodTest : public testing::Test {
 protected:
  // A pod with its lock let go, as after the death of the process that held it.
  Uuid leave(Phase phase) {
    Pod pod = Pod::create(pods_);
    if (phase != Phase::prepare) {
      EXPECT_TRUE(pod.moveTo(phase));
    }
    return pod.uuid();
  }
  std::string failureOf(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      code_ = error.code();
      return error.what();
    }
    return "nothing was thrown";
  }

  TempDir scratch_{tempRoot()};
  PodsLayout pods_{scratch_.path() / "pods"};
  cli::Globals globals_;
  ExitCode code_ = ExitCode::ok;
};

class FixedClock : public Clock {
 public:
  explicit FixedClock(std::chrono::system_clock::time_point now) : now_(now) {}
  std::chrono::system_clock::time_point now() const override { return now_; }

 private:
  std::chrono::system_clock::time_point now_;
};

TEST_F(PodTest, StateFollowsDirectoryAndLock) {
  const std::vector<std::tuple<Phase, PodState, PodState>> table = {
      {Phase::prepare, PodState::preparing, PodState::abortedPrepare},
      {Phase::prepared, PodState::prepared, PodState::prepared},
      {Phase::run, PodState::running, PodState::exited},
      {Phase::exitedGarbage, PodState::exitedDeleting, PodState::exitedGarbage},
      {Phase::garbage, PodState::deleting, PodState::garbage},
  };
  Pod pod = Pod::create(pods_);
  for (const auto& [phase, locked, unlocked] : table) {
    SCOPED_TRACE(phaseDirName(phase));
    if (phase != Phase::prepare) {
      ASSERT_TRUE(pod.moveTo(phase));
    }
    ASSERT_TRUE(pod.tryLock());
    EXPECT_EQ(Pod::find(pods_, pod.uuid().str()).state(), locked);
    pod.unlock();
    EXPECT_EQ(Pod::find(pods_, pod.uuid().str()).state(), unlocked);
  }
}

TEST_F(PodTest, TheLockIsCloseOnExec) {
  const Pod pod = Pod::create(pods_);
  EXPECT_EQ(::fcntl(pod.fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(PodTest, PodsAreForTheirOwnerOnly) {
  const Pod pod = Pod::create(pods_);
  struct stat info {};
  for (const Path& path : {pods_.dir(), pods_.phaseDir(Phase::prepare), pod.layout().dir()}) {
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07, 0u) << path;
  }
}

TEST_F(PodTest, FindsByUniquePrefixInAnyCase) {
  const Uuid uuid = leave(Phase::run);
  std::string upper = uuid.str().substr(0, 13);
  for (char& c : upper)
    c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(Pod::find(pods_, upper).uuid(), uuid);
  EXPECT_EQ(Pod::find(pods_, uuid.str()).phase(), Phase::run);
}

TEST_F(PodTest, AnAmbiguousPrefixNamesTheCandidates) {
  makeDirs(pods_.podDir(Phase::run, *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000001")));
  makeDirs(pods_.podDir(Phase::garbage, *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000002")));
  EXPECT_EQ(failureOf([&] { Pod::find(pods_, "aaaa"); }),
            "'aaaa' is the beginning of several pods' UUIDs: "
            "aaaaaaaa-0000-4000-8000-000000000001, aaaaaaaa-0000-4000-8000-000000000002; "
            "give more digits");
}

TEST_F(PodTest, WhatIsNoPodIsSaidSo) {
  EXPECT_EQ(failureOf([&] { Pod::find(pods_, "abc"); }),
            "there is no pod 'abc'; `actool list` shows the pods");
  EXPECT_EQ(code_, ExitCode::notFound);
  EXPECT_EQ(failureOf([&] { Pod::find(pods_, "../x"); }),
            "'../x' is not a pod's UUID or the beginning of one; `actool list` shows the pods");
  EXPECT_EQ(failureOf([&] { Pod::find(pods_, ""); }),
            "'' is not a pod's UUID or the beginning of one; `actool list` shows the pods");
}

TEST_F(PodTest, OnlyOneMoveWins) {
  const Uuid uuid = leave(Phase::run);
  Pod first = Pod::find(pods_, uuid.str());
  Pod second = Pod::find(pods_, uuid.str());
  EXPECT_TRUE(first.moveTo(Phase::exitedGarbage));
  EXPECT_FALSE(second.moveTo(Phase::exitedGarbage));
}

TEST_F(PodTest, LookingAtAPodDoesNotCreateIt) {
  const Uuid uuid = leave(Phase::run);
  Pod pod = Pod::find(pods_, uuid.str());
  removeTree(pod.layout().dir());
  EXPECT_EQ(pod.state(), PodState::exited);
  EXPECT_FALSE(actool::exists(pod.layout().dir()));
}

TEST_F(PodTest, WaitsForTheLockAndGivesUp) {
  Pod running = Pod::create(pods_);
  Pod other = Pod::find(pods_, running.uuid().str());
  EXPECT_FALSE(other.waitUnlocked(30ms));
  EXPECT_EQ(failureOf([&] { other.lockFor(30ms); }),
            "pod " + running.uuid().str() +
                " is locked by another process; wait for it to end and try again");
  EXPECT_EQ(code_, ExitCode::inUse);
  running.unlock();
  EXPECT_TRUE(other.waitUnlocked(30ms));
  other.lockFor(30ms);
  EXPECT_FALSE(running.tryLock());
}

TEST_F(PodTest, ReadsWhatStage1Wrote) {
  Pod pod = Pod::create(pods_);
  const PodLayout layout = pod.layout();
  const schema::AcName web = schema::AcName::parse("web");
  EXPECT_EQ(pod.pid(), std::nullopt);
  EXPECT_EQ(pod.started(), std::nullopt);
  EXPECT_EQ(pod.exitStatus(web), std::nullopt);
  makeDirs(layout.statusDir());
  writeFilePlain(layout.pid(), "");  // caught in the middle of being written
  EXPECT_EQ(pod.pid(), std::nullopt);
  writeFilePlain(layout.pid(), "4711\n");
  writeFilePlain(layout.statusFile(web), "143");
  EXPECT_EQ(pod.pid(), 4711);
  EXPECT_TRUE(pod.started().has_value());
  EXPECT_EQ(pod.exitStatus(web), 143);
}

TEST_F(PodTest, UuidFiles) {
  const Path file = scratch_.path() / "uuid";
  EXPECT_EQ(failureOf([&] { readUuidFile(file); }), file.string() + " does not exist");
  writeFilePlain(file, "not a uuid\n");
  EXPECT_EQ(failureOf([&] { readUuidFile(file); }), file.string() + " does not hold a pod's UUID");
  writeFilePlain(file, "AAAAAAAA-0000-4000-8000-000000000001\n");
  EXPECT_EQ(readUuidFile(file), "aaaaaaaa-0000-4000-8000-000000000001");
}

TEST_F(PodTest, GcMarksThenSweepsAfterTheGracePeriod) {
  const Uuid exited = leave(Phase::run);
  const Uuid aborted = leave(Phase::prepare);
  const Uuid prepared = leave(Phase::prepared);
  Pod running = Pod::create(pods_);
  ASSERT_TRUE(running.moveTo(Phase::run));
  const GcOptions options{.gracePeriod = 30min, .expirePrepared = 24h};

  // What failed to be prepared has nothing to dwell for.
  EXPECT_EQ(collectGarbage(pods_, options, globals_, systemClock()), std::vector<Uuid>{aborted});
  EXPECT_EQ(Pod::find(pods_, exited.str()).state(), PodState::exitedGarbage);

  const FixedClock later(std::chrono::system_clock::now() + 31min);
  EXPECT_EQ(collectGarbage(pods_, options, globals_, later), std::vector<Uuid>{exited});
  EXPECT_EQ(Pod::find(pods_, prepared.str()).state(), PodState::prepared);

  const FixedClock nextDay(std::chrono::system_clock::now() + 25h);
  EXPECT_EQ(collectGarbage(pods_, options, globals_, nextDay), std::vector<Uuid>{prepared});
  EXPECT_EQ(Pod::find(pods_, running.uuid().str()).state(), PodState::running);
}

TEST_F(PodTest, GcWithoutGraceRemovesInOnePass) {
  const Uuid exited = leave(Phase::run);
  EXPECT_EQ(collectGarbage(pods_, {}, globals_, systemClock()), std::vector<Uuid>{exited});
  EXPECT_EQ(failureOf([&] { Pod::find(pods_, exited.str()); }).find("there is no pod"), 0u);
}

TEST_F(PodTest, GcMarkOnlyRemovesNothing) {
  const Uuid exited = leave(Phase::run);
  EXPECT_TRUE(collectGarbage(pods_, {.markOnly = true}, globals_, systemClock()).empty());
  EXPECT_EQ(Pod::find(pods_, exited.str()).state(), PodState::exitedGarbage);
}

TEST_F(PodTest, GcLeavesWhatOthersHold) {
  const Uuid exited = leave(Phase::exitedGarbage);
  Pod held = Pod::find(pods_, exited.str());
  ASSERT_TRUE(held.tryLock());
  EXPECT_TRUE(collectGarbage(pods_, {}, globals_, systemClock()).empty());
  held.unlock();
  EXPECT_EQ(collectGarbage(pods_, {}, globals_, systemClock()), std::vector<Uuid>{exited});
}

TEST_F(PodTest, GcTakesOldEmbryosOnly) {
  leave(Phase::run);  // makes the directories
  const Uuid embryo = Uuid::random();
  makeDirs(pods_.podDir(Phase::embryo, embryo));
  collectGarbage(pods_, {}, globals_, systemClock());
  EXPECT_EQ(Pod::find(pods_, embryo.str()).state(), PodState::embryo);
  const FixedClock later(std::chrono::system_clock::now() + 6min);
  EXPECT_EQ(collectGarbage(pods_, {}, globals_, later), std::vector<Uuid>{embryo});
}

TEST_F(PodTest, RmRefusesWhatIsAlive) {
  Pod pod = Pod::create(pods_);
  const std::string name = "pod " + pod.uuid().str();
  Pod other = Pod::find(pods_, pod.uuid().str());
  EXPECT_EQ(failureOf([&] { removePod(other, globals_); }), name + " is being prepared");
  ASSERT_TRUE(pod.moveTo(Phase::run));
  other = Pod::find(pods_, pod.uuid().str());
  EXPECT_EQ(failureOf([&] { removePod(other, globals_); }),
            name + " is running; stop it first: actool stop");
  EXPECT_EQ(code_, ExitCode::inUse);
  pod.unlock();
  removePod(other, globals_);
  EXPECT_EQ(failureOf([&] { Pod::find(pods_, pod.uuid().str()); }).find("there is no pod"), 0u);
}

TEST_F(PodTest, ListsEveryPhase) {
  std::set<Uuid> made;
  for (const Phase phase : {Phase::prepare, Phase::run, Phase::exitedGarbage, Phase::garbage})
    made.insert(leave(phase));
  makeDirs(pods_.phaseDir(Phase::run) / "not-a-uuid");
  std::set<Uuid> found;
  for (const Pod& pod : Pod::list(pods_, {kPhases.begin(), kPhases.end()}))
    found.insert(pod.uuid());
  EXPECT_EQ(found, made);
}

}  // namespace
}  // namespace actool::run
