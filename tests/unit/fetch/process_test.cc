// The real clients of the other tools, against tools that are shell scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fetch/process_ingest.h"
#include "fetch/process_siblings.h"
#include "tests/unit/fetch/fakes.h"

namespace actool::fetch::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ProcessTest : public testing::Test {
 protected:
  ProcessTest() : dir_(tempRoot()) { ::setenv("ACTOOL_EXEC_PATH", dir_.path().c_str(), 1); }
  ~ProcessTest() override { ::unsetenv("ACTOOL_EXEC_PATH"); }

  // $ARGS are the arguments, $DIR a directory for what the script leaves.
  void tool(const std::string& name, const std::string& script) {
    const Path path = dir_.path() / name;
    writeFilePlain(path, "#!/bin/sh\nARGS=\"$*\"; DIR='" + dir_.path().string() + "'\n" + script,
                   0755);
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  }
  std::string left(const std::string& name) { return readFile(dir_.path() / name, 1 << 24); }

  static std::string imageLine() { return dumpLine(image('a', "example.com/web").toJson()); }
  static std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
  }

  TempDir dir_;
  cli::Globals globals_;
  std::string talk_;
  cli::Siblings siblings_{globals_, [this](std::string_view text) { talk_ += text; }};
  ProcessIngestClient ingest_{siblings_};
  ProcessStoreQuery store_{siblings_};
};

TEST_F(ProcessTest, IngestGetsTheBytesAndAnswersWithTheImage) {
  tool("actool-image",
       "echo \"$ARGS\" >$DIR/args; echo '{\"kind\":\"ingest\",\"offset\":3}'; cat >$DIR/data\n"
       "echo 'signed by somebody' >&2; echo '" +
           imageLine() + "'");
  IngestRequest request;
  request.source = "https://e.com/w.aci";
  const auto session = ingest_.begin(request);
  EXPECT_EQ(std::get<std::uint64_t>(session->opening()), 3U);
  const std::string big(3 << 20, 'x');  // more than a pipe holds
  session->write(bytes(big));
  session->write(bytes("end"));
  EXPECT_EQ(session->finish().id, imageId('a'));
  EXPECT_EQ(left("data"), big + "end");
  EXPECT_THAT(left("args"), HasSubstr("ingest --resume --source=https://e.com/w.aci "
                                      "--via=actool-fetch:https\n"));
  EXPECT_EQ(talk_, "signed by somebody\n");
}

TEST_F(ProcessTest, AnImageAtOnceNeedsNoBytes) {
  tool("actool-image", "echo '" + imageLine() + "'; cat >$DIR/data");
  const auto session = ingest_.begin({});
  EXPECT_TRUE(std::holds_alternative<record::Image>(session->opening()));
  EXPECT_EQ(session->finish().id, imageId('a'));
}

TEST_F(ProcessTest, ARefusalComesThroughAsItIs) {
  tool("actool-image",
       "echo '{\"kind\":\"ingest\",\"offset\":0}'; cat >/dev/null\n"
       "echo 'actool-image: error: bad signature' >&2; exit 253");
  const auto session = ingest_.begin({});
  session->write(bytes("x"));
  try {
    session->finish();
    FAIL() << "no error";
  } catch (const cli::SiblingFailure& failure) {
    EXPECT_EQ(failure.text(), "actool-image: error: bad signature\n");
    EXPECT_EQ(failure.code(), ExitCode::notTrusted);
  }
}

TEST_F(ProcessTest, ARefusalBeforeTheFirstLineToo) {
  tool("actool-image", "echo 'actool-image: error: no such key' >&2; exit 253");
  EXPECT_THROW(ingest_.begin({}), cli::SiblingFailure);
}

TEST_F(ProcessTest, ARefusalInTheMiddleEndsTheTransfer) {
  tool("actool-image",
       "echo '{\"kind\":\"ingest\",\"offset\":0}'; head -c 4 >/dev/null\n"
       "echo 'actool-image: error: disk full' >&2; exit 254");
  ::signal(SIGPIPE, SIG_IGN);  // as toolMain() does
  const auto session = ingest_.begin({});
  const std::string chunk(1 << 20, 'x');
  try {
    for (int i = 0; i < 64; ++i)
      session->write(bytes(chunk));
    FAIL() << "no error";
  } catch (const cli::SiblingFailure& failure) {
    EXPECT_EQ(failure.text(), "actool-image: error: disk full\n");
    EXPECT_EQ(failure.code(), ExitCode::failure);
  }
}

TEST_F(ProcessTest, AbandoningIsSigtermAndNotEndOfInput) {
  tool("actool-image",
       "trap 'echo term >$DIR/end; exit 1' TERM\n"
       "echo '{\"kind\":\"ingest\",\"offset\":0}'\n"
       "read line || { echo eof >$DIR/end; exit 0; }");
  ingest_.begin({})->abandon();
  EXPECT_EQ(left("end"), "term\n");
  ingest_.begin({});  // destroyed without finish()
  EXPECT_EQ(left("end"), "term\n");
}

