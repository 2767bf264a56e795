"""Apps that come and go while their pod runs: `actool app ...`."""

import json
import time

import harness
import isolator_test
from run_test import PodCase


class AppCase(PodCase):
    def sandbox(self, *args):
        file = self.lab.work / "sandbox-uuid"
        file.unlink(missing_ok=True)
        process = self.lab.popen("app", "sandbox", f"--uuid-file-save={file}", *args)
        self.addCleanup(self.reap, process)
        harness.wait_for(lambda: file.exists() and file.read_text().strip(), "the pod's UUID")
        uuid = file.read_text().strip()
        self.ok(self.lab.actool("status", "--wait-ready=20s", uuid))
        harness.wait_for(lambda: (self.pod_dir(uuid) / "control").exists(), "the pod to take requests")
        return process, uuid

    def app(self, word, uuid, *args, **kwargs):
        return self.lab.actool("app", word, *args, uuid, **kwargs)

    def add(self, uuid, name, script, *options):
        result = self.lab.actool("app", "add", uuid, self.id, f"--name={name}", "--exec=/bin/sh", *options,
                                 "--", "-c", script)
        self.assertEqual(self.ok(result).out, name + "\n")

    def states(self, uuid):
        return dict(line.split() for line in self.ok(self.app("list", uuid, "--format=table", "--no-legend")).out.splitlines())

    def app_status(self, uuid, name):
        text = self.ok(self.app("status", uuid, f"--app={name}")).out
        return dict(line.split("=", 1) for line in text.splitlines())


