#include "trust/keystore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "tests/unit/trust/gpg_lab.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string kA(40, 'a');
const std::string kB(40, 'b');

schema::AcIdentifier id(const std::string& text) {
  return schema::AcIdentifier::parse(text);
}

TrustRule rule(const std::string& prefix) {
  return prefix.empty() ? TrustRule{} : TrustRule{id(prefix)};
}

std::vector<std::string> shown(const std::vector<TrustedKey>& keys) {
  std::vector<std::string> out;
  for (const TrustedKey& key : keys)
    out.push_back(key.rule.str() + " " + key.fingerprint[0]);
  return out;
}

template <typename Fn>
std::string messageOf(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrustRule, CoversByComponent) {
  struct Case {
    const char* prefix;
    const char* name;
    bool covers;
  };
  for (const Case& c :
       {Case{"example.com/foo", "example.com/foo", true},
        Case{"example.com/foo", "example.com/foo/bar", true},
        Case{"example.com/foo", "example.com/foobar", false},
        Case{"example.com/foo", "example.com/foo-bar", false},
        Case{"example.com/foo", "example.com", false}, Case{"example.com", "example.com/foo", true},
        Case{"example.com", "example.community/foo", false},
        Case{"example.com", "sub.example.com/foo", false}, Case{"", "example.com/foo", true}}) {
    EXPECT_EQ(rule(c.prefix).covers(id(c.name)), c.covers) << c.prefix << " " << c.name;
  }
}

TEST(Keystore, AKeyForFooNeverCoversFoobar) {
  KeyDir dir;
  const Path path = dir.put("example.com/foo", kA, "key");
  const Keystore store = dir.keystore();
  for (const char* name : {"example.com/foo", "example.com/foo/bar"}) {
    const auto found = store.find(id(name), kA);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->path, path);
    EXPECT_EQ(found->rule.str(), "prefix example.com/foo");
  }
  for (const char* name : {"example.com/foobar", "example.com/foo-bar", "example.com", "foo"}) {
    EXPECT_FALSE(store.find(id(name), kA)) << name;
  }
  EXPECT_FALSE(store.find(id("example.com/foo"), kB));
}

TEST(Keystore, TheLongestPrefixWinsAndRootIsLast) {
  KeyDir dir;
  dir.put("", kA, "key");
  dir.put("example.com", kA, "key");
  dir.put("example.com/foo", kA, "key");
  const Keystore store = dir.keystore();
  EXPECT_EQ(store.find(id("example.com/foo/x"), kA)->rule.str(), "prefix example.com/foo");
  EXPECT_EQ(store.find(id("example.com/other"), kA)->rule.str(), "prefix example.com");
  EXPECT_EQ(store.find(id("other.com/foo"), kA)->rule.str(), "root");
}

TEST(Keystore, ListsByRuleAndFingerprintAndSkipsOtherFiles) {
  KeyDir dir;
  dir.put("example.com/foo", kB, "key");
  dir.put("example.com/foo", kA, "key");
  dir.put("", kB, "key");
  dir.put("example.com", "README", "not a key");
  dir.put("example.com", std::string(40, 'A'), "upper case");
  dir.put("Not_A_Name", kA, "no prefix");
  dir.put("example.com", "." + kA + ".x7Ab3z", "half a key");
  EXPECT_THAT(shown(dir.keystore().list()),
              ElementsAre("root b", "prefix example.com/foo a", "prefix example.com/foo b"));
}

TEST(Keystore, NothingThereIsNoKeys) {
  const Keystore store(ConfigDirs{{"/nonexistent/a", "/nonexistent/b"}});
  EXPECT_THAT(store.list(), IsEmpty());
  EXPECT_FALSE(store.find(id("example.com"), kA));
}

// Each case: files as "directory prefix fingerprint", '!' in front for a mask, and for whom
// the key is trusted. Directory 0 has the lowest precedence.
struct MaskCase {
  const char* what;
  struct File {
    std::size_t dir;
    const char* prefix;
    bool mask;
  };
  std::vector<File> files;
  std::vector<std::string> trusted;
  std::vector<std::string> untrusted;
  std::vector<std::string> listed;
};

