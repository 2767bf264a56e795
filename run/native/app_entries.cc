#include "run/native/app_entries.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"
#include "run/native/control.h"
#include "run/native/plan.h"

namespace actool::run::native {
namespace {

// What stage0 may say beside the app's name, and what `run` was told already.
constexpr std::array<std::string_view, 6> kOthers = {
    "--uuid",          "--disable-capabilities-restriction",
    "--disable-paths", "--disable-seccomp",
    "--private-users", "--local-config"};

}  // namespace

std::string parseAppEntry(const std::vector<std::string>& arguments) {
  std::string app;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    if (name == "--app" && equals != std::string::npos) {
      app = argument.substr(equals + 1);
    } else if (name == "--debug") {
      log::setDebug(true);
    } else if (std::find(kOthers.begin(), kOthers.end(), name) == kOthers.end()) {
      throw UsageError("unknown argument \"" + printable(argument) + "\"");
    }
  }
  if (app.empty()) throw UsageError("--app is missing");
  return app;
}

void addApp(const std::string& app, const PodLayout& layout) {
  const RunOptions options(*Uuid::parse("00000000-0000-0000-0000-000000000000"));
  loadAppPlan(app, options, layout);
}

void startApp(const std::string& app) {
  askPod(Packet::start, app);
}

void stopApp(const std::string& app) {
  askPod(Packet::stop, app);
}

void removeApp(const std::string& app) {
  askPod(Packet::remove, app);
}

}  // namespace actool::run::native
