// Image and pod manifests and the app in them: the spec's examples, appc's own test cases, and
// bad input.
#include <gtest/gtest.h>

#include "core/base/fs.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"
#include "tests/support/errors.h"

namespace actool::schema {
namespace {

using test::messageOf;

const std::string kId = "sha512-" + std::string(128, '0');

std::string example(const char* name) {
  return readFile(Path(ACTOOL_TESTDATA) / "fuzz/manifest" / name, 1 << 20);
}

App app(const std::string& json) {
  return App::fromJson(parseJson(json, "test"));
}

// An app with `members` beside the required ones.
std::string withApp(const std::string& members) {
  return R"({"exec":["/a"],"user":"0","group":"0",)" + members + "}";
}

std::string appError(const std::string& json) {
  return messageOf([&] { app(json); });
}

TEST(App, TakesWhatAppcTakes) {
  for (const char* json :
       {R"({"exec":["/bin/httpd"],"user":"0","group":"0","workingDirectory":"/tmp"})",
        R"({"exec":["/app"],"user":"0","group":"0","workingDirectory":"/tmp",
            "eventHandlers":[{"name":"pre-start","exec":[]},{"name":"post-stop","exec":["/x"]}],
            "environment":[{"name":"DEBUG","value":"true"}]})",
        R"({"exec":[],"user":"0","group":"0"})",
        R"({"exec":["bin/app","arg1"],"user":"/x","group":"g"})",
        R"({"exec":["/a"],"user":"0","group":"0","userAnnotations":{"weird!":"normal?"},
            "userLabels":{"one!":"two?"}})"}) {
    EXPECT_EQ(app(json).toJson(), parseJson(json, "test")) << json;
  }
  EXPECT_TRUE(app(R"({"user":"0","group":"0"})").exec.empty());
  EXPECT_TRUE(app(R"({"exec":null,"user":"0","group":"0","ports":null})").ports.empty());
}

