// Where the toolkit's programs are. For the dispatcher too, which is to start at once: nothing here
// but strings and system calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace actool::cli {

inline constexpr std::string_view kToolPrefix = "actool-";
// What the dispatcher leaves everything to that is no plain command.
inline constexpr std::string_view kHelpTool = "help";

// Subcommands of a group that have a program of their own, which starts sooner than the group's:
// `image resolve` is actool-image-resolve.
struct OwnProgram {
  std::string_view group;
  std::string_view word;
};
inline constexpr OwnProgram kOwnPrograms[] = {{"image", "list"}, {"image", "resolve"}};

// "image-resolve", when these words are among them; empty when not.
std::string ownProgram(std::string_view group, std::string_view word);

// What runs `actool GROUP WORD...`.
struct SubcommandTool {
  std::string path;      // empty: there is none
  bool hasWord = false;  // a program of its own, for which the second word is left out
};
SubcommandTool lookForSubcommand(std::string_view group, std::string_view word);

// Where what belongs to the running binary is: the libexec directory beside it (../libexec/actool),
// and its own directory. Empty where /proc is not mounted.
std::vector<std::string> ownPlaces();

// The directories in which tools are looked for, in order: $ACTOOL_EXEC_PATH, ownPlaces(), then
// PATH.
std::vector<std::string> toolPlaces();

// The first of them that has `program` as something executable; empty when none has.
std::string lookForTool(std::string_view program);

}  // namespace actool::cli
