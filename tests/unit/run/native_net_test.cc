#include <sys/stat.h>

#include "core/base/fs.h"
#include "run/native/net/join.h"
#include "run/native/net/leases.h"
#include "run/networks.h"
#include "run/port_mappings.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

const Uuid kPodOfNetworks = *Uuid::parse("11111111-2222-4333-8444-555555555555");

class Net : public testing::Test {
 protected:
  void SetUp() override {
    makeDirs(dir_.path() / "net.d");
    makeDirs(dir_.path() / "bin");
  }
  void config(const std::string& file, const std::string& text) {
    writeFilePlain(dir_.path() / "net.d" / file, text);
  }
  // A plugin that appends its command and input to a log, and answers with `script`.
  void plugin(const std::string& type, const std::string& script) {
    const Path file = dir_.path() / "bin" / type;
    writeFilePlain(file, "#!/bin/sh\n{ echo \"$CNI_COMMAND " + type +
                             " $CNI_IFNAME $CNI_ARGS\"; cat; echo; } >> " +
                             (dir_.path() / "log").string() + "\n" + script + "\n");
    ASSERT_EQ(::chmod(file.c_str(), 0755), 0);
  }
  std::string logged() { return readFile(dir_.path() / "log", 1 << 20); }
  std::vector<Network> choose(const std::string& list) {
    return chooseNetworks(loadNetworks({dir_.path()}), parseNetworks(list));
  }
  Plugins plugins(PluginLimits limits = {}) { return Plugins({dir_.path() / "bin"}, limits); }

  TempDir dir_{tempRoot()};
  PodLayout layout_{dir_.path()};
};

std::vector<std::string> names(const std::vector<Network>& networks) {
  std::vector<std::string> list;
  for (const Network& network : networks)
    list.push_back(network.name);
  return list;
}

TEST(NetworkList, SomeStandAlone) {
  for (const char* alone : {"none", "host", "slirp4netns"}) {
    EXPECT_EQ(parseNetworks(alone).at(0).name, alone);
    EXPECT_EQ(messageOf([&] { parseNetworks(std::string(alone) + ",web"); }),
              std::string("--net: '") + alone + "' stands alone");
  }
  EXPECT_FALSE(hasContainedNetworks("none"));
  EXPECT_FALSE(hasContainedNetworks("host"));
  EXPECT_TRUE(hasContainedNetworks(kUserNetwork));
}

TEST_F(Net, NetworksComeByTheNamesOfTheirFiles) {
  config("20-b.conf", R"({"name":"b","type":"bridge"})");
  config("10-z.conflist",
         R"({"name":"z","cniVersion":"1.0.0","plugins":[{"type":"ptp"},{"type":"tuning"}]})");
  config("note.txt", "not one");
  EXPECT_EQ(names(choose("b,z:IP=10.0.0.1,default")),
            (std::vector<std::string>{"z", "b", "default"}));
  EXPECT_EQ(names(choose("all")), (std::vector<std::string>{"z", "b", "default"}));
  EXPECT_EQ(choose("z:IP=10.0.0.1").at(0).args, "IP=10.0.0.1");
  EXPECT_EQ(choose("z").at(0).plugins.size(), 2U);
  EXPECT_EQ(messageOf([&] { choose("c"); }),
            "there is no network c; configure it in net.d/*.conf of a configuration directory");
}

TEST_F(Net, LaterDirectoriesReplace) {
  const TempDir other(tempRoot());
  makeDirs(other.path() / "net.d");
  writeFilePlain(other.path() / "net.d/a.conf", R"({"name":"default","type":"mine"})");
  const auto loaded = loadNetworks({dir_.path(), other.path()});
  EXPECT_EQ(names(loaded), (std::vector<std::string>{"default-restricted", "default"}));
  EXPECT_EQ(loaded.at(1).plugins.at(0)["type"], "mine");
}

TEST_F(Net, BadConfigurationsNameTheirFile) {
  const auto message = [&](const std::string& text) {
    config("x.conf", text);
    const std::string whole = messageOf([&] { loadNetworks({dir_.path()}); });
    return whole.substr(whole.find("x.conf") + 6);
  };
  EXPECT_EQ(message(R"({"name":"x","type":"../sh"})"), ": \"../sh\" is no type of a network");
  EXPECT_EQ(message(R"({"name":"x","type":"ptp","cniVersion":"9.9"})"),
            ": cniVersion \"9.9\" is not one of 0.3.0, 0.3.1, 0.4.0, 1.0.0");
  EXPECT_EQ(message(R"({"name":"a,b","type":"ptp"})"), ": \"a,b\" is no name of a network");
  EXPECT_NE(message("[1]").find("not a JSON object"), std::string::npos);
  config("y.conf", R"({"name":"x","type":"ptp"})");
  EXPECT_EQ(message(R"({"name":"x","type":"ptp"})"), " too");
}

