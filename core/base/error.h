// The one family of exceptions of this project.
//
// An Error says, in one line and in this order: what was attempted and on which input
// (added as context on the way up), why it failed, and what to do about it (the hint).
// Libraries throw; they never print and never exit. The one place in each tool that turns
// an Error into a line on stderr and an exit code is cli::toolMain().
// Exceptions of other libraries do not leave the wrapper that calls them.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace actool {

// Exit codes of every tool; docs/exit-codes.md. `run` of one app exits with the app's own.
enum class ExitCode : int {
  ok = 0,
  inUse = 250,
  network = 251,
  notFound = 252,
  notTrusted = 253,
  failure = 254,
};

class Error : public std::exception {
 public:
  // `why` and `hint` are sentences without capital or full stop; the hint may be empty.
  explicit Error(std::string why, std::string hint = {}, ExitCode code = ExitCode::failure);

  // "context: context: why; hint".
  const char* what() const noexcept override { return line_.c_str(); }
  ExitCode code() const noexcept { return code_; }
  const std::string& hint() const noexcept { return hint_; }

  // Puts `context` (what was attempted, on which input) in front of what is there.
  void addContext(std::string_view context);

 private:
  void compose();

  std::string message_;
  std::string hint_;
  std::string line_;
  ExitCode code_;
};

// The command line, a record or a configuration file is wrong.
class UsageError : public Error {
 public:
  explicit UsageError(std::string why, std::string hint = {})
      : Error(std::move(why), std::move(hint), ExitCode::failure) {}
};

// An image, key, pod or file that was named is not there. Exit code 252.
class NotFoundError : public Error {
 public:
  explicit NotFoundError(std::string why, std::string hint = {})
      : Error(std::move(why), std::move(hint), ExitCode::notFound) {}
};

// No, a wrong, an expired or a revoked signature or key, or bytes that are not what was
// signed or asked for. Exit code 253.
class TrustError : public Error {
 public:
  explicit TrustError(std::string why, std::string hint = {})
      : Error(std::move(why), std::move(hint), ExitCode::notTrusted) {}
};

// Name resolution, connection, TLS, HTTP status. Exit code 251.
class NetworkError : public Error {
 public:
  explicit NetworkError(std::string why, std::string hint = {})
      : Error(std::move(why), std::move(hint), ExitCode::network) {}
};

// Another process holds the lock. Exit code 250.
class InUseError : public Error {
 public:
  explicit InUseError(std::string why, std::string hint = {})
      : Error(std::move(why), std::move(hint), ExitCode::inUse) {}
};

// A system call failed. `attempt` names the call's purpose and its object
// ("opening /var/lib/actool/lock"); errno's text follows it.
class SystemError : public Error {
 public:
  SystemError(int errnum, std::string_view attempt);
  int errnum() const noexcept { return errnum_; }

 private:
  int errnum_;
};

// Throws SystemError with the current errno.
[[noreturn]] void throwErrno(std::string_view attempt);

// Runs `fn`; an Error that leaves it gets `context` in front.
template <typename Fn>
auto withContext(std::string_view context, Fn&& fn) -> decltype(fn()) {
  try {
    return std::forward<Fn>(fn)();
  } catch (Error& error) {
    error.addContext(context);
    throw;
  }
}

}  // namespace actool
