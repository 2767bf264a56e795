"""Pods in networks by CNI, with the real plugins, in a network namespace of the test's own."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import uuid

import harness
import native_test

PLUGINS = pathlib.Path("/usr/lib/cni")
# Answers every connection with the address that it came from.
SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    peer, address = server.accept()
    peer.sendall(address[0].encode() + b"\\n")
    peer.close()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as peer:
    print(peer.recv(100).decode().strip())
"""


def output(*argv):
    return subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()


class NetCase(native_test.NativeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not (PLUGINS / "ptp").exists():
            harness.skip("no CNI plugins in /usr/lib/cni")
        for place in ("/var/lib/cni", "/run"):
            os.makedirs(place, exist_ok=True)
            output("mount", "-t", "tmpfs", "none", place)
        # Another host: behind this one, and without a way back to the pods.
        output("ip", "netns", "add", "outside")
        output("ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", "outside")
        output("ip", "addr", "add", "198.51.100.1/24", "dev", "up0")
        output("ip", "link", "set", "up0", "up")
        for words in ("addr add 198.51.100.2/24 dev eth0", "link set eth0 up", "link set lo up"):
            output("ip", "-n", "outside", *words.split())
        server = cls.lab.start(["ip", "netns", "exec", "outside", sys.executable, "-c", SERVER, "198.51.100.2", "7000"],
                               stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"ready\n"
        server.stdout.close()

    @classmethod
    def tearDownClass(cls):
        # The kernel takes a namespace away later, and with it the other end, which is in the way until then.
        subprocess.run(["ip", "link", "del", "up0"], check=False)
        subprocess.run(["ip", "netns", "del", "outside"], check=False)
        super().tearDownClass()
        for place in ("/run", "/var/lib/cni"):
            subprocess.run(["umount", "-l", place], check=False)

    def setUp(self):
        super().setUp()
        harness.wait_for(lambda: not any(name.startswith("veth") for name in self.links()), "the end of the pods before")
        self.before = self.traces()

    def app(self, *args, **kwargs):
        app = super().app(*args, **kwargs)
        (self.root(kwargs.get("name", "a")) / "bin/nc").symlink_to("busybox")
        return app

    def configure(self, name, **members):
        directory = self.lab.local_config / "net.d"
        directory.mkdir(parents=True, exist_ok=True)
        suffix = "conflist" if "plugins" in members else "conf"
        (directory / f"10-{name}.{suffix}").write_text(json.dumps({"name": name, **members}))

    def another_pod(self):
        """What the test does from here on is about a second pod."""
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.uuid = str(uuid.uuid4())
        self.dir = self.lab.work / self.uuid

    def without_plugins(self):
        self.lab.env["CNI_PATH"] = str(self.lab.work / "none")
        self.addCleanup(self.lab.env.pop, "CNI_PATH")

    def bridge(self, name="web", number=1, **members):
        self.configure(name, type="bridge", bridge=f"br-{name}", isGateway=True,
                       ipam={"type": "host-local", "subnet": f"10.77.{number}.0/24"}, **members)

    def start(self, *options, **kwargs):
        return super().start(f"--local-config={self.lab.local_config}", *options, **kwargs)

    def links(self):
        names = re.findall(r"^\d+: ([^:@]+)", output("ip", "-o", "link"), re.M)
        return [name for name in names if not name.startswith("br-")]

    def traces(self):
        """What networks leave on a host: interfaces, rules, leases."""
        rules = output("iptables-save", "-t", "nat") + output("iptables-save", "-t", "filter")
        leases = [str(path) for path in pathlib.Path("/var/lib/cni").rglob("*")
                  if path.is_file() and path.name not in ("lock", "last_reserved_ip.0")]
        return (self.links(), re.findall(r"CNI-(?:SN-|DN-)?[0-9a-f]{8,}|-j CNI-[0-9a-f]+", rules), leases)

    def tables(self):
        """Of NAT that is ours. They stay until the last pod that was in the network is removed."""
        return re.findall(r"^table ip (actool-.*)$", output("nft", "list", "tables"), re.M)

    def assert_left(self):
        """The pod has left its networks. The kernel removes a pair of interfaces after the namespace that it leads to."""
        harness.wait_for(lambda: self.links() == self.before[0], "the end of the pod's interfaces")
        self.assertEqual(self.traces(), self.before)

    def assert_nothing_left(self):
        """The same, and nothing on record either. What is for removal to undo is tried too."""
        self.assert_left()
        self.assertFalse((self.dir / "net-info.json").exists())
        if (self.dir / "net-left.json").exists():
            self.ok(self.entry("gc", f"--local-config={self.lab.local_config}", self.uuid))
        self.assertFalse((self.dir / "net-left.json").exists())
        self.assertEqual(self.tables(), [])

    def from_outside(self, port, address="198.51.100.1"):
        return output("ip", "netns", "exec", "outside", sys.executable, "-c", CLIENT, address, port).strip()

    def info(self):
        return json.loads((self.dir / "net-info.json").read_text())


class Networks(NetCase):
    def test_default_network_reaches_the_world_behind_the_hosts_address(self):
        self.pod(self.app("ip -4 addr show eth0; ip route; nc 198.51.100.2 7000 </dev/null"))
        result = self.ok(self.run_pod("--net=default"))
        self.assertRegex(result.out, r"inet 172\.16\.28\.\d+/24")
        self.assertRegex(result.out, r"default via 172\.16\.28\.1")
        self.assertEqual(result.out.splitlines()[-1], "198.51.100.1")
        self.assert_nothing_left()

    def test_default_restricted_reaches_the_host_only(self):
        self.pod(self.app("ip -4 addr show eth0; nc -w 2 198.51.100.2 7000 </dev/null || echo no way"))
        result = self.ok(self.run_pod("--net=default-restricted"))
        self.assertRegex(result.out, r"inet 172\.16\.29\.")
        self.assertIn("no way", result.out)
        self.assert_nothing_left()

    def test_two_pods_on_one_network_reach_each_other(self):
        self.bridge()
        self.pod(self.app("echo hello | nc -l -p 80"))
        first = self.start("--net=web:IP=10.77.1.9")
        self.pid()
        first_dir = self.dir
        self.another_pod()
        self.pod(self.app("for i in 1 2 3 4 5 6 7 8 9; do nc 10.77.1.9 80 </dev/null && exit; sleep 0.2; done; exit 1"))
        result = self.ok(self.run_pod("--net=web"))
        self.assertEqual(result.out, "hello\n")
        self.ok(self.finish(first))
        self.assertFalse((first_dir / "net-info.json").exists())

    def test_several_networks_each_with_its_interface(self):
        self.bridge("one", 2)
        self.bridge("two", 3)
        self.pod(self.app("ip -4 addr"))
        result = self.ok(self.run_pod("--net=one,two:IP=10.77.3.77"))
        self.assertRegex(result.out, r"10\.77\.2\.\d+/24.*eth0")
        self.assertRegex(result.out, r"10\.77\.3\.77/24.*eth1")
        self.assert_nothing_left()

    def test_chain_of_plugins_by_version_1(self):
        self.configure("chain", cniVersion="1.0.0", plugins=[
            {"type": "ptp", "ipMasq": True, "ipam": {"type": "host-local", "subnet": "10.77.4.0/24"}},
            {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}}])
        self.pod(self.app("cat /proc/sys/net/ipv4/conf/eth0/arp_filter"))
        self.assertEqual(self.ok(self.run_pod("--net=chain")).out, "1\n")
        self.assert_nothing_left()

    def test_masquerade_of_a_bridge_with_a_default_gateway(self):
        self.bridge("masq", 5, ipMasq=True, isDefaultGateway=True)
        self.pod(self.app("nc 198.51.100.2 7000 </dev/null"))
        self.assertEqual(self.ok(self.run_pod("--net=masq")).out, "198.51.100.1\n")
        self.assert_nothing_left()

    def test_macvlan(self):
        self.configure("mac", type="macvlan", master="up0",
                       ipam={"type": "host-local", "subnet": "198.51.100.0/24", "rangeStart": "198.51.100.50"})
        self.pod(self.app("nc 198.51.100.2 7000 </dev/null"))
        self.assertEqual(self.ok(self.run_pod("--net=mac")).out, "198.51.100.50\n")
        self.assert_nothing_left()

    def test_ports_are_reached_through_the_host(self):
        ports = [{"name": "www", "port": 80, "protocol": "tcp"}]
        self.pod(self.app("echo served | nc -l -p 80", members={"ports": ports}),
                 ports=[{"name": "www", "hostPort": 8080}])
        process = self.start("--net=default")
        self.pid()
        for _ in range(50):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.assertEqual(self.from_outside(8080), "served")
                break
            time.sleep(0.1)
        else:
            self.fail("the port was not reached")
        self.ok(self.finish(process))
        self.assert_nothing_left()

    def test_bandwidth_is_limited(self):
        limit = {"name": "resource/network-bandwidth", "value": {"default": True, "limit": "125K"}}
        self.pod(self.app("echo ready; sleep 100"), isolators=[limit])
        process = self.start("--net=default")
        self.line(process)
        self.assertIn("tbf", output("tc", "qdisc"))
        self.assertIn("rate 1Mbit", output("tc", "qdisc"))
        self.entry("stop", "--force", self.uuid)
        self.finish(process)
        self.assert_nothing_left()

    def test_state_tells_the_addresses(self):
        self.pod(self.app("echo ready; sleep 100"))
        process = self.start("--net=default")
        self.line(process)
        [network] = self.info()
        self.assertEqual((network["netName"], network["ifName"]), ("default", "eth0"))
        self.assertRegex(network["addresses"][0], r"^172\.16\.28\.\d+/24$")
        self.entry("stop", "--force", self.uuid)
        self.finish(process)

    def test_servers_of_a_plugin_are_the_apps(self):
        self.bridge("dns", 6, dns={"nameservers": ["10.77.6.1"], "search": ["example.test"]})
        self.pod(self.app("cat /etc/resolv.conf"))
        result = self.ok(self.run_pod("--net=dns"))
        self.assertEqual(result.out, "nameserver 10.77.6.1\nsearch example.test\n")


class BuiltIn(NetCase):
    """The networks that need no plugin."""

    def test_they_need_no_plugins(self):
        self.without_plugins()
        self.pod(self.app("ip -4 addr show eth0; ip -4 addr show eth1; nc 198.51.100.2 7000 </dev/null"))
        result = self.ok(self.run_pod("--net=default,default-restricted"))
        self.assertIn("inet 172.16.28.", result.out)
        self.assertIn("inet 172.16.29.", result.out)
        self.assertEqual(result.out.splitlines()[-1], "198.51.100.1")
        self.assert_nothing_left()

    def test_an_address_can_be_asked_for(self):
        self.pod(self.app("ip -4 addr show eth0"))
        self.assertIn("inet 172.16.28.77/24", self.ok(self.run_pod("--net=default:IP=172.16.28.77")).out)
        self.assert_nothing_left()
        for address, why in (("172.16.28.1", "is no address for a pod of 172.16.28.0/24"), ("10.0.0.1", "is no address for"),
                             ("172.16.28.255", "is no address for"), ("pod", "is no IPv4 address")):
            self.another_pod()
            self.pod(self.app())
            self.refused(self.run_pod(f"--net=default:IP={address}"), 254, f"joining network default: .*{address} {why}")
            self.assert_nothing_left()

    def test_leases_are_those_of_host_local(self):
        """The real plugin does not give away what ours has given, nor ours what it has."""
        config = {"cniVersion": "0.4.0", "name": "default", "type": "host-local",
                  "ipam": {"type": "host-local", "subnet": "172.16.28.0/24"}}

        def host_local(command, address=""):
            env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "theirs", "CNI_NETNS": "/none", "CNI_IFNAME": "eth0",
                   "CNI_PATH": str(PLUGINS), "CNI_ARGS": f"IP={address}" if address else ""}
            return subprocess.run([PLUGINS / "host-local"], env=env, input=json.dumps(config).encode(),
                                  stdout=subprocess.PIPE, check=False)

        self.pod(self.app("echo ready; sleep 100"))
        process = self.start("--net=default:IP=172.16.28.80")
        self.line(process)
        self.assertIn(b"172.16.28.80", host_local("ADD", "172.16.28.80").stdout)
        self.assertNotEqual(host_local("ADD", "172.16.28.80").returncode, 0)
        self.assertEqual(host_local("ADD", "172.16.28.81").returncode, 0)
        self.entry("stop", "--force", self.uuid)
        self.finish(process)
        self.another_pod()
        self.pod(self.app())
        self.refused(self.run_pod("--net=default:IP=172.16.28.81"), 254, "172.16.28.81 is taken")
        self.assertEqual(host_local("DEL").returncode, 0)
        self.assertEqual(self.ok(self.run_pod("--net=default:IP=172.16.28.81")).out, "")

    def test_nat_stays_as_long_as_a_pod_has_use_for_it(self):
        self.pod(self.app("echo ready; sleep 100"))
        first, process, directory = self.uuid, self.start("--net=default"), self.dir
        self.line(process)
        self.assertEqual(self.tables(), ["actool-default-172.16.28.0/24"])
        self.another_pod()
        self.pod(self.app())
        self.ok(self.run_pod("--net=default"))
        self.ok(self.entry("gc", self.uuid))
        self.assertEqual(self.tables(), ["actool-default-172.16.28.0/24"])
        self.uuid, self.dir = first, directory
        self.entry("stop", "--force", self.uuid)
        self.finish(process)
        self.assertEqual(self.tables(), ["actool-default-172.16.28.0/24"])
        self.ok(self.entry("gc", self.uuid))
        self.assertEqual(self.tables(), [])

    def test_nat_is_there_again_after_the_firewall_was_emptied(self):
        self.pod(self.app("nc 198.51.100.2 7000 </dev/null"))
        self.ok(self.run_pod("--net=default"))
        output("nft", "delete", "table", "ip", self.tables()[0])
        self.another_pod()
        self.pod(self.app("nc 198.51.100.2 7000 </dev/null"))
        self.assertEqual(self.ok(self.run_pod("--net=default")).out, "198.51.100.1\n")
        self.assert_nothing_left()

    def test_many_at_once_have_an_address_each(self):
        script = "ip -4 addr show eth0 | grep inet; sleep 1"
        pods = []
        for _ in range(12):
            self.another_pod()
            self.pod(self.app(script))
            pods.append(self.start("--net=default"))
        seen = [re.search(r"inet ([0-9.]+)/24", pod.communicate(timeout=60)[0].decode()).group(1) for pod in pods]
        self.assertEqual(len(set(seen)), len(pods))

    def test_a_full_network_is_one_clear_line(self):
        leases = pathlib.Path("/var/lib/cni/networks/default")
        leases.mkdir(parents=True, exist_ok=True)
        taken = [leases / f"172.16.28.{i}" for i in range(2, 255)]
        for lease in taken:
            lease.write_text("someone\r\neth0")
            self.addCleanup(lease.unlink)
        self.pod(self.app())
        self.refused(self.run_pod("--net=default"), 254,
                     "joining network default: all addresses of 172.16.28.0/24 are taken; run `actool gc`")

    def test_own_configuration(self):
        self.configure("mine", type="actool-ptp", subnet="10.77.30.0/28", ipMasq=True)
        self.pod(self.app("ip -4 addr show eth0; ip route"))
        result = self.ok(self.run_pod("--net=mine"))
        self.assertRegex(result.out, r"inet 10\.77\.30\.\d+/28")
        self.assertNotIn("default via", result.out)
        self.assert_nothing_left()
        for subnet in ("10.77.30.1/28", "10.77.30.0/31", "10.77.30.0", "fd00::/64"):
            self.configure("mine", type="actool-ptp", subnet=subnet)
            self.another_pod()
            self.pod(self.app())
            self.refused(self.run_pod("--net=mine"), 254, f"joining network mine: .*{subnet}")
            self.assert_nothing_left()


