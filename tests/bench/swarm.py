#!/usr/bin/env python3
"""How long an image takes to N hosts, beside what is possible and beside aria2.

Usage: swarm.py [--hosts N,N...] [--size SIZE] [--rate MBIT] [--only WORD] [--json FILE]
                [--plot FILE]

Hosts are network namespaces on one bridge, every link shaped to 50 Mbit/s both ways, with disks of
memory. One more host has the image. The clock starts with the first `actool fetch` and stops when the
last one has committed the image; for aria2, with the last whole file. The bound is
max(F/u, F/d, N*F/(u+N*u)) for an image of F bytes. Root is needed. Everything that is started ends with
the program.

Rows: swarm (N hosts), web (one host alone with the web seed, beside curl), loopback (one seeder, one
peer, no shaping, beside aria2).
"""

import argparse
import hashlib
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "functional"))
import harness  # noqa: E402
import hosts as net  # noqa: E402
import peers  # noqa: E402
import plot  # noqa: E402

MEBI = 1 << 20
TO_CURL = 1.05
LOOPBACK_RATE = 300e6
LOOPBACK_SIZE = 512 * MEBI
ARIA2 = ["aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--disable-ipv6=true",
         "--file-allocation=none", "--allow-overwrite=true", "--listen-port=6881", "--seed-ratio=0.0", "--console-log-level=error"]


