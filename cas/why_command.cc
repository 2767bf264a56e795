#include <fmt/format.h>

#include <memory>
#include <vector>

#include "cas/care.h"
#include "cas/image_commands.h"
#include "cas/layout/audit.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

enum class Verdict { good, bad, unknown };

std::string_view nameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
      return "good";
    case Verdict::bad:
      return "bad";
    case Verdict::unknown:
      break;
  }
  return "unknown";
}

// One thing that the image's place in the store rests on, as it is now.
struct Check {
  std::string_view what;  // "tar", "signature", "key"
  Verdict verdict;
  std::string text;  // a sentence about it
};

Check checkTar(const StoreLayout& layout, const StoredImage& image) {
  try {
    verifyTar(layout, image.id);
    return {"tar", Verdict::good, "the tar is what the image ID says"};
  } catch (const Error& error) {
    return {"tar", Verdict::bad, fmt::format("the tar: {}", error.what())};
  }
}

Check checkSignature(const StoreLayout& layout, const StoredImage& image,
                     const std::vector<trust::TrustedKey>& keys) {
  constexpr std::string_view kWhat = "signature";
  if (!image.signature) {
    return {kWhat, Verdict::unknown,
            "nobody's signature was checked: it came in with --insecure-options=image"};
  }
  if (!image.distributed.kept) {
    return {kWhat, Verdict::unknown,
            "the file that the signature is over was dropped, so that it can't be checked again"};
  }
  try {
    const auto verifier = trust::makeOpenPgpVerifier(keys);
    for (const trust::Signer& signer : verifyDistributed(layout, image, *verifier)) {
      if (signer.fingerprint == image.signature->fingerprint) {
        return {kWhat, Verdict::good, "the signature fits the file as distributed"};
      }
    }
    return {kWhat, Verdict::bad, "the signature is not by the key that the record names"};
  } catch (const Error& error) {
    return {kWhat, Verdict::bad, fmt::format("the signature: {}", error.what())};
  }
}

Check checkKey(const StoredImage& image, const trust::Keystore& keystore) {
  constexpr std::string_view kWhat = "key";
  if (!image.signature) return {kWhat, Verdict::unknown, "no key vouches for it"};
  const SignatureInfo& signature = *image.signature;
  const auto key = keystore.find(image.name, signature.fingerprint);
  if (!key) {
    return {kWhat, Verdict::bad,
            fmt::format("key {} is no longer trusted for {}: the rule was {}",
                        signature.fingerprint, image.name.str(), printable(signature.trustRule))};
  }
  if (key->rule.str() != signature.trustRule) {
    return {kWhat, Verdict::bad,
            fmt::format("the rule {} is gone; the key is trusted by {} now, in {}",
                        printable(signature.trustRule), key->rule.str(),
                        printable(key->path.string()))};
  }
  return {kWhat, Verdict::good,
          fmt::format("{} still trusts the key, by {}", key->rule.str(),
                      printable(key->path.string()))};
}

std::vector<Check> checkAll(const StoreLayout& layout, const StoredImage& image,
                            const trust::Keystore& keystore) {
  return {checkTar(layout, image), checkSignature(layout, image, keystore.list()),
          checkKey(image, keystore)};
}

// --- what is said of it ---

