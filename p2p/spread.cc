#include "p2p/spread.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include <libtorrent/bitfield.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>

namespace actool::p2p {

namespace {

using Clock = std::chrono::steady_clock;

// A peer that was given a piece and does not tell of it in this time is too slow to wait for.
constexpr std::chrono::seconds kPatience{2};
// Of one peer; those that it forgets are rejected once more.
constexpr std::size_t kMostRejected = 4096;
constexpr std::size_t kMostHeld = 4096;

using Block = std::pair<int, int>;  // piece, start

class SpreadPeer;

// What is known of the pieces of one torrent. All of it runs in the session's thread.
class Pieces {
 public:
  explicit Pieces(int count) : pieces_(static_cast<std::size_t>(count)) {}

  std::uint32_t newPeer() { return ++peers_; }
  bool holds(SpreadPeer& peer, const lt::peer_request& request);
  void has(std::uint32_t peer, int piece);
  void tick();
  void forget(const SpreadPeer& peer);

 private:
  struct Piece {
    std::uint32_t owner = 0;  // who was given it last; 0: nobody
    bool spread = false;      // somebody told that it has it
    Clock::time_point given = {};
  };
  struct Held {
    SpreadPeer* peer;
    lt::peer_request request;
    Clock::time_point since;
  };

  void rejectHeld(const std::deque<Held>::iterator& held);

  std::vector<Piece> pieces_;
  std::deque<Held> held_;
  std::uint32_t peers_ = 0;
};

class SpreadPeer final : public lt::peer_plugin {
 public:
  SpreadPeer(std::shared_ptr<Pieces> pieces, lt::peer_connection_handle connection)
      : pieces_(std::move(pieces)), connection_(std::move(connection)), id_(pieces_->newPeer()) {}

  ~SpreadPeer() override { pieces_->forget(*this); }

  std::uint32_t id() const { return id_; }
  bool wasRejected(const Block& block) const { return rejected_.contains(block); }

  void reject(const lt::peer_request& request) {
    if (rejected_.size() >= kMostRejected) rejected_.clear();
    rejected_.emplace(static_cast<int>(request.piece), request.start);
    std::array<char, 17> message{0, 0, 0, 13, 16};
    const auto put = [&](std::size_t at, int value) {
      for (int byte = 0; byte < 4; ++byte)
        message[at + static_cast<std::size_t>(byte)] = static_cast<char>(value >> (24 - 8 * byte));
    };
    put(5, static_cast<int>(request.piece));
    put(9, request.start);
    put(13, request.length);
    connection_.send_buffer(message.data(), message.size());
  }

  bool on_handshake(lt::span<const char> reserved) override {
    knowsRejections_ = reserved.size() == 8 && (reserved[7] & 0x04) != 0;
    return true;
  }
  bool on_request(const lt::peer_request& request) override {
    return knowsRejections_ && !connection_.is_choked() && pieces_->holds(*this, request);
  }
  bool on_have(lt::piece_index_t piece) override {
    pieces_->has(id_, static_cast<int>(piece));
    return false;
  }
  bool on_bitfield(const lt::bitfield& pieces) override {
    // Another seed: each would send who asks to the other.
    if (pieces.all_set()) return false;
    for (int piece = 0; piece < pieces.size(); ++piece) {
      if (pieces[piece]) pieces_->has(id_, piece);
    }
    return false;
  }
  void on_disconnect(const lt::error_code&) override { pieces_->forget(*this); }

  SpreadPeer(const SpreadPeer&) = delete;
  SpreadPeer& operator=(const SpreadPeer&) = delete;

 private:
  const std::shared_ptr<Pieces> pieces_;
  lt::peer_connection_handle connection_;
  const std::uint32_t id_;
  bool knowsRejections_ = false;
  std::set<Block> rejected_;
};

bool Pieces::holds(SpreadPeer& peer, const lt::peer_request& request) {
  const int index = static_cast<int>(request.piece);
  // Requests of no sense are the library's to refuse.
  if (index < 0 || static_cast<std::size_t>(index) >= pieces_.size()) return false;
  Piece& piece = pieces_[static_cast<std::size_t>(index)];
  const auto now = Clock::now();
  const bool free = piece.owner == 0 || piece.owner == peer.id();
  if (free || peer.wasRejected({index, request.start}) || held_.size() >= kMostHeld ||
      (!piece.spread && now - piece.given > kPatience)) {
    piece.owner = peer.id();
    piece.given = now;
    return false;
  }
  if (piece.spread) {
    peer.reject(request);
  } else {
    held_.push_back({&peer, request, now});
  }
  return true;
}

void Pieces::has(std::uint32_t peer, int index) {
  if (index < 0 || static_cast<std::size_t>(index) >= pieces_.size()) return;
  Piece& piece = pieces_[static_cast<std::size_t>(index)];
  piece.spread = true;
  if (piece.owner == 0) piece.owner = peer;
  const auto next = [&] {
    return std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
      return static_cast<int>(held.request.piece) == index;
    });
  };
  for (auto found = next(); found != held_.end(); found = next())
    rejectHeld(found);
}

void Pieces::tick() {
  const auto now = Clock::now();
  while (!held_.empty() && now - held_.front().since > kPatience)
    rejectHeld(held_.begin());
}

void Pieces::rejectHeld(const std::deque<Held>::iterator& held) {
  // Sending may end the connection, and then forget() is called.
  const Held due = *held;
  held_.erase(held);
  due.peer->reject(due.request);
}

void Pieces::forget(const SpreadPeer& peer) {
  std::erase_if(held_, [&](const Held& held) { return held.peer == &peer; });
}

class SpreadTorrent final : public lt::torrent_plugin {
 public:
  explicit SpreadTorrent(int pieces) : pieces_(std::make_shared<Pieces>(pieces)) {}

  std::shared_ptr<lt::peer_plugin> new_connection(
      const lt::peer_connection_handle& connection) override {
    if (connection.type() != lt::connection_type::bittorrent) return nullptr;
    return std::make_shared<SpreadPeer>(pieces_, connection);
  }
  void tick() override { pieces_->tick(); }

 private:
  const std::shared_ptr<Pieces> pieces_;
};

}  // namespace

std::shared_ptr<lt::torrent_plugin> spreadPieces(const lt::torrent_handle& torrent,
                                                 lt::client_data_t) {
  const auto info = torrent.torrent_file();
  return info ? std::make_shared<SpreadTorrent>(info->num_pieces()) : nullptr;
}

}  // namespace actool::p2p
