#!/usr/bin/env python3
"""Benchmarks of whole commands, each beside a peer doing the same work in the same run.

Usage: bench.py [--runs N] [--only WORD] [--json FILE]

Runs on one machine with nothing from the network: the image is made of files of this machine's
/usr (about 200 MB of tar), or of DIR with --tree DIR. Prints one table of ratios; a ratio below
1 means that actool is faster. Root is needed, for namespaces and ownership. Peers that are not
installed are named and their rows left out: tests/setup.sh tests/packages-bench.txt. Functions
come from build/release/tests/bench/micro_bench.
"""

import argparse
import contextlib
import ctypes
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "functional"))
import harness  # noqa: E402
import kernel_mount  # noqa: E402
import bench_peers as peers  # noqa: E402

TAR_SIZE = 204 << 20
# Of rows that are there to be seen: tar neither inflates nor hashes, umoci and podman check no signature.
NO_TARGET = None
IMAGES = 100_000
# REFERENCES of the project, measured side by side on one machine: `rkt fetch` of this image took 6.5 s
# where `ctr images import` took 2.4 s.
RKT_TO_CTR = 6.5 / 2.4
MICRO_BENCH = harness.BIN.parent / "tests/bench/micro_bench"
FILL_STORE = harness.BIN.parent / "tests/support/fill_store"


