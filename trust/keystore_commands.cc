// trust list, trust rm, trust disable; and what the subcommands share.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "trust/commands.h"
#include "trust/key_set.h"

namespace actool::trust {
namespace {

constexpr const char* kListDetails =
    "Shows every key in force with the names that it is trusted for. With --prefix, only keys "
    "that are trusted for that name. Masked keys are left out.\n\n"
    "Example:\n"
    "  actool trust list\n"
    "  actool trust list --prefix example.com/web --format=jsonl";

constexpr const char* kRmDetails =
    "Removes a key that was added to the local configuration (the user's, when not root). A "
    "key that came with the system is masked with 'actool trust disable' instead.\n\n"
    "Example:\n"
    "  actool trust rm --prefix example.com 8b86de38890ddb7291867b025210bd8888182190";

constexpr const char* kDisableDetails =
    "Masks a key by an empty file of its name in the local configuration (the user's, when not "
    "root), so that a key of the system's configuration is no longer trusted for that prefix, "
    "or, with --root, for every name by root.d. 'actool trust rm' of the same takes the "
    "mask away again.\n\n"
    "Example:\n"
    "  actool trust disable --root 8b86de38890ddb7291867b025210bd8888182190";

struct ListArguments {
  std::string prefix;
  std::optional<cli::Format> format;
};

void addRow(cli::Table& table, const TrustedKey& key, const KeyInfo* info) {
  const std::string prefix = key.rule.prefix ? key.rule.prefix->str() : "(every name)";
  if (info == nullptr) {
    table.addRow({prefix, key.fingerprint, "", "", "", "unreadable", ""});
    return;
  }
  const auto& expires = info->primary().expires;
  const std::string why = info->unusable();
  table.addRow({prefix, key.fingerprint, info->primary().algorithm,
                displayDate(info->primary().created), expires ? displayDate(*expires) : "never",
                why.empty() ? "usable" : why, printable(info->userId())});
}

int list(const ListArguments& arguments, const cli::Globals& globals) {
  const Keystore keystore(globals.trustDirs());
  std::vector<TrustedKey> keys = keystore.list();
  if (!arguments.prefix.empty()) {
    const auto name = schema::AcIdentifier::parse(arguments.prefix);
    std::erase_if(keys, [&](const TrustedKey& key) {
      return !key.rule.covers(name) || !keystore.find(name, key.fingerprint);
    });
  }
  const KeySet set(keys);
  const cli::Format format = cli::effectiveFormat(arguments.format);
  cli::Table table(
      {"PREFIX", "FINGERPRINT", "ALGORITHM", "CREATED", "EXPIRES", "STATUS", "USER ID"});
  for (const TrustedKey& key : keys) {
    const KeyInfo* info = set.key(key.fingerprint);
    if (format == cli::Format::table) {
      addRow(table, key, info);
      continue;
    }
    Json record = info == nullptr ? Json{{"status", "unreadable"}} : keyJson(*info);
    record.update(trustedKeyJson(key));
    cli::print(dumpLine(record) + "\n");
  }
  if (format == cli::Format::table) cli::print(table.render());
  return static_cast<int>(ExitCode::ok);
}

std::function<int()> setUpList(cli::Options& app, cli::Globals& globals) {
  const auto arguments = std::make_shared<ListArguments>();
  app.add("--prefix", arguments->prefix, "only keys trusted for this name").typeName("NAME");
  cli::addFormatOption(app, arguments->format, {cli::Format::table, cli::Format::jsonl});
  return [arguments, &globals] { return list(*arguments, globals); };
}

struct RuleArguments {
  std::string prefix;
  bool root = false;
  std::string fingerprint;
};

using RuleAction = std::function<void(const Keystore& keystore, const Path& writeDir,
                                      const TrustRule& rule, const std::string& fingerprint)>;

std::function<int()> setUpRule(cli::Options& app, cli::Globals& globals, const RuleAction& action) {
  const auto arguments = std::make_shared<RuleArguments>();
  app.add("--prefix", arguments->prefix, "the prefix that the key is trusted for").typeName("NAME");
  app.flag("--root", arguments->root, "the key is trusted for every name");
  app.add("FINGERPRINT", arguments->fingerprint, "all 40 hex digits of it").required();
  return [arguments, action, &globals] {
    const TrustRule rule = parseRule(arguments->prefix, arguments->root);
    action(Keystore(globals.trustDirs()), writeDirectory(globals), rule,
           parseFingerprint(arguments->fingerprint));
    return static_cast<int>(ExitCode::ok);
  };
}

void remove(const Keystore& keystore, const Path& writeDir, const TrustRule& rule,
            const std::string& fingerprint) {
  keystore.remove(writeDir, rule, fingerprint);
  const auto left = keystore.list();
  for (const TrustedKey& key : left) {
    if (key.fingerprint == fingerprint) {
      log::warn("key {} is still trusted for {} by {}", fingerprint, key.rule.str(),
                printable(key.path.string()));
    }
  }
}

void disable(const Keystore& keystore, const Path& writeDir, const TrustRule& rule,
             const std::string& fingerprint) {
  const Path path = keystore.disable(writeDir, rule, fingerprint);
  log::info("masked key {} for {} at {}", fingerprint, rule.str(), printable(path.string()));
}

}  // namespace

Path writeDirectory(const cli::Globals& globals) {
  return globals.ownPart(::geteuid() == 0 || globals.userConfig.empty() ? globals.localConfig
                                                                        : globals.userConfig);
}

TrustRule parseRule(const std::string& prefix, bool root) {
  if (root == !prefix.empty()) {
    throw UsageError(root ? "--prefix and --root exclude each other"
                          : "for which names? Neither --prefix NAME nor --root was given");
  }
  if (root) return {};
  return {withContext("--prefix", [&] { return schema::AcIdentifier::parse(prefix); })};
}

Json trustedKeyJson(const TrustedKey& key) {
  Json out{{"kind", "key"}, {"fingerprint", key.fingerprint}, {"path", key.path.string()}};
  if (key.rule.prefix) out["prefix"] = key.rule.prefix->str();
  return out;
}

cli::Subcommand listCommand() {
  return {.name = "trust list",
          .summary = "Show which keys are trusted for which names",
          .details = kListDetails,
          .setup = setUpList};
}

cli::Subcommand rmCommand() {
  return {.name = "trust rm",
          .summary = "Remove a trusted key",
          .details = kRmDetails,
          .setup = [](cli::Options& app, cli::Globals& globals) {
            return setUpRule(app, globals, remove);
          }};
}

cli::Subcommand disableCommand() {
  return {.name = "trust disable",
          .summary = "Mask a key of a lower configuration directory",
          .details = kDisableDetails,
          .setup = [](cli::Options& app, cli::Globals& globals) {
            return setUpRule(app, globals, disable);
          }};
}

}  // namespace actool::trust
