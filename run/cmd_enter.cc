// enter: a command in an app of a running pod.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "run/commands.h"
#include "run/pod_wait.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

struct EnterArguments {
  std::string app;
};

// A shell of the image's. Images that have bash have it for people; others have sh.
const std::vector<std::string> kShell{"/bin/sh", "-c",
                                      "[ -x /bin/bash ] && exec /bin/bash; exec /bin/sh"};

int enterPod(const cli::Globals& globals, const EnterArguments& arguments,
             std::vector<std::string> words) {
  if (words.empty()) throw UsageError("which pod?", "`actool list` shows the pods");
  const Pod pod = findRunning(podsOf(globals), words.front());
  words.erase(words.begin());
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  const auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  const schema::RuntimeApp& app = chooseApp(*manifest, arguments.app);
  if (words.empty()) {
    log::info("no command was given, running a shell");
    words = kShell;
  }
  std::vector<std::string> entry{fmt::format("--pid={}", pod.pid().value()),
                                 "--appname=" + app.name.str(), "--"};
  entry.insert(entry.end(), words.begin(), words.end());
  execEntryPoint(pod.layout(), kStage1Enter, entry);
}

cli::Subcommand entering(cli::Subcommand command) {
  command.setup = [](cli::Options& app, cli::Globals& globals) {
    const auto arguments = std::make_shared<EnterArguments>();
    app.add("--app", arguments->app, "which app, when the pod has several").typeName("NAME");
    // What follows the UUID is the command's own, options included.
    app.stopAtFirstWord();
    const cli::Options* options = &app;
    return
        [arguments, options, &globals] { return enterPod(globals, *arguments, options->rest()); };
  };
  return command;
}

}  // namespace

cli::Subcommand enterCommand() {
  return entering(
      {.name = "enter",
       .summary = "Runs a command in an app of a running pod",
       .details =
           "actool enter [--app=NAME] UUID [COMMAND [ARG...]]\n\n"
           "Runs the command in the namespaces and the root of the app, with the app's user, "
           "environment and capabilities, and exits with its status. Without a command a shell of "
           "the image's runs.\n\n"
           "Example:\n"
           "  actool enter --app=web 5bc080ca ps -ef",
       .setup = nullptr});
}

}  // namespace actool::run
