#include <fcntl.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/json.h"
#include "run/executor/app_pid.h"
#include "run/executor/pod_entry.h"
#include "run/native/options.h"
#include "run/native/stop.h"
#include "run/oci/driver.h"

namespace actool::run::oci {
namespace {

constexpr std::size_t kMaxConfig = 16 << 20;

// "UID:GID" of the app's container. Runtimes differ in whom exec runs as unless told.
std::string userOf(const PodLayout& layout, const schema::AcName& app) {
  const Path file = ociDirectory(layout) / app.str() / "config.json";
  const Json config = parseJson(readFile(file, kMaxConfig), file.string(), {kMaxConfig});
  const Json& user = member(member(config, "process"), "user");
  return dumpLine(member(user, "uid")) + ":" + dumpLine(member(user, "gid"));
}

}  // namespace

int enterEntry(const std::vector<std::string>& arguments) {
  const native::EnterOptions options = native::parseEnterOptions(arguments);
  std::error_code failure;
  const Path here = std::filesystem::canonical(".", failure);
  if (failure) throw SystemError(failure.value(), "finding the pod's directory");
  const PodLayout layout(here);
  const native::AppPlan app = executor::runningApp(options, layout);
  return withContext(app.shown(), [&]() -> int {
    executor::openApp(layout, app.name, options.pid);  // throws when there is no container
    const Runtime runtime = Runtime::ofPod(layout);
    std::vector<std::string> words{"exec"};
    if (::isatty(STDIN_FILENO) == 1) words.emplace_back("--tty");
    words.insert(words.end(), {"--user", userOf(layout, app.name)});
    words.push_back(containerId(here.filename().string(), app.name.str()));
    words.insert(words.end(), options.command.begin(), options.command.end());
    const std::vector<std::string> command = runtime.command(words);
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command)
      argv.push_back(const_cast<char*>(word.c_str()));  // execv(3) does not write there
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    throwErrno("executing " + command.front());
  });
}

int gcEntry(const std::vector<std::string>& arguments) {
  const native::GcOptions options = native::parseGcOptions(arguments);
  native::collectPod(options, PodLayout("."));
  const PodLayout layout(native::requirePod(options.uuid, PodLayout(".")));
  const Path state = ociDirectory(layout) / "state";
  const UniqueFd null = openFile("/dev/null", O_RDONLY);
  for (const std::string& container : listDir(state)) {
    Runtime::ofPod(layout).run({"delete", "--force", container}, null.get(),
                               "removing container " + container);
    removeCgroups(container);
  }
  return 0;
}

}  // namespace actool::run::oci
