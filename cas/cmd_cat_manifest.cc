// actool cat-manifest: the manifest of a file, an image in the store, or a pod.
#include <unistd.h>

#include <memory>

#include "cas/aci_commands.h"
#include "cas/aci_input.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/uuid.h"
#include "core/cli/table.h"
#include "core/record/image_arg.h"

namespace actool::cas {

namespace {

constexpr const char* kCatDetails =
    "Prints a manifest on standard output: of an ACI file, of an image in the store by its name "
    "or\n"
    "image ID, or of a pod by its UUID. A file of that name goes before both.\n"
    "\n"
    "Example:\n"
    "  actool cat-manifest --pretty-print web.aci\n"
    "  actool cat-manifest example.com/web:1.2.0";

struct CatArguments {
  bool pretty = false;
  std::string what;
  std::string uuidFile;
};

// A UUID, or the beginning of one, as pods are listed: eight hex digits at least. An image of such
// a name can still be had with a label: "deadbeef,os=linux".
bool looksLikePod(std::string_view text) {
  if (Uuid::parse(text)) return true;
  const bool grouped = text.size() == 8 || (text.size() > 8 && text[8] == '-');
  return grouped && text.find_first_not_of("0123456789abcdefABCDEF-") == text.npos;
}

[[noreturn]] void become(const std::string& program, const cli::Globals& globals,
                         const std::vector<std::string>& args) {
  std::vector<std::string> words = cli::toolCommand(program, globals, args);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(cli::findTool(program).c_str(), argv.data());
  throwErrno("running " + program);
}

int printFile(const Path& path, bool pretty) {
  std::string manifest = readAciManifest(path);
  const std::string what = "manifest of " + path.string();
  schema::ImageManifest::parse(manifest, what);
  // Pretty or not, it is the manifest as it is: only the white space changes.
  if (pretty) manifest = dumpPretty(parseJson(manifest, what));
  if (!manifest.ends_with('\n')) manifest += '\n';
  cli::print(manifest);
  return static_cast<int>(ExitCode::ok);
}

int run(const CatArguments& arguments, const cli::Globals& globals) {
  if (arguments.what.empty() == arguments.uuidFile.empty()) {
    throw UsageError("whose manifest?", "name a file, an image or a pod, or give --uuid-file");
  }
  if (!arguments.uuidFile.empty()) {
    become("actool-pod-cat-manifest", globals, {"--uuid-file=" + arguments.uuidFile});
  }
  if (actool::exists(arguments.what)) return printFile(arguments.what, arguments.pretty);
  if (looksLikePod(arguments.what)) {
    become("actool-pod-cat-manifest", globals, {arguments.what});
  }
  const record::ImageArg image = record::parseImageArg(arguments.what);
  if (const auto* file = std::get_if<record::FileArg>(&image)) {
    throw NotFoundError("there is no file " + file->path.string());
  }
  std::vector<std::string> args = {"cat-manifest"};
  if (arguments.pretty) args.emplace_back("--pretty-print=true");
  args.push_back(arguments.what);
  become("actool-image", globals, args);
}

}  // namespace

cli::Subcommand catManifestCommand() {
  return {.name = "cat-manifest",
          .summary = "Print the manifest of an image file, a stored image or a pod",
          .details = kCatDetails,
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            const auto arguments = std::make_shared<CatArguments>();
            app.flag("--pretty-print", arguments->pretty, "indent the JSON");
            app.add("IMAGE", arguments->what, "an ACI file, an image, or a pod's UUID");
            app.add("--uuid-file", arguments->uuidFile, "of the pod whose UUID the file holds");
            return [arguments, &globals] { return run(*arguments, globals); };
          }};
}

}  // namespace actool::cas
