// A file as distributed, put together from its pieces, as something to read from.
#pragma once

#include <exception>
#include <thread>

#include "cas/bundle/bundle_format.h"
#include "cas/bundle/scratch.h"
#include "core/base/fd.h"

namespace actool::cas {

// Writes the file into a pipe, in a thread of its own. Every piece and the whole are held against
// their digests again; where one is not right, the stream ends before its last piece, so that
// who knows the size never takes it for whole.
class PieceFeeder {
 public:
  // Both have to outlive this object.
  PieceFeeder(const BundleScratch& scratch, const BundleImage& image);
  ~PieceFeeder();  // ends the thread, whether or not all was read
  PieceFeeder(const PieceFeeder&) = delete;
  PieceFeeder& operator=(const PieceFeeder&) = delete;

  // The end to read from.
  int fd() const { return pipe_.read.get(); }
  // Ends the thread. Nothing more can be read.
  void stop();
  // After stop(): a piece was not there any more, or not what it was.
  bool lacking() const { return lacking_; }
  // After stop(): throws TrustError when the pieces are good but don't make the file that the
  // list says, and what else went wrong.
  void check() const;

 private:
  void run();

  const BundleScratch& scratch_;
  const BundleImage& image_;
  Pipe pipe_;
  bool lacking_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace actool::cas
