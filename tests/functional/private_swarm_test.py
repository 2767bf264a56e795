"""Swarms that admit peers by certificate: seeder, fetch and a stock client, and those who are kept out."""

import json
import os
import socket
import ssl
import subprocess

import harness
import peers
import seed_test
from harness import wait_for
from swarm_test import NAME

STOCK = """
import libtorrent as lt, sys, time
torrent, directory, port, peer, certificate, key, dh = sys.argv[1:]
session = lt.session({"listen_interfaces": "127.0.0.1:%ss" % port, "enable_dht": False, "enable_lsd": False,
                      "enable_upnp": False, "enable_natpmp": False})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = directory
params.flags = lt.torrent_flags.default_flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
handle = session.add_torrent(params)
handle.set_ssl_certificate(certificate, key, dh)
ended = time.time() + 100
while time.time() < ended and not (peer != "0" and handle.status().is_seeding):
    if peer != "0" and not handle.get_peer_info():
        handle.connect_peer(("127.0.0.1", int(peer)))
    time.sleep(0.1)
"""


def info(torrent):
    """A torrent's info-hash, and the authority that it names."""
    script = "import libtorrent as lt, sys; i = lt.torrent_info(sys.argv[1]); print(i.info_hashes().v1); print(i.ssl_cert())"
    out = subprocess.run([peers.PYTHON, "-c", script, str(torrent)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return out.split("\n", 1)[0], out.split("\n", 1)[1].strip()


class Authority:
    """A CA and the certificates that it gives."""

    def __init__(self, folder, name):
        self.folder, self.name, self.serial = folder, name, 0
        folder.mkdir()
        self.ca = folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                      "-keyout", folder / "ca.key", "-out", self.ca)

    def _openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def give(self, name, dns="*", usage="clientAuth,serverAuth", start="", end=""):
        """(certificate, key) of a peer. Times as 'openssl ca' has them."""
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{dns}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", key, "-out", request)
        key.chmod(0o600)
        if end:
            database = self.folder / "database"
            database.mkdir(exist_ok=True)
            (database / "index").touch()
            self.serial += 1
            (database / "serial").write_text(f"{self.serial:02d}\n")
            config = self.folder / "ca.cnf"
            config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}/index\nserial={database}/serial\nnew_certs_dir={database}\n"
                              "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
            self._openssl("ca", "-batch", "-config", config, "-cert", self.ca, "-keyfile", self.folder / "ca.key", "-startdate", start,
                          "-enddate", end, "-extfile", extensions, "-in", request, "-out", certificate, "-notext")
        else:
            self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "10",
                          "-extfile", extensions, "-out", certificate)
        return certificate, key