class KeystoreMasks : public ::testing::TestWithParam<MaskCase> {};

TEST_P(KeystoreMasks, FollowRktsOrder) {
  KeyDir dirs[3];
  for (const auto& file : GetParam().files) {
    dirs[file.dir].put(file.prefix, kA, file.mask ? "" : "key");
  }
  const Keystore store(ConfigDirs{{dirs[0].path(), dirs[1].path(), dirs[2].path()}});
  for (const std::string& name : GetParam().trusted)
    EXPECT_TRUE(store.find(id(name), kA)) << name;
  for (const std::string& name : GetParam().untrusted) {
    EXPECT_FALSE(store.find(id(name), kA)) << name;
  }
  EXPECT_EQ(shown(store.list()), GetParam().listed);
}

INSTANTIATE_TEST_SUITE_P(
    Table, KeystoreMasks,
    ::testing::Values(
        MaskCase{
            "SamePlace", {{0, "a.com", false}, {1, "a.com", true}}, {}, {"a.com", "a.com/x"}, {}},
        MaskCase{"KeyAboveMask",
                 {{0, "a.com", true}, {1, "a.com", false}},
                 {"a.com/x"},
                 {},
                 {"prefix a.com a"}},
        MaskCase{"KeyMaskKey",
                 {{0, "a.com", false}, {1, "a.com", true}, {2, "a.com", false}},
                 {"a.com"},
                 {},
                 {"prefix a.com a"}},
        MaskCase{"RootMaskedByRoot", {{0, "", false}, {1, "", true}}, {}, {"a.com"}, {}},
        MaskCase{"RootMaskLeavesPrefixes",
                 {{0, "a.com", false}, {1, "", true}},
                 {"a.com/x"},
                 {"b.com"},
                 {"prefix a.com a"}},
        MaskCase{"RootKeyTakenBackForAPrefix",
                 {{0, "", false}, {1, "a.com/x", true}},
                 {"a.com", "a.com/xy", "b.com"},
                 {"a.com/x", "a.com/x/y"},
                 {"root a"}},
        MaskCase{"BroadMaskOverDeepKey",
                 {{0, "a.com/x", false}, {1, "a.com", true}},
                 {},
                 {"a.com/x"},
                 {}},
        MaskCase{"DeepMaskLeavesTheRest",
                 {{0, "a.com", false}, {1, "a.com/x", true}},
                 {"a.com/y"},
                 {"a.com/x"},
                 {"prefix a.com a"}}),
    [](const auto& test) { return std::string(test.param.what); });

TEST(Keystore, ALinkToDevNullIsAMask) {
  KeyDir system;
  KeyDir local;
  system.put("", kA, "key");
  makeDirs(local.path() / "trustedkeys/root.d");
  std::filesystem::create_symlink("/dev/null", local.path() / "trustedkeys/root.d" / kA);
  EXPECT_THAT(Keystore(ConfigDirs{{system.path(), local.path()}}).list(), IsEmpty());
}

TEST(Keystore, AddsAndRemovesInRktsLayout) {
  KeyDir dir;
  const Keystore store = dir.keystore();
  const Path path = store.add(dir.path(), rule("example.com/foo"), kA, "armored");
  EXPECT_EQ(path, dir.path() / "trustedkeys/prefix.d/example.com/foo" / kA);
  EXPECT_EQ(readFile(path, 100), "armored");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644U);
  EXPECT_EQ(store.add(dir.path(), rule(""), kB, "armored"), dir.path() / "trustedkeys/root.d" / kB);
  EXPECT_EQ(store.list().size(), 2U);
  store.remove(dir.path(), rule("example.com/foo"), kA);
  store.remove(dir.path(), rule(""), kB);
  EXPECT_THAT(store.list(), IsEmpty());
}

