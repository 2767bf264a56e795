#include "p2p/spread.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <libtorrent/bdecode.hpp>
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
// So long others are expected that want the pieces too.
constexpr std::chrono::milliseconds kOnly{100};
// So long a request is held, and, once all pieces are spread, one for a block that was rejected
// before is rejected again.
constexpr std::chrono::milliseconds kPause{200};
// For so long a peer that was referred to others may have got nothing from any.
constexpr std::chrono::seconds kAlone{4};
// A peer is not given more than its share of what is spread in this time: it would take that
// long to come, and longer when more peers ask. It is less where the seed says what to ask for, as
// nobody has to be found then who asks for it.
constexpr std::chrono::milliseconds kShareTime{1500};
constexpr std::chrono::milliseconds kShownShareTime{700};
constexpr std::int64_t kFirstShare = 8;
// Shared among the peers at first. With few on the way a client's queue of requests stays short,
// and then a block takes as long as the delay of an acknowledgement.
constexpr std::int64_t kFirstShown = 64;
constexpr std::int64_t kLeastShare = 2;
constexpr std::chrono::seconds kActive{2};
// What is taken for it at least, since it is divided by.
constexpr std::chrono::microseconds kLeastInterval{1};
// Of what is averaged, one in so many.
constexpr int kWeight = 16;
// With fewer than these an average says nothing.
constexpr int kFewSamples = 8;
// Of one peer; those that it forgets are rejected once more.
constexpr std::size_t kMostReferred = 4096;
constexpr std::size_t kMostHeld = 4096;
// To hide a piece and to show it again takes 19 bytes for each peer.
constexpr std::size_t kMostHidden = 8192;

using Block = std::pair<int, int>;  // piece, start

}  // namespace

class SpreadPeer;

class SpreadPieces {
 public:
  explicit SpreadPieces(int count)
      : pieces_(static_cast<std::size_t>(count)),
        unspread_(pieces_.size()),
        unowned_(pieces_.size()) {}

  std::size_t size() const { return pieces_.size(); }
  bool owns(const SpreadPeer& peer, std::size_t piece) const {
    return pieces_[piece].owner == &peer;
  }
  void meet(SpreadPeer& peer) { peers_.insert(&peer); }
  bool holds(SpreadPeer& peer, const lt::peer_request& request);
  bool drops(SpreadPeer& peer, const lt::peer_request& request);
  void has(SpreadPeer& peer, int piece);
  void tick();
  void forget(SpreadPeer& peer);
  // Shows the peers that can be made to ask in order what is to be theirs next.
  void show();

 private:
  struct Piece {
    SpreadPeer* owner = nullptr;  // who was given it last
    int holders = 0;              // peers that told that they have it
    bool spread = false;          // there are some, or were until a moment ago
    Clock::time_point given = {};
  };
  struct Held {
    SpreadPeer* peer;
    lt::peer_request request;
    Clock::time_point until;
    bool over = false;  // the peer was given its share
  };

  Clock::duration patience() const;
  // Those that pieces can be hidden from, and that need some.
  std::vector<SpreadPeer*> toBeShown() const;
  // The first piece to give to a peer that does not see it; none when all are given.
  std::optional<std::size_t> next(const SpreadPeer& peer) const;
  void disown(Piece& piece);
  // Hides the last of what the peer was shown and has not asked for, down to its share: it was one
  // of fewer then.
  void takeBack(SpreadPeer& peer, std::int64_t share);
  // Whether the peer has as many pieces on the way as it gets in a while.
  bool hasItsShare(const SpreadPeer& peer, Clock::time_point now) const;
  void own(Piece& piece, SpreadPeer& peer, Clock::time_point now);
  // Of all that are held, those that `due` names.
  template <class Due>
  void reject(Due due);

  std::vector<Piece> pieces_;
  std::size_t unspread_;
  std::size_t unowned_;      // as the seed has given them to nobody
  std::size_t first_ = 0;    // none before it is to be given
  bool allSpread_ = false;   // to the peers that are here now
  std::int64_t shared_ = 0;  // among so many, the last time
  std::deque<Held> held_;
  std::set<SpreadPeer*> peers_;
  Clock::duration usual_{};     // from giving a piece to hearing of it
  Clock::duration interval_{};  // from one piece that is spread to the next
  int samples_ = 0;             // that are in that
  Clock::time_point last_{};    // when one was
};

