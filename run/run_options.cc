#include "run/run_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/options.h"
#include "core/cli/tool.h"
#include "core/schema/members.h"

namespace actool::run {
namespace {

// A file of environment variables is typed by hand.
constexpr std::size_t kMaxEnvFile = 1 << 20;

constexpr std::string_view kPodGroup = "Pod options";
constexpr std::string_view kAppGroup = "App options, after the image they are for";

std::string commandOf(RunWords which) {
  switch (which) {
    case RunWords::prepare:
      return "actool prepare";
    case RunWords::runPrepared:
      return "actool run-prepared";
    case RunWords::sandbox:
      return "actool app sandbox";
    case RunWords::appAdd:
      return "actool app add";
    case RunWords::run:
      break;
  }
  return "actool run";
}

// Commands whose words are images with options of their own.
bool hasImages(RunWords which) {
  return which != RunWords::runPrepared && which != RunWords::sandbox;
}

using Setter = std::function<void(const std::string&)>;

cli::Option addEach(cli::Options& options, const std::string& names, Setter set,
                    const std::string& help, const std::string& type) {
  return options.callEach(names, std::move(set), help).typeName(type);
}

cli::Option addOne(cli::Options& options, const std::string& name, const Setter& set,
                   const std::string& help, const std::string& type) {
  return options.call(name, set, help).typeName(type);
}

void requireOneOf(std::string_view option, const std::string& value,
                  const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  throw UsageError(fmt::format("{}: '{}' is not known", option, printable(value)),
                   "it is one of " + join(allowed, ", "));
}

void addStage1Options(cli::Options& app, Stage1Request& request) {
  const auto add = [&](const std::string& option, Stage1Request::Kind kind, const std::string& help,
                       const std::string& type) {
    addOne(
        app, option,
        [&request, kind](const std::string& value) {
          if (request.kind != Stage1Request::Kind::standard) {
            throw UsageError("only one of the options --stage1-* may be given");
          }
          request = {kind, value};
        },
        help, type)
        .group("Stage1 options");
  };
  using Kind = Stage1Request::Kind;
  add("--stage1-path", Kind::path, "a directory or an image file to use as stage1", "PATH");
  add("--stage1-from-dir", Kind::fromDir,
      "a name in the stage1 directory (native, fly, oci, nspawn, vm)", "NAME");
  add("--stage1-name", Kind::name,
      "native, fly, oci, nspawn, vm, or the name of an image to use as stage1", "NAME");
  add("--stage1-hash", Kind::hash, "the ID of an image in the store to use as stage1", "ID");
  add("--stage1-url", Kind::url, "the URL of an image to use as stage1", "URL");
}

// What `app add` has too: volumes, and where images come from.
void addVolumeAndPullOptions(cli::Options& app, PodOptions& pod) {
  const auto conflict = [&pod](const std::string& word) { pod.manifestConflicts.push_back(word); };
  const std::string group(kPodGroup);
  addEach(
      app, "--volume",
      [&pod, conflict](const std::string& value) {
        pod.volumes.push_back(
            withContext("--volume", [&] { return schema::Volume::parseOption(value); }));
        conflict("--volume");
      },
      "a volume for the apps' mount points", "NAME,kind=host|empty,...")
      .group(group);
  addOne(
      app, "--pull-policy",
      [&pod, conflict](const std::string& value) {
        pod.pullPolicy = parsePullPolicy(value);
        conflict("--pull-policy");
      },
      "when images are fetched: new, update or never", "POLICY")
      .group(group);
  app.callFlag(
         "--store-only",
         [&pod, conflict] {
           pod.pullPolicy = PullPolicy::never;
           conflict("--store-only");
         },
         "as --pull-policy=never (rkt's old name)")
      .group(group);
  app.callFlag(
         "--no-store",
         [&pod, conflict] {
           pod.pullPolicy = PullPolicy::update;
           conflict("--no-store");
         },
         "as --pull-policy=update (rkt's old name)")
      .group(group);
}

// What makes the pod: for `run` and `prepare`.
void addMakingOptions(cli::Options& app, PodOptions& pod) {
  const auto conflict = [&pod](const std::string& word) { pod.manifestConflicts.push_back(word); };
  const std::string group(kPodGroup);
  app.callFlag(
         "--inherit-env",
         [&pod, conflict] {
           pod.inheritEnv = true;
           conflict("--inherit-env");
         },
         "give apps the variables of this environment that they do not set")
      .group(group);
  addEach(
      app, "--set-env",
      [&pod, conflict](const std::string& value) {
        pod.setEnv.push_back(parseEnvVar(value, "--set-env"));
        conflict("--set-env");
      },
      "a variable for all apps; may be repeated", "NAME=VALUE")
      .group(group);
  addEach(
      app, "--set-env-file",
      [&pod, conflict](const std::string& value) {
        for (schema::EnvVar& variable : parseEnvFile(value))
          pod.setEnvFiles.push_back(std::move(variable));
        conflict("--set-env-file");
      },
      "a file of variables for all apps", "FILE")
      .group(group);
  addOne(
      app, "--uuid-file-save",
      [&pod](const std::string& value) { pod.uuidFileSave = std::filesystem::absolute(value); },
      "write the pod's UUID to a file before it starts", "FILE")
      .group(group);
  addOne(
      app, "--pod-manifest",
      [&pod](const std::string& value) { pod.podManifest = std::filesystem::absolute(value); },
      "run the pod of this manifest; no images are given then", "FILE")
      .group(group);
  app.flag("--private-users", pod.privateUsers,
           "run within a user namespace: the pod's root is nobody on the host")
      .group(group);
  app.flag("--no-overlay", pod.noOverlay, "copy trees instead of laying an overlay over them")
      .group(group);
  addVolumeAndPullOptions(app, pod);
  addPortOption(app, pod, group, conflict);
  addStage1Options(app, pod.stage1);
  addOne(
      app, "--oci-runtime", [&pod](const std::string& value) { pod.ociRuntime = value; },
      "the runtime that the stage1 oci drives (crun, else runc)", "NAME|PATH")
      .group("Stage1 options");
}

// What holds for one run of it: for `run` and `run-prepared`.
void addRunningOptions(cli::Options& app, PodOptions& pod) {
  const std::string group(kPodGroup);
  addNetworkOptions(app, pod, group);
  app.flag("--interactive", pod.interactive, "give the app this standard input; one app only")
      .group(group);
  app.flag("--mds-register", pod.metadata, "give the apps a metadata service").group(group);
  app.add("--hostname", pod.hostname, "the pod's host name").group(group);
  addOne(
      app, "--ipc",
      [&pod](const std::string& value) {
        requireOneOf("--ipc", value, {"auto", "private", "parent"});
        pod.ipc = value == "auto" ? "" : value;
      },
      "the IPC namespace: auto, private or parent (the host's)", "MODE")
      .group(group);
}

void addPodOptions(cli::Options& app, PodOptions& pod, RunWords which) {
  if (which == RunWords::appAdd) {
    addVolumeAndPullOptions(app, pod);
    return;
  }
  if (which != RunWords::runPrepared) addMakingOptions(app, pod);
  if (which != RunWords::prepare) addRunningOptions(app, pod);
  if (which == RunWords::prepare) {
    app.flag("--quiet", pod.quiet, "print nothing but the UUID, which is so in any case")
        .group(std::string(kPodGroup));
  }
}

void addMountOption(cli::Options& app, std::vector<schema::Mount>& mounts, std::string_view group) {
  addEach(
      app, "--mount", [&mounts](const std::string& value) { mounts.push_back(parseMount(value)); },
      "mount a volume; before the first image: in all apps", "volume=NAME,target=PATH")
      .group(std::string(group));
  addEach(
      app, "--mnt-volume",
      [&mounts](const std::string& value) { mounts.push_back(parseMountedVolume(value)); },
      "a volume and where to mount it in one: of the app alone, without a name that others could "
      "use",
      "name=NAME,kind=host|empty,...,target=PATH")
      .group(std::string(group));
}

void addPair(cli::Options& app, const std::string& name, std::map<std::string, std::string>& pairs,
             const std::string& help) {
  addEach(
      app, name,
      [&pairs, name](const std::string& value) {
        const std::size_t equals = value.find('=');
        if (equals == std::string::npos || equals == 0) {
          throw UsageError(fmt::format("{}: '{}' is not NAME=VALUE", name, printable(value)));
        }
        if (!pairs.emplace(value.substr(0, equals), value.substr(equals + 1)).second) {
          throw UsageError(
              fmt::format("{}: '{}' is given twice", name, printable(value.substr(0, equals))));
        }
      },
      help, "NAME=VALUE")
      .group(std::string(kAppGroup));
}

void addAppOptions(cli::Options& app, AppOptions& options) {
  const std::string group(kAppGroup);
  app.add("--exec", options.exec, "the program to run instead of the image's")
      .group(group)
      .typeName("PATH");
  app.add("--user", options.user, "user name, number or a path whose owner is meant")
      .group(group)
      .typeName("USER");
  app.add("--group", options.group, "group name, number or a path whose group is meant")
      .group(group)
      .typeName("GROUP");
  addOne(
      app, "--working-dir",
      [&options](const std::string& value) {
        if (!value.starts_with('/')) {
          throw UsageError(
              fmt::format("--working-dir: '{}' is not an absolute path", printable(value)));
        }
        options.workingDir = value;
      },
      "the directory to run in", "DIR")
      .group(group);
  addEach(
      app, "--environment",
      [&options](const std::string& value) {
        options.environment.push_back(parseEnvVar(value, "--environment"));
      },
      "a variable for this app; may be repeated", "NAME=VALUE")
      .group(group);
  addOne(
      app, "--name",
      [&options](const std::string& value) {
        options.name = withContext("--name", [&] { return schema::AcName::parse(value); });
      },
      "the app's name in the pod", "NAME")
      .group(group);
  app.flag("--readonly-rootfs", options.readOnlyRootfs, "mount the app's root read-only")
      .group(group);
  addEach(
      app, "--supplementary-gids",
      [&options](const std::string& value) {
        for (const std::string_view part : split(value, ',')) {
          const auto number = parseUint(part);
          if (!number || *number > schema::kMaxId) {
            throw UsageError(
                fmt::format("--supplementary-gids: '{}' is no group number", printable(part)));
          }
          options.supplementaryGids.push_back(static_cast<std::uint32_t>(*number));
        }
      },
      "further groups instead of the image's", "NUMBER,...")
      .group(group);
  addOne(
      app, "--signature", [&options](const std::string& value) { options.signature = value; },
      "the signature of the image file or URL before it", "FILE")
      .group(group);
  addPair(app, "--annotation", options.annotations, "an annotation of the app");
  addPair(app, "--user-annotation", options.userAnnotations, "a user annotation of the app");
  addPair(app, "--user-label", options.userLabels, "a user label of the app");
  addMountOption(app, options.mounts, group);
  const auto stream = [&](const std::string& name, const std::vector<std::string>& modes) {
    addOne(
        app, "--" + name,
        [&options, name, modes](const std::string& value) {
          requireOneOf("--" + name, value, modes);
          options.stdio[name] = value;
        },
        "its " + name + ": " + join(modes, ", "), "MODE")
        .group(group);
  };
  stream("stdin", {"null", "stream", "tty"});
  stream("stdout", {"log", "stream", "tty", "null"});
  stream("stderr", {"log", "stream", "tty", "null"});
  addIsolatorOptions(app, options.isolators, group);
}

// The options of one group of words.
struct PodParser {
  PodParser(cli::Globals& globals, PodOptions& pod, RunWords which, cli::Options options)
      : app(std::move(options)) {
    globals.addTo(app);
    addPodOptions(app, pod, which);
    if (hasImages(which)) addMountOption(app, pod.mounts, kPodGroup);
  }
  cli::Options app;
  std::vector<std::string> words;
};

struct AppParser {
  AppParser(AppOptions& target, RunWords which, cli::Options options) : app(std::move(options)) {
    if (hasImages(which)) addAppOptions(app, target);
  }
  cli::Options app;
  std::vector<std::string> words;
};

std::vector<std::string> allOptionNames(RunWords which) {
  cli::Globals globals;
  PodOptions pod;
  AppOptions options;
  PodParser podParser(globals, pod, which, cli::Options(commandOf(which)));
  AppParser appParser(options, which, cli::Options(commandOf(which)));
  std::vector<std::string> names;
  for (const cli::Options* parser : {&podParser.app, &appParser.app}) {
    for (const cli::OptionText& option : parser->texts())
      for (const std::string& name : option.longNames)
        names.push_back("--" + name);
  }
  return names;
}

// The walk over the words: it only decides to whom each belongs; Options reads the values.
class Walker {
 public:
  Walker(cli::Globals& globals, RunRequest& request, RunWords which,
         const std::vector<std::string>& words)
      : request_(request),
        which_(which),
        words_(words),
        pod_(globals, request.pod, which, cli::Options::forWords(commandOf(which), words)),
        appOptions_(unused_, which, cli::Options::forWords(commandOf(which), words)) {}