class Image:
    """A signed image of noise, and its torrents."""

    def __init__(self, bench, size, tracker):
        lab = bench.lab
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="image", dir=lab.work))
        self.folder.chmod(0o755)
        tar = harness.aci_tar(harness.manifest("example.test/web"),
                              [harness.directory("rootfs"), harness.Entry("rootfs/noise", os.urandom(size))])
        self.aci = harness.write_aci(self.folder / "web.aci", tar, compression="none")
        self.size = len(tar)
        bench.gpg.sign(bench.key, self.aci)
        self.torrent, self.v1 = self.folder / "web.aci.torrent", self.folder / "v1.torrent"
        for output, options in ((self.torrent, []), (self.v1, ["--v1"])):
            bench.actool("torrent", *options, *(["--tracker", tracker] if tracker else []), "--output", output, self.aci)
        self.hashes = [bench.actool("torrent", "--magnet", *options, self.aci).split("btih:")[1][:40] for options in ([], ["--v1"])]
        # Under the name that the torrent gives it.
        self.name = "sha256-" + hashlib.sha256(tar).hexdigest() + ".aci"
        (self.folder / self.name).hardlink_to(self.aci)


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.rows = []
        self.lab = harness.Lab("swarm")
        self.disks = net.disk(self.lab.work / "disks", 20_000)
        self.gpg = harness.Gpg(self.lab)
        self.key = self.gpg.key("Bench <bench@example.com>")
        path = self.lab.work / "key.pub"
        path.write_bytes(self.gpg.export(self.key))
        self.actool("trust", "add", "--root", "--skip-fingerprint-review", path)

    def actool(self, *words):
        result = self.lab.actool(*words, timeout=600)
        if result.code != 0:
            sys.exit(f"swarm: actool {' '.join(map(str, words))}: {result}")
        return result.out

    def argv(self, store, *words):
        self.lab.store = self.disks / store
        return self.lab.argv(*words)

    def start(self, argv, host=None):
        """A process of a host whose errors are kept."""
        process = self.lab.start([*(host.enter() if host else []), *argv], stdout=subprocess.DEVNULL,
                                 stderr=open(self.lab.work / "errors", "ab"))
        return process

    def stop(self, *processes):
        for process in processes:
            process.terminate()
        for process in processes:
            self.lab.stop(process)

    def wait(self, processes, limit):
        """Until all have ended; the seconds that each took."""
        begin, ended = time.monotonic(), []
        with selectors.DefaultSelector() as selector:
            for process in processes:
                selector.register(os.pidfd_open(process.pid), selectors.EVENT_READ, process)
            while len(ended) < len(processes):
                ready = selector.select(begin + limit - time.monotonic())
                if not ready:
                    sys.exit(f"swarm: {len(processes) - len(ended)} of {len(processes)} hosts have nothing after {limit:.0f} s")
                for key, _ in ready:
                    ended.append(time.monotonic() - begin)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    if key.data.wait() != 0:
                        sys.exit(f"swarm: a fetch failed ({key.data.returncode}):\n{(self.lab.work / 'errors').read_text()[-4000:]}")
        return sorted(ended)

    def seeder(self, image, address, *words, host=None):
        store = f"seeder{len(self.lab.processes)}"
        subprocess.run(self.argv(store, "fetch", image.aci), check=True, stdout=subprocess.DEVNULL)
        process = self.start(self.argv(store, "seed", f"--listen={address}:6881", *words), host)
        process.ask = self.argv(store, "seed", "status", "--format=jsonl")
        harness.wait_for(lambda: [image["state"] for image in self.status(process)["images"]] == ["seeding"], "the seeder")
        return process

    def status(self, seeder):
        done = subprocess.run(seeder.ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return json.loads(done.stdout) if done.returncode == 0 else {"images": []}

    def clear(self):
        subprocess.run(f"rm -rf {self.disks}/*", shell=True, check=True)

    # --- rows -----------------------------------------------------------------------------------

    def swarm(self):
        tracker_url = f"http://{net.Switch.address}:6969/announce"
        image = Image(self, self.arguments.size, tracker_url)
        rate = self.arguments.rate * 1e6 / 8
        for count in self.arguments.hosts:
            bound = max(image.size / rate, count * image.size / (rate + count * rate))
            limit = 20 + 8 * bound
            with net.Switch(count + 1, self.arguments.rate) as switch:
                source, *sinks = switch.hosts
                tracker = peers.Tracker(self.lab, image.hashes, net.Switch.address, port=6969)
                ours, given = self.actool_swarm(image, tracker_url, source, sinks, limit)
                self.clear()
                self.stop(tracker.process)
                tracker = peers.Tracker(self.lab, image.hashes, net.Switch.address, port=6969)
                theirs = self.aria2_swarm(image, source, sinks, limit)
                self.clear()
                self.stop(tracker.process)
            self.rows.append({"row": "swarm", "hosts": count, "bytes": image.size, "bound": bound, "actool": ours[-1],
                              "median": ours[len(ours) // 2], "first": ours[0], "given": given / image.size, "peer": "aria2", "peer_seconds": theirs[-1],
                              "ratio": ours[-1] / bound, "peer_ratio": theirs[-1] / bound, "target": self.arguments.most})

    def actool_swarm(self, image, tracker_url, source, sinks, limit):
        seeder = self.seeder(image, source.address, f"--tracker={tracker_url}", host=source)
        fetches = [self.start(self.argv(f"host{number}", "fetch", *self.arguments.fetch_option, image.torrent), host)
                   for number, host in enumerate(sinks)]
        seconds = self.wait(fetches, limit)
        given = self.status(seeder)["uploaded"]
        self.stop(seeder, *fetches)
        return seconds, given

    def aria2_swarm(self, image, source, sinks, limit):
        done = self.lab.work / "done.sh"
        done.write_text('#!/bin/sh\n: > "$3.done"\n')
        done.chmod(0o755)
        seeder = self.start([*ARIA2, "-V", "--bt-hash-check-seed=true", "-d", image.folder, image.v1], source)
        harness.wait_for(lambda: subprocess.run([*source.enter(), "ss", "-Hltn", "sport = :6881"], stdout=subprocess.PIPE).stdout,
                         "aria2 to listen")
        folders = [self.disks / f"aria{i}" for i in range(len(sinks))]
        begin = time.monotonic()
        clients = [self.start([*ARIA2, f"--on-bt-download-complete={done}", "-d", folder, image.v1], host)
                   for folder, host in zip(folders, sinks)]
        ended = {}
        while len(ended) < len(folders) and time.monotonic() - begin < limit:
            for folder in folders:
                if folder not in ended and (folder / f"{image.name}.done").exists():
                    ended[folder] = time.monotonic() - begin
            time.sleep(0.005)
        self.stop(seeder, *clients)
        # One that never ends took at least so long.
        return sorted(ended.get(folder, limit) for folder in folders)

    def web(self):
        """One host alone, with the web server as its only seed."""
        image = Image(self, self.arguments.size, None)
        with net.Switch(2, self.arguments.rate) as switch:
            server, client = switch.hosts
            config = self.lab.work / "nginx.conf"
            config.write_text(f"daemon off; user root; worker_processes 1; pid {self.lab.work}/nginx.pid; error_log {self.lab.work}/nginx.log;\n"
                              "events { } http { access_log off; server { listen 80; root %s; } }\n" % image.folder)
            web = self.start(["nginx", "-c", config], server)
            url = f"http://{server.address}/web.aci"
            harness.wait_for(lambda: harness._connects(80, server.address), "nginx")
            ours, theirs = [], []
            for turn in range(self.arguments.runs):
                ours += self.wait([self.start(self.argv(f"web{turn}", "fetch", "--insecure-options=http", url), client)], 120)
                theirs += self.wait([self.start(["curl", "-sf", "-o", self.disks / f"curl{turn}", url], client)], 120)
                self.clear()
            self.stop(web)
        ours, theirs = min(ours), min(theirs)
        self.rows.append({"row": "web", "hosts": 1, "bytes": image.size, "bound": image.size * 8e-6 / self.arguments.rate, "actool": ours,
                          "peer": "curl", "peer_seconds": theirs, "ratio": ours / theirs, "target": TO_CURL})

    def loopback(self):
        """Unshaped: what the programs themselves can."""
        image = Image(self, LOOPBACK_SIZE, None)
        ours, theirs = [], []
        for turn in range(self.arguments.runs):
            seeder = self.seeder(image, "127.0.0.1")
            ours += self.wait([self.start(self.argv("lo", "fetch", "--peer=127.0.0.1:6881", image.torrent))], 120)
            self.stop(seeder)
            self.clear()
            tracker = peers.Tracker(self.lab, image.hashes)
            seeder = self.start([*ARIA2, "-V", "--bt-hash-check-seed=true", f"--bt-tracker={tracker.url}", "-d", image.folder, image.v1])
            harness.wait_for(lambda: harness._connects(6881), "aria2 to listen")
            time.sleep(1)  # it announces itself
            client = [*ARIA2, "--listen-port=6882", "--seed-time=0", f"--bt-tracker={tracker.url}", "-d", self.disks / "aria", image.v1]
            theirs += self.wait([self.start(client)], 120)
            self.stop(seeder, tracker.process)
            self.clear()
        ours, theirs = image.size / min(ours), image.size / min(theirs)
        target = min(LOOPBACK_RATE, 2 * theirs)
        self.rows.append({"row": "loopback", "hosts": 1, "bytes": image.size, "actool": image.size / ours, "peer": "aria2",
                          "peer_seconds": image.size / theirs, "rate": ours, "peer_rate": theirs, "ratio": target / ours, "target": 1.0})

    # --- table ----------------------------------------------------------------------------------

    def table(self):
        lines = [("work", "bound", "actool", "peer", "", "ratio", "at most", "", "peer's", "seed gave")]
        for row in self.rows:
            what = {"swarm": f"{row['bytes'] / MEBI:.0f} MiB to {row['hosts']} hosts, to the bound",
                    "web": f"{row['bytes'] / MEBI:.0f} MiB to 1 host by its web seed, to curl",
                    "loopback": f"{row['bytes'] / MEBI:.0f} MiB over loopback, to 300 MB/s or 2 x aria2"}[row["row"]]
            shown = [f"{row['actool']:.2f} s", f"{row['peer_seconds']:.2f} s"]
            if "rate" in row:
                shown = [f"{row['rate'] / 1e6:.0f} MB/s", f"{row['peer_rate'] / 1e6:.0f} MB/s"]
            lines.append((what, f"{row['bound']:.2f} s" if "bound" in row else "", shown[0], row["peer"], shown[1], f"{row['ratio']:.2f}",
                          f"{row['target']:.2f}", "ok" if row["ratio"] <= row["target"] else "MISSED",
                          *([f"{row['peer_ratio']:.2f}", f"{row['given']:.2f} x"] if "given" in row else ["", ""])))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        return all(row["ratio"] <= row["target"] for row in self.rows)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=lambda word: [int(number) for number in word.split(",")], default=[8, 16], metavar="N,N...")
    parser.add_argument("--size", type=lambda word: int(float(word) * MEBI), default=64 * MEBI, metavar="MEBIBYTES")
    parser.add_argument("--rate", type=float, default=50, help="of each link, both ways", metavar="MBIT")
    parser.add_argument("--runs", type=int, default=2, help="of web and loopback, the best of which counts")
    parser.add_argument("--only", choices=["swarm", "web", "loopback"])
    parser.add_argument("--most", type=float, default=1.3, help="of the bound, that a swarm may take", metavar="RATIO")
    parser.add_argument("--limit", type=int, default=900, help="end after so many seconds", metavar="SECONDS")
    parser.add_argument("--fetch-option", action="append", default=[], help="another option of 'actool fetch'")
    parser.add_argument("--json", help="write the rows to this file too")
    parser.add_argument("--plot", help="write an SVG of time against hosts to this file")
    return parser.parse_args(argv)


def main():
    arguments = parse(sys.argv[1:])
    net.enter()
    signal.alarm(arguments.limit)
    bench = Bench(arguments)
    try:
        for name in ("swarm", "web", "loopback"):
            if arguments.only in (None, name):
                print(f"{name} ...", file=sys.stderr)
                getattr(bench, name)()
        fine = bench.table()
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps(bench.rows, indent=1))
        if arguments.plot:
            pathlib.Path(arguments.plot).write_text(plot.svg([row for row in bench.rows if row["row"] == "swarm"]))
    finally:
        subprocess.run(["umount", "-l", str(bench.disks)], check=False)
        bench.lab.close()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
