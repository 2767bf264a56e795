#include "p2p/spread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/bitfield.hpp>
#include <libtorrent/peer_request.hpp>

namespace actool::p2p {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kSpreadPieces = 100;
constexpr int kSpreadBlock = 16 << 10;

// What a peer was told, and what it makes of it.
class Peer {
 public:
  // What of a peer's handshakes counts: whether it knows rejections, and its extensions.
  Peer(SpreadPlan& plan, bool knowsRejections, const std::string& extensions)
      : plugin_(plan.meet(
            {[this](std::span<const char> bytes) { take(bytes); }, [] { return false; }})) {
    for (int piece = 0; piece < kSpreadPieces; ++piece)
      seen.insert(piece);
    std::vector<char> reserved(8);
    if (knowsRejections) reserved[7] = 0x04;
    EXPECT_TRUE(plugin_->on_handshake(reserved));
    const std::string handshake = "d1:md" + extensions + "ee";
    lt::error_code error;
    EXPECT_TRUE(plugin_->on_extension_handshake(lt::bdecode(handshake, error)));
    EXPECT_FALSE(error);
  }

  // Whether the seed sends it now.
  bool isGiven(int piece) {
    return !plugin_->on_request({lt::piece_index_t{piece}, 0, kSpreadBlock});
  }
  void has(int piece) { plugin_->on_have(lt::piece_index_t{piece}); }
  void hasAll() { plugin_->on_have_all(); }
  void leave() { plugin_->on_disconnect({}); }

  std::set<int> seen;         // pieces that the seed has, as far as it knows
  std::vector<int> rejected;  // pieces
  bool uploadOnly = true;

