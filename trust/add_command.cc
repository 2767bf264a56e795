#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <memory>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "trust/commands.h"
#include "trust/key_source.h"

namespace actool::trust {
namespace {

constexpr const char* kAddDetails =
    "Adds public keys to those that are trusted to sign images: for a name and all names below "
    "it with --prefix, for every name with --root. Keys come from files or https:// URLs; with "
    "--prefix and no key given, from where the pages of that name say (meta discovery). Each key "
    "is shown with its fingerprint and asked about. Compare the fingerprint with one that "
    "you got from its owner in another way.\n\n"
    "Several keys in one file are asked about and stored one by one.\n\n"
    "Example:\n"
    "  actool trust add --prefix example.com/web\n"
    "  actool trust add --prefix example.com https://example.com/pubkeys.gpg\n"
    "  actool trust add --root --skip-fingerprint-review release-keys.gpg";

struct AddArguments {
  std::string prefix;
  bool root = false;
  bool skipReview = false;
  std::vector<std::string> locations;
  std::optional<cli::Format> format;
};

// False at the end of input, which is no answer.
bool readAnswer(std::string& answer) {
  if (!std::getline(std::cin, answer)) return false;
  answer = std::string(trim(answer));
  return true;
}

bool askAboutKey() {
  std::cerr << "Are you sure you want to trust this key (yes/no)? " << std::flush;
  std::string answer;
  while (readAnswer(answer)) {
    if (answer == "yes") return true;
    if (answer == "no") return false;
    std::cerr << "Please enter 'yes' or 'no': " << std::flush;
  }
  std::cerr << '\n';
  return false;
}

class Adder {
 public:
  Adder(const AddArguments& arguments, const cli::Globals& globals)
      : arguments_(arguments),
        globals_(globals),
        rule_(parseRule(arguments.prefix, arguments.root)),
        keystore_(globals.trustDirs()),
        format_(cli::effectiveFormat(arguments.format)) {}

  int run() {
    std::vector<std::string> locations = arguments_.locations;
    if (locations.empty()) {
      if (!rule_.prefix) {
        throw UsageError("--root needs a key: a file or an https:// URL",
                         "only keys for a prefix can be discovered");
      }
      locations = discoverKeys(globals_, *rule_.prefix);
    }
    for (const std::string& location : locations)
      addFrom(location);
    if (added_ == 0) throw TrustError("no key was added");
    return static_cast<int>(ExitCode::ok);
  }

 private:
  void addFrom(const std::string& location) {
    for (const LoadedKey& key : loadKeys(readKeySource(globals_, location), location)) {
      std::cerr << fmt::format("{}key: {}\n{}",
                               rule_.prefix ? "prefix: " + rule_.prefix->str() + "\n" : "root ",
                               printable(location), describeKey(key.info));
      if (const std::string why = key.info.unusable(); !why.empty()) {
        log::warn("not adding key {}: it is {}", key.info.fingerprint, why);
        continue;
      }
      if (!reviewed(location)) {
        log::info("not trusting key {}", key.info.fingerprint);
        continue;
      }
      const Path path =
          keystore_.add(writeDirectory(globals_), rule_, key.info.fingerprint, key.armored);
      ++added_;
      report(key, path);
    }
  }

  bool reviewed(const std::string& location) const {
    if (arguments_.skipReview) return true;
    if (globals_.trustKeysFromHttps && isHttps(location)) return true;
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
      throw TrustError("can't ask about this key's fingerprint: there is no terminal",
                       "compare it yourself and add --skip-fingerprint-review");
    }
    return askAboutKey();
  }

  void report(const LoadedKey& key, const Path& path) const {
    if (format_ == cli::Format::table) {
      cli::print(fmt::format("Added key {} for {} at {}\n", key.info.fingerprint, rule_.str(),
                             path.string()));
      return;
    }
    Json record = keyJson(key.info);
    record.update(trustedKeyJson({rule_, key.info.fingerprint, path}));
    cli::print(dumpLine(record) + "\n");
  }

  const AddArguments& arguments_;
  const cli::Globals& globals_;
  const TrustRule rule_;
  const Keystore keystore_;
  const cli::Format format_;
  int added_ = 0;
};

std::function<int()> setUpAdd(cli::Options& app, cli::Globals& globals) {
  const auto arguments = std::make_shared<AddArguments>();
  app.add("--prefix", arguments->prefix, "trust for this name and all below it").typeName("NAME");
  app.flag("--root", arguments->root, "trust for every name");
  app.flag("--skip-fingerprint-review", arguments->skipReview, "add without asking");
  app.add("KEY", arguments->locations, "files or https:// URLs of public keys");
  cli::addFormatOption(app, arguments->format, {cli::Format::table, cli::Format::jsonl});
  return [arguments, &globals] {
    try {
      return Adder(*arguments, globals).run();
    } catch (const ToolFailed& failed) {
      return failed.code;
    }
  };
}

}  // namespace

cli::Subcommand addCommand() {
  return {.name = "trust add",
          .summary = "Trust public keys, for a name prefix or for every name",
          .details = kAddDetails,
          .setup = setUpAdd};
}

}  // namespace actool::trust
