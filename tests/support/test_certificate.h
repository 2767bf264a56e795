// A self-signed certificate for one host name, made when a test needs it.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace actool::test {

struct OpenSslFree {
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
template <typename T>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree>;

class TestCertificate {
 public:
  explicit TestCertificate(const std::string& host);
  // What goes into a CA bundle.
  std::string pem() const;
  // A server's context with this certificate.
  OpenSslPtr<SSL_CTX> serverContext() const;

 private:
  OpenSslPtr<EVP_PKEY> key_;
  OpenSslPtr<X509> certificate_;
};

}  // namespace actool::test
