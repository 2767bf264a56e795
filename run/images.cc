#include "run/images.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/overloaded.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "core/cli/sibling_tool.h"
#include "core/cli/tool.h"
#include "run/erofs_mount.h"
#include "run/ondisk.h"

namespace actool::run {
namespace {

// A record is a line; what another tool says of an error is a line too.
constexpr std::size_t kMaxAnswer = 1 << 20;

// The argument as it would be typed.
std::string argumentText(const record::ImageArg& argument) {
  return std::visit(Overloaded{
                        [](const schema::AppRef& name) { return name.str(); },
                        [](const schema::ImageIdPrefix& prefix) { return prefix.str(); },
                        [](const record::FileArg& file) { return file.path.string(); },
                        [](const record::UrlArg& url) { return url.url; },
                        [](const record::TorrentArg& torrent) { return torrent.uri; },
                        [](const record::RegistryArg& reference) { return reference.reference; },
                    },
                    argument);
}

// What actool-image says, with its messages held back: they may be no news to the user.
cli::SiblingResult askImage(const cli::Globals& globals,
                            const std::vector<std::string>& arguments) {
  return cli::Siblings(globals, [](std::string_view) {}).run("actool-image", arguments);
}

// Of another tool's error messages, without the tool's name.
std::string firstLine(std::string_view messages) {
  constexpr std::string_view kMark = "error: ";
  for (const std::string_view line : split(messages, '\n')) {
    const std::size_t at = line.find(kMark);
    if (at == std::string_view::npos) continue;
    constexpr std::size_t kMost = 1000;
    return printable(trim(line.substr(at + kMark.size())), kMost);
  }
  return "actool-image did not say why";
}

schema::ImageId onlyId(std::string_view answer, std::string_view tool, std::string_view what) {
  std::optional<schema::ImageId> id;
  for (const std::string_view line : split(answer, '\n')) {
    if (trim(line).empty()) continue;
    if (id) throw Error(fmt::format("{} named several images for {}", tool, what));
    id = schema::ImageId::parse(trim(line));
  }
  if (!id) throw Error(fmt::format("{} named no image for {}", tool, what));
  return *id;
}

}  // namespace

PullPolicy parsePullPolicy(std::string_view word) {
  if (word == "new") return PullPolicy::onlyNew;
  if (word == "update") return PullPolicy::update;
  if (word == "never") return PullPolicy::never;
  throw UsageError(fmt::format("--pull-policy: '{}' is not known", printable(word)),
                   "it is one of new, update and never");
}

schema::ImageId Images::find(std::string_view text, const std::string& signature) {
  const record::ImageArg argument = record::parseImageArg(text);
  if (const auto* prefix = std::get_if<schema::ImageIdPrefix>(&argument)) {
    return store_.resolve(*prefix);
  }
  if (std::holds_alternative<schema::AppRef>(argument) && policy_ != PullPolicy::update) {
    if (const auto id = resolve(text)) return *id;
    if (policy_ == PullPolicy::never) {
      throw NotFoundError(fmt::format("no image {} in the store", printable(text)),
                          "--pull-policy=never keeps it from being fetched");
    }
  }
  return fetch(text, signature);
}

std::optional<schema::ImageId> Images::resolve(std::string_view text) {
  // "Not found" stays unsaid: fetching may come next.
  const cli::SiblingResult answer = askImage(globals_, {"resolve", std::string(text)});
  if (cli::exitCodeOf(answer.status) == ExitCode::notFound) return std::nullopt;
  writeAll(STDERR_FILENO, answer.err, "standard error");
  if (!answer.status.ok()) {
    throw Error(
        fmt::format("looking up {}: actool-image {}", printable(text), answer.status.describe()),
        {}, cli::exitCodeOf(answer.status));
  }
  const record::Record record = record::parseLine(trim(answer.out));
  const auto* image = std::get_if<record::Image>(&record);
  if (image == nullptr) throw Error("actool-image resolve answered with no image record");
  return image->id;
}

schema::ImageId Images::fetch(std::string_view text, const std::string& signature) {
  if (policy_ == PullPolicy::never) {
    throw NotFoundError(fmt::format("{} is not in the store", printable(text)),
                        "--pull-policy=never keeps it from being fetched");
  }
  const std::string policy = policy_ == PullPolicy::update ? "update" : "new";
  std::vector<std::string> arguments{"--format=id", "--pull-policy=" + policy, std::string(text)};
  if (!signature.empty()) arguments.push_back("--signature=" + signature);
  const CommandResult result =
      runCommand(cli::toolCommand("actool-fetch", globals_, arguments), kMaxAnswer);
  if (!result.status.ok()) {
    throw Error(
        fmt::format("fetching {}: actool-fetch {}", printable(text), result.status.describe()), {},
        cli::exitCodeOf(result.status));
  }
  return onlyId(result.out, "actool-fetch", printable(text));
}

schema::ImageId Images::fetchRecord(const record::Discovered& discovered) {
  const CommandResult result =
      runCommand(cli::toolCommand("actool-fetch", globals_, {"--format=id"}), kMaxAnswer,
                 dumpLine(discovered.toJson()) + "\n");
  if (!result.status.ok()) {
    throw Error(fmt::format("fetching {}: actool-fetch {}", discovered.requested.str(),
                            result.status.describe()),
                {}, cli::exitCodeOf(result.status));
  }
  return onlyId(result.out, "actool-fetch", discovered.requested.str());
}

schema::ImageId Images::fromRecord(record::Image image) {
  // The record came through a pipe: what counts is what the store has under that ID.
  const schema::ImageManifest manifest = store_.manifest(image.id);
  image.name = manifest.name;
  image.labels = manifest.labels;
  image.checkMatches();
  return image.id;
}

std::vector<schema::ImageId> Images::fromRecords(int fd) {
  std::vector<schema::ImageId> ids;
  record::forEachRecord(fd, [&](record::Record record) {
    ids.push_back(std::visit(
        Overloaded{
            [&](record::Image& image) { return fromRecord(std::move(image)); },
            [&](const record::Discovered& discovered) { return fetchRecord(discovered); },
            [&](const record::ImageArg& argument) { return find(argumentText(argument)); },
        },
        record));
  });
  return ids;
}

std::optional<cas::MountableImage> Images::makeMountable(const schema::ImageId& id) {
  const cli::SiblingResult answer = askImage(globals_, {"render", "--as=erofs", id.str()});
  if (!answer.status.ok()) {
    log::debug("{} can't be mounted, its tree is unpacked: {}", id.shortForm(),
               printable(trim(answer.err)));
    return std::nullopt;
  }
  return store_.mountable(id);
}

void Images::requireGood(const schema::ImageId& id, const cas::MountableImage& image,
                         const ErofsFiles& files) {
  const auto ids =
      imagesToVerify(store_.layout(), id, image, files, stampAge(globals_.configDirs()));
  if (ids.empty()) return;
  verifyContent(id, ids);
  requireSameFiles(image, files);
}

void Images::requireGoodTree(const schema::ImageId& id, const Path& root) {
  const cas::FileLook look = cas::lookOfTree(root);
  const std::string key = root.parent_path().filename().string();
  if (!mustVerifyTree(store_.layout(), key, look, stampAge(globals_.configDirs()))) return;
  verifyContent(id, {id});
  if (cas::lookOfTree(root) != look) {
    throw TrustError(root.string() + " was changed while it was checked", "try again");
  }
}

void Images::verifyContent(const schema::ImageId& id, const std::vector<schema::ImageId>& read) {
  std::vector<std::string> arguments{"verify", "--content"};
  for (const auto& each : read) {
    log::info("checking {} on disk before it runs", each.shortForm());
    arguments.push_back(each.str());
  }
  const cli::SiblingResult answer = askImage(globals_, arguments);
  if (!answer.status.ok()) {
    throw Error(fmt::format("the files of image {} in the store are not what was verified: {}",
                            id.str(), firstLine(answer.err)),
                "run 'actool image fsck --repair', or remove the image and fetch it again",
                cli::exitCodeOf(answer.status));
  }
}

AppRoot Images::appRoot(const schema::ImageId& id) {
  const auto known = roots_.find(id);
  return known != roots_.end() ? known->second : roots_.emplace(id, makeRoot(id)).first->second;
}

AppRoot Images::makeRoot(const schema::ImageId& id) {
  auto image = store_.mountable(id);
  if (!image && !store_.renderedRoot(id)) image = makeMountable(id);
  if (image) {
    const ErofsFiles files = openErofsFiles(*image);
    if (!globals_.insecure.ondisk) requireGood(id, *image, files);
    UniqueFd mount = tryMountErofs(files, "image " + id.shortForm());
    if (mount) return {image->metadata, std::make_shared<ImageMount>(std::move(mount))};
  }
  return {renderedRoot(id), {}};
}

Path Images::renderedRoot(const schema::ImageId& id) {
  auto root = store_.renderedRoot(id);
  if (!root) {
    log::debug("rendering {}", id.str());
    const CommandResult result =
        runCommand(cli::toolCommand("actool-image", globals_, {"render", id.str()}), kMaxAnswer);
    if (!result.status.ok()) {
      throw Error(
          fmt::format("rendering {}: actool-image {}", id.shortForm(), result.status.describe()),
          {}, cli::exitCodeOf(result.status));
    }
    root = store_.renderedRoot(id);
    if (!root) throw Error("actool-image rendered no tree of " + id.shortForm());
  }
  if (!globals_.insecure.ondisk) requireGoodTree(id, *root);
  return *root;
}

}  // namespace actool::run
