"""The commands of pods as rkt has them: prepare and run-prepared, enter, export, config, formats, and
the same under the name rkt. Over the native stage1."""

import json
import subprocess
import tarfile

import harness
from run_test import UUID, PodCase


class Prepared(PodCase):
    def prepare(self, *args):
        out = self.ok(self.lab.actool("prepare", *args)).out
        self.assertRegex(out.strip(), f"^{UUID.pattern}$")
        return out.strip()

    def test_prepared_then_run(self):
        uuid = self.prepare("--quiet", "--set-env=WHO=all", self.id, "--exec=/bin/sh", "--", "-c",
                            "echo $WHO; hostname; exit 5")
        self.assertEqual(self.status(uuid)["state"], "prepared")
        result = self.lab.actool("run-prepared", "--hostname=box", uuid[:10])
        self.assertEqual((result.code, result.out), (5, "all\nbox\n"), result)
        self.assertEqual(self.status(uuid)["app-web"], "5")
        self.refused(self.lab.actool("run-prepared", uuid), 254, "is not prepared, it is exited")
        self.collect()

    def test_of_many_run_prepared_one_wins(self):
        uuid = self.prepare(self.id, "--exec=/bin/sh", "--", "-c", "echo ran; sleep 0.3")
        many = [self.lab.popen("run-prepared", uuid) for _ in range(8)]
        codes, outs = [], []
        for process in many:
            out, err = process.communicate(timeout=60 * harness.SLOW)
            codes.append(process.returncode)
            outs.append(out)
            if process.returncode:
                self.assertRegex(err.decode(), "was started or removed by another process|is not prepared")
        self.assertEqual(codes.count(0), 1, codes)
        self.assertTrue(set(codes) <= {0, 250, 254}, codes)
        self.assertEqual(sorted(outs), [b""] * 7 + [b"ran\n"])

    def test_options_stand_where_they_take_effect(self):
        self.refused(self.lab.actool("prepare", "--net=host", self.id), 254, "there is no option --net")
        self.refused(self.lab.actool("prepare", "--interactive", self.id), 254, "no option --interactive")
        uuid = self.prepare(self.id)
        self.refused(self.lab.actool("run-prepared", uuid, "--exec=/bin/ls"), 254, "there is no option --exec")
        self.refused(self.lab.actool("run-prepared", uuid, uuid), 254, "takes one UUID")
        self.refused(self.lab.actool("run-prepared"), 254, "takes one UUID")
        self.assertEqual(self.ok(self.lab.actool("run-prepared", "--net=host", uuid)).out, "ran\n")

    def test_interactive_is_for_one_app(self):
        uuid = self.prepare(self.id, "---", self.id, "--name=two")
        self.refused(self.lab.actool("run-prepared", "--interactive", uuid), 254, "pods of one app")
        # Nothing was lost by that.
        self.ok(self.lab.actool("run-prepared", uuid))

    def test_copied_when_asked(self):
        uuid = self.prepare("--no-overlay", self.id)
        directory = self.pod_dir(uuid)
        self.assertTrue((directory / "stage1/rootfs/opt/stage2/web/rootfs/bin/busybox").exists())
        self.assertFalse((directory / "stage1/tree").exists())
        self.assertEqual(self.mounts(), [])
        self.assertEqual(self.ok(self.lab.actool("run-prepared", uuid)).out, "ran\n")
        self.collect()

    def test_expires(self):
        uuid = self.prepare(self.id)
        self.ok(self.lab.actool("gc", "--grace-period=0s"))
        self.assertEqual(self.status(uuid)["state"], "prepared")
        self.assertEqual(self.ok(self.lab.actool("gc", "--grace-period=0s", "--expire-prepared=0s")).out, uuid + "\n")

    def test_removed_before_it_ran(self):
        uuid = self.prepare(self.id)
        self.assertEqual(self.ok(self.lab.actool("rm", uuid)).out, uuid + "\n")
        self.refused(self.lab.actool("run-prepared", uuid), 252, "there is no pod")
        self.assertEqual(list(self.lab.store.glob("pods/*/*")), [])

    def test_failures_leave_no_pod(self):
        self.refused(self.lab.actool("prepare", "sha512-0123456789"), 252, "no image sha512-0123456789")
        self.refused(self.lab.actool("prepare", self.id, "--mount=volume=v,target=/v"), 254, "mounts the volume v")
        self.assertEqual(list(self.lab.store.glob("pods/*/*")), [])

    def test_app_options_of_rkt(self):
        uuid = self.prepare(self.id, "--user-annotation=a=b", "--user-label=c=d", "--annotation=example.com/e=f",
                            "--supplementary-gids=7,8", "--exec=/bin/id", "--", "-G")
        [app] = json.loads(self.ok(self.lab.actool("cat-manifest", uuid)).out)["apps"]
        self.assertEqual(app["app"]["userAnnotations"], {"a": "b"})
        self.assertEqual(app["app"]["userLabels"], {"c": "d"})
        self.assertEqual(app["annotations"], [{"name": "example.com/e", "value": "f"}])
        groups = self.ok(self.lab.actool("run-prepared", uuid)).out.split()
        self.assertEqual(set(groups), {"0", "7", "8"})
        self.refused(self.lab.actool("prepare", self.id, "--user-label=c"), 254, "'c' is not NAME=VALUE")
        self.refused(self.lab.actool("prepare", self.id, "--supplementary-gids=x"), 254, "'x' is no group number")

    def test_signature_goes_with_its_image(self):
        gpg = harness.Gpg(self.lab)
        key = gpg.key("Test <test@example.com>")
        self.trust(gpg, key, prefix="example.com/signed")
        tar = harness.aci_tar(harness.manifest("example.com/signed", exec=["/bin/echo", "signed"]))
        path = harness.write_aci(self.lab.work / "signed.aci", tar)
        signature = gpg.sign(key, path, output=self.lab.work / "elsewhere.asc")
        result = self.lab.actool("run", path, f"--signature={signature}")
        self.assertEqual(self.ok(result).out, "signed\n")


