"""Peers of others for the swarm tests: python3-libtorrent, aria2c and transmission-cli as seeds and as
downloaders, on this namespace's loopback only."""

import json
import socket
import subprocess
import sys
import tempfile
import pathlib

import harness

# Debian's interpreter, whose libtorrent module it is.
PYTHON = "/usr/bin/python3"

LIBTORRENT = """
import libtorrent as lt, sys, time, json
torrent, directory, port, mode, peers = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], json.loads(sys.argv[5])
session = lt.session({"listen_interfaces": "127.0.0.1:%d" % port, "enable_dht": False, "enable_lsd": False,
                      "enable_upnp": False, "enable_natpmp": False, "allow_multiple_connections_per_ip": True})
params = lt.parse_magnet_uri(torrent) if torrent.startswith("magnet:") else lt.add_torrent_params()
if not torrent.startswith("magnet:"):
    params.ti = lt.torrent_info(torrent)
params.save_path = directory
params.flags = lt.torrent_flags.default_flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
if mode == "lie":
    params.flags |= lt.torrent_flags.seed_mode
handle = session.add_torrent(params)
for host, peer in peers:
    handle.connect_peer((host, peer))
print("listening", session.listen_port(), flush=True)
ended = time.time() + 120
while time.time() < ended:
    if mode == "get" and handle.status().is_seeding:
        print("done", flush=True)
        break
    if mode == "lie":
        # What libtorrent itself finds broken it gives to nobody: pretend again.
        handle.clear_error()
    time.sleep(0.05)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """One client; ended with the lab."""

    def __init__(self, lab, argv, port, **kwargs):
        self.lab, self.port = lab, port
        self.process = lab.start(argv, **kwargs)

    def stop(self):
        self.lab.stop(self.process)

    def wait_listening(self):
        harness.wait_for(lambda: harness._connects(self.port), f"a peer to listen on {self.port}")
        return self


def libtorrent(lab, torrent, directory, mode="seed", peers=()):
    """mode: seed, get, or lie (claims to have what it has not)."""
    port = free_port()
    return Peer(lab, [PYTHON, "-c", LIBTORRENT, str(torrent), str(directory), str(port), mode, json.dumps(list(peers))], port,
                stdout=subprocess.DEVNULL)


def aria2(lab, torrent, directory, seed=True, trackers=(), peers=()):
    port = free_port()
    argv = ["aria2c", f"--listen-port={port}", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", "--disable-ipv6=true", "--file-allocation=none", "--bt-tracker-connect-timeout=3",
            "--no-conf", "-d", str(directory), "--allow-overwrite=true"]
    argv += ["--seed-ratio=0.0", "-V", "--bt-hash-check-seed=true"] if seed else ["--seed-time=0"]
    if trackers:
        argv.append("--bt-tracker=" + ",".join(trackers))
    return Peer(lab, argv + [str(torrent)], port, stdout=subprocess.DEVNULL)


def transmission(lab, torrent, directory, address="127.0.0.1"):
    port = free_port()
    config = pathlib.Path(tempfile.mkdtemp(prefix="transmission-", dir=lab.work))
    (config / "settings.json").write_text(json.dumps({"dht-enabled": False, "lpd-enabled": False, "utp-enabled": False,
                                                       "bind-address-ipv4": address}))
    return Peer(lab, ["transmission-cli", "-g", str(config), "-p", str(port), "-M", "-w", str(directory), str(torrent)], port,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def address_beside_loopback(number):
    """An address of this namespace that is none of 127/8: Transmission connects to nobody there, and
    knows only one peer of an address."""
    address = f"198.51.100.{number}"
    subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    return address


class Tracker:
    """opentracker for these info-hashes (v1, hex). It changes its root to its directory first."""

    def __init__(self, lab, infohashes, address="127.0.0.1", port=None):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tracker-", dir=lab.work))
        directory.chmod(0o755)
        whitelist = directory / "whitelist"
        whitelist.write_text("".join(infohash + "\n" for infohash in infohashes))
        whitelist.chmod(0o644)
        self.port = port or free_port()
        self.url = f"http://{address}:{self.port}/announce"
        self.process = lab.start(["opentracker", "-i", address, "-p", str(self.port), "-P", str(self.port), "-d", str(directory),
                                  "-w", whitelist.name, "-u", "nobody"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_for(lambda: harness._connects(self.port, address), "opentracker to listen")
