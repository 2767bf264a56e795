#include "trust/keystore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <tuple>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::trust {
namespace {

// A key or a mask as it lies on disk.
struct Entry {
  TrustRule rule;
  std::string fingerprint;
  Path path;
  std::size_t dirIndex = 0;  // precedence of the configuration directory
  bool mask = false;
};

Path rootDir(const Path& config) {
  return config / "trustedkeys" / "root.d";
}
Path prefixDir(const Path& config) {
  return config / "trustedkeys" / "prefix.d";
}

Path ruleDir(const Path& config, const TrustRule& rule) {
  return rule.prefix ? prefixDir(config) / rule.prefix->str() : rootDir(config);
}

// rkt's order, in which later files win.
auto order(const Entry& entry) {
  const std::string prefix = entry.rule.prefix ? entry.rule.prefix->str() : std::string();
  return std::tuple(entry.rule.prefix.has_value(), entry.dirIndex, prefix.size(), prefix,
                    entry.fingerprint);
}

// Adds the file `name` of `dir` to `entries`, when it is a key or a mask.
void addFile(const Path& path, const std::string& name, const TrustRule& rule, std::size_t dirIndex,
             std::vector<Entry>& entries) {
  if (name.starts_with('.')) return;  // a key that is just being written
  if (!isFingerprint(name)) {
    log::warn("ignoring {}: its name is not a key's fingerprint in lower-case hex",
              printable(path.string()));
    return;
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT && !actool::exists(path)) return;  // removed since the directory was listed
    throwErrno("looking at " + path.string());
  }
  // A link to /dev/null is an empty file too; not seeing it as one would be trusting more.
  const bool mask = S_ISCHR(status.st_mode) || (S_ISREG(status.st_mode) && status.st_size == 0);
  if (!mask && !S_ISREG(status.st_mode)) {
    log::warn("ignoring {}: not a regular file", printable(path.string()));
    return;
  }
  entries.push_back({rule, name, path, dirIndex, mask});
}

bool isDirectory(const Path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throwErrno("looking at " + path.string());
  return S_ISDIR(status.st_mode);
}

// A directory's name is one component of a prefix, so the walk is as deep as a name is long.
void walkPrefixes(const Path& dir, const std::string& prefix, std::size_t dirIndex,
                  std::vector<Entry>& entries) {
  for (const std::string& name : listDir(dir)) {
    const Path path = dir / name;
    if (isDirectory(path)) {
      const std::string inner = prefix.empty() ? name : prefix + "/" + name;
      if (schema::AcIdentifier::tryParse(inner)) {
        walkPrefixes(path, inner, dirIndex, entries);
      } else {
        log::warn("ignoring {}: {} is no prefix of image names", printable(path.string()),
                  printable(inner));
      }
    } else if (prefix.empty() && !name.starts_with('.')) {
      log::warn("ignoring {}: keys for every name belong into root.d", printable(path.string()));
    } else {
      addFile(path, name, TrustRule{schema::AcIdentifier::parse(prefix)}, dirIndex, entries);
    }
  }
}

std::vector<Entry> load(const ConfigDirs& dirs) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < dirs.dirs.size(); ++i) {
    const Path root = rootDir(dirs.dirs[i]);
    for (const std::string& name : listDir(root)) {
      addFile(root / name, name, TrustRule{}, i, entries);
    }
    walkPrefixes(prefixDir(dirs.dirs[i]), "", i, entries);
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return order(a) < order(b); });
  return entries;
}

// Whether every name that `inner` covers is covered by `outer` too.
bool includes(const TrustRule& outer, const TrustRule& inner) {
  if (!outer.prefix) return true;
  return inner.prefix && hasPathPrefix(inner.prefix->str(), outer.prefix->str());
}

// The entries that trust `fingerprint` wherever `scope` covers, in order, masks applied.
std::vector<const Entry*> inForce(const std::vector<Entry>& entries, const TrustRule& scope,
                                  std::string_view fingerprint) {
  std::vector<const Entry*> found;
  for (const Entry& entry : entries) {
    if (entry.fingerprint != fingerprint || !includes(entry.rule, scope)) continue;
    if (entry.mask) {
      found.clear();
      continue;
    }
    std::erase_if(found, [&](const Entry* other) { return other->rule == entry.rule; });
    found.push_back(&entry);
  }
  return found;
}

