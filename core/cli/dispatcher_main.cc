// `actool x` execs `actool-x`, as git does. Nothing else happens here, so that signals, pipes and
// exit codes pass straight through. It stands before every command: what it is linked with it pays
// for each time. So it knows no option but for how it looks, and leaves what is no plain command to
// actool-help (help_main.cc).
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/cli/find_tool.h"
#include "core/cli/global_names.h"

namespace actool::cli {
namespace {

// A global option that needs no other word: it means the same after the subcommand.
bool isWholeOption(std::string_view word) {
  if (!word.starts_with("--")) return false;
  const std::size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  for (const GlobalName& option : kGlobalNames) {
    if (option.name == name) return option.takesValue == (equals != std::string_view::npos);
  }
  return false;
}

bool isToolWord(std::string_view word) {
  if (word.empty() || word[0] == '-' || word == kHelpTool || word == "version") return false;
  return word.find('/') == std::string_view::npos;
}

int run(int argc, char** argv) {
  const char* slash = argc > 0 ? std::strrchr(argv[0], '/') : nullptr;
  const bool asRkt = argc > 0 && std::string_view(slash != nullptr ? slash + 1 : argv[0]) == "rkt";
  int at = 1;
  while (at < argc && isWholeOption(argv[at]))
    ++at;
  std::string program;
  std::vector<char*> words(argv, argv + argc);
  words.push_back(nullptr);
  int taken = 1;
  if (!asRkt && at < argc && isToolWord(argv[at])) {
    SubcommandTool tool = lookForSubcommand(argv[at], at + 1 < argc ? argv[at + 1] : "");
    program = std::move(tool.path);
    if (tool.hasWord) taken = 2;
  }
  if (!program.empty()) {
    words.erase(words.begin() + at, words.begin() + at + taken);
    words.front() = program.data();
  } else {
    // Under its own name still, which tells `rkt` from `actool`.
    program = lookForTool(std::string(kToolPrefix).append(kHelpTool));
  }
  if (!program.empty()) ::execv(program.c_str(), words.data());
  std::fprintf(stderr, "actool: error: starting %s: %s\n",
               program.empty() ? "actool-help" : program.c_str(),
               std::strerror(program.empty() ? ENOENT : errno));
  return 254;
}

}  // namespace
}  // namespace actool::cli

int main(int argc, char** argv) {
  return actool::cli::run(argc, argv);
}