  void walk() {
    bool inArgs = false;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      if (inArgs) {
        if (word == "---") {
          inArgs = false;
        } else {
          current().args.push_back(word);
        }
      } else if (word == "--") {
        if (argsGiven_) {
          throw UsageError("'--' stands twice after one image",
                           "end an app's arguments with '---' before the next image");
        }
        argsGiven_ = inArgs = true;
        if (request_.apps.empty()) current();
      } else if (word == "---" || word.empty()) {
        continue;  // rkt has these mean nothing here
      } else if (word.size() > 1 && word[0] == '-') {
        i += takeOption(i);
      } else {
        beginApp(word);
      }
    }
  }

  void finish() {
    pod_.app.parse(pod_.words, commandOf(which_));
    for (std::size_t i = 0; i < request_.apps.size(); ++i)
      parseApp(request_.apps[i].options, appWords_[i]);
    if (!request_.withoutImage) return;
    if (!request_.apps.empty()) {
      const std::string first = withoutImageWords_.empty() ? "--" : withoutImageWords_.front();
      throw UsageError(
          fmt::format("{} stands before the first image", first.substr(0, first.find('='))),
          "put it after the image it is for");
    }
    parseApp(*request_.withoutImage, withoutImageWords_);
  }

 private:
  void parseApp(AppOptions& options, const std::vector<std::string>& words) const {
    AppParser parser(options, which_, cli::Options::forWords(commandOf(which_), words));
    parser.app.parse(words, commandOf(which_));
  }

