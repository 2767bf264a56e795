// SignatureVerifier over gpgme. The bytes go update() -> ByteRing -> gpgme in a thread of the
// session's own -> pipe -> gpg, so that gpg hashes while the caller inflates and writes.
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <thread>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "trust/byte_ring.h"
#include "trust/keyring.h"
#include "trust/openpgp_packets.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

constexpr std::string_view kUnknownHint =
    "if its maker is to be trusted: actool trust add --prefix NAME KEY";

// What is buffered between the caller and gpg, and how much gpgme moves at a time.
constexpr std::size_t kRingBytes = 1 << 20;
constexpr std::string_view kIoBufferBytes = "262144";

// The keys that may sign, and the home that gpg finds them in.
class KeySet {
 public:
  explicit KeySet(const std::vector<TrustedKey>& trusted);

  struct Found {
    const KeyInfo* key = nullptr;
    const SubkeyInfo* subkey = nullptr;
  };
  // By the fingerprint of the signing (sub)key. Throws TrustError when two primary keys claim
  // one subkey: then nobody can tell whose signature it is.
  std::optional<Found> find(std::string_view signingFingerprint) const;
  // By what a signature says of its maker.
  std::optional<Found> find(const SignaturePacket& signature) const;
  const GpgHome& home() const { return keyring_.home(); }

 private:
  void adopt(const std::set<std::string>& wanted);

  Keyring keyring_;
  std::vector<KeyInfo> keys_;
};

KeySet::KeySet(const std::vector<TrustedKey>& trusted) {
  std::set<std::string> wanted;
  std::vector<std::pair<const TrustedKey*, std::string>> files;
  std::string all;
  for (const TrustedKey& key : trusted) {
    wanted.insert(key.fingerprint);
    // One broken file must not take the trust in all others away; leaving it out trusts less.
    try {
      files.emplace_back(&key, parsePublicKeys(readFile(key.path, kMaxKeyBytes), "key file"));
      all += files.back().second;
    } catch (const Error& error) {
      log::warn("ignoring {}: {}", printable(key.path.string()), error.what());
    }
  }
  if (all.empty()) return;
  keyring_.import(all);
  adopt(wanted);
  for (const auto& [key, packets] : files) {
    const auto has = [&](const KeyInfo& info) { return info.fingerprint == key->fingerprint; };
    if (std::none_of(keys_.begin(), keys_.end(), has)) {
      log::warn("ignoring {}: it does not hold a valid key with the fingerprint that is its name",
                printable(key->path.string()));
    }
  }
}

void KeySet::adopt(const std::set<std::string>& wanted) {
  // A key that merely lies in another one's file is not one that was chosen.
  for (KeyInfo& info : keyring_.keys()) {
    if (wanted.contains(info.fingerprint)) keys_.push_back(std::move(info));
  }
}

std::optional<KeySet::Found> KeySet::find(std::string_view signingFingerprint) const {
  std::optional<Found> found;
  for (const KeyInfo& key : keys_) {
    const SubkeyInfo* subkey = key.find(signingFingerprint);
    if (subkey == nullptr) continue;
    if (found) {
      throw TrustError(fmt::format("signing key {} is claimed by two keys, {} and {}",
                                   signingFingerprint, found->key->fingerprint, key.fingerprint));
    }
    found = Found{&key, subkey};
  }
  return found;
}

std::optional<KeySet::Found> KeySet::find(const SignaturePacket& signature) const {
  if (!signature.issuerFingerprint.empty()) return find(signature.issuerFingerprint);
  if (signature.issuerKeyId.empty()) return std::nullopt;
  for (const KeyInfo& key : keys_) {
    for (const SubkeyInfo& subkey : key.subkeys) {
      // A version 4 key's ID is the end of its fingerprint.
      if (subkey.fingerprint.ends_with(signature.issuerKeyId)) return Found{&key, &subkey};
    }
  }
  return std::nullopt;
}

std::string describe(const KeySet::Found& found) {
  std::string out = "key " + found.key->fingerprint;
  if (found.subkey->fingerprint != found.key->fingerprint) {
    out += " (subkey " + found.subkey->fingerprint + ")";
  }
  if (!found.key->userId().empty()) out += " of \"" + printable(found.key->userId()) + "\"";
  return out;
}