TEST(App, SaysWhatIsWrong) {
  const std::pair<std::string, const char*> cases[] = {
      {R"({"exec":["/a"]})", "the member \"user\" is missing"},
      {R"({"exec":["/a"],"user":"0"})", "the member \"group\" is missing"},
      {R"({"exec":["/a"],"user":"","group":"0"})", "the member \"user\" is empty"},
      {R"({"exec":"not a list"})", "exec: is string, it should be a list"},
      {R"({"exec":["/a",7]})", "exec: [1]: is number, it should be a string"},
      {R"({"exec":["/a\u0000b"]})", "exec: [0]: \"/a\\x00b\" has a NUL byte"},
      {withApp(R"("workingDirectory":"stuff")"),
       "workingDirectory: \"stuff\" is not an absolute path"},
      {withApp(R"("workingDirectory":"../home/fred")"),
       "workingDirectory: \"../home/fred\" is not an absolute path"},
      {withApp(R"("eventHandlers":[{"name":"pre-start"},{"name":"pre-start"}])"),
       "the event handler \"pre-start\" is there twice"},
      {withApp(R"("eventHandlers":[{"name":"at-noon"}])"),
       "eventHandlers: [0]: \"at-noon\" is no event; it must be pre-start or post-stop"},
      {withApp(R"("environment":[{"name":"0DEBUG","value":"true"}])"),
       "environment: [0]: \"0DEBUG\" is no name of an environment variable; it is made of letters, "
       "digits, '_', '.' and '-' and begins with a letter or '_'"},
      {withApp(R"("environment":[{"name":"A","value":"1"},{"name":"A","value":"1"}])"),
       "the environment variable \"A\" is there twice"},
      {withApp(R"("supplementaryGIDs":[4294967295])"),
       "supplementaryGIDs: [0]: is 4294967295, it should be a whole number from 0 to 4294967294"},
      {withApp(R"("supplementaryGIDs":[-1])"),
       "supplementaryGIDs: [0]: is -1, it should be a whole number from 0 to 4294967294"},
      {withApp(R"("supplementaryGIDs":[1],"supplementaryGids":[2])"),
       "supplementaryGIDs is there in two spellings"},
      {withApp(R"("mountPoints":[{"name":"w","path":"var"}])"),
       "mountPoints: [0]: path: \"var\" is not an absolute path"},
      {withApp(R"("mountPoints":[{"name":"w","path":"/a/../b"}])"),
       "mountPoints: [0]: path: \"/a/../b\" has a \"..\" component"},
      {withApp(R"("mountPoints":[{"name":"w","path":""}])"),
       "mountPoints: [0]: path: \"\" is not an absolute path"},
      {withApp(R"("mountPoints":[{"name":"#w","path":"/"}])"),
       "mountPoints: [0]: the name \"#w\" has \"#\" at position 1; only a-z, 0-9 and - are "
       "allowed"},
      {withApp(R"("mountPoints":[{"name":"w","path":"/"},{"name":"w","path":"/b"}])"),
       "the mount point \"w\" is there twice"},
      {withApp(R"("ports":[{"name":"p","protocol":"tcp","port":88888}])"),
       "ports: [0]: port: is 88888, it should be a whole number from 0 to 65535"},
      {withApp(R"("ports":[{"name":"p","protocol":"tcp","port":0}])"),
       "ports: [0]: port: is 0, it should be 1 to 65535"},
      {withApp(R"("ports":[{"name":"p","protocol":"tcp","port":1.5}])"),
       "ports: [0]: port: is 1.5, it should be a whole number from 0 to 65535"},
      {withApp(R"("ports":[{"name":"p","protocol":"tcp","port":32456,"count":45678}])"),
       "ports: [0]: the range of 45678 ports from 32456 goes beyond 65535"},
      {withApp(R"("ports":[{"name":"p","port":1}])"),
       "ports: [0]: the member \"protocol\" is missing"},
      {withApp(R"("isolators":[{"name":"os/linux/cpu-shares","value":0}])"),
       "isolators: os/linux/cpu-shares: is 0, it should be a whole number from 2 to 262144"},
      {withApp(R"("userLabels":{"a":1})"), "userLabels: \"a\" is number, it should be a string"},
      {withApp(R"("userAnnotations":[])"), "userAnnotations: is array, it should be an object"},
      {"[]", "is array, it should be an object"}};
  for (const auto& [json, message] : cases) {
    EXPECT_EQ(appError(json), message) << json;
  }
}

TEST(App, TakesVariableNamesOfAppc) {
  for (const char* name : {"DEBUG", "_0_DEBUG_0_", "DEBUG.0", "DEBUG-0", "a"}) {
    EXPECT_NO_THROW(
        app(withApp(std::string(R"("environment":[{"name":")") + name + R"(","value":""}])")))
        << name;
  }
  for (const char* name : {"", "0DEBUG", "VERBOSE|DEBUG", "A B", "A=B", "-A", ".A"}) {
    EXPECT_THROW(
        app(withApp(std::string(R"("environment":[{"name":")") + name + R"(","value":""}])")),
        Error)
        << name;
  }
}

TEST(App, ReadsBothSpellingsOfSupplementaryGids) {
  const App read = app(withApp(R"("supplementaryGids":[400,500])"));
  EXPECT_EQ(read.supplementaryGids, (std::vector<std::uint32_t>{400, 500}));
  EXPECT_EQ(read.toJson()["supplementaryGIDs"], Json({400, 500}));
}

TEST(App, ReadsAPortRange) {
  const App read = app(withApp(R"("ports":[{"name":"p","protocol":"tcp","port":32456,"count":100},
                                           {"name":"q","protocol":"udp","port":65535,"count":0}])"));
  EXPECT_EQ(read.ports[0].count, 100u);
  EXPECT_EQ(read.ports[1].count, 1u);
}

Annotations annotations(const char* json) {
  return Annotations::fromJson(parseJson(json, "test"));
}

TEST(Annotations, AreChecked) {
  for (const char* json :
       {R"([{"name":"created","value":"2004-05-14T23:11:14+00:00"},
            {"name":"documentation","value":"http://example.com/docs"}])",
        R"([{"name":"foo","value":"bar"},{"name":"homepage","value":"https://homepage.com"}])",
        R"([{"name":"appc.io/executor/supports-systemd-notify","value":"false"}])", "[]"}) {
    EXPECT_EQ(annotations(json).toJson(), parseJson(json, "test"));
  }
  const std::pair<const char*, const char*> bad[] = {
      {R"([{"name":"a","value":"b"},{"name":"a","value":"b"}])",
       "the annotation \"a\" is there twice"},
      {R"([{"name":"created","value":"garbage"}])",
       "[0]: created: \"garbage\" is no RFC 3339 time; it should look like 2015-05-18T13:49:28Z or "
       "2015-05-18T13:49:28.35-04:00"},
      {R"([{"name":"homepage","value":"not-A$@#URL"}])",
       "[0]: homepage: \"not-A$@#URL\" is no http or https URL"},
      {R"([{"name":"documentation","value":"ftp://isnotallowed.com"}])",
       "[0]: documentation: \"ftp://isnotallowed.com\" is no http or https URL"},
      {R"([{"name":"homepage","value":"https://"}])",
       "[0]: homepage: \"https://\" is no http or https URL"}};
  for (const auto& [json, message] : bad) {
    EXPECT_EQ(messageOf([json = json] { annotations(json); }), message);
  }
}

TEST(Annotations, SetReplaces) {
  Annotations set = annotations(R"([{"name":"foo","value":"bar"}])");
  set.set(AcIdentifier::parse("dog"), "woof");
  set.set(AcIdentifier::parse("foo"), "baz");
  EXPECT_EQ(dumpLine(set.toJson()),
            R"([{"name":"foo","value":"baz"},{"name":"dog","value":"woof"}])");
  EXPECT_FALSE(set.get("wuuf"));
  EXPECT_THROW(set.set(AcIdentifier::parse("created"), "now"), Error);
}

TEST(ImageManifest, ReadsTheExampleOfTheSpec) {
  const auto manifest = ImageManifest::parse(example("image_full.json"), "test");
  EXPECT_EQ(manifest.name.str(), "example.com/reduce-worker");
  EXPECT_EQ(manifest.labels.get("version"), "1.0.0");
  ASSERT_TRUE(manifest.app);
  EXPECT_EQ(manifest.app->ports[1].count, 1000u);
  EXPECT_EQ(manifest.app->isolators.resource("resource/memory")->limit->value(), 2'000'000'000);
  EXPECT_EQ(manifest.dependencies[0].size, 22017258u);
  EXPECT_EQ(manifest.pathWhitelist.size(), 5u);
  EXPECT_EQ(manifest.annotations.get("created"), "2014-10-27T19:32:27.67021798Z");
  const Json json = manifest.toJson();
  EXPECT_EQ(ImageManifest::fromJson(json).toJson(), json);
}

TEST(ImageManifest, KeepsWhatItDoesNotKnow) {
  const std::string json =
      R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"a","x":{"y":[1,null]},)"
      R"("app":{"exec":[],"user":"0","group":"0","z":1},)"
      R"("dependencies":[{"imageName":"b","w":true}]})";
  EXPECT_EQ(ImageManifest::parse(json, "test").toJson(), parseJson(json, "test"));
}

TEST(ImageManifest, WritesNoEmptyApp) {
  const auto manifest = ImageManifest::parse(
      R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/test"})", "test");
  EXPECT_FALSE(manifest.app);
  EXPECT_EQ(dumpLine(manifest.toJson()),
            R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/test"})");
}

TEST(ImageManifest, SaysWhatIsWrong) {
  const auto with = [](const std::string& members) {
    return R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"a",)" + members + "}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {R"({"name":"example.com/test"})", "web.aci: the member \"acKind\" is missing"},
      {R"({"acKind":"PodManifest"})",
       "web.aci: acKind: is \"PodManifest\", it should be \"ImageManifest\""},
      {R"({"acKind":"ImageManifest","name":"a"})", "web.aci: the member \"acVersion\" is missing"},
      {R"({"acKind":"ImageManifest","acVersion":"1","name":"a"})",
       "web.aci: acVersion: \"1\" is no semantic version; it should look like 1.2.3, 1.2.3-rc.1 or "
       "1.2.3+build"},
      {R"({"acKind":"ImageManifest","acVersion":"1.0.0","name":"a"})",
       "web.aci: acVersion: 1.0.0 is of another major version than 0.8.11, which is known here"},
      {R"({"acKind":"ImageManifest","acVersion":"0.8.11"})",
       "web.aci: the member \"name\" is missing"},
      {R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"A"})",
       "web.aci: name: the identifier \"A\" has \"A\" at position 1; only a-z, 0-9 and -._~/ are "
       "allowed"},
      {with(R"("labels":[{"name":"os","value":"dos"}])"),
       "web.aci: labels: the label os=\"dos\" is unknown; it must be darwin, freebsd or linux"},
      {with(R"("pathWhitelist":["etc"])"),
       "web.aci: pathWhitelist: [0]: \"etc\" is not an absolute path"},
      {with(R"("dependencies":[{"imageName":"b","imageID":"sha512-1"}])"),
       "web.aci: dependencies: [0]: imageID: \"sha512-1\" is no image ID; an image ID is "
       "\"sha512-\" and 128 lower-case hex digits"},
      {with(R"("dependencies":[{"imageName":"b","size":-1}])"),
       "web.aci: dependencies: [0]: size: is -1, it should be a whole number from 0 to "
       "9223372036854775807"},
      {with(R"("app":{"user":"0"})"), "web.aci: app: the member \"group\" is missing"},
      {"7", "web.aci: is number, it should be an object"}};
  for (const auto& [json, message] : cases) {
    EXPECT_EQ(messageOf([&json = json] { ImageManifest::parse(json, "web.aci"); }), message);
  }
}

