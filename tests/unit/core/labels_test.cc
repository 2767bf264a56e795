#include "core/schema/labels.h"

#include <gtest/gtest.h>

#include "core/schema/app_ref.h"
#include "tests/support/errors.h"

namespace actool::schema {
namespace {

using test::messageOf;

Labels labels(const char* json) {
  return Labels::fromJson(parseJson(json, "test"));
}

std::string errorOf(const char* json) {
  return messageOf([&] { labels(json); });
}

TEST(Labels, TakesThePairsOfTheSpec) {
  const std::pair<const char*, std::vector<const char*>> pairs[] = {
      {"linux",
       {"amd64", "i386", "aarch64", "aarch64_be", "armv6l", "armv7l", "armv7b", "ppc64", "ppc64le",
        "s390x"}},
      {"freebsd", {"amd64", "i386", "arm"}},
      {"darwin", {"x86_64", "i386"}}};
  for (const auto& [os, archs] : pairs) {
    for (const char* arch : archs) {
      const Labels made =
          Labels::make({{AcIdentifier::parse("os"), os}, {AcIdentifier::parse("arch"), arch}});
      EXPECT_EQ(made.get("arch"), arch);
    }
    EXPECT_NO_THROW(Labels::make({{AcIdentifier::parse("os"), os}}));
  }
  EXPECT_TRUE(labels("[]").empty());
}

TEST(Labels, RefusesOtherPairs) {
  const std::pair<const char*, std::vector<const char*>> pairs[] = {
      {"linux", {"arm64", "arm64_be", "arm", "ppc64l", "ppc64b", "ppc64be", "S390x", "x86_64", ""}},
      {"freebsd", {"armv7b", "x86_64"}},
      {"darwin", {"amd64"}},
      {"OS/360", {"S/360"}}};
  for (const auto& [os, archs] : pairs) {
    for (const char* arch : archs) {
      EXPECT_THROW(
          Labels::make({{AcIdentifier::parse("os"), os}, {AcIdentifier::parse("arch"), arch}}),
          Error)
          << os << "/" << arch;
    }
  }
}

TEST(Labels, SaysWhatIsWrong) {
  EXPECT_EQ(errorOf(R"([{"name":"os","value":"linux"},{"name":"arch","value":"arm64"}])"),
            "the label arch=\"arm64\" is unknown for os=linux; it must be one of amd64, i386, "
            "aarch64, aarch64_be, armv6l, armv7l, armv7b, ppc64, ppc64le, s390x");
  EXPECT_EQ(errorOf(R"([{"name":"os","value":"OS/360"}])"),
            "the label os=\"OS/360\" is unknown; it must be darwin, freebsd or linux");
  EXPECT_EQ(errorOf(R"([{"name":"arch","value":"amd64"}])"),
            "the label arch=\"amd64\" has no meaning without os; add the label os");
  EXPECT_EQ(errorOf(R"([{"name":"name","value":"x"}])"),
            "a label cannot be called \"name\"; the name of an image is no label");
  EXPECT_EQ(errorOf(R"([{"name":"a","value":"b"},{"name":"a","value":"c"}])"),
            "the label \"a\" is there twice");
  EXPECT_EQ(errorOf(R"([{"name":"a"}])"), "[0]: the member \"value\" is missing");
  EXPECT_EQ(errorOf(R"([{"name":"a","value":7}])"), "[0]: value: is number, it should be a string");
  EXPECT_EQ(errorOf(R"([{"name":"a","value":"b","more":1}])"),
            "[0]: has the unknown member \"more\"");
  EXPECT_EQ(errorOf(R"([{"name":"a","value":"x\u0000y"}])"),
            "[0]: value: \"x\\x00y\" has a NUL byte");
  EXPECT_EQ(
      errorOf(R"([{"name":"A","value":"b"}])"),
      "[0]: the identifier \"A\" has \"A\" at position 1; only a-z, 0-9 and -._~/ are allowed");
  EXPECT_EQ(errorOf(R"({"a":"b"})"), "is object, it should be a list");
  EXPECT_EQ(messageOf([] {
              Labels::make({{AcIdentifier::parse("a"), "\xff"}});
            }),
            "the label value \"\\xff\" is not UTF-8");
}

TEST(Labels, KeepTheirOrder) {
  const char* json = R"([{"name":"foo","value":"bar"},{"name":"bar","value":""}])";
  EXPECT_EQ(dumpLine(labels(json).toJson()), json);
  EXPECT_EQ(dumpLine(labels(json).toObject()), R"({"bar":"","foo":"bar"})");
  EXPECT_EQ(Labels::fromObject(labels(json).toObject()).get("foo"), "bar");
}

TEST(Labels, Match) {
  const Labels manifest =
      labels(R"([{"name":"version","value":"1.0.0"},{"name":"channel","value":"beta"}])");
  EXPECT_TRUE(Labels().matchedBy(manifest));
  EXPECT_TRUE(labels(R"([{"name":"channel","value":"beta"}])").matchedBy(manifest));
  EXPECT_FALSE(labels(R"([{"name":"channel","value":"stable"}])").matchedBy(manifest));
  EXPECT_FALSE(manifest.matchedBy(Labels()));
  const auto mismatch = labels(R"([{"name":"channel","value":"beta"},{"name":"x","value":""}])")
                            .firstMismatch(manifest);
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->name.str(), "x");
}

TEST(Labels, DefaultsDoNotOverride) {
  const Labels given = labels(R"([{"name":"os","value":"darwin"}])");
  EXPECT_EQ(given.withDefault("os", "linux"), given);
  EXPECT_EQ(given.withDefault("version", "latest").get("version"), "latest");
}

// appc's discovery/parse_test.go, then what it leaves out.
TEST(AppRef, Parses) {
  struct Case {
    const char* text;
    const char* name;
    std::vector<std::pair<const char*, const char*>> labels;
  };
  const Case cases[] = {
      {"example.com/reduce-worker", "example.com/reduce-worker", {}},
      {"example.com/reduce-worker:1.0.0", "example.com/reduce-worker", {{"version", "1.0.0"}}},
      {"example.com/reduce-worker,channel=alpha,label=value",
       "example.com/reduce-worker",
       {{"channel", "alpha"}, {"label", "value"}}},
      {"example.com/app:1.2.3,special=!*'();@&+$/?#[],channel=beta",
       "example.com/app",
       {{"version", "1.2.3"}, {"special", "!*'();@&+$/?#[]"}, {"channel", "beta"}}},
      {"a,x=1%2C2%3a3%25", "a", {{"x", "1,2:3%"}}},
      {"a,x=b=c", "a", {{"x", "b=c"}}},
      {"a,x=", "a", {{"x", ""}}},
      {"a,channel=beta,version=2", "a", {{"version", "2"}, {"channel", "beta"}}},
      {"a:1.0%2B1", "a", {{"version", "1.0+1"}}},
      {"a,arch=amd64", "a", {{"arch", "amd64"}, {"os", "linux"}}},
      {"a,arch=i386,os=darwin", "a", {{"arch", "i386"}, {"os", "darwin"}}}};
  for (const Case& c : cases) {
    const AppRef ref = AppRef::parse(c.text);
    EXPECT_EQ(ref.name().str(), c.name) << c.text;
    std::vector<Label> wanted;
    for (const auto& [name, value] : c.labels) {
      wanted.push_back({AcIdentifier::parse(name), value});
    }
    EXPECT_EQ(ref.labels().list(), wanted) << c.text;
    EXPECT_EQ(AppRef::parse(ref.str()), ref) << ref.str();
  }
}

TEST(AppRef, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"not an app name",
       "image name \"not an app name\": the identifier \"not an app name\" has \" \" at position "
       "4; "
       "only a-z, 0-9 and -._~/ are allowed"},
      {"example.com/garbage%8 939",
       "image name \"example.com/garbage%8 939\": the identifier \"example.com/garbage%8 939\" has "
       "\"%\" at position 20; only a-z, 0-9 and -._~/ are allowed"},
      {"foo.com/bar,channel=alpha,dog=woof,channel=beta",
       "image name \"foo.com/bar,channel=alpha,dog=woof,channel=beta\": the label \"channel\" is "
       "given twice"},
      {"example.com/app,channel=beta:1.2.3",
       "image name \"example.com/app,channel=beta:1.2.3\": \"channel=beta:1.2.3\" has a ':', which "
       "may stand only right after the name; write a ':' in a value as %3A"},
      {"example.com/app:3.2.1,channel=beta:1.2.3",
       "image name \"example.com/app:3.2.1,channel=beta:1.2.3\": \"channel=beta:1.2.3\" has a ':', "
       "which may stand only right after the name; write a ':' in a value as %3A"},
      {"example.com/app:3.2.1,version=1.2.3",
       "image name \"example.com/app:3.2.1,version=1.2.3\": the label \"version\" is given twice"},
      {"a:1:2",
       "image name \"a:1:2\": there is more than one ':'; write a ':' in a version as %3A"},
      {"a:", "image name \"a:\": there is no version after the ':'"},
      {"a,b", "image name \"a,b\": the label \"b\" has no value; labels are written ,NAME=VALUE"},
      {"a,", "image name \"a,\": the label \"\" has no value; labels are written ,NAME=VALUE"},
      {"a,x=%4",
       "image name \"a,x=%4\": \"%4\" has a '%' without two hex digits; write a '%' itself as %25"},
      {"a,x=%00", "image name \"a,x=%00\": \"%00\" has a NUL byte"},
      {"a,x=%ff", "image name \"a,x=%ff\": the label value \"\\xff\" is not UTF-8"},
      {"a,name=b",
       "image name \"a,name=b\": a label cannot be called \"name\"; the name of an image is no "
       "label"},
      {"", "image name \"\": the identifier \"\" is empty"}};
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(messageOf([text = text] { AppRef::parse(text); }), message);
    EXPECT_FALSE(AppRef::tryParse(text)) << text;
  }
}

