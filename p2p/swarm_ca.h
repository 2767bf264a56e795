// Swarms that admit peers by certificate: the authority that a torrent names, and what this machine
// shows of itself (docs/p2p.md, Swarms by certificate). Knows OpenSSL; nothing else here does.
#pragma once

#include <string>
#include <string_view>

#include "core/base/fs.h"

namespace actool::p2p {

// The certificate of an authority that signed itself.
class SwarmCa {
 public:
  // One PEM certificate; text around it is nothing. Throws Error when there is none, more than one,
  // or it is not an authority's own.
  static SwarmCa parse(std::string_view pem);
  static SwarmCa load(const Path& file);

  // In the one form that OpenSSL writes: the same certificate is the same bytes, whoever encoded
  // it.
  const std::string& pem() const { return pem_; }
  // For people: its name and the beginning of its SHA-256.
  std::string label() const;
  bool operator==(const SwarmCa& other) const { return pem_ == other.pem_; }

 private:
  SwarmCa() = default;

  std::string pem_;
  std::string subject_;
  std::string fingerprint_;
};

// What a machine shows to the peers of an authority's swarms.
class SwarmIdentity {
 public:
  // Reads both files. Throws UsageError when the key may be read by others than its owner, or is
  // neither ours nor root's, or not the certificate's.
  static SwarmIdentity load(const Path& certificate, const Path& key);

  const std::string& certificate() const { return certificate_; }  // PEM
  const std::string& key() const { return key_; }                  // PEM
  // Throws TrustError when peers of `ca` would not let this certificate into the swarm of the
  // torrent `name`: signed by another one, out of its time, not for clients and servers, or for
  // another name.
  void requireAdmitted(const SwarmCa& ca, std::string_view name) const;

 private:
  SwarmIdentity() = default;

  Path file_;
  std::string certificate_;
  std::string key_;
};

}  // namespace actool::p2p
