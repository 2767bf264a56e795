// One signature check over bytes as they come: update() -> a large pipe -> gpg, which hashes
// in its own process while the caller inflates and writes.
//
// gpgme passes data on at a third of gpg's own speed (1.18 spends more time on a byte than the
// kernel does on both ends of the pipe), so only the first bytes and the end of input
// go through it; everything between is written to its pipe directly.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trust/gpg_context.h"
#include "trust/gpg_loop.h"
#include "trust/key_set.h"
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
  void writeBytes();
  void runToEnd();
  std::vector<Signer> verdict() const;
  // A signer, or nothing and one more of `reasons`; `unknown` when nobody's key made it.
  std::optional<Signer> judge(const _gpgme_signature& signature, std::vector<std::string>& reasons,
                              bool& unknown) const;

  std::shared_ptr<const KeySet> keys_;
  DetachedSignature signature_;
  GpgContext context_;
  GpgLoop loop_;
  GpgData signatureData_;
  gpgme_data_cbs callbacks_{};
  GpgData signedData_;
  std::span<const std::byte> pending_;  // of the update() that is running
  int inputFd_ = -1;                    // gpgme's pipe to gpg's input, once it is known
};

// Throws a TrustError of all `reasons`, with a hint when a signer was unknown.
[[noreturn]] void refuseSignatures(const std::vector<std::string>& reasons, bool unknown);

}  // namespace actool::trust
