"""Disks that can't be written and disks that are full: each command says so in one line, and what
the store had it still has."""

import hashlib
import os
import random
import shutil
import subprocess

import harness
from store_test import StoreCase


def mount(*args):
    subprocess.run(["mount", *map(str, args)], check=True)


def umount(path):
    subprocess.run(["umount", str(path)], check=True)


class DiskCase(StoreCase):
    """In the store: `web` (signed, gzip) with its metadata. Outside: `big`, a bundle of it, a file to export to."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        noise = random.Random(31).randbytes(3 << 20)
        cls.big_tar = harness.aci_tar(harness.manifest("example.com/big"),
                                      [harness.directory("rootfs"), harness.Entry("rootfs/noise", noise)])
        cls.big = harness.image_id(cls.big_tar)

    def setUp(self):
        super().setUp()
        self.outside = self.lab.work / "outside"
        shutil.rmtree(self.outside, ignore_errors=True)
        self.outside.mkdir()
        self.big_aci, self.big_asc = self.sign("big.aci", harness.gzip.compress(self.big_tar, 1))
        self.ok(self.ingest(self.big_aci, self.big_asc))
        self.bundle = self.outside / "bundle"
        self.bundle.mkdir()
        self.ok(self.lab.actool("bundle", "export", f"--output={self.bundle}", "example.com/big"))
        shutil.rmtree(self.lab.store)

    def bundle_files(self):
        return sorted(self.bundle.glob("*.tar"))

    def content(self):
        """What counts of the store: every file below blobs/, images/ and trees/ but hints and locks."""
        found = {}
        for top in ("blobs", "images", "trees"):
            for path in (self.lab.store / top).rglob("*"):
                if path.is_file() and path.name not in ("verified", "used") and path.suffix != ".lock":
                    found[str(path.relative_to(self.lab.store))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def assert_whole(self, ids):
        self.assertEqual(sorted(self.image_ids()), sorted(ids))
        self.ok(self.lab.actool("image", "verify"))
        fsck = self.ok(self.lab.actool("image", "fsck"))
        self.assertIn("0 of them broken; 0 index entries added, 0 removed", fsck.err)
        self.assertEqual(os.listdir(self.lab.store / "tmp"), [])


class ReadOnly(DiskCase):
    def test_every_command_that_writes(self):
        self.ok(self.ingest(None, None, "--source=https://example.com/web.aci"))
        before = self.content()
        mount("--bind", "-o", "ro", self.lab.store, self.lab.store)
        try:
            for command in (["image", "ingest", f"--signature={self.big_asc}", self.big_aci],
                            ["fetch", self.big_aci],
                            ["image", "gc", "--grace-period=0s"],
                            ["image", "gc", "--keep-bytes=0", "--grace-period=0s"],
                            ["image", "rm", self.id],
                            ["image", "render", self.id],
                            ["image", "lease", "add", "keep", self.id],
                            ["image", "remote", "https://example.com/web.aci", "--refresh"],
                            ["image", "fsck"],
                            ["image", "fsck", "--repair"],
                            ["bundle", "import", *self.bundle_files()]):
                with self.subTest(command=command[:2]):
                    self.refused(self.lab.actool(*command), 254, "Read-only file system")
            # Reading is for everybody.
            for command in (["image", "list"], ["image", "verify"], ["image", "resolve", self.id],
                            ["image", "export", self.id, "-"], ["image", "cat-manifest", self.id],
                            ["image", "extract", self.id, self.outside / "tree"],
                            ["image", "render", self.id, self.outside / "rendered"],
                            ["bundle", "export", f"--output={self.outside / 'out'}", self.id]):
                with self.subTest(command=command[:2]):
                    self.ok(self.lab.actool(*command))
        finally:
            umount(self.lab.store)
        self.assertEqual(self.content(), before)
        self.assert_whole([self.id])

    def test_places_to_export_to(self):
        self.ok(self.ingest())
        target = self.outside / "ro"
        target.mkdir()
        mount("-t", "tmpfs", "-o", "ro", "none", target)
        try:
            for command in (["image", "export", self.id, target / "web.aci"],
                            ["image", "extract", self.id, target / "tree"],
                            ["image", "render", self.id, target / "tree"],
                            ["bundle", "export", f"--output={target}", self.id]):
                with self.subTest(command=command[:2]):
                    self.refused(self.lab.actool(*command), 254, "Read-only file system")
        finally:
            umount(target)
        self.assert_whole([self.id])


class Full(DiskCase):
    """A store on a disk of its own, filled up to the last few bytes."""

    def setUp(self):
        super().setUp()
        self.lab.store.mkdir()
        mount("-t", "tmpfs", "-o", "size=64m", "none", self.lab.store)
        self.addCleanup(umount, self.lab.store)
        self.filler = self.lab.store / "filler"

    def fill(self, free):
        """Leaves `free` bytes. The file is none of the store's, which leaves it alone."""
        self.filler.unlink(missing_ok=True)
        room = os.statvfs(self.lab.store)
        size = room.f_bavail * room.f_bsize - free
        if size <= 0:
            return
        with self.filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def no_space(self, *command):
        self.refused(self.lab.actool(*command), 254, "[Nn]o space left on device")

    def test_what_comes_in(self):
        self.ok(self.ingest())
        for free in (0, 64 << 10, 2 << 20, 4 << 20):
            for command in (["image", "ingest", f"--signature={self.big_asc}", self.big_aci],
                            ["fetch", self.big_aci],
                            ["bundle", "import", *self.bundle_files()]):
                with self.subTest(free=free, command=command[:2]):
                    self.fill(free)
                    before = self.content()
                    self.no_space(*command)
                    self.filler.unlink()
                    self.assertEqual(self.content(), before)
                    self.assert_whole([self.id])
                    # What a transfer may keep is for its continuation only.
                    self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.ok(self.lab.actool("fetch", self.big_aci))
        self.assert_whole([self.id, self.big])

    def test_trees(self):
        self.ok(self.ingest())
        before = self.content()
        for free in (0, 64 << 10, 512 << 10):
            self.fill(free)
            self.no_space("image", "render", self.id)
            self.filler.unlink()
            self.assertEqual(self.content(), before)
            self.assert_whole([self.id])
        shutil.rmtree(self.lab.store / "trees")
        self.fill(0)
        self.no_space("image", "render", "--as=erofs", self.id)
        self.filler.unlink()
        self.ok(self.lab.actool("image", "render", "--as=erofs", self.id))
        self.assertEqual(self.content(), before)
        self.ok(self.lab.actool("image", "render", self.id))
        self.assert_whole([self.id])

    def test_room_can_be_made(self):
        """rm and gc are what an operator has against a full disk."""
        for command in (["image", "rm", "example.com/big"],
                        ["image", "gc", "--keep-bytes=1MiB", "--grace-period=0s"],
                        ["image", "gc", "--drop-distributed"]):
            for free in (0, 4 << 10, 64 << 10, 1 << 20):
                with self.subTest(free=free, command=command):
                    self.ok(self.ingest())
                    self.ok(self.ingest(self.big_aci, self.big_asc))
                    self.fill(free)
                    result = self.lab.actool(*command)
                    if free < 1 << 20 and result.code != 0:
                        self.refused(result, 254, "[Nn]o space left on device")
                        self.filler.unlink()
                        self.assert_whole([self.id, self.big])
                        self.ok(self.lab.actool(*command))
                    else:
                        self.ok(result)
                    self.filler.unlink(missing_ok=True)
                    self.ok(self.lab.actool("image", "verify"))
                    self.assertIn("0 of them broken; 0 index entries added, 0 removed",
                                  self.ok(self.lab.actool("image", "fsck")).err)

    def test_places_to_export_to(self):
        self.ok(self.ingest())
        target = self.outside / "small"
        target.mkdir()
        for size in ("16k", "256k"):
            mount("-t", "tmpfs", "-o", f"size={size}", "none", target)
            try:
                for command in (["image", "export", self.id, target / "web.aci"],
                                ["image", "extract", self.id, target / "tree"],
                                ["image", "render", self.id, target / "tree"],
                                ["bundle", "export", f"--output={target}", self.id]):
                    with self.subTest(size=size, command=command[:2]):
                        self.no_space(*command)
                        left = [name for name in os.listdir(target) if not name.startswith(".actool-bundle")]
                        self.assertEqual(left, [])
            finally:
                umount(target)
        self.assert_whole([self.id])


if __name__ == "__main__":
    harness.main()
