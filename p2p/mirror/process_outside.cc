#include "p2p/mirror/process_outside.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/process.h"
#include "core/base/strings.h"

namespace actool::mirror {
namespace {

constexpr std::size_t kMaxKeyBytes = std::size_t{1} << 20;

}  // namespace

const cas::StoreReader& ProcessOutside::store() {
  // Opened when it is there: a fetch may have made it.
  if (!store_) store_.emplace(cas::StoreLayout(globals_.dir, globals_.ns));
  return *store_;
}

std::vector<Fetched> ProcessOutside::fetch(const std::vector<schema::AppRef>& refs,
                                           Freshness freshness, bool dependencies) {
  std::vector<std::string> args{"--format=jsonl", freshness == Freshness::asked
                                                      ? "--pull-policy=update"
                                                      : "--pull-policy=new"};
  if (!dependencies) args.emplace_back("--nodeps");
  std::string wanted;
  for (const schema::AppRef& ref : refs)
    wanted += ref.str() + "\n";

  const cli::ScratchFile input;
  writeAll(input.fd(), wanted, "a file in memory");
  if (::lseek(input.fd(), 0, SEEK_SET) < 0) throwErrno("reading a file in memory");
  const cli::ScratchFile out;
  SpawnOptions options;
  options.argv = siblings_.command("actool-fetch", args);
  // Its standard error is ours: what it says of progress and failures is for the operator.
  options.fds = {{0, input.fd()}, {1, out.fd()}};
  options.dieWithParent = true;
  Child child = Child::spawn(options);
  const ExitStatus status = child.wait();

  std::map<std::string, record::Image> images;
  const std::string lines = out.content();
  for (const std::string_view line : split(lines, '\n')) {
    if (trim(line).empty()) continue;
    record::Image image =
        record::Image::fromJson(parseJson(trim(line), "the answer of actool-fetch"));
    if (!image.requested) continue;
    images.insert_or_assign(image.requested->str(), std::move(image));
  }
  std::vector<Fetched> answers;
  for (const schema::AppRef& ref : refs) {
    const auto found = images.find(ref.str());
    if (found != images.end()) {
      answers.push_back({found->second, ExitCode::ok});
      continue;
    }
    if (status.ok()) throw Error(fmt::format("actool-fetch said nothing of {}", ref.str()));
    answers.push_back({std::nullopt, cli::exitCodeOf(status)});
  }
  return answers;
}

record::Versions ProcessOutside::versions(const schema::AcIdentifier& name) {
  const std::string out =
      siblings_.runOrThrow("actool-discover", {"--versions", "--format=jsonl", name.str()});
  return record::Versions::parse(trim(out), "the answer of actool-discover");
}

record::Image ProcessOutside::resolve(const std::string& image) {
  const std::string out = siblings_.runOrThrow("actool-image", {"resolve", image});
  return record::Image::fromJson(parseJson(trim(out), "the answer of actool-image resolve"));
}

std::vector<schema::AppRef> ProcessOutside::dependencies(const schema::ImageId& id) {
  std::vector<schema::AppRef> refs;
  for (const schema::Dependency& dependency : store().manifest(id).dependencies)
    refs.emplace_back(dependency.imageName, dependency.labels);
  return refs;
}

std::optional<cas::DistributedImage> ProcessOutside::distributed(const schema::ImageId& id) {
  return cas::distributedImage(store(), id);
}

void ProcessOutside::verify(const schema::AcIdentifier& name, const Path& file,
                            const Path& signature) {
  siblings_.runOrThrow("actool-verify", {"--name=" + name.str(), "--format=jsonl", file.string(),
                                         signature.string()});
}

std::optional<std::string> ProcessOutside::key(const std::string& fingerprint) {
  if (!keyFiles_) {
    keyFiles_.emplace();
    const std::string out = siblings_.runOrThrow("actool-trust", {"list", "--format=jsonl"});
    for (const std::string_view line : split(out, '\n')) {
      if (trim(line).empty()) continue;
      const Json record = parseJson(trim(line), "the answer of actool-trust list");
      keyFiles_->insert_or_assign(stringMember(record, "fingerprint"),
                                  Path(stringMember(record, "path")));
    }
  }
  const auto found = keyFiles_->find(fingerprint);
  if (found == keyFiles_->end()) return std::nullopt;
  return tryReadFile(found->second, kMaxKeyBytes);
}

void ProcessOutside::makeTorrent(const schema::AcIdentifier& name, const Path& file,
                                 const Path& signature, const Path& output,
                                 const std::string& webSeed,
                                 const std::vector<std::string>& trackers) {
  std::vector<std::string> args{"--name=" + name.str(), "--signature=" + signature.string(),
                                "--output=" + output.string(), "--web-seed=" + webSeed};
  for (const std::string& tracker : trackers)
    args.push_back("--tracker=" + tracker);
  args.push_back(file.string());
  siblings_.runOrThrow("actool-torrent", args);
}

}  // namespace actool::mirror
