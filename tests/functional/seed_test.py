"""actool seed: to stock clients and to actool fetch; the store's changes, restarts, status, limits."""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request

import harness

sys.path.append(str(harness.SOURCE / "tests/bench"))
import hosts  # noqa: E402
import peers
from harness import Entry, aci_tar, directory, image_id, manifest, wait_for, write_aci
from swarm_test import NAME, SwarmCase


class SeedCase(SwarmCase):
    """A seeder with the image; fetches go to stores of their own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.env = harness.without_leak_check(cls.lab.env)  # the seeder's sandbox forbids it

    def setUp(self):
        super().setUp()
        self.ok(self.lab.actool("fetch", self.aci))
        self.source = self.lab.store

    def start(self, *args, port=None, expect=1, preexec_fn=None, address="127.0.0.1"):
        port = port or peers.free_port()
        self.argv = self.lab.argv("seed", f"--listen={address}:{port}", *args)
        process = self.lab.start(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=preexec_fn)
        process.port = port
        self.addCleanup(self.end, process)
        store = self.lab.store
        wait_for(lambda: self.count(store) == expect, f"{expect} images to be seeded", lambda: str(self.status(store)))
        return process

    def end(self, process):
        if process.poll() is None:
            process.terminate()
            process.wait(20 * harness.SLOW)
        process.stderr.close()
        if process in self.lab.processes:
            self.lab.processes.remove(process)

    def status(self, store=None):
        done = subprocess.run([str(harness.BIN / "actool"), f"--dir={store or self.source}", "seed", "status", "--format=jsonl"],
                              env=self.lab.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def count(self, store=None):
        status = self.status(store)
        return status and sum(image["state"] == "seeding" for image in status["images"])

    def elsewhere(self):
        self.lab.reset_actool()
        self.trust(self.gpg, self.key)


class ToOthers(SeedCase):
    def client(self, make):
        """A stock client and where it puts what it gets."""
        target = pathlib.Path(harness.tempfile.mkdtemp(prefix="target-", dir=self.lab.work))
        client = make(target)
        self.addCleanup(client.stop)
        return client, target

    def downloads(self, make):
        self.arrives(self.client(make)[1])

    def arrives(self, target):
        name = "sha256-" + hashlib.sha256(self.aci.read_bytes()).hexdigest() + ".aci"
        file = target / name
        wait_for(lambda: file.exists() and file.stat().st_size == self.aci.stat().st_size and file.read_bytes() == self.aci.read_bytes(),
                 "the whole file", lambda: str(list(target.iterdir())), seconds=60)

    def tracked(self, *args, address="127.0.0.1"):
        """A seeder of both forms, a tracker, and the torrents that name it."""
        hashes = [self.magnet.split("btih:")[1][:40], self.ok(self.lab.actool("torrent", "--magnet", "--v1", self.aci)).out.split("btih:")[1][:40]]
        tracker = peers.Tracker(self.lab, hashes, address)
        self.start("--v1", "--tracker", tracker.url, *args, address=address)
        hybrid, v1 = self.lab.work / "h.torrent", self.lab.work / "v.torrent"
        self.make_torrent(self.aci, hybrid, "--tracker", tracker.url)
        self.make_torrent(self.aci, v1, "--v1", "--tracker", tracker.url)
        return hybrid, v1

    def test_clients_by_tracker(self):
        hybrid, v1 = self.tracked()
        self.downloads(lambda target: peers.libtorrent(self.lab, hybrid, target, mode="get"))
        self.downloads(lambda target: peers.aria2(self.lab, v1, target, seed=False))

    def test_transmission(self):
        """One that the seeder is told of, and one that finds it by tracker. (Transmission looks at whom to
        be interested in every ten seconds.)"""
        told, told_target = self.client(lambda target: peers.transmission(self.lab, self.v1, target).wait_listening())
        address, other = peers.address_beside_loopback(1), peers.address_beside_loopback(2)
        _, v1 = self.tracked(f"--listen=127.0.0.1:{peers.free_port()}", f"--peer=127.0.0.1:{told.port}", address=address)
        _, found_target = self.client(lambda target: peers.transmission(self.lab, v1, target, address=other))
        self.arrives(told_target)
        self.arrives(found_target)

    def test_fetch_by_tracker_by_magnet_and_again(self):
        hybrid, _ = self.tracked()
        self.elsewhere()
        self.fetched(self.fetch(hybrid))

    def test_fetch_by_magnet_link(self):
        process = self.start()
        self.elsewhere()
        self.fetched(self.fetch(f"{self.magnet}&x.pe=127.0.0.1:{process.port}"))

    def test_ipv6(self):
        port = peers.free_port()
        process = self.start(f"--listen=[::1]:{port}")
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=[::1]:{port}", self.torrent))
        self.assertIsNone(process.poll())

    def test_private(self):
        tracker_hash = self.ok(self.lab.actool("torrent", "--magnet", "--private", self.aci)).out.split("btih:")[1][:40]
        tracker = peers.Tracker(self.lab, [tracker_hash])
        torrent = self.lab.work / "private.torrent"
        self.make_torrent(self.aci, torrent, "--private", "--tracker", tracker.url)
        self.start("--private", "--tracker", tracker.url)
        self.elsewhere()
        self.fetched(self.fetch(torrent))
        self.refused(self.lab.actool("seed", "--private", "--dht=public"), 254, "--private goes with neither")


class Hosts(SeedCase):
    """Each seeder and fetch on a host of its own: a network namespace on one bridge."""

    def setUp(self):
        super().setUp()
        switch = hosts.Switch(3, mbit=1000)
        switch.__enter__()
        self.addCleanup(switch.__exit__)
        self.hosts = switch.hosts

    def seeder(self, host, *args):
        process = self.lab.start([*host.enter(), *self.lab.argv("seed", f"--listen={host.address}:6881", *args)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end, process)
        return process

    def fetch_at(self, host, *args):
        done = subprocess.run([*host.enter(), *self.lab.argv("fetch", *args)], env=self.lab.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=120 * harness.SLOW)
        return harness.Result(done.returncode, done.stdout, done.stderr)

    def test_dht_without_tracker(self):
        """The first seeder has no image and is the node that the others start from; whom the fetch asks for
        bytes it knows by the DHT alone."""
        first, second, third = self.hosts
        self.elsewhere()
        self.seeder(first, "--dht=private", "--control", self.lab.work / "first.sock")
        self.lab.store = self.source
        node = f"--dht-node={first.address}:6881"
        self.seeder(second, "--dht=private", node, "--no-pex")
        wait_for(lambda: self.count() == 1, "the second to seed")
        self.elsewhere()
        self.refused(self.fetch_at(third, "--patience=2", self.torrent), 251, "nothing came from the swarm")
        # An announcement takes some seconds to be told.
        self.fetched(self.fetch_at(third, "--dht=private", node, "--patience=60", self.torrent))


class Readme(SeedCase):
    """The five commands of README.md, as they are printed there."""

    def test_a_mirror_and_a_fleet(self):
        text = (harness.SOURCE / "README.md").read_text()
        commands = re.findall(r"^    (actool .*)$", text[text.index("A private mirror with neither"):].split("\n\n## ")[0], re.MULTILINE)
        self.assertEqual(len(commands), 5, commands)
        subprocess.run(["ip", "address", "replace", "192.0.2.7/32", "dev", "lo"], check=True)
        web = self.lab.work / "www/example.com"
        web.mkdir(parents=True)
        aci = write_aci(web / "web.aci", aci_tar(manifest("example.com/web", version="1.2.0")))
        self.gpg.sign(self.key, aci)
        # The nginx of the class has another host.
        self.web.stop()
        server = self.lab.nginx({"example.com": {}})
        server.page("example.com", "example.com/web", [("ac-discovery", "example.com/web https://example.com/web.{ext}")])

        self.elsewhere()
        mirror = self.lab.store
        *first, last = commands
        for command in first:
            words = shlex.split(command, comments=True)
            if words[-1] == "&":
                process = self.lab.start(self.lab.argv(*words[1:-1]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                self.addCleanup(self.end, process)
                wait_for(lambda: self.count(mirror) == 1, "the mirror to seed")
            else:
                self.ok(self.lab.shell(f"cd {self.lab.work}\n{command}"))
        # The fleet: the origin is gone, and what each has it gives on.
        server.stop()
        for _ in range(2):
            self.elsewhere()
            self.ok(self.lab.shell(f"cd {self.lab.work}\n{last}"))
            self.assertEqual(len(self.image_ids()), 1)


class Service(SeedCase):
    def other_image(self, name="example.test/other"):
        aci = write_aci(self.lab.work / "other.aci", aci_tar(manifest(name), [directory("rootfs"), Entry("rootfs/x", os.urandom(300_000))]))
        pathlib.Path(f"{aci}.asc").unlink(missing_ok=True)
        self.gpg.sign(self.key, aci)
        return aci

    def test_images_come_and_go(self):
        self.start()
        other = self.ok(self.lab.actool("fetch", self.other_image(), "--format=id")).out.strip()
        wait_for(lambda: self.count() == 2, "the new image to be seeded", seconds=5)
        # Its lease keeps it.
        self.refused(self.lab.actool("image", "rm", other), 250, "lease")
        self.ok(self.lab.actool("image", "rm", "--force", other))
        wait_for(lambda: self.count() == 1, "the removed image to be left", seconds=5)

    def test_a_fetch_hands_over(self):
        """A fleet: the second fetches from the first, whose fetch has ended long ago."""
        first = self.start()
        self.elsewhere()
        second = self.start(expect=0)
        self.fetched(self.fetch(f"--peer=127.0.0.1:{first.port}", self.torrent))
        store = self.lab.store
        wait_for(lambda: self.count(store) == 1, "the second to seed")
        self.end(first)
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{second.port}", self.torrent))

    def test_restart_hashes_nothing(self):
        self.end(self.start())
        cache = list((self.source / "seed/torrents").iterdir())
        self.assertEqual(len(cache), 1)
        # Hashing would read the blob: make a second start notice nothing but the cache.
        before = cache[0].stat()
        self.start()
        after = cache[0].stat()
        self.assertEqual((before.st_mtime_ns, before.st_ino), (after.st_mtime_ns, after.st_ino))

    def test_killed_and_started_again(self):
        process = self.start()
        process.kill()
        process.wait()
        self.assertTrue((self.source / "seed/control.sock").exists())
        again = self.start()
        self.assertIsNone(again.poll())
        self.ok(self.lab.actool("image", "gc"))
        leases = self.ok(self.lab.actool("image", "lease", "list", "--format=jsonl")).records()
        self.assertEqual(len(leases), 1)

    def test_killed_while_it_writes(self):
        """At any instant of a start, in which torrents are hashed and kept."""
        chance = random.Random(5)
        torrents = self.source / "seed/torrents"
        for _ in range(harness.kills(12)):
            for path in torrents.glob("*"):
                path.unlink()
            process = self.lab.popen("seed", f"--listen=127.0.0.1:{peers.free_port()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.4) * harness.SLOW)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        process = self.start()
        # What was half written is gone or was made again.
        self.assertEqual(len(list(torrents.iterdir())), 1)
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{process.port}", self.torrent))

    def test_a_thousand_connections_from_one_address(self):
        """They say nothing, or nonsense. Who asks for something is served all the same."""
        process = self.start("--connections=50")
        crowd = []
        self.addCleanup(lambda: [one.close() for one in crowd])
        for _ in range(1000):
            one = socket.socket()
            one.setblocking(False)
            crowd.append(one)
            # The seeder need not take it.
            one.connect_ex(("127.0.0.1", process.port))
        for one in crowd[::2]:
            with contextlib.suppress(OSError):
                one.sendall(os.urandom(100))
        descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
        self.assertLess(descriptors, 200)
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{process.port}", self.torrent))
        self.assertIsNone(process.poll())

    def test_status_watch(self):
        self.start()
        process = self.lab.popen("seed", "status", "--watch", "--format=jsonl")
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        self.assertEqual([image["state"] for image in first["images"]], ["seeding"])
        self.assertEqual(first["images"][0]["id"], second["images"][0]["id"])

    def test_ends_in_order(self):
        process = self.start()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20 * harness.SLOW), 0)
        self.assertFalse((self.source / "seed/control.sock").exists())
        self.assertEqual(list((self.source / "leases").iterdir()), [])
        self.assertNotIn("seed", self.ok(self.lab.actool("image", "fsck")).err)

    def test_unsigned_is_never_given(self):
        aci = write_aci(self.lab.work / "unsigned.aci", aci_tar(manifest("example.test/unsigned")))
        self.ok(self.lab.actool("fetch", "--insecure-options=image", aci))
        self.start(expect=1)
        self.assertEqual([image["id"] for image in self.status()["images"]], [self.id])

    def test_named_images_only(self):
        self.ok(self.lab.actool("fetch", self.other_image()))
        self.start(NAME, expect=1)
        self.assertEqual([image["id"] for image in self.status()["images"]], [self.id])
        self.refused(self.lab.actool("seed", "example.test/absent"), 252, "example.test/absent")

    def test_second_seeder_of_one_store(self):
        self.start()
        self.refused(self.lab.actool("seed", "--listen=127.0.0.1:0"), 250, "a seeder listens at")

    def test_metrics_and_status(self):
        port = peers.free_port()
        process = self.start(f"--metrics=127.0.0.1:{port}")
        self.lab.actool("seed", "status", "--format=table")
        table = self.ok(self.lab.actool("seed", "status", "--format=table")).out
        self.assertIn("seeding", table)
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{process.port}", self.torrent))
        text = lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        wait_for(lambda: f'actool_seed_image_uploaded_bytes_total{{id="{self.id}"}} ' in text() and
                 f"uploaded_bytes_total {len(self.tar)}" in text(), "the metrics to tell it", text)
        self.refused(self.lab.actool("seed", "--metrics=0.0.0.0:9"), 254, "no loopback address")
        self.refused(self.lab.actool("seed", "status", "--control=/nowhere"), 252, "no seeder listens")

    def test_ratio(self):
        process = self.start("--ratio=1")
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{process.port}", self.torrent))
        wait_for(lambda: self.status()["images"][0]["state"] == "given enough", "the ratio to be reached")

    def test_ordinary_user_that_may_only_read(self):
        os.chmod(self.lab.work, 0o755)
        runtime = self.lab.work / "runtime"
        runtime.mkdir(exist_ok=True)
        os.chown(runtime, 65534, 65534)
        control = runtime / "control.sock"

        def drop():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

        port = peers.free_port()
        process = self.lab.start(self.lab.argv("seed", f"--listen=127.0.0.1:{port}", f"--control={control}", f"--cache={runtime}/torrents"),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=drop)
        self.addCleanup(self.end, process)
        wait_for(lambda: control.exists(), "the seeder to start")
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{port}", self.torrent))

    def test_sandbox(self):
        """What the seeder's process may not do any more, as the kernel has it."""
        process = self.start()
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        self.assertIn("Seccomp:\t2", status)
        self.assertIn("NoNewPrivs:\t1", status)


if __name__ == "__main__":
    harness.main()
