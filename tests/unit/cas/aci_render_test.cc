#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <map>

#include "cas/aci_acl.h"
#include "cas/extract.h"
#include "cas/render.h"
#include "cas/render_check.h"
#include "core/base/fs.h"
#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {
namespace {

schema::ImageId idOf(char digit) {
  return schema::ImageId::parse("sha512-" + std::string(128, digit));
}

// Images by letter, their dependencies by letter too.
class FakeImages : public ImageResolver {
 public:
  void add(char letter, const std::string& dependencies, const std::string& whitelist = "") {
    Json json = {{"acKind", "ImageManifest"}, {"acVersion", "0.8.11"}, {"name", name(letter)}};
    for (char dependency : dependencies) {
      json["dependencies"].push_back({{"imageName", name(dependency)}});
    }
    if (!whitelist.empty()) json["pathWhitelist"] = {whitelist};
    manifests_.emplace(letter, json);
  }
  Json& json(char letter) { return manifests_.at(letter); }

  schema::ImageId resolve(const schema::Dependency& dependency) override {
    const char letter = dependency.imageName.str().back();
    if (!manifests_.contains(letter)) {
      throw NotFoundError("image " + dependency.imageName.str() + " is not in the store");
    }
    return idOf(swapped == letter ? 'f' : letter);
  }
  schema::ImageManifest manifest(const schema::ImageId& id) override {
    return schema::ImageManifest::fromJson(manifests_.at(id.str().back()));
  }
  Path tar(const schema::ImageId& id) override { return std::string(1, id.str().back()); }

  char swapped = ' ';

 private:
  static std::string name(char letter) { return std::string("example.com/") + letter; }
  std::map<char, Json> manifests_;
};

std::string order(FakeImages& images, char letter = 'a') {
  std::string result;
  for (const RenderLayer& layer : planRender(idOf(letter), images))
    result += layer.tar.string();
  return result;
}

TEST(PlanRender, GoesDepthFirstAsTheSpecificationsExamples) {
  FakeImages tree;
  tree.add('a', "bc");
  tree.add('b', "");
  tree.add('c', "d");
  tree.add('d', "");
  EXPECT_EQ(order(tree), "bdca");

  FakeImages diamond;
  diamond.add('a', "bc");
  diamond.add('b', "d");
  diamond.add('c', "d");
  diamond.add('d', "");
  EXPECT_EQ(order(diamond), "dbdca");
}

TEST(PlanRender, CollectsWhitelistsAlongEachPath) {
  FakeImages images;
  images.add('a', "bc", "/one");
  images.add('b', "d");
  images.add('c', "d", "/two");
  images.add('d', "", "/three");
  std::vector<std::size_t> counts;
  for (const RenderLayer& layer : planRender(idOf('a'), images)) {
    counts.push_back(layer.whitelists.size());
  }
  EXPECT_EQ(counts, (std::vector<std::size_t>{2, 1, 3, 2, 1}));
}

TEST(PlanRender, RefusesCirclesAndTooMuch) {
  FakeImages images;
  images.add('a', "b");
  images.add('b', "a");
  EXPECT_EQ(errorOf([&] { order(images); }),
            "dependency example.com/b of example.com/a: dependency example.com/a of example.com/b: "
            "image sha512-aaaaaaaaaaaa (example.com/a) depends on itself, through its own "
            "dependencies");
  FakeImages deep;
  deep.add('a', "b");
  deep.add('b', "c");
  deep.add('c', "");
  EXPECT_EQ(errorOf([&] { planRender(idOf('a'), deep, {.depth = 2}); }),
            "dependency example.com/b of example.com/a: dependency example.com/c of example.com/b: "
            "dependencies nest deeper than 2 images");
  EXPECT_EQ(errorOf([&] { planRender(idOf('a'), deep, {.layers = 2}); }),
            "dependencies add up to more than 2 layers");
}

TEST(PlanRender, RefusesAnotherImageThanWasAskedFor) {
  FakeImages images;
  images.add('a', "b");
  images.add('b', "");
  images.add('f', "");
  images.swapped = 'b';
  EXPECT_EQ(errorOf([&] { order(images); }),
            "dependency example.com/b of example.com/a: image sha512-ffffffffffff is named "
            "example.com/f");
  images.json('a')["dependencies"][0]["imageID"] = idOf('b').str();
  EXPECT_EQ(errorOf([&] { order(images); }),
            "dependency example.com/b of example.com/a: image sha512-ffffffffffff is not the "
            "sha512-bbbbbbbbbbbb that is asked for");
  images.swapped = ' ';
  images.json('a')["dependencies"][0]["labels"] = {{{"name", "version"}, {"value", "2"}}};
  EXPECT_EQ(errorOf([&] { order(images); }),
            "dependency example.com/b of example.com/a: image sha512-bbbbbbbbbbbb does not have "
            "the label version=\"2\"");
  EXPECT_EQ(errorOf([&] {
              images.json('a')["dependencies"] = {{{"imageName", "example.com/x"}}};
              order(images);
            }),
            "dependency example.com/x of example.com/a: image example.com/x is not in the store");
}

TEST(AclAttribute, MakesWhatTheKernelTakes) {
  const auto value = aclAttribute(
      "user::rwx,user:lp:r--:7\ngroup::r-x #effective:r--,mask::rwx,"
      "other::---");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->size(), 4u + 5 * 8);
  EXPECT_EQ(value->substr(0, 12), std::string("\2\0\0\0\1\0\7\0\xff\xff\xff\xff", 12));
  EXPECT_EQ(value->substr(12, 8), std::string("\2\0\4\0\7\0\0\0", 8));
  EXPECT_EQ(aclText(*value), "user::rwx,user:7:r--,group::r-x,mask::rwx,other::---");
  EXPECT_EQ(errorOf([] { aclText("abc"); }), "an ACL of a version that is not known");
  EXPECT_FALSE(aclAttribute("user::rwx,user:lp:r--,group::r-x,mask::rwx,other::---"));
  EXPECT_EQ(errorOf([] { aclAttribute("user::rwz"); }), "the ACL entry \"user::rwz\" is none");
  EXPECT_EQ(errorOf([] { aclAttribute(","); }), "an ACL without entries");
}