class App(AppCase):
    @harness.enters_namespaces
    def test_life_of_an_app(self):
        process, uuid = self.sandbox("--hostname=box")
        self.assertEqual(self.states(uuid), {})
        self.add(uuid, "one", "echo in $(hostname); echo $PPID; sleep 100")
        self.assertEqual(self.states(uuid), {"one": "prepared"})
        self.assertNotIn("started_at", self.app_status(uuid, "one"))
        self.ok(self.app("start", uuid, "--app=one"))
        self.assertEqual(self.states(uuid), {"one": "running"})
        self.ok(self.app("start", uuid, "--app=one"))  # changes nothing
        harness.wait_for(lambda: "in box" in self.lab.actool("logs", uuid).out, "the app's log")
        self.assertEqual(self.ok(self.lab.actool("logs", uuid)).out, "in box\n1\n")
        inside = self.ok(self.lab.actool("app", "exec", "--app=one", uuid, "/bin/sh", "-c", "echo $AC_APP_NAME; ps | wc -l"))
        self.assertTrue(inside.out.startswith("one\n"), inside)

        # A second beside it, sharing network and IPC, with a root of its own.
        self.add(uuid, "two", "touch /tmp/two; exit 5")
        self.ok(self.app("start", uuid, "--app=two"))
        harness.wait_for(lambda: self.states(uuid) == {"one": "running", "two": "exited"}, "the second's end")
        status = self.app_status(uuid, "two")
        self.assertEqual((status["state"], status["exit_code"], status["image_id"]), ("exited", "5", self.id))
        self.assertLessEqual(status["created_at"], status["started_at"])
        self.assertLessEqual(status["started_at"], status["finished_at"])
        self.assertEqual(self.status(uuid)["state"], "running")  # its failure is its own

        self.ok(self.app("stop", uuid, "--app=one"))
        self.assertEqual(self.states(uuid), {"one": "exited", "two": "exited"})
        self.assertEqual(self.app_status(uuid, "one")["exit_code"], "143")
        self.ok(self.app("stop", uuid, "--app=one"))
        self.ok(self.app("start", uuid, "--app=one"))  # again
        self.assertEqual(self.states(uuid)["one"], "running")
        self.ok(self.app("rm", uuid, "--app=one"))
        self.ok(self.app("rm", uuid, "--app=two"))
        self.assertEqual(self.states(uuid), {})
        directory = self.pod_dir(uuid)
        self.assertEqual(list((directory / "appsinfo").iterdir()), [])
        self.assertEqual(list((directory / "logs").iterdir()), [])
        self.assertEqual(list(directory.glob("overlay/*.app")), [])
        self.add(uuid, "one", "exit 0")  # the name is free again
        self.ok(self.app("start", uuid, "--app=one"))

        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(self.mounts(), [])
        self.collect()

    @harness.enters_namespaces
    def test_a_stubborn_app_is_killed(self):
        process, uuid = self.sandbox()
        self.add(uuid, "one", "trap '' TERM; while :; do sleep 0.1; done")
        self.ok(self.app("start", uuid, "--app=one"))
        time.sleep(0.3)
        began = time.monotonic()
        self.ok(self.app("stop", uuid, "--app=one"))
        self.assertGreater(time.monotonic() - began, 8)
        self.assertEqual(self.app_status(uuid, "one")["exit_code"], "137")

    @harness.enters_namespaces
    def test_what_is_refused_changes_nothing(self):
        process, uuid = self.sandbox()
        self.add(uuid, "one", "sleep 100")
        refused = [
            (["app", "add", uuid, self.id, "--name=one"], 254, "the pod has an app one already"),
            (["app", "add", uuid, "sha512-0123456789"], 252, "no image sha512-0123456789"),
            (["app", "add", uuid, self.id, "--name=x", "--mount=volume=v,target=/v"], 254, "mounts the volume v"),
            (["app", "add", uuid], 254, "takes a pod's UUID and one image"),
            (["app", "add", uuid, self.id, "--net=host"], 254, "there is no option --net"),
            (["app", "start", uuid, "--app=none"], 252, "the pod has no app 'none'"),
            (["app", "start", uuid], 254, "which app"),
            (["app", "status", uuid], 254, "which app"),
            (["app", "start", "ffffffff", "--app=one"], 252, "there is no pod"),
        ]
        for args, code, message in refused:
            self.refused(self.lab.actool(*args), code, message)
        self.assertEqual(self.states(uuid), {"one": "prepared"})
        self.add(uuid, "bad", "true", "--user=nobody-there")
        result = self.app("start", uuid, "--app=bad")
        self.assertEqual(result.code, 254, result)
        self.assertIn('user "nobody-there" is not in the image', result.err)
        self.ok(self.app("rm", uuid, "--app=bad"))
        self.assertEqual(self.states(uuid), {"one": "prepared"})

    def test_pods_of_run_do_not_change(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.refused(self.lab.actool("app", "add", uuid, self.id), 254, "the apps of pod .* cannot be changed")
        self.refused(self.app("stop", uuid, "--app=web"), 254, "cannot be changed")
        self.assertEqual(self.states(uuid), {"web": "running"})
        self.assertEqual(self.app_status(uuid, "web")["state"], "running")
        [app] = json.loads(self.ok(self.app("list", uuid, "--format=json")).out)
        self.assertEqual((app["name"], app["state"], app["image_id"]), ("web", "running", self.id))
        self.assertGreater(app["started_at"], 10**18)
        self.lab.actool("stop", "--force", uuid)
        process.wait(20)
        self.assertEqual(self.states(uuid), {"web": "exited"})

    @harness.enters_namespaces
    def test_volumes_between_apps(self):
        process, uuid = self.sandbox("--volume=shared,kind=empty")
        self.add(uuid, "writer", "echo written > /mnt/file", "--mount=volume=shared,target=/mnt")
        self.ok(self.app("start", uuid, "--app=writer"))
        self.add(uuid, "reader", "cat /data/file; sleep 100", "--mount=volume=shared,target=/data",
                 "--stdout=stream", "--stderr=null")
        self.add(uuid, "logger", "until [ -e /data/file ]; do sleep 0.05; done; cat /data/file",
                 "--mount=volume=shared,target=/data")
        self.ok(self.app("start", uuid, "--app=logger"))
        harness.wait_for(lambda: self.states(uuid)["logger"] == "exited", "the logger's end")
        self.assertEqual(self.ok(self.lab.actool("logs", "--app=logger", uuid)).out, "written\n")
        self.ok(self.app("start", uuid, "--app=reader"))
        self.assertEqual(self.ok(self.lab.actool("attach", "--app=reader", "--mode=list", uuid)).out, "stdout\n")

    @harness.enters_namespaces
    def test_isolators_of_added_apps(self):
        process, uuid = self.sandbox()
        reported = lambda: {(one["app"], one["name"]): one["state"] for one in json.loads(
            self.ok(self.lab.actool("status", "--format=json", uuid)).out).get("isolators", [])}
        cgroup = isolator_test.cgroup_of("memory") / f"actool-{uuid}"
        self.add(uuid, "one", "cat /proc/self/oom_score_adj; sleep 100", "--oom-score-adj=300", "--memory=64Mi")
        self.add(uuid, "two", "exec tail -c 150000000 /dev/zero", "--memory=32M")
        self.assertEqual(reported(), {})
        self.ok(self.app("start", uuid, "--app=one"))
        harness.wait_for(lambda: self.lab.actool("logs", "--app=one", uuid).out == "300\n", "the app's score")
        self.assertEqual((cgroup / "one/memory.limit_in_bytes").read_text(), f"{64 << 20}\n")
        self.assertNotEqual((cgroup / "one/cgroup.procs").read_text(), "")
        self.ok(self.app("start", uuid, "--app=two"))
        harness.wait_for(lambda: self.states(uuid)["two"] == "exited", "the second's end")
        self.assertEqual(self.app_status(uuid, "two")["exit_code"], "137")
        self.assertEqual(self.states(uuid)["one"], "running")
        of_one = {("one", "os/linux/oom-score-adj"): "applied", ("one", "resource/memory"): "applied"}
        self.assertEqual(reported(), {**of_one, ("two", "resource/memory"): "applied"})
        self.ok(self.app("rm", uuid, "--app=two"))
        self.assertEqual(reported(), of_one)
        self.assertEqual([path.name for path in cgroup.iterdir() if path.is_dir()], ["one"])
        # One of the same name later is another one.
        self.add(uuid, "two", "sleep 100")
        self.ok(self.app("start", uuid, "--app=two"))
        self.assertEqual(reported(), of_one)
        self.ok(self.lab.actool("stop", uuid))
        process.wait(30 * harness.SLOW)
        self.assertFalse(cgroup.exists())

    @harness.enters_namespaces
    def test_many_at_once(self):
        process, uuid = self.sandbox()
        adders = [self.lab.popen("app", "add", uuid, self.id, f"--name=app{i}") for i in range(6)]
        for adder in adders:
            out, err = adder.communicate(timeout=60 * harness.SLOW)
            self.assertEqual(adder.returncode, 0, err)
        starters = [self.lab.popen("app", "start", uuid, f"--app=app{i}") for i in range(6)]
        for starter in starters:
            out, err = starter.communicate(timeout=60 * harness.SLOW)
            self.assertEqual(starter.returncode, 0, err)
        harness.wait_for(lambda: set(self.states(uuid).values()) == {"exited"}, "their ends")
        self.assertEqual(len(self.states(uuid)), 6)

    @harness.enters_namespaces
    def test_interrupt_ends_a_sandbox(self):
        process, uuid = self.sandbox()
        self.add(uuid, "one", "sleep 100")
        self.ok(self.app("start", uuid, "--app=one"))
        process.send_signal(2)
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(self.states(uuid), {"one": "exited"})
        self.refused(self.lab.actool("app", "add", uuid, self.id), 254, "is not running, it is exited")

    @harness.enters_namespaces
    def test_killed_with_the_pod(self):
        process, uuid = self.sandbox()
        self.add(uuid, "one", "sleep 100")
        self.ok(self.app("start", uuid, "--app=one"))
        process.kill()
        process.wait(20)
        self.assertEqual(self.status(uuid, "--wait=20s")["state"], "exited")
        self.assertEqual(self.states(uuid), {"one": "exited"})
        self.collect()

    def test_stage1s_that_cannot(self):
        trivial = harness.SOURCE / "tests/functional/stage1-trivial"
        self.refused(self.lab.actool("app", "sandbox", f"--stage1-path={trivial}"), 254,
                     "no entry points for apps that come and go")
        self.refused(self.lab.actool("app", "sandbox", self.id), 254, "app sandbox takes no images")
        self.assertEqual(list(self.lab.store.glob("pods/*/*")), [])


if __name__ == "__main__":
    harness.main()
