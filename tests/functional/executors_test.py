"""One suite for all built-in executors, by the stage1 interface: what every one of them has to do.

What an executor cannot do is a word in its `cannot`; docs/executors.md has the same table.
"""

import json
import os
import re
import signal
import subprocess
import time

import harness
import native_test
import vm_pods


class Executor:
    """The tests; each executor is a subclass that is a NativeCase too."""

    environment = {}
    cannot = frozenset()

    def setUp(self):
        super().setUp()
        self.lab.env.update(self.environment)

    def can(self, what):
        return what not in self.cannot

    def test_exit_status_is_the_apps(self):
        self.assertEqual(self.run_app("exit 3").code, 3)
        self.assertEqual(self.status(), "3")

    def test_death_by_signal_is_128_and_its_number(self):
        self.assertEqual(self.run_app("kill -SEGV $$").code, 128 + signal.SIGSEGV)
        self.assertEqual(self.status(), "139")

    def test_output_goes_straight_through_and_there_is_no_input(self):
        result = self.ok(self.run_app("echo out; echo err >&2; cat"))
        self.assertEqual((result.out, result.err), ("out\n", "err\n"))

    def test_environment(self):
        environment = [{"name": "GREETING", "value": "good day"}]
        result = self.ok(self.run_app("env", members={"environment": environment}))
        lines = result.out.splitlines()
        for expected in ("GREETING=good day", "AC_APP_NAME=a", "container=actool", "SHELL=/bin/sh"):
            self.assertIn(expected, lines)
        self.assertNotIn("OUTER_SECRET", result.out)
        self.assertNotIn("RKT_LOCK_FD", result.out)

    def test_user_group_and_working_directory(self):
        members = {"supplementaryGIDs": [7, 8], "workingDirectory": "/etc"}
        result = self.ok(self.run_app("id -u; id -g; id -G; pwd; echo $HOME", user="web", group="web", members=members))
        self.assertEqual(result.out.splitlines(), ["1000", "1001", "1001 7 8", "/etc", "/srv"])

    def test_another_user_has_no_capabilities(self):
        result = self.ok(self.run_app("grep -E 'Cap(Prm|Eff|Inh|Amb)' /proc/self/status", user="1000", group="1000"))
        self.assertEqual({line.split()[1] for line in result.out.splitlines()}, {"0" * 16})

    def test_capabilities_are_those_of_the_isolator(self):
        isolators = [{"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_KILL", "CAP_CHOWN"]}}]
        result = self.ok(self.run_app("grep CapBnd /proc/self/status", members={"isolators": isolators}))
        self.assertEqual(int(result.out.split()[1], 16), 1 << 5 | 1 << 0)

    def test_no_new_privileges(self):
        isolators = [{"name": "os/linux/no-new-privileges", "value": True}]
        result = self.ok(self.run_app("grep NoNewPrivs /proc/self/status", members={"isolators": isolators}))
        self.assertEqual(result.out.split(), ["NoNewPrivs:", "1"])

    def test_system_calls_that_the_isolator_refuses(self):
        isolators = [{"name": "os/linux/seccomp-remove-set", "value": {"set": ["mkdir", "mkdirat"], "errno": "EXDEV"}}]
        result = self.ok(self.run_app("mkdir /tmp/x 2>&1 || true", members={"isolators": isolators}))
        self.assertIn("Invalid cross-device link", result.out)

    def test_oom_score_adj(self):
        isolators = [{"name": "os/linux/oom-score-adj", "value": 300}]
        result = self.ok(self.run_app("cat /proc/self/oom_score_adj", members={"isolators": isolators}))
        self.assertEqual(result.out, "300\n")

    def test_limits_hold_and_are_reported(self):
        isolators = [{"name": "resource/memory", "value": {"limit": "32M"}},
                     {"name": "resource/cpu", "value": {"limit": "500m"}}]
        result = self.run_app("/bin/busybox tail /dev/zero; exit $?", members={"isolators": isolators})
        self.assertEqual(result.code, 137, result)
        self.assertEqual(result.err.count("isolators that are not applied"), 0, result)
        report = json.loads((self.dir / "stage1/rootfs/rkt/isolators").read_text())["isolators"]
        self.assertEqual([(one["app"], one["name"], one["state"]) for one in report],
                         [("a", "resource/memory", "applied"), ("a", "resource/cpu", "applied")])
        self.assertEqual(subprocess.run(["find", "/sys/fs/cgroup", "-name", f"actool-{self.uuid}*"],
                                        stdout=subprocess.PIPE).stdout, b"")

    def test_sysctls(self):
        values = {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shmmni": "77"}
        can = {name: value for name, value in values.items() if self.can(name)}
        self.pod(self.app("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni"),
                 isolators=[{"name": "os/unix/sysctl", "value": values}])
        result = self.ok(self.run_pod())
        shown = dict(zip(values, result.out.split()))
        self.assertEqual({name: shown[name] for name in can}, can)
        report = json.loads((self.dir / "stage1/rootfs/rkt/isolators").read_text())["isolators"]
        self.assertEqual([one["state"] for one in report], ["applied" if can == values else "changed" if can else "ignored"])

    def test_kernel_file_systems_and_devices(self):
        self.ok(self.run_app("test -e /proc/self/status && test -d /sys/class && echo x >/dev/null && "
                             "head -c 1 /dev/zero >/dev/null && head -c 1 /dev/urandom >/dev/null && "
                             "touch /dev/shm/x && rm /dev/shm/x && test -c /dev/tty"))

    def test_volumes(self):
        host = self.lab.work / f"volume-{self.uuid}"
        host.mkdir()
        (host / "there").write_text("of the host")
        (self.dir / "stage1/rootfs").mkdir(parents=True)
        (self.dir / "sharedVolumes/empty").mkdir(parents=True)
        volumes = [{"name": "rw", "kind": "host", "source": str(host)},
                   {"name": "ro", "kind": "host", "source": str(host), "readOnly": True},
                   {"name": "empty", "kind": "empty"}]
        mounts = [{"volume": "rw", "path": "/data/rw"}, {"volume": "ro", "path": "/data/ro"},
                  {"volume": "empty", "path": "/scratch"}]
        result = self.ok(self.run_app("cat /data/ro/there && echo mine >/data/rw/new && touch /scratch/x && "
                                      "! touch /data/ro/never 2>/dev/null", volumes=volumes, mounts=mounts))
        self.assertEqual(result.out, "of the host")
        self.assertEqual((host / "new").read_text(), "mine\n")
        self.assertFalse((host / "never").exists())
        self.assertTrue((self.dir / "sharedVolumes/empty/x").exists())

    def test_a_volume_behind_a_link_is_refused(self):
        target = self.lab.work / f"target-{self.uuid}"
        target.mkdir()
        link = self.lab.work / f"link-{self.uuid}"
        link.symlink_to(target)
        result = self.run_app("touch /data/x", volumes=[{"name": "v", "kind": "host", "source": str(link)}],
                              mounts=[{"volume": "v", "path": "/data"}])
        self.assertEqual(result.code, 254, result)
        self.assertEqual(list(target.iterdir()), [])

    def test_read_only_root(self):
        result = self.run_app("touch /x 2>/dev/null && exit 1; test ! -e /x", readOnlyRootFS=True)
        self.assertEqual(result.code, 0, result)

    def test_handlers(self):
        handlers = [{"name": "pre-start", "exec": ["/bin/sh", "-c", "echo before >/log"]},
                    {"name": "post-stop", "exec": ["/bin/sh", "-c", "echo after $(cat /log)"]}]
        result = self.run_app("cat /log; exit 4", members={"eventHandlers": handlers})
        self.assertEqual((result.code, result.out), (4, "before\nafter before\n"), result)

    def test_a_failing_pre_start_handler_keeps_the_app_from_running(self):
        handlers = [{"name": "pre-start", "exec": ["/bin/false"]}]
        result = self.run_app("echo ran", members={"eventHandlers": handlers})
        self.assertEqual((result.code, result.out), (254, ""), result)
        self.assertIn("pre-start handler", result.err)

    def test_a_program_that_is_not_there(self):
        result = self.run_app(["/no/such/program"])
        self.assertEqual(result.code, 254, result)
        self.assertIn("/no/such/program", result.err)

    def test_several_apps_and_the_first_failure(self):
        self.pod(self.app("trap 'exit 5' TERM; while :; do sleep 0.05; done", name="patient"),
                 self.app("sleep 0.5; exit 7", name="failing"))
        result = self.run_pod()
        self.assertEqual(result.code, 7, result)
        self.assertEqual((self.status("failing"), self.status("patient")), ("7", "5"))

    def test_apps_share_the_network(self):
        for one in ("server", "client"):
            self.app(name=one)
            (self.root(one) / "bin/nc").symlink_to("busybox")
        self.pod(self.described("server", "echo hello | nc -l -p 7777"),
                 self.described("client", "until nc 127.0.0.1 7777 2>/dev/null; do sleep 0.1; done"))
        self.assertEqual(self.ok(self.run_pod()).out, "hello\n")

    def described(self, name, script):
        return {"name": name, "image": {"id": "sha512-" + "0" * 128},
                "app": {"exec": ["/bin/sh", "-c", script], "user": "0", "group": "0"}}

    def test_own_network_namespace(self):
        command = "ip -o link | wc -l; readlink /proc/self/ns/net"
        own = self.ok(self.run_app(command)).out.split()
        ours = os.readlink("/proc/self/ns/net")
        self.assertEqual(own[1] != ours, self.can("network"), (own, ours))

    def test_host_name_and_own_pids(self):
        result = self.ok(self.run_app("hostname; ps | wc -l", "--hostname=somewhere"))
        name, processes = result.out.split()
        self.assertEqual(name == "somewhere", self.can("hostname"))
        if self.can("pids"):
            self.assertLess(int(processes), 8)

    def test_sigterm_is_passed_on(self):
        self.pod(self.app("trap 'echo asked; exit 9' TERM; echo up; while :; do sleep 0.05; done"))
        process = self.start()
        self.assertEqual(self.line(process), "up")
        process.send_signal(signal.SIGTERM)
        result = self.finish(process)
        self.assertEqual((result.code, result.out), (9, "asked\n"), result)

    def test_stop(self):
        self.pod(self.app("trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"))
        process = self.start()
        self.assertEqual(self.line(process), "up")
        self.ok(self.entry("stop", self.uuid))
        self.assertEqual(self.finish(process).code, 9)

    def test_stop_by_force(self):
        mark = f"3{os.getpid()}"
        self.pod(self.app(f"trap '' TERM; echo up; sleep {mark} & while :; do sleep 0.05; done"))
        process = self.start()
        self.assertEqual(self.line(process), "up")
        self.ok(self.entry("stop", "--force", self.uuid))
        self.finish(process)
        harness.wait_for(lambda: not self.running(f"sleep\0{mark}"), "the app's child to be gone")
        self.ok(self.entry("gc", self.uuid))

    def running(self, command):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    if command in file.read():
                        return True
            except OSError:
                pass
        return False

    def test_a_killed_executor_takes_the_pod_along(self):
        if not self.can("die"):
            return
        mark = f"2{os.getpid()}"
        self.pod(self.app(f"echo up; sleep {mark}"))
        process = self.start()
        self.assertEqual(self.line(process), "up")
        process.kill()
        self.finish(process)
        harness.wait_for(lambda: not self.running(f"sleep\0{mark}"), "the app to be gone")
        self.ok(self.entry("gc", self.uuid))

    def test_enter(self):
        self.pod(self.app("echo up; trap 'exit 0' TERM; while :; do sleep 0.05; done", user="1000", group="1001"))
        process = self.start()
        self.assertEqual(self.line(process), "up")
        entered = self.entry("enter", f"--pid={self.pid()}", "--appname=a", "--", "sh", "-c",
                             "id -u; test -x /bin/busybox; ls -d /opt 2>/dev/null; exit 6")
        self.assertEqual((entered.code, entered.out), (6, "1000\n"), entered)
        self.refused(self.entry("enter", f"--pid={self.pid()}", "--appname=other", "--", "sh"), 252, "no app")
        self.ok(self.entry("stop", self.uuid))
        self.finish(process)

    def test_entering_an_app_on_its_way(self):
        """The host's files can't be reached by coming early: whoever enters then finds the app, or is refused."""
        before = [{"name": "pre-start", "exec": ["/bin/sh", "-c", "sleep 0.5; echo >/prepared"]}]
        self.pod(self.app("echo up; trap 'exit 0' TERM; while :; do sleep 0.05; done", members={"eventHandlers": before}))
        process = self.start()
        supervisor = self.pid()
        inside = 0
        while inside < 2:
            entered = self.entry("enter", f"--pid={supervisor}", "--appname=a", "--", "/bin/sh", "-c",
                                 "test -x /bin/busybox && test ! -e /opt && echo $AC_APP_NAME; ls /prepared")
            inside += entered.code == 0
            if entered.code:
                self.refused(entered, 252, "not running")
            else:
                self.assertEqual(entered.out, "a\n/prepared\n")
            self.assertIsNone(process.poll(), entered)
        self.ok(self.entry("stop", self.uuid))
        self.finish(process)

    def test_gc_leaves_no_mount_or_process(self):
        before = self.mounts()
        self.ok(self.run_app("true"))
        self.ok(self.entry("gc", self.uuid))
        self.assertEqual(self.mounts(), before)
        left = [name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names if self.uuid in name]
        self.assertEqual(left, [])

    def mounts(self):
        with open("/proc/self/mounts") as file:
            return file.read()


class Native(Executor, native_test.NativeCase):
    pass


class Fly(Executor, native_test.NativeCase):
    entry_points = harness.BIN / "stage1/fly/rootfs"
    cannot = frozenset({"network", "hostname", "pids", "die", "net.ipv4.ip_unprivileged_port_start", "kernel.shmmni"})


class Crun(Executor, native_test.NativeCase):
    entry_points = harness.BIN / "stage1/oci/rootfs"
    environment = {"ACTOOL_OCI_RUNTIME": "crun"}


class Runc(Executor, native_test.NativeCase):
    entry_points = harness.BIN / "stage1/oci/rootfs"
    environment = {"ACTOOL_OCI_RUNTIME": "runc"}


class Nspawn(Executor, native_test.NativeCase):
    entry_points = harness.BIN / "stage1/nspawn/rootfs"
    cannot = frozenset({"kernel.shmmni"})


class Planned(Exception):
    """An app that a test wants to run, before it is run."""


class Vm(Executor, vm_pods.Images):
    # Each boot takes seconds: tests that only look at the output of an app are run as apps of one pod.
    TOGETHER = ("test_user_group_and_working_directory", "test_another_user_has_no_capabilities",
                "test_capabilities_are_those_of_the_isolator", "test_no_new_privileges",
                "test_system_calls_that_the_isolator_refuses", "test_oom_score_adj",
                "test_kernel_file_systems_and_devices", "test_read_only_root", "test_own_network_namespace")

    # Those of native, in the guest (vm_test.py).
    test_limits_hold_and_are_reported = test_sysctls = None

    def test_several_in_one_pod(self):
        apps = []

        def plan(script, **kwargs):
            name = f"app{len(apps)}"
            wrapped = f"out=$( ( {script} ) ); printf '%s\\nexit %s\\n' \"$out\" $? | sed 's/^/{name}|/'"
            apps.append(self.app(wrapped, name=name, **kwargs))
            raise Planned

        self.run_app = plan
        for test in self.TOGETHER:
            with self.assertRaises(Planned):
                getattr(Executor, test)(self)
        self.pod(*apps)
        lines = self.ok(self.run_pod()).out.splitlines()
        for index, test in enumerate(self.TOGETHER):
            own = [line.split("|", 1)[1] for line in lines if line.startswith(f"app{index}|")]
            code = int(own.pop().removeprefix("exit "))
            self.run_app = lambda *_, **__: harness.Result(code, ("\n".join(own) + "\n").encode(), b"")
            with self.subTest(test):
                getattr(Executor, test)(self)


for name in Vm.TOGETHER:
    setattr(Vm, name, None)


class Oci(native_test.NativeCase):
    entry_points = harness.BIN / "stage1/oci/rootfs"

    def test_a_runtime_that_is_not_there(self):
        self.lab.env["ACTOOL_OCI_RUNTIME"] = "no-such-runtime"
        self.refused(self.run_app("true"), 252, "there is no OCI runtime no-such-runtime")
        del self.lab.env["ACTOOL_OCI_RUNTIME"]


# What differs in a guest is timing, and a sanitizer's build in an emulated one has too much of it.
# What nspawn starts inside the app's root is static, which a sanitizer's build can't be.
if harness.SLOW != 1:
    del Vm, Nspawn


if __name__ == "__main__":
    harness.main()
