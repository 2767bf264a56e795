#include "fetch/ingest_client.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::fetch {

std::vector<std::string> IngestRequest::arguments() const {
  // "--name=value" throughout: a value that begins with '-' stays a value.
  std::vector<std::string> args;
  if (signature) args.push_back("--signature=" + signature->string());
  if (requested) args.push_back("--requested=" + requested->str());
  if (imageId) args.push_back("--image-id=" + imageId->str());
  if (size) args.push_back(fmt::format("--size={}", *size));
  if (maxSize) args.push_back(fmt::format("--max-distributed-size={}", *maxSize));
  if (!source.empty()) {
    args.push_back("--source=" + source);
    const std::size_t scheme = source.find("://");
    args.push_back("--via=actool-fetch:" +
                   (scheme == std::string::npos ? "file" : lowered(source.substr(0, scheme))));
  }
  return args;
}

namespace {

Json parseAnswer(std::string_view line) {
  return parseJson(line, "the answer of actool-image ingest");
}

std::uint64_t countOfBytes(const Json& object, std::string_view key) {
  const Json& count = member(object, key);
  if (!count.is_number_unsigned()) {
    throw Error(
        fmt::format("the {} that actool-image ingest answered is not a number of bytes", key));
  }
  return count.get<std::uint64_t>();
}

}  // namespace

std::optional<std::uint64_t> parseWaitingLine(std::string_view line) {
  const Json object = parseAnswer(line);
  if (stringMember(object, "kind") != "waiting") return std::nullopt;
  return countOfBytes(object, "bytes");
}

std::variant<std::uint64_t, record::Image> parseIngestLine(std::string_view line) {
  const Json object = parseAnswer(line);
  const std::string kind = stringMember(object, "kind");
  if (kind == "image") return record::Image::fromJson(object);
  if (kind != "ingest") {
    throw Error(
        fmt::format("actool-image ingest answered with a record of kind \"{}\"", printable(kind)));
  }
  return countOfBytes(object, "offset");
}

}  // namespace actool::fetch
