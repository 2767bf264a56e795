#include "core/schema/isolator.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace actool::schema {
namespace {

using test::messageOf;

TEST(Quantity, CountsInThousandths) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"0", 0},
      {"1", 1000},
      {"-1", -1000},
      {"+2", 2000},
      {"250m", 250},
      {"0.3", 300},
      {".5", 500},
      {"1.", 1000},
      {"0.0010", 1},
      {"1k", 1000'000},
      {"1K", 1000'000},
      {"1M", 1000'000'000},
      {"1G", 1'000'000'000'000},
      {"9P", 9'000'000'000'000'000'000},
      {"1Ki", 1024'000},
      {"125952Ki", 128974848'000},
      {"123Mi", 128974848'000},
      {"128974848", 128974848'000},
      {"1.5Gi", 1610612736'000},
      {"0.5Ki", 512'000},
      {"1e3", 1000'000},
      {"1E3", 1000'000},
      {"5e-1", 500},
      {"1000u", 1},
      {"1000000n", 1},
      {"0E", 0},
      {"0.000E", 0},
      {"9223372036854775807m", 9223372036854775807}};
  for (const auto& [text, milli] : cases) {
    EXPECT_EQ(Quantity::parse(text).milli(), milli) << text;
    EXPECT_EQ(Quantity::parse(text).str(), text);
  }
}

TEST(Quantity, RoundsUp) {
  EXPECT_EQ(Quantity::parse("1.5").value(), 2);
  EXPECT_EQ(Quantity::parse("1m").value(), 1);
  EXPECT_EQ(Quantity::parse("-1.5").value(), -2);
  EXPECT_EQ(Quantity::parse("2").value(), 2);
}

TEST(Quantity, RefusesTheRest) {
  const std::string hint = "; a quantity is written like 500m, 0.5, 128974848, 2G or 125952Ki";
  const std::pair<const char*, const char*> cases[] = {
      {"", "is no quantity"},
      {".", "is no quantity"},
      {"m", "is no quantity"},
      {"-", "is no quantity"},
      {"such garbage", "is no quantity"},
      {"1 G", "is no quantity"},
      {"1g", "is no quantity"},
      {"1ki", "is no quantity"},
      {"1.2.3", "is no quantity"},
      {"--1", "is no quantity"},
      {"1e", "is no quantity"},
      {"1e1000", "is no quantity"},
      {"0x10", "is no quantity"},
      {"0.0001", "is finer than a thousandth"},
      {"1u", "is finer than a thousandth"},
      {"10P", "is too large"},
      {"1E", "is too large"},
      {"16Ei", "is too large"},
      {"1e100", "is too large"},
      {"9223372036854775808m", "is too large"},
      {"99999999999999999999", "has too many digits"}};
  for (const auto& [text, why] : cases) {
    EXPECT_EQ(messageOf([text = text] { Quantity::parse(text); }),
              std::string("\"") + text + "\" " + why + hint);
  }
  EXPECT_THROW(Quantity::parse(std::string(100, '0')), Error);
}

Isolators isolators(const std::string& json) {
  return Isolators::fromJson(parseJson(json, "test"));
}

std::string one(const std::string& name, const std::string& value) {
  return R"([{"name":")" + name + R"(","value":)" + value + "}]";
}

TEST(Isolators, TakeTheExamplesOfTheSpec) {
  const std::pair<const char*, const char*> cases[] = {
      {"os/linux/seccomp-remove-set",
       R"({"errno":"ENOTSUP","set":["clock_adjtime","clock_settime","reboot"]})"},
      {"os/linux/seccomp-retain-set", R"({"errno":"","set":["accept","bind"]})"},
      {"os/linux/seccomp-remove-set", R"({"errno":"EACCESS","set":["@appc.io/empty"]})"},
      {"os/linux/seccomp-retain-set", R"({"set":["@appc.io/all"]})"},
      {"os/linux/selinux-context",
       R"({"user":"system_u","role":"system_r","type":"dhcpc_t","level":"s0"})"},
      {"os/linux/selinux-context",
       R"({"user":"unconfined_u","role":"object_r","type":"user_home_t","level":"s0-s0:c0"})"},
      {"os/linux/apparmor-profile", R"({"profile":"rkt-default"})"},
      {"os/linux/capabilities-remove-set", R"({"set":["CAP_SYS_CHROOT","CAP_MKNOD"]})"},
      {"os/linux/capabilities-retain-set", R"({"set":["CAP_NET_ADMIN"]})"},
      {"os/linux/no-new-privileges", "true"},
      {"os/linux/oom-score-adj", "-1000"},
      {"os/linux/cpu-shares", "262144"},
      {"resource/block-bandwidth", R"({"default":true,"limit":"2M"})"},
      {"resource/block-iops", R"({"default":true,"limit":"1000"})"},
      {"resource/cpu", R"({"request":"250m","limit":"500m"})"},
      {"resource/cpu", R"({"default":false,"request":null,"limit":1})"},
      {"resource/memory", R"({"request":"1G","limit":"2G"})"},
      {"resource/network-bandwidth", R"({"default":true,"limit":"1G"})"},
      {"os/unix/sysctl", R"({"net.ipv4.tcp_mtu_probing":"1"})"},
      {"example.com/unknown", R"({"anything":[1,2,null]})"},
      {"example.com/unknown", "null"}};
  for (const auto& [name, value] : cases) {
    const std::string json = one(name, value);
    EXPECT_EQ(isolators(json).toJson(), parseJson(json, "test")) << json;
  }
}

TEST(Isolators, RefuseWrongShapes) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"os/linux/seccomp-remove-set", R"({"set":[]})", "the set is empty"},
      {"os/linux/seccomp-remove-set", "{}", "the set is empty"},
      {"os/linux/seccomp-remove-set", R"({"set":["chmod"],"errno":"-EPERM"})",
       "errno: \"-EPERM\" is no name of an error; it is written like EPERM"},
      {"os/linux/seccomp-retain-set", R"({"set":["chmod"],"errno":"eaccess"})",
       "errno: \"eaccess\" is no name of an error; it is written like EPERM"},
      {"os/linux/seccomp-retain-set", R"({"set":"chmod"})", "set: is string, it should be a list"},
      {"os/linux/capabilities-retain-set", R"({"set":[]})", "the set is empty"},
      {"os/linux/capabilities-retain-set", R"({"set":["CAP KILL"]})",
       "set: [0]: \"CAP KILL\" is no capability"},
      {"os/linux/no-new-privileges", R"("true")", "is string, it should be true or false"},
      {"os/linux/oom-score-adj", "1001", "is 1001, it should be a whole number from -1000 to 1000"},
      {"os/linux/oom-score-adj", "18446744073709551615",
       "is 18446744073709551615, it should be a whole number from -1000 to 1000"},
      {"os/linux/cpu-shares", "1", "is 1, it should be a whole number from 2 to 262144"},
      {"os/linux/cpu-shares", "2.5", "is 2.5, it should be a whole number from 2 to 262144"},
      {"os/linux/selinux-context", R"({"user":"","role":"r","type":"t","level":"s0"})",
       "user: \"\" is no part of an SELinux context"},
      {"os/linux/selinux-context", R"({"user":"a:b","role":"r","type":"t","level":"s0"})",
       "user: \"a:b\" is no part of an SELinux context"},
      {"os/linux/apparmor-profile", R"({"profile":""})", "the profile is empty"},
      {"os/unix/sysctl", R"({"net.ipv4.ip_forward":1})",
       "\"net.ipv4.ip_forward\" is number, it should be a string"},
      {"resource/memory", R"({"limit":"2Q"})",
       "limit: \"2Q\" is no quantity; a quantity is written like 500m, 0.5, 128974848, 2G or "
       "125952Ki"},
      {"resource/memory", R"({"limit":"-1"})", "limit: \"-1\" is less than nothing"},
      {"resource/memory", "{}", "has neither a request nor a limit"},
      {"resource/memory", "7", "is number, it should be an object"},
      {"resource/cpu", R"({"default":true,"limit":"1"})",
       "\"default\" is true, which it cannot be for this resource"},
      {"resource/block-iops", R"({"limit":"1"})", "\"default\" must be true"},
      {"resource/block-iops", R"({"default":true,"limit":"1","request":"1"})",
       "this resource has no request"},
      {"resource/block-iops", R"({"default":true})", "the member \"limit\" is missing"}};
  for (const auto& [name, value, why] : cases) {
    EXPECT_EQ(messageOf([name = name, value = value] { isolators(one(name, value)); }),
              std::string(name) + ": " + why);
  }
}

TEST(Isolators, RefuseWhatContradictsItself) {
  EXPECT_EQ(
      messageOf([] {
        isolators(R"([{"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL"]}},
                {"name":"os/linux/capabilities-remove-set","value":{"set":["CAP_KILL"]}}])");
      }),
      "os/linux/capabilities-retain-set and os/linux/capabilities-remove-set exclude each "
      "other");
  EXPECT_EQ(messageOf([] {
              isolators(R"([{"name":"os/linux/seccomp-remove-set","value":{"set":["a"]}},
                {"name":"os/linux/seccomp-retain-set","value":{"set":["a"]}}])");
            }),
            "os/linux/seccomp-retain-set and os/linux/seccomp-remove-set exclude each other");
  EXPECT_EQ(messageOf([] {
              isolators(R"([{"name":"resource/memory","value":{"limit":"1G"}},
                {"name":"resource/memory","value":{"limit":"2G"}}])");
            }),
            "the isolator \"resource/memory\" is there twice");
  EXPECT_EQ(isolators(R"([{"name":"x","value":1},{"name":"x","value":2}])").list().size(), 2u);
}

TEST(Isolators, MustHaveNameAndValue) {
  EXPECT_EQ(messageOf([] { isolators(R"([{"name":"x"}])"); }),
            "[0]: the member \"value\" is missing");
  EXPECT_EQ(messageOf([] { isolators(R"([{"value":1}])"); }),
            "[0]: the member \"name\" is missing");
  EXPECT_EQ(messageOf([] { isolators(R"([{"name":"x","value":1,"y":2}])"); }),
            "[0]: has the unknown member \"y\"");
}

TEST(Isolators, Answer) {
  const Isolators set = isolators(
      R"([{"name":"resource/cpu","value":{"limit":"500m"}},
          {"name":"os/linux/capabilities-retain-set","value":{"set":["net_admin","CAP_KILL"]}},
          {"name":"os/linux/no-new-privileges","value":true}])");
  ASSERT_TRUE(set.resource("resource/cpu"));
  EXPECT_EQ(set.resource("resource/cpu")->limit->milli(), 500);
  EXPECT_FALSE(set.resource("resource/cpu")->request);
  EXPECT_FALSE(set.resource("resource/memory"));
  EXPECT_EQ(set.capabilities(true), (std::set<std::string>{"CAP_KILL", "CAP_NET_ADMIN"}));
  EXPECT_FALSE(set.capabilities(false));
  EXPECT_TRUE(set.noNewPrivileges());
  EXPECT_FALSE(Isolators().noNewPrivileges());
  EXPECT_EQ(defaultCapabilities().size(), 14u);
}

}  // namespace
}  // namespace actool::schema
