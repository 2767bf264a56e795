#include "run/metadata/service.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <vector>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"

namespace actool::run::metadata {
namespace {

constexpr std::string_view kBase = "acMetadata/v1/";
constexpr std::size_t kMaxKey = 4096;

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned length = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (::HMAC(::EVP_sha512(), key.data(), static_cast<int>(key.size()), bytes, text.size(),
             out.data(), &length) == nullptr) {
    throw Error("computing an HMAC failed");
  }
  return {reinterpret_cast<const char*>(out.data()), length};
}

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                       static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

bool sameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Reply failure(int status, std::string_view why) {
  return {status, kText, std::string(why) + "\n"};
}

Reply notFound() {
  return failure(404, "there is no such metadata");
}

const std::string* field(const Form& form, const char* name) {
  const auto found = form.find(name);
  return found == form.end() ? nullptr : &found->second;
}

Reply signForm(const PodMetadata& pod, const Form& form) {
  const std::string* content = field(form, "content");
  if (content == nullptr) return failure(400, "the form has no \"content\"");
  return {200, kText, sign(pod.key, pod.uuid, *content)};
}

Reply verifyForm(const PodMetadata& pod, const Form& form) {
  const std::string* content = field(form, "content");
  const std::string* uuid = field(form, "uuid");
  const std::string* signature = field(form, "signature");
  if (content == nullptr || uuid == nullptr || signature == nullptr) {
    return failure(400, "the form has to have \"content\", \"uuid\" and \"signature\"");
  }
  const auto signer = Uuid::parse(*uuid);
  if (!signer) return failure(400, "the uuid is none");
  if (!sameSecret(sign(pod.key, *signer, *content), *signature)) {
    return failure(403, "the signature is not that pod's");
  }
  return {};
}

Reply podEntry(const PodMetadata& pod, std::string_view entry) {
  if (entry == "annotations") return {200, kJson, pod.annotations};
  if (entry == "manifest") return {200, kJson, pod.manifest};
  if (entry == "uuid") return {200, kText, pod.uuid.str()};
  return notFound();
}

Reply appEntry(const AppMetadata& app, std::string_view entry) {
  if (entry == "annotations") return {200, kJson, app.annotations};
  if (entry == "image/manifest") return {200, kJson, app.imageManifest};
  if (entry == "image/id") return {200, kText, app.imageId.str()};
  return notFound();
}

bool takePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string sign(std::string_view hostKey, const Uuid& uuid, std::string_view content) {
  return base64(hmac(hmac(hostKey, uuid.str()), content));
}

PodMetadata PodMetadata::load(const std::string& directory, const Uuid& uuid, std::string token) {
  const Path dir(directory);
  PodMetadata data{.uuid = uuid,
                   .token = std::move(token),
                   .key = readFile(dir / "metadata-key", kMaxKey),
                   .manifest = readFile(dir / "pod", schema::kMaxPodManifestBytes),
                   .annotations = {},
                   .apps = {}};
  const auto pod = schema::PodManifest::parse(data.manifest, "the pod's manifest");
  data.annotations = dumpLine(pod.annotations.toJson());
  for (const schema::RuntimeApp& app : pod.apps) {
    std::string text =
        readFile(dir / "appsinfo" / app.name.str() / "manifest", schema::kMaxManifestBytes);
    schema::Annotations annotations =
        schema::ImageManifest::parse(text, "manifest of " + app.name.str()).annotations;
    for (const schema::Annotation& one : app.annotations.list())
      annotations.set(one.name, one.value);
    data.apps.emplace(app.name.str(),
                      AppMetadata{app.image.id, std::move(text), dumpLine(annotations.toJson())});
  }
  return data;
}

Reply answer(const PodMetadata& pod, std::string_view method, std::string_view path,
             const Form& form) {
  if (!takePrefix(path, "/")) return notFound();
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || !sameSecret(path.substr(0, slash), pod.token)) {
    return notFound();
  }
  path.remove_prefix(slash + 1);
  if (!takePrefix(path, kBase)) return notFound();

  const bool isForm = path == "pod/hmac/sign" || path == "pod/hmac/verify";
  if (method != (isForm ? "POST" : "GET")) return failure(405, "that is another method's");
  if (path == "pod/hmac/sign") return signForm(pod, form);
  if (path == "pod/hmac/verify") return verifyForm(pod, form);
  if (takePrefix(path, "pod/")) return podEntry(pod, path);
  if (!takePrefix(path, "apps/")) return notFound();
  const std::size_t end = path.find('/');
  if (end == std::string_view::npos) return notFound();
  const auto app = pod.apps.find(std::string(path.substr(0, end)));
  return app == pod.apps.end() ? notFound() : appEntry(app->second, path.substr(end + 1));
}

}  // namespace actool::run::metadata
