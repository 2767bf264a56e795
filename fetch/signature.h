// The detached signature of an image as a local file, wherever it comes from. It is fetched
// before the image: a kB that tells whether the rest is worth it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/net/http.h"
#include "core/record/record.h"
#include "fetch/transfer.h"

namespace actool::fetch {

// A detached signature is a kB or less; the store takes no more than this either.
inline constexpr std::uint64_t kMaxSignatureBytes = 256 << 10;

// There is an image, but nothing that signs it. Exit code 253.
class MissingSignature : public TrustError {
 public:
  MissingSignature(std::string_view image, std::string_view signature);
};

// Either a file of somebody else's or one in a temporary directory of its own.
class SignatureFile {
 public:
  SignatureFile() = default;  // none is wanted

  // What --signature names: a local path, a file:// or an http(s) URL. NotFoundError when it is
  // not there.
  static SignatureFile given(const std::string& place, const HttpOptions& options,
                             net::HttpClient& http);
  // FILE.asc; MissingSignature when there is none.
  static SignatureFile beside(const Path& file);
  // Downloads `endpoint.asc`. MissingSignature when the endpoint has the image but not this,
  // NotFoundError when it has neither; NetworkError.
  static SignatureFile of(const record::Endpoint& endpoint, const HttpOptions& options,
                          net::HttpClient& http);

  const std::optional<Path>& path() const { return path_; }

 private:
  explicit SignatureFile(Path path) : path_(std::move(path)) {}
  static SignatureFile temporary(const std::string& content);

  std::unique_ptr<TempDir> dir_;
  std::optional<Path> path_;
};

}  // namespace actool::fetch
