#include "p2p/spread.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
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

// A peer that was given a piece and does not tell of it in this time is too slow to wait for. What
// counts is three times what peers take now, between these.
constexpr std::chrono::milliseconds kLeastPatience{2000};
constexpr std::chrono::milliseconds kMostPatience{10'000};
// So long a request is held, and, once all pieces are spread, one for a block that was rejected
// before is rejected again.
constexpr std::chrono::milliseconds kPause{200};
// For so long a peer that was referred to others may have got nothing from any.
constexpr std::chrono::seconds kAlone{4};
// A peer is not given more than its share of what is spread in this time: it would take that
// long to come, and longer when more peers ask.
constexpr std::chrono::milliseconds kShareTime{1500};
constexpr std::int64_t kFirstShare = 8;
constexpr std::int64_t kLeastShare = 2;
constexpr std::chrono::seconds kActive{2};
// Of what is averaged, one in so many.
constexpr int kWeight = 16;
// Of one peer; those that it forgets are rejected once more.
constexpr std::size_t kMostReferred = 4096;
constexpr std::size_t kMostHeld = 4096;

using Block = std::pair<int, int>;  // piece, start

class SpreadPeer;

// What is known of the pieces of one torrent. All of it runs in the session's thread.
class Pieces {
 public:
  explicit Pieces(int count)
      : pieces_(static_cast<std::size_t>(count)),
        unspread_(pieces_.size()),
        unowned_(pieces_.size()) {}

  void meet(SpreadPeer& peer) { peers_.insert(&peer); }
  bool holds(SpreadPeer& peer, const lt::peer_request& request);
  bool drops(SpreadPeer& peer, const lt::peer_request& request);
  void has(SpreadPeer& peer, int piece);
  void tick();
  void forget(SpreadPeer& peer);

 private:
  struct Piece {
    SpreadPeer* owner = nullptr;  // who was given it last
    bool spread = false;          // somebody told that it has it
    Clock::time_point given = {};
  };
  struct Held {
    SpreadPeer* peer;
    lt::peer_request request;
    Clock::time_point until;
    bool over = false;  // the peer was given its share
  };

  Clock::duration patience() const;
  // Whether the peer has as many pieces on the way as it gets in a while.
  bool hasItsShare(const SpreadPeer& peer, Clock::time_point now) const;
  void own(Piece& piece, SpreadPeer& peer, Clock::time_point now);
  // Of all that are held, those that `due` names.
  template <class Due>
  void reject(Due due);

  std::vector<Piece> pieces_;
  std::size_t unspread_;
  std::size_t unowned_;  // as the seed has given them to nobody
  std::deque<Held> held_;
  std::set<SpreadPeer*> peers_;
  Clock::duration usual_{};     // from giving a piece to hearing of it
  Clock::duration interval_{};  // from one piece that is spread to the next
  Clock::time_point last_{};    // when one was
};

class SpreadPeer final : public lt::peer_plugin {
 public:
  SpreadPeer(std::shared_ptr<Pieces> pieces, lt::peer_connection_handle connection)
      : pieces_(std::move(pieces)), connection_(std::move(connection)) {
    pieces_->meet(*this);
  }

  ~SpreadPeer() override { pieces_->forget(*this); }

  // When it was first told to ask others for the block.
  std::optional<Clock::time_point> referred(const Block& block) const {
    const auto found = referred_.find(block);
    if (found == referred_.end()) return std::nullopt;
    return found->second;
  }
  // Rejections have not brought it to anybody else in this time: nobody gives to it.
  bool isAlone(Clock::time_point now) const { return waiting_ && now - *waiting_ > kAlone; }
  bool isActive(Clock::time_point now) const { return now - asked_ < kActive; }
  void give(int piece) { given_.insert(piece); }
  void tookPiece(int piece) {
    if (!given_.contains(piece)) waiting_.reset();
  }

  // As others have the piece.
  void refer(const lt::peer_request& request, Clock::time_point now) {
    if (referred_.size() >= kMostReferred) referred_.clear();
    referred_.try_emplace({static_cast<int>(request.piece), request.start}, now);
    if (!waiting_) waiting_ = now;
    reject(request);
  }
  void reject(const lt::peer_request& request) {
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
    asked_ = Clock::now();
    return knowsRejections_ && !connection_.is_choked() && pieces_->holds(*this, request);
  }
  bool on_cancel(const lt::peer_request& request) override {
    return pieces_->drops(*this, request);
  }
  bool on_have(lt::piece_index_t piece) override {
    pieces_->has(*this, static_cast<int>(piece));
    return false;
  }
  bool on_bitfield(const lt::bitfield& pieces) override {
    // Another seed: each would send who asks to the other.
    if (pieces.all_set()) return false;
    for (int piece = 0; piece < pieces.size(); ++piece) {
      if (pieces[piece]) pieces_->has(*this, piece);
    }
    return false;
  }
  void on_disconnect(const lt::error_code&) override { pieces_->forget(*this); }

  SpreadPeer(const SpreadPeer&) = delete;
  SpreadPeer& operator=(const SpreadPeer&) = delete;

  int onTheWay = 0;  // pieces that it owns and nobody has

 private:
  const std::shared_ptr<Pieces> pieces_;
  lt::peer_connection_handle connection_;
  bool knowsRejections_ = false;
  Clock::time_point asked_{};
  std::map<Block, Clock::time_point> referred_;
  std::set<int> given_;
  std::optional<Clock::time_point> waiting_;  // since it was rejected, for a piece of others
};

Clock::duration Pieces::patience() const {
  // Once all are given there is nothing better to do than to give those again that are slow to
  // come.
  if (unowned_ == 0) return std::clamp<Clock::duration>(usual_, kPause, kLeastPatience);
  return std::clamp<Clock::duration>(3 * usual_, kLeastPatience, kMostPatience);
}

bool Pieces::hasItsShare(const SpreadPeer& peer, Clock::time_point now) const {
  const auto active =
      std::count_if(peers_.begin(), peers_.end(), [&](auto* each) { return each->isActive(now); });
  if (active < 2) return false;
  const auto pieces =
      interval_ == Clock::duration::zero() ? kFirstShare : kShareTime / interval_ / active;
  return peer.onTheWay >= std::max<std::int64_t>(pieces, kLeastShare);
}

void Pieces::own(Piece& piece, SpreadPeer& peer, Clock::time_point now) {
  if (piece.owner == nullptr) {
    --unowned_;
  } else if (!piece.spread) {
    --piece.owner->onTheWay;
  }
  piece.owner = &peer;
  piece.given = now;
  if (!piece.spread) ++peer.onTheWay;
  // What it asked for before goes with it.
  const auto index = &piece - pieces_.data();
  reject([&](const Held& held) {
    return held.peer == &peer && static_cast<int>(held.request.piece) == index;
  });
}

bool Pieces::holds(SpreadPeer& peer, const lt::peer_request& request) {
  const int index = static_cast<int>(request.piece);
  // Requests of no sense are the library's to refuse.
  if (index < 0 || static_cast<std::size_t>(index) >= pieces_.size()) return false;
  Piece& piece = pieces_[static_cast<std::size_t>(index)];
  const auto now = Clock::now();
  const auto referred = peer.referred({index, request.start});
  const bool again =
      piece.spread && referred && now - *referred > (unspread_ == 0 ? kPause : patience());
  const bool late = !piece.spread && now - piece.given > patience();
  const bool toBeHad = piece.owner == nullptr || late;
  const bool over = toBeHad && hasItsShare(peer, now);
  if (toBeHad && !over) own(piece, peer, now);
  if (piece.owner == &peer || again || peer.isAlone(now) || held_.size() >= kMostHeld) {
    peer.give(index);
    return false;
  }
  if (piece.spread && (!referred || unspread_ == 0)) {
    peer.refer(request, now);
  } else {
    held_.push_back({&peer, request, now + kPause, over});
  }
  return true;
}

bool Pieces::drops(SpreadPeer& peer, const lt::peer_request& request) {
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
    return held.peer == &peer && held.request == request;
  });
  if (found == held_.end()) return false;
  held_.erase(found);
  // Whoever cancels is still owed an answer (BEP 6).
  peer.reject(request);
  return true;
}