TEST(ImageManifest, HasALimit) {
  EXPECT_THROW(ImageManifest::parse(std::string(kMaxManifestBytes + 1, ' '), "test"), Error);
}

Volume volume(const char* option) {
  return Volume::parseOption(option);
}

TEST(Volume, ReadsRktsOption) {
  const std::pair<const char*, const char*> cases[] = {
      {"foobar,kind=host,source=/tmp", R"({"kind":"host","name":"foobar","source":"/tmp"})"},
      {"foobar,kind=host,source=/tmp,readOnly=false",
       R"({"kind":"host","name":"foobar","readOnly":false,"source":"/tmp"})"},
      {"foobar,kind=host,source=/tmp,readOnly=true",
       R"({"kind":"host","name":"foobar","readOnly":true,"source":"/tmp"})"},
      {"foobar,kind=host,source=/tmp,recursive=false",
       R"({"kind":"host","name":"foobar","recursive":false,"source":"/tmp"})"},
      {"foobar,kind=host,source=/tmp,recursive=true",
       R"({"kind":"host","name":"foobar","recursive":true,"source":"/tmp"})"},
      {"foobar,kind=empty", R"({"gid":0,"kind":"empty","mode":"0755","name":"foobar","uid":0})"},
      {"foobar,kind=empty,readOnly=true,mode=0777",
       R"({"gid":0,"kind":"empty","mode":"0777","name":"foobar","readOnly":true,"uid":0})"},
      {"foobar,kind=empty,mode=0777,uid=1000,gid=1001",
       R"({"gid":1001,"kind":"empty","mode":"0777","name":"foobar","uid":1000})"}};
  for (const auto& [option, json] : cases) {
    EXPECT_EQ(dumpLine(volume(option).toJson()), json);
    EXPECT_EQ(Volume::fromJson(parseJson(json, "test")).toJson(), parseJson(json, "test"));
  }
}

