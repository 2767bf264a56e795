#include "core/record/record.h"

#include <gtest/gtest.h>

#include "core/base/fd.h"
#include "tests/support/errors.h"

namespace actool::record {
namespace {

using test::messageOf;

const std::string kId = "sha512-" + std::string(128, 'a');
constexpr const char* kForms =
    "an image is given as NAME[:VERSION][,LABEL=VALUE...], sha512-..., a path, a file://, http:// "
    "or https:// URL, magnet:..., docker://... or oci:...";

// The kind and the content of an argument, for comparing.
std::string show(const ImageArg& arg) {
  struct Visitor {
    std::string operator()(const schema::AppRef& v) const { return "name " + v.str(); }
    std::string operator()(const schema::ImageIdPrefix& v) const { return "id " + v.str(); }
    std::string operator()(const FileArg& v) const { return "file " + v.path.string(); }
    std::string operator()(const UrlArg& v) const { return "url " + v.url; }
    std::string operator()(const TorrentArg& v) const { return "torrent " + v.uri; }
    std::string operator()(const RegistryArg& v) const { return "registry " + v.reference; }
  };
  return std::visit(Visitor{}, arg);
}

TEST(ImageArg, IsToldByItsForm) {
  const std::string here = std::filesystem::current_path().string();
  const std::pair<std::string, std::string> cases[] = {
      {"example.com/web:1.2.0", "name example.com/web:1.2.0"},
      {"example.com/web,version=1.2.0,os=linux,arch=amd64",
       "name example.com/web:1.2.0,os=linux,arch=amd64"},
      {"web", "name web"},
      {"oci", "name oci"},
      {"sha512-ab", "id sha512-ab"},
      {kId, "id " + kId},
      {"/srv/web", "file /srv/web"},
      {"/srv/../etc//x", "file /etc/x"},
      {"./web", "file " + here + "/web"},
      {"web.aci", "file " + here + "/web.aci"},
      {"images/web.oci", "file " + here + "/images/web.oci"},
      {"x.torrent", "file " + here + "/x.torrent"},
      {"file:///srv/a%20b.aci", "file /srv/a b.aci"},
      {"file://localhost/srv/web.aci", "file /srv/web.aci"},
      {"https://example.com/web.aci", "url https://example.com/web.aci"},
      {"http://example.com/x.torrent", "url http://example.com/x.torrent"},
      {"HTTPS://example.com/", "url HTTPS://example.com/"},
      {"magnet:?xt=urn:btih:abc", "torrent magnet:?xt=urn:btih:abc"},
      {"docker://busybox", "registry docker://busybox"},
      {"oci:/srv/layout:tag", "registry oci:/srv/layout:tag"}};
  for (const auto& [text, shown] : cases) {
    EXPECT_EQ(show(parseImageArg(text)), shown);
  }
  EXPECT_EQ(show(parseImageArg(".")).substr(0, 5 + here.size()), "file " + here);
}

TEST(ImageArg, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", std::string("the image argument is empty; ") + kForms},
      {"sha512-XYZ",
       "\"sha512-XYZ\" is no image ID; an image ID is \"sha512-\" and 2 to 128 lower-case hex "
       "digits"},
      {"ftp://example.com/a",
       std::string("\"ftp://example.com/a\": the scheme ftp is unknown; ") + kForms},
      {"file://elsewhere/a",
       "\"file://elsewhere/a\" names a file of another host; write file:///PATH"},
      {"file:///a%2", "\"file:///a%2\" is badly percent-encoded"},
      {"file:///a%00", "\"file:///a%00\" is badly percent-encoded"},
      {"https://example.com/a b",
       "\"https://example.com/a b\" has a space or control character; percent-encode it"},
      {"magnet:\n", "\"magnet:\\x0a\" has a space or control character; percent-encode it"},
      {"Web", std::string("image name \"Web\": the identifier \"Web\" has \"W\" at position 1; "
                          "only a-z, 0-9 and -._~/ are allowed; ") +
                  kForms}};
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(messageOf<UsageError>([&text = text] { parseImageArg(text); }), message);
  }
  EXPECT_THROW(parseImageArg(std::string_view("/a\0b", 4)), UsageError);
}

TEST(Discovered, GoesThroughAPipe) {
  const Discovered sent{schema::AppRef::parse("example.com/web:1.0.0,channel=beta"),
                        {{"https://example.com/web.aci", "https://example.com/web.aci.asc"},
                         {"torrent+https://example.com/web.torrent", ""}},
                        {"https://example.com/key.asc"}};
  const std::string line = dumpLine(sent.toJson());
  EXPECT_EQ(
      line,
      R"({"endpoints":[{"aci":"https://example.com/web.aci","asc":"https://example.com/web.aci.asc"},)"
      R"({"aci":"torrent+https://example.com/web.torrent"}],"keys":["https://example.com/key.asc"],)"
      R"("kind":"discovered","requested":"example.com/web:1.0.0,channel=beta"})");
  const auto got = std::get<Discovered>(parseLine(line));
  EXPECT_EQ(got.requested, sent.requested);
  EXPECT_EQ(got.toJson(), sent.toJson());
}