class Enter(PodCase):
    LOOP = ["--exec=/bin/sleep", "--", "100"]

    def test_command_in_the_apps_place(self):
        process, uuid = self.start(self.id, "--environment=X=x", *self.LOOP)
        script = "echo $X $AC_APP_NAME; pwd; exit 7"
        result = self.lab.actool("enter", uuid[:8], "/bin/sh", "-c", script)
        self.assertEqual((result.code, result.out), (7, "x web\n/\n"), result)
        result = self.lab.actool("enter", "--app=web", uuid, "--", "hostname")
        self.assertEqual(self.ok(result).out, f"rkt-{uuid}\n")
        result = self.lab.actool("enter", uuid, "cat", stdin=b"typed")
        self.assertEqual(self.ok(result).out, "typed")

    def test_without_a_command_a_shell(self):
        process, uuid = self.start(self.id, *self.LOOP)
        result = self.lab.actool("enter", uuid, stdin=b"echo in the shell of $AC_APP_NAME; exit 3\n")
        self.assertEqual((result.code, result.out), (3, "in the shell of web\n"), result)

    def test_which_app(self):
        process, uuid = self.start(self.id, *self.LOOP, "---", self.id, "--name=two", *self.LOOP)
        self.refused(self.lab.actool("enter", uuid, "ls"), 254, "choose one with --app: web, two")
        self.refused(self.lab.actool("enter", "--app=three", uuid, "ls"), 252, "the pod has no app 'three'")
        result = self.lab.actool("enter", "--app=two", uuid, "/bin/sh", "-c", "echo $AC_APP_NAME")
        self.assertEqual(self.ok(result).out, "two\n")

    def test_only_running_pods(self):
        self.ok(self.run_pod(self.id))
        [pod] = self.pods()
        self.refused(self.lab.actool("enter", pod["uuid"], "ls"), 254, "is not running, it is exited")
        self.refused(self.lab.actool("enter"), 254, "which pod")
        self.refused(self.lab.actool("enter", "ffffffff"), 252, "there is no pod")

    def test_stage1_without_the_entry_point(self):
        trivial = harness.SOURCE / "tests/functional/stage1-trivial"
        process, uuid = self.start(f"--stage1-path={trivial}", self.id, *self.LOOP)
        self.refused(self.lab.actool("enter", uuid, "ls"), 254, "has no entry point coreos.com/rkt/stage1/enter")

    def test_nothing_stays_mounted(self):
        process, uuid = self.start(self.id, *self.LOOP)
        before = self.mounts()
        self.ok(self.lab.actool("enter", uuid, "true"))
        self.assertEqual(self.mounts(), before)


