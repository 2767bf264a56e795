// actool-help: whatever the dispatcher does not simply pass on. `actool` alone, help, the version,
// global options of two words, words that are no tool, and `actool` by the name of rkt. Started
// under the dispatcher's name.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/globals.h"
#include "core/cli/man_page.h"
#include "core/cli/options.h"
#include "core/cli/rkt_names.h"
#include "core/cli/table.h"
#include "core/cli/tool.h"

namespace actool::cli {
namespace {

std::string overview() {
  std::string out = "Tools, each with --help:\n";
  for (const std::string& name : listTools())
    out += "  " + name + "\n";
  return out;
}

// actool(1): what it is, and the tools there are. The tools' own pages are made by themselves.
std::string dispatcherManPage() {
  const Subcommand self{
      "", "finds, fetches, verifies, stores, shares and runs container images",
      "actool TOOL [ARGUMENTS] runs actool-TOOL, found in $ACTOOL_EXEC_PATH, then the libexec "
      "directory beside the binary, then PATH. Global options may stand before or after TOOL. "
      "The main job is\n\n"
      "  actool discover example.com/web:1.0.0 | actool fetch | actool run\n\n" +
          overview(),
      nullptr, nullptr};
  Globals globals;
  Options options("actool");
  globals.addTo(options);
  return manPage(self, options);
}

[[noreturn]] void execTool(const std::string& word, const std::vector<std::string>& arguments) {
  Path program;
  try {
    program = findTool("actool-" + word);
  } catch (const NotFoundError&) {
    const std::optional<std::string> near = nearest(word, listTools());
    throw UsageError(fmt::format("there is no subcommand \"{}\"", printable(word)),
                     near ? fmt::format("did you mean \"{}\"?", *near) : "see actool --help");
  }
  std::vector<std::string> argv{program.string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& text : argv)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  ::execv(program.c_str(), pointers.data());
  throwErrno("starting " + program.string());
}

int run(std::vector<std::string> arguments, bool asRkt) {
  if (arguments.size() == 1 && arguments[0] == "--list-tools") {
    for (const std::string& name : listTools())
      print(name + "\n");
    return 0;
  }
  if (arguments.size() == 1 && arguments[0] == "--help-man") {
    print(dispatcherManPage());
    return 0;
  }
  Globals globals;
  Options options("actool", "Finds, fetches, verifies, stores, shares and runs container images.");
  options.addVersion(std::string("actool ") + ACTOOL_VERSION);
  options.footer([] { return overview(); });
  globals.addTo(options);
  options.stopAtFirstWord();
  if (!options.parse(std::move(arguments), "actool")) return 0;
  std::vector<std::string> rest = options.rest();
  if (rest.empty()) throw UsageError("which subcommand?", "see actool --help");
  if (asRkt) rest = fromRkt(std::move(rest));
  std::string word = rest.front();
  rest.erase(rest.begin());
  if (word == "version") {
    print(versionText());
    return 0;
  }
  if (word == "help") {
    if (rest.empty()) {
      print(options.help());
      return 0;
    }
    word = rest.front();
    rest.front() = "--help";
    std::rotate(rest.begin(), rest.begin() + 1, rest.end());
  }
  std::vector<std::string> all = globals.forward();
  all.insert(all.end(), rest.begin(), rest.end());
  execTool(word, all);
}

}  // namespace
}  // namespace actool::cli

int main(int argc, char** argv) {
  actool::log::setProgram("actool");
  try {
    const bool asRkt = argc > 0 && actool::Path(argv[0]).filename() == "rkt";
    return actool::cli::run({argv + std::min(argc, 1), argv + argc}, asRkt);
  } catch (const actool::Error& error) {
    actool::log::error("{}", error.what());
    return static_cast<int>(error.code());
  }
}
