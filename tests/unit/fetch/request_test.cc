#include "fetch/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "fetch/ingest_client.h"
#include "fetch/pull_policy.h"
#include "tests/unit/fetch/fakes.h"

namespace actool::fetch::test {
namespace {

using testing::ElementsAre;

std::string messageOf(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no usage error";
}

TEST(RequestTest, WhatHasNoTransportIsRefused) {
  EXPECT_EQ(
      messageOf([] { requestFor(record::ImageArg(record::RegistryArg{"docker://busybox"})); }),
      "\"docker://busybox\": actool-fetch has no transport for registries; it fetches "
      "names, http(s):// URLs, torrents, magnet links and local ACI files");
}

TEST(RequestTest, Torrents) {
  for (const char* place : {"magnet:?xt=urn:btih:00", "/web.torrent", "https://e.com/w.torrent"}) {
    const Request request = requestFor(record::parseImageArg(place));
    EXPECT_EQ(std::get<ByTorrent>(request.what).place, place);
    EXPECT_EQ(request.label(), place);
  }
  EXPECT_EQ(torrentUrlBeside("https://e.com/w.aci?x=1"), "https://e.com/w.aci.torrent?x=1");
  EXPECT_EQ(torrentUrlOf("torrent+https://e.com/w.torrent#aci"), "https://e.com/w.torrent");
  EXPECT_EQ(torrentUrlOf("torrent+https://e.com/w.aci"), "https://e.com/w.aci.torrent");
  EXPECT_EQ(torrentUrlOf("torrent+https://e.com/w.aci?y"), "https://e.com/w.aci.torrent?y");
  EXPECT_EQ(torrentUrlOf("https://e.com/w.aci"), std::nullopt);
  EXPECT_EQ(torrentUrlOf("torrent+file:///etc/x"), std::nullopt);
}

TEST(RequestTest, EndpointsOfOtherSchemesAreLeftOut) {
  record::Discovered found{schema::AppRef::parse("example.com/web"), {}, {}};
  EXPECT_THROW(usableEndpoints(found), NotFoundError);
  found.endpoints = {{"hdfs://e.com/w.aci", ""}};
  EXPECT_THROW(usableEndpoints(found), UsageError);
  // A page must not name files of this machine.
  found.endpoints.push_back({"file:///etc/shadow", "file:///etc/shadow.asc"});
  EXPECT_THROW(usableEndpoints(found), UsageError);
  found.endpoints.push_back({"https://e.com/w.aci", "https://e.com/w.aci.asc"});
  const auto usable = usableEndpoints(found);
  ASSERT_EQ(usable.size(), 1U);
  EXPECT_EQ(usable[0].aci, "https://e.com/w.aci");
  found.endpoints = {{"https://e.com/w.aci", ""}};
  EXPECT_EQ(usableEndpoints(found).at(0).asc, "https://e.com/w.aci.asc");
}

TEST(RequestTest, SignatureUrlKeepsTheQuery) {
  EXPECT_EQ(signatureUrl("https://e.com/w.aci"), "https://e.com/w.aci.asc");
  EXPECT_EQ(signatureUrl("https://e.com/w.aci?token=1"), "https://e.com/w.aci.asc?token=1");
  EXPECT_EQ(signatureUrl("https://e.com/w.aci#x"), "https://e.com/w.aci.asc#x");
}

TEST(RequestTest, KeysTellRequestsApart) {
  Request pinned = byName("example.com/web");
  pinned.imageId = imageId('a');
  EXPECT_EQ(byName("example.com/web").key(), byName("example.com/web").key());
  EXPECT_NE(byName("example.com/web").key(), byName("example.com/web:1.0.0").key());
  EXPECT_NE(byName("example.com/web").key(), pinned.key());
}

TEST(IngestArgumentsTest, AreThoseOfTheProtocol) {
  const IngestRequest request{.signature = "/tmp/s.asc",
                              .requested = schema::AppRef::parse("example.com/web:1.0.0"),
                              .imageId = imageId('a'),
                              .size = 7,
                              .maxSize = 9,
                              .source = "https://e.com/w.aci"};
  EXPECT_THAT(
      request.arguments(),
      ElementsAre("--signature=/tmp/s.asc", "--requested=example.com/web:1.0.0",
                  "--image-id=" + imageId('a').str(), "--size=7", "--max-distributed-size=9",
                  "--source=https://e.com/w.aci", "--via=actool-fetch:https"));
}

TEST(IngestLineTest, IsAnOffsetOrAnImage) {
  EXPECT_EQ(std::get<std::uint64_t>(parseIngestLine(R"({"kind":"ingest","offset":7})")), 7U);
  const std::string line = dumpLine(image('a', "example.com/web").toJson());
  EXPECT_EQ(std::get<record::Image>(parseIngestLine(line)).id, imageId('a'));
  EXPECT_THROW(parseIngestLine(R"({"kind":"ingest","offset":-7})"), Error);
  EXPECT_THROW(parseIngestLine(R"({"kind":"discovered"})"), Error);
  EXPECT_THROW(parseIngestLine("sha512-00"), Error);
  EXPECT_THROW(parseIngestLine(""), Error);
}

TEST(PullPolicyTest, Words) {
  EXPECT_EQ(parsePullPolicy("new"), PullPolicy::fetchNew);
  EXPECT_EQ(parsePullPolicy("update"), PullPolicy::update);
  EXPECT_EQ(parsePullPolicy("never"), PullPolicy::never);
  EXPECT_EQ(messageOf([] { parsePullPolicy("al\nways"); }),
            "--pull-policy: \"al\\x0aways\" is not known; it is one of new, update, never");
}

}  // namespace
}  // namespace actool::fetch::test
