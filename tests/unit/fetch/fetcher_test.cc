// Which image answers a request, and where it is looked for in which order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fetch/signature.h"
#include "tests/unit/fetch/fakes.h"

namespace actool::fetch::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

Error errorOf(World& world, const Request& request) {
  try {
    world.fetch(request);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error for " << request.label();
  return Error("none");
}

Request byUrl(const std::string& url) {
  return requestFor(record::ImageArg(record::UrlArg{url}));
}

TEST(FetchNameTest, NewUsesTheStore) {
  World world;
  world.store.images.emplace("example.com/web:1.0.0", image('b', "example.com/web"));
  const record::Image got = world.fetch(byName("example.com/web:1.0.0"));
  EXPECT_EQ(got.id, imageId('b'));
  EXPECT_EQ(got.requested->str(), "example.com/web:1.0.0");
  EXPECT_EQ(world.discoverer.calls, 0);
  EXPECT_THAT(world.http.seenUrls(), IsEmpty());
}

TEST(FetchNameTest, NewFetchesWhatTheStoreHasNot) {
  World world;
  const record::Image got = world.fetch(byName("example.com/web:1.0.0"));
  EXPECT_EQ(got.requested->str(), "example.com/web:1.0.0");
  ASSERT_EQ(world.ingest.begun.size(), 1U);
  EXPECT_EQ(world.ingest.begun[0].requested->str(), "example.com/web:1.0.0");
  EXPECT_EQ(world.ingest.begun[0].source, World::kAci);
  EXPECT_THAT(world.ingest.signatures, ElementsAre("the signature"));
}

TEST(FetchNameTest, TheSignatureIsGoneAfterTheFetch) {
  World world;
  world.fetch(byName("example.com/web"));
  EXPECT_FALSE(actool::exists(*world.ingest.begun.at(0).signature));
}

TEST(FetchNameTest, NeverStaysOffTheNetwork) {
  World world;
  world.options.policy = PullPolicy::never;
  const Error error = errorOf(world, byName("example.com/web"));
  EXPECT_STREQ(error.what(),
               "no image example.com/web in the store; --pull-policy=never keeps from fetching it");
  EXPECT_EQ(error.code(), ExitCode::notFound);
  EXPECT_EQ(world.discoverer.calls, 0);
}

TEST(FetchNameTest, UpdateAsksThoughTheStoreHasIt) {
  World world;
  world.options.policy = PullPolicy::update;
  world.store.images.emplace("example.com/web", image('b', "example.com/web"));
  EXPECT_EQ(world.fetch(byName("example.com/web")).id, imageId('a'));
}

class UpdateTest : public testing::Test {
 protected:
  UpdateTest() {
    world_.options.policy = PullPolicy::update;
    world_.store.images.emplace(imageId('b').str(), image('b', "example.com/web"));
  }
  void storeKnows(const std::string& etag, bool fresh) {
    world_.store.remotes.emplace(World::kAci, Remote{World::kAci, etag, fresh, imageId('b')});
  }
  World world_;
};

TEST_F(UpdateTest, FreshBytesNeedNoRequest) {
  storeKnows("\"v0\"", true);
  EXPECT_EQ(world_.fetch(byName("example.com/web")).id, imageId('b'));
  EXPECT_THAT(world_.http.seenUrls(), IsEmpty());
}

TEST_F(UpdateTest, TheSameEtagTransfersNothing) {
  storeKnows("\"v1\"", false);
  Page page = World::page("\"v1\"");
  page.headers["cache-control"] = "max-age=30";
  world_.http.put(World::kAci, page);
  EXPECT_EQ(world_.fetch(byName("example.com/web")).id, imageId('b'));
  EXPECT_THAT(world_.http.seenUrls(), ElementsAre(World::kAci));
  EXPECT_EQ(world_.http.seen()[0].request.ifNoneMatch, "\"v1\"");
  ASSERT_EQ(world_.store.notes.size(), 1U);
  EXPECT_EQ(world_.store.notes[0].maxAge, std::chrono::seconds(30));
  EXPECT_THAT(world_.ingest.begun, IsEmpty());
}

TEST_F(UpdateTest, AnotherEtagIsFetched) {
  storeKnows("\"v0\"", false);
  EXPECT_EQ(world_.fetch(byName("example.com/web")).id, imageId('a'));
  EXPECT_EQ(world_.ingest.committed, World::kBody);
}

TEST_F(UpdateTest, WhatIsKnownOfAnImageThatIsGoneIsNoAnswer) {
  storeKnows("\"v1\"", true);
  world_.store.images.clear();
  EXPECT_EQ(world_.fetch(byName("example.com/web")).id, imageId('a'));
}

TEST(FetchNameTest, ADependencysImageIdIsEnough) {
  World world;
  world.options.policy = PullPolicy::update;
  world.store.images.emplace(imageId('b').str(), image('b', "example.com/web"));
  Request request = byName("example.com/web");
  request.imageId = imageId('b');
  EXPECT_EQ(world.fetch(request).id, imageId('b'));
  EXPECT_THAT(world.http.seenUrls(), IsEmpty());
}

TEST(FetchNameTest, ADependencysImageIdUnderAnotherNameIsRefused) {
  World world;
  world.store.images.emplace(imageId('b').str(), image('b', "example.org/other"));
  Request request = byName("example.com/web");
  request.imageId = imageId('b');
  EXPECT_EQ(errorOf(world, request).code(), ExitCode::notTrusted);
}

TEST(FetchNameTest, WhatADependencySaysOfItselfGoesToIngest) {
  World world;
  Request request = byName("example.com/web");
  request.imageId = imageId('a');
  request.size = 36;
  world.fetch(request);
  EXPECT_EQ(world.ingest.begun[0].imageId, imageId('a'));
  EXPECT_EQ(world.ingest.begun[0].size, 36U);
}

TEST(FetchNameTest, APipedRecordNeedsNoDiscovery) {
  World world;
  const record::Discovered found{
      schema::AppRef::parse("example.com/web"), {{World::kAci, World::kAsc}}, {}};
  world.fetch(requestFor(record::Record(found)));
  EXPECT_EQ(world.discoverer.calls, 0);
}

TEST(FetchNameTest, KeysAreOnlyTrustedWhenAskedTo) {
  World world;
  world.discoverer.keys = {"https://example.com/pubkeys.gpg"};
  world.fetch(byName("example.com/web"));
  EXPECT_THAT(world.truster.names, IsEmpty());
  world.options.trustKeysFromHttps = true;
  world.fetch(byName("example.com/web"));
  EXPECT_THAT(world.truster.names, ElementsAre("example.com/web"));
}

class EndpointsTest : public testing::Test {
 protected:
  EndpointsTest() {
    world_.discoverer.endpoints = {{"https://a.example/web.aci", "https://a.example/web.aci.asc"},
                                   {World::kAci, World::kAsc}};
  }
  World world_;
};

TEST_F(EndpointsTest, TheNextIsTriedAfterA404) {
  EXPECT_EQ(world_.fetch(byName("example.com/web")).id, imageId('a'));
  EXPECT_EQ(world_.ingest.begun.at(0).source, World::kAci);
}

TEST_F(EndpointsTest, TheNextIsTriedWhenAHostIsDown) {
  world_.http.fail("https://a.example/web.aci.asc", "connection refused");
  EXPECT_EQ(world_.fetch(byName("example.com/web")).id, imageId('a'));
}

TEST_F(EndpointsTest, TheNextGoesOnWithABrokenTransfer) {
  world_.http.put("https://a.example/web.aci.asc", "the signature");
  world_.http.put("https://a.example/web.aci", World::page("\"v1\"", 6));
  world_.options.limits.retries = 0;
  world_.fetch(byName("example.com/web"));
  EXPECT_EQ(world_.ingest.committed, World::kBody);
  EXPECT_EQ(world_.http.seen().back().request.offset, 6U);
}

TEST_F(EndpointsTest, ATrustFailureIsFinal) {
  world_.http.put("https://a.example/web.aci.asc", "forged");
  world_.http.put("https://a.example/web.aci", "evil");
  world_.ingest.refuse = ExitCode::notTrusted;
  EXPECT_EQ(errorOf(world_, byName("example.com/web")).code(), ExitCode::notTrusted);
  EXPECT_EQ(world_.ingest.begun.size(), 1U);
}

TEST_F(EndpointsTest, AllFailuresAreSaidAndTheWeightiestCounts) {
  world_.http.fail(World::kAsc, "connection refused");
  const Error error = errorOf(world_, byName("example.com/web"));
  EXPECT_STREQ(error.what(),
               "example.com/web: none of 2 endpoints works: there is neither "
               "https://a.example/web.aci nor its signature; getting "
               "https://example.com/web.aci.asc: connection refused");
  EXPECT_EQ(error.code(), ExitCode::network);
}

TEST_F(EndpointsTest, NothingAnywhereIsNotFound) {
  world_.http.put(World::kAci, Page{.status = 404});
  world_.http.put(World::kAsc, Page{.status = 404});
  EXPECT_EQ(errorOf(world_, byName("example.com/web")).code(), ExitCode::notFound);
}

TEST(SignatureTest, AnImageWithoutOneIsNotTrusted) {
  World world;
  world.http.put(World::kAsc, Page{.status = 404});
  const Error error = errorOf(world, byName("example.com/web"));
  EXPECT_STREQ(error.what(),
               "example.com/web: https://example.com/web.aci has no signature: there is no "
               "https://example.com/web.aci.asc; have its maker sign it, or name the signature "
               "with --signature");
  EXPECT_EQ(error.code(), ExitCode::notTrusted);
  EXPECT_THAT(world.ingest.begun, IsEmpty());
}

TEST(SignatureTest, IsLeftOutOnlyWhenToldTo) {
  World world;
  world.options.requireSignature = false;
  world.fetch(byName("example.com/web"));
  EXPECT_THAT(world.http.seenUrls(), ElementsAre(World::kAci));
  EXPECT_FALSE(world.ingest.begun.at(0).signature);
}

TEST(SignatureTest, AGivenUrlTakesThePlaceOfTheImagesOwn) {
  World world;
  world.http.put("https://keys.example/w.asc", "another");
  Request request = byUrl(World::kAci);
  request.signature = "https://keys.example/w.asc";
  world.fetch(request);
  EXPECT_THAT(world.ingest.signatures, ElementsAre("another"));
}

TEST(SignatureTest, AGivenFileIsTakenAsItIs) {
  World world;
  const TempDir dir(tempRoot());
  writeFilePlain(dir.path() / "s.asc", "from disc");
  Request request = byUrl(World::kAci);
  request.signature = "file://" + (dir.path() / "s.asc").string();
  world.fetch(request);
  EXPECT_THAT(world.ingest.signatures, ElementsAre("from disc"));
  request.signature = (dir.path() / "no.asc").string();
  EXPECT_EQ(errorOf(world, request).code(), ExitCode::notFound);
}

TEST(SignatureTest, HasALimit) {
  World world;
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.http.seen().at(0).request.maxBytes, kMaxSignatureBytes);
}

