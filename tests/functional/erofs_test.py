"""Images that are mounted over their tars instead of unpacked: what the kernel shows is what GNU
tar extracts of the same archive, and what we render of it."""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import harness
import kernel_mount
from harness import Entry, directory, hardlink, snapshot, symlink

BASE = harness.manifest("example.com/base")


class Mounts(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.lab.work / self._testMethodName
        self.dir.mkdir()
        self.mounts = []

    def tearDown(self):
        for target in reversed(self.mounts):
            kernel_mount.unmount(target)

    def stored(self, aci):
        result = self.lab.actool("--insecure-options=image", "image", "ingest", aci)
        return self.ok(result).records()[-1]["id"]

    def stored_tar(self, tar, name="image.aci"):
        return self.stored(harness.write_aci(self.dir / name, tar, "none"))

    def tree_of(self, image):
        return (self.lab.store / "images" / image[7:9] / image / "tree").resolve()

    def mounted(self, image):
        """Mounts the image as the store has it."""
        tree = self.tree_of(image)
        devices = []
        for line in (tree / "devices").read_text().splitlines():
            device, size = line.split()
            devices.append(self.lab.store / "blobs/sha512" / device[7:9] / device[7:])
            self.assertEqual(devices[-1].stat().st_size, int(size))
        target = self.dir / f"mounted{len(self.mounts)}"
        target.mkdir()
        try:
            kernel_mount.mount_erofs(tree / "erofs", devices, target)
        except OSError as error:
            harness.skip(f"the kernel mounts no EROFS from files ({error})")
        self.mounts.append(target)
        return target

    def extracted(self, tar):
        """The rootfs as GNU tar makes it."""
        target = self.dir / "extracted"
        target.mkdir()
        harness._run(["tar", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-xpf", str(tar),
                      "-C", str(target)])
        return target / "rootfs"

    def rendered(self, image):
        return pathlib.Path(self.ok(self.lab.actool("image", "render", image)).out.strip())

    def assert_same(self, one, other):
        self.assertEqual(snapshot(one), snapshot(other))
        result = subprocess.run(["rsync", "-nacAXH", "--delete", "--itemize-changes", f"{one}/", f"{other}/"],
                                check=True, stdout=subprocess.PIPE)
        self.assertEqual(result.stdout.decode(), "")

    def assert_all_same(self, aci):
        image = self.stored(aci)
        mounted = self.mounted(image)
        self.assert_same(self.extracted(aci), mounted)
        self.assert_same(self.rendered(image), mounted)
        return mounted


class AgainstTar(Mounts):
    def everything(self, acls):
        """One of each kind of thing that a root file system has."""
        root = self.dir / "layout/rootfs"
        (root / "bin").mkdir(parents=True)
        (root.parent / "manifest").write_text(json.dumps(BASE))
        shutil.copy(harness.BUSYBOX, root / "bin/busybox")
        os.chmod(root / "bin/busybox", 0o6755)
        os.symlink("busybox", root / "bin/sh")
        os.symlink("/" + "a/" * 40 + "b", root / "long-link")
        os.link(root / "bin/busybox", root / "hard")
        os.mkfifo(root / "fifo", 0o640)
        os.mknod(root / "null", 0o20666, os.makedev(1, 3))
        os.mknod(root / "loop", 0o60660, os.makedev(7, 1))
        (root / "empty").write_bytes(b"")
        (root / "sticky").mkdir()
        os.chmod(root / "sticky", 0o1777)
        (root / "many").mkdir()
        for number in range(700):
            (root / "many" / f"{'n' * (number % 60)}{number}").write_text(str(number))
        for size in (1, 511, 512, 513, 4095, 4096, 4097, 1_000_003):
            (root / f"size-{size}").write_bytes(os.urandom(size))
        (root / "caf\u00e9").write_text("")
        with open(root / "holes", "wb") as file:
            for offset in (0, 5_000_000, 5_008_192, 30_000_001):
                file.seek(offset)
                file.write(os.urandom(4097))
            file.truncate(80_000_123)
        os.chown(root / "null", 70_000, 80_000, follow_symlinks=False)
        if acls:
            os.setxattr(root / "empty", "user.note", b"a\0b\n")
            os.setxattr(root / "empty", "trusted.t", b"x" * 900)
            os.setxattr(root / "many", "user.dir", b"")
            harness._run(["setcap", "cap_net_raw+ep", str(root / "bin/busybox")])
            harness._run(["setfacl", "-m", "u:1000:rwx,g:2000:r,m::rx", str(root / "empty")])
            harness._run(["setfacl", "-d", "-m", "u:1000:rwx", str(root / "many")])
        # As the last thing: times.
        os.utime(root / "empty", ns=(0, 1_234_567_890_123_456_789))
        os.utime(root / "long-link", ns=(0, 1_000_000_000_500_000_000), follow_symlinks=False)
        return root.parent

    def tarred(self, layout, *options):
        aci = self.dir / "image.aci"
        harness._run(["tar", "-C", str(layout), *options, "-cf", str(aci), "manifest", "rootfs"])
        return aci

    def test_pax(self):
        layout = self.everything(acls=True)
        long = layout / "rootfs" / ("d" * 200) / ("e" * 200)
        long.mkdir(parents=True)
        (long / ("f" * 255)).write_text("long")
        mounted = self.assert_all_same(
            self.tarred(layout, "--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "--acls"))
        self.assertEqual(os.stat(mounted / "empty").st_mtime_ns, 1_234_567_890_123_456_789)
        self.assertEqual(os.getxattr(mounted / "empty", "user.note"), b"a\0b\n")
        self.assertTrue(os.getxattr(mounted / "bin/busybox", "security.capability"))
        self.assertEqual(os.stat(mounted / "hard").st_ino, os.stat(mounted / "bin/busybox").st_ino)

    def test_gnu(self):
        layout = self.everything(acls=False)
        long = layout / "rootfs" / ("d" * 200) / ("e" * 200)
        long.mkdir(parents=True)
        os.symlink("/" + "x" * 3000, long / "link")
        self.assert_all_same(self.tarred(layout, "--format=gnu", "--sparse"))

    def test_gnu_sparse_of_pax_in_every_version(self):
        layout = self.everything(acls=False)
        aci = self.tarred(layout, "--format=pax", "--sparse", "--sparse-version=0.0")
        images = {self.stored(aci)}
        for version in ("0.1", "1.0"):
            images.add(self.stored(self.tarred(layout, "--format=pax", "--sparse", f"--sparse-version={version}")))
        self.assertEqual(len(images), 3)
        trees = [snapshot(self.mounted(image)) for image in images]
        self.assertEqual(trees[0], trees[1])
        self.assertEqual(trees[0], trees[2])
        self.assertEqual(trees[0], snapshot(self.extracted(aci)))

    def test_ustar(self):
        layout = self.everything(acls=False)
        (layout / "rootfs" / ("d" * 90)).mkdir()
        (layout / "rootfs" / ("d" * 90) / ("e" * 90)).write_text("prefix")
        os.chown(layout / "rootfs/null", 7, 8)
        self.assert_all_same(self.tarred(layout, "--format=ustar"))

    def test_pythons_tarfile(self):
        entries = [
            Entry("manifest", json.dumps(BASE).encode()), directory("rootfs"), directory("rootfs/etc", mtime=5),
            Entry("rootfs/etc/" + "x" * 150, b"long name"),
            Entry("rootfs/-before-dot", b"a"), Entry("rootfs/zz", b"z", mode=0o4711, uid=1234, gid=4321),
            symlink("rootfs/link", "etc/../zz"), hardlink("rootfs/hard-link-to-link", "rootfs/link"),
            hardlink("rootfs/hard", "rootfs/zz"), hardlink("rootfs/harder", "rootfs/hard"),
            Entry("rootfs/fifo", type=tarfile.FIFOTYPE), Entry("rootfs/dev", type=tarfile.CHRTYPE, major=4095, minor=1048575),
        ]
        for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
            with self.subTest(format=format):
                # A ustar name of 150 letters has no '/' to be cut at.
                some = entries if format != tarfile.USTAR_FORMAT else [e for e in entries if "xxx" not in e.info.name]
                aci = self.dir / f"{format}.aci"
                aci.write_bytes(harness.make_tar(some, format=format))
                self.assert_all_same(aci)
                shutil.rmtree(self.dir / "extracted")

    def test_programs_run_from_it(self):
        mounted = self.mounted(self.stored_tar(harness.aci_tar(BASE)))
        result = harness._run(["chroot", str(mounted), "/bin/sh", "-c", "cat /etc/passwd; exec id -u"])
        self.assertIn(b"web:x:1000", result.stdout)
        self.assertTrue(result.stdout.endswith(b"0\n"))
        with self.assertRaises(OSError):
            (mounted / "etc/new").write_text("")


class LargeFiles(Mounts):
    def test_8_gib_with_holes(self):
        root = self.dir / "layout/rootfs"
        root.mkdir(parents=True)
        (root.parent / "manifest").write_text(json.dumps(BASE))
        size = (8 << 30) + 12_345
        pieces = {0: b"first", 4_300_000_000: b"middle", size - 9: b"the end.\n"}
        with open(root / "huge", "wb") as file:
            for offset, data in pieces.items():
                file.seek(offset)
                file.write(data)
        aci = self.dir / "image.aci"
        harness._run(["tar", "-C", str(root.parent), "--format=pax", "--sparse", "-cf", str(aci), "manifest", "rootfs"])
        image = self.stored(aci)
        self.assertLess((self.tree_of(image) / "erofs").stat().st_size, 1 << 20)
        mounted = self.mounted(image)
        self.assertEqual(os.stat(mounted / "huge").st_size, size)
        with open(mounted / "huge", "rb") as file:
            for offset, data in pieces.items():
                # With what is around it, which is zeros.
                start = max(0, offset - 100_000)
                file.seek(start)
                around = file.read(200_000)
                expected = bytes(offset - start) + data
                self.assertEqual(around, (expected + bytes(200_000))[:min(200_000, size - start)])


class Dependencies(Mounts):
    def test_layers_and_whitelists(self):
        base = harness.aci_tar(BASE)
        middle = harness.aci_tar(
            harness.manifest("example.com/middle", dependencies=[{"imageName": "example.com/base"}],
                             pathWhitelist=["/bin/busybox", "/bin/sh", "/etc/passwd", "/etc/mine", "/empty", "/nowhere/x"]),
            [directory("rootfs"), directory("rootfs/etc", mode=0o700), Entry("rootfs/etc/mine", b"mine"),
             directory("rootfs/empty"), Entry("rootfs/etc/hidden", b"not listed")])
        top = harness.aci_tar(
            harness.manifest("example.com/top", dependencies=[{"imageName": "example.com/middle"},
                                                              {"imageName": "example.com/base"}]),
            [directory("rootfs"), Entry("rootfs/etc/mine", b"top's"), symlink("rootfs/empty", "etc")])
        images = [self.stored_tar(tar, f"{index}.aci") for index, tar in enumerate((base, middle, top))]
        for image in images:
            mounted = self.mounted(image)
            self.assert_same(self.rendered(image), mounted)
        self.assertFalse((self.dir / "mounted1/etc/hidden").exists())
        self.assertEqual((self.dir / "mounted2/etc/mine").read_text(), "top's")
        # Base lies in it twice, as a device once.
        devices = (self.tree_of(images[2]) / "devices").read_text().splitlines()
        self.assertEqual([line.split()[0] for line in devices], images)

    def test_made_when_the_dependency_is_there(self):
        top = self.stored_tar(harness.aci_tar(
            harness.manifest("example.com/top", dependencies=[{"imageName": "example.com/base"}]), [directory("rootfs")]))
        self.assertFalse(self.tree_of(top).exists())
        self.refused(self.lab.actool("image", "render", "--as=erofs", top), 252, "example.com/base is not in the store")
        base = self.stored_tar(harness.aci_tar(BASE), "base.aci")
        out = self.ok(self.lab.actool("image", "render", "--as=erofs", top)).out.strip()
        self.assertEqual(out, str(self.tree_of(top) / "erofs"))
        self.assertEqual(snapshot(self.mounted(top)), snapshot(self.rendered(top)))

        # A dependency that goes takes along what lies over its tar.
        self.ok(self.lab.actool("image", "rm", "--force", base))
        self.assertFalse((self.tree_of(top) / "erofs").exists())
        self.assertTrue((self.tree_of(top) / "rootfs").exists())


class InTheStore(Mounts):
    def test_both_forms_in_one_directory(self):
        image = self.stored_tar(harness.aci_tar(BASE))
        tree = self.tree_of(image)
        self.assertEqual(sorted(os.listdir(tree)), ["devices", "erofs", "verified"])
        self.assertEqual(os.stat(tree).st_mode & 0o777, 0o700)
        before = (tree / "erofs").read_bytes()
        self.rendered(image)
        self.assertEqual(sorted(os.listdir(tree)), ["devices", "erofs", "rootfs", "verified"])
        self.assertEqual(self.rendered(image), tree / "rootfs")
        (tree / "erofs").unlink()
        self.ok(self.lab.actool("image", "render", "--as=erofs", image))
        self.assertEqual((tree / "erofs").read_bytes(), before)
        self.refused(self.lab.actool("image", "render", "--as=erofs", image, self.dir / "x"), 254, "leave DIR away")
        self.refused(self.lab.actool("image", "render", "--as=zip", image), 254, "--as")

        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.assertTrue((tree / "erofs").exists())
        self.ok(self.lab.actool("image", "rm", image))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.assertEqual(os.listdir(self.lab.store / "trees"), [])

    def test_what_it_cant_hold_is_stored_all_the_same(self):
        # Linux has attributes of 64 KiB, EROFS has one byte less.
        entry = Entry("rootfs/a", b"a", pax={"SCHILY.xattr.user.large": "x" * 65536})
        image = self.stored_tar(harness.aci_tar(BASE, [directory("rootfs"), entry]))
        self.assertEqual(self.image_ids(), [image])
        self.refused(self.lab.actool("image", "render", "--as=erofs", image), 254,
                     'making EROFS metadata: "a": an extended attribute of 65536 bytes is too large')
        self.assertEqual([name for name in os.listdir(self.lab.store / "trees") if not name.endswith(".lock")], [])
        self.assertEqual(os.listdir(self.lab.store / "tmp"), [])

    def test_damage_is_found(self):
        image = self.stored_tar(harness.aci_tar(BASE))
        metadata = self.tree_of(image) / "erofs"
        good = metadata.read_bytes()
        self.ok(self.lab.actool("image", "verify", image))
        # The root's permissions: as good as any others for a check of the structure.
        root = int.from_bytes(good[1024 + 14:1024 + 16], "little") * 32
        changed = bytearray(good)
        changed[root + 4] ^= 0o22
        block = bytes(changed)
        metadata.write_bytes(block)
        self.refused_verify(image, "is not what its tars make|checksum")
        metadata.write_bytes(good[:-512])
        result = self.ok(self.lab.actool("image", "fsck"))
        self.assertIn("bad EROFS metadata", result.err)
        self.assertFalse(metadata.exists())
        self.ok(self.lab.actool("image", "verify", image))
        self.ok(self.lab.actool("image", "render", "--as=erofs", image))
        self.assertEqual(metadata.read_bytes(), good)
        self.assertNotIn("EROFS", self.ok(self.lab.actool("image", "fsck")).err)

    def refused_verify(self, image, pattern):
        result = self.lab.actool("image", "verify", image)
        self.assertEqual(result.code, 253, result)
        self.assertRegex(result.err, pattern)


if __name__ == "__main__":
    harness.main()