class Undoing(NetCase):
    def killed_pod(self, **members):
        ports = [{"name": "www", "port": 80, "protocol": "tcp"}]
        self.pod(self.app("echo ready; sleep 100", members={"ports": ports}),
                 ports=[{"name": "www", "hostPort": 8081}])
        process = self.start("--net=default")
        self.line(process)
        process.kill()
        self.finish(process)

    def test_after_sigkill_gc_undoes_everything(self):
        self.killed_pod()
        self.assertTrue((self.dir / "net-info.json").exists())
        self.assertNotEqual(self.traces(), self.before)
        self.ok(self.entry("gc", f"--local-config={self.lab.local_config}", self.uuid))
        self.assert_nothing_left()

    def test_a_network_that_fails_undoes_those_before_it(self):
        self.bridge("good", 7)
        self.configure("worse", type="ptp", ipam={"type": "host-local", "subnet": "10.77.8.0/33"})
        self.pod(self.app())
        self.refused(self.run_pod("--net=good,worse"), 254, "joining network worse: network plugin ptp: .*10.77.8.0/33")
        self.assertEqual(self.traces(), self.before)

    def test_missing_plugins_are_one_clear_line(self):
        self.bridge("lost", 9)
        self.pod(self.app())
        self.without_plugins()
        self.refused(self.run_pod("--net=default,lost"), 252,
                     "joining network lost: network plugin bridge: it is not in .*/none; install CNI plugins")
        self.assert_nothing_left()


