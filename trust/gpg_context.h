// gpgme, wrapped: a gpg with a home directory of its own, and contexts that use it.
// gpgme and its types stay inside trust/; errors are of our own family.
#pragma once

#include <gpgme.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/base/fs.h"

namespace actool::trust {

// gpgme's strings may be null.
inline std::string_view orEmpty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// A fresh, private home directory for gpg, removed with this object. Its gpg.conf keeps gpg to
// itself: no agent, no dirmngr, no network, no locks, no questions. Whoever uses it through a
// GpgContext has to be done before it goes.
class GpgHome {
 public:
  GpgHome();
  const Path& path() const noexcept { return dir_.path(); }

 private:
  TempDir dir_;
};

struct ContextDeleter {
  void operator()(gpgme_ctx_t context) const noexcept { gpgme_release(context); }
};
using GpgContext = std::unique_ptr<gpgme_context, ContextDeleter>;

// A context for OpenPGP in `home`. One thread at a time may use it. Every one costs a run of
// `gpg --version`. Throws Error saying how to install gpg when there is none.
GpgContext makeContext(const GpgHome& home);

struct DataDeleter {
  void operator()(gpgme_data_t data) const noexcept { gpgme_data_release(data); }
};
using GpgData = std::unique_ptr<gpgme_data, DataDeleter>;

GpgData dataFromMemory(std::string_view bytes);  // not copied: `bytes` must outlive it
GpgData emptyData();
// Everything that was written to `data`, which is given up.
std::string takeData(GpgData data);

// Throws Error with gpgme's text unless `error` is none.
void check(gpgme_error_t error, std::string_view attempt);
std::string errorText(gpgme_error_t error);

}  // namespace actool::trust
