// The door into the store for a transport whose bytes come in any order: `actool-image ingest
// --staged` as a child (docs/ingest-protocol.md, Pieces).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/base/process.h"
#include "core/cli/sibling_tool.h"

namespace actool::p2p {

// Ends by finish(), or is given up when it is destroyed before: what came stays for the next time.
class StagedIngest {
 public:
  // `arguments` are those of `actool image ingest`, without --resume and --staged. Starts it only:
  // other work can be done before open().
  StagedIngest(const cli::Siblings& siblings, const std::vector<std::string>& arguments);
  ~StagedIngest();
  StagedIngest(const StagedIngest&) = delete;
  StagedIngest& operator=(const StagedIngest&) = delete;

  // The file to write to, readable too; no descriptor when there is nothing to write, because
  // somebody else brought the image in the meantime: image(). Blocks while another process brings
  // it; `waiting` is given the bytes that this one has. Throws what ingest failed with.
  UniqueFd open(const std::function<void(std::uint64_t)>& waiting);
  // The image's record as a line.
  const std::optional<std::string>& image() const { return image_; }

  // Throws what ingest has failed with by now.
  void check();
  // So many bytes at the beginning have been held against their hashes.
  void notePrefix(std::uint64_t bytes);
  // All are there, and nobody writes any more. Returns the record of the committed image as a line;
  // throws ingest's refusal.
  std::string finish(std::uint64_t size);

 private:
  std::string nextLine();
  [[noreturn]] void throwFailure();
  UniqueFd receiveFile();
  void send(const std::string& line);

  const cli::Siblings& siblings_;
  cli::ScratchFile err_;
  UniqueFd socket_;
  UniqueFd output_;
  std::string pending_;
  std::optional<std::string> image_;
  std::optional<Child> child_;
};

}  // namespace actool::p2p