TrustedKey toKey(const Entry& entry) {
  return {entry.rule, entry.fingerprint, entry.path};
}

// What is written as a file's name has to be one: "../x" must not leave the directory.
void checkFingerprint(std::string_view fingerprint) {
  if (!isFingerprint(fingerprint)) {
    throw UsageError("not a key's fingerprint in lower-case hex: " + printable(fingerprint));
  }
}

Path publish(const Path& writeDir, const TrustRule& rule, std::string_view fingerprint,
             std::string_view content) {
  checkFingerprint(fingerprint);
  const Path dir = ruleDir(writeDir, rule);
  makeDirs(dir);
  Path path = dir / std::string(fingerprint);
  writeFileAtomic(path, content, 0644);
  return path;
}

}  // namespace

bool isFingerprint(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && isLowerHex(text);
}

std::string parseFingerprint(std::string_view text) {
  std::string out;
  std::string_view rest = trim(text);
  if (rest.starts_with("0x") || rest.starts_with("0X")) rest.remove_prefix(2);
  for (const char c : rest) {
    if (c == ' ' || c == ':') continue;
    out += c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (!isFingerprint(out)) {
    throw UsageError("not a key's fingerprint: " + printable(text),
                     "give all 40 hex digits, as 'actool trust list' shows them");
  }
  return out;
}

bool TrustRule::covers(const schema::AcIdentifier& name) const {
  return !prefix || hasPathPrefix(name.str(), prefix->str());
}

std::string TrustRule::str() const {
  return prefix ? "prefix " + prefix->str() : "root";
}

std::vector<TrustedKey> Keystore::list() const {
  const std::vector<Entry> entries = load(dirs_);
  std::vector<TrustedKey> keys;
  for (const Entry& entry : entries) {
    if (entry.mask) continue;
    const auto found = inForce(entries, entry.rule, entry.fingerprint);
    if (std::find(found.begin(), found.end(), &entry) != found.end()) keys.push_back(toKey(entry));
  }
  std::sort(keys.begin(), keys.end(), [](const TrustedKey& a, const TrustedKey& b) {
    return std::tie(a.rule, a.fingerprint) < std::tie(b.rule, b.fingerprint);
  });
  return keys;
}

std::optional<TrustedKey> Keystore::find(const schema::AcIdentifier& name,
                                         std::string_view fingerprint) const {
  const std::vector<Entry> entries = load(dirs_);
  const auto found = inForce(entries, TrustRule{name}, fingerprint);
  if (found.empty()) return std::nullopt;
  const auto length = [](const Entry* entry) {
    return entry->rule.prefix ? entry->rule.prefix->str().size() : 0;
  };
  return toKey(**std::max_element(found.begin(), found.end(), [&](const Entry* a, const Entry* b) {
    return length(a) < length(b);
  }));
}

Path Keystore::add(const Path& writeDir, const TrustRule& rule, std::string_view fingerprint,
                   std::string_view armored) const {
  if (armored.empty()) throw Error("an empty key file would be a mask");
  return publish(writeDir, rule, fingerprint, armored);
}

Path Keystore::disable(const Path& writeDir, const TrustRule& rule,
                       std::string_view fingerprint) const {
  return publish(writeDir, rule, fingerprint, "");
}

void Keystore::remove(const Path& writeDir, const TrustRule& rule,
                      std::string_view fingerprint) const {
  checkFingerprint(fingerprint);
  const Path path = ruleDir(writeDir, rule) / std::string(fingerprint);
  if (::unlink(path.c_str()) == 0) {
    syncDir(path.parent_path());
    return;
  }
  if (errno != ENOENT && errno != ENOTDIR) throwErrno("removing " + path.string());
  std::string hint = "see 'actool trust list'";
  for (const Entry& entry : load(dirs_)) {
    if (entry.fingerprint == fingerprint && entry.rule == rule && !entry.mask) {
      hint = entry.path.string() + " is another configuration directory's: mask it with " +
             "'actool trust disable'";
    }
  }
  throw NotFoundError("no key " + std::string(fingerprint) + " for " + rule.str() + " in " +
                          (writeDir / "trustedkeys").string(),
                      hint);
}

}  // namespace actool::trust
