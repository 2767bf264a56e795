"""The tools of those who make images: build, validate, patch-manifest, cat-manifest; and rendering
and extracting against what GNU tar makes of the same archive."""

import json
import os
import pathlib
import tarfile

import harness
from harness import Entry, directory, hardlink, snapshot, symlink

ANYTHING = harness.manifest("example.com/web", exec=["/bin/true"])


class Layout(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.lab.work / self._testMethodName
        self.layout = self.dir / "layout"
        self.rootfs = self.layout / "rootfs"
        (self.rootfs / "bin").mkdir(parents=True)
        (self.layout / "manifest").write_text(json.dumps(ANYTHING))
        (self.rootfs / "bin/true").write_bytes(pathlib.Path(harness.BUSYBOX).read_bytes())
        os.chmod(self.rootfs / "bin/true", 0o4755)

    def everything(self):
        """One of each kind of thing that a root file system has."""
        root = self.rootfs
        (root / ("n" * 120)).write_text("long name")
        (root / ("d" * 90)).mkdir()
        (root / ("d" * 90) / ("e" * 90)).write_text("ustar prefix")
        (root / "cafe\u0301").write_text("not composed")
        os.symlink("/etc/nowhere", root / "absolute")
        os.symlink("../" + "x" * 150, root / "long-link")
        os.link(root / "bin/true", root / "bin/hard")
        os.mkfifo(root / "fifo")
        os.mknod(root / "null", 0o20666, os.makedev(1, 3))
        os.mknod(root / "loop", 0o60660, os.makedev(7, 1))
        os.chown(root / "null", 3_000_000, 4_000_000)
        with open(root / "holes", "wb") as file:
            file.seek(30_000_000)
            file.write(b"data")
            file.truncate(80_000_000)
        (root / "empty").write_bytes(b"")
        os.setxattr(root / "empty", "user.note", b"a\0b\nc=")
        os.setxattr(root / "bin", "user.dir", b"")
        harness._run(["setcap", "cap_net_raw+ep", str(root / "empty")])
        harness._run(["setfacl", "-m", "u:1234:rw", str(root / "holes")])
        harness._run(["setfacl", "-d", "-m", "g:77:rx", str(root / "bin")])
        os.utime(root / "empty", ns=(0, 1_234_567_890_123_456_789))
        os.utime(root / "absolute", ns=(0, 999_999_999), follow_symlinks=False)
        os.utime(root / "bin", ns=(0, 5_000_000_001))
        os.chmod(root, 0o751)

    def build(self, *args, output="out.aci"):
        path = self.dir / output
        self.ok(self.lab.actool("build", *args, self.layout, path))
        return path

    def untar(self, aci):
        tree = self.dir / (aci.name + ".untar")
        tree.mkdir()
        harness._run(["tar", "-C", str(tree), "--xattrs", "--xattrs-include=*", "--acls", "--same-owner",
                      "--numeric-owner", "-xpf", str(aci)])
        return tree

    def stored(self, aci):
        """Puts the file into the store and returns its image ID."""
        result = self.lab.actool("--insecure-options=image", "image", "ingest", aci)
        return self.ok(result).records()[-1]["id"]


class Build(Layout):
    def test_tar_unpacks_what_we_build(self):
        self.everything()
        tree = self.untar(self.build())
        self.assertEqual(snapshot(tree / "rootfs"), snapshot(self.rootfs))
        self.assertLess(os.stat(tree / "rootfs/holes").st_blocks * 512, 1_000_000)
        self.assertEqual(json.loads((tree / "manifest").read_text()), ANYTHING)

    def test_the_same_layout_makes_the_same_bytes(self):
        self.everything()
        first = self.build(output="a.aci").read_bytes()
        self.assertEqual(first, self.build(output="b.aci").read_bytes())
        copy = self.dir / "copy"
        harness._run(["cp", "-a", str(self.layout), str(copy)])
        self.layout = copy
        self.assertEqual(first, self.build(output="c.aci").read_bytes())
        self.assertEqual(first[4:8], b"\0\0\0\0", "a time in the gzip header")

    def test_options(self):
        os.chown(self.rootfs / "bin/true", 12, 13)
        plain = self.build("--no-compression", "--owner-root")
        with tarfile.open(plain, "r:") as tar:
            self.assertEqual([entry.name for entry in tar], ["manifest", "rootfs", "rootfs/bin", "rootfs/bin/true"])
            self.assertEqual({(entry.uid, entry.gid) for entry in tar}, {(0, 0)})
        self.refused(self.lab.actool("build", self.layout, plain), 254, "exists; use --overwrite")
        self.build("--overwrite")
        self.assertEqual(plain.read_bytes()[:2], b"\x1f\x8b")
        self.refused(self.lab.actool("build", self.layout, self.dir / "a.tar"), 254, "must be named .aci")
        self.assertEqual(sorted(os.listdir(self.dir)), ["layout", "out.aci"])

    def test_layouts_that_are_none(self):
        def refused(pattern):
            self.refused(self.lab.actool("build", self.layout, self.dir / "x.aci"), 254, pattern)
            self.refused(self.lab.actool("validate", self.layout), 254, pattern)
            self.assertEqual(os.listdir(self.dir), ["layout"])

        (self.layout / "extra").write_text("")
        refused('"extra" does not belong there')
        (self.layout / "extra").unlink()
        (self.layout / "manifest").write_text("{}")
        refused("manifest")
        (self.layout / "manifest").unlink()
        refused("it has no manifest")
        os.symlink("/etc/passwd", self.layout / "manifest")
        refused('"manifest" is no regular file')

    def test_a_socket_is_refused(self):
        import socket
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.rootfs / "sock"))
        self.refused(self.lab.actool("build", self.layout, self.dir / "x.aci"), 254,
                     'entry "rootfs/sock": a socket has no place in an image')
        self.assertEqual(os.listdir(self.dir), ["layout"])


