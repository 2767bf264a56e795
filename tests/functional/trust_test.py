#!/usr/bin/env python3
"""actool trust and actool verify, with keys and signatures that gpg makes."""

import os
import pathlib
import signal
import subprocess
import time

import harness


class TrustCase(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = harness.Gpg(cls.lab)
        cls.key = cls.gpg.key("Carly Container <carly@example.com>")
        cls.other = cls.gpg.key("Olaf Other <olaf@example.com>", "rsa2048")

    def file(self, name, content):
        path = self.lab.work / name
        path.write_bytes(content)
        return path

    def key_file(self, *fingerprints):
        return self.file("keys.gpg", b"".join(self.gpg.export(f) for f in fingerprints))

    def stored(self, directory=None):
        base = (directory or self.lab.local_config) / "trustedkeys"
        return sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())

    def list(self, *args):
        return self.ok(self.lab.actool("trust", "list", *args)).records()

    def system_key(self, prefix, fingerprint):
        directory = self.lab.system_config / "trustedkeys" / ("prefix.d/" + prefix if prefix else "root.d")
        directory.mkdir(parents=True)
        (directory / fingerprint).write_bytes(self.gpg.export(fingerprint))


class Add(TrustCase):
    def test_a_file_lands_where_rkt_has_it(self):
        done = self.ok(self.lab.actool("trust", "add", "--prefix=example.com/foo",
                                       "--skip-fingerprint-review", self.key_file(self.key)))
        self.assertEqual(self.stored(), [f"prefix.d/example.com/foo/{self.key}"])
        record = done.records()[0]
        self.assertEqual((record["kind"], record["prefix"], record["fingerprint"]),
                         ("key", "example.com/foo", self.key))
        spaced = self.key.upper()
        spaced = " ".join(spaced[i:i + 4] for i in range(0, 20, 4)) + "  " + \
            " ".join(spaced[i:i + 4] for i in range(20, 40, 4))
        self.assertIn(f"fingerprint: {spaced}\n", done.err)
        self.assertIn("user ID: Carly Container <carly@example.com>", done.err)
        self.assertRegex(done.err, r"ed25519 \(sign, certify\), created 20\d\d-\d\d-\d\d, never expires")

    def test_root_keys_and_several_in_one_file(self):
        self.ok(self.lab.actool("trust", "add", "--root", "--skip-fingerprint-review",
                                self.key_file(self.key, self.other)))
        self.assertEqual(self.stored(), sorted([f"root.d/{self.key}", f"root.d/{self.other}"]))
        for fingerprint in (self.key, self.other):
            shown = subprocess.run(
                ["gpg", "--homedir", self.gpg.home, "--show-keys", "--with-colons",
                 self.lab.local_config / "trustedkeys/root.d" / fingerprint],
                check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.decode()
            self.assertEqual(shown.count("\npub:") + shown.startswith("pub:"), 1)
            self.assertIn(fingerprint.upper(), shown)

    def test_rkts_spelling_without_add(self):
        self.ok(self.lab.actool("trust", "--prefix", "example.com", "--skip-fingerprint-review",
                                self.key_file(self.key)))
        self.assertEqual(self.stored(), [f"prefix.d/example.com/{self.key}"])

    def test_no_terminal_no_trust(self):
        self.refused(self.lab.actool("trust", "add", "--root", self.key_file(self.key)), 253,
                     "can't ask about this key's fingerprint: there is no terminal; compare it "
                     "yourself and add --skip-fingerprint-review")
        self.assertEqual(self.stored(), [])

    def test_yes_on_a_terminal(self):
        done = harness.tty_session(self.lab.argv("trust", "add", "--root", self.key_file(self.key)),
                           self.lab.env, [b"y", b"yes"])
        self.assertEqual(done.code, 0, done)
        self.assertIn("Are you sure you want to trust this key (yes/no)?", done.err)
        self.assertIn("Please enter 'yes' or 'no'", done.err)
        self.assertEqual(self.stored(), [f"root.d/{self.key}"])

    def test_no_on_a_terminal(self):
        done = harness.tty_session(self.lab.argv("trust", "add", "--root", self.key_file(self.key)),
                           self.lab.env, [b"no"])
        self.assertEqual(done.code, 253, done)
        self.assertIn("no key was added", done.err)
        self.assertEqual(self.stored(), [])

    def test_each_key_is_asked_about(self):
        done = harness.tty_session(self.lab.argv("trust", "add", "--root", self.key_file(self.key, self.other)),
                           self.lab.env, [b"no", b"yes"])
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.stored(), [f"root.d/{self.other}"])

    def test_refusals(self):
        add = ["trust", "add", "--skip-fingerprint-review"]
        good = self.key_file(self.key)
        secret = self.file("secret.gpg", self.gpg.run("--armor", "--export-secret-keys", self.key))
        expired = self.gpg.key("Expired <expired@example.com>", expire="1y", faked_time="20200101T000000")
        revoked = self.gpg.key("Revoked <revoked@example.com>")
        self.gpg.revoke(revoked)
        for args, code, pattern in [
                ([], 254, "for which names.*Neither --prefix NAME nor --root was given"),
                (["--root", "--prefix=example.com", good], 254, "--prefix and --root exclude each other"),
                (["--root"], 254, "--root needs a key"),
                (["--prefix=Not/Valid!", good], 254, "--prefix: "),
                (["--root", "/nonexistent"], 252, "/nonexistent"),
                (["--root", "ftp://example.com/key"], 254, "not a place to get a key from: ftp://"),
                (["--root", self.file("junk", b"junk")], 253, "junk: no OpenPGP public key"),
                (["--root", secret], 253, "secret.gpg: a secret key"),
                (["--root", self.file("big", b"x" * (5 << 20))], 254, "big"),
                (["--root", self.file("e", self.gpg.export(expired))], 253, "no key was added"),
                (["--root", self.file("r", self.gpg.export(revoked))], 253, "no key was added")]:
            with self.subTest(args=args):
                self.refused(self.lab.actool(*add, *args), code, pattern)
                self.assertEqual(self.stored(), [])
        self.assertIn(f"not adding key {revoked}: it is revoked",
                      self.lab.actool(*add, "--root", self.file("r", self.gpg.export(revoked))).err)


