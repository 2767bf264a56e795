#include "cas/aci_validate.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "cas/aci_build.h"
#include "cas/aci_input.h"
#include "cas/aci_path.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"

namespace actool::cas {

namespace {

constexpr std::size_t kUstarAt = 257;

ValidateType detectType(const Path& path) {
  const UniqueFd fd = openFile(path.string(), O_RDONLY);
  std::string head(512, '\0');
  head.resize(readFull(fd.get(), std::as_writable_bytes(std::span(head)), path.string()));
  if (detectCompression(std::as_bytes(std::span(head))) != Compression::none ||
      (head.size() > kUstarAt && std::string_view(head).substr(kUstarAt).starts_with("ustar"))) {
    return ValidateType::appImage;
  }
  if (trim(head).starts_with('{')) return ValidateType::manifest;
  throw Error(path.string() + ": can't tell what kind of file this is", "say it with --type");
}

std::string validateManifest(const Path& path) {
  const std::string text = readFile(path, schema::kMaxManifestBytes);
  const Json object = parseJson(text, path.string());
  return withContext(path.string(), [&]() -> std::string {
    const std::string kind = stringMember(object, "acKind");
    if (kind == "ImageManifest") {
      schema::ImageManifest::fromJson(object);
    } else if (kind == "PodManifest") {
      schema::PodManifest::fromJson(object);
    } else {
      throw Error("acKind is " + inQuotes(kind) + ", neither ImageManifest nor PodManifest");
    }
    return kind;
  });
}

}  // namespace

ValidateType parseValidateType(std::string_view text) {
  if (text == "appimage") return ValidateType::appImage;
  if (text == "layout") return ValidateType::layout;
  if (text == "manifest") return ValidateType::manifest;
  throw UsageError("--type " + inQuotes(text) + " is none of appimage, layout, manifest");
}

std::string validateFile(const Path& path, ValidateType type) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      throw NotFoundError("there is no file " + path.string());
    }
    throwErrno("looking at " + path.string());
  }
  const bool directory = S_ISDIR(info.st_mode);
  if (directory && type != ValidateType::detect && type != ValidateType::layout) {
    throw UsageError(path.string() + " is a directory", "is the --type right?");
  }
  if (type == ValidateType::detect) type = directory ? ValidateType::layout : detectType(path);
  switch (type) {
    case ValidateType::layout:
      checkLayout(path);
      return "image layout";
    case ValidateType::manifest:
      return validateManifest(path);
    default:
      checkAciFile(path);
      return "app container image";
  }
}

}  // namespace actool::cas
