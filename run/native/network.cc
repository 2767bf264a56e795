#include "run/native/network.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/networks.h"

namespace actool::run::native {
namespace {

constexpr const char* kOwnNamespace = "/proc/self/ns/net";
constexpr std::size_t kMaxHelperOutput = 64 << 10;

void enterNetwork(int space) {
  if (::setns(space, CLONE_NEWNET) != 0) throwErrno("entering a network namespace");
}

void runHelper(const std::string& command, const Uuid& pod, const std::string& localConfig,
               const std::vector<std::string>& more) {
  // It lies beside this program, wherever the stage1 is mounted.
  std::error_code failure;
  const Path own = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) throw SystemError(failure.value(), "reading /proc/self/exe");
  std::vector<std::string> argv = {(own.parent_path() / "net").string(), command,
                                   "--uuid=" + pod.str()};
  if (log::debugEnabled()) argv.emplace_back("--debug");
  // Stage0 tells all of them; by itself the interface has the local one.
  const char* dirs = std::getenv("ACTOOL_CONFIG_DIRS");
  const std::string list = dirs != nullptr ? dirs : localConfig;
  for (const std::string_view dir : split(list, ':'))
    if (!dir.empty()) argv.push_back("--config=" + std::string(dir));
  argv.insert(argv.end(), more.begin(), more.end());
  const CommandResult result = runCommand(argv, kMaxHelperOutput);
  if (result.status.ok()) return;
  if (result.out.empty()) throw Error("the helper for networks " + result.status.describe());
  const bool known = !result.status.signaled && result.status.value >= 250;
  throw Error(result.out, {},
              known ? static_cast<ExitCode>(result.status.value) : ExitCode::failure);
}

}  // namespace

PodNetwork::PodNetwork(const RunOptions& options, const PodLayout& layout) : options_(options) {
  if (options.networks.empty()) return;
  if (options.networks == kUserNetwork) {
    user_.emplace(options, layout);
    enterNetwork(user_->space());
    return;
  }
  host_ = openFile(kOwnNamespace, O_RDONLY);
  if (::unshare(CLONE_NEWNET) != 0) throwErrno("making a network namespace");
  own_ = openFile(kOwnNamespace, O_RDONLY);
  enterNetwork(host_.get());
  const std::string place =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(own_.get());
  runHelper("join", options.uuid, options.localConfig,
            {"--networks=" + options.networks, "--netns=" + place});
  enterNetwork(own_.get());
}

void PodNetwork::leave() {
  user_.reset();
  if (!contained()) return;
  try {
    enterNetwork(host_.get());
    const std::string place =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(own_.get());
    runHelper("leave", options_.uuid, options_.localConfig, {"--netns=" + place});
  } catch (const Error& error) {
    log::warn("the pod's networks were not undone, gc will try again: {}", error.what());
  }
}

void leaveNetworksOf(const PodLayout& layout, const Uuid& pod, const std::string& localConfig) {
  if (!actool::exists(layout.netInfo()) && !actool::exists(layout.netLeft())) return;
  runHelper("leave", pod, localConfig, {});
}

}  // namespace actool::run::native
