#include "cas/aci_manifest_patch.h"

#include <gtest/gtest.h>

#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {
namespace {

const char* const kApp = R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/web",
  "x-own":1,"app":{"exec":["/old"],"user":"1","group":"1",
  "mountPoints":[{"name":"work","path":"/old"},{"name":"other","path":"/o"}],
  "isolators":[{"name":"os/linux/capabilities-remove-set","value":{"set":["CAP_KILL"]}}]}})";

Json patched(const ManifestPatch& patch, const char* json = kApp) {
  return applyPatch(schema::ImageManifest::parse(json, "test"), patch).toJson();
}

TEST(ManifestPatch, ChangesWhatItNamesAndKeepsTheRest) {
  ManifestPatch patch;
  patch.name = "example.com/new";
  patch.exec = "/bin/web --port 80";
  patch.user = "33";
  patch.supplementaryGroups = "3,4";
  patch.mounts = "work,path=/new,readOnly=true:third,path=/t";
  patch.ports = "http,protocol=tcp,port=80,socketActivated=true";
  patch.capabilities = "CAP_CHOWN,CAP_FOWNER";
  patch.isolators = "resource/memory,limit=1G:os/linux/no-new-privileges,true";
  patch.seccompMode = "retain,errno=EPERM";
  patch.seccompSet = "read,write";
  const Json json = patched(patch);
  EXPECT_EQ(json["name"], "example.com/new");
  EXPECT_EQ(json["x-own"], 1);
  const Json& app = json["app"];
  EXPECT_EQ(app["exec"], (Json{"/bin/web", "--port", "80"}));
  EXPECT_EQ(app["user"], "33");
  EXPECT_EQ(app["group"], "1");
  EXPECT_EQ(app["supplementaryGIDs"], (Json{3, 4}));
  ASSERT_EQ(app["mountPoints"].size(), 3u);
  EXPECT_EQ(app["mountPoints"][0]["name"], "other");
  EXPECT_EQ(app["mountPoints"][1]["path"], "/new");
  EXPECT_EQ(app["ports"][0]["port"], 80);
  ASSERT_EQ(app["isolators"].size(), 4u);  // the remove set made way for the retain set
  EXPECT_EQ(app["isolators"][0]["name"], "os/linux/capabilities-retain-set");
  EXPECT_EQ(app["isolators"][1]["value"]["errno"], "EPERM");
}

TEST(ManifestPatch, ExecMakesAnApp) {
  ManifestPatch patch;
  patch.exec = "/bin/true";
  EXPECT_EQ(patched(patch, kManifest.c_str())["app"]["user"], "0");
}

TEST(ManifestPatch, NamesTheOptionThatIsWrong) {
  const auto error = [](auto member, const std::string& value) {
    ManifestPatch patch;
    patch.*member = value;
    return errorOf([&] { patched(patch); });
  };
  EXPECT_EQ(error(&ManifestPatch::mounts, "work,paht=/x"),
            "--mounts \"work,paht=/x\": \"paht\" is none of path=, readOnly=");
  EXPECT_EQ(error(&ManifestPatch::ports, "a,protocol=tcp,port=x"),
            "--ports \"a,protocol=tcp,port=x\": \"x\" is no number");
  EXPECT_EQ(error(&ManifestPatch::isolators, "os/linux/seccomp-retain-set,set=x"),
            "--isolators \"os/linux/seccomp-retain-set,set=x\": the isolator "
            "\"os/linux/seccomp-retain-set\" can't be set this way; there are options for "
            "capabilities and seccomp, and --manifest for the rest");
  EXPECT_EQ(error(&ManifestPatch::seccompMode, "maybe"),
            "--seccomp-mode \"maybe\": \"maybe\" is none of remove, retain, errno=");
  EXPECT_EQ(error(&ManifestPatch::seccompSet, "read"), "--seccomp-set needs --seccomp-mode");
  EXPECT_NE(error(&ManifestPatch::mounts, "work,path=relative"), "");
  ManifestPatch patch;
  patch.user = "1";
  EXPECT_EQ(errorOf([&] { patched(patch, kManifest.c_str()); }),
            "the manifest has no app to be changed; give it one with --exec");
}

}  // namespace
}  // namespace actool::cas
