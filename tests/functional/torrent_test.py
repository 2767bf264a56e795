"""actool torrent: the info dictionary as docs/p2p.md has it, and others' tools that read it."""

import hashlib
import json
import subprocess

import harness
from harness import Gpg, TestCase, aci_tar, manifest, write_aci

BLOCK = 16384


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def tree_root(hashes, leaves):
    hashes = hashes + [bytes(32)] * (leaves - len(hashes))
    while len(hashes) > 1:
        hashes = [hashlib.sha256(hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes), 2)]
    return hashes[0]


def power_of_two(least):
    return 1 << (least - 1).bit_length() if least > 1 else 1


def info_dictionary(data, signature):
    """By the text of docs/p2p.md and BEP 52, with nothing of ours."""
    piece = 64 << 10
    while piece < 8 << 20 and len(data) > 2048 * piece:
        piece *= 2
    pieces = [data[at:at + piece] for at in range(0, len(data), piece)]

    def leaves(part):
        return [hashlib.sha256(part[at:at + BLOCK]).digest() for at in range(0, len(part), BLOCK)]

    if len(pieces) == 1:
        root = tree_root(leaves(data), power_of_two(len(leaves(data))))
    else:
        layer = [tree_root(leaves(part), piece // BLOCK) for part in pieces]
        pad = tree_root([], piece // BLOCK)
        size = power_of_two(len(layer))
        hashes = layer + [pad] * (size - len(layer))
        while len(hashes) > 1:
            hashes = [hashlib.sha256(hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes), 2)]
        root = hashes[0]
    name = b"sha256-" + hashlib.sha256(data).hexdigest().encode() + b".aci"
    return {b"aci signature": signature, b"file tree": {name: {b"": {b"length": len(data), b"pieces root": root}}},
            b"length": len(data), b"meta version": 2, b"name": name, b"piece length": piece,
            b"pieces": b"".join(hashlib.sha1(part).digest() for part in pieces)}


class Torrent(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = Gpg(cls.lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.aci = write_aci(cls.lab.work / "web.aci", aci_tar(manifest("example.test/web", exec=["/bin/true"])))
        cls.asc = cls.gpg.sign(cls.key, cls.aci)

    def magnet(self, *args):
        return self.ok(self.lab.actool("torrent", "--magnet", *args)).out.strip()

    def test_info_hash_follows_from_the_documents(self):
        info = bencode(info_dictionary(self.aci.read_bytes(), self.asc.read_bytes()))
        link = self.magnet(self.aci)
        self.assertIn("xt=urn:btih:" + hashlib.sha1(info).hexdigest(), link)
        self.assertIn("xt=urn:btmh:1220" + hashlib.sha256(info).hexdigest(), link)

    def test_any_machine_and_the_store_make_the_same(self):
        copy = self.lab.work / "elsewhere" / "other-name.aci"
        copy.parent.mkdir()
        copy.write_bytes(self.aci.read_bytes())
        first = self.magnet(self.aci)
        self.assertEqual(first, self.magnet("--signature", self.asc, copy))
        self.trust(self.gpg, self.key)
        self.ok(self.lab.actool("fetch", self.aci))
        self.assertEqual(first, self.magnet("example.test/web"))
        # An uncompressed distribution is the tar itself.
        plain = write_aci(self.lab.work / "plain.aci", aci_tar(manifest("example.test/plain")), compression="none")
        self.gpg.sign(self.key, plain)
        self.ok(self.lab.actool("fetch", plain))
        self.assertEqual(self.magnet(plain), self.magnet("example.test/plain"))

    def test_others_read_it(self):
        torrent = self.lab.work / "t.torrent"
        self.ok(self.lab.actool("torrent", "--web-seed=https://example.test/web.aci", "--tracker=http://t.test/announce",
                                "--dht-node=[2001:db8::1]:6881", "--output", torrent, self.aci))
        script = """
import json, libtorrent as lt, sys
t = lt.torrent_info(sys.argv[1])
print(json.dumps([str(t.info_hashes().v1), str(t.info_hashes().v2), t.num_files(), [s["url"] for s in t.web_seeds()],
                  [x.url for x in t.trackers()], t.nodes()]))"""
        seen = json.loads(subprocess.run(["/usr/bin/python3", "-c", script, torrent], check=True, env=self.lab.env,
                                         stdout=subprocess.PIPE).stdout)
        link = self.magnet(self.aci)
        self.assertIn(seen[0], link)
        self.assertIn(seen[1], link)
        self.assertEqual(seen[2:], [1, ["https://example.test/web.aci"], ["http://t.test/announce"], [["2001:db8::1", 6881]]])
        # These two can't read file trees.
        self.ok(self.lab.actool("torrent", "--v1", "--output", torrent, self.aci))
        infohash = self.magnet("--v1", self.aci).split("btih:")[1][:40]
        for tool in (["transmission-show"], ["aria2c", "-S"]):
            shown = subprocess.run([*tool, torrent], check=True, env=self.lab.env, stdout=subprocess.PIPE).stdout.decode()
            self.assertIn(infohash, shown)

    def test_private_is_another_swarm(self):
        self.assertNotEqual(self.magnet(self.aci), self.magnet("--private", self.aci))

    def test_refusals(self):
        bare = self.lab.work / "bare.aci"
        bare.write_bytes(self.aci.read_bytes())
        torrent = lambda *args: self.lab.actool("torrent", *args)
        self.refused(torrent(bare), 253, "bare.aci has no signature")
        self.ok(torrent("--insecure-options=image", bare))
        self.refused(torrent("./missing.aci"), 252, "no file .*missing.aci")
        self.refused(torrent("example.test/absent"), 252, "example.test/absent")
        self.refused(torrent("https://example.test/web.aci"), 254, "neither a file nor an image of the store; fetch it")
        self.refused(torrent("--peer=127.0.0.1:1", self.aci), 254, "--peer is for magnet links")
        self.refused(torrent("--tracker=nonsense", self.aci), 254, "no URL that can be used")
        self.refused(torrent("--magnet", "--peer=name:1", self.aci), 254, "not an address of a peer")


if __name__ == "__main__":
    harness.main()