// Why a signature by `found` would not be accepted whatever it signs; empty when it would.
std::string refusal(const KeySet::Found& found, int hashAlgorithm) {
  if (!isStrongHash(hashAlgorithm)) {
    return fmt::format("signature by {} over {}, which can be forged", describe(found),
                       hashAlgorithmName(hashAlgorithm));
  }
  for (const SubkeyInfo* key : {&found.key->primary(), found.subkey}) {
    if (const std::string why = key->unusable(); !why.empty()) {
      return fmt::format(
          "signed by {}, which is {}{}", describe(found),
          key == found.subkey && key != &found.key->primary() ? "by that subkey " : "", why);
    }
  }
  return {};
}

// All of `reasons` in one TrustError. The hint is for signatures by nobody we know.
[[noreturn]] void refuse(const std::vector<std::string>& reasons, bool unknown) {
  throw TrustError(join(reasons, "; "), unknown ? std::string(kUnknownHint) : std::string());
}

class OpenPgpSession final : public VerifySession {
 public:
  OpenPgpSession(std::shared_ptr<const KeySet> keys, DetachedSignature signature);
  ~OpenPgpSession() override;
  OpenPgpSession(const OpenPgpSession&) = delete;
  OpenPgpSession& operator=(const OpenPgpSession&) = delete;

  void update(std::span<const std::byte> bytes) override;
  std::vector<Signer> finish() override;

 private:
  void run();
  std::vector<Signer> verdict();
  // A signer, or a reason why not.
  std::optional<Signer> judge(gpgme_signature_t signature, std::vector<std::string>& reasons,
                              bool& unknown) const;

  std::shared_ptr<const KeySet> keys_;
  DetachedSignature signature_;
  ByteRing ring_{kRingBytes};
  GpgContext context_;
  GpgData signatureData_;
  GpgData signedData_;
  gpgme_data_cbs callbacks_{};
  gpgme_error_t error_ = 0;  // written by the thread, read after it was joined
  std::thread thread_;
};

ssize_t readRing(void* handle, void* buffer, std::size_t size) {
  return static_cast<ssize_t>(
      static_cast<ByteRing*>(handle)->read({static_cast<std::byte*>(buffer), size}));
}

OpenPgpSession::OpenPgpSession(std::shared_ptr<const KeySet> keys, DetachedSignature signature)
    : keys_(std::move(keys)),
      signature_(std::move(signature)),
      context_(makeContext(keys_->home())),
      signatureData_(dataFromMemory(signature_.packets)) {
  callbacks_.read = readRing;
  gpgme_data_t raw = nullptr;
  check(gpgme_data_new_from_cbs(&raw, &callbacks_, &ring_), "passing data to gpgme");
  signedData_.reset(raw);
  check(gpgme_data_set_flag(raw, "io-buffer-size", kIoBufferBytes.data()),
        "choosing gpgme's buffer");
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    throw SystemError(error.code().value(), "starting the verifier's thread");
  }
}

OpenPgpSession::~OpenPgpSession() {
  if (!thread_.joinable()) return;
  // gpg sees the end of its input, calls the signature bad and ends; nobody listens.
  ring_.abandonWriting();
  thread_.join();
}

void OpenPgpSession::run() {
  error_ = gpgme_op_verify(context_.get(), signatureData_.get(), signedData_.get(), nullptr);
  ring_.leaveReading();
}

void OpenPgpSession::update(std::span<const std::byte> bytes) {
  if (ring_.write(bytes)) return;
  // gpg ended before the bytes did. Its reason, when it gave one, says more than ours.
  verdict();
  throw Error("verifying the signature: gpg stopped reading before the end");
}

std::vector<Signer> OpenPgpSession::finish() {
  ring_.finishWriting();
  return verdict();
}

std::vector<Signer> OpenPgpSession::verdict() {
  if (thread_.joinable()) thread_.join();
  if (gpgme_err_code(error_) == GPG_ERR_NO_DATA) throw TrustError("gpg found no signature in it");
  check(error_, "verifying the signature");
  const gpgme_verify_result_t result = gpgme_op_verify_result(context_.get());
  if (result == nullptr || result->signatures == nullptr) {
    throw TrustError("gpg found no signature in it");
  }
  std::vector<Signer> signers;
  std::vector<std::string> reasons;
  bool unknown = false;
  for (gpgme_signature_t s = result->signatures; s != nullptr; s = s->next) {
    if (auto signer = judge(s, reasons, unknown)) signers.push_back(*std::move(signer));
  }
  if (signers.empty()) refuse(reasons, unknown);
  for (const std::string& reason : reasons)
    log::debug("another signature: {}", reason);
  return signers;
}