class Render(Layout):
    def test_rendering_makes_what_tar_makes(self):
        self.everything()
        for name, command in {
                "ours": None,
                "pax": ["--format=pax", "--xattrs", "--xattrs-include=*", "--acls", "-S"],
                "sparse01": ["--format=pax", "--xattrs", "--xattrs-include=*", "--acls", "-S", "--sparse-version=0.1"],
                "gnu": ["--format=gnu", "-S"],
        }.items():
            with self.subTest(name):
                aci = self.dir / f"{name}.aci"
                if command is None:
                    self.build(output=aci.name)
                else:
                    harness._run(["tar", "-C", str(self.layout), *command, "--numeric-owner", "-cf", str(aci),
                                  "manifest", "rootfs"])
                expected = snapshot(self.untar(aci) / "rootfs")
                image = self.stored(aci)
                self.ok(self.lab.actool("image", "render", image, self.dir / f"{name}.tree"))
                tree = self.dir / f"{name}.tree/rootfs"
                self.assertEqual(snapshot(tree), expected)
                self.assertLess(os.stat(tree / "holes").st_blocks * 512, 1_000_000)
                self.ok(self.lab.actool("image", "extract", image, self.dir / f"{name}.all"))
                self.assertEqual(snapshot(self.dir / f"{name}.all/rootfs"), expected)
                self.assertEqual(json.loads((self.dir / f"{name}.all/manifest").read_text()), ANYTHING)


class Validate(harness.TestCase):
    GOOD = [Entry("manifest", json.dumps(ANYTHING).encode()), directory("rootfs")]

    def file(self, name, content):
        path = self.lab.work / name
        path.write_bytes(content)
        return path

    def test_every_kind_is_recognised(self):
        tar = harness.make_tar(self.GOOD)
        for compression in ("none", "gzip", "bzip2", "xz"):
            path = harness.write_aci(self.lab.work / f"{compression}.bin", tar, compression)
            result = self.ok(self.lab.actool("--debug", "validate", path))
            self.assertIn("valid app container image", result.err)
            self.assertEqual(self.ok(self.lab.actool("validate", path)).err, "")
        manifest = self.file("m.json", json.dumps(ANYTHING).encode())
        self.assertIn("valid ImageManifest", self.ok(self.lab.actool("--debug", "validate", manifest)).err)
        pod = self.file("p.json", json.dumps({"acKind": "PodManifest", "acVersion": "0.8.11", "apps": []}).encode())
        self.assertIn("valid PodManifest", self.ok(self.lab.actool("--debug", "validate", pod)).err)
        self.refused(self.lab.actool("validate", "--type=appimage", manifest), 254, "tar header at byte 0")
        self.refused(self.lab.actool("validate", "--type=house", manifest), 254, "is none of appimage")
        self.refused(self.lab.actool("validate", self.file("text", b"hello")), 254, "say it with --type")
        self.refused(self.lab.actool("validate", self.lab.work / "missing"), 252, "there is no file")

    def test_hostile_tars(self):
        cases = {
            "second manifest": ([Entry("manifest", b"{}")], "a second manifest"),
            "top level": ([Entry("other")], "belong at the top"),
            "duplicate": ([Entry("rootfs/a"), Entry("rootfs/a")], "a second entry"),
            "absolute": ([Entry("/rootfs/a")], "the path is absolute"),
            "dots": ([Entry("rootfs/../../a")], r'component "\.\."'),
            "through link": ([symlink("rootfs/a", "/etc"), Entry("rootfs/a/b")], "passes through the symbolic link"),
            "below file": ([Entry("rootfs/a"), Entry("rootfs/a/b")], "which is no directory"),
            "link out": ([hardlink("rootfs/a", "../etc/shadow")], r'component "\.\."'),
            "link forward": ([hardlink("rootfs/a", "rootfs/b"), Entry("rootfs/b")], "no earlier entry"),
            "overlay": ([Entry("rootfs/a", pax={"SCHILY.xattr.trusted.overlay.redirect": "/"})], "overlayfs's own"),
        }
        for name, (entries, pattern) in cases.items():
            with self.subTest(name):
                path = self.file("hostile.aci", harness.make_tar(self.GOOD + entries))
                self.refused(self.lab.actool("validate", path), 254, pattern)
        good = harness.write_aci(self.lab.work / "good.aci", harness.make_tar(self.GOOD), "gzip").read_bytes()
        self.refused(self.lab.actool("validate", self.file("cut.aci", good[:-20])), 254, "truncated")

    def test_a_huge_manifest_is_not_read(self):
        path = self.lab.work / "huge.aci"
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo("manifest")
            info.size = 100_000_000
            with open("/dev/zero", "rb") as zeros:
                tar.addfile(info, zeros)

        def limited():
            import resource
            resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))

        result = self.lab.actool("validate", path, preexec_fn=None if harness.SLOW > 1 else limited)
        self.refused(result, 254, "a manifest of 100000000 bytes; 1048576 is the limit")

    def test_the_specifications_commands_make_an_image(self):
        """spec/aci.md: plain tar and gzip."""
        self.ok(self.lab.shell(f"""
            cd {self.lab.work} && mkdir -p spec/rootfs/usr/bin && cd spec && cp {harness.BUSYBOX} rootfs/usr/bin/true
            echo '{json.dumps(ANYTHING)}' > manifest
            tar cf reduce-worker.tar manifest rootfs && gzip reduce-worker.tar -c > reduce-worker.aci
            actool validate reduce-worker.aci reduce-worker.tar"""))


