#include "run/native/net/plugin.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/process.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

using Clock = std::chrono::steady_clock;

// Its input as a file: a plugin that does not read it cannot block us.
UniqueFd inputFile(const std::string& text) {
  UniqueFd file(::memfd_create("cni", MFD_CLOEXEC));
  if (!file) throwErrno("making a plugin's input");
  writeAll(file.get(), text, "a plugin's input");
  if (::lseek(file.get(), 0, SEEK_SET) != 0) throwErrno("making a plugin's input");
  return file;
}

// Up to end of file, within the limits.
std::string readOutput(int fd, const PluginLimits& limits) {
  const Clock::time_point end = Clock::now() + limits.time;
  std::string output;
  std::array<std::byte, 4096> buffer{};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    const int result = left <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left));
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) throwErrno("waiting for a plugin");
    if (result == 0) {
      throw Error("it took longer than " + std::to_string(limits.time.count() / 1000) + " s");
    }
    const std::size_t got = readSome(fd, buffer, "a plugin's output");
    if (got == 0) return output;
    output.append(reinterpret_cast<const char*>(buffer.data()), got);
    if (output.size() > limits.output) {
      throw Error("it wrote more than " + std::to_string(limits.output) + " bytes");
    }
  }
}

// A plugin may close its output and stay.
ExitStatus waitFor(Child& child, const PluginLimits& limits) {
  const Clock::time_point end = Clock::now() + limits.time;
  constexpr auto kPause = std::chrono::milliseconds(1);
  while (true) {
    if (const auto status = child.poll()) return *status;
    if (Clock::now() >= end) throw Error("it did not end");
    ::usleep(std::chrono::microseconds(kPause).count());
  }
}

[[noreturn]] void throwFailure(const std::string& output, const ExitStatus& status) {
  std::string message = "it " + status.describe();
  try {
    const Json error = parseJson(output, "its output");
    message = printable(stringMember(error, "msg"), 1000);
    const std::string details = stringMemberOr(error, "details", "");
    if (!details.empty()) message += ": " + printable(details, 1000);
  } catch (const Error&) {
    // It said nothing that could be understood: how it ended is all there is.
  }
  throw Error(message);
}

}  // namespace

Path Plugins::find(const std::string& type) const {
  std::vector<std::string> places;
  for (const Path& directory : path_) {
    if (::access((directory / type).c_str(), X_OK) == 0) return directory / type;
    places.push_back(directory.string());
  }
  throw NotFoundError("it is not in " + join(places, ", "),
                      "install CNI plugins (Debian: containernetworking-plugins)");
}

Json Plugins::run(const PluginCall& call, const Json& config) const {
  const std::string type = stringMember(config, "type");
  return withContext("network plugin " + type, [&] {
    SpawnOptions options;
    options.program = find(type);
    options.argv = {options.program.string()};
    const char* search = std::getenv("PATH");
    std::vector<std::string> path;
    for (const Path& directory : path_)
      path.push_back(directory.string());
    options.env = {
        std::string("PATH=") + (search != nullptr ? search : "/usr/sbin:/usr/bin:/sbin:/bin"),
        "CNI_COMMAND=" + call.command,
        "CNI_CONTAINERID=" + call.containerId,
        "CNI_NETNS=" + call.netns,
        "CNI_IFNAME=" + call.interface,
        "CNI_ARGS=IgnoreUnknown=1" + (call.args.empty() ? "" : ";" + call.args),
        "CNI_PATH=" + join(path, ":")};
    const UniqueFd input = inputFile(dumpLine(config));
    Pipe output = makePipe();
    options.fds = {{STDIN_FILENO, input.get()}, {STDOUT_FILENO, output.write.get()}};
    options.dieWithParent = true;
    Child child = Child::spawn(options);  // killed when something is thrown
    output.write.reset();
    const std::string text = readOutput(output.read.get(), limits_);
    const ExitStatus status = waitFor(child, limits_);
    if (!status.ok()) throwFailure(text, status);
    if (trim(text).empty()) return Json();
    return parseJson(text, "its result", {.bytes = limits_.output});
  });
}

void Plugins::require(const Json& config) const {
  const std::string type = stringMember(config, "type");
  withContext("network plugin " + type, [&] { find(type); });
}

std::vector<Path> pluginPath(const std::vector<Path>& configDirs) {
  std::vector<Path> path;
  if (const char* given = std::getenv("CNI_PATH"); given != nullptr && *given != '\0') {
    for (const std::string_view directory : split(given, ':'))
      if (!directory.empty()) path.emplace_back(directory);
    return path;
  }
  for (const Path& directory : configDirs)
    path.push_back(directory / "net.d");
  for (const char* directory : {"/usr/lib/cni", "/opt/cni/bin", "/usr/lib/rkt/plugins/net"})
    path.emplace_back(directory);
  return path;
}

}  // namespace actool::run::native
