#include "core/cli/globals.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/options.h"

namespace actool::cli {
namespace {

struct InsecureWord {
  std::string_view word;
  bool InsecureOptions::*flag;
};

constexpr std::array kInsecureWords{
    InsecureWord{"image", &InsecureOptions::image},
    InsecureWord{"tls", &InsecureOptions::tls},
    InsecureWord{"http", &InsecureOptions::http},
    InsecureWord{"pubkey", &InsecureOptions::pubkey},
    InsecureWord{"ondisk", &InsecureOptions::ondisk},
    InsecureWord{"capabilities", &InsecureOptions::capabilities},
    InsecureWord{"paths", &InsecureOptions::paths},
    InsecureWord{"seccomp", &InsecureOptions::seccomp},
};

// Tools start one another with the same options: only the first of them warns.
constexpr const char* kWarnedVariable = "ACTOOL_INSECURE_WARNED";

// Chosen once for a whole session.
constexpr const char* kNamespaceVariable = "ACTOOL_NAMESPACE";

Path environmentPath(const char* variable, const Path& fallback) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value == '/' ? Path(value) : fallback;
}

Path homeBelow(const char* name) {
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? Path(home) / name : Path();
}

}  // namespace

InsecureOptions InsecureOptions::parse(const std::string& text) {
  InsecureOptions options;
  for (const std::string_view word : split(text, ',')) {
    const bool all = word == "all";
    if (word == "none") continue;
    if (all || word == "all-fetch") options.image = options.tls = options.http = true;
    if (all || word == "all-run") {
      options.ondisk = options.capabilities = options.paths = options.seccomp = true;
    }
    if (all) options.pubkey = true;
    if (all || word == "all-fetch" || word == "all-run") continue;
    bool known = false;
    for (const InsecureWord& entry : kInsecureWords) {
      if (entry.word != word) continue;
      options.*entry.flag = true;
      known = true;
    }
    if (!known) {
      throw UsageError(fmt::format("--insecure-options: \"{}\" is not known", printable(word)),
                       "the words are none, image, tls, http, pubkey, ondisk, capabilities, paths, "
                       "seccomp, all-fetch, all-run and all");
    }
  }
  return options;
}

std::string InsecureOptions::str() const {
  std::vector<std::string> words;
  for (const InsecureWord& entry : kInsecureWords) {
    if (this->*entry.flag) words.emplace_back(entry.word);
  }
  return words.empty() ? "none" : join(words, ",");
}

Globals::Globals()
    : dir("/var/lib/actool"), systemConfig("/usr/lib/actool"), localConfig("/etc/actool") {
  if (::geteuid() == 0) return;
  const Path data = environmentPath("XDG_DATA_HOME", homeBelow(".local/share"));
  const Path config = environmentPath("XDG_CONFIG_HOME", homeBelow(".config"));
  if (!data.empty()) dir = data / "actool";
  if (!config.empty()) userConfig = config / "actool";
}

void Globals::addTo(Options& options) {
  const auto path = [&options](const std::string& option, const std::string& help, Path& target,
                               bool* given) {
    options
        .call(
            option,
            [&target, given](const std::string& value) {
              target = std::filesystem::absolute(value);
              if (given != nullptr) *given = true;
            },
            help)
        .typeName("DIR")
        .lastHolds()
        .group("Global options");
  };
  path("--dir", "data directory (" + dir.string() + ")", dir, &dirGiven_);
  options
      .call(
          "--namespace",
          [this](const std::string& value) {
            ns = NamespaceName::parse(value);
            nsGiven_ = true;
          },
          "whose images, names and trusted keys ($ACTOOL_NAMESPACE, else default)")
      .typeName("NAME")
      .lastHolds()
      .group("Global options");
  path("--system-config", "system configuration (/usr/lib/actool)", systemConfig, nullptr);
  path("--local-config", "local configuration (/etc/actool)", localConfig, nullptr);
  path("--user-config", "user configuration ($XDG_CONFIG_HOME/actool)", userConfig, nullptr);
  options
      .call(
          "--insecure-options",
          [this](const std::string& value) { insecure = InsecureOptions::parse(value); },
          "checks to leave out: none, image, tls, http, pubkey, ondisk, capabilities, paths, "
          "seccomp, all-fetch, all-run, all")
      .typeName("LIST")
      .lastHolds()
      .group("Global options");
  options
      .flag("--trust-keys-from-https", trustKeysFromHttps,
            "trust keys that a name's own page announces, without asking")
      .group("Global options");
  options.flag("--debug", debug, "say what is being done and tried").group("Global options");
  options
      .call(
          "--progress",
          [this](const std::string& value) {
            const std::optional<ProgressMode> mode = parseProgressMode(value);
            if (!mode) {
              throw UsageError(fmt::format("--progress: \"{}\" is not known", printable(value)),
                               "it is one of auto, plain, json and none");
            }
            progress = *mode;
          },
          "how progress is shown: auto, plain, json or none")
      .typeName("MODE")
      .lastHolds()
      .group("Global options");
}