  void beginApp(const std::string& image) {
    request_.apps.push_back({image, {}});
    appWords_.emplace_back();
    argsGiven_ = false;
  }

  AppOptions& current() {
    if (!request_.apps.empty()) return request_.apps.back().options;
    if (!request_.withoutImage) request_.withoutImage.emplace();
    return *request_.withoutImage;
  }

  std::vector<std::string>& currentWords() {
    current();
    return request_.apps.empty() ? withoutImageWords_ : appWords_.back();
  }

  // Takes the option at words_[at]; returns how many further words were its value.
  std::size_t takeOption(std::size_t at) {
    const std::string& word = words_[at];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const cli::Option* ofPod = pod_.app.find(name);
    const cli::Option* ofApp = appOptions_.app.find(name);
    // Both know --mount: it is the app's once there is an app.
    const bool toApp = ofApp != nullptr && (ofPod == nullptr || !request_.apps.empty());
    const cli::Option* option = toApp ? ofApp : ofPod;
    if (option == nullptr) {
      const std::optional<std::string> near = nearest(name, allOptionNames(which_));
      throw UsageError(
          fmt::format("there is no option {}", printable(name)),
          near ? "did you mean " + *near + "?"
               : "options of the app itself go after '--'; see " + commandOf(which_) + " --help");
    }
    std::vector<std::string>& target = toApp ? currentWords() : pod_.words;
    if (name == "--net" && equals == std::string::npos) {
      target.push_back("--net=default");
      return 0;
    }
    const bool takesValue = option->needsValue();
    if (equals != std::string::npos) {
      if (equals + 1 == word.size()) throw UsageError(name + " needs a value after '='");
      target.push_back(word);
      return 0;
    }
    if (!takesValue) {
      target.push_back(word);
      return 0;
    }
    if (at + 1 == words_.size() || words_[at + 1].empty() || words_[at + 1] == "--" ||
        words_[at + 1] == "---") {
      throw UsageError(name + " needs a value");
    }
    target.push_back(name + "=" + words_[at + 1]);
    return 1;
  }

