// How a seed gives a piece to one peer and lets that one give it on. Peers that ask for rare pieces
// first still ask the seed for the same ones: news of who has what comes after the requests. The
// more alike the peers' links are, the more of the seed's is spent on that, and a swarm is as fast
// as its seed gives out what nobody has yet.
//
// A request for a block that another peer was just given is held until that peer tells that it has
// the piece, or for a while; then it is rejected (BEP 6), so that the peer takes the block from the
// other one. The second request of the same peer for the same block is always answered. Peers that
// know no rejections are never made to wait.
#pragma once

#include <memory>

#include <libtorrent/extensions.hpp>
#include <libtorrent/fwd.hpp>

namespace actool::p2p {

// For add_torrent_params::extensions of a torrent that is seeded.
std::shared_ptr<lt::torrent_plugin> spreadPieces(const lt::torrent_handle& torrent,
                                                 lt::client_data_t);

}  // namespace actool::p2p