TEST(Volume, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"#foobar,kind=host,source=/tmp",
       "the name \"#foobar\" has \"#\" at position 1; only a-z, 0-9 and - are allowed"},
      {"foobar,kind=host,source=/tmp,readOnly=true,asdf=asdf",
       "the parameter \"asdf\" is unknown; known are kind, source, readOnly, recursive, mode, uid "
       "and gid"},
      {"foobar,kind=host,source=tmp", "source: \"tmp\" is not an absolute path"},
      {"foobar,kind=host,uid=3", "the member \"source\" is missing"},
      {"foobar,kind=host,source=/a,mode=0755", "a volume of kind host has no \"mode\""},
      {"foobar,kind=host,source=/a,readOnly=true,gid=0", "a volume of kind host has no \"gid\""},
      {"foobar,kind=empty,source=/tmp", "a volume of kind empty has no \"source\""},
      {"foobar,kind=empty,mode=rwx",
       "mode: \"rwx\" is no octal file mode; it is written like 0755"},
      {"foobar,kind=empty,uid=-1", "uid: \"-1\" is no number"},
      {"foobar,kind=host,source=/tmp,recursive=MAYBE",
       "recursive: \"MAYBE\" should be true or false"},
      {"foobar,kind=tmpfs", "kind: \"tmpfs\" is unknown; it must be host or empty"},
      {"foobar,kind=host,kind=empty", "\"kind\" is given twice"},
      {"foobar,name=b", "\"name\" is given twice"},
      {"foobar", "the member \"kind\" is missing"},
      {"foobar,kind",
       "\"kind\" has no value; write NAME,kind=host,source=/DIRECTORY or NAME,kind=empty"}};
  for (const auto& [option, message] : cases) {
    EXPECT_EQ(messageOf([option = option] { volume(option); }),
              std::string("volume \"") + option + "\": " + message);
  }
}

