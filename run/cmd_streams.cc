// attach and logs: the standard streams of apps.
#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <thread>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "run/commands.h"
#include "run/log_reader.h"
#include "run/pod_wait.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

// --- attach ---

// rkt's --mode as the entry point's arguments.
std::vector<std::string> attachArguments(const std::string& mode) {
  if (mode == "list") return {"--action=list"};
  if (mode == "auto" || mode.empty()) return {"--action=auto-attach"};
  std::vector<std::string> arguments{"--action=custom-attach"};
  for (const std::string_view word : split(mode, ',')) {
    if (word == "tty" || word == "tty:rw") {
      arguments.emplace_back("--tty-in=true");
      arguments.emplace_back("--tty-out=true");
    } else if (word == "tty-in" || word == "tty:w") {
      arguments.emplace_back("--tty-in=true");
    } else if (word == "tty-out" || word == "tty:r") {
      arguments.emplace_back("--tty-out=true");
    } else if (word == "stdin" || word == "stdout" || word == "stderr") {
      arguments.push_back("--" + std::string(word) + "=true");
    } else {
      throw UsageError(
          fmt::format("--mode: '{}' is not known", printable(word)),
          "it is list, auto, tty, tty-in, tty-out, or a list of stdin, stdout, stderr");
    }
  }
  return arguments;
}

struct AttachArguments {
  std::string app;
  std::string mode = "auto";
  std::string uuid;
};

int attachPod(const cli::Globals& globals, const AttachArguments& arguments) {
  std::vector<std::string> words = attachArguments(arguments.mode);
  const Pod pod = findRunning(podsOf(globals), arguments.uuid);
  const auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  const schema::RuntimeApp& app = chooseApp(*manifest, arguments.app);
  words.push_back("--app=" + app.name.str());
  if (globals.debug) words.emplace_back("--debug");
  setCrossing(pod.layout(), pod.pid().value(), app.name.str());
  execEntryPoint(pod.layout(), kStage1Attach, words);
}

// --- logs ---

struct LogArguments {
  std::string app;
  bool follow = false;
  bool timestamps = false;
  std::string stream;
  std::optional<std::size_t> tail;
  std::string uuid;
};

class LogPrinter {
 public:
  LogPrinter(const LogArguments& arguments, bool named) : arguments_(arguments), named_(named) {}

  void take(const std::string& app, const LogLine& line) {
    if (!arguments_.stream.empty() && line.stream != arguments_.stream) return;
    std::string text;
    if (begun_) {
      if (named_) text += app + ": ";
      if (arguments_.timestamps) text += line.time + " ";
    }
    text += line.text;
    if (line.whole) text += "\n";
    begun_ = line.whole;
    if (!arguments_.tail || following_) {
      cli::print(text);
      return;
    }
    last_.push_back(std::move(text));
    if (last_.size() > *arguments_.tail) last_.pop_front();
  }

  void endOfPast() {
    following_ = true;
    for (const std::string& text : last_)
      cli::print(text);
    last_.clear();
  }

 private:
  const LogArguments& arguments_;
  bool named_;
  bool begun_ = true;  // the next text begins a line
  bool following_ = false;
  std::deque<std::string> last_;
};

struct AppLog {
  LogReader reader;
  std::optional<LogLine> head;
};

// All lines that are there, of all logs, in the order of their times.
void printPresent(std::map<std::string, AppLog>& logs, LogPrinter& printer) {
  while (true) {
    AppLog* first = nullptr;
    const std::string* name = nullptr;
    for (auto& [app, log] : logs) {
      if (!log.head) log.head = log.reader.next();
      if (log.head && (first == nullptr || log.head->time < first->head->time)) {
        first = &log;
        name = &app;
      }
    }
    if (first == nullptr) return;
    printer.take(*name, *first->head);
    first->head.reset();
  }
}

[[noreturn]] void showJournal(const std::string& identifier, const LogArguments& arguments) {
  std::vector<std::string> words{"journalctl", "--no-pager",
                                 "-t",         identifier,
                                 "-o",         arguments.timestamps ? "short-iso" : "cat"};
  if (arguments.follow) words.emplace_back("-f");
  if (arguments.tail) words.push_back(fmt::format("-n{}", *arguments.tail));
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  throwErrno("running journalctl");
}

