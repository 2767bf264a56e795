#include "run/stage1.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <linux/openat2.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/mounts.h"
#include "run/pod_users.h"

extern "C" char** environ;

namespace actool::run {
namespace {

constexpr std::uint64_t kVersionHostname = 2;
constexpr std::uint64_t kVersionInsecure = 3;
constexpr std::uint64_t kVersionDns = 4;
constexpr std::uint64_t kVersionGcConfig = 5;
constexpr std::uint64_t kVersionMutable = 5;
constexpr std::uint64_t kVersionIpc = 6;

// A path of the kernel's is at most a page.
constexpr std::size_t kMaxPath = 4096;

struct ChildFailure {
  int error;
  char step;  // 'u'sers, 'n'amespace, 'm'ount, 'd'irectory, 'e'xec
};

std::string_view stepText(char step) {
  switch (step) {
    case 'u':
      return "entering the pod's user namespace for ";
    case 'n':
      return "making a mount namespace for ";
    case 'm':
      return "mounting the stage1 for ";
    case 'd':
      return "entering the pod's directory for ";
    default:
      return "executing ";
  }
}

struct EntryPlan {
  int users;  // user namespace to enter; -1: none
  const char* podDir;
  const char* mountPoint;  // null: nothing to mount, the tree was copied
  const char* mountOptions;
  const char* program;
  char* const* argv;
  int report;
};

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void runEntryChild(const EntryPlan& plan) {
  const auto fail = [&](int error, char step) {
    const ChildFailure failure{error, step};
    [[maybe_unused]] const ssize_t ignored = ::write(plan.report, &failure, sizeof failure);
    ::_exit(127);
  };
  if (plan.users >= 0 && ::setns(plan.users, CLONE_NEWUSER) != 0) fail(errno, 'u');
  if (plan.mountPoint != nullptr) {
    if (const int error = tryEnterMountNamespace(); error != 0) fail(error, 'n');
    if (const int error = mountReadOnlyOverlay(plan.mountPoint, plan.mountOptions); error != 0) {
      fail(error, 'm');
    }
  }
  if (::chdir(plan.podDir) != 0) fail(errno, 'd');
  if (::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) fail(errno, 'e');
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(plan.program, plan.argv, environ);
  fail(errno, 'e');
  __builtin_unreachable();
}

}  // namespace

Stage1Manifest Stage1Manifest::parse(std::string_view json, std::string_view what) {
  Stage1Manifest manifest(schema::ImageManifest::parse(json, what));
  return withContext(what, [&] {
    for (const std::string_view annotation :
         {kStage1Run, kStage1Enter, kStage1Gc, kStage1Stop, kStage1Attach, kStage1AppAdd,
          kStage1AppStart, kStage1AppStop, kStage1AppRm}) {
      const auto value = manifest.image_.annotations.get(annotation);
      if (value && !value->starts_with('/')) {
        throw Error(fmt::format("annotation {} is '{}', not an absolute path", annotation,
                                printable(*value)));
      }
    }
    if (!manifest.entryPoint(kStage1Run)) {
      throw Error(fmt::format("it has no annotation {}", kStage1Run), "it is not a stage1 image");
    }
    if (const auto text = manifest.image_.annotations.get(kStage1InterfaceVersion)) {
      const std::optional<std::uint64_t> version = parseUint(*text);
      if (!version || *version == 0) {
        throw Error(fmt::format("annotation {} is '{}', not a version number",
                                kStage1InterfaceVersion, printable(*text)));
      }
      manifest.version_ = *version;
    }
    return manifest;
  });
}

Stage1Manifest Stage1Manifest::ofPod(const PodLayout& pod) {
  const Path path = pod.stage1Manifest();
  return parse(readFile(path, schema::kMaxManifestBytes), path.string());
}

bool Stage1Manifest::rootIsReadOnly() const {
  return image_.annotations.get(kStage1ReadOnly) == "true";
}

std::optional<std::string> Stage1Manifest::entryPoint(std::string_view annotation) const {
  const auto value = image_.annotations.get(annotation);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

std::vector<std::string> runArguments(const Stage1Options& options, std::uint64_t version,
                                      const Uuid& uuid) {
  std::vector<std::string> arguments;
  const auto since = [&](std::uint64_t needed, bool wanted, const std::string& argument) {
    if (!wanted) return;
    if (version >= needed) {
      arguments.push_back(argument);
    } else {
      log::warn("{} is left out: the stage1 speaks interface version {}, it needs {}", argument,
                version, needed);
    }
  };
  since(1, options.debug, "--debug");
  since(1, true, "--net=" + options.net);
  since(1, options.interactive, "--interactive");
  since(1, !options.localConfig.empty(), "--local-config=" + options.localConfig.string());
  since(1, !options.metadataToken.empty(), "--mds-token=" + options.metadataToken);
  since(1, !options.privateUsers.empty(), "--private-users=" + options.privateUsers);
  since(kVersionMutable, options.changing, "--mutable");
  since(kVersionHostname, !options.hostname.empty(), "--hostname=" + options.hostname);
  since(kVersionDns, options.dnsResolv != "default" || options.dnsHosts != "default",
        "--dns-conf-mode=resolv=" + options.dnsResolv + ",hosts=" + options.dnsHosts);
  since(kVersionInsecure, options.disableCapabilities, "--disable-capabilities-restriction");
  since(kVersionInsecure, options.disablePaths, "--disable-paths");
  since(kVersionInsecure, options.disableSeccomp, "--disable-seccomp");
  since(kVersionIpc, !options.ipc.empty(), "--ipc=" + options.ipc);
  arguments.push_back(uuid.str());
  return arguments;
}

std::vector<std::string> gcArguments(bool debug, const Path& localConfig, std::uint64_t version,
                                     const Uuid& uuid) {
  std::vector<std::string> arguments;
  if (debug) arguments.emplace_back("--debug");
  if (version >= kVersionGcConfig && !localConfig.empty()) {
    arguments.push_back("--local-config=" + localConfig.string());
  }
  arguments.push_back(uuid.str());
  return arguments;
}

Path resolveEntryPoint(const Path& root, const std::string& entryPoint) {
  const UniqueFd rootFd = openFile(root.string(), O_PATH | O_DIRECTORY);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, rootFd.get(), entryPoint.c_str(), &how, sizeof how);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      throw NotFoundError(fmt::format("the stage1's entry point {} is not in {}",
                                      printable(entryPoint), root.string()));
    }
    throwErrno("opening the stage1's entry point " + printable(entryPoint));
  }
  const UniqueFd file(static_cast<int>(fd));
  const auto pathOf = [](int of) {
    std::string text(kMaxPath, '\0');
    const std::string link = "/proc/self/fd/" + std::to_string(of);
    const ssize_t length = ::readlink(link.c_str(), text.data(), text.size());
    if (length < 0) throwErrno("reading " + link);
    text.resize(static_cast<std::size_t>(length));
    return Path(text);
  };
  const Path resolved = pathOf(file.get());
  if (::faccessat(AT_FDCWD, resolved.c_str(), X_OK, AT_EACCESS) != 0) {
    throw Error(fmt::format("the stage1's entry point {} cannot be executed: {}",
                            printable(entryPoint), std::strerror(errno)));
  }
  return resolved.lexically_relative(pathOf(rootFd.get()));
}