TEST(AppRef, WritesItselfCanonically) {
  EXPECT_EQ(AppRef::parse("a,x=y,version=1.0.0").str(), "a:1.0.0,x=y");
  EXPECT_EQ(AppRef::parse("a,version=").str(), "a,version=");
  EXPECT_EQ(AppRef::parse("a:1%3a2,x=%20%0a%c3%a4").str(), "a:1%3A2,x=%20%0A%C3%A4");
  const AppRef made(
      AcIdentifier::parse("a"),
      Labels::make({{AcIdentifier::parse("x"), "y"}, {AcIdentifier::parse("version"), "1"}}));
  EXPECT_EQ(made, AppRef::parse("a:1,x=y"));
}

TEST(AppRef, DefaultsAreThisMachines) {
  const AppRef plain = AppRef::parse("a").withDefaults(true);
  EXPECT_EQ(plain.labels().get("os"), hostOs());
  EXPECT_EQ(plain.labels().get("arch"), hostArch());
  EXPECT_EQ(plain.labels().get("version"), "latest");
  EXPECT_FALSE(AppRef::parse("a").withDefaults(false).labels().get("version"));
  EXPECT_EQ(AppRef::parse("a:1").withDefaults(true).labels().get("version"), "1");
  const AppRef other = AppRef::parse("a,os=darwin").withDefaults(true);
  EXPECT_FALSE(other.labels().get("arch"));
}

}  // namespace
}  // namespace actool::schema
