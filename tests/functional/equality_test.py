"""A real root file system as an image: mounted over its tar, unpacked by us, and unpacked by GNU tar, it is the
same to rsync in every respect, and it runs. Here with a part of this machine's own files;
tests/equality.py takes a Debian root file system and 1.5 GB."""

import os
import pathlib
import shutil
import subprocess

import harness
import kernel_mount

NAME = "example.com/root"


class Equality(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = harness.Gpg(cls.lab)
        cls.key = cls.gpg.key("Web <web@example.com>")

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, NAME)
        self.dir = self.lab.work / self._testMethodName
        self.dir.mkdir()

    def tarred(self, tree, exec):
        """A signed ACI of the directory, by GNU tar, with all that it knows of files."""
        layout = self.dir / "layout"
        layout.mkdir()
        (layout / "manifest").write_text(harness.json.dumps(harness.manifest(NAME, exec=exec)))
        aci = self.dir / "root.aci"
        options = ["--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner"]
        harness._run(["tar", "-C", str(layout), *options, "-cf", str(aci), "manifest"])
        harness._run(["tar", *options, "--transform", "flags=rhS;s,^\\.,rootfs,", "-rf", str(aci), "-C", str(tree), "."])
        self.gpg.sign(self.key, aci)
        return aci

    def untarred(self, aci):
        target = self.dir / "untarred"
        target.mkdir()
        harness._run(["tar", "-C", str(target), "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner",
                      "--same-owner", "-xpf", str(aci)])
        return target / "rootfs"

    def mounted(self, identity):
        target = self.dir / "mounted"
        target.mkdir()
        tree = (self.lab.store / "images" / identity[7:9] / identity / "tree").resolve()
        ids = [line.split()[0] for line in (tree / "devices").read_text().splitlines()]
        devices = [self.lab.store / "blobs/sha512" / one[7:9] / one[7:] for one in ids]
        kernel_mount.mount_erofs(tree / "erofs", devices, target)
        self.addCleanup(kernel_mount.unmount, target)
        return target

    def assert_equal_trees(self, one, other):
        """By content, kind, owner, mode, time to the nanosecond, links, attributes and access lists; nothing
        missing and nothing more."""
        done = subprocess.run(["rsync", "-nacAXH", "--delete", "--modify-window=-1", "--numeric-ids", "--out-format=%i %n",
                               f"{one}/", f"{other}/"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual((done.returncode, done.stdout.decode(errors="replace")[:4000]), (0, ""))

    def check(self, tree, exec, expected):
        aci = self.tarred(tree, exec)
        [identity] = self.ok(self.lab.actool("fetch", aci, "--format=id", timeout=600)).out.split()
        reference = self.untarred(aci)
        self.assert_equal_trees(tree, reference)  # GNU tar as the oracle is one
        self.assert_equal_trees(reference, self.mounted(identity))
        rendered = self.ok(self.lab.actool("image", "render", identity, timeout=600)).out.strip()
        self.assert_equal_trees(reference, rendered)
        self.ok(self.lab.actool("image", "verify", identity, timeout=600))
        # By either form.
        self.assertEqual(self.ok(self.lab.actool("run", "--net=none", identity)).out, expected)
        for file in ("erofs", "devices"):
            (pathlib.Path(rendered).parent / file).unlink()
        result = self.ok(self.lab.actool("run", "--net=none", "--debug", identity))
        self.assertEqual(result.out, expected)
        self.assertNotIn("is mounted by", result.err)
        self.assertEqual(self.ok(self.lab.actool("run", "--net=none", "--no-overlay", identity)).out, expected)
        # Neither left a mark.
        self.assert_equal_trees(reference, rendered)
        self.ok(self.lab.actool("gc", "--grace-period=0s"))

    def test_a_part_of_this_machine(self):
        tree = self.dir / "tree"
        tree.mkdir()
        for source in ("/etc/alternatives", "/etc/ssl", "/usr/share/zoneinfo", "/usr/lib/python3", "/usr/share/perl5"):
            target = tree / source[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target, symlinks=True)
        (tree / "bin").mkdir()
        shutil.copy(harness.BUSYBOX, tree / "bin/busybox")
        os.chmod(tree / "bin/busybox", 0o4755)
        harness._run(["setcap", "cap_net_raw+ep", str(tree / "bin/busybox")])
        os.setxattr(tree / "etc", "user.note", b"kept")
        harness._run(["setfacl", "-m", "u:1000:rwx", str(tree / "etc/ssl")])
        os.link(tree / "bin/busybox", tree / "etc/hard")
        os.mknod(tree / "etc/null", 0o20666, os.makedev(1, 3))
        self.check(tree, ["/bin/busybox", "echo", "runs"], "runs\n")


if __name__ == "__main__":
    harness.main()