def collect_tree(destination, size):
    """Hard copies of this machine's own programs and libraries until `size` bytes are there."""
    total = 0
    for source in ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/share/perl", "/usr/share/doc",
                   "/usr/share/zoneinfo", "/usr/lib/python3", "/usr/share/man", "/usr/include"):
        for directory, _, files in os.walk(source):
            for name in files:
                path = pathlib.Path(directory, name)
                if path.is_symlink() or not path.is_file() or path.stat().st_size > 8 << 20:
                    continue
                target = pathlib.Path(destination, str(path).lstrip("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                total += path.stat().st_size + 1024
                if total > size:
                    return
    if total < size // 2:
        sys.exit(f"bench: only {total >> 20} MiB of files found in /usr; give a tree with --tree")


def meets(row):
    return row["target"] is NO_TARGET or row["ratio"] <= row["target"]


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.lab = harness.Lab("bench")
        self.rows = []
        # As a package's installation has them, crun's too: what the linker has just written in small pieces lies in the
        # page cache in as many, and takes longer to be mapped until it is read from the disk anew.
        programs = self.lab.work / "bin"
        subprocess.run(["cp", "-a", harness.BIN, programs], check=True)
        harness.BIN = programs

    # --- measuring --------------------------------------------------------------------------

    def times(self, commands, prepare=None, runs=None):
        """Median seconds of each shell command, run in turn (A B A B ...) so that a machine whose
        speed drifts is as slow to the one as to the other."""
        runs = runs or self.arguments.runs
        samples = [[] for _ in commands]
        for run in range(runs + 1):
            for index, command in enumerate(commands):
                if prepare and prepare[index]:
                    subprocess.run(["bash", "-c", prepare[index]], check=True, env=self.lab.env)
                with tempfile.NamedTemporaryFile() as export:
                    subprocess.run(["hyperfine", "--runs", "1", "--shell", "none", "--style", "none",
                                    "--export-json", export.name, command],
                                   check=True, env=self.lab.env, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
                    seconds = json.load(open(export.name))["results"][0]["times"][0]
                if run > 0:  # the first is the warm-up
                    samples[index].append(seconds)
        return [statistics.median(sample) for sample in samples]

    def peak_kib(self, argv):
        done = subprocess.run(["/usr/bin/env", "time", "-v", *argv] if shutil.which("time") else argv,
                              env=self.lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        found = re.search(rb"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
        return int(found.group(1)) if found else None

    def compare(self, work, ours, peer, peer_name, target, **kwargs):
        mine, theirs = self.times([ours, peer], **kwargs)
        self.add(work, mine, peer_name, theirs, target)

    def add(self, work, mine, peer_name, theirs, target, unit=None):
        """One row; of seconds unless `unit` is "MiB"."""
        self.rows.append({"work": work, "actool": mine, "peer": peer_name, "peer_seconds": theirs,
                          "ratio": mine / theirs, "target": target, "unit": unit})
        shown = [f"{value:.1f} MiB" if unit else f"{value * 1000:.1f} ms" for value in (mine, theirs)]
        print(f"  {work}: {shown[0]}, {peer_name} {shown[1]}", file=sys.stderr)

    # --- the material -----------------------------------------------------------------------

    def prepare(self):
        lab = self.lab
        self.tree = pathlib.Path(self.arguments.tree) if self.arguments.tree else lab.work / "tree"
        if not self.arguments.tree:
            collect_tree(self.tree, TAR_SIZE)
        busybox = lab.work / "busybox"
        # As every distribution's images have them, and as crun makes them once in the tree that it runs on.
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            (busybox / name).mkdir(parents=True)
        (busybox / "etc/hosts").write_text("127.0.0.1\tlocalhost\n")
        shutil.copy(harness.BUSYBOX, busybox / "bin/busybox")
        for applet in ("true", "sh", "sleep"):
            os.symlink("busybox", busybox / "bin" / applet)
        self.busybox = busybox
        self.gpg = harness.Gpg(lab)
        self.key = self.gpg.key("Bench <bench@example.com>")
        path = lab.work / "key.pub"
        path.write_bytes(self.gpg.export(self.key))
        self.run("trust", "add", "--root", "--skip-fingerprint-review", path)
        self.big = self.image("example.com/big", self.tree)
        self.small = self.image("example.com/small", busybox, exec=["/bin/true"])

    def run(self, *arguments):
        result = self.lab.actool(*arguments, timeout=600)
        if result.code != 0:
            sys.exit(f"bench: actool {' '.join(map(str, arguments))}: {result}")
        return result

    def image(self, name, tree, exec=None, compress=True):
        """A signed ACI of `tree` made with tar and gzip, as anyone may make it."""
        layout = self.lab.work / name.replace("/", "_")
        layout.mkdir()
        (layout / "manifest").write_text(json.dumps(harness.manifest(name, exec=exec)))
        tar = layout / "image.tar"
        subprocess.run(["tar", "-C", str(layout), "-cf", str(tar), "manifest"], check=True)
        subprocess.run(["tar", "-rf", str(tar), "--transform", "flags=rhS;s,^\\.,rootfs,", "-C", str(tree), "."], check=True)
        aci = layout / "image.aci"
        if compress:
            with open(aci, "wb") as out:
                subprocess.run(["gzip", "-6", "-n", "-c", str(tar)], check=True, stdout=out)
        else:
            tar.rename(aci)
        self.gpg.sign(self.key, aci)
        return aci

    def actool_line(self, *words):
        return " ".join(self.lab.argv(*words))

    # --- the rows -----------------------------------------------------------------------------

    def fetch(self):
        """From a file to what can be run: verified and mountable here, unpacked there."""
        lab, missing = self.lab, peers.missing()
        tar = self.big.with_name("image.tar")
        line = self.actool_line("fetch", self.big, "--format=id")
        reset = f"rm -rf {lab.store}"
        work = "fetch a local signed gzip ACI, 200 MB of tar, to runnable"
        out = lab.work / "untarred"
        clean = f"rm -rf {out}; mkdir {out}"
        others = [("gzip -dc | sha512sum", f"bash -c 'gzip -dc {self.big} | sha512sum'", None, 1.0),
                  ("tar -x of the plain tar", f"tar -C {out} -xf {tar}", clean, NO_TARGET),
                  ("sha512sum of the tar alone", f"sha512sum {tar}", None, None)]
        if "isal" not in missing:
            others.append(("igzip -d alone", f"bash -c 'igzip -d -c {self.big} >/dev/null'", None, None))
        containerd = None
        if missing:
            print(f"bench: rows are left out, as these packages are missing: {' '.join(missing)}", file=sys.stderr)
        else:
            layout, archive = lab.work / "oci", lab.work / "oci.tar"
            plain = lab.work / "plain.tar"
            subprocess.run(["tar", "-C", str(self.tree), "-cf", str(plain), "."], check=True)
            peers.oci_archive(layout, archive, plain)
            containerd = peers.Containerd(lab, lab.work / "ctrd")
            podman = peers.Podman(lab.work / "podman")
            umoci = peers.Umoci(layout, lab.work / "unpacked")
            others += [("ctr images import", containerd.import_line(archive), containerd.forget_line(), 0.25),
                       ("umoci unpack", umoci.line, umoci.forget_line, NO_TARGET),
                       ("podman pull", podman.pull_line(archive), podman.forget_line(), NO_TARGET)]
        seconds = self.times([line, *(other[1] for other in others)], prepare=[reset, *(other[2] for other in others)])
        mine, by_name = seconds[0], {}
        for (name, _, _, target), theirs in zip(others, seconds[1:]):
            by_name[name] = theirs
            if not name.endswith(" alone"):
                self.add(work, mine, name, theirs, target)
        if containerd:
            containerd.stop()
            self.add(work, mine, "rkt fetch, from its measured ratio to ctr",
                     by_name["ctr images import"] * RKT_TO_CTR, 0.1)
        if "igzip -d alone" in by_name:
            slower = max(by_name["igzip -d alone"], by_name["sha512sum of the tar alone"])
            self.add(work, mine, "the slower of igzip -d and sha512sum", slower, 1.5)

    def render(self):
        identity = self.run("fetch", self.big, "--format=id").out.strip()
        out = self.lab.work / "extracted"
        clean = f"rm -rf {out}; mkdir {out}"
        tar = self.big.with_name("image.tar")
        self.compare("extract its tree", self.actool_line("image", "extract", identity, out / "tree"),
                     f"tar -C {out} -xf {tar}", "tar -x", 1.0, prepare=[clean, clean])

    def crun_line(self, name, rootfs):
        """crun running /bin/true in `rootfs`, which lies there unpacked."""
        bundle = self.lab.work / f"bundle-{name}"
        bundle.mkdir()
        subprocess.run(["crun", "spec"], cwd=bundle, check=True)
        config = json.loads((bundle / "config.json").read_text())
        config["process"].update(terminal=False, args=["/bin/true"])
        config["root"]["path"] = str(rootfs)
        (bundle / "config.json").write_text(json.dumps(config))
        # crun 1.8 refuses a hybrid cgroup layout.
        subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=False, stderr=subprocess.DEVNULL)
        return f"crun --cgroup-manager=disabled run --bundle {bundle} bench-{name}"

    @contextlib.contextmanager
    def fresh_disk(self):
        """A store on an ext4 that nothing was deleted from: for minutes after thousands of files were (the rows before
        do), it passes over their inodes whenever it makes one, of which a pod takes some 35, crun's none."""
        image, place = self.lab.work / "disk.img", self.lab.work / "disk"
        image.touch()
        os.truncate(image, 1 << 30)
        place.mkdir()
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        before, self.lab.store = self.lab.store, place / "store"
        try:
            yield
        finally:
            self.lab.store = before
            subprocess.run(["umount", "-l", str(place)], check=True)

    def start(self):
        with self.fresh_disk():
            self.start_pods()

    def start_pods(self):
        identity = self.run("fetch", self.small, "--format=id").out.strip()
        self.run("run", "--net=none", identity)
        self.compare("run /bin/true by image ID, whole command",
                     self.actool_line("run", "--net=none", identity),
                     self.crun_line("small", self.busybox), "crun run", 1.0,
                     runs=max(self.arguments.runs, 60))
        self.default_network(identity)
        self.add("idle memory of a pod's own processes", self.idle_mib(identity), "2 MiB", 2.0, 1.0, "MiB")
        words = ["run", "--net=none"]
        for number in range(100):
            words += [identity, f"--name=app{number}"]
        seconds = self.times([self.actool_line(*words)], runs=3)[0]
        self.add("run a pod of 100 apps that end at once", seconds, "1 s", 1.0, 1.0)
        self.run("gc", "--grace-period=0s")

    def default_network(self, identity):
        """A pod of the network that is built in, with NAT, beside crun without any: in a host of their own."""
        host = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; exec sleep infinity"])
        try:
            inside = f"nsenter --net=/proc/{host.pid}/ns/net -- "
            harness.wait_for(lambda: subprocess.run((inside + "ip -o link show up dev lo").split(), stdout=subprocess.PIPE).stdout,
                             "a network namespace")
            mine, theirs = self.times([inside + self.actool_line("run", "--net=default", identity),
                                       inside + self.crun_line("network", self.busybox)])
        finally:
            host.kill()
            host.wait()
        self.add("the same with the default network (NAT)", mine, "crun run without one, and 10 ms", theirs + 0.010, 1.0)

    def idle_mib(self, identity):
        """What the processes of a pod that are not its app keep, once nothing happens: their parts (PSS)."""
        pod = self.lab.popen("run", "--net=none", identity, "--exec=/bin/sleep", "--", "5")
        time.sleep(3)
        children = pathlib.Path(f"/proc/{pod.pid}/task/{pod.pid}/children").read_text().split()
        parts = [re.search(r"^Pss: +(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
                 for pid in (pod.pid, *children)]
        pod.communicate()
        return sum(int(part.group(1)) for part in parts) / 1024

    def mount(self):
        """Images whose tars are mounted, beside crun on the same trees unpacked."""
        in_mounts = []
        many = self.lab.work / "many"
        for i in range(8):
            shutil.copytree(self.tree, many / f"copy{i}", symlinks=True)
        for name, tree in (("200 MB", self.tree), ("1.6 GB", many)):
            shutil.copytree(self.busybox, tree, symlinks=True, dirs_exist_ok=True)
            word = name.replace(" ", "").replace(".", "").lower()
            image = self.image(f"example.com/mount{word}", tree, exec=["/bin/true"], compress=False)
            firsts, others = [], []
            for attempt in range(3):
                if attempt > 0:
                    self.run("gc", "--grace-period=0s")
                    self.run("image", "rm", identity)
                identity = self.run("fetch", image, "--format=id").out.strip()
                line = self.actool_line("run", "--net=none", identity)
                for run in range(10):
                    before = time.monotonic()
                    subprocess.run(line.split(), check=True, env=self.lab.env)
                    (firsts if run == 0 else others).append(time.monotonic() - before)
            self.add(f"first run after fetch, {name}", statistics.median(firsts), "nine more runs",
                     statistics.median(others), 1.5)
            seconds = statistics.median(self.exec_in_mount(identity) for _ in range(max(self.arguments.runs, 20)))
            self.add(f"mount, overlay and exec of /bin/true, {name}", seconds, "10 ms", 0.010, 1.0)
            in_mounts.append(seconds)
            self.compare(f"run /bin/true, {name} image, mounted", line, self.crun_line(word, tree),
                         "crun run, unpacked", 3.0, runs=max(self.arguments.runs, 20))
            self.ondisk(name, line, identity)
            self.run("gc", "--grace-period=0s")

        self.add("mount, overlay and exec, 1.6 GB", in_mounts[1], "of 200 MB", in_mounts[0], 1.25)

    def ondisk(self, name, line, identity):
        """What the check before a run costs: nothing while no file looks otherwise than when it was read last,
        once a reading of the tar when it does."""
        unchecked = line.replace("run --net=none", "run --net=none --insecure-options=ondisk")
        self.compare(f"run of a {name} image with the check of what is on disk", line, unchecked,
                     "without the check", 1.2, runs=max(self.arguments.runs, 20))
        tar = self.lab.store / "blobs/sha512" / identity[7:9] / identity[7:]
        self.compare(f"the same when the {name} of tar have to be read anew", line,
                     f"bash -c 'sha512sum {tar} && {unchecked}'", "sha512sum of it and a run without", 1.5,
                     prepare=[f"chmod u+w {tar}; chmod u-w {tar}", None], runs=3)

    def exec_in_mount(self, identity):
        """Seconds from nothing mounted to the end of /bin/true in an overlay over the image."""
        libc = ctypes.CDLL(None, use_errno=True)
        image = self.lab.store / "images" / identity[7:9] / identity
        tree = (image / "tree").resolve()
        devices = [self.lab.store / "blobs/sha512" / word[7:9] / word[7:]
                   for word in (line.split()[0] for line in (tree / "devices").read_text().splitlines())]
        work = pathlib.Path(tempfile.mkdtemp(dir=self.lab.work))
        for name in ("lower", "upper", "work", "root"):
            (work / name).mkdir()
        options = f"lowerdir={work}/lower,upperdir={work}/upper,workdir={work}/work,volatile".encode()
        begin = time.monotonic()
        kernel_mount.mount_erofs(tree / "erofs", devices, work / "lower")
        if libc.mount(b"overlay", os.fsencode(work / "root"), b"overlay", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "mounting an overlay")
        child = os.fork()
        if child == 0:
            try:
                os.chroot(work / "root")
                os.execv("/bin/true", ["/bin/true"])
            finally:
                os._exit(127)
        status = os.waitpid(child, 0)[1]
        seconds = time.monotonic() - begin
        subprocess.run(["umount", str(work / "root"), str(work / "lower")], check=True)
        shutil.rmtree(work)
        if status != 0:
            raise RuntimeError(f"/bin/true in the image ended with {status}")
        return seconds

    def store(self):
        """A store of very many small images."""
        large = self.lab.work / "large"
        subprocess.run([str(FILL_STORE), str(large), str(IMAGES)], check=True)
        self.run("fetch", self.small)
        image = str(harness.BIN / "actool-image")
        actool = str(harness.BIN / "actool")
        one, many = self.times([f"{actool} image resolve --dir={self.lab.store} example.com/small",
                                f"{actool} image resolve --dir={large} example.com/app{IMAGES // 20}"],
                               runs=max(self.arguments.runs, 20))
        work = f"image resolve NAME among {IMAGES:,}"
        self.add(work, many, "among one, and 5 ms", one + 0.005, 1.0)
        self.add(work, many, "15 ms", 0.015, 1.0)
        self.add("image resolve NAME among one", one, "15 ms", 0.015, 1.0)
        gc = f"{image} gc --dir={large}"
        lines = {"": gc, ", --keep-last": f"{gc} --keep-last=20", ", --keep-bytes": f"{gc} --keep-bytes=1TiB"}
        seconds = self.times([*lines.values(), f"find {large} -size +1G"], runs=3)
        for what, mine in zip(lines, seconds):
            self.add(f"image gc over {IMAGES:,}{what}", mine, "5 s", 5.0, 1.0)
        self.add(f"image gc over {IMAGES:,}, --keep-last", seconds[1], "find over its files", seconds[-1], 6.0)
        shutil.rmtree(large)

    def functions(self):
        """tests/bench/micro_bench.cc."""
        if not MICRO_BENCH.exists():
            print("bench: build the target micro_bench for the rows of functions", file=sys.stderr)
            return
        done = subprocess.run([str(MICRO_BENCH), "--benchmark_format=json", "--benchmark_repetitions=5",
                               "--benchmark_enable_random_interleaving=true"],
                              check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        median = {run["run_name"].split("/")[0]: run for run in json.loads(done.stdout)["benchmarks"]
                  if run.get("aggregate_name") == "median"}
        seconds = {name: run["real_time"] / 1000 for name, run in median.items()}
        self.add("inflate, hash and check in one pass, 64 MiB", seconds["pipeline"], "the slower of inflate and sha512",
                 max(seconds["inflate"], seconds["sha512"]), 1 / 0.9)
        for name in ("tarHeaders", "checkOfTheArchive", "erofsWrite"):
            print(f"  {name}, 7,000 files: {seconds[name] * 1000:.1f} ms", file=sys.stderr)

    def memory(self):
        """A 10 GiB image of generated data that compresses well but is no hole."""
        aci = self.lab.work / "huge.aci"
        size, piece = 10 << 30, 64 << 20
        entry = harness.tarfile.TarInfo("rootfs/data")
        entry.size = size
        begin = harness.make_tar([harness.Entry("manifest", json.dumps(harness.manifest("example.com/huge")).encode()),
                                  harness.directory("rootfs")]).rstrip(b"\0")
        head = begin + bytes(-len(begin) % 512) + entry.tobuf(harness.tarfile.GNU_FORMAT)
        # The same member over and over: gzip data may be joined.
        member = gzip.compress(random.Random(1).randbytes(1 << 14) * (piece >> 14), 1)
        with open(aci, "wb") as out:
            out.write(gzip.compress(head, 1))
            for _ in range(size // piece):
                out.write(member)
            out.write(gzip.compress(bytes(1024), 1))
        self.gpg.sign(self.key, aci)
        empty = self.peak_kib(self.lab.argv("image", "list"))
        peak = self.peak_kib(self.lab.argv("fetch", aci, "--format=id"))
        print(f"  peak memory, 10 GiB image: {peak >> 10} MiB (image list of the same store {empty >> 10} MiB)",
              file=sys.stderr)
        self.rows.append({"work": "peak memory of any one process, fetch of a 10 GiB image",
                          "actool": peak / 1024, "peer": "beyond `image list`, MiB",
                          "peer_seconds": empty / 1024, "ratio": (peak - empty) / 1024 / 64, "target": 1.0,
                          "unit": "MiB"})

    def table(self):
        lines = [("work", "actool", "peer", "", "ratio", "at most", "")]
        for row in self.rows:
            unit = row.get("unit")
            shown = [f"{value:.1f} MiB" if unit else f"{value * 1000:.1f} ms"
                     for value in (row["actool"], row["peer_seconds"])]
            lines.append((row["work"], shown[0], row["peer"], shown[1], f"{row['ratio']:.2f}",
                          *(("", "") if row["target"] is NO_TARGET else
                            (f"{row['target']:.2f}", "ok" if meets(row) else "MISSED"))))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        return all(meets(row) for row in self.rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", help="fetch, render, start, mount, memory, store or functions")
    parser.add_argument("--tree", help="a root file system to use instead of files of /usr")
    parser.add_argument("--json", help="write the rows to this file too")
    arguments = parser.parse_args()
    if os.environ.get("ACTOOL_TEST_IN_NAMESPACE") != "1":
        os.environ["ACTOOL_TEST_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, *sys.argv])
    bench = Bench(arguments)
    try:
        bench.prepare()
        for name in ("functions", "fetch", "render", "start", "mount", "memory", "store"):
            if arguments.only in (None, name):
                print(f"{name} ...", file=sys.stderr)
                getattr(bench, name)()
        fine = bench.table()
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps(bench.rows, indent=1))
    finally:
        bench.lab.close()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
