#include "trust/key_source.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "core/cli/tool.h"
#include "core/record/record.h"
#include "trust/keyring.h"
#include "trust/openpgp_packets.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

std::string runTool(std::string_view program, const cli::Globals& globals,
                    const std::vector<std::string>& args, std::size_t limit) {
  const CommandResult result = runCommand(cli::toolCommand(program, globals, args), limit);
  if (result.status.ok()) return result.out;
  const int code = result.status.value;
  if (!result.status.signaled && code >= static_cast<int>(ExitCode::inUse) &&
      code <= static_cast<int>(ExitCode::failure)) {
    throw ToolFailed{code};
  }
  throw Error(fmt::format("{} {}", program, result.status.describe()));
}

}  // namespace

bool isHttps(std::string_view location) {
  return location.starts_with("https://");
}

std::vector<std::string> discoverKeys(const cli::Globals& globals,
                                      const schema::AcIdentifier& prefix) {
  const std::string out =
      runTool("actool-discover", globals, {"--keys", "--format=jsonl", prefix.str()}, 1 << 20);
  std::vector<std::string> urls;
  for (const std::string_view line : split(out, '\n')) {
    if (trim(line).empty()) continue;
    const record::Record parsed = record::parseLine(line);
    const auto* found = std::get_if<record::Discovered>(&parsed);
    if (found == nullptr) throw Error("actool-discover wrote another record than it should");
    urls.insert(urls.end(), found->keys.begin(), found->keys.end());
  }
  if (urls.empty()) {
    throw NotFoundError("no public key is announced for " + prefix.str(),
                        "name a file or an https:// URL that holds it");
  }
  return urls;
}

std::string readKeySource(const cli::Globals& globals, const std::string& location) {
  const bool http = location.starts_with("http://");
  if (http && !globals.insecure.pubkey) {
    throw TrustError(
        fmt::format("not fetching a public key over plain http: {}", printable(location)),
        "anybody on the way could change it; --insecure-options=pubkey allows it");
  }
  if (http || isHttps(location)) {
    return runTool("actool-fetch", globals,
                   {"--raw", location, fmt::format("--max-bytes={}", kMaxKeyBytes)}, kMaxKeyBytes);
  }
  constexpr std::string_view kFile = "file://";
  if (location.starts_with(kFile)) return readFile(location.substr(kFile.size()), kMaxKeyBytes);
  if (location.find("://") != std::string::npos) {
    throw UsageError("not a place to get a key from: " + printable(location),
                     "give a file or an https:// URL");
  }
  return readFile(location, kMaxKeyBytes);
}

std::vector<LoadedKey> loadKeys(std::string_view bytes, std::string_view what) {
  const std::string shown = printable(what);
  const std::string packets = parsePublicKeys(bytes, shown);
  return withContext(shown, [&] {
    Keyring keyring;
    keyring.import(packets);
    std::vector<LoadedKey> keys;
    for (KeyInfo& info : keyring.keys()) {
      std::string armored = keyring.exportArmored(info.fingerprint);
      keys.push_back({std::move(info), std::move(armored)});
    }
    if (keys.empty()) {
      throw TrustError("no valid public key in it",
                       "a key needs a user ID and its own signature over it");
    }
    return keys;
  });
}

}  // namespace actool::trust
