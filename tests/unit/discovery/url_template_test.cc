#include "discovery/url_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace actool::discovery {
namespace {

record::Endpoint render(const std::string& urlTemplate, const std::string& ref) {
  return renderTemplate(urlTemplate, schema::AppRef::parse(ref));
}

std::string templateFailure(const std::string& urlTemplate,
                            const std::string& ref = "example.com/web:1.0.0") {
  try {
    const record::Endpoint endpoint = render(urlTemplate, ref);
    return "rendered as " + endpoint.aci;
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(UrlTemplate, ExampleOfTheSpec) {
  const record::Endpoint endpoint =
      render("https://storage.example.com/{os}/{arch}/{name}-{version}.{ext}",
             "example.com/reduce-worker:1.0.0,os=linux,arch=amd64");
  EXPECT_EQ(endpoint.aci,
            "https://storage.example.com/linux/amd64/example.com/reduce-worker-1.0.0.aci");
  EXPECT_EQ(endpoint.asc,
            "https://storage.example.com/linux/amd64/example.com/reduce-worker-1.0.0.aci.asc");
}

TEST(UrlTemplate, AnyLabelIsAVariable) {
  EXPECT_EQ(render("https://h/{channel}/{build-id}.{ext}", "a.b,channel=beta,build-id=7").aci,
            "https://h/beta/7.aci");
}

TEST(UrlTemplate, NameMayBeTheHost) {
  EXPECT_EQ(render("https://{name}-{version}.{ext}", "example.com/web:1.0.0").aci,
            "https://example.com/web-1.0.0.aci");
}

TEST(UrlTemplate, ValuesAreEncodedOnceAndNeverExpandedAgain) {
  EXPECT_EQ(render("https://h/{a}.{ext}", "x,a=%2Fetc%2F..%2Fb").aci,
            "https://h/%2Fetc%2F..%2Fb.aci");
  EXPECT_EQ(render("https://h/{a}.{ext}", "x,a=%7Bext%7D").aci, "https://h/%7Bext%7D.aci");
  EXPECT_EQ(render("https://h/{version}.{ext}", "x:1.0.0+build?#%20%25").aci,
            "https://h/1.0.0%2Bbuild%3F%23%20%25.aci");
  EXPECT_EQ(render("https://h/{a}.{ext}", "x,a=%C3%A9").aci, "https://h/%C3%A9.aci");
}

TEST(UrlTemplate, LabelsCannotRedefineExt) {
  EXPECT_EQ(render("https://h/{ext}", "x,ext=evil").asc, "https://h/aci.asc");
}

TEST(UrlTemplate, LiteralsOutsideAsciiAreEncoded) {
  EXPECT_EQ(render("https://h/\xc3\xa9.{ext}", "x").aci, "https://h/%C3%A9.aci");
}

TEST(UrlTemplate, UnknownSchemesStay) {
  EXPECT_EQ(render("torrent+https://h/{name}.{ext}.torrent", "x/y").aci,
            "torrent+https://h/x/y.aci.torrent");
  EXPECT_EQ(render("hdfs://store:8020/{name}.{ext}", "x/y").asc, "hdfs://store:8020/x/y.aci.asc");
}

TEST(UrlTemplate, RefusalsSayWhy) {
  EXPECT_EQ(templateFailure("https://h/{name}-{version}"), "the template has no {ext}");
  EXPECT_EQ(templateFailure("https://h/{os}.{ext}"), "the template needs {os}");
  EXPECT_EQ(templateFailure("https://h/{+name}.{ext}"), "the template needs {+name}");
  EXPECT_EQ(templateFailure("https://h/{}.{ext}"), "the template needs {}");
  EXPECT_EQ(templateFailure("https://h/{name.{ext}"), "the template has a brace without its pair");
  EXPECT_EQ(templateFailure("https://h/name}.{ext}"), "the template has a brace without its pair");
  EXPECT_EQ(templateFailure("https://h/{ext}{"), "the template has a brace without its pair");
  EXPECT_EQ(templateFailure("/images/{name}.{ext}"),
            "\"/images/example.com/web.aci\" is not a URL that can be used: it has no scheme");
  EXPECT_EQ(templateFailure("{version}://h/{ext}"),
            "\"1.0.0://h/aci\" is not a URL that can be used: it has no scheme");
  EXPECT_EQ(templateFailure("https:///{name}.{ext}"),
            "\"https:///example.com/web.aci\" is not a URL that can be used: it has no host");
  EXPECT_EQ(
      templateFailure("FILE://h/{name}.{ext}"),
      "\"FILE://h/example.com/web.aci\" is not a URL that can be used: it names a local file");
  EXPECT_EQ(templateFailure("https://h/a b.{ext}"),
            "\"https://h/a b.aci\" is not a URL that can be used: it has a character that URLs do "
            "not have");
  EXPECT_EQ(templateFailure("https://h/{channel}/x.{ext}", "x,channel=.."),
            "\"https://h/../x.aci\" has a \"..\" in its path");
  EXPECT_EQ(templateFailure("https://h/" + std::string(9000, 'x') + "{ext}"),
            "the template becomes longer than 8192 bytes");
}

TEST(UrlTemplate, ValuesThatMultiplyAreCutShort) {
  std::string many = "https://h/";
  for (int i = 0; i < 600; ++i)
    many += "{name}";
  EXPECT_EQ(templateFailure(many + "{ext}", std::string(1000, 'a')),
            "the template becomes longer than 8192 bytes");
}

TEST(UrlTemplate, CredentialsInUrlsAreRefused) {
  EXPECT_THAT(
      templateFailure("https://user:secret@h/{name}.{ext}"),
      ::testing::StartsWith("\"https://user:secret@h/example.com/web.aci\" is not a URL that "
                            "can be used: "));
}

TEST(CheckedUrl, StaysAsItIs) {
  EXPECT_EQ(checkedUrl("https://Example.com:8443/keys.asc?a=b#c"),
            "https://Example.com:8443/keys.asc?a=b#c");
  EXPECT_THROW(checkedUrl(""), Error);
  EXPECT_THROW(checkedUrl("keys.asc"), Error);
  EXPECT_THROW(checkedUrl("https://h/\x1b[31m"), Error);
}

}  // namespace
}  // namespace actool::discovery
