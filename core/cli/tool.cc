#include "core/cli/tool.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/find_tool.h"
#include "core/cli/man_page.h"
#include "core/cli/table.h"

namespace actool::cli {
namespace {

// Which subcommand is meant, and the arguments that are left for it.
struct Selection {
  const Subcommand* subcommand = nullptr;
  std::string group;  // "trust" when a second word has to choose
};

Selection selectByName(const Tool& tool, std::string_view name) {
  for (const Subcommand& subcommand : tool.subcommands) {
    if (subcommand.name == name) return {&subcommand, {}};
  }
  for (const Subcommand& subcommand : tool.subcommands) {
    if (hasPathPrefix(subcommand.name, name)) break;
    if (subcommand.name.starts_with(std::string(name) + " ")) return {nullptr, std::string(name)};
  }
  return {};
}

std::string usageName(const std::string& words) {
  return "actool " + words;
}

std::string longOptions(const Options& options) {
  std::string out;
  for (const OptionText& option : options.texts()) {
    for (const std::string& name : option.longNames)
      out += "--" + name + "\n";
  }
  return out;
}

// `--help-man`, `--help-options`, `--help-words`: for the build and for completion, every
// subcommand that goes by the program's name at once.
int describe(const Tool& tool, const Selection& selection, std::string_view what) {
  std::string out;
  for (const Subcommand& subcommand : tool.subcommands) {
    const bool chosen =
        selection.subcommand == &subcommand ||
        (selection.subcommand != nullptr &&
         subcommand.name.starts_with(selection.subcommand->name + " ")) ||
        (!selection.group.empty() && subcommand.name.starts_with(selection.group + " "));
    if (!chosen) continue;
    if (what == "--help-words") {
      if (!selection.group.empty())
        out += subcommand.name.substr(selection.group.size() + 1) + "\n";
      continue;
    }
    Globals globals;
    Options options(usageName(subcommand.name));
    globals.addTo(options);
    const std::function<int()> unused = subcommand.setup(options, globals);
    out += what == "--help-man" ? manPage(subcommand, options) : longOptions(options);
  }
  print(out);
  return 0;
}

int runOne(const Subcommand& subcommand, std::vector<std::string> arguments) {
  Globals globals;
  if (subcommand.rawArgs) {
    const auto end = std::find(arguments.begin(), arguments.end(), "--");
    const bool help = std::find(arguments.begin(), end, "--help") != end ||
                      std::find(arguments.begin(), end, "-h") != end;
    if (!help) return subcommand.rawArgs(globals, std::move(arguments));
    arguments = {"--help"};
  }
  Options options(usageName(subcommand.name), subcommand.summary + "\n\n" + subcommand.details);
  options.addVersion(std::string("actool ") + ACTOOL_VERSION);
  globals.addTo(options);
  const std::function<int()> body = subcommand.setup(options, globals);
  if (!options.parse(std::move(arguments), usageName(subcommand.name))) return 0;
  globals.settle();
  return body();
}

// The group's second word may stand after global options: `actool --dir=X trust add KEY`.
int runGroup(const Tool& tool, const std::string& group, std::vector<std::string> arguments) {
  std::vector<std::string> words;
  for (const Subcommand& subcommand : tool.subcommands) {
    if (subcommand.name.starts_with(group + " "))
      words.push_back(subcommand.name.substr(group.size() + 1));
  }
  Globals globals;
  Options options(usageName(group), tool.summary);
  globals.addTo(options);
  options.stopAtFirstWord();
  std::string list = "Subcommands:\n";
  for (const Subcommand& subcommand : tool.subcommands) {
    if (subcommand.name.starts_with(group + " ")) {
      list += fmt::format("  {:<24}{}\n", subcommand.name, subcommand.summary);
    }
  }
  options.footer([list] { return list; });
  if (!options.parse(std::move(arguments), usageName(group))) return 0;
  std::vector<std::string> rest = options.rest();
  if (rest.empty()) {
    throw UsageError(fmt::format("{} needs a subcommand", usageName(group)),
                     "it is one of " + join(words, ", "));
  }
  const std::string word = rest.front();
  const Selection selection = selectByName(tool, group + " " + word);
  rest.erase(rest.begin());
  std::vector<std::string> all = globals.forward();
  all.insert(all.end(), rest.begin(), rest.end());
  // "image lease add": a group in a group.
  if (!selection.group.empty()) return runGroup(tool, selection.group, std::move(all));
  if (selection.subcommand == nullptr) {
    const std::optional<std::string> near = nearest(word, words);
    throw UsageError(
        fmt::format("{} has no subcommand \"{}\"", usageName(group), printable(word)),
        near ? fmt::format("did you mean \"{}\"?", *near) : "it is one of " + join(words, ", "));
  }
  return runOne(*selection.subcommand, std::move(all));
}

// "seed status" beside "seed": the longer name wins when its second word stands after nothing but
// global options. That word is taken out of `arguments`. Null when there is none.
const Subcommand* takeSecondWord(const Tool& tool, const Subcommand& first,
                                 std::vector<std::string>& arguments) {
  for (const Subcommand& subcommand : tool.subcommands) {
    if (!subcommand.name.starts_with(first.name + " ")) continue;
    const std::string word = subcommand.name.substr(first.name.size() + 1);
    const auto place = std::find(arguments.begin(), arguments.end(), word);
    if (place == arguments.end()) continue;
    const std::vector<std::string> before(arguments.begin(), place);
    if (std::find(before.begin(), before.end(), "--help") != before.end()) continue;
    try {
      Globals globals;
      Options options(usageName(first.name));
      globals.addTo(options);
      options.parse(before, usageName(first.name));
    } catch (const UsageError&) {
      continue;  // an image or an option's value of that name
    }
    arguments.erase(place);
    return &subcommand;
  }
  return nullptr;
}

int dispatch(int argc, char** argv, const Tool& tool) {
  std::string name = argc > 0 ? Path(argv[0]).filename().string() : tool.program;
  log::setProgram(name);
  if (name.starts_with(kToolPrefix)) name.erase(0, kToolPrefix.size());
  for (const OwnProgram& own : kOwnPrograms) {
    if (name != ownProgram(own.group, own.word)) continue;
    log::setProgram(tool.program);  // no word of the operator's
    name = std::string(own.group).append(" ").append(own.word);
    break;
  }
  Selection selection = selectByName(tool, name);
  if (selection.subcommand == nullptr && selection.group.empty()) {
    // Started under a name of its own (a copy, a debugger): by the tool's.
    selection = selectByName(tool, tool.program.substr(kToolPrefix.size()));
  }
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  static const std::set<std::string> kDescriptions{"--help-man", "--help-options", "--help-words"};
  if (arguments.size() == 1 && kDescriptions.contains(arguments[0])) {
    return describe(tool, selection, arguments[0]);
  }
  if (selection.subcommand != nullptr) {
    if (const Subcommand* longer = takeSecondWord(tool, *selection.subcommand, arguments)) {
      return runOne(*longer, std::move(arguments));
    }
  }
  if (selection.subcommand != nullptr) return runOne(*selection.subcommand, std::move(arguments));
  return runGroup(tool, selection.group, std::move(arguments));
}

}  // namespace

int toolMain(int argc, char** argv, const Tool& tool) {
  // A reader that goes away is an error of write(2), not a silent death.
  ::signal(SIGPIPE, SIG_IGN);
  try {
    return dispatch(argc, argv, tool);
  } catch (const Error& error) {
    log::error("{}", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    log::error("out of memory");
  } catch (const std::exception& error) {
    // Not one of ours: a mistake of this program, said as such.
    log::error("internal error: {}; please report it", error.what());
  }
  return static_cast<int>(ExitCode::failure);
}

Path findTool(std::string_view program) {
  const std::string found = lookForTool(program);
  if (found.empty()) {
    throw NotFoundError(fmt::format("no program {}", program),
                        "it is looked for in $ACTOOL_EXEC_PATH, beside actool and in PATH");
  }
  return found;
}

std::vector<std::string> listTools() {
  std::set<std::string> names;
  for (const std::string& place : toolPlaces()) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(place, error)) {
      const std::string file = entry.path().filename().string();
      if (!file.starts_with(kToolPrefix) || ::access(entry.path().c_str(), X_OK) != 0) continue;
      names.insert(file.substr(kToolPrefix.size()));
    }
  }
  names.erase(std::string(kHelpTool));
  for (const OwnProgram& own : kOwnPrograms)
    names.erase(ownProgram(own.group, own.word));
  return {names.begin(), names.end()};
}