Image image(const char* requested) {
  return {schema::ImageId::parse(kId),
          schema::AcIdentifier::parse("example.com/web"),
          schema::Labels::fromObject({{"version", "1.0.0"}, {"os", "linux"}}),
          schema::AppRef::tryParse(requested),
          1000,
          500,
          "2026-11-22T05:50:25Z",
          "",
          "abcdef",
          {"https://example.com/web.aci", "/srv/a b.aci"}};
}

TEST(Image, GoesThroughAPipe) {
  const Image sent = image("example.com/web:1.0.0");
  const std::string line = dumpLine(sent.toJson());
  EXPECT_EQ(line,
            R"({"distributedSize":500,"id":")" + kId +
                R"(","imported":"2026-11-22T05:50:25Z","kind":"image",)"
                R"("labels":{"os":"linux","version":"1.0.0"},"name":"example.com/web",)"
                R"("requested":"example.com/web:1.0.0","signedBy":"abcdef",)"
                R"("sources":["https://example.com/web.aci","/srv/a b.aci"],"tarSize":1000})");
  const auto got = std::get<Image>(parseLine("  " + line + "\r"));
  EXPECT_EQ(got.toJson(), sent.toJson());
  EXPECT_FALSE(std::get<Image>(parseLine(dumpLine(image("").toJson()))).requested);
}

TEST(Image, IgnoresMembersItDoesNotKnow) {
  Json json = image("").toJson();
  json["later"] = 1;
  EXPECT_EQ(Image::fromJson(json).toJson(), image("").toJson());
}

TEST(Image, IsHeldAgainstTheRequest) {
  EXPECT_NO_THROW(image("").checkMatches());
  EXPECT_NO_THROW(image("example.com/web").checkMatches());
  EXPECT_NO_THROW(image("example.com/web:1.0.0,os=linux").checkMatches());
  const std::pair<const char*, const char*> cases[] = {
      {"example.com/webs:1.0.0",
       "example.com/webs:1.0.0 was asked for, the image is called example.com/web"},
      {"example.com/web:2.0.0",
       "example.com/web:2.0.0 was asked for, the image has version=\"1.0.0\""},
      {"example.com/web,channel=beta",
       "example.com/web,channel=beta was asked for, the image has no label channel"}};
  for (const auto& [requested, message] : cases) {
    EXPECT_EQ(messageOf<TrustError>([r = requested] { image(r).checkMatches(); }), message);
  }
}

TEST(ParseLine, TakesBareArguments) {
  EXPECT_EQ(show(std::get<ImageArg>(parseLine(" example.com/web \r"))), "name example.com/web");
}

TEST(ParseLine, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"{", "record:1:2: not valid JSON at \"{\""},
      {"{}", "record: the member \"kind\" is missing"},
      {R"({"kind":7})", "record: \"kind\" is number, it should be a string"},
      {R"({"kind":"podcast"})",
       "record: the kind \"podcast\" is unknown; known are discovered and image"},
      {R"({"kind":"image"})", "record: the member \"id\" is missing"},
      {R"({"kind":"image","id":"x"})",
       "record: \"x\" is no image ID; an image ID is \"sha512-\" and 128 lower-case hex digits"},
      {R"({"kind":"image","id":")" + kId + R"(","name":"a","imported":"now"})",
       "record: imported: \"now\" is no RFC 3339 time; it should look like 2015-05-18T13:49:28Z or "
       "2015-05-18T13:49:28.35-04:00"},
      {R"({"kind":"image","id":")" + kId + R"(","name":"a","signedBy":"me"})",
       "record: signedBy: \"me\" is no fingerprint"},
      {R"({"kind":"discovered"})", "record: the member \"requested\" is missing"},
      {R"({"kind":"discovered","requested":"a","endpoints":[{}]})",
       "record: endpoints: [0]: the member \"aci\" is missing"},
      {R"({"kind":"discovered","requested":"a","endpoints":[{"aci":"a\nb"}]})",
       "record: endpoints: [0]: aci: \"a\\x0ab\" is no URL"}};
  for (const auto& [line, message] : cases) {
    EXPECT_EQ(messageOf([&line = line] { parseLine(line); }), message);
  }
}

std::vector<std::string> readAll(std::string_view text) {
  Pipe pipe = makePipe();
  writeAll(pipe.write.get(), text, "pipe");
  pipe.write.reset();
  std::vector<std::string> shown;
  forEachRecord(pipe.read.get(), [&](const Record& record) {
    const auto* arg = std::get_if<ImageArg>(&record);
    shown.push_back(arg != nullptr ? show(*arg) : "record");
  });
  return shown;
}

TEST(ForEachRecord, SkipsBlankLines) {
  EXPECT_EQ(readAll("a\n\n  \n{\"kind\":\"discovered\",\"requested\":\"b\"}\nsha512-ab"),
            (std::vector<std::string>{"name a", "record", "id sha512-ab"}));
  EXPECT_TRUE(readAll("").empty());
}

TEST(ForEachRecord, NamesTheLine) {
  EXPECT_EQ(messageOf([] { readAll("a\n\n{}\n"); }),
            "standard input, line 3: record: the member \"kind\" is missing");
}

}  // namespace
}  // namespace actool::record
