// It stands before every command, so it reads nothing but the subcommand's place: it knows no
// option but for how it looks, and leaves what is no plain command to actool-help (help_main.cc).
#include "core/cli/dispatcher.h"

#include <sys/stat.h>
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

std::string_view nameOf(const char* program) {
  const char* slash = std::strrchr(program, '/');
  return slash != nullptr ? slash + 1 : program;
}

bool isThisProgram(const std::string& path) {
  struct stat other {};
  struct stat self {};
  return ::stat(path.c_str(), &other) == 0 && ::stat("/proc/self/exe", &self) == 0 &&
         other.st_dev == self.st_dev && other.st_ino == self.st_ino;
}

}  // namespace

bool isToolName(const char* program) {
  return nameOf(program).starts_with(kToolPrefix);
}

int dispatcherMain(int argc, char** argv, int (*own)(int argc, char** argv)) {
  const bool asRkt = argc > 0 && nameOf(argv[0]) == "rkt";
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
    if (isThisProgram(program)) return own(static_cast<int>(words.size()) - 1, words.data());
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

}  // namespace actool::cli
