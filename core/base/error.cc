#include "core/base/error.h"

#include <cerrno>
#include <cstring>

namespace actool {
namespace {

std::string errnoText(int errnum) {
  char buffer[128];
  return strerror_r(errnum, buffer, sizeof buffer);
}

std::string hintFor(int errnum) {
  switch (errnum) {
    case ENOSPC:
      return "make room on that file system or choose another with --dir";
    case EDQUOT:
      return "the disk quota is used up; make room or choose another place with --dir";
    case EROFS:
      return "that file system is mounted read-only; choose another with --dir";
    case EMFILE:
      return "raise the limit of open files (ulimit -n)";
    default:
      return {};
  }
}

}  // namespace

Error::Error(std::string why, std::string hint, ExitCode code)
    : message_(std::move(why)), hint_(std::move(hint)), code_(code) {
  compose();
}

void Error::addContext(std::string_view context) {
  message_.insert(0, ": ").insert(0, context);
  compose();
}

void Error::compose() {
  line_ = message_;
  if (!hint_.empty()) line_.append("; ").append(hint_);
}

SystemError::SystemError(int errnum, std::string_view attempt)
    : Error(std::string(attempt) + ": " + errnoText(errnum), hintFor(errnum),
            errnum == ENOENT ? ExitCode::notFound : ExitCode::failure),
      errnum_(errnum) {}

void throwErrno(std::string_view attempt) {
  throw SystemError(errno, attempt);
}

}  // namespace actool
