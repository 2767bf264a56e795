"""Pods: `actool run` and what looks after them, against a trivial stage1 (a shell script), which
proves the seam, and the native one."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import harness

TRIVIAL = harness.SOURCE / "tests/functional/stage1-trivial"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class PodCase(harness.TestCase):
    """A store with one busybox image in it."""

    APP = {"exec": ["/bin/sh", "-c", "echo ran"], "user": "0", "group": "0"}
    STAGE1 = []  # options of run

    def setUp(self):
        super().setUp()
        self.id = self.ingest("example.com/web")

    def ingest(self, name, app=None, **kwargs):
        manifest = harness.manifest(name, app=app or self.APP, **kwargs)
        tar = harness.aci_tar(manifest)
        path = harness.write_aci(self.lab.work / "image.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        return harness.image_id(tar)

    def run_pod(self, *args, **kwargs):
        return self.lab.actool("run", *self.STAGE1, *args, **kwargs)

    def start(self, *args, **kwargs):
        """A pod in the background; returns its process and UUID once it runs."""
        file = self.lab.work / "uuid"
        file.unlink(missing_ok=True)
        process = self.lab.popen("run", *self.STAGE1, f"--uuid-file-save={file}", *args, **kwargs)
        harness.wait_for(lambda: file.exists() and file.read_text().strip(), "the pod's UUID")
        uuid = file.read_text().strip()
        self.ok(self.lab.actool("status", "--wait-ready=20s", uuid))
        self.addCleanup(self.reap, process)
        return process, uuid

    @staticmethod
    def reap(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def pods(self):
        return self.ok(self.lab.actool("list")).records()

    def status(self, uuid, *args):
        text = self.ok(self.lab.actool("status", *args, uuid)).out
        return dict(line.split("=", 1) for line in text.splitlines())

    def pod_dir(self, uuid):
        found = list((self.lab.store / "pods").glob(f"*/{uuid}"))
        self.assertEqual(len(found), 1, found)
        return found[0]

    def collect(self):
        """Ends and removes every pod; nothing may be left of them."""
        for pod in self.pods():
            if pod["state"] == "running":
                self.lab.actool("stop", "--force", pod["uuid"])
                self.lab.actool("status", "--wait=20s", pod["uuid"])
        self.ok(self.lab.actool("gc", "--grace-period=0s", "--expire-prepared=0s"))
        self.assertEqual(self.pods(), [])
        left = [path for path in (self.lab.store / "pods").glob("*/*")]
        self.assertEqual(left, [])

    def mounts(self):
        return [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                if str(self.lab.work) in line]


class Seam(PodCase):
    """What stage0 promises any stage1."""

    STAGE1 = [f"--stage1-path={TRIVIAL}"]

    def log(self):
        return (self.lab.work / "trivial.log").read_text()

    def setUp(self):
        super().setUp()
        (self.lab.work / "trivial.log").unlink(missing_ok=True)
        self.lab.env["TRIVIAL_LOG"] = str(self.lab.work / "trivial.log")

    def test_stage1_gets_what_the_interface_says(self):
        host = os.readlink("/proc/self/ns/mnt")
        self.ok(self.run_pod("--hostname=box", "--net=host", "--ipc=parent", self.id))
        [pod] = self.pods()
        directory = self.lab.store / "pods/run" / pod["uuid"]
        lines = dict(line.split(" ", 1) for line in self.log().splitlines())
        self.assertEqual(
            lines["run"],
            f"--net=host --local-config={self.lab.local_config} --hostname=box {pod['uuid']}")
        self.assertEqual(lines["cwd"], str(directory))
        self.assertEqual(lines["self"], f"{directory}/stage1/rootfs/ex/run")
        self.assertEqual(lines["lock"], str(directory))
        self.assertNotEqual(lines["namespace"], host)

    def test_options_the_stage1_is_too_old_for_are_left_out_with_a_warning(self):
        result = self.ok(self.run_pod("--ipc=parent", self.id))
        self.assertIn("--ipc=parent is left out: the stage1 speaks interface version 5, it needs 6",
                      result.err)

    def test_output_and_status_are_the_apps(self):
        result = self.run_pod(self.id, "--exec=/bin/sh", "--", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual(result.code, 7, result)
        self.assertEqual(result.out, "out\n")
        self.assertIn("err\n", result.err)
        [pod] = self.pods()
        self.assertEqual(pod["state"], "exited")
        self.assertEqual(pod["apps"][0]["exitStatus"], 7)
        self.assertEqual(self.status(pod["uuid"])["app-web"], "7")

    def test_nothing_stays_mounted_and_the_tree_stays_as_it_was(self):
        before = self.mounts()
        self.ok(self.run_pod(self.id, "--exec=/bin/touch", "--", "/tmp/new"))
        self.assertEqual(self.mounts(), before)
        self.assertEqual(list(self.lab.store.glob("trees/*/rootfs/tmp/new")), [])
        [pod] = self.pods()
        upper = self.pod_dir(pod["uuid"]) / "overlay/web.app/upper"
        self.assertTrue((upper / "tmp/new").exists())
        # A second pod does not see it.
        result = self.run_pod(self.id, "--exec=/bin/ls", "--", "/tmp")
        self.assertEqual(result.out, "")

    def test_copies_where_there_is_no_overlay(self):
        result = self.ok(self.run_pod("--no-overlay", self.id))
        self.assertEqual(result.out, "ran\n")
        [pod] = self.pods()
        directory = self.pod_dir(pod["uuid"])
        self.assertFalse((directory / "stage1/tree").exists())
        self.assertTrue((directory / "stage1/rootfs/opt/stage2/web/rootfs/bin/busybox").exists())
        self.assertEqual(self.status(pod["uuid"])["app-web"], "0")
        self.collect()
        self.assertRegex(self.log(), r"gc .* status 0\n")

    def test_a_store_on_overlayfs_falls_back_to_copies(self):
        """overlayfs cannot be its own upper layer."""
        base = self.lab.work / "stacked"
        for name in ("lower", "upper", "work", "merged"):
            (base / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work",
                        base / "merged"], check=True)
        try:
            self.lab.store = base / "merged/store"
            self.id = self.ingest("example.com/web")
            result = self.ok(self.run_pod(self.id))
            self.assertEqual(result.out, "ran\n")
            self.assertIn("overlayfs is not to be had for the stage1: its tree is copied", result.err)
            self.collect()
        finally:
            subprocess.run(["umount", base / "merged"], check=True)

    def test_gc_runs_the_stage1s_entry_point_with_what_run_wrote(self):
        self.run_pod(self.id, "--exec=/bin/sh", "--", "-c", "exit 9")
        [pod] = self.pods()
        self.assertEqual(self.ok(self.lab.actool("gc", "--grace-period=0s")).out, pod["uuid"] + "\n")
        directory = self.lab.store / "pods/exited-garbage" / pod["uuid"]
        self.assertIn(f"gc --local-config={self.lab.local_config} {pod['uuid']} in {directory} status 9\n",
                      self.log())
        self.assertFalse(directory.exists())

    def test_a_stage1_that_is_gone_does_not_keep_its_pods(self):
        copy = self.lab.work / "stage1"
        subprocess.run(["cp", "-a", TRIVIAL, copy], check=True)
        self.ok(self.lab.actool("run", f"--stage1-path={copy}", self.id))
        subprocess.run(["rm", "-r", copy], check=True)
        result = self.ok(self.lab.actool("gc", "--grace-period=0s"))
        self.assertRegex(result.err, "the stage1's gc did not run: .*does not exist|No such file")
        self.assertEqual(self.pods(), [])

    def test_stop_runs_the_stage1s_entry_point(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.assertEqual(self.ok(self.lab.actool("stop", uuid[:8])).out, uuid + "\n")
        self.assertEqual(process.wait(20), 143)
        self.assertIn(f"stop {uuid} in {self.pod_dir(uuid)}\n", self.log())
        self.assertEqual(self.status(uuid)["app-web"], "143")
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.ok(self.lab.actool("stop", "--force", uuid))
        self.assertEqual(process.wait(20), 137)
        self.assertIn(f"stop --force {uuid} in ", self.log())

    def test_without_a_stop_entry_point_the_pods_process_is_signalled(self):
        copy = self.lab.work / "stage1-nostop"
        subprocess.run(["cp", "-a", TRIVIAL, copy], check=True)
        manifest = json.loads((copy / "manifest").read_text())
        manifest["annotations"] = [entry for entry in manifest["annotations"]
                                   if not entry["name"].endswith("/stop")]
        (copy / "manifest").write_text(json.dumps(manifest))
        (copy / "rootfs/ex/run").write_text("#!/bin/sh\necho $$ > pid\nexec sleep 100\n")
        self.STAGE1 = [f"--stage1-path={copy}"]
        process, uuid = self.start(self.id)
        self.ok(self.lab.actool("stop", uuid))
        self.assertEqual(process.wait(20), -signal.SIGTERM)
        self.assertEqual(self.status(uuid, "--wait=20s")["state"], "exited")

    def test_a_pod_whose_processes_were_killed_is_exited(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.assertEqual(self.status(uuid)["state"], "running")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
        status = self.status(uuid, "--wait=20s")
        self.assertEqual(status["state"], "exited")
        self.assertNotIn("app-web", status)
        self.collect()

    def test_several_apps(self):
        result = self.run_pod("--set-env=ALL=all", "--set-env=WHO=all",
                              self.id, "--environment=WHO=first", "--exec=/bin/sh",
                              "--", "-c", "echo $ALL $WHO", "---",
                              self.id, "--name=second", "--exec=/bin/sh", "--", "-c", "echo $ALL $WHO; exit 3")
        self.assertEqual(result.out, "all first\nall all\n")
        [pod] = self.pods()
        self.assertEqual({app["name"]: app["exitStatus"] for app in pod["apps"]},
                         {"web": 0, "second": 3})
        self.assertEqual([app["image"] for app in pod["apps"]], ["example.com/web:1.0.0"] * 2)

    def test_environment_of_the_caller_only_when_asked(self):
        command = [self.id, "--exec=/bin/sh", "--", "-c", "echo [$SECRET]"]
        self.assertEqual(self.run_pod(*command, env={"SECRET": "s"}).out, "[]\n")
        self.assertEqual(self.run_pod("--inherit-env", *command, env={"SECRET": "s"}).out, "[s]\n")

    def test_manifest_of_a_pod(self):
        file = self.lab.work / "saved-uuid"
        self.ok(self.run_pod(f"--uuid-file-save={file}", "--volume=data,kind=empty,mode=0700,uid=5", self.id,
                             "--mount=volume=data,target=/data", "--", "more"))
        uuid = file.read_text().strip()
        self.assertRegex(uuid, UUID)
        manifest = json.loads(self.ok(self.lab.actool("pod-cat-manifest", uuid[:10])).out)
        [app] = manifest["apps"]
        self.assertEqual(app["app"]["exec"], [*self.APP["exec"], "more"])
        self.assertEqual(app["image"]["id"], self.id)
        self.assertEqual(app["mounts"], [{"volume": "data", "path": "/data"}])
        volume = (self.pod_dir(uuid) / "sharedVolumes/data").stat()
        self.assertEqual((volume.st_mode & 0o7777, volume.st_uid), (0o700, 5))

        # The same pod again, from its own manifest.
        own = self.lab.work / "pod.json"
        own.write_text(json.dumps(manifest))
        self.assertEqual(self.ok(self.run_pod(f"--pod-manifest={own}")).out, "ran\n")
        self.refused(self.run_pod(f"--pod-manifest={own}", self.id), 254, "exclude each other")

    def test_a_volume_and_its_mount_in_one_option(self):
        source = self.lab.work / "mounted"
        source.mkdir()
        (source / "file").write_text("inside\n")
        volume = f"--mnt-volume=name=v,kind=host,source={source},target=/data"
        result = self.lab.actool("run", "--stage1-name=native", self.id, volume,
                                 "--exec=/bin/sh", "--", "-c", "cat /data/file")
        self.assertEqual(self.ok(result).out, "inside\n")

    def test_mount_points_without_volumes_get_empty_ones(self):
        app = {**self.APP, "mountPoints": [{"name": "data", "path": "/data"}]}
        image = self.ingest("example.com/points", app=app)
        result = self.ok(self.run_pod(image))
        self.assertIn("no volume for mount point data of app points: it gets an empty one", result.err)
        [pod] = self.pods()
        self.assertTrue((self.pod_dir(pod["uuid"]) / "sharedVolumes/points-data").is_dir())


class Images(PodCase):
    """From what is named to what is run."""

    STAGE1 = [f"--stage1-path={TRIVIAL}"]

    def test_by_name_and_by_prefix_of_the_id(self):
        self.assertEqual(self.ok(self.run_pod("example.com/web:1.0.0")).out, "ran\n")
        self.assertEqual(self.ok(self.run_pod(self.id[:20])).out, "ran\n")

    def test_what_is_not_there(self):
        self.refused(self.run_pod("sha512-0123456789"), 252, "no image sha512-0123456789 in the store")
        self.refused(self.run_pod("--pull-policy=never", "example.com/none"), 252,
                     "no image example.com/none in the store; --pull-policy=never keeps")
        self.assertEqual(self.pods(), [])

    def test_a_file_is_fetched(self):
        tar = harness.aci_tar(harness.manifest("example.com/file", exec=["/bin/echo", "from file"]))
        path = harness.write_aci(self.lab.work / "file.aci", tar)
        result = self.lab.actool("--insecure-options=image", "run", *self.STAGE1, path)
        self.assertEqual(self.ok(result).out, "from file\n")
        # Unsigned, it is refused as by fetch, with nothing run.
        refused = self.run_pod(harness.write_aci(self.lab.work / "other.aci", harness.aci_tar(
            harness.manifest("example.com/other", exec=["/bin/echo", "never"]))))
        self.assertEqual(refused.code, 253, refused)
        self.assertEqual(refused.out, "")

    def test_records_from_a_pipe(self):
        [record] = self.ok(self.lab.actool("image", "list")).records()
        line = json.dumps(record).encode() + b"\n"
        self.assertEqual(self.ok(self.run_pod(stdin=line)).out, "ran\n")
        result = self.run_pod("--exec=/bin/cat", "--", "/proc/version", stdin=line)
        self.assertNotEqual(result.code, 0)  # the trivial stage1 mounts no /proc: cat did run
        self.assertEqual(self.run_pod(stdin=self.id.encode() + b"\n").out, "ran\n")

    def test_a_record_that_does_not_match_its_request_is_refused(self):
        [record] = self.ok(self.lab.actool("image", "list")).records()
        for requested in ({"name": "example.com/other", "labels": {}},
                          {"name": "example.com/web", "labels": {"version": "2.0.0"}}):
            forged = {**record, "requested": requested}
            # It claims to be what was asked for, too: the store knows better.
            forged.update(requested)
            line = json.dumps(forged).encode() + b"\n"
            result = self.run_pod(stdin=line)
            self.assertIn(result.code, (253, 254), result)
            self.assertEqual(result.out, "")
        self.assertEqual(self.pods(), [])

    def test_options_without_an_image_need_a_single_record(self):
        line = self.id.encode() + b"\n"
        self.refused(self.run_pod("--exec=/bin/ls", stdin=line + line), 254,
                     "standard input names 2 images")
        self.refused(self.run_pod("--interactive", stdin=line), 254, "--interactive needs the image")
        self.refused(self.run_pod(), 254, "no image was given")

    def test_images_for_other_machines(self):
        image = self.ingest("example.com/arm", labels={"version": "1.0.0", "os": "linux", "arch": "aarch64"})
        self.refused(self.run_pod(image), 254, "is for linux/aarch64, this machine is linux/")
        self.assertEqual(self.pods(), [])


class LifeCycle(PodCase):
    STAGE1 = [f"--stage1-path={TRIVIAL}"]

    def test_rm(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.refused(self.lab.actool("rm", uuid), 250, "is running")
        self.ok(self.lab.actool("stop", "--force", uuid))
        process.wait(20)
        self.ok(self.lab.actool("status", "--wait", uuid))
        self.assertEqual(self.ok(self.lab.actool("rm", uuid)).out, uuid + "\n")
        self.refused(self.lab.actool("status", uuid), 252, "there is no pod")
        self.refused(self.lab.actool("rm", uuid), 252, "there is no pod")

    def test_rm_does_the_others_when_one_fails(self):
        self.ok(self.run_pod(self.id))
        [pod] = self.pods()
        result = self.lab.actool("rm", "ffff", pod["uuid"])
        self.refused(self.lab.actool("rm", "ffff"), 252, "there is no pod 'ffff'")
        self.assertEqual(result.code, 252)
        self.assertEqual(result.out, pod["uuid"] + "\n")

    def test_rm_by_uuid_file(self):
        file = self.lab.work / "saved-uuid"
        self.ok(self.run_pod(f"--uuid-file-save={file}", self.id))
        self.ok(self.lab.actool("rm", f"--uuid-file={file}"))
        self.assertEqual(self.pods(), [])

    def test_gc_marks_first_and_removes_after_the_grace_period(self):
        self.ok(self.run_pod(self.id))
        [pod] = self.pods()
        self.assertEqual(self.ok(self.lab.actool("gc")).out, "")
        self.assertEqual(self.pods()[0]["state"], "exited garbage")
        self.assertEqual(self.status(pod["uuid"])["app-web"], "0")
        self.assertEqual(self.ok(self.lab.actool("gc", "--grace-period=1h")).out, "")
        self.assertEqual(self.ok(self.lab.actool("gc", "--grace-period=0s")).out, pod["uuid"] + "\n")

    def test_gc_leaves_running_pods(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.assertEqual(self.ok(self.lab.actool("gc", "--grace-period=0s")).out, "")
        self.assertEqual(self.status(uuid)["state"], "running")
        self.collect()
        process.wait(20)

    def test_concurrent_gcs_remove_each_pod_once(self):
        for _ in range(4):
            self.ok(self.run_pod(self.id))
        uuids = sorted(pod["uuid"] for pod in self.pods())
        collectors = [self.lab.popen("gc", "--grace-period=0s") for _ in range(4)]
        removed = []
        for process in collectors:
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
            removed += out.decode().split()
        self.ok(self.lab.actool("gc", "--grace-period=0s"))
        self.assertEqual(len(removed), len(set(removed)))
        self.assertLessEqual(set(removed), set(uuids))
        self.assertEqual(self.pods(), [])

    def test_a_killed_preparation_is_collected(self):
        self.ok(self.run_pod(self.id))
        directory = self.lab.store / "pods/prepare/aaaaaaaa-0000-4000-8000-000000000001"
        (directory / "stage1").mkdir(parents=True)
        self.assertEqual({pod["state"] for pod in self.pods()}, {"exited", "aborted prepare"})
        self.collect()

    def test_leftover_mounts_are_undone(self):
        self.ok(self.run_pod(self.id))
        [pod] = self.pods()
        target = self.pod_dir(pod["uuid"]) / "stage1/rootfs/rkt"
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=True)
        self.ok(self.lab.actool("rm", pod["uuid"]))
        self.assertEqual(self.pods(), [])
        self.assertEqual(self.mounts(), [])

    def test_removing_follows_no_link(self):
        precious = self.lab.work / "precious"
        precious.mkdir(exist_ok=True)
        (precious / "file").write_text("keep")
        self.ok(self.run_pod(self.id))
        [pod] = self.pods()
        directory = self.pod_dir(pod["uuid"])
        os.symlink(precious, directory / "overlay/web.app/upper/link")
        os.symlink(precious, directory / "sharedVolumes")
        self.collect()
        self.assertEqual((precious / "file").read_text(), "keep")

    def test_failures_before_the_pod_runs_leave_none(self):
        for args, message in [
                (["--stage1-path=/nonexistent", self.id], "/nonexistent does not exist"),
                (["--stage1-from-dir=nonexistent", self.id], "nonexistent does not exist"),
                (["--stage1-hash=sha512-00", self.id], "no image sha512-00"),
                ([*self.STAGE1, self.id, "--mount=volume=v,target=/v"], "mounts the volume v"),
                ([*self.STAGE1, "--net=br/0", self.id], "'br/0' is not the name of a network")]:
            result = self.lab.actool("run", *args)
            self.assertNotEqual(result.code, 0)
            self.assertIn(message, result.err)
        self.assertEqual(list(self.lab.store.glob("pods/*/*")), [])

    def test_an_image_with_no_stage1_annotations_is_no_stage1(self):
        self.refused(self.lab.actool("run", f"--stage1-hash={self.id}", self.id), 254,
                     "it has no annotation coreos.com/rkt/stage1/run; it is not a stage1 image")

    def test_a_stage1_from_the_store(self):
        entries = [harness.directory("rootfs"),
                   harness.Entry("rootfs/init", b"#!/bin/sh\necho $$ > pid\necho stage1 of the store\n", mode=0o755)]
        manifest = harness.manifest("example.com/stage1", annotations=[
            {"name": "coreos.com/rkt/stage1/run", "value": "/init"}])
        tar = harness.aci_tar(manifest, entries)
        path = harness.write_aci(self.lab.work / "stage1.aci", tar)
        result = self.lab.actool("--insecure-options=image", "run", f"--stage1-path={path}", self.id)
        self.assertEqual(self.ok(result).out, "stage1 of the store\n")
        for option in (f"--stage1-hash={harness.image_id(tar)}", "--stage1-name=example.com/stage1:1.0.0"):
            self.assertEqual(self.ok(self.lab.actool("run", option, self.id)).out, "stage1 of the store\n")
        # By configuration.
        config = self.lab.local_config / "stage1.d"
        config.mkdir(parents=True)
        (config / "default.json").write_text(json.dumps({
            "rktKind": "stage1", "rktVersion": "v1", "name": "example.com/stage1", "version": "1.0.0"}))
        self.assertEqual(self.ok(self.lab.actool("run", self.id)).out, "stage1 of the store\n")

    def test_run_needs_no_database_and_no_network_library(self):
        libraries = subprocess.run(["ldd", harness.BIN / "actool-run"], check=True,
                                   stdout=subprocess.PIPE, text=True).stdout
        for name in ("curl", "rocksdb", "crypto", "ssl", "archive", "gpgme"):
            self.assertNotIn("lib" + name, libraries)

    def test_run_is_built_in_and_yields_to_another_one(self):
        """`actool run` is not executed as another program, unless another `actool-run` comes before ours."""
        traced = subprocess.run(["strace", "-e", "execve", "-o", self.lab.work / "trace", *self.lab.argv("list")],
                                env=self.lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(traced.returncode, 0, traced.stderr)
        self.assertEqual((self.lab.work / "trace").read_text().count("execve("), 1)
        # A link to it is it, by any path.
        linked = self.lab.work / "actool-list"
        linked.symlink_to(harness.BIN / "actool")
        argv = [str(linked), *self.lab.argv("list")[1:-1], "--format=json"]
        self.assertEqual(subprocess.run(argv, env=self.lab.env, stdout=subprocess.PIPE, check=True).stdout.strip(), b"[]")
        other = self.lab.work / "exec/actool-list"
        other.parent.mkdir()
        other.write_text("#!/bin/sh\necho other \"$@\"\n")
        other.chmod(0o755)
        result = self.ok(self.lab.actool("list", "--full", env={"ACTOOL_EXEC_PATH": str(other.parent)}))
        self.assertRegex(result.out, r"^other --dir=.* --full\n$")

    def test_list_for_people(self):
        self.ok(self.run_pod(self.id, "---", self.id, "--name=two"))
        [pod] = self.pods()
        lines = self.ok(self.lab.actool("list", "--format=table")).out.splitlines()
        self.assertRegex(lines[0], r"^UUID +APP +IMAGE NAME +STATE +CREATED +STARTED +NETWORKS$")
        self.assertRegex(lines[1], rf"^{pod['uuid'][:8]} +web +example.com/web:1.0.0 +exited +")
        self.assertRegex(lines[2], r"^ +two +example.com/web:1.0.0")
        full = self.ok(self.lab.actool("list", "--format=table", "--full", "--no-legend")).out
        self.assertIn(pod["uuid"], full)
        self.assertIn(self.id[:19], full)
        self.assertNotIn("UUID", full)


if __name__ == "__main__":
    harness.main()