class Manifest(Layout):
    def cat(self, what, *args):
        return self.ok(self.lab.actool("cat-manifest", *args, what)).out

    def test_cat_manifest(self):
        aci = self.build()
        self.assertEqual(json.loads(self.cat(aci)), ANYTHING)
        self.assertIn('\n    "acKind"', self.cat(aci, "--pretty-print"))
        image = self.stored(aci)
        self.assertEqual(json.loads(self.cat(image)), ANYTHING)
        self.assertIn('\n    "acKind"', self.cat("example.com/web", "--pretty-print"))
        self.refused(self.lab.actool("cat-manifest", self.dir / "no.aci"), 252, "there is no file")
        self.refused(self.lab.actool("cat-manifest", "example.com/other"), 252, "example.com/other")
        for pod in ("6ab1dd48", "6ab1dd48-51e5-4aa6-9de8-2a3f4c7f0a11"):
            self.refused(self.lab.actool("cat-manifest", pod), 252, "pod.*" + pod)

    def test_patch_manifest_changes_nothing_else(self):
        self.everything()
        aci = self.build("--no-compression")
        patched = self.dir / "patched.aci"
        self.ok(self.lab.actool(
            "patch-manifest", "--no-compression", "--name=example.com/new", "--exec=/bin/web --port 80", "--user=33",
            "--group=34", "--supplementary-groups=3,4", "--capability=CAP_KILL,CAP_CHOWN",
            "--mounts=work,path=/opt,readOnly=true:tmp,path=/tmp", "--ports=http,protocol=tcp,port=80",
            "--isolators=resource/memory,limit=1G:os/linux/no-new-privileges,true", "--seccomp-mode=remove,errno=EPERM",
            "--seccomp-set=reboot", aci, patched))
        manifest = json.loads(self.cat(patched))
        self.assertEqual(manifest["name"], "example.com/new")
        app = manifest["app"]
        self.assertEqual(app["exec"], ["/bin/web", "--port", "80"])
        self.assertEqual((app["user"], app["group"], app["supplementaryGIDs"]), ("33", "34", [3, 4]))
        self.assertEqual(app["mountPoints"][0], {"name": "work", "path": "/opt", "readOnly": True})
        self.assertEqual(app["ports"], [{"name": "http", "protocol": "tcp", "port": 80}])
        self.assertEqual([one["name"] for one in app["isolators"]],
                         ["os/linux/capabilities-retain-set", "os/linux/seccomp-remove-set", "resource/memory",
                          "os/linux/no-new-privileges"])
        old, new = aci.read_bytes(), patched.read_bytes()
        at = old.index(b"rootfs/\0")
        self.assertEqual(old[at:], new[new.index(b"rootfs/\0"):])

    def test_patch_manifest_in_place_and_from_a_file(self):
        aci = self.build()
        self.ok(self.lab.actool("patch-manifest", "--replace", "--name=example.com/other", aci))
        self.assertEqual(json.loads(self.cat(aci))["name"], "example.com/other")
        given = self.dir / "manifest.json"
        given.write_text(json.dumps(ANYTHING, indent=3))
        self.ok(self.lab.actool("patch-manifest", "--manifest", given, aci, self.dir / "b.aci"))
        self.assertEqual(self.cat(self.dir / "b.aci").strip(), given.read_text())
        self.refused(self.lab.actool("patch-manifest", "--user=1", aci, self.dir / "b.aci"), 254, "use --overwrite")
        self.refused(self.lab.actool("patch-manifest", "--user=1", aci), 254, "there is no output file")
        self.refused(self.lab.actool("patch-manifest", "--replace", "--mounts=work,paht=/x", aci), 254,
                     '"paht" is none of path=, readOnly=')
        given.write_text("{}")
        self.refused(self.lab.actool("patch-manifest", "--replace", "--manifest", given, aci), 254, "manifest.json")


if __name__ == "__main__":
    harness.main()