void Globals::settle() {
  settled_ = true;
  log::setDebug(debug);
  const char* variable = std::getenv(kNamespaceVariable);
  if (!nsGiven_ && variable != nullptr && *variable != '\0') {
    ns = withContext(std::string("$") + kNamespaceVariable,
                     [&] { return NamespaceName::parse(variable); });
    nsGiven_ = true;
  }
  if (!dirGiven_ || !nsGiven_) readPaths();
  const std::string words = insecure.str();
  if (words == "none") return;
  const char* warned = std::getenv(kWarnedVariable);
  if (warned != nullptr && words == warned) return;
  log::warn("--insecure-options={}: these checks are left out", words);
  if (::setenv(kWarnedVariable, words.c_str(), 1) != 0) throwErrno("setting the environment");
}

void Globals::readPaths() {
  const bool wantsDir = !dirGiven_;
  const bool wantsNs = !nsGiven_;
  forEachConfig(configDirs(), "paths.d", "paths", [&](const ConfigFile&, const Json& content) {
    const std::string data = stringMemberOr(content, "data", "");
    if (!data.empty() && data[0] != '/') {
      throw UsageError(fmt::format("\"data\" is \"{}\"", printable(data)),
                       "it should be an absolute path");
    }
    if (wantsDir && !data.empty()) {
      dir = data;
      dirGiven_ = true;
    }
    const std::string name = stringMemberOr(content, "namespace", "");
    if (wantsNs && !name.empty()) {
      ns = NamespaceName::parse(name);
      nsGiven_ = true;
    }
  });
}

Path Globals::ownPart(const Path& config) const {
  return ns.isDefault() ? config : config / "namespaces" / ns.str();
}

ConfigDirs Globals::trustDirs() const {
  ConfigDirs dirs = configDirs();
  for (Path& directory : dirs.dirs)
    directory = ownPart(directory);
  return dirs;
}

ConfigDirs Globals::configDirs() const {
  ConfigDirs dirs{{systemConfig, localConfig}};
  if (!userConfig.empty()) dirs.dirs.push_back(userConfig);
  return dirs;
}

std::vector<std::string> Globals::forward() const {
  // The other tool's, which is of whoever this process is now.
  const Globals defaults;
  std::vector<std::string> arguments;
  const auto add = [&](bool differs, const std::string& option, const std::string& value) {
    if (differs) arguments.push_back(option + "=" + value);
  };
  add(dirGiven_ || dir != defaults.dir, "--dir", dir.string());
  // Once it is known, the default one too: the configuration may say another.
  add(settled_ || nsGiven_, "--namespace", ns.str());
  add(systemConfig != defaults.systemConfig, "--system-config", systemConfig.string());
  add(localConfig != defaults.localConfig, "--local-config", localConfig.string());
  add(userConfig != defaults.userConfig, "--user-config", userConfig.string());
  add(insecure.str() != "none", "--insecure-options", insecure.str());
  add(progress != ProgressMode::automatic, "--progress", std::string(name(progress)));
  if (trustKeysFromHttps) arguments.emplace_back("--trust-keys-from-https");
  if (debug) arguments.emplace_back("--debug");
  return arguments;
}

}  // namespace actool::cli