  RunRequest& request_;
  RunWords which_;
  const std::vector<std::string>& words_;
  PodParser pod_;
  AppOptions unused_;
  AppParser appOptions_;  // to look names up in
  std::vector<std::vector<std::string>> appWords_;
  std::vector<std::string> withoutImageWords_;
  bool argsGiven_ = false;
};

}  // namespace

schema::EnvVar parseEnvVar(const std::string& text, std::string_view option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw UsageError(fmt::format("{}: '{}' is not NAME=VALUE", option, printable(text)));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

schema::Mount parseMountedVolume(const std::string& text) {
  constexpr std::string_view kTarget = "target=";
  constexpr std::string_view kName = "name=";
  std::string target;
  std::string volume;
  for (const std::string_view part : split(text, ',')) {
    if (part.starts_with(kTarget) && target.empty()) {
      target = part.substr(kTarget.size());
    } else {
      // The name stands first, as that of --volume does, and is called so as in rkt.
      const bool named = volume.empty() && part.starts_with(kName);
      volume += (volume.empty() ? "" : ",") + std::string(part.substr(named ? kName.size() : 0));
    }
  }
  return withContext("--mnt-volume", [&] {
    const schema::Volume parsed = schema::Volume::parseOption(volume);
    schema::Mount mount = parseMount("volume=" + parsed.name.str() + ",target=" + target);
    mount.appVolume = parsed;
    return mount;
  });
}

schema::Mount parseMount(const std::string& text) {
  std::optional<schema::AcName> volume;
  std::string target;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : part.substr(equals + 1));
    if (key == "volume" && !volume) {
      volume = withContext("--mount: volume", [&] { return schema::AcName::parse(value); });
    } else if (key == "target" && target.empty()) {
      target = value;
    } else {
      throw UsageError(fmt::format("--mount: '{}' is not known or stands twice", printable(part)),
                       "write --mount volume=NAME,target=/path");
    }
  }
  if (!volume || !target.starts_with('/')) {
    throw UsageError(
        fmt::format("--mount: '{}' lacks a volume or an absolute target", printable(text)),
        "write --mount volume=NAME,target=/path");
  }
  for (const std::string_view component : split(target, '/')) {
    if (component == "..") {
      throw UsageError(fmt::format("--mount: the target '{}' has '..' in it", printable(target)));
    }
  }
  return schema::Mount{*volume, target, std::nullopt, Json::object()};
}

