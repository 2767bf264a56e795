#include "tests/unit/trust/gpg_lab.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/process.h"
#include "core/base/strings.h"

namespace actool::trust {
namespace {

std::string lower(std::string text) {
  for (char& c : text)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

GpgLab::GpgLab() : dir_(tempRoot(), "gpglab."), home_(dir_.path() / "home") {
  makeDirs(home_, 0700);
}

GpgLab::~GpgLab() {
  try {
    runCommand({"gpgconf", "--homedir", home_.string(), "--kill", "all"});
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

std::string GpgLab::run(const std::vector<std::string>& args, std::string_view input,
                        const When& when) const {
  std::vector<std::string> argv{
      "gpg",      "--homedir",       home_.string(), "--batch",      "--yes", "--quiet",
      "--no-tty", "--pinentry-mode", "loopback",     "--passphrase", ""};
  if (!when.fakedTime.empty()) {
    argv.insert(argv.end(), {"--faked-system-time", when.fakedTime});
  }
  argv.insert(argv.end(), args.begin(), args.end());
  const CommandResult result = runCommand(argv, 16 << 20, std::string(input));
  if (!result.status.ok()) ADD_FAILURE() << join(argv, " ") << " " << result.status.describe();
  return result.out;
}

std::vector<std::string> GpgLab::fingerprints(const std::string& key) const {
  std::vector<std::string> args{"--with-colons", "--with-subkey-fingerprint", "--list-keys"};
  if (!key.empty()) args.push_back(key);
  const std::string listing = run(args);
  std::vector<std::string> out;
  for (const std::string_view line : split(listing, '\n')) {
    const auto fields = split(line, ':');
    if (fields[0] == "fpr") out.push_back(lower(std::string(fields[9])));
  }
  return out;
}

std::string GpgLab::makeKey(const std::string& uid, const std::string& algorithm,
                            const std::string& usage, const std::string& expire,
                            const When& when) const {
  run({"--quick-gen-key", uid, algorithm, usage, expire}, {}, when);
  return fingerprints("=" + uid).front();
}

std::string GpgLab::addSubkey(const std::string& fingerprint, const std::string& algorithm,
                              const std::string& usage, const std::string& expire,
                              const When& when) const {
  run({"--quick-add-key", fingerprint, algorithm, usage, expire}, {}, when);
  return fingerprints(fingerprint).back();
}

void GpgLab::revoke(const std::string& fingerprint) const {
  std::string name = fingerprint;
  for (char& c : name)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string text = readFile(home_ / "openpgp-revocs.d" / (name + ".rev"), 1 << 16);
  // gpg puts a colon before the armour, so that nobody uses it by mistake.
  text.erase(text.find(":-----BEGIN"), 1);
  run({"--import"}, text);
}

void GpgLab::revokeSubkey(const std::string& fingerprint, int index) const {
  run({"--command-fd", "0", "--no-batch", "--expert", "--edit-key", fingerprint},
      "key " + std::to_string(index) + "\nrevkey\ny\n0\n\ny\nsave\n");
}

std::string GpgLab::publicKey(const std::string& fingerprint) const {
  return run({"--armor", "--export", fingerprint});
}

std::string GpgLab::secretKey(const std::string& fingerprint) const {
  return run({"--armor", "--export-secret-keys", fingerprint});
}

std::string GpgLab::sign(const std::string& key, std::string_view bytes,
                         const std::vector<std::string>& options, const When& when) const {
  std::vector<std::string> args{"--local-user", key + "!", "--output", "-"};
  args.insert(args.end(), options.begin(), options.end());
  if (std::none_of(options.begin(), options.end(), [](const std::string& option) {
        return option == "--sign" || option == "--clearsign" || option == "--detach-sign";
      })) {
    args.insert(args.end(), {"--armor", "--detach-sign"});
  }
  return run(args, bytes, when);
}

KeyDir::KeyDir() : dir_(tempRoot(), "keydir.") {}

Path KeyDir::put(const std::string& prefix, const std::string& fingerprint,
                 std::string_view content) {
  const Path trusted = dir_.path() / "trustedkeys";
  const Path dir = prefix.empty() ? trusted / "root.d" : trusted / "prefix.d" / prefix;
  makeDirs(dir);
  writeFilePlain(dir / fingerprint, content);
  return dir / fingerprint;
}

std::vector<pid_t> processesWith(std::string_view needle) {
  std::vector<pid_t> found;
  for (const std::string& name : listDir("/proc")) {
    const auto pid = parseUint(name);
    if (!pid) continue;
    try {
      // A zombie's command line is empty.
      const auto line = tryReadFile(Path("/proc") / name / "cmdline", 1 << 20);
      if (line && line->find(needle) != std::string::npos)
        found.push_back(static_cast<pid_t>(*pid));
    } catch (const std::exception&) {
      continue;  // it ended while it was looked at
    }
  }
  return found;
}

}  // namespace actool::trust