TEST(FetchUrlTest, NewUsesWhatTheStoreHasOfTheUrl) {
  World world;
  world.store.images.emplace(imageId('b').str(), image('b', "example.com/web"));
  world.store.remotes.emplace(World::kAci, Remote{World::kAci, "", false, imageId('b')});
  EXPECT_EQ(world.fetch(byUrl(World::kAci)).id, imageId('b'));
  EXPECT_THAT(world.http.seenUrls(), IsEmpty());
}

TEST(FetchUrlTest, FetchesImageAndSignature) {
  World world;
  const record::Image got = world.fetch(byUrl(World::kAci));
  EXPECT_FALSE(got.requested);
  EXPECT_FALSE(world.ingest.begun.at(0).requested);
  EXPECT_THAT(world.http.seenUrls(), ElementsAre(World::kAsc, World::kAci));
}

TEST(FetchUrlTest, NeverNeedsItInTheStore) {
  World world;
  world.options.policy = PullPolicy::never;
  EXPECT_STREQ(errorOf(world, byUrl(World::kAci)).what(),
               "no image of https://example.com/web.aci in the store; --pull-policy=never keeps "
               "from fetching it");
}

TEST(FetchUrlTest, PlainHttpIsAllowedOnlyWhereItWasTyped) {
  World world;
  world.http.put("http://example.com/web.aci", World::kBody);
  world.http.put("http://example.com/web.aci.asc", "s");
  world.fetch(byUrl("http://example.com/web.aci"));
  EXPECT_TRUE(world.http.seen().back().request.allowHttp);
  world.discoverer.endpoints = {{"http://example.com/web.aci", "http://example.com/web.aci.asc"}};
  EXPECT_EQ(errorOf(world, byName("example.com/web")).code(), ExitCode::network);
  EXPECT_EQ(world.http.seen().size(), 2U);
}