class ByCertificate(seed_test.SeedCase):
    SIZE = 2 << 20

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ours = Authority(cls.lab.work / "ours", "Fleet CA")
        cls.theirs = Authority(cls.lab.work / "theirs", "Other CA")
        cls.peer = cls.ours.give("host1")
        cls.private = cls.lab.work / "admitted.torrent"
        cls.make_torrent(cls.aci, cls.private, "--swarm-ca", cls.ours.ca)
        cls.hash = info(cls.private)[0]

    def configure(self, ca, pair, prefixes=(NAME,)):
        rule = {"rktKind": "swarms", "rktVersion": "v1", "prefixes": list(prefixes)}
        if ca:
            rule["ca"] = str(ca)
        if pair:
            rule.update(certificate=str(pair[0]), key=str(pair[1]))
        folder = self.lab.local_config / "swarms.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "swarm.json").write_text(json.dumps(rule))

    def admitted(self, ca=None, pair=None):
        """The options that say the same."""
        pair = pair or self.peer
        return [f"--swarm-ca={ca or self.ours.ca}", f"--swarm-cert={pair[0]}", f"--swarm-key={pair[1]}"]

    def seeder(self, *args):
        """Of the image below a configured prefix. Returns its TLS port."""
        self.configure(self.ours.ca, self.peer, ("example.test",))
        port = peers.free_port()
        self.process = self.start(f"--listen-tls=127.0.0.1:{port}", *args)
        return port

    def uploaded(self):
        return self.status()["images"][0]["uploaded"]

    # --- admitted ---------------------------------------------------------------------------

    def test_a_fetch_by_options_and_by_configuration(self):
        port = self.seeder()
        image, = self.status()["images"]
        self.assertEqual((image["admission"], image["infoHash"]), ("certificate", self.hash))
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{port}", *self.admitted(), self.private))
        self.elsewhere()
        # By the authority that the torrent names, whatever the prefix; a certificate of another machine.
        self.configure(self.ours.ca, self.ours.give("host2", dns=self.torrent_name()), ("*",))
        self.fetched(self.fetch(f"--peer=127.0.0.1:{port}", self.private))
        self.assertGreaterEqual(self.uploaded(), 2 * self.SIZE)

    def torrent_name(self):
        script = "import libtorrent as lt, sys; print(lt.torrent_info(sys.argv[1]).name())"
        return subprocess.run([peers.PYTHON, "-c", script, str(self.private)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def test_by_tracker(self):
        """It is told the port that is for TLS, and tells that."""
        tracker = peers.Tracker(self.lab, [self.hash])
        torrent = self.lab.work / "tracked.torrent"
        self.make_torrent(self.aci, torrent, "--swarm-ca", self.ours.ca, "--tracker", tracker.url)
        self.seeder("--tracker", tracker.url)
        self.elsewhere()
        self.fetched(self.fetch(*self.admitted(), torrent))

    def test_a_stock_client_both_ways(self):
        dh = self.lab.work / "dh.pem"
        subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", dh], check=True,
                       stderr=subprocess.DEVNULL)
        other = self.ours.give("stock")
        port, target = self.seeder(), self.lab.work / "stock"
        target.mkdir()
        client = self.lab.start([peers.PYTHON, "-c", STOCK, str(self.private), str(target), str(peers.free_port()), str(port), *map(str, other), str(dh)])
        self.addCleanup(lambda: client in self.lab.processes and self.lab.stop(client))
        self.assertEqual(client.wait(60 * harness.SLOW), 0)
        self.assertEqual([file.read_bytes() for file in target.iterdir()], [self.aci.read_bytes()])
        self.end(self.process)
        listen = peers.free_port()
        seed = self.lab.start([peers.PYTHON, "-c", STOCK, str(self.private), str(target), str(listen), "0", *map(str, other), str(dh)])
        self.addCleanup(self.lab.stop, seed)
        wait_for(lambda: harness._connects(listen), "the stock client to listen")
        self.elsewhere()
        self.fetched(self.fetch(f"--peer=127.0.0.1:{listen}", *self.admitted(), self.private))

    def test_seeder_restarts_without_hashing(self):
        self.seeder()
        torrents = self.source / "seed/torrents"
        wait_for(lambda: list(torrents.glob("*.torrent")), "the torrent of the image")
        cached, = torrents.glob("*.torrent")
        before = cached.stat()
        self.end(self.process)
        self.seeder()
        after = cached.stat()
        self.assertEqual((before.st_mtime_ns, before.st_ino), (after.st_mtime_ns, after.st_ino))

    # --- kept out ---------------------------------------------------------------------------

    def greet(self, port, pair=None, tls=True):
        """Whether the peer at `port` answers the first words of BitTorrent."""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            context = ssl._create_unverified_context(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if pair:
                context.load_cert_chain(*pair)
            try:
                with context.wrap_socket(plain, server_hostname=self.hash) if tls else plain as line:
                    line.sendall(b"\x13BitTorrent protocol" + bytes(8) + bytes.fromhex(self.hash) + b"-XX0000-" + bytes(12))
                    return line.recv(20) == b"\x13BitTorrent protocol"
            except (ssl.SSLError, ConnectionError):
                return False

    def test_nobody_without_a_certificate_gets_a_piece(self):
        port = self.seeder()
        stranger = self.theirs.give("stranger")
        with self.subTest("one that is admitted"):
            self.assertTrue(self.greet(port, self.peer))
        for what, pair in (("none", None), ("another authority's", stranger), ("not for clients", self.ours.give("server", usage="serverAuth")),
                           ("for another swarm", self.ours.give("narrow", dns="web.example.test")),
                           ("expired", self.ours.give("old", start="20200101000000Z", end="20200201000000Z"))):
            with self.subTest(what):
                self.assertFalse(self.greet(port, pair))
        with self.subTest("without TLS"):
            self.assertFalse(self.greet(self.process.port, tls=False))
            self.assertFalse(self.greet(port, tls=False))
        self.assertEqual(self.uploaded(), 0)
        # Nor does the open torrent of the same image lead to it.
        self.elsewhere()
        self.refused(self.fetch(f"--peer=127.0.0.1:{self.process.port}", "--patience=2", self.torrent), 251, "nothing came from the swarm")

    def test_a_fetch_that_would_not_be_admitted_says_so(self):
        self.elsewhere()
        for options, code, why in (
                ([], 252, 'certificates of "Fleet CA" .*none is configured'),
                (self.admitted(self.theirs.ca, self.theirs.give("a")), 252, 'certificates of "Fleet CA" .*none is configured'),
                (self.admitted(pair=self.theirs.give("b")), 253, 'not admitted to swarms of "Fleet CA" .*unable to get local issuer certificate'),
                (self.admitted(pair=self.ours.give("c", start="20200101000000Z", end="20200201000000Z")), 253, "certificate has expired"),
                (self.admitted(pair=self.ours.give("d", usage="clientAuth")), 253, "unsuitable certificate purpose"),
                (self.admitted(pair=self.ours.give("e", dns="web")), 253, "not for the swarm sha256-"),
                (self.admitted(pair=(self.peer[0], self.ours.give("f")[1])), 254, "not the key of"),
                (self.admitted()[:2], 254, "go together")):
            with self.subTest(why):
                self.refused(self.fetch(*options, self.private), code, why)
        self.assertEqual(self.slots(), [])

    def test_keys_that_others_may_read(self):
        self.elsewhere()
        pair = self.ours.give("careless")
        for mode in (0o640, 0o604, 0o660):
            pair[1].chmod(mode)
            self.refused(self.fetch(*self.admitted(pair=pair), self.private), 254, f"careless.key: .*used by others .mode {mode:04o}.")
        pair[1].chmod(0o600)
        os.chown(pair[1], 65534, 65534)
        self.refused(self.fetch(*self.admitted(pair=pair), self.private), 254, "careless.key: the key belongs to user 65534")
        self.configure(self.ours.ca, pair)
        self.refused(self.lab.actool("seed", "--listen=127.0.0.1:0"), 254, "the key belongs to user 65534")
        # A torrent needs none.
        self.ok(self.lab.actool("torrent", "--swarm-ca", self.ours.ca, "--output", self.lab.work / "x.torrent", self.aci))

    def test_peers_of_another_authority(self):
        """A seed that shows another authority's certificate is asked for nothing."""
        dh = self.lab.work / "dh.pem"
        subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", dh], check=True,
                       stderr=subprocess.DEVNULL)
        port, stranger = peers.free_port(), self.theirs.give("seed")
        liar = self.lab.start([peers.PYTHON, "-c", STOCK, str(self.private), str(self.payload()), str(port), "0", *map(str, stranger), str(dh)])
        self.addCleanup(self.lab.stop, liar)
        wait_for(lambda: harness._connects(port), "the stranger to listen")
        self.elsewhere()
        self.refused(self.fetch(f"--peer=127.0.0.1:{port}", "--patience=2", *self.admitted(), self.private), 251,
                     "nothing came from the swarm .*certificate verify failed")

    def test_a_magnet_link_and_a_bad_authority(self):
        self.refused(self.lab.actool("torrent", "--magnet", "--swarm-ca", self.ours.ca, self.aci), 254, "a magnet link can't lead into")
        self.refused(self.lab.actool("torrent", "--swarm-ca", self.peer[0], "--output", self.lab.work / "x", self.aci), 254,
                     "not the certificate of an authority")
        self.refused(self.lab.actool("torrent", "--swarm-ca", self.aci, "--output", self.lab.work / "x", self.aci), 254, "web.aci")

    def test_seeder_whose_certificate_is_not_admitted(self):
        self.configure(self.ours.ca, self.theirs.give("wrong"))
        self.start(f"--listen-tls=127.0.0.1:{peers.free_port()}", expect=0)
        wait_for(lambda: [image["state"] for image in self.status()["images"]] == ["broken"], "the image to be left")
        self.assertRegex(self.status()["error"], "not admitted to swarms of")

    # --- made -------------------------------------------------------------------------------

    def test_the_torrent_is_the_same_whoever_wrote_the_certificate(self):
        """PEM with talk around it, and in lines of another length."""
        text = self.ours.ca.read_text()
        other = self.lab.work / "other.pem"
        other.write_text("Fleet CA, see the wiki\n\n" + text.replace("\n", "\r\n"))
        torrent = self.lab.work / "other.torrent"
        self.make_torrent(self.aci, torrent, "--swarm-ca", other)
        self.assertEqual(torrent.read_bytes(), self.private.read_bytes())
        self.assertEqual(info(torrent)[1].splitlines()[0], text.splitlines()[0])
        self.assertNotEqual(info(self.torrent)[0], self.hash)

    def test_of_the_store_by_name(self):
        self.configure(self.ours.ca, None, ("example.test",))
        torrent = self.lab.work / "named.torrent"
        self.ok(self.lab.actool("torrent", "--output", torrent, NAME))
        self.assertEqual(torrent.read_bytes(), self.private.read_bytes())
        # A longer prefix without an authority is open.
        self.configure(None, None, (NAME,))
        self.ok(self.lab.actool("torrent", "--output", torrent, NAME))
        self.assertEqual(torrent.read_bytes(), self.torrent.read_bytes())


if __name__ == "__main__":
    harness.main()
