"""actool mirror: an upstream site, a mirror of it, and clients that know the mirror."""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
import ssl

import harness
import private_swarm_test
from harness import Gpg, TestCase, aci_tar, image_id, manifest, write_aci

WEB = "example.test/team/web"
BASE = "example.test/team/base"
KILLS = harness.kills(60)


class MirrorCase(TestCase):
    """example.test is upstream, mirror.test serves the mirror; one nginx for each."""

    published = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        cls.gpg = Gpg(lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.stranger = cls.gpg.key("Stranger <stranger@evil.test>")
        cls.www = lab.work / "www/example.test"
        (lab.work / "htpasswd").write_text("me:{PLAIN}secret\n")
        cls.nginx = lab.nginx({
            "example.test": {},
            "mirror.test": {"root": lab.work / "site/public"},
            "other.test": {"root": lab.work / "second/public"},
            "evil.test": {},
            "auth.test": {"config": f"auth_basic x; auth_basic_user_file {lab.work}/htpasswd;"},
        })
        cls.page("example.test", [("ac-discovery", "example.test https://example.test/aci/{name}-{version}.{ext}")])

    @classmethod
    def page(cls, name, tags, host="example.test"):
        cls.nginx.page(host, name, tags)

    @classmethod
    def publish(cls, name, version="1.0.0", key=None, as_version=None, content=b"", **members):
        """Puts a signed image where discovery of example.test finds it; returns its ID."""
        entries = [harness.directory("rootfs"), harness.Entry("rootfs/data", content or version.encode())]
        if members.get("exec"):
            entries = None
        tar = aci_tar(manifest(name, version, **members), entries)
        path = write_aci(cls.www / f"aci/{name}-{as_version or version}.aci", tar)
        cls.gpg.sign(key or cls.key, path)
        # nginx tells versions of a file apart by their size and second.
        cls.published += 1
        for file in (path, f"{path}.asc"):
            os.utime(file, times=(time.time(), time.time() + cls.published))
        return image_id(tar)

    def setUp(self):
        super().setUp()
        self.site = self.lab.work / "site"
        for path in (self.site, self.lab.work / "second", self.www / "aci"):
            shutil.rmtree(path, ignore_errors=True)
        self.trust(self.gpg, self.key, "example.test")
        self.names = []

    # --- helpers ---

    def mirror(self, word, *args, site=None, **kwargs):
        return self.lab.actool("mirror", word, site or self.site, *args, **kwargs)

    def init(self, *names, url="https://mirror.test", site=None, **members):
        site = site or self.site
        if not (site / "mirror.json").exists():
            self.ok(self.lab.actool("mirror", "init", "--url", url, site))
        config = {"rktKind": "mirror", "rktVersion": "v1", "url": url, "names": list(names), **members}
        (site / "mirror.json").write_text(json.dumps(config))

    def sync(self, *args, **kwargs):
        return self.ok(self.mirror("sync", *args, **kwargs)).records()

    def changes(self, records):
        return sorted((r["change"], r["name"], r["labels"].get("version", "")) for r in records if "change" in r)

    def served(self, site=None):
        """What the site says that it serves: {"NAME:VERSION": ID}."""
        return {f'{r["name"]}:{i["labels"].get("version", "")}': i["id"]
                for r in self.ok(self.mirror("list", site=site)).records() for i in r["images"]}

    def client(self, only=True, mirrors=("https://mirror.test/",), prefixes=("example.test",)):
        """A machine of its own, with the mirror configured and the key trusted."""
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.test")
        folder = self.lab.local_config / "mirrors.d"
        folder.mkdir(parents=True)
        (folder / "site.json").write_text(json.dumps({
            "rktKind": "mirrors", "rktVersion": "v1", "prefixes": list(prefixes), "mirrors": list(mirrors),
            "only": only}))

    @contextlib.contextmanager
    def origin_down(self):
        """Requests to example.test fail; the others' servers answer."""
        hosts = pathlib.Path("/etc/hosts").read_text()
        with open("/etc/hosts", "w") as file:  # bound there: it can't be replaced
            file.write(hosts.replace("example.test ", "").replace("example.com", "example.com"))
        try:
            yield
        finally:
            with open("/etc/hosts", "w") as file:
                file.write(hosts)

    def asked(self, host):
        time.sleep(0.05)
        return [line for line in self.nginx.requests() if line.startswith(host + " ")]

    def files_below(self, folder):
        return sorted(str(p.relative_to(self.site)) for p in (self.site / folder).rglob("*") if p.is_file())


class Mirror(MirrorCase):
    def test_upstream_to_mirror_to_client_with_the_origin_down(self):
        image = self.publish(WEB, exec=["/bin/echo", "from the mirror"])
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.assertEqual(self.changes(self.sync()), [("added", WEB, "1.0.0")])
        self.assertEqual(self.sync(), [])  # nothing to do, nothing said
        self.client()
        with self.origin_down():
            before = len(self.asked("example.test"))
            [record] = self.ok(self.lab.actool("discover", f"{WEB}:1.0.0")).records()
            [endpoint] = record["endpoints"]
            self.assertEqual(endpoint["mirror"], "https://mirror.test")
            self.assertTrue(endpoint["aci"].startswith("https://mirror.test/"), endpoint)
            [fetched] = self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0")).records()
            self.assertEqual(fetched["id"], image)
            self.assertEqual(fetched["signedBy"], self.key)
            self.assertEqual(self.ok(self.lab.actool("run", image)).out, "from the mirror\n")
            # Without a version too: the highest one that there is.
            self.assertEqual(self.ok(self.lab.actool("fetch", "--pull-policy=update", WEB)).records()[0]["id"], image)
            self.assertEqual(len(self.asked("example.test")), before)
        table = self.ok(self.lab.actool("discover", "--format=table", f"{WEB}:1.0.0")).out
        self.assertRegex(table.splitlines()[0], r"^NAME +WHAT +URL +MIRROR$")

    def test_pipes(self):
        image = self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.client()
        result = self.ok(self.lab.shell(f"actool discover {WEB}:1.0.0 | actool fetch --format=id"))
        self.assertEqual(result.out.strip(), image)

    def test_a_name_that_the_mirror_has_not_comes_from_the_origin(self):
        self.publish(WEB)
        image = self.publish(WEB, "2.0.0")
        other = self.publish(BASE)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.client(only=False)
        [record] = self.ok(self.lab.actool("discover", f"{WEB}:2.0.0")).records()
        self.assertTrue(record["askOrigin"])
        result = self.ok(self.lab.actool("fetch", f"{WEB}:2.0.0"))
        self.assertEqual(result.records()[0]["id"], image)
        self.assertIn("no mirror has it, asking example.test itself", result.err)
        self.assertEqual(self.ok(self.lab.actool("fetch", f"{BASE}:1.0.0")).records()[0]["id"], other)
        self.client(only=True)
        self.refused(self.lab.actool("fetch", f"{WEB}:2.0.0"), 252, "neither https://mirror.test/.* nor its signature")
        self.refused(self.lab.actool("fetch", f"{BASE}:1.0.0"), 252, "lets nobody else be asked")

    def test_mirror_down(self):
        image = self.publish(WEB)
        self.client(only=False, mirrors=["https://foo.test:9/"])
        result = self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0"))
        self.assertEqual(result.records()[0]["id"], image)
        self.assertRegex(result.err, "warning: mirror https://foo.test:9 is passed over: .*no connection")
        self.client(only=True, mirrors=["https://foo.test:9/"])
        self.refused(self.lab.actool("fetch", f"{WEB}:1.0.0"), 251, "mirror https://foo.test:9: .*no connection")

    def test_second_mirror(self):
        image = self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.client(mirrors=["https://foo.test:9/", "https://mirror.test/"])
        self.assertEqual(self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0")).records()[0]["id"], image)

    def test_versions(self):
        ids = {v: self.publish(WEB, v) for v in ("1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1")}
        self.init({"name": WEB, "versions": list(ids)})
        self.sync()
        self.refused(self.lab.actool("discover", "--versions", WEB), 252, "no ac-discovery-versions tag")
        self.client()
        [record] = self.ok(self.lab.actool("discover", "--versions", WEB)).records()
        self.assertEqual([i["labels"]["version"] for i in record["images"]],
                         ["2.0.0-rc.1", "1.2.0", "1.1.0", "1.0.0"])
        second = self.lab.work / "second"
        self.init({"name": WEB, "versions": ["1.*"], "keep": 2}, url="https://other.test", site=second)
        self.assertEqual(self.changes(self.sync(site=second)), [("added", WEB, "1.1.0"), ("added", WEB, "1.2.0")])
        self.assertEqual(self.served(second), {f"{WEB}:{v}": ids[v] for v in ("1.1.0", "1.2.0")})
        table = self.ok(self.lab.actool("discover", "--versions", "--format=table", WEB)).out
        self.assertIn(f"{WEB}:1.0.0,", table)

        # A new version upstream: it comes, and the oldest of the pattern's goes.
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.test")
        self.publish(WEB, "1.3.0")
        self.init({"name": WEB, "versions": [*ids, "1.3.0"]})
        self.sync()
        self.client()
        self.assertEqual(self.changes(self.sync(site=second)), [("added", WEB, "1.3.0"), ("removed", WEB, "1.1.0")])

    def test_pattern_without_a_list_upstream_keeps_what_there_is(self):
        self.publish(WEB)
        self.publish(BASE)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.init({"name": WEB, "versions": ["1.*"]}, {"name": BASE, "versions": ["1.0.0"]})
        result = self.mirror("sync")
        self.assertEqual(result.code, 252, result)
        self.assertIn("no ac-discovery-versions tag", result.err)
        self.assertEqual(set(self.served()), {f"{WEB}:1.0.0", f"{BASE}:1.0.0"})

    def test_latest(self):
        first = self.publish(WEB, "1.0.0", as_version="latest")
        self.init({"name": WEB, "versions": ["latest"]})
        self.assertEqual(self.changes(self.sync()), [("added", WEB, "")])
        second = self.publish(WEB, "1.1.0", as_version="latest")
        self.assertEqual(self.changes(self.sync()), [("replaced", WEB, "")])
        self.assertEqual(self.served(), {f"{WEB}:": second})
        self.client()
        self.assertEqual(self.ok(self.lab.actool("fetch", WEB)).records()[0]["id"], second)
        self.assertNotEqual(first, second)

    def test_dependencies_come_along_and_stay(self):
        self.publish(BASE, "3.0.0")
        self.publish(WEB, dependencies=[{"imageName": BASE, "labels": [{"name": "version", "value": "3.0.0"}]}])
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.assertEqual(self.changes(self.sync()), [("added", BASE, "3.0.0"), ("added", WEB, "1.0.0")])
        # Also once the store has forgotten them.
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.test")
        self.assertEqual(self.sync(), [])
        self.client()
        with self.origin_down():
            self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0"))
            self.assertEqual(len(self.image_ids()), 2)
        self.init()
        self.assertEqual(self.changes(self.sync()), [("removed", BASE, "3.0.0"), ("removed", WEB, "1.0.0")])

    def test_platforms(self):
        for arch in ("amd64", "aarch64"):
            tar = aci_tar(manifest(WEB, labels={"version": "1.0.0", "os": "linux", "arch": arch}), [harness.directory("rootfs")])
            self.gpg.sign(self.key, write_aci(self.www / f"arch/{WEB}-1.0.0-{arch}.aci", tar))
        self.page(WEB, [("ac-discovery", f"{WEB} https://example.test/arch/{{name}}-{{version}}-{{arch}}.{{ext}}")])
        self.addCleanup(shutil.rmtree, self.www / "team")
        self.init({"name": WEB, "versions": ["1.0.0"], "platforms": ["linux/amd64", "linux/aarch64"]})
        self.assertEqual(len(self.changes(self.sync())), 2)
        self.client()
        for arch in ("amd64", "aarch64"):
            [record] = self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0,os=linux,arch={arch}")).records()
            self.assertEqual(record["labels"]["arch"], arch)

    def test_image_for_any_machine(self):
        tar = aci_tar(manifest(WEB, labels={"version": "1.0.0"}), [harness.directory("rootfs")])
        self.gpg.sign(self.key, write_aci(self.www / f"aci/{WEB}-1.0.0.aci", tar))
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.client()
        self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0"))

    # --- what the configuration no longer names; prune ---

    def test_prune(self):
        self.publish(WEB)
        self.publish(BASE)
        self.init({"name": WEB}, {"name": BASE, "versions": ["1.0.0"]})
        self.init({"name": WEB, "versions": ["1.0.0"]}, {"name": BASE, "versions": ["1.0.0"]})
        self.sync()
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.assertEqual(self.changes(self.sync()), [("removed", BASE, "1.0.0")])
        self.assertEqual(set(self.served()), {f"{WEB}:1.0.0"})
        # Readers of the old page still find what it announced.
        self.assertEqual(len(self.files_below("public/_images")), 4)
        dry = self.ok(self.mirror("prune", "--grace-period=0", "--dry-run")).records()
        self.assertEqual(len(dry), 3, dry)  # the release, image and signature
        self.assertEqual(len(self.files_below("public/_images")), 4)
        self.assertEqual(len(self.ok(self.mirror("prune", "--grace-period=0")).records()), 3)
        self.assertEqual(len(self.files_below("public/_images")), 2)
        self.assertFalse((self.site / "public" / BASE).exists())
        self.ok(self.mirror("verify"))
        self.init()
        self.sync("--grace-period=0")
        self.assertEqual(self.files_below("public"), ["public/index.html"])

    def test_keep_last(self):
        for version in ("1.0.0", "1.1.0", "1.10.0"):
            self.publish(WEB, version)
        self.init({"name": WEB, "versions": ["1.0.0", "1.1.0", "1.10.0"]})
        self.sync()
        records = self.ok(self.mirror("prune", "--keep-last=2")).records()
        self.assertEqual(self.changes(records), [("removed", WEB, "1.0.0")])

    # --- from a store: add, rm; own names ---

    def test_add_from_the_store_and_remove(self):
        image = self.publish(WEB)
        self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0"))
        self.init()
        with self.origin_down():
            self.assertEqual(self.changes(self.ok(self.mirror("add", f"{WEB}:1.0.0")).records()),
                             [("added", WEB, "1.0.0")])
            self.assertEqual(self.ok(self.mirror("add", image[:20])).records(), [])
            record = self.ok(self.lab.actool("image", "resolve", WEB)).out_bytes
            self.assertEqual(self.ok(self.mirror("add", stdin=record)).records(), [])
            self.assertEqual(self.sync(), [])  # what was added by hand stays
        self.assertEqual(self.served(), {f"{WEB}:1.0.0": image})
        self.client()
        self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0"))
        self.assertEqual(self.changes(self.ok(self.mirror("rm", WEB)).records()), [("removed", WEB, "1.0.0")])
        self.refused(self.mirror("rm", WEB), 252, f"the mirror has no {WEB}")

    def test_what_no_client_would_take_is_not_published(self):
        self.init()
        self.refused(self.mirror("add", WEB), 252, WEB)
        aci = write_aci(self.lab.work / "unsigned.aci", aci_tar(manifest(WEB), [harness.directory("rootfs")]))
        self.ok(self.lab.actool("--insecure-options=image", "fetch", aci))
        self.refused(self.mirror("add", WEB), 253, "has no signature")
        self.assertEqual(self.served(), {})

    def test_key_that_is_trusted_no_longer(self):
        self.publish(WEB)
        self.ok(self.lab.actool("fetch", f"{WEB}:1.0.0"))
        self.ok(self.lab.actool("trust", "rm", "--prefix=example.test", self.key))
        self.trust(self.gpg, self.stranger, "example.test")
        self.init({"name": WEB, "versions": ["1.0.0"]})
        result = self.mirror("sync")
        self.assertEqual(result.code, 253, result)
        self.refused(self.mirror("add", WEB), 253, self.key[-16:])
        self.assertEqual(self.served(), {})

    def test_a_site_of_ones_own_names(self):
        """Without mirrors.d: the site is the names' own origin."""
        self.publish(WEB)
        name = "mirror.test/app"
        tar = aci_tar(manifest(name), [harness.directory("rootfs")])
        aci = write_aci(self.lab.work / "own.aci", tar)
        self.gpg.sign(self.key, aci)
        self.trust(self.gpg, self.key, "mirror.test")
        self.ok(self.lab.actool("fetch", aci))
        self.init()
        self.ok(self.mirror("add", name))
        self.lab.reset_actool()
        keys = self.ok(self.lab.actool("discover", "--keys", name)).records()[0]["keys"]
        self.assertEqual(len(keys), 1)
        self.ok(self.lab.actool("trust", "add", "--prefix=mirror.test/app", "--skip-fingerprint-review"))
        self.assertEqual(self.ok(self.lab.actool("fetch", f"{name}:1.0.0")).records()[0]["id"], image_id(tar))
        self.assertIn("1.0.0", self.ok(self.lab.actool("discover", "--versions", name)).out)

    # --- mirrors that lie ---

    def tampered(self, code, pattern, only=True):
        self.client(only=only)
        result = self.lab.actool("fetch", f"{WEB}:1.0.0")
        self.assertEqual(result.code, code, result)
        self.assertRegex(result.err, pattern)
        return result

    def stored(self, version="1.0.0", suffix="aci"):
        [path] = (self.site / "public" / WEB / "_r").glob(f"*/os-arch/{WEB}/{version}/linux/amd64.{suffix}")
        return path.resolve()

    def test_flipped_bit(self):
        image = self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        path = self.stored()
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        result = self.tampered(253, "what mirror https://mirror.test has for .* is refused: ")
        self.assertEqual(self.image_ids(), [])
        result = self.tampered(0, "is refused", only=False)
        self.assertEqual(result.records()[0]["id"], image)
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.test")
        self.assertRegex(self.mirror("verify").err, f"{WEB}:1.0.0.*: its image is damaged")
        self.assertEqual(self.mirror("verify", "--repair").code, 253)
        self.assertRegex(self.mirror("verify").err, "its image is missing")
        self.sync()
        self.ok(self.mirror("verify"))

    def test_other_image_under_the_name(self):
        self.publish(WEB)
        self.publish(BASE)
        self.init({"name": WEB, "versions": ["1.0.0"]}, {"name": BASE, "versions": ["1.0.0"]})
        self.sync()
        [other] = (self.site / "public" / BASE / "_r").glob(f"*/os-arch/{BASE}/1.0.0/linux/amd64.aci")
        for suffix in ("", ".asc"):
            self.stored(suffix="aci" + suffix).write_bytes(pathlib.Path(str(other) + suffix).read_bytes())
        self.tampered(253, f"is called {BASE}|{BASE}")
        self.assertEqual(self.image_ids(), [])

    def test_signature_of_a_stranger(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.gpg.sign(self.stranger, self.stored(), self.stored(suffix="aci.asc"))
        self.tampered(253, self.stranger[-16:])

    def test_older_version_replayed(self):
        """As another version it is refused; as the newest one it is said to be older."""
        self.publish(WEB, "1.0.0")
        self.publish(WEB, "2.0.0")
        self.init({"name": WEB, "versions": ["1.0.0", "2.0.0"]})
        self.sync()
        self.client()
        self.ok(self.lab.actool("fetch", WEB))
        old = {suffix: self.stored("1.0.0", suffix).read_bytes() for suffix in ("aci", "aci.asc")}
        for suffix, data in old.items():
            self.stored("2.0.0", suffix).write_bytes(data)
        result = self.lab.actool("fetch", "--pull-policy=update", f"{WEB}:2.0.0")
        self.assertEqual(result.code, 253, result)
        self.assertRegex(result.err, "2.0.0.* was asked for|version")
        result = self.ok(self.lab.actool("fetch", "--pull-policy=update", WEB))
        self.assertRegex(result.err, "warning: .*https://mirror.test/.* serves version 1.0.0, which is older than the 2.0.0")

    def test_a_page_that_leads_elsewhere(self):
        """A mirror has no say about other hosts, and gets nobody's credentials."""
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        page = next((self.site / "public" / WEB / "_r").glob("*/index.html"))
        text = page.read_text()
        self.client()
        auth = self.lab.local_config / "auth.d"
        auth.mkdir()
        (auth / "a.json").write_text(json.dumps({
            "rktKind": "auth", "rktVersion": "v1", "domains": ["auth.test", "evil.test"], "type": "basic",
            "credentials": {"user": "me", "password": "secret"}}))
        for place in ("auth.test", "evil.test", "mirror.test.evil.test", "example.test"):
            page.write_text(text.replace("https://mirror.test/", f"https://{place}/"))
            before = len(self.asked(place))
            self.refused(self.lab.actool("fetch", f"{WEB}:1.0.0"), 252, f"it leads to {place}, away from the mirror's own mirror.test")
            self.assertEqual(len(self.asked(place)), before, place)

    def test_a_redirect_gets_no_credentials(self):
        self.publish(WEB)
        self.client(mirrors=["https://evil.test/"])
        self.nginx.page("evil.test", f"evil.test/{WEB}", [("ac-discovery", f"{WEB} https://evil.test/go/{{version}}.{{ext}}")])
        config = self.nginx.dir / "nginx.conf"
        text = config.read_text()
        self.addCleanup(self.reload, text)
        self.reload(text.replace(f"root {self.nginx.root('evil.test')};",
                                 f"root {self.nginx.root('evil.test')}; location /go/ {{ return 302 https://auth.test$uri; }}"))
        self.refused(self.lab.actool("fetch", f"{WEB}:1.0.0"), 251, "auth.test.*asks for credentials .HTTP 401.*not sent there")

    def reload(self, text):
        (self.nginx.dir / "nginx.conf").write_text(text)
        self.nginx.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)

    def test_hostile_lists(self):
        self.publish(WEB)
        for text, pattern in [
                ("<html>", "not valid JSON"),
                ('{"kind":"versions","name":"evil.test/x","images":[]}', "it lists the versions of evil.test/x"),
                (json.dumps({"kind": "versions", "name": WEB, "images": [{"labels": {"version": "../../x"}}]}), None),
                (json.dumps({"kind": "versions", "name": WEB, "images": [{"labels": {"version": "1 --raw=https://evil.test/"}}]}), None),
                (json.dumps({"kind": "versions", "name": WEB, "images": [{"labels": {"version": str(n)}} for n in range(20001)]}), "more than the limit"),
                ("[" * 100000, "nested deeper"),
                ("x" * (9 << 20), "8.0 MiB"),
        ]:
            (self.www / "list.json").write_text(text)
            self.page("example.test/team", [("ac-discovery-versions", f"{WEB} https://example.test/list.json"),
                                            ("ac-discovery", f"{WEB} https://example.test/aci/{{name}}-{{version}}.{{ext}}")])
            self.init({"name": WEB, "versions": ["*"], "keep": 1})
            result = self.mirror("sync")
            self.assertNotEqual(result.code, 0, text[:60])
            self.assertNotIn("internal error", result.err)
            if pattern:
                self.assertRegex(result.err, pattern)
            self.assertEqual(self.served(), {})
        shutil.rmtree(self.www / "team")

    # --- keys ---

    def test_keys_are_not_taken_from_mirrors(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.client(only=False)
        shutil.rmtree(self.lab.local_config / "trustedkeys")
        result = self.lab.actool("--trust-keys-from-https", "fetch", f"{WEB}:1.0.0")
        self.assertEqual(result.code, 252, result)  # the origin announces none
        self.assertRegex(result.err, "no ac-discovery-pubkeys tag")
        self.client(only=True)
        self.refused(self.lab.actool("trust", "add", f"--prefix={WEB}", "--skip-fingerprint-review"), 252,
                     "keeps from being asked")

    # --- two at once, full disks, mistakes ---

    def test_two_syncs_at_once(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        import fcntl
        with open(self.site / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.refused(self.mirror("sync"), 250, "the mirror site .* is locked by another process")
            self.ok(self.mirror("list"))
        processes = [self.lab.popen("mirror", "sync", self.site) for _ in range(2)]
        codes = []
        for process in processes:
            process.communicate(timeout=60 * harness.SLOW)
            codes.append(process.returncode)
        self.assertIn(0, codes)
        self.assertTrue(set(codes) <= {0, 250}, codes)
        self.ok(self.mirror("verify"))

    def test_full_disk(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        before = self.served()
        self.publish(BASE, content=os.urandom(3 << 20))
        small = self.lab.work / "small"
        small.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(small)], check=True)
        subprocess.run(["cp", "-a", str(self.site), str(small / "site")], check=True)
        self.site = small / "site"
        self.init({"name": WEB, "versions": ["1.0.0"]}, {"name": BASE, "versions": ["1.0.0"]})
        result = self.mirror("sync")
        self.assertEqual(result.code, 254, result)
        self.assertIn("No space left on device", result.err)
        self.assertEqual(self.served(), before)
        self.ok(self.mirror("verify"))
        self.assertEqual(self.files_below("tmp"), [])

    def test_mistakes(self):
        self.refused(self.mirror("sync"), 252, "is no mirror site")
        self.refused(self.lab.actool("mirror", "init", "--url", "ftp://x", self.site), 254, "no URL of a web site")
        self.init({"name": WEB, "versions": ["1.0.0"], "colour": "blue"})
        self.refused(self.mirror("sync"), 254, "colour")
        self.init({"name": WEB}, {"name": WEB})
        self.refused(self.mirror("list"), 254, "stands there twice")
        self.init()
        self.refused(self.mirror("sync", WEB), 252, f"does not name {WEB}")
        self.refused(self.lab.actool("mirror", "init", "--url", "https://x.test", self.site), 254, "is a mirror site already")

    def test_one_name_that_fails_leaves_the_others(self):
        self.publish(WEB)
        self.publish(BASE, key=self.stranger)
        self.init({"name": BASE, "versions": ["1.0.0"]}, {"name": WEB, "versions": ["1.0.0"]})
        result = self.mirror("sync")
        self.assertEqual(result.code, 253, result)
        self.assertEqual(set(self.served()), {f"{WEB}:1.0.0"})

    def test_upstream_that_took_an_image_away(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        shutil.rmtree(self.www / "aci")
        self.assertEqual(self.sync(), [])

    def test_pages(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        root = self.site / "public"
        for folder in ("", "example.test", "example.test/team"):
            page = (root / folder / "index.html").read_text()
            self.assertNotIn("ac-discovery", page)
            self.assertIn("<a href=", page)
        page = (root / WEB / "index.html").read_text()
        for tag in ("ac-discovery", "ac-discovery-pubkeys", "ac-discovery-versions"):
            self.assertIn(f'<meta name="{tag}" content="{WEB} https://mirror.test/', page)
        for path in self.site.glob("public/**/*"):
            self.assertTrue(path.stat().st_mode & 0o004, path)

    def test_torrents(self):
        self.publish(WEB)
        self.init({"name": WEB, "versions": ["1.0.0"]}, torrents=True)
        self.sync()
        [torrent] = (self.site / "public" / WEB / "_r").glob(f"*/os-arch/{WEB}/1.0.0/linux/amd64.aci.torrent")
        self.assertIn(b"https://mirror.test/_images/", torrent.read_bytes())
        page = (self.site / "public" / WEB / "index.html").read_text()
        self.assertIn(f'content="{WEB} torrent+https://mirror.test/', page)

    def test_torrents_of_names_whose_swarms_admit_by_certificate(self):
        admitted, other = "example.test/team/a", "example.test/open"
        self.publish(admitted)
        self.publish(other)
        authority = private_swarm_test.Authority(self.lab.work / "authority", "Fleet CA")
        folder = self.lab.local_config / "swarms.d"
        folder.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, folder)
        (folder / "team.json").write_text(json.dumps({"rktKind": "swarms", "rktVersion": "v1", "prefixes": ["example.test/team"],
                                                      "ca": str(authority.ca)}))
        self.init({"name": admitted, "versions": ["1.0.0"]}, {"name": other, "versions": ["1.0.0"]}, torrents=True)
        self.sync()
        for name, admits in ((admitted, True), (other, False)):
            [torrent] = (self.site / "public" / name / "_r").glob(f"*/os-arch/{name}/1.0.0/linux/amd64.aci.torrent")
            here = self.lab.work / "here.torrent"
            self.ok(self.lab.actool("torrent", f"--output={here}", f"{name}:1.0.0"))
            self.assertEqual(private_swarm_test.info(torrent), private_swarm_test.info(here))
            self.assertEqual(private_swarm_test.info(torrent)[1] != "", admits, name)

    def test_many_names(self):
        """Not a benchmark: the unit tests have a thousand. What did not change costs no process."""
        names = [f"example.test/many/n{n}" for n in range(20)]
        for name in names:
            self.publish(name)
        self.init(*[{"name": n, "versions": ["1.0.0"]} for n in names])
        begin = time.monotonic()
        self.sync()
        first = time.monotonic() - begin
        begin = time.monotonic()
        self.assertEqual(self.sync(), [])
        second = time.monotonic() - begin
        print(f"{len(names)} names: first sync {first:.1f} s, then {second:.2f} s", flush=True)
        self.assertLess(second, 5 * harness.SLOW)


class Proxies(MirrorCase):
    """squid as the way out; whoever asks for a host through it is in its log."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dir = cls.lab.work / "squid"
        cls.dir.mkdir()
        shutil.chown(cls.dir, "proxy")
        (cls.dir / "squid.conf").write_text(f"""
http_port 127.0.0.1:3128
http_access allow all
cache deny all
access_log stdio:{cls.dir}/access.log
cache_log {cls.dir}/cache.log
pid_filename {cls.dir}/pid
coredump_dir {cls.dir}
logfile_rotate 0
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
""")
        cls.lab.start(["squid", "-N", "-f", str(cls.dir / "squid.conf")], stderr=subprocess.DEVNULL)
        harness.wait_for(lambda: harness._connects(3128), "squid to listen")

    def setUp(self):
        super().setUp()
        self.publish(WEB)

    def through_proxy(self, env=None):
        """The hosts that a fetch asks the proxy for."""
        log = self.dir / "access.log"
        before = len(log.read_text().splitlines()) if log.exists() else 0
        self.ok(self.lab.actool("fetch", "--pull-policy=update", f"{WEB}:1.0.0", env=env))
        time.sleep(0.2)
        lines = log.read_text().splitlines()[before:] if log.exists() else []
        return {line.split()[6] for line in lines if " CONNECT " in line}

    def configure(self, **members):
        folder = self.lab.local_config / "proxies.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "proxy.json").write_text(json.dumps({"rktKind": "proxies", "rktVersion": "v1", **members}))

    def test_environment(self):
        self.assertEqual(self.through_proxy(), set())
        proxy = {"https_proxy": "http://127.0.0.1:3128"}
        self.assertEqual(self.through_proxy(proxy), {"example.test:443"})
        self.assertEqual(self.through_proxy({**proxy, "no_proxy": "example.test"}), set())

    def test_configuration(self):
        self.configure(prefixes=["other.test"], proxy="http://127.0.0.1:3128")
        self.assertEqual(self.through_proxy(), set())
        self.configure(prefixes=["example.test"], proxy="http://127.0.0.1:3128")
        self.assertEqual(self.through_proxy(), {"example.test:443"})
        self.assertEqual(self.through_proxy({"no_proxy": "example.test"}), {"example.test:443"})
        self.configure(prefixes=["*"], proxy="direct")
        self.assertEqual(self.through_proxy({"https_proxy": "http://127.0.0.1:3128"}), set())

    def test_a_mirror_by_a_proxy(self):
        self.init({"name": WEB, "versions": ["1.0.0"]})
        self.sync()
        self.client()
        self.configure(prefixes=["mirror.test"], proxy="http://127.0.0.1:3128")
        self.assertEqual(self.through_proxy(), {"mirror.test:443"})


class Reader(threading.Thread):
    """Reads a name's page over and over, and all that it announces; `wrong` says what did not fit."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.over, self.rounds, self.wrong = url, False, 0, []
        self.context = ssl.create_default_context(cafile=harness.CA_BUNDLE)
        self.seen = set()

    def get(self, url):
        with urllib.request.urlopen(url, context=self.context, timeout=30) as answer:
            return answer.read()

    def run(self):
        while not self.over:
            try:
                self.round()
            except Exception as error:  # whatever it is, the reader was let down
                self.wrong.append(repr(error))
            self.rounds += 1

    def round(self):
        page = self.get(self.url).decode()
        tags = dict(re.findall(r'name="(ac-discovery[a-z-]*)" content="\S+ (\S+)"', page))
        versions = json.loads(self.get(tags["ac-discovery-versions"]))
        self.get(tags["ac-discovery-pubkeys"])
        for image in versions["images"]:
            labels = image["labels"]
            url = tags["ac-discovery"].replace("{name}", versions["name"])
            for label in ("version", "os", "arch"):
                url = url.replace("{%s}" % label, labels.get(label, "latest"))
            for ext, member in (("aci", "digest"), ("aci.asc", "signature")):
                digest = "sha256:" + hashlib.sha256(self.get(url.replace("{ext}", ext))).hexdigest()
                if digest != image[member]:
                    self.wrong.append(f"{url} {ext}: {digest}, the list says {image[member]}")
        self.seen.add(hashlib.sha256(page.encode()).hexdigest())


class MirrorCrash(MirrorCase):
    def test_sigkill_at_random_instants(self):
        """Readers see one release or the next, never half of one, and the next sync completes."""
        chance = random.Random(2026)
        releases = []
        for number in range(2):
            self.publish(WEB, f"1.{number}.0", content=random.Random(number).randbytes(1 << 20))
            releases.append({"name": WEB, "versions": [f"1.{number}.0"]})
        latest = [self.publish(WEB, f"2.{number}.0", as_version="latest", content=random.Random(9 + number).randbytes(1 << 19))
                  for number in range(2)]
        both = {"name": WEB, "versions": ["1.0.0", "1.1.0"]}
        self.init(both)
        begin = time.monotonic()
        self.sync()
        reader = Reader(f"https://mirror.test/{WEB}/")
        reader.start()
        configs = [releases[0], releases[1], both, {"name": WEB, "versions": ["1.0.0", "latest"]}]
        self.init(configs[-1])
        begin = time.monotonic()
        self.sync()
        duration = time.monotonic() - begin
        killed = 0
        for attempt in range(KILLS):
            self.init(chance.choice(configs))
            # The images are copied anew now and then, not only linked.
            if attempt % 4 == 0:
                self.mirror("prune", "--grace-period=20s")
            begin = time.monotonic()
            process = self.lab.popen("mirror", "sync", self.site)
            try:
                process.wait(chance.uniform(0, duration))
                duration = time.monotonic() - begin  # what it takes at present
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=30 * harness.SLOW)
            killed += process.returncode == -signal.SIGKILL
            if attempt % 10 == 0:
                self.ok(self.mirror("verify"))
        self.assertGreater(len(reader.seen), 1)  # releases that syncs ended with between the kills
        # Nothing that was left behind keeps the next one from being published, whichever it is.
        for config in [*configs, both]:
            self.init(config)
            self.sync()
            rounds = reader.rounds
            harness.wait_for(lambda: reader.rounds > rounds + 1, "the reader to look again")
        reader.over = True
        reader.join(60)
        self.assertEqual(reader.wrong, [])
        self.assertGreater(reader.rounds, 10)
        self.assertGreater(len(reader.seen), 3)  # all of them
        self.assertGreater(killed, KILLS // 4)
        self.assertEqual(set(self.served()), {f"{WEB}:1.0.0", f"{WEB}:1.1.0"})
        self.ok(self.mirror("verify"))
        self.assertEqual(self.files_below("tmp"), [])


if __name__ == "__main__":
    harness.main()