std::optional<Signer> OpenPgpSession::judge(gpgme_signature_t signature,
                                            std::vector<std::string>& reasons,
                                            bool& unknown) const {
  std::string fingerprint = signature->fpr == nullptr ? "" : signature->fpr;
  for (char& c : fingerprint) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto found = keys_->find(fingerprint);
  const auto no = [&](std::string reason) {
    reasons.push_back(std::move(reason));
    return std::nullopt;
  };
  const std::string who = found ? describe(*found) : "key " + printable(fingerprint);
  const gpgme_err_code_t code = gpgme_err_code(signature->status);
  switch (code) {
    case GPG_ERR_NO_ERROR:
    case GPG_ERR_NO_PUBKEY:
      break;
    case GPG_ERR_BAD_SIGNATURE:
      return no("bad signature by " + who + ": these are not the bytes that were signed");
    case GPG_ERR_SIG_EXPIRED:
      return no(fmt::format("signature by {} expired on {}", who,
                            displayDate(std::chrono::system_clock::from_time_t(
                                static_cast<std::time_t>(signature->exp_timestamp)))));
    case GPG_ERR_KEY_EXPIRED:
      if (found) {
        if (std::string why = refusal(*found, signature->hash_algo); !why.empty()) return no(why);
      }
      return no("signed by " + who + ", which is expired");
    case GPG_ERR_CERT_REVOKED:
      return no("signed by " + who + ", which is revoked");
    default:
      return no(
          fmt::format("signature by {} can't be checked: {}", who, errorText(signature->status)));
  }
  if (!found || code == GPG_ERR_NO_PUBKEY) {
    unknown = true;
    return no("signed by unknown " + who);
  }
  if (std::string why = refusal(*found, signature->hash_algo); !why.empty()) return no(why);
  // With trust-model always gpg says nothing of validity, and a good signature has an empty
  // summary; any further bit is something that gpg did not like and this code does not know.
  constexpr unsigned kGood = GPGME_SIGSUM_VALID | GPGME_SIGSUM_GREEN;
  if ((static_cast<unsigned>(signature->summary) & ~kGood) != 0 || signature->wrong_key_usage) {
    return no(fmt::format("signature by {} is not without fault (gpgme summary 0x{:x})", who,
                          static_cast<unsigned>(signature->summary)));
  }
  return Signer{found->key->fingerprint, found->subkey->fingerprint, found->key->userId(),
                formatRfc3339(std::chrono::system_clock::from_time_t(
                    static_cast<std::time_t>(signature->timestamp)))};
}

class OpenPgpVerifier final : public SignatureVerifier {
 public:
  explicit OpenPgpVerifier(const std::vector<TrustedKey>& keys)
      : keys_(std::make_shared<KeySet>(keys)) {}

  void precheck(std::string_view text) override {
    const DetachedSignature signature = parseDetachedSignature(text);
    std::vector<std::string> reasons;
    bool unknown = false;
    for (const SignaturePacket& packet : signature.signatures) {
      const auto found = keys_->find(packet);
      if (!found) {
        unknown = true;
        const std::string& id =
            packet.issuerFingerprint.empty() ? packet.issuerKeyId : packet.issuerFingerprint;
        reasons.push_back("signed by unknown key " + (id.empty() ? "(it does not say which)" : id));
        continue;
      }
      const std::string why = refusal(*found, packet.hashAlgorithm);
      if (why.empty()) return;
      reasons.push_back(why);
    }
    refuse(reasons, unknown);
  }

  std::unique_ptr<VerifySession> begin(std::string_view signature) override {
    return std::make_unique<OpenPgpSession>(keys_, parseDetachedSignature(signature));
  }

 private:
  std::shared_ptr<const KeySet> keys_;
};

}  // namespace

std::unique_ptr<SignatureVerifier> makeOpenPgpVerifier(const std::vector<TrustedKey>& keys) {
  return std::make_unique<OpenPgpVerifier>(keys);
}

}  // namespace actool::trust
