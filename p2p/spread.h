// How a seed gives a piece to one peer and lets that one give it on. Peers that ask for rare pieces
// first still ask the seed for the same ones: news of who has what comes after the requests. The
// more alike the peers' links are, the more of the seed's is spent on that, and a swarm is as fast
// as its seed gives out what nobody has yet.
//
// The first peer that asks for a piece owns it, and is sent it. A request of another peer for one
// of its blocks is held for a moment and rejected (BEP 6): by then somebody has the piece, or the
// peer finds another one that nobody was given. It must not be held for long: a client asks nobody
// else for a block while the seed seems to be about to send it. A piece that its owner does not
// tell of in time is given to the next who asks; and no peer owns more than its share of what the
// seed sends in a second or so, since the rates at which they asked for pieces can fall.
//
// Whoever insists on a block that others have is given it in the end, and a peer to which nobody
// else gives is given everything. Peers that know no rejections are never made to wait.
#pragma once

#include <memory>

#include <libtorrent/extensions.hpp>
#include <libtorrent/fwd.hpp>

namespace actool::p2p {

// For add_torrent_params::extensions of a torrent that is seeded.
std::shared_ptr<lt::torrent_plugin> spreadPieces(const lt::torrent_handle& torrent,
                                                 lt::client_data_t);

}  // namespace actool::p2p