std::vector<schema::EnvVar> parseEnvFile(const Path& path) {
  const std::string text =
      withContext("--set-env-file", [&] { return readFile(path, kMaxEnvFile); });
  std::vector<schema::EnvVar> variables;
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    if (trim(line).empty() || line[0] == '#' || line[0] == ';') continue;
    variables.push_back(
        parseEnvVar(std::string(line), fmt::format("{}:{}", path.string(), number)));
  }
  return variables;
}

RunRequest parseRun(cli::Globals& globals, const std::vector<std::string>& words, RunWords which) {
  RunRequest request;
  Walker walker(globals, request, which, words);
  walker.walk();
  walker.finish();
  const PodOptions& pod = request.pod;
  if (!pod.podManifest.empty()) {
    if (!request.apps.empty() || request.withoutImage || !pod.mounts.empty()) {
      throw UsageError("--pod-manifest and images or their options exclude each other",
                       "the manifest says what the apps are");
    }
    if (!pod.manifestConflicts.empty()) {
      throw UsageError(
          fmt::format("--pod-manifest and {} exclude each other", pod.manifestConflicts.front()),
          "put it into the manifest");
    }
  }
  if (pod.interactive && request.apps.size() > 1) {
    throw UsageError("--interactive is for pods of one app");
  }
  if (!pod.dnsServers.empty() || !pod.dnsSearch.empty() || !pod.dnsOptions.empty() ||
      !pod.dnsDomain.empty()) {
    if (request.pod.dnsResolv == "default") request.pod.dnsResolv = "stage0";
  }
  if (!pod.hostsEntries.empty() && pod.dnsHosts == "default") request.pod.dnsHosts = "stage0";
  settleNetwork(request.pod);
  if (which != RunWords::prepare) checkNetworkOptions(pod);
  return request;
}

void describeRunOptions(cli::Options& app, RunWords which) {
  // Help is printed from the options; what they would store into only has to live as long.
  const auto pod = std::make_shared<PodOptions>();
  const auto options = std::make_shared<AppOptions>();
  addPodOptions(app, *pod, which);
  if (hasImages(which)) addAppOptions(app, *options);
  app.keep(pod);
  app.keep(options);
}

}  // namespace actool::run