std::vector<std::string> toolCommand(std::string_view program, const Globals& globals,
                                     const std::vector<std::string>& args) {
  const SubcommandTool own = lookForSubcommand(program.substr(kToolPrefix.size()),
                                               args.empty() ? std::string_view() : args.front());
  std::vector<std::string> argv{own.path.empty() ? findTool(program).string() : own.path};
  const std::vector<std::string> options = globals.forward();
  argv.insert(argv.end(), options.begin(), options.end());
  argv.insert(argv.end(), args.begin() + (own.hasWord ? 1 : 0), args.end());
  return argv;
}

Option addFormatOption(Options& options, std::optional<Format>& format,
                       std::vector<Format> allowed) {
  static const std::map<std::string, Format> kNames{{"table", Format::table},
                                                    {"jsonl", Format::jsonl},
                                                    {"id", Format::id},
                                                    {"json", Format::json},
                                                    {"json-pretty", Format::jsonPretty}};
  std::map<std::string, Format> names;
  std::vector<std::string> words;
  for (const auto& [word, value] : kNames) {
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) continue;
    names.emplace(word, value);
    words.push_back(word);
  }
  const std::string list = join(words, ", ");
  return options
      .call(
          "--format",
          [&format, names, list](const std::string& word) {
            const auto found = names.find(word);
            if (found == names.end()) {
              throw UsageError(fmt::format("--format: \"{}\" is not known", printable(word)),
                               "it is one of " + list);
            }
            format = found->second;
          },
          "what to print: " + list + " (a table on a terminal, JSON lines otherwise)")
      .typeName("FORMAT");
}

Format effectiveFormat(const std::optional<Format>& format) {
  if (format) return *format;
  return ::isatty(STDOUT_FILENO) == 1 ? Format::table : Format::jsonl;
}

bool readsRecords(bool haveArguments) {
  if (haveArguments) return false;
  struct stat info {};
  if (::fstat(STDIN_FILENO, &info) != 0) return false;
  return S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || S_ISREG(info.st_mode);
}

}  // namespace actool::cli
