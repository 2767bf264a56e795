#include "run/oci/runtime.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/process.h"
#include "core/base/strings.h"

namespace actool::run::oci {
namespace {

constexpr std::size_t kMaxLog = 1 << 20;
constexpr std::size_t kMaxPath = 4096;

// As execvp(3) finds it; empty when there is none.
Path inPath(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return ::access(name.c_str(), X_OK) == 0 ? std::filesystem::absolute(name) : Path();
  }
  const char* path = ::getenv("PATH");
  for (const std::string_view dir : split(path != nullptr ? path : "/usr/sbin:/usr/bin", ':')) {
    const Path candidate = Path(dir) / name;
    if (candidate.is_absolute() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace

Path ociDirectory(const PodLayout& layout) {
  return layout.dir() / "oci";
}

std::string containerId(const std::string& uuid, const std::string& app) {
  return uuid + "-" + app;
}

std::string containerCgroup(const std::string& id) {
  return "actool-" + id;
}

void removeCgroups(const std::string& id) {
  const Path root = "/sys/fs/cgroup";
  std::vector<Path> places{root / containerCgroup(id)};
  for (const std::string& hierarchy : listDir(root))
    places.push_back(root / hierarchy / containerCgroup(id));
  for (const Path& place : places) {
    struct statfs info {};
    if (::statfs(place.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC) {
      removeTree(place);  // where a hierarchy was hidden from the runtime, it made plain files
    } else if (::rmdir(place.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
      throwErrno("removing cgroup " + place.string());
    }
  }
}

Runtime::Runtime(Path program, const PodLayout& layout)
    : program_(std::move(program)), directory_(ociDirectory(layout)) {}

Runtime Runtime::choose(const PodLayout& layout) {
  const char* wanted = ::getenv(kOciRuntimeVariable);
  std::vector<std::string> names{"crun", "runc"};
  if (wanted != nullptr && *wanted != '\0') names = {wanted};
  for (const std::string& name : names) {
    const Path program = inPath(name);
    if (program.empty()) continue;
    makeDirs(ociDirectory(layout), 0700);
    writeFilePlain(ociDirectory(layout) / "runtime", program.string());
    return {program, layout};
  }
  throw NotFoundError("there is no OCI runtime " + printable(join(names, " or ")),
                      "install one (Debian: crun), or name it with --oci-runtime");
}

Runtime Runtime::ofPod(const PodLayout& layout) {
  const Path file = ociDirectory(layout) / "runtime";
  const auto program = tryReadFile(file, kMaxPath);
  if (!program) throw NotFoundError("it has no containers");
  return {*program, layout};
}

std::vector<std::string> Runtime::command(const std::vector<std::string>& words) const {
  std::vector<std::string> argv{program_.string(), "--root", (directory_ / "state").string(),
                                "--log", (directory_ / "log").string()};
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

void Runtime::run(const std::vector<std::string>& words, int input, const std::string& what) const {
  SpawnOptions options;
  options.argv = command(words);
  options.fds = {{0, input}, {1, STDOUT_FILENO}, {2, STDERR_FILENO}};
  withContext(what, [&] {
    const ExitStatus status = Child::spawn(options).wait();
    if (status.ok()) return;
    const std::string logged = lastLogged();
    throw Error(program_.filename().string() + " " + status.describe() +
                (logged.empty() ? "" : ": " + logged));
  });
}

// The log's last line, without what a runtime puts around its message.
std::string Runtime::lastLogged() const {
  const auto log = tryReadFile(directory_ / "log", kMaxLog);
  if (!log) return {};
  std::string last;
  for (const std::string_view line : split(*log, '\n')) {
    if (!trim(line).empty()) last = trim(line);
  }
  return printable(last, 500);
}

}  // namespace actool::run::oci