TEST_F(Net, ChainsPassResultsOnAndAreUndoneBackwards) {
  plugin(
      "one",
      R"([ $CNI_COMMAND = DEL ] || echo '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.9.0.2/24"}],"dns":{"nameservers":["10.9.0.1"],"search":["a b","c.d"]}}')");
  plugin(
      "two",
      R"([ $CNI_COMMAND = DEL ] || echo '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.9.0.2/24"}],"dns":{"nameservers":["10.9.0.1"]},"last":true}')");
  config("a.conflist",
         R"({"name":"a","cniVersion":"0.4.0","plugins":[{"type":"one"},{"type":"two","x":1}]})");
  joinNetworks(layout_, kPodOfNetworks, choose("a:IP=10.9.0.2"), plugins(), "/proc/1/ns/net");
  EXPECT_EQ(logged().substr(0, 50), "ADD one eth0 IgnoreUnknown=1;IP=10.9.0.2\n{\"cniVers");
  EXPECT_NE(logged().find("\"prevResult\":{\"cniVersion\""), std::string::npos);
  const auto shown = readNetworks(layout_);
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(networkText(shown[0]), "a:ip4=10.9.0.2");
  EXPECT_EQ(readFile(dir_.path() / "stage1/rootfs/etc/rkt-resolv.conf", 4096),
            "nameserver 10.9.0.1\n");

  leaveNetworks(layout_, kPodOfNetworks, plugins(), "/proc/1/ns/net");
  const std::string text = logged();
  EXPECT_LT(text.find("DEL two"), text.find("DEL one"));
  EXPECT_NE(text.substr(text.find("DEL two")).find("\"last\":true"), std::string::npos);
  EXPECT_FALSE(actool::exists(layout_.netInfo()));
  leaveNetworks(layout_, kPodOfNetworks, plugins(), "/proc/1/ns/net");  // nothing is left to do
}

TEST_F(Net, FailureIsThePluginsOwnAndUndone) {
  plugin(
      "one",
      R"([ $CNI_COMMAND = DEL ] || { echo '{"code":11,"msg":"no address left","details":"in 10.9.0.0/24"}'; exit 1; })");
  config("a.conf", R"({"name":"a","type":"one"})");
  EXPECT_EQ(messageOf([&] { joinNetworks(layout_, kPodOfNetworks, choose("a"), plugins(), "/x"); }),
            "joining network a: network plugin one: no address left: in 10.9.0.0/24");
  EXPECT_NE(logged().find("DEL one"), std::string::npos);
  EXPECT_FALSE(actool::exists(layout_.netInfo()));
}

TEST_F(Net, PluginsHaveLimits) {
  const PluginCall call{"ADD", kPodOfNetworks.str(), "/x", "eth0", ""};
  plugin("slow", "exec sleep 100");
  EXPECT_EQ(messageOf([&] {
              plugins({.time = std::chrono::milliseconds(1000)}).run(call, {{"type", "slow"}});
            }),
            "network plugin slow: it took longer than 1 s");
  plugin("loud", "exec head -c 100000 /dev/zero");
  EXPECT_EQ(messageOf([&] {
              plugins({.output = 5000}).run(call, {{"type", "loud"}});
            }),
            "network plugin loud: it wrote more than 5000 bytes");
  plugin("dying", "kill -9 $$");
  EXPECT_EQ(messageOf([&] {
              plugins().run(call, {{"type", "dying"}});
            }),
            "network plugin dying: it was killed by SIGKILL");
  EXPECT_EQ(messageOf([&] {
              plugins().run(call, {{"type", "missing"}});
            }),
            "network plugin missing: it is not in " + (dir_.path() / "bin").string() +
                "; install CNI plugins (Debian: containernetworking-plugins)");
}

