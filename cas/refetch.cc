#include "cas/refetch.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cas/image_commands.h"
#include "cas/store.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/cli/sibling_tool.h"
#include "core/cli/tool.h"
#include "trust/verifier.h"

namespace actool::cas {

namespace {

// An image ID is a line.
constexpr std::size_t kMaxAnswerBytes = 4096;

// What `actool-fetch` takes to find the image by, best first.
std::vector<std::string> placesOf(const StoredImage& image) {
  std::vector<std::string> places;
  for (auto source = image.sources.rbegin(); source != image.sources.rend(); ++source) {
    const std::string& url = source->url;
    const bool web = url.starts_with("https://") || url.starts_with("http://");
    // A relative path meant something to whoever was in that directory.
    if (web || (url.starts_with('/') && actool::exists(url))) places.push_back(url);
  }
  for (auto request = image.requested.rbegin(); request != image.requested.rend(); ++request)
    places.push_back(request->ref.str());
  const std::string own = schema::AppRef(image.name, image.labels).str();
  if (std::find(places.begin(), places.end(), own) == places.end()) places.push_back(own);
  return places;
}

// The signature in the quarantine, when it is the one that was checked.
std::optional<Path> goodSignature(const LostImage& lost) {
  if (!lost.image.signature) return std::nullopt;
  Path file = lost.place / "image/signature.asc";
  try {
    const auto text = tryReadFile(file, trust::kMaxSignatureBytes);
    if (text && digestOf(DigestAlgorithm::sha256, *text) == lost.image.signature->digest) {
      return file;
    }
  } catch (const Error& error) {
    log::debug("{}", error.what());
  }
  return std::nullopt;
}

ExitStatus runFetch(const cli::Globals& globals, const LostImage& lost, const std::string& place,
                    const std::optional<Path>& signature) {
  std::vector<std::string> arguments{"--nodeps", "--format=id", place,
                                     "--image-id=" + lost.image.id.str()};
  if (signature) arguments.push_back("--signature=" + signature->string());
  return runCommand(cli::toolCommand("actool-fetch", globals, arguments), kMaxAnswerBytes).status;
}

bool fetchFrom(const cli::Globals& globals, const LostImage& lost) {
  const auto signature = goodSignature(lost);
  for (const std::string& place : placesOf(lost.image)) {
    log::info("fetching {} again: {}", lost.image.id.shortForm(), place);
    ExitStatus status = runFetch(globals, lost, place, signature);
    // Packed anew, the same image has another signature.
    if (!status.ok() && signature && cli::exitCodeOf(status) == ExitCode::notTrusted) {
      status = runFetch(globals, lost, place, std::nullopt);
    }
    if (status.ok()) return true;
  }
  return false;
}

}  // namespace

bool refetch(const cli::Globals& globals, const LostImage& lost) {
  if (!fetchFrom(globals, lost)) return false;
  StoreWriter writer(storeOf(globals));
  auto image = writer.catalog().find(lost.image.id);
  if (!image) return false;  // removed meanwhile
  StoredImage history = lost.image;
  for (auto& request : image->requested)
    history.noteRequested(std::move(request));
  for (auto& source : image->sources)
    history.noteSource(std::move(source));
  for (auto& import : image->imports)
    history.noteImport(std::move(import));
  image->imported = history.imported;
  image->imports = std::move(history.imports);
  image->requested = std::move(history.requested);
  image->sources = std::move(history.sources);
  writer.update(*image);
  return true;
}

}  // namespace actool::cas