TEST_F(ProcessTest, ADeathWithoutAWordIsSaidHere) {
  tool("actool-image", "kill -KILL $$");
  try {
    ingest_.begin({});
    FAIL() << "no error";
  } catch (const cli::SiblingFailure&) {
    FAIL() << "nothing was reported yet";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "actool-image was killed by SIGKILL");
  }
}

TEST_F(ProcessTest, SuccessWithoutAnImageIsAnError) {
  tool("actool-image", "echo '{\"kind\":\"ingest\",\"offset\":0}'; cat >/dev/null");
  const auto session = ingest_.begin({});
  EXPECT_THROW(session->finish(), Error);
}

TEST_F(ProcessTest, AFileIsReadByIngest) {
  tool("actool-image", "echo \"$ARGS\" >$DIR/args; echo '" + imageLine() + "'");
  IngestRequest request;
  request.signature = "/s.asc";
  EXPECT_EQ(ingest_.ingestFile(request, "/web.aci").id, imageId('a'));
  EXPECT_THAT(left("args"), HasSubstr("ingest --signature=/s.asc /web.aci\n"));
}

TEST_F(ProcessTest, NotFoundIsAnAnswerOfTheStore) {
  tool("actool-image", "echo 'actool-image: error: no image' >&2; exit 252");
  EXPECT_FALSE(store_.resolve("example.com/web"));
  EXPECT_FALSE(store_.remote("https://e.com/w.aci"));
  EXPECT_EQ(talk_, "");
  tool("actool-image", "echo 'actool-image: error: damaged' >&2; exit 254");
  EXPECT_THROW(store_.resolve("example.com/web"), cli::SiblingFailure);
}

TEST_F(ProcessTest, TheStoresAnswersAreRead) {
  tool("actool-image", "echo '" + imageLine() + "'");
  EXPECT_EQ(store_.resolve("example.com/web")->id, imageId('a'));
  tool("actool-image",
       "echo '{\"kind\":\"remote\",\"url\":\"u\",\"etag\":\"\\\"v\\\"\",\"fresh\":true,\"id\":\"" +
           imageId('b').str() + "\"}'");
  const auto remote = store_.remote("u");
  ASSERT_TRUE(remote);
  EXPECT_EQ(remote->etag, "\"v\"");
  EXPECT_TRUE(remote->fresh);
  EXPECT_EQ(remote->id, imageId('b'));
}

TEST_F(ProcessTest, WhatAResponseSaidIsNoted) {
  tool("actool-image", "echo \"$ARGS\" >$DIR/args");
  store_.noteRemote("https://e.com/w.aci", "\"v1\"", std::chrono::seconds(60));
  EXPECT_THAT(left("args"),
              HasSubstr("remote https://e.com/w.aci --refresh --max-age=60 --etag=\"v1\"\n"));
}

TEST_F(ProcessTest, AnnouncedKeysAreAddedOnceAndOnlyForNamesWithoutKey) {
  ProcessKeyTruster truster(siblings_);
  tool("actool-trust",
       "echo \"$ARGS\" >>$DIR/args\n"
       "case \"$ARGS\" in *list*prefix=example.com/known*) echo '{\"kind\":\"key\"}';; esac");
  truster.trustAnnounced(schema::AcIdentifier::parse("example.com/known"));
  truster.trustAnnounced(schema::AcIdentifier::parse("example.com/new"));
  truster.trustAnnounced(schema::AcIdentifier::parse("example.com/new"));
  EXPECT_EQ(left("args"),
            "list --prefix=example.com/known --format=jsonl\n"
            "list --prefix=example.com/new --format=jsonl\n"
            "add --prefix=example.com/new --skip-fingerprint-review\n");
}

TEST_F(ProcessTest, DiscoveryIsReadAndItsFailurePassedOn) {
  ProcessDiscoverer discoverer(siblings_);
  const auto ref = schema::AppRef::parse("example.com/web");
  tool("actool-discover",
       "echo '{\"kind\":\"discovered\",\"requested\":\"example.com/web\",\"endpoints\":"
       "[{\"aci\":\"https://e.com/w.aci\",\"asc\":\"https://e.com/w.aci.asc\"}],\"keys\":[]}'");
  EXPECT_EQ(discoverer.discover(ref).endpoints.at(0).aci, "https://e.com/w.aci");
  tool("actool-discover", "echo 'actool-discover: error: no page' >&2; exit 251");
  try {
    discoverer.discover(ref);
    FAIL() << "no error";
  } catch (const cli::SiblingFailure& failure) {
    EXPECT_EQ(failure.code(), ExitCode::network);
    EXPECT_THAT(failure.what(), StartsWith("actool-discover: error: no page"));
  }
}

}  // namespace
}  // namespace actool::fetch::test
