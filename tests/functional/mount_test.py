"""Pods whose root is mounted from the stored tars: what is mounted, by which way, and that nothing of
it outlives the pod."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile

import harness
from run_test import PodCase


def mountinfos():
    """The mount tables of every process, as lines."""
    lines = set()
    for table in pathlib.Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):  # it has ended
            lines.update(table.read_text().splitlines())
    return lines


def loop_files():
    """What loop devices have below them."""
    files = []
    for file in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            files.append(file.read_text().strip())
    return files


class MountCase(PodCase):
    def ingest_tar(self, tar):
        path = harness.write_aci(self.lab.work / "image.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        return harness.image_id(tar)

    def forms(self):
        """Which forms of trees the store has: "erofs", "rootfs"."""
        return sorted(path.name for path in self.lab.store.glob("trees/*/*")
                      if path.name in ("erofs", "rootfs"))

    def way(self, result):
        [line] = [line for line in result.err.splitlines() if "mounted" in line]
        return line

    def assert_nothing_mounted(self):
        pods = str(self.lab.store / "pods")
        harness.wait_for(lambda: not any(pods in line for line in mountinfos()), "mounts to go")
        store = str(self.lab.store)
        harness.wait_for(lambda: not any(store in file for file in loop_files()), "loop devices to go")


class Mounted(MountCase):
    def test_nothing_is_unpacked(self):
        result = self.ok(self.run_pod("--debug", self.id))
        self.assertEqual(result.out, "ran\n")
        self.assertRegex(self.way(result), r"debug: image sha512-[0-9a-f]{12} is mounted by files$")
        self.assertEqual(self.forms(), ["erofs"])
        [pod] = self.pods()
        tree = (self.pod_dir(pod["uuid"]) / "appsinfo/web/tree").read_text().strip()
        self.assertEqual(tree, str(next(self.lab.store.glob("trees/*/erofs"))))
        self.assertEqual(list((self.pod_dir(pod["uuid"]) / "overlay/web.app/lower").iterdir()), [])
        self.assert_nothing_mounted()
        self.collect()

    def test_an_image_without_metadata_gets_it_at_its_first_run(self):
        shutil.rmtree(self.lab.store / "trees")
        self.assertEqual(self.ok(self.run_pod(self.id)).out, "ran\n")
        self.assertEqual(self.forms(), ["erofs"])

    def test_a_tree_that_is_unpacked_already_is_used(self):
        for file in ("erofs", "devices"):
            next(self.lab.store.glob(f"trees/*/{file}")).unlink()
        self.ok(self.lab.actool("image", "render", self.id))
        self.assertEqual(self.ok(self.run_pod(self.id)).out, "ran\n")
        self.assertEqual(self.forms(), ["rootfs"])

    def test_apps_see_what_is_in_the_tar(self):
        entries = harness.busybox_entries() + [
            harness.Entry("rootfs/zero", type=tarfile.CHRTYPE, mode=0o666, major=1, minor=5),
            harness.Entry("rootfs/bin/su", b"#!/bin/sh\n", mode=0o4755, uid=7, gid=8),
            harness.hardlink("rootfs/bin/su2", "rootfs/bin/su"),
            harness.directory("rootfs/closed", mode=0o1730, uid=5, gid=6),
            harness.Entry("rootfs/large", os.urandom(1 << 20)),
        ]
        image = self.ingest_tar(harness.aci_tar(harness.manifest("example.com/web", app=self.APP), entries))
        script = ("stat -c '%a %u %g %h %n' /bin/su /bin/su2 /closed; head -c 4 /zero | wc -c; "
                  "stat -c %Y /bin/su; wc -c < /large")
        # The native stage1 makes roots nodev; this takes that away.
        result = self.ok(self.run_pod("--insecure-options=paths", image, "--exec=/bin/sh", "--", "-c", script))
        self.assertEqual(result.out.split("\n"), ["4755 7 8 2 /bin/su", "4755 7 8 2 /bin/su2",
                                                   "1730 5 6 2 /closed", "4", "1000000000", "1048576", ""])

    def test_the_root_directory_is_the_images(self):
        entries = [harness.directory("rootfs", mode=0o751, uid=3, gid=4)] + harness.busybox_entries()[1:]
        image = self.ingest_tar(harness.aci_tar(harness.manifest("example.com/web", app=self.APP), entries))
        for options in ([], ["--no-overlay"]):
            result = self.ok(self.run_pod(*options, image, "--exec=/bin/stat", "--", "-c", "%a %u %g", "/"))
            self.assertEqual(result.out, "751 3 4\n")

    def test_what_an_app_writes_stays_in_its_pod(self):
        script = "echo changed > /etc/passwd; rm /bin/id; cat /etc/passwd"
        self.assertEqual(self.ok(self.run_pod(self.id, "--exec=/bin/sh", "--", "-c", script)).out, "changed\n")
        result = self.ok(self.run_pod(self.id, "--exec=/bin/sh", "--", "-c", "head -n 1 /etc/passwd; ls /bin/id"))
        self.assertEqual(result.out, "root:x:0:0:root:/root:/bin/sh\n/bin/id\n")

    def test_copies_are_of_the_mount(self):
        self.assertEqual(self.ok(self.run_pod("--no-overlay", self.id)).out, "ran\n")
        self.assertEqual(self.forms(), ["erofs"])
        [pod] = self.pods()
        copy = self.pod_dir(pod["uuid"]) / "stage1/rootfs/opt/stage2/web/rootfs"
        self.assertEqual((copy / "bin/busybox").read_bytes(), pathlib.Path(harness.BUSYBOX).read_bytes())
        self.collect()

    def test_dependencies_are_below(self):
        self.ingest_tar(harness.aci_tar(harness.manifest("example.com/base"),
                                        harness.busybox_entries() + [harness.Entry("rootfs/both", b"base")]))
        manifest = harness.manifest("example.com/top", app=self.APP,
                                    dependencies=[{"imageName": "example.com/base"}])
        top = self.ingest_tar(harness.aci_tar(manifest, [harness.directory("rootfs"),
                                                         harness.Entry("rootfs/both", b"top")]))
        result = self.ok(self.run_pod("--debug", top, "--exec=/bin/cat", "--", "/both"))
        self.assertEqual(result.out, "top")
        self.assertIn("is mounted by files", self.way(result))

    def test_a_pod_of_several_apps(self):
        other = self.ingest("example.com/other", app={**self.APP, "exec": ["/bin/echo", "other"]})
        result = self.ok(self.run_pod(self.id, "---", self.id, "--name=again", "---", other))
        self.assertEqual(sorted(result.out.split()), ["other", "ran", "ran"])
        self.collect()
        self.assert_nothing_mounted()


class OnDisk(MountCase):
    """The check before a run: what the store has is what it was when it was verified."""

    def setUp(self):
        super().setUp()
        self.tar = self.lab.store / "blobs/sha512" / self.id[7:9] / self.id[7:]
        self.metadata = next(self.lab.store.glob("trees/*/erofs"))

    def stamps(self):
        return {str(path.relative_to(self.lab.store)): path.read_text()
                for path in [*self.lab.store.glob("images/*/*/verified"), *self.lab.store.glob("trees/*/verified")]}

    @staticmethod
    def flip(path, offset):
        """One bit, with the file's times as they were."""
        times = path.stat()
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def damaged(self, pattern):
        result = self.refused(self.run_pod(self.id), 253, pattern)
        self.assertIn(self.id, result.err)
        self.assertEqual(self.pods(), [])
        # It stays refused.
        self.refused(self.run_pod(self.id), 253, pattern)

    def test_what_was_verified_at_import_is_not_read_again(self):
        self.assertEqual(len(self.stamps()), 2)
        result = self.ok(self.run_pod(self.id))
        self.assertNotIn("checking", result.err)

    def test_a_flipped_bit_in_the_tar(self):
        # In the data of busybox: of no matter to the mount.
        self.flip(self.tar, self.tar.stat().st_size // 2)
        self.damaged("in the store are not what was verified: .* the tar is damaged: .*"
                     "'actool image fsck --repair', or remove the image and fetch it again")
        result = self.ok(self.run_pod("--insecure-options=ondisk", self.id))
        self.assertEqual(result.out, "ran\n")

    def test_a_flipped_bit_in_the_metadata(self):
        self.flip(self.metadata, self.metadata.stat().st_size - 1)
        self.damaged("in the store are not what was verified: .*erofs is not what its tars make")

    def test_a_flipped_bit_in_a_dependency(self):
        base = harness.aci_tar(harness.manifest("example.com/base"))
        self.ingest_tar(base)
        manifest = harness.manifest("example.com/top", app=self.APP,
                                    dependencies=[{"imageName": "example.com/base"}])
        top = self.ingest_tar(harness.aci_tar(manifest, [harness.directory("rootfs")]))
        self.assertEqual(self.ok(self.run_pod(top)).out, "ran\n")
        identity = harness.image_id(base)
        self.flip(self.lab.store / "blobs/sha512" / identity[7:9] / identity[7:], len(base) // 2)
        self.refused(self.run_pod(top), 253, f"{identity} .*the tar is damaged")

    def test_a_file_that_only_looks_otherwise_is_read_once(self):
        os.chmod(self.tar, 0o640)
        result = self.ok(self.run_pod(self.id))
        self.assertIn(f"checking {self.id[:19]} on disk", result.err)
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)

    def test_stamps_that_are_gone_or_damaged_are_made_again(self):
        good = self.stamps()
        for spoil in (lambda path: path.unlink(), lambda path: path.write_text("actool-verified 1\nx y\n")):
            for name in good:
                spoil(self.lab.store / name)
            self.assertIn("checking", self.ok(self.run_pod(self.id)).err)
            self.assertEqual(self.stamps().keys(), good.keys())
            self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)

    def test_old_stamps_are_not_believed(self):
        for name, text in self.stamps().items():
            header, *lines = text.splitlines()
            aged = [" ".join([str(int(line.split()[0]) - 31 * 86400), *line.split()[1:]]) for line in lines]
            (self.lab.store / name).write_text("\n".join([header, *aged]) + "\n")
        config = self.lab.local_config / "ondisk.d"
        config.mkdir(parents=True)
        age = {"rktKind": "ondisk", "rktVersion": "v1", "max-age": "2400h"}
        (config / "age.json").write_text(json.dumps(age))
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)
        (config / "age.json").unlink()
        self.assertIn("checking", self.ok(self.run_pod(self.id)).err)
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)
        (config / "age.json").write_text(json.dumps({**age, "max-age": "soon"}))
        self.refused(self.run_pod(self.id), 254, "max-age: 'soon' is not a duration")

    def unpacked(self):
        """From here on pods lie on the unpacked tree."""
        root = pathlib.Path(self.ok(self.lab.actool("image", "render", self.id)).out.strip())
        for file in ("erofs", "devices"):
            (root.parent / file).unlink()
        return root

    def test_an_unpacked_tree_is_not_read_again(self):
        self.unpacked()
        for _ in range(2):
            result = self.ok(self.run_pod(self.id))
            self.assertEqual((result.out, "checking" in result.err), ("ran\n", False), result.err)

    def test_a_flipped_bit_in_an_unpacked_tree(self):
        root = self.unpacked()
        self.flip(root / "bin/busybox", 100_000)
        self.damaged('rootfs is not what its tars make: .*bin/busybox.*: its content differs')
        self.ok(self.run_pod("--insecure-options=ondisk", self.id))
        shutil.rmtree(root)
        self.assertEqual(self.ok(self.run_pod(self.id)).out, "ran\n")

    def test_a_bit_that_was_flipped_before_the_tree_was_made(self):
        self.flip(self.tar, self.tar.stat().st_size // 2)
        self.unpacked()
        self.damaged("the tar is damaged")

    def test_unpacked_trees_that_only_look_otherwise_are_read_once(self):
        root = self.unpacked()
        os.chmod(root / "etc/passwd", 0o644)  # as it is; the time of change is new
        self.assertIn("checking", self.ok(self.run_pod(self.id)).err)
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)
        os.chmod(root / "etc/passwd", 0o666)
        result = self.lab.actool("image", "verify", self.id)
        self.assertEqual(result.code, 253)
        self.assertIn('"etc/passwd": its mode differs', result.err)

    def test_copies_do_not_share_files_with_the_tree(self):
        root = self.unpacked()
        before = harness.snapshot(root)
        script = "echo changed >> /etc/passwd; echo changed > /bin/busybox.new; rm /etc/group; chmod 0 /root"
        self.ok(self.run_pod("--no-overlay", self.id, "--exec=/bin/sh", "--", "-c", script))
        self.assertEqual(harness.snapshot(root), before)
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)

    def test_image_verify_renews(self):
        os.chmod(self.tar, 0o640)
        self.ok(self.lab.actool("image", "verify", self.id))
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)

    def test_fetching_again_heals(self):
        self.flip(self.tar, self.tar.stat().st_size // 2)
        self.refused(self.run_pod(self.id), 253, "the tar is damaged")
        self.ok(self.lab.actool("image", "rm", "--force", self.id))
        self.assertEqual(self.ingest("example.com/web"), self.id)
        self.assertNotIn("checking", self.ok(self.run_pod(self.id)).err)


class Ends(MountCase):
    def test_killing_everything_leaves_nothing(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "1000")
        pods = str(self.lab.store / "pods")
        self.assertTrue(any(pods in line and " erofs " in line for line in mountinfos()))
        self.assertFalse(any(pods in line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()))
        pid = int(self.status(uuid)["pid"])
        for victim in (process.pid, pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.wait(20)
        self.assert_nothing_mounted()
        self.assertEqual(self.status(uuid, "--wait=20s")["state"], "exited")
        self.collect()

    def test_an_image_may_go_while_its_pod_runs(self):
        process, uuid = self.start(self.id, "--exec=/bin/sh", "--", "-c", "trap 'cat /etc/group; exit' TERM; "
                                   "while :; do sleep 0.1; done")
        self.ok(self.lab.actool("image", "rm", "--force", self.id))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.ok(self.lab.actool("stop", uuid))
        out, _ = process.communicate(timeout=20)
        self.assertIn(b"extra:x:1002:web", out)


class Ways(MountCase):
    """A store in memory: the kernel takes no files of a file system that has no disk below."""

    def setUp(self):
        self.lab.reset_actool()
        self.lab.store.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.lab.store], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.lab.store], check=True)
        self.id = self.ingest("example.com/web")

    def test_loop_devices(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "1000")
        self.assertEqual(sum(str(self.lab.store) in file for file in loop_files()), 2)
        self.ok(self.lab.actool("stop", "--force", uuid))
        process.wait(20)
        self.assert_nothing_mounted()
        result = self.ok(self.run_pod("--debug", self.id))
        self.assertEqual(result.out, "ran\n")
        self.assertRegex(self.way(result), "is mounted by loop devices; not by files: .*Block device required")
        self.assertEqual(self.forms(), ["erofs"])

    def test_unpacked_when_nothing_can_mount(self):
        subprocess.run(["mount", "--bind", "/dev/null", "/dev/loop-control"], check=True)
        try:
            result = self.ok(self.run_pod("--debug", self.id))
        finally:
            subprocess.run(["umount", "/dev/loop-control"], check=True)
        self.assertEqual(result.out, "ran\n")
        self.assertRegex(self.way(result), "can't be mounted, its tree is unpacked; not by files: .*"
                                           "; not by loop devices: .*; not by erofsfuse: ")
        self.assertEqual(self.forms(), ["erofs", "rootfs"])
        self.collect()


if __name__ == "__main__":
    harness.main()