 private:
  static int number(std::span<const char> bytes) {
    int value = 0;
    for (const char byte : bytes.first(4))
      value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  void take(std::span<const char> bytes) {
    while (!bytes.empty()) {
      ASSERT_GE(bytes.size(), 5U);
      const auto length = static_cast<std::size_t>(number(bytes));
      ASSERT_GE(bytes.size(), 4 + length);
      const auto message = bytes.subspan(4, length);
      bytes = bytes.subspan(4 + length);
      if (message[0] == 4) {
        EXPECT_TRUE(seen.insert(number(message.subspan(1))).second);
      } else if (message[0] == 16) {
        rejected.push_back(number(message.subspan(1)));
      } else if (message[0] == 20 && message[1] == 7) {
        EXPECT_EQ(seen.erase(number(message.subspan(2))), 1U);
      } else if (message[0] == 20 && message[1] == 3) {
        uploadOnly = message[2] != 0;
      } else {
        ADD_FAILURE() << "a message that no peer knows";
      }
    }
  }

  std::shared_ptr<lt::peer_plugin> plugin_;
};

const char* const kShows = "11:lt_donthavei7e11:upload_onlyi3e";

class Spread : public testing::Test {
 protected:
  static void pass(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }
  SpreadPlan plan_{kSpreadPieces};
};

// From `first` on; 64 of them are shared among the peers at first.
std::set<int> row(int first, int count) {
  std::set<int> pieces;
  for (int piece = first; piece < first + count; ++piece)
    pieces.insert(piece);
  return pieces;
}

std::set<int> operator+(std::set<int> pieces, int piece) {
  pieces.insert(piece);
  return pieces;
}

TEST_F(Spread, PiecesAreShownInOrderToOnePeerEach) {
  Peer one(plan_, true, kShows);
  EXPECT_EQ(one.seen, row(0, 64));
  EXPECT_FALSE(one.uploadOnly);
  Peer two(plan_, true, kShows);
  EXPECT_EQ(one.seen, row(0, 32));
  EXPECT_EQ(two.seen, row(32, 32));
  EXPECT_TRUE(one.isGiven(0));
  EXPECT_FALSE(two.isGiven(0));
  EXPECT_THAT(two.rejected, ElementsAre(0));
  one.has(0);
  EXPECT_EQ(one.seen, row(0, 32) + 64);
  // From the other one.
  two.has(0);
  EXPECT_EQ(two.seen, row(32, 32));
  two.has(33);
  EXPECT_EQ(two.seen, row(32, 32) + 65);
}

TEST_F(Spread, WhatWasAskedForIsNotTakenBack) {
  Peer one(plan_, true, kShows);
  EXPECT_TRUE(one.isGiven(63));
  const Peer two(plan_, true, kShows);
  EXPECT_EQ(one.seen, row(0, 31) + 63);
  EXPECT_EQ(two.seen, row(31, 32));
}

TEST_F(Spread, WhatOneLeavesBehindIsTheOthers) {
  Peer one(plan_, true, kShows);
  Peer two(plan_, true, kShows);
  two.has(40);
  EXPECT_EQ(two.seen, row(32, 32) + 64);
  two.leave();
  plan_.tick();
  // 40 was nobody else's either.
  EXPECT_EQ(one.seen, row(0, 64));
}

TEST_F(Spread, TheOnlyOneIsShownEverything) {
  Peer one(plan_, true, kShows);
  plan_.tick();
  EXPECT_EQ(one.seen, row(0, 64));
  pass(std::chrono::milliseconds(150));
  plan_.tick();
  EXPECT_EQ(one.seen, row(0, kSpreadPieces));
  // Until another one comes; what was asked for stays.
  EXPECT_TRUE(one.isGiven(90));
  const Peer two(plan_, true, kShows);
  EXPECT_EQ(one.seen, row(0, 31) + 90);
  EXPECT_EQ(two.seen, row(31, 32));
}

TEST_F(Spread, AllIsShownOnceAllIsSpread) {
  Peer one(plan_, true, kShows);
  Peer two(plan_, true, kShows);
  for (int piece = 0; piece < kSpreadPieces; ++piece) {
    EXPECT_LT(one.seen.size(), std::size_t{kSpreadPieces});
    (piece % 2 == 0 ? one : two).has(piece);
  }
  EXPECT_EQ(one.seen, row(0, kSpreadPieces));
  EXPECT_EQ(two.seen, row(0, kSpreadPieces));
  EXPECT_TRUE(two.isGiven(0));
  // A second round begins as the first one did.
  one.leave();
  two.leave();
  const Peer three(plan_, true, kShows);
  EXPECT_FALSE(three.uploadOnly);
  EXPECT_TRUE(three.seen.contains(0));
}

TEST_F(Spread, WhomNobodyGivesToIsShownEverything) {
  Peer one(plan_, true, kShows);
  const Peer two(plan_, true, kShows);
  one.has(0);
  plan_.tick();
  pass(std::chrono::milliseconds(4100));
  one.has(40);
  plan_.tick();
  EXPECT_EQ(two.seen, row(0, kSpreadPieces));
  EXPECT_LT(one.seen.size(), std::size_t{kSpreadPieces});
}

TEST_F(Spread, WhoSaysThatItHasAllAndAsksIsForgottenTwice) {
  {
    Peer liar(plan_, true, kShows);
    liar.hasAll();
    EXPECT_TRUE(liar.isGiven(0));
    liar.has(1);
    liar.leave();
    liar.has(2);
    EXPECT_TRUE(liar.isGiven(2));
  }
  const Peer one(plan_, true, kShows);
  plan_.tick();
  EXPECT_EQ(one.seen, row(0, 64));
}

TEST_F(Spread, AnotherSeedIsToldNothing) {
  Peer seed(plan_, true, "");
  seed.hasAll();
  const Peer one(plan_, true, kShows);
  const Peer two(plan_, true, kShows);
  EXPECT_EQ(one.seen, row(0, 32));
  EXPECT_EQ(seed.seen, row(0, kSpreadPieces));
}

TEST_F(Spread, WhoCanOnlyBeRejectedIsReferredToTheOwner) {
  Peer one(plan_, true, "");
  Peer two(plan_, true, "");
  EXPECT_EQ(one.seen.size(), std::size_t{kSpreadPieces});
  EXPECT_TRUE(one.isGiven(0));
  EXPECT_FALSE(two.isGiven(0));
  EXPECT_THAT(two.rejected, IsEmpty());  // held
  one.has(0);
  EXPECT_THAT(two.rejected, ElementsAre(0));
  EXPECT_TRUE(two.isGiven(1));
}

TEST_F(Spread, WhoKnowsNoRejectionsIsGivenWhatItAsksFor) {
  Peer one(plan_, true, kShows);
  Peer two(plan_, false, kShows);
  EXPECT_EQ(two.seen.size(), std::size_t{kSpreadPieces});
  EXPECT_TRUE(two.isGiven(0));
}

}  // namespace

}  // namespace actool::p2p