TEST(Keystore, DisablesByAnEmptyFile) {
  KeyDir system;
  KeyDir local;
  system.put("example.com", kA, "key");
  const Keystore store(ConfigDirs{{system.path(), local.path()}});
  const Path mask = store.disable(local.path(), rule("example.com"), kA);
  EXPECT_EQ(std::filesystem::file_size(mask), 0U);
  EXPECT_THAT(store.list(), IsEmpty());
  store.remove(local.path(), rule("example.com"), kA);
  EXPECT_EQ(store.list().size(), 1U);
}

TEST(Keystore, SaysWhatCantBeRemoved) {
  KeyDir system;
  KeyDir local;
  const Path key = system.put("example.com", kA, "key");
  const Keystore store(ConfigDirs{{system.path(), local.path()}});
  const std::string where = (local.path() / "trustedkeys").string();
  EXPECT_EQ(messageOf([&] { store.remove(local.path(), rule(""), kB); }),
            "no key " + kB + " for root in " + where + "; see 'actool trust list'");
  EXPECT_EQ(messageOf([&] { store.remove(local.path(), rule("example.com"), kA); }),
            "no key " + kA + " for prefix example.com in " + where + "; " + key.string() +
                " is another configuration directory's: mask it with 'actool trust disable'");
  EXPECT_THROW(store.remove(local.path(), rule(""), kB), NotFoundError);
}

TEST(Keystore, WritesNothingOutsideByAFingerprint) {
  KeyDir dir;
  const Keystore store = dir.keystore();
  EXPECT_EQ(messageOf([&] { store.add(dir.path(), rule(""), "../../x", "key"); }),
            "not a key's fingerprint in lower-case hex: ../../x");
  EXPECT_THROW(store.disable(dir.path(), rule(""), "../../x"), UsageError);
  EXPECT_THROW(store.remove(dir.path(), rule(""), "../../x"), UsageError);
  EXPECT_EQ(messageOf([&] { store.add(dir.path(), rule(""), kA, ""); }),
            "an empty key file would be a mask");
}

TEST(Fingerprint, IsReadAsPeoplePasteIt) {
  const std::string expected = "8b86de38890ddb7291867b025210bd8888182190";
  EXPECT_EQ(parseFingerprint("8B86 DE38 890D DB72 9186  7B02 5210 BD88 8818 2190"), expected);
  EXPECT_EQ(parseFingerprint("0x8B86DE38890DDB7291867B025210BD8888182190"), expected);
  EXPECT_EQ(parseFingerprint(" " + expected + "\n"), expected);
  EXPECT_EQ(messageOf([] { parseFingerprint("88182190"); }),
            "not a key's fingerprint: 88182190; give all 40 hex digits, as 'actool trust list' "
            "shows them");
}

TEST(RequireTrusted, NamesTheSignerAndTheRulesItHas) {
  KeyDir dir;
  dir.put("example.com/foo", kA, "key");
  dir.put("example.org", kA, "key");
  const Keystore store = dir.keystore();
  const std::vector<Signer> signers{{kB, kB, "Bob <b@b>", ""}, {kA, kA, "Ann <a@a>", ""}};
  EXPECT_EQ(requireTrusted(store, id("example.com/foo/x"), signers).key.rule.str(),
            "prefix example.com/foo");
  EXPECT_EQ(requireTrusted(store, id("example.com/foo"), signers).signer.userId, "Ann <a@a>");
  EXPECT_EQ(messageOf([&] { requireTrusted(store, id("example.com/foobar"), signers); }),
            "no key trusted for example.com/foobar signed it, but key " + kB +
                " (Bob <b@b>), which is trusted for nothing; key " + kA +
                " (Ann <a@a>), which is trusted for prefix example.com/foo, prefix example.org; "
                "if its maker is to be trusted: actool trust add --prefix example.com/foobar KEY");
  EXPECT_THROW(requireTrusted(store, id("example.com/foobar"), signers), TrustError);
  EXPECT_THROW(requireTrusted(store, id("example.com/foo"), {}), TrustError);
}

}  // namespace
}  // namespace actool::trust
