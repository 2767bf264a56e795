"""Isolators of the native stage1 against the real kernel: cgroups, filters of system calls, the rest."""

import json
import os
import pathlib
import shutil
import signal

import harness
import native_test


def cgroup_of(controller):
    """The directory of this process's cgroup in the hierarchy of a version 1 controller."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            for mount in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
                fields = mount.split()
                if "cgroup" == fields[fields.index("-") + 1] and controller in fields[-1].split(","):
                    return pathlib.Path(fields[4]) / path.lstrip("/")
    return None


def isolator(name, value):
    return {"name": name, "value": value}


class IsolatorCase(native_test.NativeCase):
    def run_with(self, script, *isolators, options=(), pod=(), **kwargs):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.pod(self.app(script, members={"isolators": list(isolators)}, **kwargs), isolators=list(pod))
        return self.run_pod(*options)

    def report(self):
        path = self.dir / "stage1/rootfs/rkt/isolators"
        if not path.exists():
            return {}
        return {(one.get("app", ""), one["name"]): (one["state"], one.get("detail", ""))
                for one in json.loads(path.read_text())["isolators"]}

    def cgroups(self):
        """Cgroups of the pod that are there."""
        found = []
        for controller in ("memory", "cpu", "blkio"):
            directory = cgroup_of(controller)
            if directory and (directory / f"actool-{self.uuid}").exists():
                found.append(directory / f"actool-{self.uuid}")
        return found


class Cgroups(IsolatorCase):
    def setUp(self):
        super().setUp()
        if not cgroup_of("memory") or not os.access(cgroup_of("memory"), os.W_OK):
            harness.skip("no version 1 memory controller to write to")

    def app(self, *args, **kwargs):
        app = super().app(*args, **kwargs)
        (self.root(kwargs.get("name", "a")) / "bin/tail").symlink_to("busybox")
        return app

    def test_memory_limit_kills_the_app_that_allocates(self):
        limit = isolator("resource/memory", {"limit": "32M"})
        self.assertEqual(self.run_with(["/bin/tail", "-c", "150000000", "/dev/zero"], limit).code, 128 + signal.SIGKILL)
        self.assertEqual(self.report(), {("a", "resource/memory"): ("applied", "")})
        self.assertEqual(self.cgroups(), [])

    def test_what_stays_below_the_limit_lives(self):
        result = self.ok(self.run_with("head -c 4000000 /dev/zero | tail -c 3000000 | wc -c",
                                       isolator("resource/memory", {"limit": "64M"})))
        self.assertEqual(result.out.split(), ["3000000"])

    def test_limit_of_the_pod_bounds_its_apps(self):
        result = self.run_with(["/bin/tail", "-c", "150000000", "/dev/zero"],
                               isolator("resource/memory", {"limit": "1G"}),
                               pod=[isolator("resource/memory", {"limit": "32M"})])
        self.assertEqual(result.code, 128 + signal.SIGKILL)

    def test_cpu_is_set_and_throttles(self):
        self.pod(self.app("echo ready; while :; do :; done", members={"isolators": [
            isolator("resource/cpu", {"limit": "100m"}), isolator("os/linux/cpu-shares", 2048)]}))
        process = self.start()
        self.assertEqual(self.line(process), "ready")
        own = cgroup_of("cpu") / f"actool-{self.uuid}/a"
        self.assertEqual((own / "cpu.cfs_quota_us").read_text(), "10000\n")
        self.assertEqual((own / "cpu.shares").read_text(), "2048\n")
        harness.wait_for(lambda: int((own / "cpu.stat").read_text().split()[3]) > 0, "the app to be throttled")
        self.ok(self.entry("stop", "--force", self.uuid))
        self.finish(process)
        self.assertEqual(self.cgroups(), [])

    def test_block_limits_are_set_for_the_devices_there_are(self):
        self.pod(self.app("echo ready; sleep 100", members={"isolators": [
            isolator("resource/block-bandwidth", {"default": True, "limit": "2M"}),
            isolator("resource/block-iops", {"default": True, "limit": "100"})]}))
        process = self.start()
        self.line(process)
        own = cgroup_of("blkio") / f"actool-{self.uuid}/a"
        devices = [path for path in pathlib.Path("/sys/block").iterdir() if (path / "size").read_text().strip() != "0"]
        if not devices:
            harness.skip("no block device")
        self.assertIn(" 2000000", (own / "blkio.throttle.read_bps_device").read_text())
        self.assertIn(" 100", (own / "blkio.throttle.write_iops_device").read_text())
        self.assertEqual(self.report()["a", "resource/block-iops"][0], "changed")
        self.entry("stop", "--force", self.uuid)
        self.finish(process)

    def test_cgroups_left_by_a_crash_are_collected(self):
        self.pod(self.app("echo ready; sleep 100",
                          members={"isolators": [isolator("resource/memory", {"limit": "64M"})]}))
        process = self.start()
        self.line(process)
        process.kill()
        self.finish(process)
        self.assertEqual(len(self.cgroups()), 1)
        self.ok(self.entry("gc", self.uuid))
        self.assertEqual(self.cgroups(), [])

    def test_without_rights_the_pod_runs_and_says_so(self):
        memory = cgroup_of("memory")
        mount = next(line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                     if str(memory).startswith(line.split()[4]) and " cgroup " in line and "memory" in line.split()[-1])
        os.system(f"mount -o bind,remount,ro {mount}")
        self.addCleanup(os.system, f"mount -o bind,remount,rw {mount}")
        result = self.ok(self.run_with("echo ran", isolator("resource/memory", {"limit": "64M"}),
                                       isolator("os/linux/no-new-privileges", True)))
        self.assertEqual(result.out, "ran\n")
        self.assertIn('isolators that are not applied: app "a": resource/memory (making the cgroup', result.err)
        self.assertEqual(self.report()["a", "resource/memory"][0], "ignored")
        self.assertEqual(self.report()["a", "os/linux/no-new-privileges"][0], "applied")


class Seccomp(IsolatorCase):
    MOUNT = "mkdir /m; mount -t tmpfs none /m 2>&1; echo $?"

    def test_default_filter_is_on_and_off(self):
        self.assertIn("2", self.ok(self.run_with("grep Seccomp: /proc/self/status")).out)
        self.assertEqual(self.ok(self.run_with("grep Seccomp: /proc/self/status", options=["--disable-seccomp"]))
                         .out.split()[1], "0")

    def test_it_holds_for_any_user_without_no_new_privileges(self):
        result = self.ok(self.run_with("grep -e Seccomp: -e NoNewPrivs -e Cap /proc/self/status", user="1000"))
        values = dict(line.split(":") for line in result.out.splitlines())
        self.assertEqual((values["Seccomp"].strip(), values["NoNewPrivs"].strip()), ("2", "0"))
        self.assertEqual((int(values["CapPrm"], 16), int(values["CapInh"], 16), int(values["CapAmb"], 16)), (0, 0, 0))

    def test_capabilities_bring_their_calls(self):
        retain = isolator("os/linux/capabilities-retain-set", {"set": ["CAP_SYS_ADMIN"]})
        self.assertEqual(self.ok(self.run_with(self.MOUNT, retain)).out, "0\n")
        self.assertIn("permission denied", self.ok(self.run_with(self.MOUNT)).out)

    def test_remove_set_kills_or_refuses(self):
        killing = isolator("os/linux/seccomp-remove-set", {"set": ["chmod", "fchmodat", "fchmod"]})
        self.assertEqual(self.run_with("chmod 700 /etc; exit 3", killing).code, 3)
        self.assertEqual(self.run_with(["/bin/chmod", "700", "/etc"], killing).code, 128 + signal.SIGSYS)
        refusing = isolator("os/linux/seccomp-remove-set", {"set": ["chmod", "fchmodat"], "errno": "ENOSPC"})
        self.assertIn("No space left", self.run_with("chmod 700 /etc 2>&1", refusing).out)

    def test_retain_set_may_be_small(self):
        few = isolator("os/linux/seccomp-retain-set", {"set": ["@rkt/default-whitelist"], "errno": "EPERM"})
        self.assertEqual(self.ok(self.run_with("echo works", few)).out, "works\n")
        none = isolator("os/linux/seccomp-retain-set", {"set": ["read"]})
        self.assertEqual(self.run_with("true", none).code, 128 + signal.SIGSYS)

    def test_all_is_no_filter(self):
        everything = isolator("os/linux/seccomp-retain-set", {"set": ["@appc.io/all"]})
        self.assertEqual(self.ok(self.run_with("grep Seccomp: /proc/self/status", everything)).out.split()[1], "0")

    def test_unknown_calls_are_refused(self):
        self.assert_refused(self.run_with("true", isolator("os/linux/seccomp-remove-set", {"set": ["frobnicate"]})),
                            'app "a": os/linux/seccomp-remove-set: there is no system call "frobnicate"')

    def test_handlers_are_under_the_filter(self):
        handlers = [{"name": "pre-start", "exec": ["/bin/sh", "-c", "grep Seccomp: /proc/self/status"]}]
        shutil.rmtree(self.dir, ignore_errors=True)
        result = self.ok(self.run_app("true", members={"eventHandlers": handlers}))
        self.assertEqual(result.out.split()[1], "2")


class Others(IsolatorCase):
    def test_oom_score(self):
        result = self.ok(self.run_with("cat /proc/self/oom_score_adj", isolator("os/linux/oom-score-adj", 500)))
        self.assertEqual(result.out, "500\n")
        self.assertEqual(self.report()["a", "os/linux/oom-score-adj"], ("applied", ""))

    def test_oom_score_that_may_not_be_set_is_reported(self):
        result = self.ok(self.run_with("cat /proc/self/oom_score_adj", isolator("os/linux/oom-score-adj", -999)))
        state, _ = self.report()["a", "os/linux/oom-score-adj"]
        self.assertEqual(result.out == "-999\n", state == "applied", result)

    def test_kernel_parameters_of_the_pod(self):
        sysctls = isolator("os/unix/sysctl", {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shmmni": "77"})
        script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni"
        before = pathlib.Path("/proc/sys/kernel/shmmni").read_text()
        self.assertEqual(self.ok(self.run_with(script, pod=[sysctls])).out.split(), ["80", "77"])
        self.assertEqual(pathlib.Path("/proc/sys/kernel/shmmni").read_text(), before)

    def test_kernel_parameters_of_the_host_are_refused(self):
        self.assert_refused(self.run_with("true", pod=[isolator("os/unix/sysctl", {"kernel.panic": "1"})]),
                            "is not a pod's own, it would change the host")
        self.assert_refused(self.run_with("true", pod=[isolator("os/unix/sysctl", {"net.core.somaxconn": "1"})],
                                          options=["--net=host"]), "is of the network, which is the host's")

    def test_labels_that_the_host_does_not_know_are_refused(self):
        if pathlib.Path("/sys/module/apparmor").exists():
            self.assert_refused(self.run_with("true", isolator("os/linux/apparmor-profile", {"profile": "no-such"})),
                                'there is no profile "no-such"')
        else:
            self.assert_refused(self.run_with("true", isolator("os/linux/apparmor-profile", {"profile": "x"})),
                                "AppArmor is not active on this host")

    def test_unknown_ones_are_reported(self):
        result = self.ok(self.run_with("true", isolator("example.com/cosmic-rays", "none"),
                                       pod=[isolator("os/linux/no-new-privileges", True)]))
        self.assertIn("isolators that are not applied: pod: os/linux/no-new-privileges (it is for apps), "
                      'app "a": example.com/cosmic-rays (this executor does not know it)', result.err)

    def test_pods_without_isolators_have_no_report(self):
        self.ok(self.run_with("true"))
        self.assertEqual(self.report(), {})


class CommandLine(harness.TestCase):
    def setUp(self):
        super().setUp()
        tar = harness.aci_tar(harness.manifest("example.com/a", exec=["/bin/true"]))
        path = harness.write_aci(self.lab.work / "a.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        self.id = harness.image_id(tar)

    def run_app(self, *words):
        return self.lab.actool("run", self.id, *words)

    def test_overrides_reach_the_app_and_status_tells(self):
        uuid = self.lab.work / "uuid"
        result = self.ok(self.lab.actool(
            "run", f"--uuid-file-save={uuid}", self.id, "--exec=/bin/sh",
            "--memory=64M", "--cpu=500m", "--cpu-shares=512", "--oom-score-adj=300", "--caps-retain=CAP_KILL,CAP_CHOWN",
            "--no-new-privileges", "--seccomp=mode=remove,errno=EPERM,chmod", "--supplementary-gids=7,8",
            "--", "-c", "grep -e CapEff -e NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj; id -G"))
        words = result.out.split()
        self.assertEqual(int(words[1], 16), 1 << 5 | 1)
        self.assertEqual(words[3:], ["1", "300", "0", "7", "8"])
        status = self.ok(self.lab.actool("status", f"--uuid-file={uuid}"))
        self.assertIn("isolator-a:os/linux/no-new-privileges=applied\n", status.out)
        self.assertRegex(status.out, r"isolator-a:resource/memory=(applied|ignored \()")
        record = json.loads(self.ok(self.lab.actool("status", "--format=json", f"--uuid-file={uuid}")).out)
        self.assertIn({"app": "a", "name": "os/linux/oom-score-adj", "state": "applied"}, record["isolators"])

    def test_wrong_values_are_refused_by_name(self):
        self.refused(self.run_app("--memory=lots"), 254, "--memory: resource/memory: limit")
        self.refused(self.run_app("--seccomp=mode=retain,frobnicate"), 254, "no system call .*frobnicate")
        self.refused(self.run_app("--caps-retain=CAP_KILL", "--caps-remove=CAP_CHOWN"), 254, "exclude each other")

    def test_insecure_option_turns_the_filter_off(self):
        for options, expected in (([], "2"), (["--insecure-options=seccomp"], "0")):
            result = self.ok(self.lab.actool(*options, "run", self.id, "--exec=/bin/grep", "--", "Seccomp:",
                                             "/proc/self/status"))
            self.assertEqual(result.out.split()[1], expected)


if __name__ == "__main__":
    harness.main()