class CommandLine(NetCase):
    def setUp(self):
        super().setUp()
        tar = harness.aci_tar(harness.manifest("example.com/a", exec=["/bin/sh"], app={
            "ports": [{"name": "www", "port": 80, "protocol": "tcp"}]}))
        path = harness.write_aci(self.lab.work / "a.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        self.id = harness.image_id(tar)

    def run_app(self, script, *options):
        return self.lab.actool("run", *options, self.id, "--", "-c", script)

    def test_list_and_status_show_the_addresses(self):
        process = self.lab.popen("run", "--net=default", self.id, "--", "-c", "echo ready; sleep 100")
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        [pod] = self.ok(self.lab.actool("list", "--format=jsonl")).records()
        self.assertRegex(pod["networks"][0]["addresses"][0], r"^172\.16\.28\.")
        self.assertRegex(self.ok(self.lab.actool("status", pod["uuid"])).out, r"networks=default:ip4=172\.16\.28\.\d+\n")
        self.assertRegex(self.ok(self.lab.actool("list", "--format=table")).out, r"default:ip4=172\.16\.28\.")
        process.kill()
        process.wait()
        self.ok(self.lab.actool("gc", "--grace-period=0"))
        self.assertEqual(self.traces(), self.before)

    def test_networks_of_every_configuration_directory(self):
        for directory, subnet in ((self.lab.system_config, "10.77.20.0/24"), (self.lab.local_config, "10.77.21.0/24")):
            (directory / "net.d").mkdir(parents=True)
            (directory / "net.d/10-x.conf").write_text(json.dumps({
                "name": "x", "type": "ptp", "ipam": {"type": "host-local", "subnet": subnet}}))
        result = self.ok(self.run_app("ip -4 addr show eth0", "--net=x"))
        self.assertIn("10.77.21.", result.out)
        self.assertEqual(self.traces(), self.before)

    def test_joining_a_namespace_that_there_is(self):
        result = self.ok(self.run_app("ip -4 addr", "--net-ns=/run/netns/outside"))
        self.assertIn("198.51.100.2", result.out)
        self.refused(self.run_app("true", "--net-ns=/etc/passwd"), 254, "entering the network namespace /etc/passwd")

    def test_names_and_servers(self):
        script = "cat /etc/resolv.conf /etc/hosts"
        result = self.ok(self.run_app(script, "--dns=10.0.0.1", "--dns-search=example.test", "--dns-opt=rotate",
                                      "--dns-domain=example.test", "--hosts-entry=10.0.0.3=db,10.0.0.3=store",
                                      "--hostname=web"))
        self.assertEqual(result.out, "# Made by actool run\nnameserver 10.0.0.1\ndomain example.test\n"
                                     "search example.test\noptions rotate\n127.0.0.1\tlocalhost web\n"
                                     "::1\tlocalhost web\n10.0.0.3\tdb store\n")

    def test_a_prepared_pod_gets_its_network_when_it_runs(self):
        prepared = self.ok(self.lab.actool("prepare", self.id, "--", "-c", "cat /etc/resolv.conf; ip -4 addr show eth0"))
        result = self.ok(self.lab.actool("run-prepared", "--net", "--dns=10.0.0.9", prepared.out.strip()))
        self.assertIn("nameserver 10.0.0.9\n", result.out)
        self.assertIn("172.16.28.", result.out)
        self.assert_left()

    def test_ports_need_a_network_and_a_name(self):
        self.refused(self.run_app("true", "--port=www:8080"), 254, "nothing leads to the pod's ports")
        self.refused(self.run_app("true", "--net", "--port=ftp:8080"), 254, "no app has a port ftp")

    def test_port_by_option(self):
        process = self.lab.popen("run", "--net", "--port=www:8082", self.id, "--", "-c",
                                 "echo ready; echo served | nc -l -p 80")
        self.addCleanup(process.communicate)
        process.stdout.readline()
        for _ in range(50):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.assertEqual(self.from_outside(8082), "served")
                break
            time.sleep(0.1)
        else:
            process.kill()
            self.fail("the port was not reached")
        self.assertEqual(process.wait(30), 0)
        self.assert_left()


if __name__ == "__main__":
    harness.main()
