#include "core/cli/sibling_tool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cli/tool.h"

namespace actool::cli {
namespace {

constexpr std::size_t kMaxOutput = 16 << 20;  // manifests are at most a megabyte

}  // namespace

ExitCode exitCodeOf(const ExitStatus& status) {
  if (status.signaled) return ExitCode::failure;
  switch (status.value) {
    case static_cast<int>(ExitCode::inUse):
      return ExitCode::inUse;
    case static_cast<int>(ExitCode::network):
      return ExitCode::network;
    case static_cast<int>(ExitCode::notFound):
      return ExitCode::notFound;
    case static_cast<int>(ExitCode::notTrusted):
      return ExitCode::notTrusted;
    default:
      return ExitCode::failure;
  }
}

ScratchFile::ScratchFile() : fd_(::memfd_create("actool-sibling", MFD_CLOEXEC)) {
  if (!fd_) throwErrno("creating a file in memory");
}

std::string ScratchFile::content() const {
  // The child shares the offset; it has left it at the end.
  if (::lseek(fd_.get(), 0, SEEK_SET) < 0) throwErrno("reading a file in memory");
  return readAll(fd_.get(), kMaxOutput, "the output of another tool");
}

void throwSiblingFailure(std::string_view program, const ExitStatus& status, std::string err) {
  // Killed or silent: nobody has said anything yet.
  if (status.signaled || err.empty())
    throw Error(fmt::format("{} {}", program, status.describe()), {}, exitCodeOf(status));
  throw SiblingFailure(std::move(err), exitCodeOf(status));
}

std::vector<std::string> Siblings::command(std::string_view program,
                                           const std::vector<std::string>& args) const {
  return toolCommand(program, globals_, args);
}

SiblingResult Siblings::run(std::string_view program, const std::vector<std::string>& args) const {
  const UniqueFd null = openFile("/dev/null", O_RDONLY);
  const ScratchFile out;
  const ScratchFile err;
  SpawnOptions options;
  options.argv = command(program, args);
  options.fds = {{0, null.get()}, {1, out.fd()}, {2, err.fd()}};
  options.dieWithParent = true;
  Child child = Child::spawn(options);
  SiblingResult result;
  result.status = child.wait();
  result.out = out.content();
  result.err = err.content();
  return result;
}

std::string Siblings::runOrThrow(std::string_view program,
                                 const std::vector<std::string>& args) const {
  SiblingResult result = run(program, args);
  if (!result.status.ok()) throwSiblingFailure(program, result.status, std::move(result.err));
  talk(result.err);
  return std::move(result.out);
}

}  // namespace actool::cli