Path stage1Tree(const PodLayout& pod) {
  const std::optional<std::string> tree = tryReadFile(pod.stage1TreeFile(), kMaxPath);
  return tree ? Path(std::string(trim(*tree))) : pod.stage1Rootfs();
}

namespace {

// An entry point of a pod, ready to be executed from outside of the pod.
struct Entry {
  std::string program;
  std::string mountPoint;  // empty: nothing to mount, the tree was copied
  std::string mountOptions;
};

// A pod's directory says what its entry points are, and where: they are whose it is to say that.
void requireOwnPod(const PodLayout& pod) {
  struct stat info {};
  if (::stat(pod.dir().c_str(), &info) != 0) throwErrno("looking at " + pod.dir().string());
  if (::geteuid() != 0 || info.st_uid == 0) return;
  throw Error(fmt::format("pod {} is that of user {}, whose programs root does not run",
                          pod.dir().filename().string(), info.st_uid),
              "do it as that user");
}

std::optional<Entry> findEntry(const PodLayout& pod, std::string_view annotation) {
  requireOwnPod(pod);
  const std::optional<std::string> entryPoint = Stage1Manifest::ofPod(pod).entryPoint(annotation);
  if (!entryPoint) return std::nullopt;
  const Path tree = stage1Tree(pod);
  const bool overlaid = tree != pod.stage1Rootfs();
  return Entry{(pod.stage1Rootfs() / resolveEntryPoint(tree, *entryPoint)).string(),
               overlaid ? pod.stage1Rootfs().string() : std::string(),
               readOnlyOverlayOptions(pod.stage1Rootfs(), tree)};
}

std::vector<char*> argumentVector(const std::string& program,
                                  const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};  // execve(2) does not write there
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return argv;
}

}  // namespace

