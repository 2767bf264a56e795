// actool validate: are these what appc's formats ask for?
#include <memory>

#include "cas/aci_commands.h"
#include "cas/aci_validate.h"
#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

constexpr const char* kValidateDetails =
    "Checks each FILE: an App Container Image (plain tar, gzip, bzip2 or xz), an image layout\n"
    "(a directory), or an image or pod manifest (JSON). Which of them it is follows from its\n"
    "content unless --type says so. Images pass the same check that `actool fetch` puts them to.\n"
    "\n"
    "Says nothing when all are valid (--debug says which they are); one line for each that is\n"
    "not, and the exit code 254. 252 when a file is missing.\n"
    "\n"
    "Example:\n"
    "  actool validate web.aci\n"
    "  actool validate --type=manifest web-layout/manifest";

struct ValidateArguments {
  std::string type;
  std::vector<std::string> files;
};

int run(const ValidateArguments& arguments) {
  const ValidateType type =
      arguments.type.empty() ? ValidateType::detect : parseValidateType(arguments.type);
  int code = static_cast<int>(ExitCode::ok);
  for (const std::string& file : arguments.files) {
    try {
      log::debug("{}: valid {}", file, validateFile(file, type));
    } catch (const NotFoundError&) {
      throw;
    } catch (const Error& error) {
      log::error("{}", error.what());  // and on to the next: all of them are wanted
      code = static_cast<int>(ExitCode::failure);
    }
  }
  return code;
}

}  // namespace

cli::Subcommand validateCommand() {
  return {.name = "validate",
          .summary = "Check images, image layouts and manifests",
          .details = kValidateDetails,
          .setup = [](cli::Options& app, cli::Globals&) -> std::function<int()> {
            const auto arguments = std::make_shared<ValidateArguments>();
            app.add("--type", arguments->type, "what the files are: appimage, layout or manifest");
            app.add("FILE", arguments->files, "files or directories to check").required();
            return [arguments] { return run(*arguments); };
          }};
}

}  // namespace actool::cas
