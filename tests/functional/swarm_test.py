"""actool fetch from swarms: peers of others, web seeds, resuming over either transport, bad input."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import harness
import peers
from harness import Entry, Gpg, TestCase, aci_tar, directory, image_id, manifest, wait_for, write_aci

NAME = "example.test/web"


class SwarmCase(TestCase):
    """A signed image of some megabytes that compress to nothing, its torrent, and a web server."""

    SIZE = 8 << 20

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = Gpg(cls.lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.stranger = cls.gpg.key("Stranger <stranger@evil.test>")
        cls.tar = aci_tar(manifest(NAME), [directory("rootfs"), Entry("rootfs/noise", os.urandom(cls.SIZE))])
        cls.id = image_id(cls.tar)
        cls.web = cls.lab.nginx({"example.test": {"config": "location /slow/ { alias %s/; limit_rate 1m; }"
                                                  % (cls.lab.work / "www/example.test")}})
        cls.aci = write_aci(cls.web.root("example.test") / "web.aci", cls.tar, compression="none")
        cls.asc = cls.gpg.sign(cls.key, cls.aci)
        cls.torrent = cls.lab.work / "web.torrent"
        cls.v1 = cls.lab.work / "v1.torrent"
        cls.make_torrent(cls.aci, cls.torrent)
        cls.make_torrent(cls.aci, cls.v1, "--v1")
        cls.magnet = cls.lab.actool("torrent", "--magnet", cls.aci).out.strip()

    @classmethod
    def make_torrent(cls, aci, output, *args):
        done = cls.lab.actool("torrent", "--insecure-options=image", "--output", output, *args, aci)
        assert done.code == 0, done

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key)

    @classmethod
    def payload(cls, aci=None, damage=None):
        """A directory with the image under the name that the torrent gives it."""
        aci = aci or cls.aci
        import hashlib
        data = bytearray(pathlib.Path(aci).read_bytes())
        folder = pathlib.Path(harness.tempfile.mkdtemp(prefix="payload-", dir=cls.lab.work))
        name = "sha256-" + hashlib.sha256(data).hexdigest() + ".aci"
        for begin, end in damage or ():
            data[begin:end] = bytes(end - begin)
        (folder / name).write_bytes(data)
        return folder

    def seed(self, torrent=None, **kwargs):
        peer = peers.libtorrent(self.lab, torrent or self.torrent, kwargs.pop("folder", None) or self.payload(), **kwargs).wait_listening()
        self.addCleanup(peer.stop)
        return peer

    def at(self, peer):
        return f"--peer=127.0.0.1:{peer.port}"

    def fetch(self, *args, **kwargs):
        return self.lab.actool("fetch", *args, **kwargs)

    def slots(self):
        folder = self.lab.store / "ingest"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def allocated(self, path):
        return path.stat().st_blocks * 512 if path.exists() else 0

    def fetched(self, result):
        self.ok(result)
        self.assertEqual([record["id"] for record in result.records()], [self.id])
        blob = self.lab.store / "blobs/sha512" / self.id[7:9] / self.id[7:]
        self.assertEqual(blob.read_bytes(), self.tar)
        self.assertEqual(self.slots(), [])


class FromPeers(SwarmCase):
    def test_libtorrent(self):
        self.fetched(self.fetch(self.at(self.seed()), self.torrent))

    def test_magnet_link_alone(self):
        self.fetched(self.fetch(f"{self.magnet}&x.pe=127.0.0.1:{self.seed().port}"))

    def test_aria2_seeds(self):
        peer = peers.aria2(self.lab, self.v1, self.payload()).wait_listening()
        self.addCleanup(peer.stop)
        self.fetched(self.fetch(self.at(peer), self.v1))

    def test_transmission_seeds(self):
        peer = peers.transmission(self.lab, self.v1, self.payload()).wait_listening()
        self.addCleanup(peer.stop)
        self.fetched(self.fetch(self.at(peer), self.v1))

    def test_compressed_image(self):
        aci = write_aci(self.lab.work / "packed.aci", self.tar)
        self.gpg.sign(self.key, aci)
        torrent = self.lab.work / "packed.torrent"
        self.make_torrent(aci, torrent)
        self.ok(self.fetch(self.at(self.seed(torrent=torrent, folder=self.payload(aci))), torrent))
        self.assertEqual(self.image_ids(), [self.id])

    def test_no_second_copy(self):
        """What the swarm wrote becomes the blob: the same inode, and no writer is left."""
        done = self.fetch(self.at(self.seed()), self.torrent, "--debug")
        self.fetched(done)
        self.assertNotIn("it is copied", done.err)

    def test_one_that_waits_shows_the_others_progress(self):
        torrent = self.lab.work / "slow.torrent"
        self.make_torrent(self.aci, torrent, "--web-seed", "https://example.test/slow/web.aci")
        first = self.lab.popen("fetch", torrent)
        wait_for(lambda: any(self.allocated(pieces) for pieces in self.lab.store.glob("ingest/*/pieces")),
                 "the first transfer to begin")
        second = self.ok(self.fetch("--progress=json", self.torrent))
        out, err = first.communicate(timeout=60 * harness.SLOW)
        self.assertEqual(first.returncode, 0, err)
        shown = [json.loads(line) for line in second.err.splitlines() if line.startswith("{")]
        self.assertGreater(len({line["done"] for line in shown}), 1, shown)
        self.assertEqual([line["total"] for line in shown], [self.aci.stat().st_size] * len(shown))
        self.fetched(second)

    def test_opentracker(self):
        infohash = self.magnet.split("btih:")[1][:40]
        tracker = peers.Tracker(self.lab, [infohash])
        announced = self.lab.work / "announced.torrent"
        self.make_torrent(self.aci, announced, "--tracker", tracker.url)
        self.seed(torrent=announced)
        self.fetched(self.fetch(announced))


class WebSeed(SwarmCase):
    def requests(self, since):
        return self.web.requests()[since:]

    def test_alone_by_range_requests(self):
        torrent = self.lab.work / "seeded.torrent"
        self.make_torrent(self.aci, torrent, "--web-seed", "https://example.test/web.aci")
        before = len(self.web.requests())
        self.fetched(self.fetch(torrent))
        wait_for(lambda: any(" 206 " in line for line in self.requests(before)), "range requests")

    def test_torrent_beside_the_image(self):
        beside = pathlib.Path(f"{self.aci}.torrent")
        self.make_torrent(self.aci, beside)
        self.addCleanup(beside.unlink)
        before = len(self.web.requests())
        self.fetched(self.fetch("https://example.test/web.aci"))
        lines = self.requests(before)
        self.assertTrue(any("/web.aci.torrent 200" in line for line in lines), lines)
        # The bytes came by the swarm's ranges, from the web as its only seed.
        self.assertTrue(any("GET /web.aci 206" in line for line in lines), lines)

    def test_stale_torrent_beside_the_image(self):
        other = write_aci(self.lab.work / "other.aci", aci_tar(manifest("example.test/other")))
        self.gpg.sign(self.key, other)
        beside = pathlib.Path(f"{self.aci}.torrent")
        self.make_torrent(other, beside)
        self.addCleanup(beside.unlink)
        self.fetched(self.fetch("https://example.test/web.aci"))

    def test_transports(self):
        self.refused(self.fetch("--transport=torrent", "https://example.test/web.aci"), 252, "no torrent https://example.test/web.aci.torrent")
        self.refused(self.fetch("--transport=https", self.torrent), 254, "--transport=https keeps from joining")
        self.refused(self.fetch("--transport=pigeon", self.torrent), 254, "one of auto, https, torrent")
        self.refused(self.fetch("--pull-policy=never", self.torrent), 252, "keeps from fetching")

    def test_announced_by_the_page(self):
        self.make_torrent(self.aci, self.web.root("example.test") / "announced.torrent")
        self.web.page("example.test", NAME, [
            ("ac-discovery", f"{NAME} torrent+https://example.test/announced.torrent#{{ext}}"),
            ("ac-discovery", f"{NAME} https://example.test/web.{{ext}}")])
        self.fetched(self.lab.shell(f"actool discover {NAME} | actool fetch"))
        self.lab.reset_actool()
        self.trust(self.gpg, self.key)
        self.fetched(self.fetch(self.at(self.seed()), "--transport=torrent", NAME))


class Resume(SwarmCase):
    SIZE = 16 << 20

    def interrupt(self, *args, enough):
        """Kills a fetch once the store has `enough` of it. Returns the directory of the transfer."""
        process = self.lab.popen("fetch", *args)
        slot = lambda: next(iter((self.lab.store / "ingest").glob("*")), None) if (self.lab.store / "ingest").exists() else None
        wait_for(lambda: slot() and enough(slot()), "some of the image to come")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return slot()

    def test_swarm_goes_on_from_https(self):
        self.interrupt("--transport=https", "https://example.test/slow/web.aci", "--signature", self.asc,
                       enough=lambda slot: self.allocated(slot / "data") > 4 << 20)
        before = len(self.web.requests())
        torrent = self.lab.work / "seeded.torrent"
        self.make_torrent(self.aci, torrent, "--web-seed", "https://example.test/web.aci")
        self.fetched(self.fetch(torrent))
        first = [line for line in self.web.requests()[before:] if " 206 " in line]
        self.assertTrue(first)
        self.assertFalse(any("bytes=0-" in line for line in first), first)

    def test_swarm_goes_on_from_swarm(self):
        torrent = self.lab.work / "slow.torrent"
        self.make_torrent(self.aci, torrent, "--web-seed", "https://example.test/slow/web.aci")
        slot = self.interrupt(torrent, enough=lambda slot: self.allocated(slot / "pieces") > 4 << 20)
        had = self.allocated(slot / "pieces")
        seed = self.seed()
        done = self.ok(self.fetch(self.at(seed), self.torrent, "--progress=json"))
        self.fetched(done)
        self.assertGreater(had, 4 << 20)

    def test_https_goes_on_from_swarm(self):
        torrent = self.lab.work / "slow.torrent"
        self.make_torrent(self.aci, torrent, "--web-seed", "https://example.test/slow/web.aci")
        prefix = lambda slot: int((slot / "prefix").read_text() or 0) if (slot / "prefix").exists() else 0
        slot = self.interrupt(torrent, enough=lambda slot: prefix(slot) > 1 << 20)
        had = prefix(slot)
        before = len(self.web.requests())
        self.fetched(self.fetch("--transport=https", "https://example.test/web.aci"))
        lines = [line for line in self.web.requests()[before:] if " /web.aci " in line]
        self.assertTrue(any(f"206 bytes={had}-" in line for line in lines), (had, lines))

    def test_every_peer_dies(self):
        seed = self.seed()
        process = self.lab.popen("fetch", self.at(seed), "--download-limit=2MiB", "--patience=3", self.torrent)
        wait_for(lambda: any(self.allocated(p) > 2 << 20 for p in self.lab.store.glob("ingest/*/pieces")), "some pieces")
        seed.stop()
        out, err = process.communicate(timeout=60 * harness.SLOW)
        self.assertEqual(process.returncode, 251, err)
        self.assertRegex(err.decode(), "nothing came from the swarm for 3 s")
        self.assertEqual(self.image_ids(), [])
        self.assertEqual(len(self.slots()), 1)
        self.fetched(self.fetch(self.at(self.seed()), self.torrent))

    def test_origin_dies_halfway(self):
        """The web seed goes; a peer has the rest."""
        torrent = self.lab.work / "dying.torrent"
        web = subprocess.Popen(["/usr/bin/python3", "-c", DYING_WEB, str(self.aci), str(self.SIZE // 2)], stdout=subprocess.PIPE)
        self.addCleanup(lambda: (web.kill(), web.wait(), web.stdout.close()))
        port = int(web.stdout.readline())
        self.make_torrent(self.aci, torrent, "--web-seed", f"http://127.0.0.1:{port}/web.aci")
        self.fetched(self.fetch(self.at(self.seed()), torrent))

    def test_disk_full(self):
        self.lab.store.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(self.lab.store)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(self.lab.store)])
        seed = self.seed()
        self.refused(self.fetch(self.at(seed), self.torrent), 254, "No space left")
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.lab.store)], check=True)
        self.fetched(self.fetch(self.at(seed), self.torrent))


DYING_WEB = """
import http.server, sys, os
data, left = open(sys.argv[1], 'rb').read(), int(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        global left
        begin, end = self.headers["Range"].split("=")[1].split("-")
        part = data[int(begin):int(end) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        for at in range(0, len(part), 65536):
            self.wfile.write(part[at:at + 65536])
            left -= 65536
            if left <= 0:
                os._exit(0)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class BadInput(SwarmCase):
    def nothing_kept(self):
        self.assertEqual(self.image_ids(), [])
        self.assertEqual(self.slots(), [])

    def signed_by(self, key):
        aci = write_aci(self.lab.work / "evil.aci", self.tar)
        asc = pathlib.Path(f"{aci}.asc")
        asc.unlink(missing_ok=True)
        if key:
            self.gpg.sign(key, aci)
        torrent = self.lab.work / "evil.torrent"
        self.make_torrent(aci, torrent)
        return torrent, self.payload(aci)

    def test_signed_by_a_stranger(self):
        torrent, folder = self.signed_by(self.stranger)
        self.refused(self.fetch(self.at(self.seed(torrent=torrent, folder=folder)), torrent), 253, "key")
        self.nothing_kept()

    def test_unsigned(self):
        torrent, folder = self.signed_by(None)
        seed = self.seed(torrent=torrent, folder=folder)
        self.refused(self.fetch(self.at(seed), torrent), 253, "the torrent has no signature")
        self.nothing_kept()
        self.ok(self.fetch("--insecure-options=image", self.at(seed), torrent))

    def test_signature_of_something_else(self):
        """The torrent's maker put a good signature beside bytes that it is not of."""
        aci = self.lab.work / "swapped.aci"
        aci.write_bytes(write_aci(self.lab.work / "x.aci", aci_tar(manifest(NAME, version="6.6.6"))).read_bytes())
        torrent = self.lab.work / "swapped.torrent"
        self.make_torrent(aci, torrent, "--signature", self.asc)
        self.refused(self.fetch(self.at(self.seed(torrent=torrent, folder=self.payload(aci))), torrent), 253, "signature")
        self.nothing_kept()

    def test_corrupt_pieces_come_from_another_peer(self):
        liar = self.seed(folder=self.payload(damage=[(1 << 20, 3 << 20)]), mode="lie")
        good = self.seed()
        self.fetched(self.fetch(self.at(liar), self.at(good), self.torrent))

    def test_torrents_that_are_none(self):
        def torrent(text):
            path = self.lab.work / "bad.torrent"
            path.write_bytes(text)
            return path
        info = b"d4:infod5:filesl%se4:name1:d12:piece lengthi%de6:pieces%d:%see"
        def files(*entries):
            return b"".join(b"d6:lengthi%de4:pathl%see" % (size, b"".join(b"%d:%s" % (len(p), p) for p in path)) for size, path in entries)
        self.refused(self.fetch(torrent(b"hello")), 254, "the torrent is refused")
        self.refused(self.fetch(torrent(info % (files((1, [b"a"]), (1, [b"b"]), (1, [b"c"])), 16384, 20, b"x" * 20))), 254, "it has 3 files")
        self.refused(self.fetch(torrent(info % (files((1, [b"a"]), (1, [b"b"])), 16384, 20, b"x" * 20))), 254, "not an image and its signature")
        # Nothing is allocated by what a header claims.
        self.refused(self.fetch(torrent(b"d4:infod6:lengthi9223372036854775807e4:name1:a12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee")),
                     254, "the torrent is refused")
        self.refused(self.fetch(torrent(b"d4:infod6:lengthi99999999999999e4:name1:a12:piece lengthi1073741824e6:pieces20:" + b"x" * 20 + b"ee")),
                     254, "the torrent is refused")
        self.refused(self.fetch(torrent(b"x" * (5 << 20))), 254, "bad.torrent")
        self.nothing_kept()

    def test_names_that_lead_elsewhere(self):
        victim = self.lab.work / "victim"
        path = self.lab.work / "climb.torrent"
        path.write_bytes(b"d4:infod5:filesld6:lengthi5e4:pathl2:..2:..6:victimeee4:name2:..12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee")
        result = self.fetch("--patience=2", path)
        self.assertIn(result.code, (251, 253, 254), result)
        self.assertFalse(victim.exists())
        self.nothing_kept()

    def test_tracker_that_hangs_or_lies(self):
        hanging = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(hanging.close)
        liar = subprocess.Popen(["/usr/bin/python3", "-c", LYING_TRACKER], stdout=subprocess.PIPE)
        self.addCleanup(lambda: (liar.kill(), liar.wait(), liar.stdout.close()))
        port = int(liar.stdout.readline())
        self.fetched(self.fetch(f"--tracker=http://127.0.0.1:{hanging.getsockname()[1]}/announce",
                                f"--tracker=http://127.0.0.1:{port}/announce", self.at(self.seed()), self.torrent))


LYING_TRACKER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        # Peers that are nobody, half a peer, and an interval of no sense.
        self.wfile.write(b"d8:intervali-5e5:peers9:" + bytes([127, 0, 0, 1, 0, 1, 10, 0, 0]) + b"8:completei99999999999ee")
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


if __name__ == "__main__":
    harness.main()