TEST(FetchFileTest, IngestReadsTheFileItself) {
  World world;
  const TempDir dir(tempRoot());
  const Path aci = dir.path() / "web.aci";
  writeFilePlain(aci, "bytes");
  const Request request = requestFor(record::ImageArg(record::FileArg{aci}));
  const Error error = errorOf(world, request);
  EXPECT_THAT(error.what(),
              StartsWith(aci.string() + " has no signature: there is no " + aci.string() + ".asc"));
  EXPECT_EQ(error.code(), ExitCode::notTrusted);
  writeFilePlain(dir.path() / "web.aci.asc", "s");
  world.fetch(request);
  EXPECT_THAT(world.ingest.files, ElementsAre(aci));
  EXPECT_EQ(world.ingest.begun.at(0).source, aci.string());
}

TEST(FetchFileTest, AMissingFileIsNotFound) {
  World world;
  EXPECT_EQ(
      errorOf(world, requestFor(record::ImageArg(record::FileArg{"/nowhere/web.aci"}))).code(),
      ExitCode::notFound);
}

TEST(FetchIdTest, AnIdMustBeInTheStore) {
  World world;
  const auto id = schema::ImageIdPrefix::tryParse("sha512-bbbb");
  const Request request = requestFor(record::ImageArg(*id));
  const Error error = errorOf(world, request);
  EXPECT_STREQ(error.what(),
               "no image sha512-bbbb in the store; an image ID says what an image is, not where: "
               "fetch it by name or URL");
  EXPECT_EQ(error.code(), ExitCode::notFound);
  world.store.images.emplace("sha512-bbbb", image('b', "example.com/web"));
  EXPECT_EQ(world.fetch(request).id, imageId('b'));
}

