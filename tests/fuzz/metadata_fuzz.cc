// Requests to the metadata service: "METHOD PATH\n", then the form as lines "NAME=VALUE". Without
// the token in its place nothing but 404 comes back, and never the key.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "run/metadata/service.h"

namespace {

using namespace actool;
using namespace actool::run::metadata;

constexpr std::string_view kToken = "0123456789abcdef";
constexpr std::string_view kKey = "a key that nobody is told";

const PodMetadata& pod() {
  static const PodMetadata data{
      .uuid = *Uuid::parse("11111111-2222-4333-8444-555555555555"),
      .token = std::string(kToken),
      .key = std::string(kKey),
      .manifest = "{}",
      .annotations = "[]",
      .apps = {{"web", AppMetadata{schema::ImageId::parse("sha512-" + std::string(128, 'a')), "{}",
                                   "[]"}}}};
  return data;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = split(text, '\n');
  const std::size_t space = lines[0].find(' ');
  const std::string_view method = lines[0].substr(0, space);
  const std::string_view path =
      space == std::string_view::npos ? std::string_view() : lines[0].substr(space + 1);
  Form form;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::size_t equals = lines[i].find('=');
    if (equals == std::string_view::npos) continue;
    form[std::string(lines[i].substr(0, equals))] = std::string(lines[i].substr(equals + 1));
  }
  const Reply reply = answer(pod(), method, path, form);
  const bool known = path.starts_with("/" + std::string(kToken) + "/");
  if (!known && reply.status != 404) std::abort();
  if (reply.body.find(kKey) != std::string::npos) std::abort();
  return 0;
}
