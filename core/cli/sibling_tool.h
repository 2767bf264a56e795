// Running the other tools of the toolkit and passing on how they failed.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/process.h"
#include "core/cli/globals.h"

namespace actool::cli {

// A tool that this one ran failed and has said why itself. Whoever reports the error shows
// text(), that tool's own standard error, as it is, and exits with code().
class SiblingFailure : public Error {
 public:
  SiblingFailure(std::string text, ExitCode code) : Error(text, {}, code), text_(std::move(text)) {}
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

// A nameless file in memory for a child's output: unlike a pipe it needs nobody who reads it
// while the child runs.
class ScratchFile {
 public:
  ScratchFile();
  int fd() const { return fd_.get(); }
  std::string content() const;  // throws Error over 16 MiB

 private:
  UniqueFd fd_;
};

struct SiblingResult {
  ExitStatus status;
  std::string out;
  std::string err;
};

// What a tool's exit status says by docs/exit-codes.md; `failure` for all other endings.
ExitCode exitCodeOf(const ExitStatus& status);

// Throws SiblingFailure for a child that failed and said why, else an Error that says how
// `program` ended. Exit codes of docs/exit-codes.md come through as they are.
[[noreturn]] void throwSiblingFailure(std::string_view program, const ExitStatus& status,
                                      std::string err);

class Siblings {
 public:
  // `talk` is given what a successful tool wrote to its standard error; it may be called from
  // several threads.
  Siblings(const Globals& globals, std::function<void(std::string_view)> talk)
      : globals_(globals), talk_(std::move(talk)) {}

  std::vector<std::string> command(std::string_view program,
                                   const std::vector<std::string>& args) const;
  // To the end, with /dev/null as standard input.
  SiblingResult run(std::string_view program, const std::vector<std::string>& args) const;
  // As run(), for what must work: returns its standard output, passes its talk on.
  std::string runOrThrow(std::string_view program, const std::vector<std::string>& args) const;
  void talk(std::string_view text) const {
    if (!text.empty()) talk_(text);
  }

 private:
  const Globals& globals_;
  std::function<void(std::string_view)> talk_;
};

}  // namespace actool::cli