schema::PodManifest podOf(const std::string& members, const std::string& app = "") {
  return schema::PodManifest::parse(
      R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[{"name":"web","image":{"id":"sha512-)" +
          std::string(128, '0') + R"("},"app":{"exec":["/x"],"user":"0","group":"0")" + app +
          "}}]" + members + "}",
      "pod");
}

TEST_F(Net, PortsGoToTheFirstNetworkThatMasquerades) {
  config("1.conf", R"({"name":"one","type":"ptp"})");
  config("2.conf", R"({"name":"two","type":"ptp","ipMasq":true})");
  config("3.conf", R"({"name":"three","type":"ptp"})");
  const std::string ports = R"(,"ports":[{"name":"www","port":80,"protocol":"tcp","count":2}])";
  const Json mappings = portMappings(podOf(R"(,"ports":[{"name":"www","hostPort":8080}])", ports));
  EXPECT_EQ(dumpLine(mappings), R"([{"containerPort":80,"hostPort":8080,"protocol":"tcp"},)"
                                R"({"containerPort":81,"hostPort":8081,"protocol":"tcp"}])");
  std::vector<Network> networks = choose("one,two,three");
  addPorts(networks, mappings);
  EXPECT_EQ(networks[1].plugins.at(1)["runtimeConfig"]["portMappings"], mappings);
  networks = choose("one,three");
  addPorts(networks, mappings);
  EXPECT_EQ(networks[1].plugins.size(), 2U);
  EXPECT_EQ(messageOf([&] { portMappings(podOf(R"(,"ports":[{"name":"no","hostPort":1}])")); }),
            "no app has a port no");
}

TEST_F(Net, BandwidthIsBitsInBothDirections) {
  const std::string limit =
      R"("isolators":[{"name":"resource/network-bandwidth","value":{"default":true,"limit":"1M"}}])";
  EXPECT_EQ(bandwidthLimit(podOf("," + limit)), 1000000);
  EXPECT_EQ(bandwidthLimit(podOf("", "," + limit)), 1000000);
  EXPECT_EQ(bandwidthLimit(podOf("")), std::nullopt);
  std::vector<Network> networks = choose("default");
  addBandwidth(networks, 1000000);
  EXPECT_EQ(networks[0].plugins.at(1)["ingressRate"], 8000000);
  EXPECT_EQ(networks[0].plugins.at(1)["egressBurst"], 800000);
}

TEST(Ipv4Subnet, HasAGatewayAndAddressesForPods) {
  const Subnet subnet = Subnet::parse("10.1.0.64/28");
  EXPECT_EQ(subnet.gateway().str(), "10.1.0.65");
  EXPECT_EQ(subnet.first().str(), "10.1.0.66");
  EXPECT_EQ(subnet.last().str(), "10.1.0.78");
  EXPECT_EQ(subnet.str(), "10.1.0.64/28");
  EXPECT_TRUE(subnet.contains(*Ipv4::parse("10.1.0.79")));
  EXPECT_FALSE(subnet.contains(*Ipv4::parse("10.1.0.80")));
  EXPECT_EQ(Subnet{}.str(), "0.0.0.0/0");
  EXPECT_TRUE(Subnet{}.contains(*Ipv4::parse("255.255.255.255")));
  EXPECT_EQ(Ipv4::parse("10.1.0"), std::nullopt);
  for (const char* wrong : {"10.1.0.65/28", "10.1.0.64", "10.1.0.64/31", "0.0.0.0/0", "a/24", ""})
    EXPECT_NE(messageOf([&] { Subnet::parse(wrong); }), "") << wrong;
}

TEST_F(Net, LeasesGoRoundAndAreGivenBack) {
  const Path directory = dir_.path() / "leases";
  const Subnet subnet = Subnet::parse("10.1.0.0/29");  // .2 to .6
  const auto take = [&](std::optional<Ipv4> wanted = {}) {
    return Leases(directory).take(subnet, kPodOfNetworks, "eth0", wanted).str();
  };
  EXPECT_TRUE(Leases(directory).none(subnet));
  EXPECT_EQ(take(), "10.1.0.2");
  EXPECT_EQ(readFile(directory / "10.1.0.2", 100), kPodOfNetworks.str() + "\r\neth0");
  EXPECT_EQ(take(Ipv4::parse("10.1.0.4")), "10.1.0.4");
  EXPECT_EQ(take(), "10.1.0.3");
  EXPECT_EQ(take(), "10.1.0.5");
  EXPECT_EQ(messageOf([&] { take(Ipv4::parse("10.1.0.5")); }), "10.1.0.5 is taken");
  EXPECT_EQ(messageOf([&] { take(Ipv4::parse("10.1.0.1")); }),
            "10.1.0.1 is no address for a pod of 10.1.0.0/29");
  writeFilePlain(directory / "10.1.0.6", "another\r\neth0");
  EXPECT_NE(messageOf([&] { take(); }).find("all addresses of 10.1.0.0/29 are taken"),
            std::string::npos);
  EXPECT_FALSE(Leases(directory).none(subnet));
  EXPECT_TRUE(Leases(directory).none(Subnet::parse("10.2.0.0/24")));

  Leases(directory).giveBack(kPodOfNetworks, "eth1");
  EXPECT_TRUE(actool::exists(directory / "10.1.0.2"));
  Leases(directory).giveBack(kPodOfNetworks, "eth0");
  EXPECT_EQ(listDir(directory),
            (std::vector<std::string>{"10.1.0.6", "last_reserved_ip.0", "lock"}));
  EXPECT_EQ(take(), "10.1.0.2");  // the last one was .5
  EXPECT_EQ(take(), "10.1.0.3");
  writeFilePlain(directory / "last_reserved_ip.0", "garbage");
  EXPECT_EQ(take(), "10.1.0.4");
}

}  // namespace
}  // namespace actool::run::native