std::optional<ExitStatus> runEntryPoint(const PodLayout& pod, std::string_view annotation,
                                        const std::vector<std::string>& arguments) {
  const std::optional<Entry> entry = findEntry(pod, annotation);
  if (!entry) return std::nullopt;
  const std::string& program = entry->program;
  const std::vector<char*> argv = argumentVector(program, arguments);
  log::debug("running {}", program);

  Pipe report = makePipe();
  const UniqueFd users = usersOf(pod);
  const EntryPlan plan{users.get(),
                       pod.dir().c_str(),
                       entry->mountPoint.empty() ? nullptr : entry->mountPoint.c_str(),
                       entry->mountOptions.c_str(),
                       program.c_str(),
                       argv.data(),
                       report.write.get()};
  const pid_t child = ::fork();
  if (child < 0) throwErrno("starting " + program);
  if (child == 0) runEntryChild(plan);

  report.write.reset();
  ChildFailure failure{};
  const std::size_t got = readFull(
      report.read.get(), std::as_writable_bytes(std::span<ChildFailure, 1>(&failure, 1)), program);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for " + program);
  }
  if (got == sizeof failure) {
    throw SystemError(failure.error, std::string(stepText(failure.step)) + program);
  }
  if (WIFSIGNALED(status)) return ExitStatus{true, WTERMSIG(status)};
  return ExitStatus{false, WEXITSTATUS(status)};
}

void setCrossing(const PodLayout& pod, pid_t pid, const std::string& app) {
  const auto enter = Stage1Manifest::ofPod(pod).entryPoint(kStage1Enter);
  const auto set = [](const char* name, const std::string& value) {
    if (::setenv(name, value.c_str(), 1) != 0) throwErrno("setting the environment");
  };
  if (enter) {
    set("RKT_STAGE1_ENTERCMD",
        (pod.stage1Rootfs() / resolveEntryPoint(stage1Tree(pod), *enter)).string());
  }
  set("RKT_STAGE1_ENTERPID", std::to_string(pid));
  set("RKT_STAGE1_ENTERAPP", app);
}

void execEntryPoint(const PodLayout& pod, std::string_view annotation,
                    const std::vector<std::string>& arguments) {
  const std::optional<Entry> entry = findEntry(pod, annotation);
  if (!entry) {
    throw Error(fmt::format("the pod's stage1 has no entry point {}", annotation),
                "run the pod with a stage1 that has it, as native");
  }
  joinUsersOf(pod);
  if (!entry->mountPoint.empty()) {
    enterMountNamespace();
    const int error = mountReadOnlyOverlay(entry->mountPoint.c_str(), entry->mountOptions.c_str());
    if (error != 0) throw SystemError(error, "mounting the stage1 of " + pod.dir().string());
  }
  if (::chdir(pod.dir().c_str()) != 0) throwErrno("entering " + pod.dir().string());
  ::signal(SIGPIPE, SIG_DFL);
  const std::vector<char*> argv = argumentVector(entry->program, arguments);
  log::debug("executing {} {}", entry->program, join(arguments, " "));
  ::execve(entry->program.c_str(), argv.data(), environ);
  throwErrno("executing the stage1's " + entry->program);
}

}  // namespace actool::run