int podLogs(const cli::Globals& globals, const LogArguments& arguments) {
  const Pod pod = Pod::find(podsOf(globals), arguments.uuid);
  const auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  std::map<std::string, AppLog> logs;
  for (const schema::RuntimeApp& app : manifest->apps) {
    const std::string& name = app.name.str();
    if (!arguments.app.empty() && name != arguments.app) continue;
    if (const auto journal = tryReadFile(pod.layout().appJournal(app.name), 4096)) {
      if (arguments.app.empty() && manifest->apps.size() > 1) {
        throw UsageError("the apps log to the journal", "choose one with --app");
      }
      showJournal(std::string(trim(*journal)), arguments);
    }
    if (actool::exists(pod.layout().appLog(app.name))) {
      logs.emplace(name, AppLog{LogReader(pod.layout().appLog(app.name)), std::nullopt});
    }
  }
  if (!arguments.app.empty()) chooseApp(*manifest, arguments.app);
  if (logs.empty()) {
    throw NotFoundError(fmt::format("pod {} has no logs", pod.uuid().str()),
                        "run its apps with --stdout=log and --stderr=log");
  }
  LogPrinter printer(arguments, manifest->apps.size() > 1 && arguments.app.empty());
  bool running = true;
  while (true) {
    printPresent(logs, printer);
    printer.endOfPast();
    if (!arguments.follow || !running) return 0;
    // One more look after the end: what was written last is there by then.
    running = pod.state() == PodState::running;
    if (running) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

cli::Subcommand attachCommand() {
  return {
      .name = "attach",
      .summary = "Joins this terminal to the streams of a running app",
      .details =
          "actool attach [--app=NAME] [--mode=MODE] UUID\n\n"
          "The app has to be run with --stdin, --stdout or --stderr of 'stream' or 'tty'. "
          "--mode=list shows what there is to attach to; auto takes all of it; tty (or tty-in, "
          "tty-out) the app's terminal; stdin, stdout and stderr, separated by commas, single "
          "streams. The app goes on when this command ends. At a terminal of the app's, Ctrl-] "
          "typed three times leaves.\n\n"
          "Example:\n"
          "  actool run example.com/shell --stdin=tty --stdout=tty --stderr=tty &\n"
          "  actool attach --mode=tty 5bc080ca",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto arguments = std::make_shared<AttachArguments>();
            app.add("--app", arguments->app, "which app, when the pod has several")
                .typeName("NAME");
            app.add("--mode", arguments->mode,
                    "list, auto, tty, tty-in, tty-out, or of stdin,stdout,stderr")
                .typeName("MODE");
            app.add("UUID", arguments->uuid, "the pod's UUID or the beginning of it").required();
            return [arguments, &globals] { return attachPod(globals, *arguments); };
          },
  };
}

cli::Subcommand logsCommand() {
  return {
      .name = "logs",
      .summary = "Prints what apps of a pod have logged",
      .details =
          "Prints the output of apps that were run with --stdout=log or --stderr=log, of running "
          "and of ended pods. Of several apps the lines come in the order of their times, each "
          "with its app's name.\n\n"
          "Example:\n"
          "  actool logs --follow --app=web 5bc080ca",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto arguments = std::make_shared<LogArguments>();
            app.add("--app", arguments->app, "only this app's").typeName("NAME");
            app.flag("-f,--follow", arguments->follow, "go on until the pod ends");
            app.flag("--timestamps", arguments->timestamps, "each line with its time");
            app.add("--stream", arguments->stream, "only stdout or stderr")
                .oneOf({"stdout", "stderr"})
                .typeName("STREAM");
            app.call(
                   "--tail",
                   [arguments](const std::string& value) {
                     const auto number = parseUint(value);
                     if (!number) {
                       throw UsageError(fmt::format("--tail: '{}' is no number", printable(value)));
                     }
                     arguments->tail = *number;
                   },
                   "of what is there only the last lines")
                .typeName("LINES");
            app.add("UUID", arguments->uuid, "the pod's UUID or the beginning of it").required();
            return [arguments, &globals] { return podLogs(globals, *arguments); };
          },
  };
}

}  // namespace actool::run
