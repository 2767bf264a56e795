// What every tool's main() is made of.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"
#include "core/base/process.h"
#include "core/cli/globals.h"
#include "core/cli/options.h"

namespace actool::cli {

// One subcommand of a tool. `setup` adds to `options` and stores into objects it owns;
// the function it returns does the work and gives the exit code.
struct Subcommand {
  // Words as typed after `actool`: "trust add", "verify", "image ingest".
  std::string name;
  std::string summary;  // one line, for help and manual pages
  std::string details;  // paragraphs for --help and the manual page, an example included
  std::function<std::function<int()>(Options& options, Globals& globals)> setup;
  // For a grammar that Options has not (`run IMG --exec X -- args --- IMG`). When set, `setup` only
  // describes the options, for --help and the manual page; every word of the command line but the
  // subcommand's own comes here as it is and in order, global options included, unless --help
  // or -h stands before the first "--". The handler parses with Options of its own
  // (Globals::addTo() on one of them) and calls Globals::settle().
  std::function<int(Globals& globals, std::vector<std::string> args)> rawArgs = nullptr;
};

struct Tool {
  std::string program;  // "actool-trust"
  std::string summary;
  std::vector<Subcommand> subcommands;
};

// The whole of a tool's main(). The program's own name chooses the subcommand as git's does:
// `actool-verify` runs "verify", `actool-trust add` runs "trust add", a tool whose name is a
// one-word subcommand (`actool-fetch`) runs that. Parses, runs, and is the one place that
// turns exceptions into one line on stderr and an exit code. SIGPIPE is ignored: a reader
// that went away is an error of write. Usage errors exit 254 with a hint at --help.
// For the build, with no other argument: `--help-man` prints the same text as a manual page
// (man_page.h); for completion `--help-options` the long options and `--help-words` a group's
// words.
int toolMain(int argc, char** argv, const Tool& tool);

// The tool whose `program` this is, where find_tool.h finds it. Throws NotFoundError.
Path findTool(std::string_view program);
// Every actool-* in those places but actool-help, without the "actool-", sorted: for help and
// suggestions.
std::vector<std::string> listTools();

// A sibling tool's argv with the global options put in, from {"actool-image", "resolve", ...}: of
// the subcommand's own program where it has one (find_tool.h).
std::vector<std::string> toolCommand(std::string_view program, const Globals& globals,
                                     const std::vector<std::string>& args);

// What to print: people's table on a terminal, JSON lines otherwise.
enum class Format { table, jsonl, id, json, jsonPretty };
// Adds --format with `allowed`; the default follows from isatty(1).
Option addFormatOption(Options& options, std::optional<Format>& format,
                       std::vector<Format> allowed);
Format effectiveFormat(const std::optional<Format>& format);

// True when arguments should be read as records from standard input: none were given, and
// standard input is a pipe, a socket or a file.
bool readsRecords(bool haveArguments);

}  // namespace actool::cli
