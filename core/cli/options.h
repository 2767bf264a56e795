// The options of a command line, over CLI11, whose headers take 15 seconds to compile and are
// included by options.cc alone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace actool::cli {

// One option, flag or argument of an Options, to say more of it. A handle: cheap to copy, valid
// as long as the Options. That of an option which was not made (forWords()) takes everything and
// does nothing. What is given against these rules is a UsageError of parse().
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required() const;
  Option typeName(const std::string& name) const;  // of the value, in help: "FILE"
  Option group(std::string_view heading) const;    // of the help under which it stands
  Option range(int lowest, int highest) const;
  Option oneOf(const std::vector<std::string>& words) const;
  Option excludes(Option other) const;
  Option lastHolds() const;          // given twice, the last value holds
  Option delimiter(char c) const;    // one word may have several values
  Option oneValueEach() const;       // of several values, each has its own --option
  Option defaultFromTarget() const;  // help tells the value the target has now

  // Whether a word has to follow it.
  bool needsValue() const;
  // The same option of the same Options.
  bool operator==(const Option&) const = default;

 private:
  friend class Options;
  CLI::Option* option_;
};

// What help and manual pages tell of one option.
struct OptionText {
  std::string names;      // "-h,--help"; empty for an argument
  std::string argument;   // name of an argument, empty for an option
  std::string valueType;  // empty when it takes none
  std::string help;
  std::vector<std::string> longNames;  // without the dashes
};

class Options {
 public:
  // `usage` is what is typed to get here: "actool trust add".
  explicit Options(std::string usage, std::string description = "");
  // For parse() alone, of words that are known before the options are: of those that have a name,
  // only the ones that stand among `words` are made. (To make `run`'s hundred takes CLI11 longer
  // than all that the kernel does for the pod's directory.) The others are not found by find(), and
  // none of them may be required().
  static Options forWords(std::string usage, const std::vector<std::string>& words);
  ~Options();
  Options(Options&&) noexcept;
  Options& operator=(Options&&) noexcept;

  // An option ("-o,--option") or an argument ("NAME") whose value goes to `target`, which has to
  // live until parse() returns. T: std::string, bool, integers, std::optional of these, and
  // std::vector<std::string> for several values.
  template <class T>
  Option add(const std::string& names, T& target, const std::string& help);
  // A flag; T is bool, or std::string with the value of a bare flag in braces
  // ("--wait{true}", also --wait=10s).
  template <class T>
  Option flag(const std::string& names, T& target, const std::string& help);
  // An option whose value, or each of whose values, goes to a function.
  Option call(const std::string& names, const std::function<void(const std::string&)>& set,
              const std::string& help);
  Option callEach(const std::string& names, std::function<void(const std::string&)> set,
                  const std::string& help);
  Option callFlag(const std::string& names, std::function<void()> set, const std::string& help);

  void describe(const std::string& description);
  void footer(std::function<std::string()> text);
  // Keeps `object` as long as this: targets.
  void keep(std::shared_ptr<void> object);
  // --version
  void addVersion(const std::string& text);
  // Words from the first one that is no option are left for rest().
  void stopAtFirstWord();

  // Parses words (without a program name). UsageError with the parser's reason and a hint at
  // --help of `command`; prints what --help and --version ask for and returns false.
  bool parse(std::vector<std::string> words, std::string_view command);
  std::vector<std::string> rest() const;
  std::string help() const;

  // Null when there is no option of that name ("--dir").
  const Option* find(const std::string& name) const;
  // As given on the command line; an option with several values stands there once for each.
  std::vector<Option> inOrder() const;
  std::vector<OptionText> texts() const;

 private:
  bool unneeded(std::string_view names) const;
  Option note(CLI::Option* option);

  std::unique_ptr<CLI::App> app_;
  std::optional<std::vector<std::string>> needed_;  // names with their dashes
  std::vector<Option> options_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace actool::cli
