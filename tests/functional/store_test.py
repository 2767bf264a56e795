"""The store: actool image and its subcommands, what they refuse, and what a crash leaves."""

import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import harness

KILLS = harness.kills(200)


def beginning_of_tar(name):
    """An image's tar as far as its rootfs directory, for more entries to follow."""
    tar = harness.aci_tar(harness.manifest(name), [harness.directory("rootfs")]).rstrip(b"\0")
    return tar + bytes(-len(tar) % 512)


class StoreCase(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = harness.Gpg(cls.lab)
        cls.key = cls.gpg.key("Web <web@example.com>")
        cls.tar = harness.aci_tar(harness.manifest("example.com/web", "1.0.0", exec=["/bin/true"]))
        cls.id = harness.image_id(cls.tar)
        cls.aci = harness.write_aci(cls.lab.work / "web.aci", cls.tar)
        cls.asc = cls.gpg.sign(cls.key, cls.aci)

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, "example.com")

    def sign(self, name, data):
        """A file as distributed and its signature by the trusted key."""
        path = self.lab.work / name
        path.write_bytes(data)
        return path, self.gpg.sign(self.key, path)

    def ingest(self, aci=None, asc=None, *options):
        return self.lab.actool("image", "ingest", f"--signature={asc or self.asc}", *options, aci or self.aci)

    def assert_store_is_empty(self):
        self.assertEqual(self.image_ids(), [])
        left = [path for path in self.lab.store.rglob("*")
                if path.is_file() and path.relative_to(self.lab.store).parts[0] in ("blobs", "images", "ingest", "tmp")]
        self.assertEqual(left, [])


