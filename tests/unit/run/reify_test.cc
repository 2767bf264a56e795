#include "run/reify.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/errors.h"

namespace actool::run {
namespace {

using test::messageOf;

const std::string kIdText = "sha512-" + std::string(128, 'a');

schema::ImageManifest image(
    const std::string& app = R"({"exec":["/bin/a"],"user":"1","group":"2"})",
    const std::string& labels = "[]", const std::string& name = "example.com/some/web_app") {
  return schema::ImageManifest::parse(R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":")" +
                                          name + R"(","labels":)" + labels +
                                          (app.empty() ? "" : R"(,"app":)" + app) + "}",
                                      "test");
}

AppPlan plan(schema::ImageManifest manifest, AppOptions options = {}) {
  return {schema::ImageId::parse(kIdText), std::move(manifest), std::move(options)};
}

std::map<std::string, std::string> environmentOf(const schema::RuntimeApp& app) {
  std::map<std::string, std::string> map;
  for (const schema::EnvVar& variable : app.app->environment)
    EXPECT_TRUE(map.emplace(variable.name, variable.value).second) << variable.name << " twice";
  return map;
}

const std::string kPlain = "example.com/web";

TEST(Reify, NamesAppsByTheLastComponent) {
  const auto manifest = reify(
      {},
      {plan(image(R"({"exec":["/a"],"user":"0","group":"0"})", "[]", "example.com/some/web.app"))},
      {});
  ASSERT_EQ(manifest.apps.size(), 1u);
  EXPECT_EQ(manifest.apps[0].name.str(), "web-app");
  EXPECT_EQ(manifest.apps[0].image.id.str(), kIdText);
  EXPECT_EQ(manifest.apps[0].image.name->str(), "example.com/some/web.app");
}

schema::ImageManifest web(const std::string& app = R"({"exec":["/a","b"],"user":"1","group":"2"})",
                          const std::string& labels = "[]") {
  return image(app, labels, kPlain);
}

TEST(Reify, OverridesWhatTheImageSays) {
  AppOptions options;
  options.args = {"x", "y"};
  EXPECT_EQ(reify({}, {plan(web(), options)}, {}).apps[0].app->exec,
            (std::vector<std::string>{"/a", "b", "x", "y"}));
  options.exec = "/other";
  options.user = "u";
  options.group = "g";
  options.workingDir = "/w";
  options.readOnlyRootfs = true;
  options.name = schema::AcName::parse("named");
  const auto manifest = reify({}, {plan(web(), options)}, {});
  const schema::RuntimeApp& app = manifest.apps[0];
  EXPECT_EQ(app.name.str(), "named");
  EXPECT_TRUE(app.readOnlyRootFs);
  EXPECT_EQ(app.app->exec, (std::vector<std::string>{"/other", "x", "y"}));
  EXPECT_EQ(app.app->user, "u");
  EXPECT_EQ(app.app->group, "g");
  EXPECT_EQ(app.app->workingDirectory, "/w");
}

TEST(Reify, ImagesWithoutAppNeedExec) {
  EXPECT_EQ(messageOf([] { reify({}, {plan(web(""))}, {}); }),
            "image example.com/web has no app section; say what to run with --exec");
  AppOptions options;
  options.exec = "/x";
  const auto manifest = reify({}, {plan(web(""), options)}, {});
  EXPECT_EQ(manifest.apps[0].app->user, "0");
  EXPECT_EQ(messageOf([] { reify({}, {plan(web(R"({"user":"0","group":"0"})"))}, {}); }),
            "image example.com/web does not say what to run; say it with --exec");
}

TEST(Reify, EnvironmentPrecedence) {
  const std::string app = R"({"exec":["/a"],"user":"0","group":"0","environment":[)"
                          R"({"name":"IMAGE","value":"image"},{"name":"FILE","value":"image"},)"
                          R"({"name":"SET","value":"image"},{"name":"OWN","value":"image"}]})";
  PodOptions pod;
  pod.setEnvFiles = {{"FILE", "file"}, {"SET", "file"}, {"OWN", "file"}};
  pod.setEnv = {{"SET", "set"}, {"OWN", "set"}};
  AppOptions options;
  options.environment = {{"OWN", "own"}};
  const auto manifest =
      reify(pod, {plan(web(app), options)},
            {"HOST=host", "IMAGE=host", "SET=host", "BASH_FUNC_x%%=()", "=odd", "noequals", "E="});
  EXPECT_EQ(environmentOf(manifest.apps[0]), (std::map<std::string, std::string>{{"IMAGE", "image"},
                                                                                 {"FILE", "file"},
                                                                                 {"SET", "set"},
                                                                                 {"OWN", "own"},
                                                                                 {"HOST", "host"},
                                                                                 {"E", ""}}));
}

TEST(Reify, NamesAreUnique) {
  EXPECT_EQ(messageOf([] {
              reify({}, {plan(web()), plan(web())}, {});
            }),
            "two apps of the pod are called web; give one of them another name with --name");
}

TEST(Reify, ImagesForOtherMachinesAreRefused) {
  EXPECT_EQ(
      messageOf([] {
        checkPlatform(web(R"({"exec":["/a"],"user":"0","group":"0"})",
                          R"([{"name":"os","value":"freebsd"},{"name":"arch","value":"arm"}])"));
      }),
      "image example.com/web is for freebsd/arm, this machine is " + std::string(schema::hostOs()) +
          "/" + std::string(schema::hostArch()));
  checkPlatform(web());  // no labels: any
}