class AddFromTheWeb(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nginx = cls.lab.nginx({"example.test": {}})
        root = cls.nginx.root("example.test")
        (root / "keys.gpg").write_bytes(cls.gpg.export(cls.key))
        (root / "big.gpg").write_bytes(b"x" * (5 << 20))
        cls.nginx.page("example.test", "example.test/web",
                       [("ac-discovery-pubkeys", "example.test/web https://example.test/keys.gpg")])
        cls.nginx.page("example.test", "example.test/plain",
                       [("ac-discovery-pubkeys", "example.test/plain http://example.test/keys.gpg")])
        cls.nginx.page("example.test", "example.test/none", [])

    def test_discovery(self):
        done = self.ok(self.lab.actool("trust", "add", "--prefix=example.test/web",
                                       "--skip-fingerprint-review"))
        self.assertEqual(self.stored(), [f"prefix.d/example.test/web/{self.key}"])
        self.assertIn("key: https://example.test/keys.gpg", done.err)

    def test_https(self):
        self.ok(self.lab.actool("trust", "add", "--root", "--skip-fingerprint-review",
                                "https://example.test/keys.gpg"))
        self.assertEqual(self.stored(), [f"root.d/{self.key}"])

    def test_trust_keys_from_https_needs_no_review(self):
        self.ok(self.lab.actool("--trust-keys-from-https", "trust", "add", "--prefix=example.test/web"))
        self.assertEqual(self.stored(), [f"prefix.d/example.test/web/{self.key}"])
        self.refused(self.lab.actool("--trust-keys-from-https", "trust", "add", "--root",
                                     self.key_file(self.key)), 253, "there is no terminal")

    def test_plain_http_only_when_told(self):
        add = ["trust", "add", "--skip-fingerprint-review"]
        for args in (["--root", "http://example.test/keys.gpg"], ["--prefix=example.test/plain"]):
            with self.subTest(args=args):
                self.refused(self.lab.actool(*add, *args), 253,
                             "not fetching a public key over plain http: http://example.test/keys.gpg")
        self.ok(self.lab.actool(*add, "--insecure-options=pubkey", "--root", "http://example.test/keys.gpg"))
        self.assertEqual(self.stored(), [f"root.d/{self.key}"])

    def test_failures_are_told_once_and_keep_their_codes(self):
        add = ["trust", "add", "--skip-fingerprint-review"]
        for args, code, pattern in [(["--root", "https://example.test/big.gpg"], 251, "example.test/big.gpg"),
                                    (["--root", "https://example.test/missing.gpg"], 252, "missing.gpg"),
                                    (["--root", "https://nowhere.test/keys.gpg"], 251, "nowhere.test"),
                                    (["--prefix=example.test/none"], 252, "example.test/none")]:
            with self.subTest(args=args):
                self.refused(self.lab.actool(*add, *args), code, pattern)
                self.assertEqual(self.stored(), [])


class Manage(TrustCase):
    def test_list(self):
        self.trust(self.gpg, self.key, "example.com/foo")
        self.trust(self.gpg, self.other)
        self.assertEqual([(r.get("prefix"), r["fingerprint"], r["status"]) for r in self.list()],
                         [(None, self.other, "usable"), ("example.com/foo", self.key, "usable")])
        table = self.ok(self.lab.actool("trust", "list", "--format=table")).out.splitlines()
        self.assertEqual(len(table), 3)
        self.assertRegex(table[0], "^PREFIX +FINGERPRINT +ALGORITHM +CREATED +EXPIRES +STATUS +USER ID$")
        self.assertRegex(table[2], f"^example.com/foo +{self.key} +ed25519 .* never +usable +Carly")

    def test_list_for_a_name_goes_by_component(self):
        self.trust(self.gpg, self.key, "example.com/foo")
        for name, count in (("example.com/foo", 1), ("example.com/foo/bar", 1), ("example.com/foobar", 0),
                            ("example.com", 0)):
            self.assertEqual(len(self.list(f"--prefix={name}")), count, name)

    def test_list_names_unusable_and_unreadable_keys(self):
        expired = self.gpg.key("Late <late@example.com>", expire="1y", faked_time="20200101T000000")
        self.system_key("example.com", expired)
        (self.lab.system_config / "trustedkeys/prefix.d/example.com" / ("0" * 40)).write_text("junk")
        self.assertEqual({r["fingerprint"]: r["status"] for r in self.list()},
                         {expired: "expired on 2020-12-31", "0" * 40: "unreadable"})

    def test_rm(self):
        self.trust(self.gpg, self.key, "example.com/foo")
        self.ok(self.lab.actool("trust", "rm", "--prefix=example.com/foo", self.key.upper()))
        self.assertEqual(self.stored(), [])
        self.refused(self.lab.actool("trust", "rm", "--prefix=example.com/foo", self.key), 252,
                     f"no key {self.key} for prefix example.com/foo in ")
        self.refused(self.lab.actool("trust", "rm", "--root", "123"), 254, "not a key's fingerprint: 123")

    def test_disable_masks_the_systems_key(self):
        self.system_key("example.com", self.key)
        self.assertEqual(len(self.list()), 1)
        self.refused(self.lab.actool("trust", "rm", "--prefix=example.com", self.key), 252,
                     "mask it with 'actool trust disable'")
        self.ok(self.lab.actool("trust", "disable", "--prefix=example.com", self.key))
        mask = self.lab.local_config / "trustedkeys/prefix.d/example.com" / self.key
        self.assertEqual(mask.stat().st_size, 0)
        self.assertEqual(self.list(), [])
        self.ok(self.lab.actool("trust", "rm", "--prefix=example.com", self.key))
        self.assertEqual(len(self.list()), 1)


class Verify(TrustCase):
    def setUp(self):
        super().setUp()
        self.image = self.file("web.aci", os.urandom(3 << 20))
        self.gpg.sign(self.key, self.image)

    def verify(self, *args):
        return self.lab.actool("verify", *args)

    def test_good(self):
        self.trust(self.gpg, self.key, "example.com/foo")
        record = self.ok(self.verify(self.image)).records()[0]
        self.assertEqual((record["kind"], record["fingerprint"], record["trustedFor"], record["userId"]),
                         ("signer", self.key, ["prefix example.com/foo"], "Carly Container <carly@example.com>"))
        self.ok(self.verify("--name=example.com/foo/bar", self.image, f"{self.image}.asc"))
        table = self.ok(self.verify("--format=table", self.image)).out
        self.assertRegex(table, f"^FINGERPRINT .*\n{self.key} .*Carly.* prefix example.com/foo\n$")

    def test_a_key_for_foo_is_none_for_foobar(self):
        self.trust(self.gpg, self.key, "example.com/foo")
        self.refused(self.verify("--name=example.com/foobar", self.image), 253,
                     f"no key trusted for example.com/foobar signed it, but key {self.key} .*, which is "
                     "trusted for prefix example.com/foo; ")

    def test_refusals(self):
        self.trust(self.gpg, self.key)
        good = self.image.read_bytes()
        other = self.file("other.asc", self.gpg.sign(self.other, self.image, self.lab.work / "o.asc").read_bytes())
        weak = self.gpg.sign(self.key, self.image, self.lab.work / "weak.asc", options=["--digest-algo", "SHA1"])
        late = self.gpg.sign(self.key, self.image, self.lab.work / "late.asc",
                             options=["--default-sig-expire", "seconds=1"])
        inline = self.file("inline.asc", self.gpg.run("--armor", "--sign", "--output", "-",
                                                         self.file("small", b"small")))
        flipped = self.file("flipped.aci", good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
        short = self.file("short.aci", good[:-1])
        time.sleep(2)
        for args, code, pattern in [
                ([self.image, other], 253, f"signed by unknown key {self.other}"),
                ([flipped, f"{self.image}.asc"], 253, f"bad signature by key {self.key}"),
                ([short, f"{self.image}.asc"], 253, f"bad signature by key {self.key}"),
                ([flipped], 253, "no signature .*flipped.aci.asc"),
                ([self.image, weak], 253, "over SHA-1, which can be forged"),
                ([self.image, late], 253, f"signature by key {self.key} .* expired on"),
                ([self.image, inline], 253, "a PGP MESSAGE where a PGP SIGNATURE should be"),
                ([self.image, self.image], 253, "signature of more than 262144 bytes"),
                ([self.image, self.file("empty.asc", b"")], 253, "not an OpenPGP signature"),
                ([self.image, self.file("page.asc", b"<html>404</html>")], 253, "not an OpenPGP signature"),
                (["/nonexistent.aci"], 252, "no such file"),
                (["--name=Bad!", self.image], 254, "--name: ")]:
            with self.subTest(args=args):
                self.refused(self.verify(*args), code, pattern)

    def test_the_users_own_keyring_counts_for_nothing(self):
        gnupg = self.lab.home / ".gnupg"
        gnupg.mkdir(mode=0o700)
        environment = {"GNUPGHOME": str(gnupg)}
        subprocess.run(["gpg", "--homedir", gnupg, "--batch", "--import"], input=self.gpg.export(self.key),
                       check=True, stderr=subprocess.PIPE)
        before = sorted(p.name for p in gnupg.iterdir())
        self.refused(self.lab.actool("verify", self.image, env=environment), 253,
                     f"signed by unknown key {self.key}")
        self.assertEqual(sorted(p.name for p in gnupg.iterdir()), before)

    def test_nothing_is_left_behind(self):
        self.trust(self.gpg, self.key)
        tmp = self.lab.work / "empty"
        tmp.mkdir()
        self.ok(self.lab.actool("verify", self.image, env={"TMPDIR": str(tmp)}))
        self.assertEqual(os.listdir(tmp), [])
        self.assertEqual(processes_with("actool-gpg."), [])

    def test_gpg_ends_with_a_killed_verify(self):
        self.trust(self.gpg, self.key)
        fifo = self.lab.work / "endless.aci"
        os.mkfifo(fifo)
        process = self.lab.popen("verify", fifo, f"{self.image}.asc")
        with open(fifo, "wb") as stream:
            stream.write(b"x" * 100_000)
            stream.flush()
            harness.wait_for(lambda: processes_with("--output"), "gpg to start")
            process.send_signal(signal.SIGKILL)
            process.communicate()
            harness.wait_for(lambda: not processes_with("actool-gpg."), "gpg to end")


def processes_with(word):
    """Command lines of live gpg processes of this test's own with `word` in them."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in line and "actool-Verify-" in line and "gpg" in line:
            found.append(line)
    return found


if __name__ == "__main__":
    harness.main()
