// JSON, digests, UUIDs, times, configuration files.
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/config_file.h"
#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/uuid.h"

namespace actool {
namespace {

std::string parseFailure(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parseJson(text, "in", limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "parsed";
}

TEST(JsonParser, SaysWhereItStopped) {
  EXPECT_EQ(parseJson(R"({"a": [1, "x"]})", "in")["a"][1], "x");
  EXPECT_EQ(parseFailure("{\"a\": 1,\n \"b\": }").substr(0, 25), "in:2:7: not valid JSON at");
  EXPECT_EQ(parseFailure("{} x").substr(0, 6), "in:1:4");
  EXPECT_NE(parseFailure(""), "parsed");
  EXPECT_NE(parseFailure("\"\xff\""), "parsed");
}

TEST(JsonParser, RefusesWhatParsersDisagreeAbout) {
  EXPECT_EQ(parseFailure(R"({"a": 1, "a": 2})"), "in: the key \"a\" appears twice in one object");
  EXPECT_EQ(parseFailure(R"([{"a": 1}, {"a": 2}])"), "parsed");
}

TEST(JsonParser, HasLimits) {
  EXPECT_EQ(parseFailure(std::string(70, '[')), "in: JSON nested deeper than 64 levels");
  EXPECT_EQ(parseFailure("[1, 2, 3]", {.bytes = 4, .depth = 64}),
            "in: 9 B of JSON, more than the limit of 4 B");
}

TEST(JsonMembers, NameTheMemberAndWhatWasThere) {
  const Json object = parseJson(R"({"n": 1, "s": "x", "b": true})", "in");
  EXPECT_EQ(stringMember(object, "s"), "x");
  EXPECT_EQ(stringMemberOr(object, "none", "d"), "d");
  EXPECT_TRUE(boolMemberOr(object, "b", false));
  try {
    stringMember(object, "n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "\"n\" is number, it should be a string");
  }
  EXPECT_THROW(member(object, "none"), Error);
  EXPECT_THROW(boolMemberOr(object, "s", false), Error);
}

TEST(Digests, MatchKnownAnswers) {
  EXPECT_EQ(digestOf(DigestAlgorithm::sha256, "abc").str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digestOf(DigestAlgorithm::sha512, "abc").hex().substr(0, 16), "ddaf35a193617aba");
  Hasher hasher(DigestAlgorithm::sha256);
  hasher.update(std::string_view("a"));
  hasher.update(std::string_view("bc"));
  EXPECT_EQ(hasher.finish(), digestOf(DigestAlgorithm::sha256, "abc"));
}

TEST(Digests, ParseOnlyTheCanonicalForm) {
  const std::string good = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(Digest::parse(good).str(), good);
  for (const std::string& bad :
       {std::string("sha256:"), "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
        "sha512:" + std::string(64, 'a'), "md5:" + std::string(32, 'a'), std::string(64, 'a')}) {
    EXPECT_THROW(Digest::parse(bad), Error) << bad;
  }
}

TEST(Uuids, AreVersionFourAndDiffer) {
  const Uuid uuid = Uuid::random();
  EXPECT_EQ(uuid.str().size(), 36u);
  EXPECT_EQ(uuid.str()[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid.str()[19]), std::string::npos);
  EXPECT_NE(uuid, Uuid::random());
  EXPECT_EQ(Uuid::parse(uuid.str()), uuid);
  EXPECT_EQ(Uuid::parse("6BA7B810-9DAD-11D1-80B4-00C04FD430C8")->str(),
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  for (const char* bad :
       {"", "6ba7b8109dad11d180b400c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c",
        "6ba7b810-9dad-11d1-80b4-00c04fd430cg", "6ba7b810+9dad-11d1-80b4-00c04fd430c8"}) {
    EXPECT_EQ(Uuid::parse(bad), std::nullopt) << bad;
  }
}

TEST(Clock, WritesRfc3339) {
  EXPECT_EQ(formatRfc3339(std::chrono::system_clock::from_time_t(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(formatRfc3339(std::chrono::system_clock::from_time_t(1700000000)),
            "2023-11-14T22:13:20Z");
}

TEST(ConfigFiles, AreReadInOrderOfPrecedence) {
  const TempDir temp(tempRoot(), "actool-test.");
  makeDirs(temp.path() / "sys/x.d");
  makeDirs(temp.path() / "etc/x.d");
  const std::string good = R"({"rktKind":"x","rktVersion":"v1","value":")";
  writeFilePlain(temp.path() / "etc/x.d/1.json", good + "local\"}");
  writeFilePlain(temp.path() / "sys/x.d/2.json", good + "second\"}");
  writeFilePlain(temp.path() / "sys/x.d/1.json", good + "first\"}");
  writeFilePlain(temp.path() / "sys/x.d/README", "not json");
  const ConfigDirs dirs{{temp.path() / "sys", temp.path() / "etc", temp.path() / "none"}};
  std::vector<std::string> values;
  const auto read = [&] {
    values.clear();
    forEachConfig(dirs, "x.d", "x", [&](const ConfigFile&, const Json& content) {
      values.push_back(stringMember(content, "value"));
    });
  };
  read();
  EXPECT_EQ(values, (std::vector<std::string>{"first", "second", "local"}));
  const Path bad = temp.path() / "etc/x.d/3.json";
  for (const char* text : {R"({"rktKind":"y","rktVersion":"v1"})", R"({"rktVersion":"v1"})",
                           R"({"rktKind":"x","rktVersion":"v2"})", "[]", "{"}) {
    writeFilePlain(bad, text);
    try {
      read();
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).rfind(bad.string(), 0), 0u) << error.what();
    }
  }
}

}  // namespace
}  // namespace actool