class RenderTest : public ::testing::Test {
 protected:
  RenderLayer layer(const std::string& entries, const std::vector<std::string>& whitelist = {}) {
    const Path tar = dir_.path() / ("tar" + std::to_string(count_++));
    writeFilePlain(tar, image(entries));
    RenderLayer result{idOf('a'), tar, {}};
    if (!whitelist.empty()) {
      result.whitelists.push_back(std::make_shared<const PathWhitelist>(whitelist));
    }
    return result;
  }
  Path render(const std::vector<RenderLayer>& layers, RenderOptions options = {}) {
    const Path dest = dir_.path() / ("tree" + std::to_string(count_++));
    report_ = renderTree(layers, dest, options);
    return dest;
  }
  std::string text(const Path& path) { return readFile(path, 1 << 20); }
  struct stat look(const Path& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  }

  TempDir dir_{tempRoot(), "aci_render_test."};
  int count_ = 0;
  RenderReport report_;
};

TEST_F(RenderTest, LaterLayersOverride) {
  const Path outside = dir_.path() / "outside";
  makeDirs(outside);
  const Path tree = render(
      {layer(dir("rootfs/etc") + file("rootfs/etc/a", "1") + file("rootfs/etc/keep", "1") +
             symlink("rootfs/lib", outside.string()) + dir("rootfs/gone") + file("rootfs/gone/x")),
       layer(file("rootfs/etc/a", "2") + file("rootfs/lib/so", "2") + file("rootfs/gone", "2"))});
  EXPECT_EQ(text(tree / "etc/a"), "2");
  EXPECT_EQ(text(tree / "etc/keep"), "1");
  EXPECT_EQ(text(tree / "gone"), "2");
  // The link was not followed but replaced with a directory.
  EXPECT_TRUE(S_ISDIR(look(tree / "lib").st_mode));
  EXPECT_EQ(text(tree / "lib/so"), "2");
  EXPECT_TRUE(listDir(outside).empty());
  EXPECT_EQ(look(tree / "lib").st_mode & 07777, 0755u);
}

