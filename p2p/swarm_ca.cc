#include "p2p/swarm_ca.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/owner.h"
#include "core/base/strings.h"

namespace actool::p2p {

namespace {

// A certificate of an authority has some kB; what is larger is not one.
constexpr std::size_t kMostPemBytes = 64 << 10;
constexpr std::size_t kShownDigits = 16;

using Bio = Owner<BIO, BIO_free>;
using Certificate = Owner<X509, X509_free>;
using PrivateKey = Owner<EVP_PKEY, EVP_PKEY_free>;
using CertificateStore = Owner<X509_STORE, X509_STORE_free>;
using StoreContext = Owner<X509_STORE_CTX, X509_STORE_CTX_free>;
using Names = Owner<GENERAL_NAMES, GENERAL_NAMES_free>;

// What failed last, for people.
std::string reason() {
  const unsigned long code = ::ERR_peek_last_error();
  ::ERR_clear_error();
  const char* text = ::ERR_reason_error_string(code);
  return text == nullptr ? "it can't be read" : text;
}

Bio reading(std::string_view text) {
  Bio bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw Error("out of memory");
  return bio;
}

// The only certificate in `pem`.
Certificate certificateIn(std::string_view pem) {
  if (pem.size() > kMostPemBytes) throw Error("it is larger than any certificate");
  const Bio bio = reading(pem);
  Certificate certificate(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) throw Error("it has no PEM certificate: " + reason());
  const Certificate second(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ::ERR_clear_error();
  if (second) throw Error("it has more than one certificate", "name a file with one");
  return certificate;
}

std::string written(X509* certificate) {
  const Bio bio(::BIO_new(::BIO_s_mem()));
  if (!bio || ::PEM_write_bio_X509(bio.get(), certificate) != 1) throw Error(reason());
  char* text = nullptr;
  const long size = ::BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::string subjectOf(X509* certificate) {
  std::array<char, 256> text{};
  const int size = ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName,
                                               text.data(), text.size());
  return size <= 0 ? std::string("no name")
                   : printable(std::string_view(text.data(), static_cast<std::size_t>(size)));
}

std::string fingerprintOf(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::X509_digest(certificate, ::EVP_sha256(), digest.data(), &size) != 1) throw Error(reason());
  return toHex(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

std::string_view textOf(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(::ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(::ASN1_STRING_length(string))};
}

// The names that libtorrent looks at: DNS alternatives, and the last common name.
std::vector<std::string> namesOf(X509* certificate) {
  std::vector<std::string> names;
  const Names alternatives(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) names.emplace_back(textOf(name->d.dNSName));
  }
  X509_NAME* subject = ::X509_get_subject_name(certificate);
  for (int at = -1; (at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
    if (::X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0) {
      names.emplace_back(textOf(::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at))));
    }
  }
  return names;
}

// Why `ca` does not vouch for `certificate` as `purpose` now; nothing when it does.
std::optional<std::string> refusal(X509* ca, X509* certificate, int purpose) {
  const CertificateStore store(::X509_STORE_new());
  const StoreContext context(::X509_STORE_CTX_new());
  if (!store || !context || ::X509_STORE_add_cert(store.get(), ca) != 1 ||
      ::X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) != 1 ||
      ::X509_STORE_CTX_set_purpose(context.get(), purpose) != 1) {
    throw Error(reason());
  }
  if (::X509_verify_cert(context.get()) == 1) return std::nullopt;
  return ::X509_verify_cert_error_string(::X509_STORE_CTX_get_error(context.get()));
}

// A key that others may read admits them too.
std::string readKey(const Path& file) {
  const UniqueFd fd = openFile(file.string(), O_RDONLY);
  struct stat look {};
  if (::fstat(fd.get(), &look) != 0) throwErrno("looking at " + file.string());
  if (!S_ISREG(look.st_mode)) throw UsageError("the key is no file");
  if (look.st_uid != ::geteuid() && look.st_uid != 0) {
    throw UsageError(fmt::format("the key belongs to user {}", look.st_uid),
                     "it should be root's or of the user who runs this");
  }
  if ((look.st_mode & 0077) != 0) {
    throw UsageError(
        fmt::format("the key may be used by others (mode {:04o})", look.st_mode & 07777),
        "chmod 600 " + file.string());
  }
  std::string text(static_cast<std::size_t>(std::min<off_t>(look.st_size, kMostPemBytes)), '\0');
  text.resize(readFull(fd.get(), std::as_writable_bytes(std::span(text)), file.string()));
  return text;
}

}  // namespace

SwarmCa SwarmCa::parse(std::string_view pem) {
  const Certificate certificate = certificateIn(pem);
  if (::X509_check_ca(certificate.get()) == 0 || ::X509_self_signed(certificate.get(), 1) != 1) {
    ::ERR_clear_error();
    throw Error("it is not the certificate of an authority that signed itself",
                "peers know no other one, so an intermediate will not do");
  }
  SwarmCa ca;
  ca.pem_ = written(certificate.get());
  ca.subject_ = subjectOf(certificate.get());
  ca.fingerprint_ = fingerprintOf(certificate.get());
  return ca;
}

SwarmCa SwarmCa::load(const Path& file) {
  return withContext(file.string(), [&] { return parse(readFile(file, kMostPemBytes)); });
}

std::string SwarmCa::label() const {
  return fmt::format("\"{}\" (SHA-256 {})", subject_, fingerprint_.substr(0, kShownDigits));
}

SwarmIdentity SwarmIdentity::load(const Path& certificate, const Path& key) {
  SwarmIdentity identity;
  identity.file_ = certificate;
  const Certificate shown = withContext(certificate.string(), [&] {
    identity.certificate_ = readFile(certificate, kMostPemBytes);
    return certificateIn(identity.certificate_);
  });
  withContext(key.string(), [&] {
    identity.key_ = readKey(key);
    const Bio bio = reading(identity.key_);
    // A pass phrase would be asked for at the terminal.
    const auto none = [](char*, int, int, void*) { return -1; };
    const PrivateKey parsed(::PEM_read_bio_PrivateKey(bio.get(), nullptr, none, nullptr));
    if (!parsed) {
      throw UsageError("it is no PEM key without pass phrase: " + reason());
    }
    if (::X509_check_private_key(shown.get(), parsed.get()) != 1) {
      ::ERR_clear_error();
      throw UsageError(fmt::format("it is not the key of {}", certificate.string()));
    }
  });
  return identity;
}

void SwarmIdentity::requireAdmitted(const SwarmCa& ca, std::string_view name) const {
  const Certificate authority = certificateIn(ca.pem());
  const Certificate shown = certificateIn(certificate_);
  for (const int purpose : {X509_PURPOSE_SSL_CLIENT, X509_PURPOSE_SSL_SERVER}) {
    if (const auto why = refusal(authority.get(), shown.get(), purpose)) {
      throw TrustError(
          fmt::format("{} is not admitted to swarms of {}: {}", file_.string(), ca.label(), *why));
    }
  }
  for (const std::string& one : namesOf(shown.get())) {
    if (one == "*" || one == name) return;
  }
  throw TrustError(fmt::format("{} is not for the swarm {}", file_.string(), printable(name)),
                   "one for all swarms of its authority has the DNS name *");
}

}  // namespace actool::p2p