class SpreadPeer final : public lt::peer_plugin {
 public:
  SpreadPeer(std::shared_ptr<SpreadPieces> pieces, SpreadConnection connection)
      : pieces_(std::move(pieces)), connection_(std::move(connection)) {
    pieces_->meet(*this);
    const std::size_t count = pieces_->size();
    visible_.resize(count, true);
    has_.resize(count);
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
  Clock::time_point met() const { return met_; }
  bool isActive(Clock::time_point now) const { return now - asked_ < kActive; }
  void give(int piece) { given_.insert(piece); }
  bool isGiven(std::size_t piece) const { return given_.contains(static_cast<int>(piece)); }
  // False when that is known.
  bool tookPiece(int piece) {
    if (!given_.contains(piece)) waiting_.reset();
    const auto index = static_cast<std::size_t>(piece);
    if (has_[index]) return false;
    has_[index] = true;
    ++taken_;
    return true;
  }
  bool has(std::size_t piece) const { return has_[piece]; }
  void tookNothing() {
    has_.assign(has_.size(), false);
    taken_ = 0;
  }
  bool isComplete() const { return taken_ == has_.size(); }
  // Others have what it has not.
  void wait(std::size_t spread, Clock::time_point now) {
    if (spread > taken_ && !waiting_) waiting_ = now;
  }

  // Whether it can be told that the seed has a piece, and that it has it no longer (BEP 54).
  bool canBeShown() const { return dontHave_ != 0; }
  bool sees(std::size_t piece) const { return visible_[piece]; }
  void show(std::size_t piece) {
    if (visible_[piece]) return;
    visible_[piece] = true;
    constexpr char kHave = 4;
    std::vector<char> message{0, 0, 0, 5, kHave};
    putNumber(message, static_cast<int>(piece));
    send(message);
  }
  void showAll() {
    if (std::exchange(seesAll_, true)) return;
    for (std::size_t piece = 0; piece < visible_.size(); ++piece)
      show(piece);
  }
  // But what it has or is given just now.
  void hide() {
    if (!std::exchange(seesAll_, false)) return;
    std::vector<char> messages;
    for (std::size_t piece = 0; piece < visible_.size(); ++piece) {
      if (visible_[piece] && !has_[piece] && !pieces_->owns(*this, piece)) putHide(messages, piece);
    }
    if (messages.empty()) return;
    // Nor does it only upload: a client would leave it whenever it sees nothing new there.
    if (uploadOnly_ != 0) messages.insert(messages.end(), {0, 0, 0, 3, kExtended, uploadOnly_, 0});
    send(messages);
  }
  void hide(std::size_t piece) {
    std::vector<char> message;
    putHide(message, piece);
    send(message);
  }

  // As others have the piece.
  void refer(const lt::peer_request& request, Clock::time_point now) {
    if (referred_.size() >= kMostReferred) referred_.clear();
    referred_.try_emplace({static_cast<int>(request.piece), request.start}, now);
    if (!waiting_) waiting_ = now;
    reject(request);
  }
  void reject(const lt::peer_request& request) {
    constexpr char kReject = 16;
    std::vector<char> message{0, 0, 0, 13, kReject};
    putNumber(message, static_cast<int>(request.piece));
    putNumber(message, request.start);
    putNumber(message, request.length);
    send(message);
  }

  bool on_handshake(lt::span<const char> reserved) override {
    knowsRejections_ = reserved.size() == 8 && (reserved[7] & 0x04) != 0;
    return true;
  }
  bool on_extension_handshake(const lt::bdecode_node& handshake) override {
    const lt::bdecode_node messages = handshake.dict_find_dict("m");
    const auto numberOf = [&](const char* message) {
      const std::int64_t number = messages ? messages.dict_find_int_value(message) : 0;
      return number > 0 && number < 256 ? static_cast<char>(number) : '\0';
    };
    const bool hides = knowsRejections_ && pieces_->size() <= kMostHidden;
    dontHave_ = hides ? numberOf("lt_donthave") : '\0';
    uploadOnly_ = numberOf("upload_only");
    pieces_->show();
    return true;
  }
  bool on_request(const lt::peer_request& request) override {
    asked_ = Clock::now();
    return knowsRejections_ && !connection_.isChoked() && pieces_->holds(*this, request);
  }
  bool on_cancel(const lt::peer_request& request) override {
    return pieces_->drops(*this, request);
  }
  bool on_have(lt::piece_index_t piece) override {
    pieces_->has(*this, static_cast<int>(piece));
    return false;
  }
  // Another seed: each would send who asks to the other.
  bool on_have_all() override {
    pieces_->forget(*this);
    return false;
  }
  bool on_bitfield(const lt::bitfield& pieces) override {
    if (pieces.all_set()) return on_have_all();
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
  static constexpr char kExtended = 20;  // a message of an extension (BEP 10)

  static void putNumber(std::vector<char>& message, int value) {
    for (int byte = 0; byte < 4; ++byte)
      message.push_back(static_cast<char>(value >> (24 - 8 * byte)));
  }
  void putHide(std::vector<char>& messages, std::size_t piece) {
    visible_[piece] = false;
    messages.insert(messages.end(), {0, 0, 0, 6, kExtended, dontHave_});
    putNumber(messages, static_cast<int>(piece));
  }
  void send(const std::vector<char>& message) { connection_.send(message); }

  const std::shared_ptr<SpreadPieces> pieces_;
  const SpreadConnection connection_;
  bool knowsRejections_ = false;
  // Its numbers for these messages, as it knows them.
  char dontHave_ = '\0';
  char uploadOnly_ = '\0';
  bool seesAll_ = true;
  std::vector<bool> visible_;  // pieces that it thinks the seed has
  std::vector<bool> has_;
  std::size_t taken_ = 0;  // of those
  const Clock::time_point met_ = Clock::now();
  Clock::time_point asked_{};
  std::map<Block, Clock::time_point> referred_;
  std::set<int> given_;
  std::optional<Clock::time_point> waiting_;  // since it was rejected, for a piece of others
};

Clock::duration SpreadPieces::patience() const {
  // Once all are given there is nothing better to do than to give those again that are slow to
  // come.
  if (unowned_ == 0) return std::clamp<Clock::duration>(usual_, kPause, kLeastPatience);
  return std::clamp<Clock::duration>(3 * usual_, kLeastPatience, kMostPatience);
}

bool SpreadPieces::hasItsShare(const SpreadPeer& peer, Clock::time_point now) const {
  const auto active =
      std::count_if(peers_.begin(), peers_.end(), [&](auto* each) { return each->isActive(now); });
  if (active < 2) return false;
  const auto pieces =
      interval_ == Clock::duration::zero() ? kFirstShare : kShareTime / interval_ / active;
  return peer.onTheWay >= std::max<std::int64_t>(pieces, kLeastShare);
}

void SpreadPieces::own(Piece& piece, SpreadPeer& peer, Clock::time_point now) {
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

bool SpreadPieces::holds(SpreadPeer& peer, const lt::peer_request& request) {
  const int index = static_cast<int>(request.piece);
  // Requests of no sense are the library's to refuse.
  if (index < 0 || static_cast<std::size_t>(index) >= pieces_.size()) return false;
  Piece& piece = pieces_[static_cast<std::size_t>(index)];
  const auto now = Clock::now();
  if (peer.canBeShown()) {
    // It may have asked before it was told.
    if (!peer.sees(static_cast<std::size_t>(index))) {
      peer.reject(request);
      return true;
    }
    if (piece.owner == nullptr) own(piece, peer, now);
    peer.give(index);
    return false;
  }
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

bool SpreadPieces::drops(SpreadPeer& peer, const lt::peer_request& request) {
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
    return held.peer == &peer && held.request == request;
  });
  if (found == held_.end()) return false;
  held_.erase(found);
  // Whoever cancels is still owed an answer (BEP 6).
  peer.reject(request);
  return true;
}

void SpreadPieces::has(SpreadPeer& peer, int index) {
  if (index < 0 || static_cast<std::size_t>(index) >= pieces_.size()) return;
  Piece& piece = pieces_[static_cast<std::size_t>(index)];
  if (!peer.tookPiece(index)) return;
  ++piece.holders;
  if (piece.spread) return;
  const auto now = Clock::now();
  if (piece.owner == &peer) {
    usual_ += (now - piece.given - usual_) / kWeight;
    // A swarm that stood still is as fast as before.
    const auto passed = std::min<Clock::duration>(now - last_, kActive);
    if (last_ != Clock::time_point{}) {
      samples_ = std::min(samples_ + 1, kWeight);
      interval_ += (passed - interval_) / samples_;
    }
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
  show();
}

std::optional<std::size_t> SpreadPieces::next(const SpreadPeer& peer) const {
  for (std::size_t index = first_; index < pieces_.size(); ++index) {
    const Piece& piece = pieces_[index];
    if (piece.owner == nullptr && !piece.spread && !peer.sees(index)) return index;
  }
  return std::nullopt;
}

std::vector<SpreadPeer*> SpreadPieces::toBeShown() const {
  std::vector<SpreadPeer*> shown;
  for (SpreadPeer* peer : peers_) {
    if (peer->canBeShown() && !peer->isComplete()) shown.push_back(peer);
  }
  return shown;
}

void SpreadPieces::show() {
  const auto now = Clock::now();
  std::vector<SpreadPeer*> shown = toBeShown();
  if (unspread_ == 0) allSpread_ = true;
  // All of it to the only one, and to whom nobody else gives.
  const bool only = shown.size() == 1 && now - shown.front()->met() > kOnly;
  std::erase_if(shown, [&](SpreadPeer* peer) {
    if (!only && !allSpread_ && !peer->isAlone(now)) return false;
    peer->showAll();
    return true;
  });
  if (shown.empty()) return;
  for (SpreadPeer* peer : shown)
    peer->hide();
  const auto count = static_cast<std::int64_t>(shown.size());
  const auto interval = std::max<Clock::duration>(interval_, kLeastInterval);
  const auto share = std::max<std::int64_t>(
      (samples_ < kFewSamples ? kFirstShown : kShownShareTime / interval) / count, kLeastShare);
  if (std::exchange(shared_, count) < count) {
    for (SpreadPeer* peer : shown)
      takeBack(*peer, share);
  }
  while (!shown.empty()) {
    while (first_ < pieces_.size() && (pieces_[first_].owner != nullptr || pieces_[first_].spread))
      ++first_;
    // To each one, to each another one, and so on.
    std::erase_if(shown, [&](SpreadPeer* peer) {
      if (peer->onTheWay >= share) return true;
      const auto index = next(*peer);
      if (!index) return true;
      own(pieces_[*index], *peer, now);
      peer->show(*index);
      return false;
    });
  }
}

void SpreadPieces::takeBack(SpreadPeer& peer, std::int64_t share) {
  for (std::size_t index = pieces_.size(); index > 0 && peer.onTheWay > share; --index) {
    Piece& piece = pieces_[index - 1];
    if (piece.owner != &peer || piece.spread || peer.isGiven(index - 1)) continue;
    disown(piece);
    peer.hide(index - 1);
  }
}

void SpreadPieces::disown(Piece& piece) {
  if (!piece.spread) --piece.owner->onTheWay;
  piece.owner = nullptr;
  ++unowned_;
  first_ = 0;
}

void SpreadPieces::tick() {
  const auto now = Clock::now();
  reject([&](const Held& held) { return held.until < now; });
  for (Piece& piece : pieces_) {
    if (piece.owner != nullptr && !piece.spread && now - piece.given > patience()) disown(piece);
  }
  for (SpreadPeer* peer : peers_) {
    if (peer->canBeShown()) peer->wait(pieces_.size() - unspread_, now);
  }
  show();
}

template <class Due>
void SpreadPieces::reject(Due due) {
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

void SpreadPieces::forget(SpreadPeer& peer) {
  peers_.erase(&peer);
  std::erase_if(held_, [&](const Held& held) { return held.peer == &peer; });
  for (std::size_t index = 0; index < pieces_.size(); ++index) {
    Piece& piece = pieces_[index];
    if (piece.owner == &peer) disown(piece);
    if (!peer.has(index) || --piece.holders > 0) continue;
    // Who was given it after that one has it on the way again.
    if (piece.owner != nullptr) ++piece.owner->onTheWay;
    piece.spread = false;
    ++unspread_;
    first_ = 0;
  }
  peer.tookNothing();
  // The next ones to come are given all pieces once more, in so far as nobody has them.
  if (toBeShown().empty()) allSpread_ = false;
}

SpreadPlan::SpreadPlan(int pieces) : pieces_(std::make_shared<SpreadPieces>(pieces)) {}

std::shared_ptr<lt::peer_plugin> SpreadPlan::meet(SpreadConnection connection) {
  return std::make_shared<SpreadPeer>(pieces_, std::move(connection));
}

void SpreadPlan::tick() {
  pieces_->tick();
}

namespace {

class SpreadTorrent final : public lt::torrent_plugin {
 public:
  explicit SpreadTorrent(int pieces) : plan_(pieces) {}

  // In the session's thread, as everything of a plugin.
  std::shared_ptr<lt::peer_plugin> new_connection(
      const lt::peer_connection_handle& connection) override {
    if (connection.type() != lt::connection_type::bittorrent) return nullptr;
    return plan_.meet({[handle = connection](std::span<const char> bytes) mutable {
                         handle.send_buffer(bytes.data(), static_cast<int>(bytes.size()));
                       },
                       [handle = connection] { return handle.is_choked(); }});
  }
  void tick() override { plan_.tick(); }

 private:
  SpreadPlan plan_;
};

}  // namespace

std::shared_ptr<lt::torrent_plugin> spreadPieces(const lt::torrent_handle& torrent,
                                                 lt::client_data_t) {
  const auto info = torrent.torrent_file();
  return info ? std::make_shared<SpreadTorrent>(info->num_pieces()) : nullptr;
}

}  // namespace actool::p2p
