#include <fcntl.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "trust/commands.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

constexpr const char* kVerifyDetails =
    "Checks the detached signature of a file (FILE.asc when no other is named) against the "
    "trusted keys, and shows who signed it and the names that each signer is trusted for. With "
    "--name, a signer must be trusted for that name; without, it is enough that it is trusted "
    "for some. Only keys of 'actool trust list' count, never the user's own keyring. Exits with "
    "253 when the file is not to be trusted.\n\n"
    "Example:\n"
    "  actool verify web-1.0.0.aci\n"
    "  actool verify --name example.com/web web-1.0.0.aci signatures/web.asc";

struct VerifyArguments {
  std::string file;
  std::string signature;
  std::string name;
  std::optional<cli::Format> format;
};

std::string readSignature(const VerifyArguments& arguments) {
  const std::string path =
      arguments.signature.empty() ? arguments.file + ".asc" : arguments.signature;
  const UniqueFd file = tryOpen(path, O_RDONLY);
  if (!file) {
    throw TrustError(fmt::format("no signature {}", printable(path)),
                     "name the file that holds it after the image");
  }
  // One byte over the limit is enough to be refused for its length.
  std::string text(kMaxSignatureBytes + 1, '\0');
  text.resize(readFull(file.get(), std::as_writable_bytes(std::span(text)), printable(path)));
  return text;
}

std::vector<Signer> check(SignatureVerifier& verifier, const VerifyArguments& arguments) {
  const UniqueFd file = tryOpen(arguments.file, O_RDONLY);
  if (!file) throw NotFoundError("no such file");
  const std::string signature = readSignature(arguments);
  verifier.precheck(signature);
  const auto session = verifier.begin(signature);
  std::vector<std::byte> buffer(std::size_t{256} << 10);
  while (const std::size_t count = readSome(file.get(), buffer, printable(arguments.file))) {
    session->update(std::span(buffer).first(count));
  }
  return session->finish();
}

std::vector<std::string> rulesOf(const std::vector<TrustedKey>& keys, const Signer& signer) {
  std::vector<std::string> rules;
  for (const TrustedKey& key : keys) {
    if (key.fingerprint == signer.fingerprint) rules.push_back(key.rule.str());
  }
  return rules;
}

int run(const VerifyArguments& arguments, const cli::Globals& globals) {
  const Keystore keystore(globals.trustDirs());
  const std::vector<TrustedKey> keys = keystore.list();
  const auto name =
      arguments.name.empty() ? std::nullopt : std::optional(withContext("--name", [&] {
        return schema::AcIdentifier::parse(arguments.name);
      }));
  const std::vector<Signer> signers = withContext("verifying " + printable(arguments.file), [&] {
    const auto verifier = makeOpenPgpVerifier(keys);
    std::vector<Signer> good = check(*verifier, arguments);
    if (name) requireTrusted(keystore, *name, good);
    return good;
  });
  const cli::Format format = cli::effectiveFormat(arguments.format);
  cli::Table table({"FINGERPRINT", "SIGNED", "USER ID", "TRUSTED FOR"});
  for (const Signer& signer : signers) {
    const std::vector<std::string> rules = rulesOf(keys, signer);
    if (format == cli::Format::table) {
      table.addRow(
          {signer.fingerprint, signer.created, printable(signer.userId), join(rules, ", ")});
      continue;
    }
    cli::print(dumpLine(Json{{"kind", "signer"},
                             {"file", arguments.file},
                             {"fingerprint", signer.fingerprint},
                             {"signingFingerprint", signer.signingFingerprint},
                             {"userId", signer.userId},
                             {"created", signer.created},
                             {"trustedFor", rules}}) +
               "\n");
  }
  if (format == cli::Format::table) cli::print(table.render());
  return static_cast<int>(ExitCode::ok);
}

std::function<int()> setUpVerify(cli::Options& app, cli::Globals& globals) {
  const auto arguments = std::make_shared<VerifyArguments>();
  app.add("FILE", arguments->file, "the file as distributed").required();
  app.add("SIGNATURE", arguments->signature, "its detached signature (FILE.asc)");
  app.add("--name", arguments->name, "a signer must be trusted for this image name")
      .typeName("NAME");
  cli::addFormatOption(app, arguments->format, {cli::Format::table, cli::Format::jsonl});
  return [arguments, &globals] { return run(*arguments, globals); };
}

}  // namespace

cli::Subcommand verifyCommand() {
  return {.name = "verify",
          .summary = "Check a file's signature against the trusted keys",
          .details = kVerifyDetails,
          .setup = setUpVerify};
}

}  // namespace actool::trust
