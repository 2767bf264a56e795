// How a seed gives a piece to one peer and lets that one give it on: what a swarm is fast by is
// that the seed gives out what nobody has yet. Peers that ask for rare pieces first still ask the
// seed for the same ones, as news of who has what comes after the requests.
//
// A peer that knows the message for it (BEP 54, lt_donthave; libtorrent's do) is told that the seed
// has none of the pieces, and then of a few that it has: the next ones in the order of the file,
// which are shown to this peer alone. So it asks for just these, all peers get nearly the same
// beginning of the file, and whoever verifies that follows closely. As soon as somebody has a
// piece, the next one is shown to its owner. The more the swarm takes, the more are shown at once:
// what it takes in a moment, shared among the peers.
//
// From all others the first peer that asks for a piece owns it, and is sent it. A request of
// another peer for one of its blocks is held for a moment and rejected (BEP 6): by then somebody
// has the piece, or the peer finds another one that nobody was given. It must not be held for long:
// a client asks nobody else for a block while the seed seems to be about to send it. No peer owns
// more than its share of what the seed sends in a second or so, since the rates at which they asked
// for pieces can fall.
//
// A piece that its owner does not tell of in time is given to another one, as is one that only
// peers had that have left. A peer that is the only one, or to which nobody else gives, is given
// everything, and so are all when everything is spread. Peers that know no rejections are never
// made to wait.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include <libtorrent/extensions.hpp>
#include <libtorrent/fwd.hpp>

namespace actool::p2p {

// For add_torrent_params::extensions of a torrent that is seeded.
std::shared_ptr<lt::torrent_plugin> spreadPieces(const lt::torrent_handle& torrent,
                                                 lt::client_data_t);

// What is needed of a connection to a peer.
struct SpreadConnection {
  std::function<void(std::span<const char>)> send;  // whole messages of BitTorrent
  std::function<bool()> isChoked;
};

class SpreadPieces;

// What is known of the pieces of one torrent, and what its peers are told. For one thread.
class SpreadPlan {
 public:
  explicit SpreadPlan(int pieces);
  // A peer, which then says by the plugin's functions what it does.
  std::shared_ptr<lt::peer_plugin> meet(SpreadConnection connection);
  // To be called now and then: time passes.
  void tick();

 private:
  std::shared_ptr<SpreadPieces> pieces_;
};

}  // namespace actool::p2p