TEST(FetchImageRecordTest, PassesThroughWithWhatWasAskedFor) {
  World world;
  record::Image piped = image('b', "example.com/web");
  piped.requested = schema::AppRef::parse("example.com/web:1.0.0");
  world.store.images.emplace(imageId('b').str(), image('b', "example.com/web"));
  EXPECT_EQ(world.fetch(requestFor(record::Record(piped))).requested->str(),
            "example.com/web:1.0.0");
  piped.requested = schema::AppRef::parse("example.com/web:2.0.0");
  EXPECT_EQ(errorOf(world, requestFor(record::Record(piped))).code(), ExitCode::notTrusted);
}

class MirrorTest : public testing::Test {
 protected:
  static constexpr const char* kMirror = "https://mirror.test";
  static constexpr const char* kAtMirror = "https://mirror.test/web.aci";

  MirrorTest() {
    world_.discoverer.endpoints = {{kAtMirror, "https://mirror.test/web.aci.asc", kMirror}};
    world_.discoverer.origin = {{World::kAci, World::kAsc}};
  }
  void mirrorHasIt() {
    world_.http.put(kAtMirror, World::page("\"m\""));
    world_.http.put("https://mirror.test/web.aci.asc", "the signature");
  }
  World world_;
};

TEST_F(MirrorTest, TheOriginIsNotAskedWhenAMirrorHasIt) {
  mirrorHasIt();
  world_.discoverer.askOrigin = true;
  EXPECT_EQ(world_.fetch(byName("example.com/web:1.0.0")).id, imageId('a'));
  EXPECT_EQ(world_.ingest.begun.at(0).source, kAtMirror);
  EXPECT_EQ(world_.discoverer.originCalls, 0);
}

