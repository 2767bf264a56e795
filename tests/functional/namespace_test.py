"""Tenants of one store, and what the store knows of where its images come from."""

import json
import os
import random
import signal
import time

import harness

NAME = "example.test/web"
KILLS = harness.kills(40)


class TenantCase(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = harness.Gpg(cls.lab)
        cls.key = cls.gpg.key("Web <web@example.test>")
        cls.nginx = cls.lab.nginx({"example.test": {}})
        cls.www = cls.nginx.root("example.test")
        cls.nginx.page("example.test", NAME, [
            ("ac-discovery", "example.test https://example.test/{name}-{version}.{ext}")])
        cls.tar = harness.aci_tar(harness.manifest(NAME, exec=["/bin/busybox", "echo", "hello"]))
        cls.id = harness.image_id(cls.tar)
        cls.aci = harness.write_aci(cls.www / f"{NAME}-1.0.0.aci", cls.tar)
        cls.asc = cls.gpg.sign(cls.key, cls.aci)

    def team(self, *args, **kwargs):
        return self.lab.actool("--namespace=team", *args, **kwargs)

    def trust_in_team(self):
        path = self.lab.work / "key.pub"
        path.write_bytes(self.gpg.export(self.key))
        self.ok(self.team("trust", "add", f"--prefix={NAME}", "--skip-fingerprint-review", path))

    def blobs(self):
        return sorted(path.name for path in (self.lab.store / "blobs").rglob("*") if path.is_file())

    def log(self, *options):
        return self.ok(self.lab.actool("image", "log", "--all-namespaces", *options)).records()

    def requests_for(self, suffix):
        return [line for line in self.nginx.requests() if suffix in str(line)]


class Tenants(TenantCase):
    def test_trust_and_names_are_each_ones_own_and_bytes_are_shared(self):
        self.trust(self.gpg, self.key, NAME)
        self.ok(self.lab.actool("fetch", f"{NAME}:1.0.0"))
        blobs = self.blobs()
        # Nothing of it is there for the team, by no name and by no ID.
        self.assertEqual(self.ok(self.team("image", "list")).out, "")
        for argument in (NAME, self.id, self.id[:20]):
            self.refused(self.team("image", "resolve", argument), 252, "in namespace team of the store")
            self.refused(self.team("run", "--pull-policy=never", argument), 252, "no image")
        self.refused(self.team("image", "cat-manifest", self.id), 252, "no image")
        self.refused(self.team("image", "export", self.id, "-"), 252, "no image")
        self.refused(self.team("image", "rm", self.id), 252, "no image")
        # The default namespace's key counts for nothing.
        self.assertEqual(self.ok(self.team("trust", "list")).out, "")
        self.refused(self.team("fetch", f"{NAME}:1.0.0"), 253, "unknown key")
        self.assertEqual(self.ok(self.team("image", "list")).out, "")

        self.trust_in_team()
        keys = self.lab.local_config / "namespaces/team/trustedkeys/prefix.d" / NAME
        self.assertEqual([path.name for path in keys.iterdir()], [self.key])
        before = len(self.requests_for(".aci "))
        self.ok(self.team("fetch", f"{NAME}:1.0.0"))
        self.assertEqual(self.ok(self.team("image", "list", "--format=id")).out, self.id + "\n")
        self.assertEqual(self.blobs(), blobs)
        self.assertEqual(len(self.requests_for(".aci ")), before)  # no byte of it came again

        result = self.ok(self.team("run", NAME))
        self.assertIn("hello", result.out)
        self.assertEqual(self.ok(self.lab.actool("list")).records(), [])
        pods = self.ok(self.team("list", "--format=json"))
        self.assertIn("exited", pods.out)

        rows = {row["name"]: row["images"] for row in self.ok(self.lab.actool("image", "namespaces")).records()}
        self.assertEqual(rows, {"default": 1, "team": 1})

        # It leaves one, and stays whole in the other.
        self.ok(self.lab.actool("image", "rm", self.id))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        self.ok(self.team("image", "verify"))
        self.ok(self.lab.actool("gc", "--all-namespaces", "--grace-period=0s"))
        self.ok(self.lab.actool("gc", "--all-namespaces", "--grace-period=0s"))
        self.assertEqual(self.ok(self.team("list")).records(), [])
        self.ok(self.team("image", "rm", self.id))
        self.assertEqual(self.blobs(), [])
        self.ok(self.lab.actool("image", "fsck"))

        told = [(line["event"], line["namespace"]) for line in self.log("--image=" + self.id)]
        self.assertEqual(told, [("import", "default"), ("import", "team"), ("run", "team"),
                                ("remove", "default"), ("remove", "team")])
        self.assertEqual([line["result"] for line in self.log("--event=import")], ["new", "shared"])

    def test_the_environment_and_the_configuration_choose_it(self):
        self.trust_in_team()
        env = {"ACTOOL_NAMESPACE": "team"}
        self.ok(self.lab.actool("fetch", f"{NAME}:1.0.0", env=env))
        self.assertEqual(self.image_ids(), [])
        self.assertEqual(self.ok(self.lab.actool("image", "list", "--format=id", env=env)).out, self.id + "\n")
        self.assertEqual(self.ok(self.lab.actool("--namespace=default", "image", "list", env=env)).out, "")
        paths = self.lab.local_config / "paths.d"
        paths.mkdir(parents=True)
        (paths / "a.json").write_text(json.dumps({"rktKind": "paths", "rktVersion": "v1", "namespace": "team"}))
        self.assertEqual(self.image_ids(), [self.id])
        self.refused(self.lab.actool("image", "list", env={"ACTOOL_NAMESPACE": "../x"}), 254,
                     r"\$ACTOOL_NAMESPACE: '\.\./x' is no name for a namespace")
        self.refused(self.lab.actool("--namespace=Team", "image", "list"), 254, "is no name for a namespace")


class Crashes(TenantCase):
    """SIGKILL while one namespace takes in, or gives up, what another one has too."""

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, NAME)
        self.trust_in_team()

    def killed(self, duration, *args):
        process = self.lab.popen("--namespace=team", *args)
        time.sleep(self.chance.uniform(0, duration * 2.5))
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate(timeout=30 * harness.SLOW)
        return process.returncode == -signal.SIGKILL

    def team_ids(self):
        return self.ok(self.team("image", "list", "--format=id")).out.split()

    def test_the_image_is_absent_or_whole_in_each(self):
        self.chance = random.Random(2027)
        ingest = ["image", "ingest", f"--signature={self.asc}", str(self.aci)]
        remove = ["image", "rm", self.id]
        self.ok(self.lab.actool(*ingest))
        begin = time.monotonic()
        self.ok(self.team(*ingest))
        ingesting = time.monotonic() - begin
        begin = time.monotonic()
        self.ok(self.team(*remove))
        removing = time.monotonic() - begin
        seen = set()
        cut = 0
        for attempt in range(5 * KILLS):
            if attempt >= KILLS and {(False, True), (True, False)} <= seen:
                break
            there = bool(self.team_ids())
            cut += self.killed(removing if there else ingesting, *(remove if there else ingest))
            # Whatever is half done there, this namespace's removal takes no byte that it needs.
            if attempt % 2 == 0:
                self.ok(self.lab.actool(*remove))
            else:
                self.ok(self.lab.actool(*ingest))
            ids = self.team_ids()
            self.assertIn(ids, ([], [self.id]), attempt)
            seen.add((there, bool(ids)))
            if ids:
                self.assertEqual(self.ok(self.team("image", "export", self.id, "-")).out_bytes, self.tar, attempt)
        self.ok(self.team("image", "verify"))
        self.assertGreater(cut, KILLS // 8)  # the kills came while it ran
        self.assertIn((False, True), seen)
        self.assertIn((True, False), seen)
        result = self.ok(self.lab.actool("image", "fsck"))
        self.assertIn("0 index entries added, 0 removed", result.err)
        # What came and what went is in the log, be it as what was found afterwards.
        present = False
        for line in self.log("--image=" + self.id):
            if line["namespace"] == "team":
                present = line.get("present", line["event"] == "import")
        self.assertEqual(present, bool(self.team_ids()))


class Provenance(TenantCase):
    def why(self, *options):
        return self.lab.actool("image", "why", *options, NAME)

    def checks(self, result):
        return {check["what"]: check["verdict"] for check in json.loads(result.out)["checks"]}

    def fetched(self):
        self.trust(self.gpg, self.key, NAME)
        self.ok(self.lab.actool("fetch", f"{NAME}:1.0.0", env={"SUDO_UID": "4242"}))
        return self.lab.local_config / "trustedkeys/prefix.d" / NAME / self.key

    def test_it_says_who_why_and_from_where(self):
        key_file = self.fetched()
        told = self.ok(self.why()).out
        for part in (NAME + ":1.0.0", self.id, f"https://example.test/{NAME}-1.0.0.aci", "root (uid 0), for uid 4242 by sudo",
                     "actool-fetch:https", self.key, f"prefix {NAME}", str(key_file),
                     "the tar is what the image ID says", "the signature fits", "still trusts the key"):
            self.assertIn(part, told)
        record = json.loads(self.ok(self.why("--format=json")).out)
        self.assertEqual((record["kind"], record["holds"], record["namespace"]), ("provenance", True, "default"))
        self.assertEqual(record["signature"]["keyFile"], str(key_file))
        row = self.ok(self.lab.actool("image", "list", "--format=table", "--no-legend",
                                      "--fields=requested,source,rule,importedby,via")).out
        self.assertEqual(row.split(), [f"{NAME}:1.0.0", f"https://example.test/{NAME}-1.0.0.aci", "prefix", NAME,
                                       "root", "actool-fetch:https"])

    def test_it_says_what_no_longer_holds(self):
        key_file = self.fetched()
        key = key_file.read_bytes()
        key_file.unlink()
        result = self.why("--format=json")
        self.assertEqual(result.code, 253)
        self.assertEqual(self.checks(result), {"tar": "good", "signature": "bad", "key": "bad"})
        self.assertIn("no longer holds", result.err)
        # Another rule would let it in by now. What did is gone all the same.
        root = self.lab.local_config / "trustedkeys/root.d"
        root.mkdir(parents=True)
        (root / self.key).write_bytes(key)
        result = self.why("--format=json")
        self.assertEqual(result.code, 253)
        self.assertEqual(self.checks(result), {"tar": "good", "signature": "good", "key": "bad"})
        self.assertIn(f"the rule prefix {NAME} is gone; the key is trusted by root now", result.err)
        key_file.write_bytes(key)
        self.ok(self.why())
        blob = next(path for path in (self.lab.store / "blobs/sha512").rglob("*") if path.is_file())
        data = bytearray(blob.read_bytes())
        data[-600] ^= 1
        blob.write_bytes(data)
        result = self.why("--format=json")
        self.assertEqual(result.code, 253)
        self.assertEqual(self.checks(result)["tar"], "bad")

    def test_what_cannot_be_said_is_no_failure(self):
        self.fetched()
        self.ok(self.lab.actool("image", "gc", "--drop-distributed"))
        self.assertEqual(self.checks(self.ok(self.why("--format=json"))),
                         {"tar": "good", "signature": "unknown", "key": "good"})
        self.ok(self.lab.actool("image", "rm", NAME))
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", self.aci))
        result = self.ok(self.why("--format=json"))
        self.assertEqual(self.checks(result), {"tar": "good", "signature": "unknown", "key": "unknown"})

    def test_the_log_tells_what_was_done(self):
        self.refused(self.lab.actool("fetch", f"{NAME}:1.0.0"), 253, "unknown key")
        self.fetched()
        self.ok(self.lab.actool("run", NAME))
        self.ok(self.lab.actool("gc", "--grace-period=0s"))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s", "--keep-bytes=0"))
        events = self.log()
        self.assertEqual([line["event"] for line in events], ["refuse", "import", "run", "remove"])
        refused, imported, run, removed = events
        self.assertIn("unknown key", refused["why"])
        self.assertEqual(imported["sudoUid"], 4242)
        self.assertEqual((run["images"], run["tool"]), ([self.id], "actool-run"))
        self.assertEqual(removed["by"], "gc")
        self.assertEqual([line["event"] for line in self.log("--event=run,remove")], ["run", "remove"])
        self.assertEqual(len(self.log("--since=1h")), 4)
        self.assertEqual(self.ok(self.team("image", "log")).out, "")
        table = self.ok(self.lab.actool("image", "log", "--format=table")).out.splitlines()
        self.assertEqual(len(table), 5)
        # A line that was cut hides no other.
        log = self.lab.store / "audit.log"
        log.write_text(log.read_text() + '{"kind":"au')
        result = self.ok(self.lab.actool("image", "log"))
        self.assertEqual(len(result.records()), 4)
        self.assertIn("1 lines can't be read", result.err)


if __name__ == "__main__":
    harness.main()