const std::string kMountPoints =
    R"({"exec":["/a"],"user":"0","group":"0","mountPoints":[)"
    R"({"name":"data","path":"/data"},{"name":"logs","path":"/var/log","readOnly":true}]})";

TEST(Reify, MountPointsAreSatisfied) {
  PodOptions pod;
  pod.volumes = {schema::Volume::parseOption("data,kind=host,source=/srv")};
  const auto manifest = reify(pod, {plan(web(kMountPoints))}, {});
  ASSERT_EQ(manifest.apps[0].mounts.size(), 2u);
  EXPECT_EQ(manifest.apps[0].mounts[0].volume.str(), "data");
  EXPECT_EQ(manifest.apps[0].mounts[0].path, "/data");
  EXPECT_EQ(manifest.apps[0].mounts[1].volume.str(), "web-logs");
  EXPECT_EQ(manifest.apps[0].mounts[1].path, "/var/log");
  ASSERT_EQ(manifest.volumes.size(), 2u);
  EXPECT_EQ(manifest.volumes[1].name.str(), "web-logs");
  EXPECT_EQ(manifest.volumes[1].kind, schema::Volume::Kind::empty);
}

TEST(Reify, ImplicitVolumesGetNamesOfTheirOwn) {
  PodOptions pod;
  pod.volumes = {schema::Volume::parseOption("web-data,kind=host,source=/srv")};
  const auto manifest = reify(pod, {plan(web(kMountPoints))}, {});
  EXPECT_EQ(manifest.apps[0].mounts[0].volume.str(), "web-data-2");
}

TEST(Reify, AMountStandsForTheMountPointOfItsPath) {
  PodOptions pod;
  pod.volumes = {schema::Volume::parseOption("mine,kind=host,source=/srv"),
                 schema::Volume::parseOption("all,kind=empty")};
  pod.mounts = {parseMount("volume=all,target=/var/log/"), parseMount("volume=all,target=/all")};
  AppOptions options;
  options.mounts = {parseMount("volume=mine,target=/data"), parseMount("volume=mine,target=/all")};
  const auto manifest = reify(pod, {plan(web(kMountPoints), options)}, {});
  std::vector<std::string> mounts;
  for (const schema::Mount& mount : manifest.apps[0].mounts)
    mounts.push_back(mount.volume.str() + " " + mount.path);
  EXPECT_EQ(mounts, (std::vector<std::string>{"mine /data", "mine /all", "all /var/log/"}));
  EXPECT_EQ(manifest.volumes.size(), 2u);
}

TEST(Reify, AMountedVolumeIsTheMountsOwn) {
  for (const char* text : {"name=mine,kind=host,source=/srv,target=/data",
                           "mine,target=/data,kind=host,source=/srv"}) {
    AppOptions options;
    options.mounts = {parseMountedVolume(text)};
    const auto manifest = reify({}, {plan(web(), options)}, {});
    EXPECT_TRUE(manifest.volumes.empty());
    const schema::Mount& mount = manifest.apps[0].mounts.at(0);
    EXPECT_EQ(mount.path, "/data");
    EXPECT_EQ(mount.appVolume.value().source, "/srv");
  }
  for (const char* text : {"name=mine,kind=host,source=/srv", "kind=empty,target=/x",
                           "name=mine,kind=host,source=/srv,target=/x/../y"}) {
    EXPECT_THROW(parseMountedVolume(text), Error) << text;
  }
}

TEST(Reify, MountsNeedTheirVolumes) {
  AppOptions options;
  options.mounts = {parseMount("volume=gone,target=/x")};
  EXPECT_EQ(messageOf([&] { reify({}, {plan(web(), options)}, {}); }),
            "app web mounts the volume gone, which does not exist; define it with --volume");
  PodOptions pod;
  pod.volumes = {schema::Volume::parseOption("gone,kind=empty")};
  options.mounts.push_back(parseMount("volume=gone,target=//x/"));
  EXPECT_EQ(messageOf([&] { reify(pod, {plan(web(), options)}, {}); }),
            "app web has two mounts at //x/");
  pod.volumes.push_back(pod.volumes[0]);
  EXPECT_EQ(messageOf([&] { reify(pod, {plan(web())}, {}); }), "--volume: gone is defined twice");
}

TEST(Reify, AnOperatorsManifestIsCompleted) {
  const std::string text =
      R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[{"name":"one","image":{"id":")" +
      kIdText + R"("}},{"name":"two","image":{"id":")" + kIdText +
      R"("},"app":{"exec":["/two"],"user":"0","group":"0"}}]})";
  const std::map<schema::ImageId, schema::ImageManifest> images = {
      {schema::ImageId::parse(kIdText), web(kMountPoints)}};
  const auto manifest = reifyManifest(schema::PodManifest::parse(text, "test"), images);
  EXPECT_EQ(manifest.apps[0].app->exec, std::vector<std::string>{"/a"});
  EXPECT_EQ(manifest.apps[0].mounts.size(), 2u);
  EXPECT_EQ(manifest.apps[0].image.name->str(), "example.com/web");
  EXPECT_EQ(manifest.apps[1].app->exec, std::vector<std::string>{"/two"});
  EXPECT_TRUE(manifest.apps[1].mounts.empty());
}

TEST(Reify, AManifestWithoutAppsIsRefused) {
  EXPECT_EQ(messageOf([] { reifyManifest(schema::PodManifest(), {}); }),
            "the pod manifest has no apps");
}

}  // namespace
}  // namespace actool::run