std::string tell(const StoreLayout& layout, const StoredImage& image,
                 const std::vector<Check>& checks) {
  const auto version = image.labels.get("version");
  std::string text =
      image.name.str() + (version ? ":" + printable(*version) : "") + "\n" + image.id.str() + "\n";
  if (!layout.ns().isDefault()) text += "in namespace " + layout.ns().str() + "\n";
  text += "\n";
  const auto add = [&](std::string_view what, std::string_view value, std::string_view when) {
    text += fmt::format("{:<11} {}", what, value);
    text += when.empty() ? "\n" : fmt::format(", {}\n", printable(when));
  };
  for (const auto& request : image.requested)
    add("asked for", printable(request.ref.str()), request.at);
  for (const auto& source : image.sources)
    add("came from", auditSource(source.url), source.confirmed);
  for (const auto& import : image.imports) {
    add("imported", fmt::format("by {}, {}", import.by.describe(), printable(import.via)),
        import.at);
  }
  if (image.imports.empty()) {
    add("imported", "by an older release, which noted no more", image.imported);
  }
  if (image.signature) {
    add("signed by",
        fmt::format("{} {}", image.signature->fingerprint, printable(image.signature->userId)),
        image.signature->created);
    add("trusted by", printable(image.signature->trustRule), "");
    if (!image.signature->keyFile.empty()) add("", printable(image.signature->keyFile), "");
  } else {
    add("signed by", "nobody whom it was held against", "");
  }
  text += "\nnow:\n";
  for (const Check& check : checks)
    text += fmt::format("  {:<8} {}\n", nameOf(check.verdict), check.text);
  return text;
}

Json toJson(const StoreLayout& layout, const StoredImage& image, const std::vector<Check>& checks) {
  Json object = image.toJson();
  object["kind"] = "provenance";
  object.erase("version");
  object["namespace"] = layout.ns().str();
  object["checks"] = Json::array();
  for (Json& source : object["sources"])
    source["url"] = auditSource(source["url"].get<std::string>());
  if (!object.contains("imports")) object["imports"] = Json::array();
  for (Json& import : object["imports"]) {
    if (import.contains("source"))
      import["source"] = auditSource(import["source"].get<std::string>());
  }
  bool holds = true;
  for (const Check& check : checks) {
    object["checks"].push_back(
        {{"what", check.what}, {"verdict", nameOf(check.verdict)}, {"text", check.text}});
    holds = holds && check.verdict != Verdict::bad;
  }
  object["holds"] = holds;
  return object;
}

int why(const std::string& argument, const std::optional<cli::Format>& format,
        const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  const StoredImage image = StoreView(layout).catalog().resolve(argument);
  const trust::Keystore keystore(globals.trustDirs());
  const auto checks = checkAll(layout, image, keystore);
  // A table unless JSON is asked for: this is for people.
  switch (format.value_or(cli::Format::table)) {
    case cli::Format::json:
    case cli::Format::jsonl:
      cli::print(dumpLine(toJson(layout, image, checks)) + "\n");
      break;
    case cli::Format::jsonPretty:
      cli::print(dumpPretty(toJson(layout, image, checks)) + "\n");
      break;
    default:
      cli::print(tell(layout, image, checks));
  }
  std::vector<std::string> broken;
  for (const Check& check : checks) {
    if (check.verdict == Verdict::bad) broken.push_back(check.text);
  }
  if (broken.empty()) return 0;
  throw TrustError(fmt::format("image {}: what let it in no longer holds: {}", image.id.shortForm(),
                               join(broken, "; ")),
                   "remove it, or trust its key again");
}

}  // namespace

cli::Subcommand whySubcommand() {
  return {.name = "image why",
          .summary = "Why an image is in the store, and whether the reasons still hold",
          .details =
              "Tells what the image was asked for as, where its bytes came from, who imported it "
              "when and with what, who signed it and by which rule that key was trusted. Then "
              "checks all that anew without a network: the tar against the image ID, the signature "
              "against the file as distributed, the key against the keystore. Exit code 253 when "
              "something no longer holds.\n\n"
              "Example:\n"
              "    actool image why example.com/web\n"
              "    actool image why --format=json sha512-a03f6b",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            struct Options {
              std::string image;
              std::optional<cli::Format> format;
            };
            auto options = std::make_shared<Options>();
            app.add("image", options->image, "name with labels, image ID or prefix of one")
                .required()
                .typeName("IMAGE");
            cli::addFormatOption(app, options->format,
                                 {cli::Format::table, cli::Format::json, cli::Format::jsonPretty});
            return [options, &globals] { return why(options->image, options->format, globals); };
          }};
}

}  // namespace actool::cas
