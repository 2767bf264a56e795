#include "trust/openpgp_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "trust/gpg_context.h"

namespace actool::trust {
namespace {

constexpr std::size_t kKeyIdDigits = 16;
constexpr std::size_t kPiecesAtOnce = 64;
constexpr std::size_t kMovedAtOnce = 1 << 20;

// Clocks of signers and of hosts without a network differ by minutes, time zones by hours.
constexpr auto kClockTolerance = std::chrono::hours(24);

// While it lives, the signals that ask a process to end wait, in this thread and in what it starts:
// gpg inherits the mask, for all its life. A terminal and killpg() signal a whole process group,
// and a gpg that went first would look like a bad signature, while its owner was told to stop. So
// its owner alone decides, and gpg ends with its input.
class NoStopSignals {
 public:
  NoStopSignals() {
    sigset_t stop;
    ::sigemptyset(&stop);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT})
      ::sigaddset(&stop, number);
    ::pthread_sigmask(SIG_BLOCK, &stop, &before_);
  }
  ~NoStopSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoStopSignals(const NoStopSignals&) = delete;
  NoStopSignals& operator=(const NoStopSignals&) = delete;

 private:
  sigset_t before_{};
};

GpgData dataFromCallbacks(gpgme_data_cbs& callbacks, void* owner) {
  gpgme_data_t raw = nullptr;
  check(gpgme_data_new_from_cbs(&raw, &callbacks, owner), "passing data to gpgme");
  return GpgData(raw);
}

std::chrono::system_clock::time_point fromSeconds(unsigned long seconds) {
  return std::chrono::system_clock::from_time_t(static_cast<std::time_t>(seconds));
}

}  // namespace

void refuseSignatures(const std::vector<std::string>& reasons, bool unknown) {
  throw TrustError(
      join(reasons, "; "),
      unknown ? "if its maker is to be trusted: actool trust add --prefix NAME KEY" : "");
}

OpenPgpSession::OpenPgpSession(std::shared_ptr<const KeySet> keys, DetachedSignature signature)
    : keys_(std::move(keys)),
      message_(std::move(signature)),
      context_(keys_->context()),
      loop_(context_.get()),
      null_(openFile("/dev/null", O_WRONLY)) {
  inputCallbacks_.read = giveBytes;
  outputCallbacks_.write = takeBytes;
  input_ = dataFromCallbacks(inputCallbacks_, this);
  output_ = dataFromCallbacks(outputCallbacks_, this);
  const NoStopSignals mask;
  check(gpgme_op_verify_start(context_.get(), input_.get(), nullptr, output_.get()),
        "starting gpg");
}

OpenPgpSession::~OpenPgpSession() {
  if (loop_.done()) return;
  // gpg is shown the end of its input, calls the signature bad and ends; nobody listens.
  // It must be gone before the home directory is.
  try {
    runToEnd();
  } catch (const Error& error) {
    log::warn("ending gpg: {}", error.what());
  }
}

ssize_t OpenPgpSession::giveBytes(void* self, void* buffer, std::size_t size) {
  auto& session = *static_cast<OpenPgpSession*>(self);
  if (session.pending_.empty()) return 0;
  const auto bytes = session.pending_.front().subspan(session.pendingAt_);
  // A pipe takes this many bytes whole or not at all, so that gpgme keeps none back which would
  // have to go before what is written directly.
  const std::size_t count = std::min({size, bytes.size(), std::size_t{PIPE_BUF}});
  std::copy_n(bytes.data(), count, static_cast<std::byte*>(buffer));
  session.given(count);
  if (session.inputFd_ < 0) {
    session.inputFd_ = session.loop_.servedFd();
    session.loop_.divert(session.inputFd_, [&session] { session.writeBytes(); });
  }
  return static_cast<ssize_t>(count);
}

// gpgme has read a little of what gpg gives out: from now on nobody does.
ssize_t OpenPgpSession::takeBytes(void* self, const void*, std::size_t size) {
  auto& session = *static_cast<OpenPgpSession*>(self);
  if (session.outputFd_ < 0) {
    session.outputFd_ = session.loop_.servedFd();
    session.loop_.divert(session.outputFd_, [&session] { session.discardOutput(); });
  }
  return static_cast<ssize_t>(size);
}

void OpenPgpSession::given(std::size_t count) {
  while (!pending_.empty() && count >= pending_.front().size() - pendingAt_) {
    count -= pending_.front().size() - pendingAt_;
    pending_ = pending_.subspan(1);
    pendingAt_ = 0;
  }
  pendingAt_ += count;
}

