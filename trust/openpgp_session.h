// One signature check over bytes as they come: update() -> a large pipe -> gpg, which hashes
// in its own process while the caller inflates and writes. gpg is given an inline-signed message
// (openpgp_message.h), and what it gives out of it is thrown away.
//
// gpgme passes data on at a third of gpg's own speed (1.18 spends more time on a byte than the
// kernel does on both ends of the pipe), so only the first bytes and the ends of input and output
// go through it; everything between is written to its pipe directly, and what gpg writes is moved
// on to /dev/null without being read.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "trust/gpg_context.h"
#include "trust/gpg_loop.h"
#include "trust/key_set.h"
#include "trust/openpgp_message.h"
#include "trust/openpgp_packets.h"
#include "trust/verifier.h"

namespace actool::trust {

// Used by one thread at a time; other sessions over the same keys may run in others.
class OpenPgpSession final : public VerifySession {
 public:
  OpenPgpSession(std::shared_ptr<const KeySet> keys, DetachedSignature signature);
  // Ends gpg, when finish() was not called, and waits for that.
  ~OpenPgpSession() override;
  OpenPgpSession(const OpenPgpSession&) = delete;
  OpenPgpSession& operator=(const OpenPgpSession&) = delete;

  void update(std::span<const std::byte> bytes) override;
  std::vector<Signer> finish() override;

 private:
  static ssize_t giveBytes(void* self, void* buffer, std::size_t size);
  static ssize_t takeBytes(void* self, const void* buffer, std::size_t size);
  // Whether gpg took all of it.
  bool give(const OpenPgpMessage::Pieces& pieces);
  void given(std::size_t count);
  void writeBytes();
  void discardOutput();
  void runToEnd();
  std::vector<Signer> verdict() const;
  // A signer, or nothing and one more of `reasons`; `unknown` when nobody's key made it.
  std::optional<Signer> judge(const _gpgme_signature& signature, std::vector<std::string>& reasons,
                              bool& unknown) const;

  std::shared_ptr<const KeySet> keys_;
  OpenPgpMessage message_;
  GpgContext context_;
  GpgLoop loop_;
  gpgme_data_cbs inputCallbacks_{};
  gpgme_data_cbs outputCallbacks_{};
  GpgData input_;
  GpgData output_;
  std::span<const std::span<const std::byte>> pending_;  // of the give() that is running,
  std::size_t pendingAt_ = 0;                            // from here in the first of them
  int inputFd_ = -1;  // gpgme's pipes to and from gpg, once they are known
  int outputFd_ = -1;
  UniqueFd null_;
};

// Throws a TrustError of all `reasons`, with a hint when a signer was unknown.
[[noreturn]] void refuseSignatures(const std::vector<std::string>& reasons, bool unknown);

}  // namespace actool::trust