TEST_F(MirrorTest, TheOriginIsAskedWhenNoMirrorHasIt) {
  world_.discoverer.askOrigin = true;
  EXPECT_EQ(world_.fetch(byName("example.com/web:1.0.0")).id, imageId('a'));
  EXPECT_EQ(world_.ingest.begun.at(0).source, World::kAci);
  EXPECT_EQ(world_.discoverer.originCalls, 1);
}

TEST_F(MirrorTest, TheOriginIsNotAskedWhereTheRecordDoesNotSaySo) {
  const Error error = errorOf(world_, byName("example.com/web:1.0.0"));
  EXPECT_EQ(error.code(), ExitCode::notFound);
  EXPECT_EQ(world_.discoverer.originCalls, 0);
}

TEST_F(MirrorTest, WhatTheStoreRefusesOfAMirrorIsLookedForElsewhere) {
  mirrorHasIt();
  world_.discoverer.askOrigin = true;
  world_.ingest.refuse = ExitCode::notTrusted;
  // The origin's is refused as well here, and that is final.
  EXPECT_THROW(world_.fetch(byName("example.com/web:1.0.0")), cli::SiblingFailure);
  ASSERT_EQ(world_.ingest.begun.size(), 2U);
  EXPECT_EQ(world_.ingest.begun[1].source, World::kAci);
}

TEST_F(MirrorTest, WhatAllMirrorsHaveIsRefused) {
  mirrorHasIt();
  world_.ingest.refuse = ExitCode::notTrusted;
  const Error error = errorOf(world_, byName("example.com/web:1.0.0"));
  EXPECT_EQ(error.code(), ExitCode::notTrusted);
  EXPECT_STREQ(error.what(), "example.com/web:1.0.0: mirror https://mirror.test: refused");
}

TEST_F(MirrorTest, AnOriginThatCannotBeAskedLeavesTheMirrorsReason) {
  world_.discoverer.askOrigin = true;
  world_.discoverer.originFails = ExitCode::network;
  const Error error = errorOf(world_, byName("example.com/web:1.0.0"));
  EXPECT_EQ(error.code(), ExitCode::network);
}

TEST_F(MirrorTest, KeysAreAskedOfTheOriginOnly) {
  mirrorHasIt();
  world_.options.trustKeysFromHttps = true;
  world_.fetch(byName("example.com/web:1.0.0"));
  EXPECT_THAT(world_.truster.names, IsEmpty());
  world_.discoverer.askOrigin = true;
  world_.fetch(byName("example.com/web:1.0.0"));
  EXPECT_THAT(world_.truster.names, ElementsAre("example.com/web"));
}

constexpr const char* kTorrent = "https://example.com/web.aci.torrent";

