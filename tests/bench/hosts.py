"""Hosts on one switch, each a network namespace whose link is shaped both ways.

Nothing has a name outside: the program that uses this runs in namespaces of its own (enter()), of
processes too, so that all it started ends with it, whatever happens, and the links with them.
"""

import os
import pathlib
import subprocess
import sys

_IN_NAMESPACE = "ACTOOL_BENCH_IN_NAMESPACE"
NETWORK = "10.77.0"
FILTERS = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def enter():
    """Runs this program again in network, mount and process namespaces of its own."""
    if os.environ.get(_IN_NAMESPACE) == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ[_IN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL",
                          "--mount-proc", sys.executable, *sys.argv])


def _ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True)


class Host:
    """A namespace with `address`, held by a process that sleeps."""

    def __init__(self, number, mbit):
        self.address = f"{NETWORK}.{number + 2}"
        ready, write = os.pipe()
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", f"echo >&{write}; exec sleep infinity"],
                                       pass_fds=[write], stdin=subprocess.DEVNULL)
        os.close(write)
        os.read(ready, 1)
        os.close(ready)
        link = f"port{number}"
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        _ip("link", "set", link, "master", "switch", "up")
        for words in (["address", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                      ["link", "set", "lo", "up"]):
            subprocess.run([*self.enter(), "ip", *words], check=True)
        # What the host sends, and what the switch sends to it.
        self._shape(mbit, "eth0", self.enter())
        self._shape(mbit, link, [])

    def _shape(self, mbit, link, where):
        subprocess.run([*where, "tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", f"{mbit}mbit", "burst", "64kb",
                        "latency", "100ms"], check=True)

    def enter(self):
        """What goes before a command that is to run on this host."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def stop(self):
        self.holder.kill()
        self.holder.wait()


class Switch:
    """A bridge, with this program at `address`, unshaped."""

    address = f"{NETWORK}.1"

    def __init__(self, hosts, mbit):
        _ip("link", "add", "switch", "type", "bridge")
        # A switch has no packet filter; here it would cost the processors that the hosts share.
        if FILTERS.exists():
            FILTERS.write_text("0")
        _ip("address", "add", f"{self.address}/24", "dev", "switch")
        _ip("link", "set", "switch", "up")
        self.hosts = [Host(number, mbit) for number in range(hosts)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            host.stop()
        _ip("link", "delete", "switch")


def disk(path, mebibytes):
    """Memory as disk: hosts that share one machine must not share its disk too."""
    path = pathlib.Path(path)
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(path)], check=True)
    return path
