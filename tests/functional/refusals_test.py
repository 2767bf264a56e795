"""Every refusal of `actool fetch`: one clear line, its exit code, and the store as it was.

Each case publishes one bad thing over HTTPS and asks for it by name. A good image is in the
store before, and must be all that is there after.
"""

import gzip
import json
import pathlib
import subprocess
import tarfile

import harness
from harness import (Entry, Gpg, TestCase, aci_tar, busybox_entries, directory, hardlink, make_tar, manifest,
                     symlink, write_aci)

NAME = "example.test/web"


class Refusals(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        cls.gpg = Gpg(lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.stranger = cls.gpg.key("Stranger <stranger@evil.test>")
        cls.rsa = cls.gpg.key("Old style <rsa@example.test>", "rsa2048")
        cls.nginx = lab.nginx({
            "example.test": {"config": """
              location /loop { return 302 https://example.test/loop?ac-discovery=1; }
              location /plain { return 302 http://example.test/; }
              location /elsewhere { return 302 https://auth.test/secret; }
              location /dl/loop { return 302 https://example.test$request_uri; }
              location /dl/plain { return 302 http://example.test/ok.aci.asc; }
              location /dl/auth { return 302 https://auth.test/ok.aci.asc; }
            """},
            "auth.test": {"config": 'auth_basic "here"; auth_basic_user_file /dev/null;'},
            "foo.test": {"certificate_of": "other.test"},
        })
        cls.www = cls.nginx.root("example.test")
        cls.nginx.page("example.test", "example.test", [
            ("ac-discovery", "example.test https://example.test/{name}-{version}.{ext}")])

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, NAME)
        good = write_aci(self.lab.work / "good.aci", aci_tar(manifest(NAME, "0.0.1")))
        self.gpg.sign(self.key, good)
        self.good = self.ok(self.lab.actool("fetch", good, "--format=id")).out.strip()
        self.before = self.snapshot()

    def snapshot(self):
        """Every file of the store but the database's own and lock files."""
        return sorted(str(path.relative_to(self.lab.store)) for path in self.lab.store.rglob("*")
                      if "index" not in path.relative_to(self.lab.store).parts[:1]
                      and "ingest" not in path.relative_to(self.lab.store).parts[:1]
                      and path != self.lab.store / "fetching")

    def trust_file(self, key):
        """Puts a key where `trust add` would not: it was good when it was added."""
        folder = self.lab.local_config / "trustedkeys/prefix.d" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(self.gpg.export(key))

    def publish(self, tar, name=NAME, version="1.0.0", key=None, compression="gzip", **sign):
        path = write_aci(self.www / f"{name}-{version}.aci", tar, compression)
        self.gpg.sign(key or self.key, path, **sign)
        return path

    def fetch_refused(self, code, pattern, what=f"{NAME}:1.0.0", *options):
        self.refused(self.lab.actool("fetch", *options, what), code, pattern)
        self.assertEqual(self.image_ids(), [self.good])
        self.assertEqual(self.snapshot(), self.before)
        kept = [path for path in (self.lab.store / "ingest").rglob("*") if path.is_file() and path.stat().st_size > 0]
        self.assertEqual(kept, [], "refused bytes were kept")

    def bad_tar(self, pattern, entries):
        self.publish(make_tar(entries))
        self.fetch_refused(253, pattern)

    def image(self, *more, **members):
        return [Entry("manifest", json.dumps(manifest(NAME, **members)).encode()), directory("rootfs"), *more]

    # --- signatures and keys --------------------------------------------------------------------

    def test_no_signature(self):
        path = self.publish(aci_tar(manifest(NAME)))
        pathlib.Path(f"{path}.asc").unlink()
        self.fetch_refused(253, r"no signature.*web-1\.0\.0\.aci\.asc")

    def test_key_of_a_stranger(self):
        self.publish(aci_tar(manifest(NAME)), key=self.stranger)
        self.fetch_refused(253, self.stranger[-16:] + "|" + self.stranger)

    def test_key_for_foo_is_not_for_foobar(self):
        name = NAME + "bar"
        self.publish(aci_tar(manifest(name)), name=name)
        self.fetch_refused(253, "example.test/webbar", f"{name}:1.0.0")

    def test_key_of_a_child_is_not_for_the_parent(self):
        self.trust(self.gpg, self.rsa, NAME + "/child")
        self.publish(aci_tar(manifest(NAME)), key=self.rsa)
        self.fetch_refused(253, "no key trusted for " + NAME)

    def test_expired_key(self):
        old = self.gpg.key("Expired <old@example.test>", expire="1d", faked_time="20200101T000000")
        self.trust_file(old)
        self.publish(aci_tar(manifest(NAME)), key=old, faked_time="20200101T120000")
        self.fetch_refused(253, "expired")

    def test_revoked_key(self):
        revoked = self.gpg.key("Revoked <revoked@example.test>")
        self.publish(aci_tar(manifest(NAME)), key=revoked)
        self.gpg.revoke(revoked)
        self.trust_file(revoked)
        self.fetch_refused(253, "revoked")

    def test_expired_signature(self):
        self.publish(aci_tar(manifest(NAME)), faked_time=None,
                     options=["--default-sig-expire", "seconds=1"])
        import time
        time.sleep(2)
        self.fetch_refused(253, "expired")

    def test_signature_over_other_bytes(self):
        path = self.publish(aci_tar(manifest(NAME)))
        other = write_aci(self.lab.work / "other.aci", aci_tar(manifest(NAME, "9.9.9")))
        pathlib.Path(f"{path}.asc").write_bytes(self.gpg.sign(self.key, other).read_bytes())
        self.fetch_refused(253, "signature")

    def test_not_a_signature(self):
        path = self.publish(aci_tar(manifest(NAME)))
        pathlib.Path(f"{path}.asc").write_bytes(b"this is no signature\n")
        self.fetch_refused(253, "signature")

    def test_flipped_bit(self):
        path = self.publish(aci_tar(manifest(NAME)))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        self.fetch_refused(253, "signature|gzip|inflate|corrupt")

    def test_truncated_file(self):
        path = self.publish(aci_tar(manifest(NAME)))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1000])
        for _ in range(2):  # what is kept for resuming must not change the answer
            self.refused(self.lab.actool("fetch", f"{NAME}:1.0.0"), 253, "ends|cut off|truncated")
            self.assertEqual(self.image_ids(), [self.good])
            self.assertEqual(self.snapshot(), self.before)
        path.write_bytes(whole)
        self.ok(self.lab.actool("fetch", f"{NAME}:1.0.0"))

    def test_trailing_garbage(self):
        path = self.publish(aci_tar(manifest(NAME)))
        path.write_bytes(path.read_bytes() + b"garbage")
        self.gpg.sign(self.key, path)
        self.fetch_refused(253, "after")

    # --- what the manifest says -------------------------------------------------------------------

    def test_manifest_of_another_name(self):
        self.publish(aci_tar(manifest("example.test/web/other")))
        self.fetch_refused(253, "example.test/web/other")

    def test_manifest_of_another_version(self):
        self.publish(aci_tar(manifest(NAME, "2.0.0")))
        self.fetch_refused(253, "version")

    def test_manifest_of_another_arch(self):
        self.publish(aci_tar(manifest(NAME, labels={"version": "1.0.0", "os": "linux", "arch": "aarch64"})))
        self.fetch_refused(253, "arch", f"{NAME}:1.0.0,os=linux,arch=amd64")

    def test_manifest_that_is_no_json(self):
        self.publish(aci_tar(b"{ not json"))
        self.fetch_refused(253, "manifest")

    def test_manifest_of_100_mb(self):
        self.bad_tar("manifest", [Entry("manifest", b"{" + b" " * (100 << 20)), directory("rootfs")])

    def test_no_manifest(self):
        self.bad_tar("manifest", [directory("rootfs"), Entry("rootfs/a", b"x")])

    def test_two_manifests(self):
        self.bad_tar("manifest", self.image() + [Entry("manifest", json.dumps(manifest(NAME)).encode())])

    def test_manifest_that_is_a_link(self):
        self.bad_tar("manifest", [directory("rootfs"), symlink("manifest", "rootfs/m")])

    # --- tars -----------------------------------------------------------------------------------

    def test_duplicate_entry(self):
        self.bad_tar("rootfs/a", self.image(Entry("rootfs/a", b"1"), Entry("rootfs/a", b"2")))

    def test_duplicate_entry_by_another_spelling(self):
        self.bad_tar("rootfs/a", self.image(Entry("rootfs/a", b"1"), Entry("./rootfs/a", b"2")))
        self.bad_tar("rootfs//a", self.image(Entry("rootfs/a", b"1"), Entry("rootfs//a", b"2")))

    def test_absolute_entry(self):
        self.bad_tar("/etc/evil", self.image(Entry("/etc/evil", b"x")))

    def test_dotdot_entry(self):
        self.bad_tar(r"\.\.", self.image(Entry("rootfs/../../evil", b"x")))

    def test_hard_link_out_of_the_tree(self):
        for target in ("/etc/passwd", "../etc/passwd", "manifest", "rootfs/none"):
            self.bad_tar("rootfs/passwd", self.image(hardlink("rootfs/passwd", target)))

    def test_entry_through_a_symbolic_link(self):
        self.bad_tar("rootfs/link/evil", self.image(symlink("rootfs/link", "/tmp"), Entry("rootfs/link/evil", b"x")))

    def test_absolute_symbolic_links_are_normal(self):
        self.publish(make_tar(self.image(symlink("rootfs/link", "/etc/passwd"))))
        self.ok(self.lab.actool("fetch", f"{NAME}:1.0.0"))

    def test_other_top_level_entry(self):
        self.bad_tar("extra", self.image(Entry("extra", b"x")))

    def test_rootfs_that_is_a_file(self):
        self.bad_tar("rootfs", [Entry("manifest", json.dumps(manifest(NAME)).encode()), Entry("rootfs", b"x")])

    def test_not_a_tar(self):
        self.publish(b"no tar at all " * 1000)
        self.fetch_refused(253, "tar")

    def test_cut_tar_in_a_whole_gzip(self):
        self.publish(aci_tar(manifest(NAME))[:200 << 10])
        self.fetch_refused(253, "tar|end|truncated|cut")

    def test_gzip_bomb(self):
        # 4 GiB of zeros in 4 MiB, made by joining the same member many times over.
        member = gzip.compress(bytes(64 << 20), compresslevel=9, mtime=0)
        head = gzip.compress(make_tar(self.image())[:1536] + _header("rootfs/zeros", 4 << 30), mtime=0)
        path = self.www / f"{NAME}-1.0.0.aci"
        path.write_bytes(head + member * 64)
        self.gpg.sign(self.key, path)
        self.fetch_refused(253, "limit|ratio|inflate")

    # --- HTTP -----------------------------------------------------------------------------------

    def test_nothing_there(self):
        self.fetch_refused(252, r"web-7\.7\.7\.aci", f"{NAME}:7.7.7")

    def test_redirect_loop(self):
        self.fetch_refused(251, "redirect", "https://example.test/dl/loop.aci")

    def test_redirect_to_plain_http(self):
        self.fetch_refused(251, "http", "https://example.test/dl/plain.aci")

    def test_credentials_asked_for_by_a_redirect_target(self):
        config = self.lab.local_config / "auth.d"
        config.mkdir(parents=True)
        (config / "a.json").write_text(json.dumps({
            "rktKind": "auth", "rktVersion": "v1", "domains": ["example.test"], "type": "basic",
            "credentials": {"user": "u", "password": "the-secret"}}))
        self.fetch_refused(251, "auth.test", "https://example.test/dl/auth.aci")
        self.assertNotIn("the-secret", self.nginx.log.read_text())

    def test_certificate_of_another_host(self):
        self.fetch_refused(251, "certificate", "https://foo.test/x.aci")

    def test_no_server(self):
        self.fetch_refused(251, "127.0.0.1|connect|resolve", "https://example.test:444/x.aci")

    # --- the store --------------------------------------------------------------------------------

    def test_store_that_cannot_be_written(self):
        self.publish(aci_tar(manifest(NAME)))
        subprocess.run(["mount", "--bind", "-o", "ro", str(self.lab.store), str(self.lab.store)], check=True)
        try:
            result = self.lab.actool("fetch", f"{NAME}:1.0.0")
        finally:
            subprocess.run(["umount", str(self.lab.store)], check=True)
        self.refused(result, 254, "[Rr]ead-only")
        self.assertEqual(self.image_ids(), [self.good])

    def test_disk_full(self):
        self.publish(make_tar(self.image(Entry("rootfs/big", _noise(24 << 20)))))
        small = self.lab.work / "small"
        small.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(small)], check=True)
        try:
            result = self.lab.actool(f"--dir={small}/store", "fetch", f"{NAME}:1.0.0")
            self.refused(result, 254, "[Nn]o space")
            listed = self.ok(self.lab.actool(f"--dir={small}/store", "image", "list"))
            self.assertEqual(listed.records(), [])
        finally:
            subprocess.run(["umount", str(small)], check=True)


def _header(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _noise(size):
    import random
    return random.Random(7).randbytes(size)


if __name__ == "__main__":
    harness.main()
