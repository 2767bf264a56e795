#include "fetch/signature.h"

#include <fmt/format.h>

#include "core/base/strings.h"
#include "fetch/request.h"

namespace actool::fetch {

MissingSignature::MissingSignature(std::string_view image, std::string_view signature)
    : TrustError(fmt::format("{} has no signature: there is no {}", printable(image),
                             printable(signature)),
                 "have its maker sign it, or name the signature with --signature") {}

SignatureFile SignatureFile::temporary(const std::string& content) {
  auto dir = std::make_unique<TempDir>(tempRoot(), "actool-fetch.");
  SignatureFile file(dir->path() / "image.asc");
  writeFilePlain(*file.path_, content, 0600);
  file.dir_ = std::move(dir);
  return file;
}

SignatureFile SignatureFile::given(const std::string& place, const HttpOptions& options,
                                   net::HttpClient& http) {
  if (isWebUrl(place)) {
    HttpOptions typed = options;
    typed.allowHttp = typed.allowHttp || place.starts_with("http://");
    const auto content = download(http, place, typed, kMaxSignatureBytes);
    if (!content) throw NotFoundError(fmt::format("there is no signature {}", printable(place)));
    return temporary(*content);
  }
  const Path path = place.starts_with("file://")
                        ? std::get<record::FileArg>(record::parseImageArg(place)).path
                        : std::filesystem::absolute(place);
  if (!actool::exists(path))
    throw NotFoundError(fmt::format("there is no signature {}", printable(place)));
  return SignatureFile(path);
}

SignatureFile SignatureFile::beside(const Path& file) {
  Path path = file;
  path += ".asc";
  if (!actool::exists(path)) throw MissingSignature(file.string(), path.string());
  return SignatureFile(path);
}

SignatureFile SignatureFile::of(const record::Endpoint& endpoint, const HttpOptions& options,
                                net::HttpClient& http) {
  if (const auto content = download(http, endpoint.asc, options, kMaxSignatureBytes))
    return temporary(*content);
  if (isThere(http, endpoint.aci, options)) throw MissingSignature(endpoint.aci, endpoint.asc);
  throw NotFoundError(
      fmt::format("there is neither {} nor its signature", printable(endpoint.aci)));
}

}  // namespace actool::fetch
