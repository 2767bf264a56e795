"""The main job, end to end: discover | fetch | run, on a signed image over HTTPS."""

import json
import os
import pathlib
import subprocess

import harness
from harness import Gpg, TestCase, aci_tar, directory, image_id, make_tar, manifest, write_aci, Entry

HELLO = ["/bin/sh", "-c", "echo hello from $AC_APP_NAME; exit 7"]


class MainJob(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        cls.gpg = Gpg(lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.nginx = lab.nginx({"example.test": {}, "storage.test": {}})
        cls.www = cls.nginx.root("storage.test")
        for name in ("web", "base", "app"):
            cls.nginx.page("example.test", f"example.test/{name}", [
                ("ac-discovery", "example.test https://storage.test/{name}-{version}-{os}-{arch}.{ext}"),
                ("ac-discovery-pubkeys", "example.test https://storage.test/keys.gpg")])
        (cls.www / "keys.gpg").write_bytes(cls.gpg.export(cls.key))

    def publish(self, name, version="1.0.0", tar=None, **kwargs):
        tar = tar or aci_tar(manifest(name, version, exec=kwargs.pop("exec", HELLO), **kwargs))
        path = write_aci(self.www / f"{name}-{version}-linux-amd64.aci", tar)
        self.gpg.sign(self.key, path)
        return image_id(tar)

    def trust_page_keys(self, prefix="example.test/web"):
        self.ok(self.lab.actool("trust", "add", f"--prefix={prefix}", "--skip-fingerprint-review"))

    def test_pipe_runs_the_app(self):
        self.publish("example.test/web")
        self.trust_page_keys()
        result = self.lab.shell("actool discover example.test/web:1.0.0 | actool fetch | actool run")
        self.assertEqual(result.out, "hello from web\n", result)
        self.assertEqual(result.code, 7, result)

    def test_records_on_the_way(self):
        identity = self.publish("example.test/web")
        self.trust_page_keys()
        found = self.ok(self.lab.actool("discover", "example.test/web:1.0.0")).records()
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0]["kind"], "discovered")
        self.assertEqual(found[0]["endpoints"][0]["aci"],
                         "https://storage.test/example.test/web-1.0.0-linux-amd64.aci")
        image = self.ok(self.lab.actool("fetch", "example.test/web:1.0.0")).records()[0]
        self.assertEqual((image["kind"], image["id"], image["name"]), ("image", identity, "example.test/web"))
        self.assertEqual(image["requested"], "example.test/web:1.0.0")
        self.assertEqual(image["signedBy"], self.key)
        listed = self.ok(self.lab.actool("image", "list")).records()
        self.assertEqual([record["id"] for record in listed], [identity])

    def test_run_by_name_fetches(self):
        self.publish("example.test/web")
        self.trust_page_keys()
        result = self.lab.actool("run", "example.test/web:1.0.0")
        self.assertEqual((result.out, result.code), ("hello from web\n", 7), result)

    def test_run_by_id_opens_no_database_and_links_no_network(self):
        identity = self.publish("example.test/web")
        self.trust_page_keys()
        self.ok(self.lab.actool("fetch", "example.test/web:1.0.0"))
        self.lab.actool("run", identity)
        trace = self.lab.work / "trace"
        done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=openat,execve", "-o", str(trace),
                               *self.lab.argv("run", identity)], stdout=subprocess.PIPE,
                              env=harness.without_leak_check(self.lab.env))
        self.assertEqual(done.returncode, 7)
        text = trace.read_text()
        self.assertNotIn("/index", text)
        for library in ("libcurl", "librocksdb", "libarchive", "libgpgme"):
            self.assertNotIn(library, text)
        self.assertNotIn("actool-image", text)
        linked = subprocess.run(["ldd", str(harness.BIN / "actool-run")], stdout=subprocess.PIPE, check=True)
        self.assertNotRegex(linked.stdout.decode(), "curl|rocksdb|archive|gpgme")

    def test_unique_prefix_of_an_image_id(self):
        identity = self.publish("example.test/web")
        self.trust_page_keys()
        self.ok(self.lab.actool("fetch", "example.test/web:1.0.0"))
        self.assertEqual(self.lab.actool("run", identity[:19]).code, 7)

    def test_dependencies_come_each_under_its_own_name(self):
        base = self.publish("example.test/base", tar=aci_tar(manifest("example.test/base")))
        top = make_tar([Entry("manifest", json.dumps(manifest(
            "example.test/app", exec=["/bin/cat", "/etc/motd"],
            dependencies=[{"imageName": "example.test/base", "imageID": base,
                           "labels": [{"name": "version", "value": "1.0.0"}]}])).encode()),
            directory("rootfs"), directory("rootfs/etc"), Entry("rootfs/etc/motd", b"from the top image\n")])
        self.publish("example.test/app", tar=top)
        self.trust_page_keys("example.test/app")
        # The dependency's name is not trusted yet.
        self.refused(self.lab.actool("fetch", "example.test/app:1.0.0"), 253, "example.test/base")
        self.trust_page_keys("example.test/base")
        self.ok(self.lab.actool("fetch", "example.test/app:1.0.0"))
        result = self.ok(self.lab.actool("run", "example.test/app:1.0.0"))
        self.assertEqual(result.out, "from the top image\n")

    def test_images_made_by_plain_tools(self):
        """tar, gzip and gpg as spec/aci.md shows them."""
        layout = self.lab.work / "plain"
        (layout / "rootfs/bin").mkdir(parents=True)
        (layout / "rootfs/bin/busybox").write_bytes(pathlib.Path(harness.BUSYBOX).read_bytes())
        os.chmod(layout / "rootfs/bin/busybox", 0o755)
        (layout / "manifest").write_text(json.dumps(manifest(
            "example.test/web", "3.0.0", exec=["/bin/busybox", "echo", "plain tools"])))
        subprocess.run("tar cf image.tar manifest rootfs && gzip -c image.tar > image.aci", shell=True,
                       cwd=layout, check=True)
        self.gpg.sign(self.key, layout / "image.aci")
        self.trust_page_keys()
        wanted = subprocess.run("echo sha512-$(sha512sum image.tar | awk '{print $1}')", shell=True,
                                cwd=layout, check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        fetched = self.ok(self.lab.actool("fetch", layout / "image.aci", "--format=id"))
        self.assertEqual(fetched.out.strip(), wanted)
        self.assertEqual(self.ok(self.lab.actool("run", wanted)).out, "plain tools\n")

    def test_images_made_by_build(self):
        layout = self.lab.work / "built"
        (layout / "rootfs/bin").mkdir(parents=True)
        (layout / "rootfs/bin/busybox").write_bytes(pathlib.Path(harness.BUSYBOX).read_bytes())
        os.chmod(layout / "rootfs/bin/busybox", 0o755)
        (layout / "manifest").write_text(json.dumps(manifest(
            "example.test/web", "4.0.0", exec=["/bin/busybox", "echo", "built"])))
        first, second = self.lab.work / "one.aci", self.lab.work / "two.aci"
        self.ok(self.lab.actool("build", layout, first))
        self.ok(self.lab.actool("build", layout, second))
        self.assertEqual(first.read_bytes(), second.read_bytes())
        names = subprocess.run(["tar", "-tzf", str(first)], check=True, stdout=subprocess.PIPE).stdout.decode()
        self.assertIn("rootfs/bin/busybox\n", names)
        self.ok(self.lab.actool("validate", first))
        self.gpg.sign(self.key, first)
        self.trust_page_keys()
        identity = self.ok(self.lab.actool("fetch", first, "--format=id")).out.strip()
        self.assertEqual(self.ok(self.lab.actool("run", identity)).out, "built\n")

    def test_several_images_in_one_pod(self):
        first = self.publish("example.test/web", exec=["/bin/echo", "one"])
        second = self.publish("example.test/app", exec=["/bin/echo", "two"])
        self.trust(self.gpg, self.key, "example.test")
        self.ok(self.lab.actool("fetch", "example.test/web:1.0.0", "example.test/app:1.0.0"))
        result = self.ok(self.lab.actool("run", first, "--", "extra", "---", second))
        self.assertEqual(sorted(result.out.splitlines()), ["one extra", "two"])


if __name__ == "__main__":
    harness.main()
