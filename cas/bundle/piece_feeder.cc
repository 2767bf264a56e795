#include "cas/bundle/piece_feeder.h"

#include <cerrno>

#include "core/base/error.h"

namespace actool::cas {

PieceFeeder::PieceFeeder(const BundleScratch& scratch, const BundleImage& image)
    : scratch_(scratch), image_(image), pipe_(makePipe()), thread_([this] { run(); }) {}

PieceFeeder::~PieceFeeder() {
  stop();
}

void PieceFeeder::stop() {
  // A thread that waits for room in the pipe gets EPIPE.
  pipe_.read.reset();
  if (thread_.joinable()) thread_.join();
}

void PieceFeeder::check() const {
  if (error_) std::rethrow_exception(error_);
}

void PieceFeeder::run() {
  try {
    Hasher whole(DigestAlgorithm::sha256);
    for (std::size_t i = 0; i < image_.pieces.size(); ++i) {
      const auto bytes = scratch_.piece(image_.pieces[i], image_.pieceSize(i));
      if (!bytes) {
        lacking_ = true;
        break;
      }
      whole.update(*bytes);
      if (i + 1 == image_.pieces.size() && whole.finish() != image_.distributed) {
        throw TrustError("its pieces don't make the file that the bundle's list says");
      }
      writeAll(pipe_.write.get(), *bytes, "pieces of " + image_.id.shortForm());
    }
  } catch (const SystemError& error) {
    if (error.errnum() != EPIPE) error_ = std::current_exception();
  } catch (...) {
    error_ = std::current_exception();
  }
  pipe_.write.reset();
}

}  // namespace actool::cas
