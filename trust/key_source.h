// Where public keys come from: files, URLs, and the pages of a name. This tool has no network
// library; actool-fetch and actool-discover are run for that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/cli/globals.h"
#include "core/schema/identifier.h"
#include "trust/key_info.h"

namespace actool::trust {

// A tool that was run failed and has said why on standard error, which nobody has to say
// again. `code` is one of docs/exit-codes.md.
struct ToolFailed {
  int code;
};

// The key URLs that discovery finds for `prefix`, at least one. Throws NotFoundError when there
// are none, ToolFailed when actool-discover fails.
std::vector<std::string> discoverKeys(const cli::Globals& globals,
                                      const schema::AcIdentifier& prefix);

// The bytes of a path, a file:// or an https:// URL; http:// only with
// --insecure-options=pubkey. At most kMaxKeyBytes. Throws ToolFailed when actool-fetch fails.
std::string readKeySource(const cli::Globals& globals, const std::string& location);

bool isHttps(std::string_view location);

struct LoadedKey {
  KeyInfo info;
  std::string armored;  // this key alone
};

// Every key in `bytes`, in their order, at least one. Throws TrustError for secret keys and
// for what holds no valid public key. `what` names the source.
std::vector<LoadedKey> loadKeys(std::string_view bytes, std::string_view what);

}  // namespace actool::trust