class Export(PodCase):
    def changed(self, *options):
        result = self.run_pod(*options, self.id, "--exec=/bin/sh", "--", "-c",
                              "echo new > /root/new; rm /bin/yes; echo x >> /etc/passwd; exit 0")
        self.ok(result)
        return self.pods()[-1]["uuid"]

    def names(self, path):
        with tarfile.open(path) as tar:
            return {member.name: member for member in tar}, json.load(
                tarfile.open(path).extractfile("manifest"))

    def test_what_the_app_wrote_is_in_the_image(self):
        uuid = self.changed()
        output = self.lab.work / "changed.aci"
        self.ok(self.lab.actool("export", uuid, output))
        members, manifest = self.names(output)
        self.assertIn("rootfs/root/new", members)
        self.assertNotIn("rootfs/bin/yes", members)
        self.assertIn("rootfs/bin/busybox", members)
        self.assertEqual(manifest["name"], "example.com/web")
        self.assertEqual(manifest["app"]["exec"][0], "/bin/sh")
        self.refused(self.lab.actool("export", uuid, output), 254, "changed.aci exists; use --overwrite")
        self.ok(self.lab.actool("export", "--overwrite", "--app=web", uuid, output))
        self.assertEqual(self.mounts(), [])
        self.assertEqual(list((self.lab.work / "tmp").iterdir()), [])
        # It runs.
        result = self.lab.actool("--insecure-options=image", "run", output, "--exec=/bin/cat", "--", "/root/new")
        self.assertEqual(self.ok(result).out, "new\n")

    def test_of_copied_trees(self):
        uuid = self.changed("--no-overlay")
        output = self.lab.work / "copied.aci"
        self.ok(self.lab.actool("export", uuid, output))
        members, _ = self.names(output)
        self.assertIn("rootfs/root/new", members)
        self.assertNotIn("rootfs/bin/yes", members)

    def test_what_cannot_be_exported(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.refused(self.lab.actool("export", uuid, "x.aci"), 254, "has not ended, it is running")
        self.ok(self.run_pod(self.id, "---", self.id, "--name=two"))
        [two] = [pod["uuid"] for pod in self.pods() if pod["state"] == "exited"]
        self.refused(self.lab.actool("export", two, "x.aci"), 254, "the pod has 2 apps; choose one with --app")


class Shown(PodCase):
    def test_formats(self):
        self.ok(self.run_pod(self.id))
        [line] = self.ok(self.lab.actool("list")).records()
        for name in ("json", "json-pretty"):
            [pod] = json.loads(self.ok(self.lab.actool("list", f"--format={name}")).out)
            self.assertEqual(pod, line)
            self.assertEqual(json.loads(self.ok(self.lab.actool("status", f"--format={name}", pod["uuid"])).out), pod)
        # rkt's own names beside ours.
        self.assertEqual(pod["name"], pod["uuid"])
        self.assertEqual(pod["app_names"], ["web"])
        self.assertEqual(pod["apps"][0]["exit_code"], 0)
        self.assertEqual(pod["apps"][0]["image_id"], self.id)
        self.assertGreaterEqual(pod["started_at"], pod["created_at"])

    def test_cat_manifest(self):
        file = self.lab.work / "uuid-file"
        self.ok(self.run_pod(f"--uuid-file-save={file}", self.id))
        uuid = file.read_text().strip()
        pretty = self.ok(self.lab.actool("cat-manifest", uuid)).out
        self.assertGreater(len(pretty.splitlines()), 5)
        self.assertEqual(self.ok(self.lab.actool("cat-manifest", f"--uuid-file={file}")).out, pretty)
        flat = self.ok(self.lab.actool("pod-cat-manifest", "--pretty-print=false", uuid)).out
        self.assertEqual(len(flat.splitlines()), 1)
        self.assertEqual(json.loads(flat), json.loads(pretty))

    def test_waiting(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", str(round(3 * harness.SLOW)))
        self.refused(self.lab.actool("status", "--wait=50ms", uuid), 254, "did not end in time")
        self.assertEqual(self.status(uuid, "--wait-ready")["state"], "running")
        self.assertEqual(self.status(uuid, "--wait=false")["state"], "running")
        status = self.status(uuid, "--wait")
        self.assertEqual((status["state"], status["exited"], status["app-web"]), ("exited", "true", "0"))
        self.refused(self.lab.actool("status", "--wait=soon", uuid), 254, "'soon' is not a duration")

    def test_config(self):
        (self.lab.local_config / "auth.d").mkdir(parents=True)
        credentials = {"rktKind": "auth", "rktVersion": "v1", "type": "basic",
                       "credentials": {"user": "u", "password": "p"}}
        (self.lab.local_config / "auth.d/a.json").write_text(
            json.dumps({**credentials, "domains": ["a.test", "b.test"]}))
        (self.lab.local_config / "stage1.d").mkdir()
        (self.lab.local_config / "stage1.d/s.json").write_text(json.dumps(
            {"rktKind": "stage1", "rktVersion": "v1", "location": "/opt/stage1"}))
        entries = json.loads(self.ok(self.lab.actool("config")).out)["stage0"]
        self.assertEqual([entry["domains"] for entry in entries if entry["rktKind"] == "auth"],
                         [["a.test"], ["b.test"]])
        self.assertIn({"rktKind": "paths", "rktVersion": "v1", "data": str(self.lab.store)}, entries)
        self.assertIn({"rktKind": "stage1", "rktVersion": "v1", "location": "/opt/stage1"}, entries)
        self.assertEqual(len(self.ok(self.lab.actool("config", "--pretty-print=false")).out.splitlines()), 1)


class Rkt(PodCase):
    """What was written for rkt, with a link of that name to actool."""

    def setUp(self):
        super().setUp()
        self.link = self.lab.work / "rkt"
        if not self.link.is_symlink():
            self.link.symlink_to(harness.BIN / "actool")

    def rkt(self, *args):
        done = subprocess.run([self.link, *self.lab.globals(), *map(str, args)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.lab.env)
        return harness.Result(done.returncode, done.stdout, done.stderr)

    def test_a_pods_life(self):
        uuid = self.ok(self.rkt("prepare", "--quiet=true", self.id, "--exec", "/bin/sh", "--", "-c", "exit 9")).out.strip()
        lines = self.ok(self.rkt("list", "--full=true")).out.splitlines()
        self.assertRegex(lines[0], "^UUID +APP +IMAGE NAME +IMAGE ID +STATE")
        self.assertRegex(lines[1], f"^{uuid} +web .* prepared")
        self.assertEqual(self.rkt("run-prepared", "--interactive=false", uuid).code, 9)
        self.assertIn("app-web=9\n", self.ok(self.rkt("status", uuid)).out)
        self.assertIn('"acKind": "PodManifest"', self.ok(self.rkt("cat-manifest", uuid)).out)
        self.assertEqual(self.ok(self.rkt("rm", uuid)).out, uuid + "\n")
        [empty] = self.ok(self.rkt("list")).out.splitlines()
        self.assertTrue(empty.startswith("UUID"))

    def test_version(self):
        text = self.ok(self.rkt("version")).out
        self.assertRegex(text, r"(?m)^actool Version: \d")
        self.assertIn("appc Version: 0.8.11\n", text)
        self.assertEqual(self.ok(self.lab.actool("version")).out, text)

    def test_images(self):
        tar = harness.aci_tar(harness.manifest("example.com/file", exec=["/bin/true"]))
        path = harness.write_aci(self.lab.work / "file.aci", tar)
        self.assertEqual(self.ok(self.rkt("--insecure-options=image", "fetch", "--full", path)).out,
                         harness.image_id(tar) + "\n")
        self.assertIn("example.com/file", self.ok(self.rkt("image", "list")).out)
        self.assertRegex(self.rkt("image", "list").out, "^ID +NAME")

    def test_trust_takes_keys_at_once(self):
        gpg = harness.Gpg(self.lab)
        key = gpg.key("Test <test@example.com>")
        path = self.lab.work / "key.pub"
        path.write_bytes(gpg.export(key))
        self.ok(self.rkt("trust", "--prefix=example.com/x", "--skip-fingerprint-review", path))
        [record] = self.ok(self.lab.actool("trust", "list", "--format=jsonl")).records()
        self.assertIn(key, json.dumps(record).lower())


if __name__ == "__main__":
    harness.main()