void Pieces::has(SpreadPeer& peer, int index) {
  if (index < 0 || static_cast<std::size_t>(index) >= pieces_.size()) return;
  Piece& piece = pieces_[static_cast<std::size_t>(index)];
  peer.tookPiece(index);
  if (piece.spread) return;
  const auto now = Clock::now();
  if (piece.owner == &peer) {
    usual_ += (now - piece.given - usual_) / kWeight;
    // A swarm that stood still is as fast as before.
    const auto passed = std::min<Clock::duration>(now - last_, kActive);
    if (last_ != Clock::time_point{}) interval_ += (passed - interval_) / kWeight;
    last_ = now;
  }
  if (piece.owner == nullptr) {
    piece.owner = &peer;
    --unowned_;
  } else {
    --piece.owner->onTheWay;
  }
  const SpreadPeer* owner = piece.owner;
  piece.spread = true;
  const bool all = --unspread_ == 0;
  reject([&](const Held& held) {
    return all || static_cast<int>(held.request.piece) == index ||
           (held.over && held.peer == owner) || held.until < now;
  });
}

void Pieces::tick() {
  const auto now = Clock::now();
  reject([&](const Held& held) { return held.until < now; });
}

template <class Due>
void Pieces::reject(Due due) {
  const auto now = Clock::now();
  for (auto found = std::find_if(held_.begin(), held_.end(), due); found != held_.end();
       found = std::find_if(held_.begin(), held_.end(), due)) {
    // Sending may end the connection, and then forget() is called.
    const Held held = *found;
    held_.erase(found);
    if (held.over) {
      held.peer->reject(held.request);
    } else {
      held.peer->refer(held.request, now);
    }
  }
}

void Pieces::forget(SpreadPeer& peer) {
  peers_.erase(&peer);
  std::erase_if(held_, [&](const Held& held) { return held.peer == &peer; });
  for (Piece& piece : pieces_) {
    if (piece.owner != &peer) continue;
    piece.owner = nullptr;
    ++unowned_;
  }
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