void OpenPgpSession::writeBytes() {
  while (!pending_.empty()) {
    std::array<iovec, kPiecesAtOnce> pieces;
    const std::size_t count = std::min(pending_.size(), pieces.size());
    for (std::size_t i = 0; i < count; ++i) {
      const auto bytes = pending_[i].subspan(i == 0 ? pendingAt_ : 0);
      pieces[i] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
    }
    const ssize_t written = ::writev(inputFd_, pieces.data(), static_cast<int>(count));
    if (written >= 0) {
      given(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      // EPIPE, most likely: gpgme runs into it as well and ends the operation.
      loop_.divert(inputFd_, {});
      return;
    }
  }
}

void OpenPgpSession::discardOutput() {
  const ssize_t moved =
      ::splice(outputFd_, nullptr, null_.get(), nullptr, kMovedAtOnce, SPLICE_F_NONBLOCK);
  if (moved > 0 || (moved < 0 && (errno == EAGAIN || errno == EINTR))) return;
  // The end, or a kernel that does not do that: gpgme goes on.
  loop_.divert(outputFd_, {});
}

void OpenPgpSession::runToEnd() {
  pending_ = {};
  loop_.divert(inputFd_, {});  // gpgme's handler asks giveBytes(), gets none, closes the pipe
  loop_.runUntil([] { return false; });
}

bool OpenPgpSession::give(const OpenPgpMessage::Pieces& pieces) {
  // While there are bytes giveBytes() never gives none, which would mean the end of input.
  pending_ = pieces;
  pendingAt_ = 0;
  loop_.runUntil([this] { return pending_.empty() || loop_.inputsClosed(); });
  return pending_.empty();
}

void OpenPgpSession::update(std::span<const std::byte> bytes) {
  if (give(message_.add(bytes))) return;
  runToEnd();
  // gpg ended before the bytes did. Its reason, when it gave one, says more than ours.
  static_cast<void>(verdict());
  throw Error("verifying the signature: gpg stopped reading before the end");
}

std::vector<Signer> OpenPgpSession::finish() {
  // Should gpg have ended before, its verdict says why.
  static_cast<void>(give(message_.end()));
  runToEnd();
  return verdict();
}

std::vector<Signer> OpenPgpSession::verdict() const {
  if (gpgme_err_code(loop_.error()) == GPG_ERR_NO_DATA) {
    throw TrustError("gpg found no signature in it");
  }
  check(loop_.error(), "verifying the signature");
  const gpgme_verify_result_t result = gpgme_op_verify_result(context_.get());
  if (result == nullptr || result->signatures == nullptr) {
    throw TrustError("gpg found no signature in it");
  }
  std::vector<Signer> signers;
  std::vector<std::string> reasons;
  bool unknown = false;
  for (gpgme_signature_t s = result->signatures; s != nullptr; s = s->next) {
    if (auto signer = judge(*s, reasons, unknown)) signers.push_back(*std::move(signer));
  }
  if (signers.empty()) refuseSignatures(reasons, unknown);
  for (const std::string& reason : reasons)
    log::debug("another signature: {}", reason);
  return signers;
}

std::optional<Signer> OpenPgpSession::judge(const _gpgme_signature& signature,
                                            std::vector<std::string>& reasons,
                                            bool& unknown) const {
  const auto no = [&](std::string reason) {
    reasons.push_back(std::move(reason));
    return std::nullopt;
  };
  // The signing key's whole fingerprint, but only its ID when the signature is bad.
  const std::string fingerprint = lowered(orEmpty(signature.fpr));
  const auto found = fingerprint.size() == kKeyIdDigits
                         ? keys_->find(SignaturePacket{.issuerKeyId = fingerprint})
                         : keys_->find(fingerprint);
  const std::string who = found ? found->describe() : "key " + printable(fingerprint);
  const gpgme_err_code_t code = gpgme_err_code(signature.status);
  if (code == GPG_ERR_BAD_SIGNATURE) {
    return no("bad signature by " + who + ": these are not the bytes that were signed");
  }
  if (code == GPG_ERR_NO_PUBKEY || !found) {
    unknown = true;
    return no("signed by unknown " + who);
  }
  if (code == GPG_ERR_SIG_EXPIRED) {
    return no(fmt::format("signature by {} expired on {}", who,
                          displayDate(fromSeconds(signature.exp_timestamp))));
  }
  if (std::string why = found->refusal(signature.hash_algo); !why.empty()) return no(why);
  // What gpg found out since the keys were listed, a key that has just expired say.
  if (code == GPG_ERR_KEY_EXPIRED) return no("signed by " + who + ", which is expired");
  if (code == GPG_ERR_CERT_REVOKED) return no("signed by " + who + ", which is revoked");
  if (code != GPG_ERR_NO_ERROR) {
    return no(
        fmt::format("signature by {} can't be checked: {}", who, errorText(signature.status)));
  }
  // gpg itself takes these. A clock that is wrong by days would also take expired keys.
  if (fromSeconds(signature.timestamp) > systemClock().now() + kClockTolerance) {
    return no(fmt::format("signature by {} is of {}, which is in the future", who,
                          formatRfc3339(fromSeconds(signature.timestamp))));
  }
  // With trust-model always gpg says nothing of validity, and a good signature has an empty
  // summary; any further bit is something that gpg did not like and this code does not know.
  constexpr unsigned kGood = GPGME_SIGSUM_VALID | GPGME_SIGSUM_GREEN;
  if ((static_cast<unsigned>(signature.summary) & ~kGood) != 0 || signature.wrong_key_usage ||
      found->subkey->fingerprint != fingerprint) {
    return no(fmt::format("signature by {} is not without fault (gpgme summary 0x{:x})", who,
                          static_cast<unsigned>(signature.summary)));
  }
  return Signer{found->key->fingerprint, found->subkey->fingerprint, found->key->userId(),
                formatRfc3339(fromSeconds(signature.timestamp))};
}

}  // namespace actool::trust
