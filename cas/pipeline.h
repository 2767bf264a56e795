// Where all work of an ingest happens, once for each byte and at the same time:
//
//   input  -> file as distributed, SHA-256, signature verifier     (the caller's thread)
//          -> inflate                                              (a thread)
//          -> tar file, SHA-512, tar check                         (a thread)
//
// Between them are bounded queues of buffers that are used again, so memory does not depend
// on the image's size: below 8 MiB, and what the inflater needs. Nothing is committed here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/aci_check.h"
#include "cas/limits.h"
#include "cas/stored_image.h"
#include "core/base/digest.h"
#include "core/base/fd.h"
#include "core/base/fs.h"
#include "trust/verifier.h"

namespace actool::cas {

// Bytes that somebody else writes into the data file while the pipeline runs, of which the
// beginning is there first.
class Arrivals {
 public:
  virtual ~Arrivals() = default;
  // Waits until more than `known` bytes at the beginning are there, and says how many are; no more
  // than before when no more will come. Nothing when `wake` became readable. Throws what
  // runPipeline() is to throw.
  virtual std::optional<std::uint64_t> wait(std::uint64_t known, int wake) = 0;
  // Waits until all are there and nobody can change them any more. False when `wake` became
  // readable.
  virtual bool settle(int wake) = 0;
  virtual bool settled() const = 0;
};

// The bytes were others when they were looked at again, or may be: they have to be read anew.
class UnsettledError : public Error {
 public:
  using Error::Error;
};

struct PipelineJob {
  int input = -1;             // read from where it stands to its end
  std::string inputName;      // for messages
  int data = -1;              // open for reading and writing: the file as distributed
  std::string dataName;       // for messages
  std::uint64_t resumed = 0;  // bytes that are in `data` already; input continues them
  // Those bytes come while the pipeline runs. What it has of them before they are settled is read
  // once more when they are, and held against a tag (core/base/mac.h): UnsettledError.
  Arrivals* arrivals = nullptr;
  Path tar;                                 // made when the distribution is compressed
  trust::VerifySession* session = nullptr;  // null: unsigned; gets what it was not ready for later
  std::optional<std::uint64_t> size;        // what the whole must have as distributed
  IngestLimits limits;
  int interruptFd = -1;                           // becomes readable to stop everything; -1: never
  std::function<void(std::uint64_t)> onProgress;  // bytes as distributed so far; may be empty
};

struct PipelineResult {
  Encoding encoding;
  Digest distributed;  // SHA-256
  std::uint64_t distributedSize;
  Digest tar;  // SHA-512
  AciSummary summary;
  std::vector<trust::Signer> signers;  // empty when unsigned
};

// The interrupt descriptor became readable. What had come is in `data`.
class Interrupted : public Error {
 public:
  Interrupted() : Error("interrupted") {}
};

// Runs to the end. Both files are on disk when it returns (fsync). Errors, in this order when
// there are several: Interrupted; limits and system errors at once; input that ends early
// (EarlyEndError); what the verifier says; what is wrong with the content.
PipelineResult runPipeline(const PipelineJob& job);

}  // namespace actool::cas
