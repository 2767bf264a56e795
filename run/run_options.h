// The command line of `run`, in rkt's grammar:
//
//   run [POD OPTIONS] IMG [APP OPTIONS] [-- ARG...] [--- IMG ...]
//
// An option of an app belongs to the image before it; options of the pod may stand anywhere
// outside of arguments. "--" begins an app's arguments, "---" ends them. --mount before the first
// image holds for all apps. Values are written "--option=value" or "--option value"; --net
// takes its value only after "=", as with rkt.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/fs.h"
#include "core/cli/globals.h"
#include "core/schema/app.h"
#include "core/schema/identifier.h"
#include "core/schema/pod_manifest.h"
#include "run/images.h"
#include "run/isolator_options.h"
#include "run/network_options.h"

namespace actool::cli {
class Options;
}

namespace actool::run {

// What stands after one image.
struct AppOptions {
  std::string exec;
  std::vector<std::string> args;
  std::string user;
  std::string group;
  std::string workingDir;
  std::optional<schema::AcName> name;
  bool readOnlyRootfs = false;
  std::vector<schema::EnvVar> environment;
  std::vector<schema::Mount> mounts;
  std::vector<std::uint32_t> supplementaryGids;  // empty: the image's
  std::map<std::string, std::string> stdio;      // "stdin", "stdout", "stderr" and their modes
  std::vector<schema::Volume> volumes;           // of `app add`, which has no pod options
  std::string signature;                         // of the image, a file or URL
  std::map<std::string, std::string> annotations;
  std::map<std::string, std::string> userAnnotations;
  std::map<std::string, std::string> userLabels;
  IsolatorOptions isolators;
};

struct AppRequest {
  std::string image;  // as typed
  AppOptions options;
};

// Where the stage1 comes from: at most one option of --stage1-*.
struct Stage1Request {
  enum class Kind { standard, path, fromDir, name, hash, url };
  Kind kind = Kind::standard;
  std::string location;
};

struct PodOptions : NetworkOptions {
  bool inheritEnv = false;
  std::vector<schema::EnvVar> setEnv;       // --set-env
  std::vector<schema::EnvVar> setEnvFiles;  // the variables of --set-env-file
  std::vector<schema::Volume> volumes;
  std::vector<schema::Mount> mounts;  // --mount before the first image
  bool interactive = false;
  bool metadata = false;  // --mds-register
  Path uuidFileSave;
  std::string hostname;
  Path podManifest;
  PullPolicy pullPolicy = PullPolicy::onlyNew;
  bool noOverlay = false;
  std::string ipc;
  bool privateUsers = false;
  bool quiet = false;  // of prepare; nothing depends on it
  Stage1Request stage1;
  std::string ociRuntime;  // a name or path; empty: the stage1's choice
  // Words that --pod-manifest excludes, as typed, for its error.
  std::vector<std::string> manifestConflicts;
};

struct RunRequest {
  PodOptions pod;
  std::vector<AppRequest> apps;
  // Options and arguments without an image in front: for the one image of standard input.
  std::optional<AppOptions> withoutImage;
};

// Whose command line it is. `prepare` has the options that make a pod, `run-prepared` those
// that hold for its run (and takes the pod's UUID where the others take images), `run` both;
// `app sandbox` has those without images, `app add` takes a UUID and one image.
enum class RunWords { run, prepare, runPrepared, sandbox, appAdd };

// Parses; `globals` gets its options but is not settled. Throws UsageError.
RunRequest parseRun(cli::Globals& globals, const std::vector<std::string>& words,
                    RunWords which = RunWords::run);

// Adds every option to `app`, for --help.
void describeRunOptions(cli::Options& app, RunWords which = RunWords::run);

// "NAME=value"; throws UsageError naming `option`.
schema::EnvVar parseEnvVar(const std::string& text, std::string_view option);
// "volume=NAME,target=/path"; throws UsageError.
schema::Mount parseMount(const std::string& text);
// "name=NAME,kind=host,source=/DIR,target=/PATH": a volume of that mount alone (--mnt-volume).
schema::Mount parseMountedVolume(const std::string& text);
// Lines of NAME=value; blank lines and those that begin with '#' or ';' are left out. UsageError
// with the file's name and the line's number.
std::vector<schema::EnvVar> parseEnvFile(const Path& path);

}  // namespace actool::run