TEST_F(RenderTest, WhitelistsChooseExactlyWhatTheyList) {
  const std::string entries = dir("rootfs/etc") + file("rootfs/etc/a") + file("rootfs/etc/b") +
                              dir("rootfs/etc/d") + file("rootfs/etc/d/x") + dir("rootfs/var") +
                              dir("rootfs/var/missing") + dir("rootfs/opt");
  const Path tree =
      render({layer(entries, {"/etc/a", "/etc/d/", "/var/missing/file", "/not/there"})});
  EXPECT_EQ(listDir(tree), std::vector<std::string>{"etc"});
  EXPECT_EQ(listDir(tree / "etc"), (std::vector<std::string>{"a", "d"}));
  EXPECT_TRUE(listDir(tree / "etc/d").empty());
}

TEST_F(RenderTest, HardLinksOutliveWhatTheirTargetMeets) {
  const std::string entries = file("rootfs/a", "data") + hardlink("rootfs/b", "rootfs/a") +
                              hardlink("rootfs/c", "rootfs/b");
  // Left out by a whitelist, and overridden by another layer.
  const Path chosen = render({layer(entries, {"/b", "/c"})});
  EXPECT_EQ(listDir(chosen), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(text(chosen / "b"), "data");
  EXPECT_EQ(look(chosen / "b").st_ino, look(chosen / "c").st_ino);
  const Path overridden = render({layer(entries), layer(file("rootfs/a", "new"))});
  EXPECT_EQ(text(overridden / "a"), "new");
  EXPECT_EQ(text(overridden / "c"), "data");
  EXPECT_EQ(look(overridden / "b").st_nlink, 2u);
}

TEST_F(RenderTest, KeepsMetadataAndHoles) {
  RawEntry setuid{.name = "rootfs/su", .content = "#!"};
  setuid.fields = {{100, "0004755"}};
  RawEntry shut{.name = "rootfs/shut", .type = '5'};
  shut.fields = {{100, "0000000"}};
  const std::string sparse =
      pax(paxRecord("GNU.sparse.size", "10000000") + paxRecord("GNU.sparse.map", "5000000,4")) +
      file("rootfs/holes", "data");
  const Path tree = render(
      {layer(setuid.str() + shut.str() + file("rootfs/shut/in") + sparse +
             RawEntry{.name = "rootfs/fifo", .type = '6'}.str() +
             pax(paxRecord("mtime", "1.000000007")) + dir("rootfs/d") + file("rootfs/d/late"))});
  EXPECT_EQ(look(tree / "su").st_mode & 07777, 04755u);
  EXPECT_EQ(look(tree / "shut").st_mode & 07777, 0u);
  EXPECT_TRUE(S_ISFIFO(look(tree / "fifo").st_mode));
  EXPECT_EQ(look(tree / "d").st_mtim.tv_sec, 1);
  EXPECT_EQ(look(tree / "d").st_mtim.tv_nsec, 7);
  EXPECT_EQ(look(tree / "su").st_mtim.tv_sec, 1'000'000'000);
  const struct stat holes = look(tree / "holes");
  EXPECT_EQ(holes.st_size, 10'000'000);
  EXPECT_LT(holes.st_blocks * 512, 1'000'000);
  const UniqueFd fd = openFile((tree / "holes").string(), O_RDONLY);
  char piece[4];
  ASSERT_EQ(pread(fd.get(), piece, 4, 5'000'000), 4);
  EXPECT_EQ(std::string(piece, 4), "data");
  chmod((tree / "shut").c_str(), 0700);
}

TEST_F(RenderTest, SaysWhatOnlyRootCanMake) {
  RawEntry owned{.name = "rootfs/owned"};
  owned.fields = {{108, "0001750"}};
  RenderOptions options;
  options.owners = options.devices = false;
  const Path tree = render({layer(owned.str() + RawEntry{.name = "rootfs/null", .type = '3'}.str() +
                                  hardlink("rootfs/null2", "rootfs/null"))},
                           options);
  EXPECT_EQ(listDir(tree), std::vector<std::string>{"owned"});
  EXPECT_EQ(look(tree / "owned").st_uid, geteuid());
  EXPECT_EQ(report_.devicesSkipped, 1u);
  EXPECT_GE(report_.ownersSkipped, 1u);
  EXPECT_GE(report_.notes().size(), 2u);
}

TEST_F(RenderTest, RefusesADestinationThatExists) {
  const RenderLayer one = layer("");
  const Path dest = dir_.path() / "there";
  makeDirs(dest);
  EXPECT_EQ(errorOf([&] { renderTree({one}, dest); }), "rendering into " + dest.string() +
                                                           ": making the directory " +
                                                           dest.string() + ": File exists");
}

// Whatever is done to a rendered tree is found; what was rendered is found to be good.
TEST_F(RenderTest, IsComparedWithItsTars) {
  const std::string sparse =
      pax(paxRecord("GNU.sparse.size", "1000000") + paxRecord("GNU.sparse.map", "500000,4")) +
      file("rootfs/holes", "data");
  const std::vector<RenderLayer> layers = {
      layer(dir("rootfs/etc") + file("rootfs/etc/a", std::string(300'000, 'a')) +
            hardlink("rootfs/etc/b", "rootfs/etc/a") + symlink("rootfs/link", "etc/a") + sparse +
            RawEntry{.name = "rootfs/fifo", .type = '6'}.str()),
      layer(pax(paxRecord("SCHILY.xattr.user.note", "text") +
                paxRecord("SCHILY.acl.access",
                          "user::rw-,user:7:r--,group::r--,mask::r--,other::r--") +
                paxRecord("SCHILY.acl.default", "user::rwx,group::r-x,other::---")) +
            dir("rootfs/more") +
            pax(paxRecord("SCHILY.acl.access",
                          "user::rw-,user:7:rwx,group::r--,mask::rwx,other::r--")) +
            file("rootfs/more/listed") + file("rootfs/more/plain", "plain"))};
  const auto fresh = [&] {
    const Path tree = render(layers);
    EXPECT_EQ(errorOf([&] { checkRendered(layers, tree); }), "");
    return tree;
  };
  const auto times = [this](const Path& path) {
    const struct stat info = look(path);
    return std::array<timespec, 2>{info.st_atim, info.st_mtim};
  };
  using Change = std::function<void(const Path& tree)>;
  // Times are put back each time: what is found is the change itself.
  const auto quietly = [&](const Path& below, const Change& change) {
    return Change([=, this](const Path& tree) {
      const Path dirPath = (tree / below).parent_path();
      const auto own = times(tree / below);
      const auto parent = times(dirPath);
      change(tree / below);
      utimensat(AT_FDCWD, (tree / below).c_str(), own.data(), AT_SYMLINK_NOFOLLOW);
      utimensat(AT_FDCWD, dirPath.c_str(), parent.data(), 0);
    });
  };
  const auto overwrite = [](std::size_t at) {
    return [at](const Path& path) {
      const UniqueFd fd = openFile(path.string(), O_WRONLY);
      EXPECT_EQ(pwrite(fd.get(), "X", 1, static_cast<off_t>(at)), 1);
    };
  };
  const std::vector<std::pair<std::string, Change>> changes = {
      {"\"etc/a\": its content differs", quietly("etc/a", overwrite(299'999))},
      {"\"holes\": its content differs", quietly("holes", overwrite(500'003))},
      {"\"holes\": its content differs", quietly("holes", overwrite(499'000))},
      {"\"holes\": its content differs", quietly("holes", overwrite(999'999))},
      {"\"more/plain\": its size differs",
       quietly("more/plain", [](const Path& path) { EXPECT_EQ(truncate(path.c_str(), 4), 0); })},
      {"\"more/plain\": its mode differs",
       [](const Path& tree) { chmod((tree / "more/plain").c_str(), 04644); }},
      {"\"more\": its mode differs",
       [](const Path& tree) { chmod((tree / "more").c_str(), 0700); }},
      {"\"etc\": its time of modification differs",
       [](const Path& tree) { utimensat(AT_FDCWD, (tree / "etc").c_str(), nullptr, 0); }},
      {"\"link\": its target differs", quietly("link",
                                               [](const Path& path) {
                                                 unlink(path.c_str());
                                                 EXPECT_EQ(::symlink("etc/b", path.c_str()), 0);
                                               })},
      {"\"etc/b\": what it is a hard link to differs",
       quietly("etc/b",
               [](const Path& path) {
                 std::filesystem::copy_file(path, path.string() + "2");
                 std::filesystem::rename(path.string() + "2", path);
               })},
      {"\"fifo\": its kind differs", quietly("fifo",
                                             [](const Path& path) {
                                               unlink(path.c_str());
                                               writeFilePlain(path, "");
                                             })},
      {"\"etc/new\" is not of the image",
       quietly("etc/a", [](const Path& path) { writeFilePlain(path.parent_path() / "new", ""); })},
      {"\"more/listed\" is missing",
       quietly("more/plain",
               [](const Path& path) { unlink((path.parent_path() / "listed").c_str()); })},
      {"\"etc/a\": the attribute \"user.x\" is not of the image",
       [](const Path& tree) { setxattr((tree / "etc/a").c_str(), "user.x", "1", 1, 0); }},
      {"\"more\": its attribute \"user.note\" differs",
       [](const Path& tree) { setxattr((tree / "more").c_str(), "user.note", "TEXT", 4, 0); }},
      {"\"more\": its attribute \"user.note\" differs",
       [](const Path& tree) { removexattr((tree / "more").c_str(), "user.note"); }},
      {"\"more/listed\": its access list differs",
       [](const Path& tree) {
         const auto other = aclAttribute("user::rw-,user:8:rwx,group::r--,mask::r--,other::r--");
         setxattr((tree / "more/listed").c_str(), "system.posix_acl_access", other->data(),
                  other->size(), 0);
       }},
      {"\"more/plain\": its access list differs",
       [](const Path& tree) {
         const auto other = aclAttribute("user::rw-,user:8:r--,group::r--,mask::r--,other::r--");
         setxattr((tree / "more/plain").c_str(), "system.posix_acl_access", other->data(),
                  other->size(), 0);
       }},
      {"\"more\": its default access list differs",
       [](const Path& tree) { removexattr((tree / "more").c_str(), "system.posix_acl_default"); }},
  };
  for (const auto& [message, change] : changes) {
    const Path tree = fresh();
    change(tree);
    EXPECT_EQ(errorOf([&] { checkRendered(layers, tree); }),
              tree.string() + " is not what its tars make: " + message);
  }
  if (geteuid() == 0) {
    const Path tree = fresh();
    EXPECT_EQ(lchown((tree / "link").c_str(), 1, 2), 0);
    EXPECT_NE(errorOf([&] { checkRendered(layers, tree); }).find("\"link\": its owner differs"),
              std::string::npos);
  }
}

TEST_F(RenderTest, ExtractsAnImageAsItIs) {
  const RenderLayer one = layer(file("rootfs/a", "1"));
  const Path all = dir_.path() / "all";
  extractImage(one.id, one.tar, all, false);
  EXPECT_EQ(text(all / "manifest"), kManifest);
  EXPECT_EQ(text(all / "rootfs/a"), "1");
  const Path rootfs = dir_.path() / "only";
  extractImage(one.id, one.tar, rootfs, true);
  EXPECT_EQ(listDir(rootfs), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace actool::cas