PodManifest pod(const std::string& members) {
  return PodManifest::parse(R"({"acKind":"PodManifest","acVersion":"0.8.11",)" + members + "}",
                            "pod");
}

TEST(PodManifest, ReadsTheExampleOfTheSpec) {
  const auto manifest = PodManifest::parse(example("pod_full.json"), "test");
  ASSERT_EQ(manifest.apps.size(), 3u);
  EXPECT_TRUE(manifest.apps[0].readOnlyRootFs);
  EXPECT_EQ(manifest.apps[0].mounts[0].path, "/var/lib/work");
  EXPECT_EQ(manifest.volumes[0].source, "/opt/tenant1/work");
  EXPECT_EQ(manifest.ports[0].hostPort, 2121);
  const Json json = manifest.toJson();
  EXPECT_EQ(PodManifest::fromJson(json).toJson(), json);
}

TEST(PodManifest, TakesTheNullsThatRktWrites) {
  const auto manifest =
      pod(R"("apps":null,"volumes":null,"isolators":null,"annotations":null,"ports":null)");
  EXPECT_EQ(dumpLine(manifest.toJson()),
            R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[]})");
  EXPECT_EQ(PodManifest().toJson(), manifest.toJson());
}

TEST(PodManifest, KeepsWhatItDoesNotKnow) {
  const Json json = parseJson(
      R"({"acKind":"PodManifest","acVersion":"0.8.11","x":1,"apps":[{"name":"a","y":2,"image":{"id":")" +
          kId + R"(","z":3},"mounts":[{"volume":"v","path":"/","w":4}]}]})",
      "test");
  EXPECT_EQ(PodManifest::fromJson(json).toJson(), json);
}

TEST(PodManifest, SaysWhatIsWrong) {
  const std::string a = R"({"name":"a","image":{"id":")" + kId + R"("}})";
  const std::pair<std::string, const char*> cases[] = {
      {R"("volumes":[])", "pod: the member \"apps\" is missing"},
      {"\"apps\":[" + a + "," + a + "]", "pod: the app \"a\" is there twice"},
      {R"("apps":[{"name":"a"}])", "pod: apps: [0]: the member \"image\" is missing"},
      {R"("apps":[{"name":"a","image":{}}])",
       "pod: apps: [0]: image: the member \"id\" is missing"},
      {R"("apps":[],"volumes":[{"name":"v","kind":"empty"},{"name":"v","kind":"host","source":"/tmp"}])",
       "pod: the volume \"v\" is there twice"},
      {R"("apps":[],"ports":[{"name":"p","hostPort":70000}])",
       "pod: ports: [0]: hostPort: is 70000, it should be a whole number from 0 to 65535"},
      {R"("apps":[],"ports":[{"name":"p","hostPort":80,"hostIP":"::1"}])",
       "pod: ports: [0]: hostIP: \"::1\" is no IPv4 address"},
      {R"("apps":[],"userLabels":{"a":[]})",
       "pod: userLabels: \"a\" is array, it should be a string"}};
  for (const auto& [members, message] : cases) {
    EXPECT_EQ(messageOf([&members = members] { pod(members); }), message);
  }
  EXPECT_EQ(messageOf([] { PodManifest::parse("{}", "pod"); }),
            "pod: the member \"acKind\" is missing");
}

}  // namespace
}  // namespace actool::schema