TEST(FetchSwarmTest, BesideTheWebsPlaceWithItAsSeed) {
  World world;
  world.swarm.there = true;
  world.http.put(kTorrent, "the torrent");
  EXPECT_EQ(world.fetch(byName("example.com/web")).id, imageId('a'));
  ASSERT_EQ(world.swarm.calls.size(), 1U);
  EXPECT_EQ(world.swarm.calls[0].torrent, "the torrent");
  EXPECT_THAT(world.swarm.calls[0].webSeeds, ElementsAre(World::kAci));
  EXPECT_EQ(world.swarm.calls[0].request.source, World::kAci);
  EXPECT_TRUE(world.swarm.calls[0].request.signature.has_value());
  EXPECT_TRUE(world.ingest.begun.empty());
}

TEST(FetchSwarmTest, TheWebWillDo) {
  World none;
  none.swarm.there = true;  // and no torrent
  none.fetch(byName("example.com/web"));
  EXPECT_EQ(none.ingest.begun.size(), 1U);

  World dead;
  dead.swarm.there = true;
  dead.swarm.failure = NetworkError("nobody");
  dead.http.put(kTorrent, "the torrent");
  dead.fetch(byName("example.com/web"));
  EXPECT_EQ(dead.ingest.begun.size(), 1U);

  World kept;
  kept.swarm.there = true;
  kept.options.transport = Transport::https;
  kept.http.put(kTorrent, "the torrent");
  kept.fetch(byName("example.com/web"));
  EXPECT_TRUE(kept.swarm.calls.empty());
}

TEST(FetchSwarmTest, WhatTheStoreRefusesIsFinal) {
  World world;
  world.swarm.there = true;
  world.swarm.failure = TrustError("refused");
  world.http.put(kTorrent, "the torrent");
  EXPECT_EQ(errorOf(world, byName("example.com/web")).code(), ExitCode::notTrusted);
  EXPECT_TRUE(world.ingest.begun.empty());
}

TEST(FetchSwarmTest, SwarmsAlone) {
  World world;
  world.swarm.there = true;
  world.options.transport = Transport::torrent;
  EXPECT_EQ(errorOf(world, byName("example.com/web")).code(), ExitCode::notFound);
  world.http.put(kTorrent, "the torrent");
  world.fetch(byName("example.com/web"));
  EXPECT_THAT(world.swarm.calls.at(0).webSeeds, IsEmpty());
  EXPECT_TRUE(world.ingest.begun.empty());
}

TEST(FetchSwarmTest, EndpointsThatAreSwarms) {
  World world;
  world.swarm.there = true;
  world.discoverer.endpoints = {{"torrent+https://example.com/web.torrent#aci",
                                 "torrent+https://example.com/web.torrent#aci.asc"},
                                {World::kAci, World::kAsc}};
  world.http.put("https://example.com/web.torrent", "announced");
  world.fetch(byName("example.com/web"));
  ASSERT_EQ(world.swarm.calls.size(), 1U);
  EXPECT_EQ(world.swarm.calls[0].torrent, "announced");
  EXPECT_FALSE(world.swarm.calls[0].request.signature.has_value());  // the torrent's own
  EXPECT_THAT(world.swarm.calls[0].webSeeds, ElementsAre(World::kAci));
  world.swarm.failure = NetworkError("nobody");
  world.fetch(byName("example.com/web"));
  EXPECT_EQ(world.ingest.begun.size(), 1U);
}

TEST(FetchSwarmTest, MagnetLinksAndTorrents) {
  World world;
  world.fetch(requestFor(record::parseImageArg("magnet:?xt=urn:btih:00")));
  world.http.put("https://example.com/x.torrent", "from the web");
  world.fetch(requestFor(record::parseImageArg("https://example.com/x.torrent")));
  ASSERT_EQ(world.swarm.calls.size(), 2U);
  EXPECT_EQ(world.swarm.calls[0].torrent, "magnet:?xt=urn:btih:00");
  EXPECT_EQ(world.swarm.calls[1].torrent, "from the web");
  world.options.transport = Transport::https;
  EXPECT_EQ(errorOf(world, requestFor(record::parseImageArg("magnet:?x"))).code(),
            ExitCode::failure);
}

}  // namespace
}  // namespace actool::fetch::test
