#include "core/base/own_root.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "core/base/accounts.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/id_map.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"

namespace actool {
namespace {

// A host with ranges for each of thousands of users.
constexpr std::size_t kMaxDatabase = 16 << 20;
constexpr std::size_t kMaxHelperText = 4096;
constexpr std::size_t kMaxSysctl = 64;
// Where distributions have set-user-ID programs. $PATH may be anybody's.
constexpr std::array kHelperDirs = {"/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"};

struct Helpers {
  Path users;
  Path groups;
};

std::optional<Path> findHelper(const char* name) {
  for (const char* dir : kHelperDirs) {
    Path path = Path(dir) / name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return std::nullopt;
}

std::vector<IdRange> rangesOf(const char* file, uid_t user, const std::string& name) {
  const std::string text = tryReadFile(file, kMaxDatabase).value_or("");
  std::vector<IdRange> ranges = name.empty() ? std::vector<IdRange>() : subordinateIds(text, name);
  const auto byNumber = subordinateIds(text, std::to_string(user));
  ranges.insert(ranges.end(), byNumber.begin(), byNumber.end());
  return ranges;
}

struct Wanted {
  IdMap users;
  IdMap groups;
  std::optional<Helpers> helpers;  // none: the maps have the user's own ID alone
};

Wanted onlyOwn() {
  return {IdMap::ofOwnRoot(::geteuid(), {}), IdMap::ofOwnRoot(::getegid(), {}), std::nullopt};
}

Wanted wantedIds() {
  const uid_t user = ::geteuid();
  const auto account = findUser(tryReadFile("/etc/passwd", kMaxDatabase).value_or(""), user);
  const std::string name = account ? account->name : "";
  const auto users = rangesOf("/etc/subuid", user, name);
  const auto groups = rangesOf("/etc/subgid", user, name);
  const std::string shown = name.empty() ? "user " + std::to_string(user) : name;
  if (users.empty() || groups.empty()) {
    log::debug("{} has no ranges of IDs in /etc/subuid and /etc/subgid: root is the only one",
               shown);
    return onlyOwn();
  }
  const auto newuidmap = findHelper("newuidmap");
  const auto newgidmap = findHelper("newgidmap");
  if (!newuidmap || !newgidmap) {
    log::debug("there is no newuidmap or newgidmap (package uidmap): root is the only ID");
    return onlyOwn();
  }
  return {IdMap::ofOwnRoot(user, users), IdMap::ofOwnRoot(::getegid(), groups),
          Helpers{*newuidmap, *newgidmap}};
}

// Runs newuidmap or newgidmap. Empty, or what it said.
std::string runHelper(const Path& program, pid_t pid, const IdMap& map) {
  SpawnOptions options;
  options.program = program;
  options.argv = {program.filename().string(), std::to_string(pid)};
  for (const IdMapping& mapping : map.mappings()) {
    options.argv.push_back(std::to_string(mapping.inside));
    options.argv.push_back(std::to_string(mapping.outside));
    options.argv.push_back(std::to_string(mapping.count));
  }
  options.env = std::vector<std::string>{"LC_ALL=C"};
  const UniqueFd null = openFile("/dev/null", O_RDWR);
  Pipe talk = makePipe();
  options.fds = {{0, null.get()}, {1, null.get()}, {2, talk.write.get()}};
  Child child = Child::spawn(options);
  talk.write.reset();
  const std::string said = readAll(talk.read.get(), kMaxHelperText, program.string());
  const ExitStatus status = child.wait();
  if (status.ok()) return {};
  return program.filename().string() + " " + status.describe() + ": " + printable(trim(said));
}

// A process outside of the namespace: set-user-ID programs are none inside. It waits until the
// namespace is there.
class Mapper {
 public:
  explicit Mapper(const Wanted& wanted) {
    Pipe go = makePipe();
    Pipe answer = makePipe();
    const pid_t target = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throwErrno("starting a process");
    if (pid_ == 0) {
      go.write.reset();
      answer.read.reset();
      work(wanted, target, go.read.get(), answer.write.get());
    }
    go_ = std::move(go.write);
    answer_ = std::move(answer.read);
  }
  ~Mapper() {
    go_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;

  // Maps the IDs of this process's new namespace. Empty, or why that was not possible.
  std::string map() const {
    writeAll(go_.get(), std::string_view("."), "a process of ours");
    return readAll(answer_.get(), 4 * kMaxHelperText, "a process of ours");
  }

 private:
  [[noreturn]] static void work(const Wanted& wanted, pid_t target, int go, int answer) {
    try {
      std::array<std::byte, 1> byte{};
      if (readFull(go, byte, "a pipe") == byte.size()) {
        std::string failure = runHelper(wanted.helpers->users, target, wanted.users);
        if (failure.empty()) failure = runHelper(wanted.helpers->groups, target, wanted.groups);
        writeAll(answer, failure, "a pipe");
      }
    } catch (const Error& error) {
      const std::string_view text = error.what();
      [[maybe_unused]] const ssize_t ignored = ::write(answer, text.data(), text.size());
    }
    ::_exit(0);
  }

  pid_t pid_ = -1;
  UniqueFd go_;
  UniqueFd answer_;
};

void makeNamespace() {
  if (::unshare(CLONE_NEWUSER) == 0) return;
  const int error = errno;
  const SystemError cause(error, "making a user namespace");
  throw Error(cause.what(), whyNoUserNamespace(error));
}

void writeOwn(const char* file, const std::string& text) {
  const UniqueFd fd = openFile(file, O_WRONLY);
  writeAll(fd.get(), text, file);
}

// What one may do without help: the kernel wants groups to stay as they are, so that nobody loses
// one that keeps files from being read.
void mapOnlyOwn(const Wanted& own) {
  try {
    writeOwn("/proc/self/setgroups", "deny");
    writeOwn("/proc/self/gid_map", own.groups.text());
    writeOwn("/proc/self/uid_map", own.users.text());
  } catch (const SystemError& error) {
    throw Error(std::string("mapping IDs: ") + error.what(), whyNoUserNamespace(error.errnum()));
  }
}

std::string sysctl(const Path& sysctls, const char* name) {
  return std::string(trim(tryReadFile(sysctls / name, kMaxSysctl).value_or("")));
}

}  // namespace

void becomeOwnRoot() {
  if (::geteuid() == 0) return;
  const Wanted own = onlyOwn();
  const Wanted wanted = wantedIds();
  if (!wanted.helpers) {
    makeNamespace();
    mapOnlyOwn(own);
    return;
  }
  std::string failure;
  {
    const Mapper mapper(wanted);
    makeNamespace();
    failure = mapper.map();
  }
  if (failure.empty()) return;
  throw Error("getting the IDs of /etc/subuid and /etc/subgid: " + failure,
              "the ranges must be the user's, and newuidmap and newgidmap set-user-ID programs; "
              "without ranges pods have one ID");
}

unsigned outsideUser(unsigned user) {
  return IdMap::ofUsers().outside(user).value_or(user);
}

std::string whyNoUserNamespace(int errnum, const Path& sysctls) {
  if (sysctl(sysctls, "kernel/unprivileged_userns_clone") == "0") {
    return "kernel.unprivileged_userns_clone is 0: set it to 1, or run pods as root";
  }
  if (sysctl(sysctls, "user/max_user_namespaces") == "0") {
    return "user.max_user_namespaces is 0: raise it, or run pods as root";
  }
  if (errnum == ENOSPC) {
    return "as many as user.max_user_namespaces lets be are in use: raise it, or end some";
  }
  if (sysctl(sysctls, "kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "AppArmor keeps programs without a profile from it: give actool one with "
           "\"userns,\", set kernel.apparmor_restrict_unprivileged_userns to 0, or run pods as "
           "root";
  }
  return "the kernel, or the container that this runs in, does not let ordinary users; run pods "
         "as root";
}

}  // namespace actool
