#include "fetch/process_swarm.h"

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/process.h"
#include "core/cli/tool.h"

namespace actool::fetch {
namespace {

constexpr std::string_view kSwarmProgram = "actool-p2p";

std::uint64_t countMember(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  if (!value.is_number_unsigned()) throw Error("a record of actool-p2p has no count of bytes");
  return value.get<std::uint64_t>();
}

}  // namespace

bool ProcessSwarmClient::available() const {
  try {
    cli::findTool(kSwarmProgram);
    return true;
  } catch (const NotFoundError&) {
    return false;
  }
}

record::Image ProcessSwarmClient::get(const std::string& torrent, const IngestRequest& request,
                                      const std::vector<std::string>& webSeeds,
                                      const SwarmProgress& progress) {
  std::vector<std::string> args{"get"};
  for (std::string& arg : request.arguments())
    args.push_back(std::move(arg));
  // By whom the bytes come is said by actool-p2p.
  std::erase_if(args, [](const std::string& arg) { return arg.starts_with("--via="); });
  for (const std::string& url : webSeeds)
    args.push_back("--web-seed=" + url);
  args.insert(args.end(), words_.begin(), words_.end());
  args.push_back(torrent);

  const cli::ScratchFile err;
  Pipe out = makePipe();
  SpawnOptions options;
  options.argv = siblings_.command(kSwarmProgram, args);
  options.fds = {{1, out.write.get()}, {2, err.fd()}};
  options.dieWithParent = true;
  Child child = Child::spawn(options);
  out.write.reset();
  std::optional<record::Image> image;
  forEachLine(out.read.get(), record::kMaxLineBytes, "the answer of actool-p2p",
              [&](std::string_view line) {
                const Json object = parseJson(line, "the answer of actool-p2p");
                if (stringMember(object, "kind") == "progress") {
                  progress(countMember(object, "done"), countMember(object, "total"));
                } else {
                  image = record::Image::fromJson(object);
                }
              });
  const ExitStatus status = child.wait();
  if (!status.ok()) cli::throwSiblingFailure(kSwarmProgram, status, err.content());
  if (!image) throw Error("actool-p2p ended without an image record");
  siblings_.talk(err.content());
  return std::move(*image);
}

}  // namespace actool::fetch
