#include "tests/support/test_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <openssl/x509v3.h>

#include "core/base/error.h"

namespace actool::test {
namespace {

void require(bool good) {
  if (!good) throw Error("OpenSSL cannot make a test certificate");
}

void addExtension(X509* certificate, int nid, const std::string& value) {
  const OpenSslPtr<X509_EXTENSION> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

TestCertificate::TestCertificate(const std::string& host)
    : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
  require(key_ && certificate_);
  X509* certificate = certificate_.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* bytes = reinterpret_cast<const unsigned char*>(host.c_str());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, key_.get());
  addExtension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  addExtension(certificate, NID_subject_alt_name, "DNS:" + host);
  require(X509_sign(certificate, key_.get(), EVP_sha256()) > 0);
}

std::string TestCertificate::pem() const {
  const OpenSslPtr<BIO> memory(BIO_new(BIO_s_mem()));
  require(memory && PEM_write_bio_X509(memory.get(), certificate_.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

OpenSslPtr<SSL_CTX> TestCertificate::serverContext() const {
  OpenSslPtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  require(context && SSL_CTX_use_certificate(context.get(), certificate_.get()) == 1 &&
          SSL_CTX_use_PrivateKey(context.get(), key_.get()) == 1);
  return context;
}

}  // namespace actool::test