class Subcommands(StoreCase):
    def test_from_ingest_to_rm(self):
        record = self.ok(self.ingest(None, None, "--requested=example.com/web:1.0.0",
                                     "--source=https://example.com/web.aci")).records()[0]
        self.assertEqual(record["kind"], "image")
        self.assertEqual(record["id"], self.id)
        self.assertEqual(record["signedBy"], self.key)
        self.assertEqual(record["tarSize"], len(self.tar))
        self.assertEqual(record["distributedSize"], self.aci.stat().st_size)
        self.assertEqual(record["sources"], ["https://example.com/web.aci"])

        listed = self.ok(self.lab.actool("image", "list")).records()
        self.assertEqual([image["id"] for image in listed], [self.id])
        table = self.ok(self.lab.actool("image", "list", "--format=table")).out.splitlines()
        self.assertEqual(table[0].split(), ["ID", "NAME", "IMPORT", "TIME", "LAST", "USED", "SIZE", "SIGNED", "BY"])
        self.assertIn("example.com/web:1.0.0", table[1])
        self.assertEqual(self.ok(self.lab.actool("image", "list", "--format=id")).out, self.id + "\n")
        self.assertEqual(len(json.loads(self.ok(self.lab.actool("image", "list", "--format=json")).out)), 1)

        for name in ("example.com/web", "example.com/web:1.0.0", self.id, self.id[:20]):
            found = self.ok(self.lab.actool("image", "resolve", name)).records()[0]
            self.assertEqual(found["id"], self.id)
        self.refused(self.lab.actool("image", "resolve", "example.com/web:2.0.0"), 252,
                     r"no image example\.com/web:2\.0\.0 in the store")

        manifest = json.loads(self.ok(self.lab.actool("image", "cat-manifest", "example.com/web")).out)
        self.assertEqual(manifest["name"], "example.com/web")

        export = lambda *options: self.ok(self.lab.actool("image", "export", *options, self.id, "-")).out_bytes
        self.assertEqual(export(), self.tar)
        self.assertEqual(export("--distributed"), self.aci.read_bytes())
        self.assertEqual(export("--signature"), self.asc.read_bytes())
        out = self.lab.work / "exported.aci"
        self.ok(self.lab.actool("image", "export", self.id, out))
        self.assertEqual(out.read_bytes(), self.tar)
        self.refused(self.lab.actool("image", "export", self.id, out), 254, "exists; use --overwrite to replace it")

        self.assertIn("content and signature are good", self.ok(self.lab.actool("image", "verify", self.id)).out)

        root = pathlib.Path(self.ok(self.lab.actool("image", "render", "example.com/web")).out.strip())
        self.assertEqual(os.readlink(root / "bin/sh"), "busybox")
        self.assertEqual(self.ok(self.lab.actool("image", "render", self.id)).out.strip(), str(root))
        target = self.lab.work / "extracted"
        self.ok(self.lab.actool("image", "extract", self.id, target))
        self.assertEqual(json.loads((target / "manifest").read_text()), manifest)
        self.assertTrue((target / "rootfs/bin/busybox").is_file())
        self.refused(self.lab.actool("image", "extract", self.id, target), 254, "exists")

        self.ok(self.lab.actool("image", "rm", "example.com/web"))
        self.assert_store_is_empty()
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.assertEqual(list((self.lab.store / "trees").iterdir()), [])
        self.refused(self.lab.actool("image", "rm", "example.com/web"), 252, "no image example.com/web")

    def test_questions_have_a_program_of_their_own(self):
        self.ok(self.ingest())
        answers = [self.ok(self.lab.actool(*words, "--format=id", "example.com/web")).out for words in (
            ["image", "resolve"], ["image", "--debug", "resolve"])]
        # Where it is not there, the one for everything answers.
        alone = self.lab.work / "alone"
        alone.mkdir()
        for program in ("actool", "actool-image"):
            shutil.copy(harness.BIN / program, alone)
        done = subprocess.run([alone / "actool", *self.lab.globals(), "image", "resolve", "--format=id", "example.com/web"],
                              env={**self.lab.env, "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, check=True)
        self.assertEqual([*answers, done.stdout.decode()], [self.id + "\n"] * 3)
        self.assertTrue((harness.BIN / "actool-image-resolve").exists())
        # It is no command, and no word of the operator's.
        self.assertNotIn("image-resolve", self.lab.actool("help").out)
        self.refused(self.lab.actool("image", "resolve", "example.com/none"), 252, "^actool-image: error: ")
        self.refused(self.lab.actool("image", "list", "--none"), 254, "^actool-image: error: .*actool image list")

    def test_stdin_is_a_door_too(self):
        result = self.lab.actool("image", "ingest", f"--signature={self.asc}", stdin=self.aci.read_bytes())
        self.assertEqual(self.ok(result).records()[0]["id"], self.id)

    def test_every_encoding(self):
        for compression in ("bzip2", "xz", "none"):
            self.lab.reset_actool()
            self.trust(self.gpg, self.key, "example.com")
            aci = harness.write_aci(self.lab.work / f"web-{compression}.aci", self.tar, compression)
            record = self.ok(self.ingest(aci, self.gpg.sign(self.key, aci))).records()[0]
            self.assertEqual(record["id"], self.id)

    def test_several_gzip_members(self):
        half = len(self.tar) // 2
        data = b"".join(harness.gzip.compress(part) for part in (self.tar[:half], self.tar[half:]))
        self.assertEqual(self.ok(self.ingest(*self.sign("members.aci", data))).records()[0]["id"], self.id)
        aci, asc = self.sign("garbage.aci", data + b"garbage")
        self.refused(self.ingest(aci, asc), 253, "there is garbage after the gzip data")

    def test_a_dependency_is_not_removed_before_its_dependent(self):
        self.ok(self.ingest())
        tar = harness.aci_tar(harness.manifest("example.com/app", dependencies=[{"imageName": "example.com/web"}]),
                              [harness.directory("rootfs"), harness.Entry("rootfs/app", b"x")])
        self.ok(self.ingest(*self.sign("app.aci", tar)))
        self.refused(self.lab.actool("image", "rm", "example.com/web"), 250,
                     r"is needed by example\.com/app .*, which depends on it; remove that first, or use --force")
        root = pathlib.Path(self.ok(self.lab.actool("image", "render", "example.com/app")).out.strip())
        self.assertTrue((root / "bin/busybox").is_file())
        self.assertEqual((root / "app").read_bytes(), b"x")
        self.ok(self.lab.actool("image", "rm", "example.com/web", "example.com/app"))
        self.assert_store_is_empty()

    def test_leases_and_quotas(self):
        lease = lambda *words: self.lab.actool("image", "lease", *words)
        self.refused(lease("add", "keep", "example.com/web"), 252, "no image example.com/web in the store")
        self.assertFalse(self.lab.store.exists())
        self.ok(self.ingest())
        self.ok(lease("add", "keep", "--expires=1h", "example.com/web"))
        listed = self.ok(lease("list")).records()
        self.assertEqual([(one["name"], one["images"]) for one in listed], [("keep", [self.id])])
        self.assertIn("keep", self.ok(lease("list", "--format=table")).out)
        quota = ["image", "gc", "--keep-bytes=0", "--grace-period=0s"]
        self.assertEqual(self.ok(self.lab.actool(*quota)).records(), [])
        self.refused(self.lab.actool("image", "rm", self.id), 250, "is needed by lease keep")
        self.ok(lease("rm", "keep"))
        self.refused(lease("rm", "keep"), 252, "there is no lease keep")
        self.refused(lease("add", "../keep", self.id), 254, "is no name for a lease")
        self.refused(lease("nonsense"), 254, 'actool image lease has no subcommand "nonsense"')
        self.assertEqual(self.ok(self.lab.actool("image", "gc", "--grace-period=0s")).records(), [])
        expected = {"kind": "removed", "what": "image", "name": self.id, "image": "example.com/web:1.0.0",
                    "bytes": len(self.tar) + self.aci.stat().st_size, "dryRun": True}
        would = self.ok(self.lab.actool(*quota, "--dry-run")).records()
        self.assertEqual(would[0], expected)
        self.assertEqual(self.image_ids(), [self.id])
        self.assertEqual(self.ok(self.lab.actool(*quota)).records(), [{**one, "dryRun": False} for one in would])
        self.assert_store_is_empty()
        self.refused(self.lab.actool("image", "gc", "--keep-bytes=much"), 254, "'much' is no size")

    def test_remote(self):
        url = "https://example.com/web.aci"
        self.refused(self.lab.actool("image", "remote", url), 252, "nothing is known of")
        self.assertFalse(self.lab.store.exists())
        self.ok(self.ingest(None, None, f"--source={url}", "--etag=\"1\"", "--max-age=1000"))
        known = self.ok(self.lab.actool("image", "remote", url)).records()[0]
        self.assertEqual(known, {"kind": "remote", "url": url, "etag": "\"1\"", "fresh": True, "id": self.id})
        known = self.ok(self.lab.actool("image", "remote", url, "--refresh", "--etag=\"2\"")).records()[0]
        self.assertEqual((known["etag"], known["fresh"]), ("\"2\"", False))
        known = self.ok(self.lab.actool("image", "remote", url, "--refresh", "--max-age=60")).records()[0]
        self.assertEqual((known["etag"], known["fresh"]), ("\"2\"", True))

    def test_repair(self):
        self.ok(self.ingest())
        before = self.ok(self.lab.actool("image", "list")).out
        (self.lab.store / "index/CURRENT").write_text("MANIFEST-999999\n")
        self.refused(self.lab.actool("image", "list"), 254, "'actool image fsck' rebuilds it from the images")
        self.ok(self.lab.actool("image", "fsck"))
        self.assertEqual(self.ok(self.lab.actool("image", "list")).out, before)
        blob = self.lab.store / "blobs/sha512" / self.id[7:9] / self.id[7:]
        os.chmod(blob, 0o644)
        with blob.open("r+b") as file:
            file.seek(5000)
            file.write(b"damage")
        result = self.lab.actool("image", "verify")
        self.assertEqual(result.code, 253, result)
        self.assertIn("the tar is damaged", result.err)
        self.refused_by_fsck(self.lab.actool("image", "fsck"), "the tar is damaged")
        damaged = blob.read_bytes()
        result = self.refused_by_fsck(self.lab.actool("image", "fsck", "--repair"), "the tar is damaged")
        self.assertEqual(result.out, "example.com/web:1.0.0,os=linux,arch=amd64\n")
        self.assertEqual((self.lab.store / "quarantine" / self.id / "tar").read_bytes(), damaged)
        self.assertEqual(self.image_ids(), [])
        self.ok(self.lab.actool("image", "fsck"))
        url = "https://example.com/web.aci"
        self.ok(self.ingest(None, None, f"--source={url}", "--requested=example.com/web"))
        self.ok(self.lab.actool("image", "verify"))
        # What came from a URL is got again from there.
        os.truncate(self.lab.store / "blobs/sha512" / self.id[7:9] / self.id[7:], 100)
        (self.lab.store / "images/notes.txt").write_text("not ours")
        result = self.refused_by_fsck(self.lab.actool("image", "fsck", "--repair"), "100 bytes instead of")
        self.assertEqual(result.records(), [{"kind": "discovered", "requested": "example.com/web",
                                             "endpoints": [{"aci": url}], "keys": []}])
        self.assertIn("images/notes.txt is not of the store", result.err)
        self.assertEqual((self.lab.store / "images/notes.txt").read_text(), "not ours")
        self.assertEqual(len(list((self.lab.store / "quarantine").iterdir())), 2)

    def refused_by_fsck(self, result, pattern):
        self.assertEqual(result.code, 253, result)
        self.assertRegex(result.err, pattern)
        return result

    def test_fsck_has_nothing_to_say_of_what_was_removed(self):
        self.ok(self.ingest())
        self.assertEqual(len(list(self.lab.store.glob("trees/*/erofs"))), 1)
        self.ok(self.lab.actool("image", "rm", self.id))
        fsck = self.ok(self.lab.actool("image", "fsck"))
        self.assertNotIn("warning", fsck.err)
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.assertEqual(list(self.lab.store.glob("trees/*/erofs")), [])

    def test_an_index_of_garbage(self):
        self.ok(self.ingest())
        before = self.ok(self.lab.actool("image", "list")).out
        chance = random.Random(9)
        for path in (self.lab.store / "index").iterdir():
            path.write_bytes(chance.randbytes(path.stat().st_size))
        self.assertIn("the index was made anew", self.ok(self.lab.actool("image", "fsck")).err)
        self.assertEqual(self.ok(self.lab.actool("image", "list")).out, before)

    def test_a_deleted_index(self):
        self.ok(self.ingest())
        before = self.ok(self.lab.actool("image", "list")).out
        for command in (["image", "fsck"], ["image", "gc"]):
            shutil.rmtree(self.lab.store / "index")
            self.assertEqual(self.ok(self.lab.actool("image", "list")).out, "")  # a reader writes nothing
            self.ok(self.lab.actool(*command))
            self.assertEqual(self.ok(self.lab.actool("image", "list")).out, before)
            self.assertEqual(self.ok(self.lab.actool("image", "resolve", "--format=id", "example.com/web")).out,
                             self.id + "\n")
        self.assertIn("0 index entries added, 0 removed", self.ok(self.lab.actool("image", "fsck")).err)

    def test_an_unknown_version_is_refused(self):
        self.lab.store.mkdir()
        (self.lab.store / "version").write_text("actool-store 7\n")
        for command in (["image", "list"], ["image", "gc"], ["image", "fsck"],
                        ["image", "ingest", f"--signature={self.asc}", self.aci]):
            self.refused(self.lab.actool(*command), 254, "unknown store version 'actool-store 7'")
        self.assertEqual(os.listdir(self.lab.store), ["version"])


class Refusals(StoreCase):
    def test_no_signature(self):
        self.refused(self.lab.actool("image", "ingest", self.aci), 253, "there is no signature")
        self.assertFalse(self.lab.store.exists())

    def test_a_flipped_bit(self):
        data = bytearray(self.aci.read_bytes())
        for at in (len(data) // 3, len(data) // 2, len(data) - 3):
            data[at] ^= 0x20
            path = self.lab.work / "flipped.aci"
            path.write_bytes(data)
            self.refused(self.ingest(path), 253, "(?i)bad signature")
            self.assert_store_is_empty()
            data[at] ^= 0x20

    def test_a_truncated_file(self):
        path = self.lab.work / "truncated.aci"
        path.write_bytes(self.aci.read_bytes()[:-1000])
        self.refused(self.ingest(path), 253, "the gzip data end too early; the file is truncated")
        self.assert_store_is_empty()

    def test_another_name_than_asked_for(self):
        self.refused(self.ingest(None, None, "--requested=example.com/other"), 253,
                     "the manifest names example.com/web, but example.com/other was asked for")
        self.refused(self.ingest(None, None, "--requested=example.com/web:2.0.0"), 253,
                     "the manifest has label version '1.0.0', but '2.0.0' was asked for")
        self.refused(self.ingest(None, None, "--image-id=sha512-" + "0" * 128), 253, "was asked for")
        self.refused(self.ingest(None, None, "--size=10"), 253, "more bytes than the 10 that were announced")
        self.assert_store_is_empty()

    def test_a_key_for_another_name(self):
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.com/we")
        result = self.refused(self.ingest(), 253, "example.com/web")
        self.assertNotIn("index", os.listdir(self.lab.store), result)
        self.assert_store_is_empty()

    def bomb(self, compression):
        """400 MB of zeros as an image; never whole in memory here."""
        path = self.lab.work / f"bomb-{compression}.aci"
        entry = harness.tarfile.TarInfo("rootfs/zeros")
        entry.size = 400 << 20
        with path.open("wb") as out:
            packer = subprocess.Popen([compression, "-9c"], stdin=subprocess.PIPE, stdout=out)
            packer.stdin.write(beginning_of_tar("example.com/bomb"))
            packer.stdin.write(entry.tobuf())
            for _ in range(400):
                packer.stdin.write(bytes(1 << 20))
            packer.stdin.write(bytes(1024))
            packer.stdin.close()
            self.assertEqual(packer.wait(), 0)
        return path

    def test_a_decompression_bomb(self):
        for compression in ("gzip", "bzip2"):
            path = self.bomb(compression)
            self.refused(self.ingest(path, self.gpg.sign(self.key, path)), 253,
                         "a decompression bomb; raise --max-inflate-ratio if it is meant to be")
            self.assert_store_is_empty()

    def test_limits_by_configuration(self):
        directory = self.lab.local_config / "limits.d"
        directory.mkdir(parents=True)
        config = {"rktKind": "limits", "rktVersion": "v1", "tarSize": "1KiB"}
        (directory / "small.json").write_text(json.dumps(config))
        self.refused(self.ingest(), 253, "the tar is larger than the limit of 1.0 KiB")
        self.ok(self.ingest(None, None, "--max-tar-size=1GiB"))
        (directory / "small.json").write_text(json.dumps({**config, "tarsize": 1}))
        self.refused(self.ingest(), 254, r'small\.json: "tarsize" is not a limit')

    def test_a_directory_that_is_not_writable(self):
        self.lab.store.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", self.lab.store], check=True)
        try:
            self.refused(self.ingest(), 254, "creating the store .*: Read-only file system")
            self.ok(self.lab.actool("image", "list"))
        finally:
            subprocess.run(["umount", self.lab.store], check=True)

    def test_an_ordinary_user_and_roots_store(self):
        self.ok(self.ingest())
        user = lambda *args: subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *self.lab.argv(*args)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.lab.env)
        listed = user("image", "list", "--format=id")
        self.assertEqual((listed.returncode, listed.stdout.decode()), (0, self.id + "\n"), listed.stderr)
        refused = user("image", "rm", self.id)
        self.assertEqual(refused.returncode, 254)
        self.assertRegex(refused.stderr.decode(), r"\A[^\n]*Permission denied[^\n]*\n\Z")
        self.assertEqual(self.image_ids(), [self.id])

    def test_a_full_disk(self):
        noise = random.Random(5).randbytes(6 << 20)
        tar = harness.aci_tar(harness.manifest("example.com/large"),
                              [harness.directory("rootfs"), harness.Entry("rootfs/noise", noise)])
        aci, asc = self.sign("large.aci", harness.gzip.compress(tar, 1))
        self.lab.store.mkdir()
        mount = lambda *args: subprocess.run(["mount", *map(str, args)], check=True)
        for size in ("3m", "9m"):  # too small for the file as distributed, and for the tar
            mount("-t", "tmpfs", "-o", f"size={size}", "none", self.lab.store)
            try:
                for options in ([], ["--resume"]):
                    command = ["image", "ingest", *options, f"--signature={asc}"]
                    with aci.open("rb") as stdin:
                        result = subprocess.run(self.lab.argv(*command), stdin=stdin, env=self.lab.env,
                                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    self.assertEqual(result.returncode, 254, result.stderr)
                    self.assertRegex(result.stderr.decode(), r"\A[^\n]*No space left on device[^\n]*\n\Z")
                    self.assertEqual(self.image_ids(), [])
                mount("-o", "remount,size=64m", self.lab.store)
                self.ok(self.ingest(aci, asc))
                self.assertEqual(self.image_ids(), [harness.image_id(tar)])
            finally:
                subprocess.run(["umount", self.lab.store], check=True)


class Transfers(StoreCase):
    """The protocol of docs/ingest-protocol.md, and interruptions."""

    def start(self, *options):
        return self.lab.popen("image", "ingest", "--resume", f"--signature={self.asc}", *options,
                              stdin=subprocess.PIPE)

    def offset(self, process):
        return json.loads(process.stdout.readline())["offset"]

    def finish(self, process, data):
        out, err = process.communicate(data, timeout=60 * harness.SLOW)
        self.assertEqual(process.returncode, 0, err)
        return json.loads(out)

    def wait_for_data(self, size):
        def arrived():
            return any(path.stat().st_size >= size for path in self.lab.store.glob("ingest/*/data"))
        harness.wait_for(arrived, f"{size} bytes to arrive")

    def interrupted(self, number):
        """A transfer that gets half of the bytes and then this signal; returns what was kept."""
        data = self.aci.read_bytes()
        process = self.start()
        first = self.offset(process)
        process.stdin.write(data[first:len(data) // 2])
        process.stdin.flush()
        # What is read at once is written at once; the last, partly filled buffer only at the end.
        self.wait_for_data(min(first + (256 << 10), len(data) // 2 - (256 << 10)))
        os.killpg(process.pid, number)
        process.wait()  # before its input ends, which would end it as well
        process.communicate()
        self.assertEqual(process.returncode, -number)
        self.assertEqual(self.image_ids(), [])
        return sum(path.stat().st_size for path in self.lab.store.glob("ingest/*/data"))

    def test_sigterm_keeps_what_came_and_the_next_continues(self):
        kept = self.interrupted(signal.SIGTERM)
        self.assertGreater(kept, 0)
        process = self.start()
        self.assertEqual(self.offset(process), kept)
        self.assertEqual(self.finish(process, self.aci.read_bytes()[kept:])["id"], self.id)
        self.assertEqual(list((self.lab.store / "ingest").iterdir()), [])

    def test_sigkill_keeps_what_was_written(self):
        kept = self.interrupted(signal.SIGKILL)
        process = self.start()
        self.assertEqual(self.offset(process), kept)
        self.assertEqual(self.finish(process, self.aci.read_bytes()[kept:])["id"], self.id)

    def test_an_input_that_ends_early_is_continued(self):
        data = self.aci.read_bytes()
        process = self.start()
        self.assertEqual(self.offset(process), 0)
        process.communicate(data[:300_000])
        self.assertEqual(process.returncode, 253)
        process = self.start()
        self.assertEqual(self.offset(process), 300_000)
        self.assertEqual(self.finish(process, data[300_000:])["id"], self.id)

    def test_the_second_waits_for_the_first_and_needs_no_bytes(self):
        first = self.start()
        self.assertEqual(self.offset(first), 0)
        second = self.start("--requested=example.com/web")
        time.sleep(1)
        self.assertIsNone(second.poll())
        self.finish(first, self.aci.read_bytes())
        record = self.finish(second, None)
        self.assertEqual((record["id"], record["requested"]), (self.id, "example.com/web"))

    def test_the_second_takes_over_when_the_first_dies(self):
        first = self.start()
        self.offset(first)
        second = self.start()
        time.sleep(0.5)
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        self.assertEqual(self.offset(second), 0)
        self.assertEqual(self.finish(second, self.aci.read_bytes())["id"], self.id)

    def test_many_at_once(self):
        processes = [self.lab.popen("image", "ingest", f"--signature={self.asc}", self.aci) for _ in range(4)]
        for process in processes:
            out, err = process.communicate(timeout=120 * harness.SLOW)
            self.assertEqual(process.returncode, 0, err)
            self.assertEqual(json.loads(out)["id"], self.id)
        self.assertEqual(self.image_ids(), [self.id])
        self.assertEqual(len(list((self.lab.store / "blobs").rglob("*/*/*"))), 2)

    def test_readers_beside_writers(self):
        stop = threading.Event()
        failures = []

        def read():
            while not stop.is_set():
                result = self.lab.actool("image", "list", "--format=id")
                if result.code != 0 or result.out not in ("", self.id + "\n"):
                    failures.append(result)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(10):
                self.ok(self.lab.actool("image", "ingest", "--insecure-options=image", self.aci))
                self.ok(self.lab.actool("image", "rm", self.id))
        finally:
            stop.set()
            reader.join()
        self.assertEqual(failures, [])


class Crash(StoreCase):
    def test_sigkill_at_random_instants(self):
        """After each, the image is absent or whole, everything reads, and a second ingest completes."""
        chance = random.Random(20)
        commands = [["image", "ingest", f"--signature={self.asc}", self.aci],
                    ["image", "ingest", "--insecure-options=image", self.aci]]
        durations = []
        for command in commands:
            begin = time.monotonic()
            self.ok(self.lab.actool(*command))
            durations.append(time.monotonic() - begin)
            self.ok(self.lab.actool("image", "rm", self.id))
        seen = {0: 0, 1: 0}
        for attempt in range(KILLS):
            # The unsigned one spends most of its time where it commits.
            which = attempt % 2
            harness.kill_at_random(self.lab.popen(*commands[which]), chance,
                                   ["image ingest", "image ingest, unsigned"][which], durations[which])
            ids = self.image_ids()
            self.assertIn(ids, ([], [self.id]), attempt)
            seen[len(ids)] += 1
            if ids:
                exported = self.ok(self.lab.actool("image", "export", self.id, "-"))
                self.assertEqual(exported.out_bytes, self.tar, attempt)
            if attempt % 4 == 1:
                # What is in the way of the next one must not be either.
                self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
                self.assertIn(self.image_ids(), ([], [self.id]), attempt)
            self.ok(self.lab.actool(*commands[1]))
            self.assertEqual(self.image_ids(), [self.id])
            if attempt % 20 == 0:
                self.ok(self.lab.actool("image", "verify"))
            self.ok(self.lab.actool("image", "rm", self.id))
            self.assertEqual(self.image_ids(), [])
        self.assertGreater(seen[0], 0)
        self.assertEqual(sum(seen.values()), KILLS)
        self.ok(self.lab.actool("image", "fsck"))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.assert_store_is_empty()


    def test_sigkill_of_what_changes_and_reads(self):
        """gc, rm and export, killed at random: the image is there whole or not at all, and fsck has
        nothing to find but what it is for."""
        chance = random.Random(21)
        out = self.lab.work / "exported.tar"
        commands = [["image", "rm", self.id],
                    ["image", "gc", "--keep-bytes=0", "--grace-period=0s"],
                    ["image", "export", "--overwrite", self.id, out]]
        durations = []
        for command in commands:
            self.ok(self.ingest())
            begin = time.monotonic()
            self.ok(self.lab.actool(*command))
            durations.append(time.monotonic() - begin)
        whole = out.read_bytes()
        for attempt in range(KILLS):
            if not self.image_ids():
                self.ok(self.ingest())
            which = attempt % len(commands)
            harness.kill_at_random(self.lab.popen(*commands[which]), chance, " ".join(commands[which][:2]),
                                   durations[which])
            self.assertIn(self.image_ids(), ([], [self.id]), attempt)
            self.assertEqual(out.read_bytes(), whole, attempt)
            if attempt % 20 == 0:
                self.ok(self.lab.actool("image", "fsck"))
        self.ok(self.lab.actool("image", "fsck"))
        self.ok(self.lab.actool("image", "rm", "--force", *self.image_ids()) if self.image_ids()
                else self.lab.actool("image", "list"))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.assert_store_is_empty()


class ManyProcesses(StoreCase):
    PROCESSES = 100

    def test_a_hundred_at_once(self):
        """ingest, rm, gc, list, render and resolve of a few images, four workers' worth at a time."""
        images = []
        for number in range(4):
            tar = harness.aci_tar(harness.manifest(f"example.com/many{number}"),
                                  [harness.directory("rootfs"), harness.Entry("rootfs/number", bytes([number]))])
            images.append((harness.image_id(tar), *self.sign(f"many{number}.aci", harness.gzip.compress(tar))))
        chance = random.Random(22)
        processes = []
        for _ in range(self.PROCESSES):
            image, aci, asc = chance.choice(images)
            command = chance.choice([["image", "ingest", f"--signature={asc}", aci],
                                     ["image", "ingest", f"--signature={asc}", aci],
                                     ["image", "rm", image], ["image", "render", image],
                                     ["image", "gc", "--grace-period=0s"],
                                     ["image", "gc", "--keep-last=0", "--grace-period=0s"],
                                     ["image", "list"], ["image", "resolve", image]])
            processes.append((command, self.lab.popen(*command)))
        for command, process in processes:
            _, err = process.communicate(timeout=120 * harness.SLOW)
            # What another one removed is not found; all else succeeds.
            self.assertIn(process.returncode, (0, 252), (command, err))
            self.assertNotIn(b"internal error", err)
        fsck = self.ok(self.lab.actool("image", "fsck"))
        self.assertIn("0 of them broken; 0 index entries added, 0 removed", fsck.err)
        self.ok(self.lab.actool("image", "verify"))

    def test_readers_do_not_wait_for_the_lock(self):
        self.ok(self.ingest())
        with (self.lab.store / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for command in (["list"], ["resolve", self.id], ["cat-manifest", self.id], ["export", self.id, "-"]):
                self.ok(self.lab.actool("image", *command, timeout=20))


class Memory(StoreCase):
    @harness.measures_memory
    def test_it_does_not_grow_with_the_image(self):
        """A stream that is made as it goes: 300 MB of tar through gzip on standard input."""
        generator = (
            "import sys, random\n"
            "sys.path.insert(0, sys.argv[1])\n"
            "import harness, store_test\n"
            "out = sys.stdout.buffer\n"
            "entry = harness.tarfile.TarInfo('rootfs/large')\n"
            "entry.size = 300 << 20\n"
            "out.write(store_test.beginning_of_tar('example.com/large'))\n"
            "out.write(entry.tobuf())\n"
            "noise = random.Random(3).randbytes(1 << 20)\n"
            "for i in range(300): out.write(noise)\n"
            "out.write(bytes(1024))\n")
        script = (f"python3 -c \"$1\" '{harness.SOURCE}/tests/functional' | gzip -1 | "
                  "exec python3 -c 'import os,sys,resource\n"
                  "pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])\n"
                  "_, status, usage = os.wait4(pid, 0)\n"
                  "print(usage.ru_maxrss); sys.exit(os.waitstatus_to_exitcode(status))' "
                  + " ".join(f"'{word}'" for word in [
                      str(harness.BIN / "actool-image"), "ingest", *self.lab.globals(),
                      "--insecure-options=image", "--format=id"]))
        done = subprocess.run(["bash", "-c", "set -o pipefail\n" + script, "bash", generator],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.lab.env, timeout=300 * harness.SLOW)
        self.assertEqual(done.returncode, 0, done.stderr)
        image, kilobytes = done.stdout.decode().split()
        self.assertTrue(image.startswith("sha512-"))
        # All of it, shared libraries included.
        self.assertLess(int(kilobytes), 64 << 10)


if __name__ == "__main__":
    harness.main()
