"""Pods among systemd's machines: the real systemd-machined on a system bus of the test's own. There is no
systemd, which machined does without but for the unit of a process, and that it reads off its cgroup."""

import os
import pathlib
import signal
import subprocess

import harness
from run_test import PodCase

MACHINED = "/lib/systemd/systemd-machined"


def systemd_hierarchy():
    """Where systemd keeps its units: the hierarchy in which machined looks for a process's."""
    root = pathlib.Path("/sys/fs/cgroup")
    for place in (root, root / "unified", root / "systemd"):
        if (place / "cgroup.procs").exists():
            return place
    return None


class Machined(PodCase):
    def setUp(self):
        super().setUp()
        hierarchy = systemd_hierarchy()
        if hierarchy is None:
            harness.skip("no cgroup hierarchy that would be systemd's")
        # Its own /run, in the test's mount namespace.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/run"], check=True)
        for name in ("dbus", "systemd/system", "systemd/machines"):
            pathlib.Path("/run", name).mkdir(parents=True)
        self.unit = hierarchy / "system.slice" / f"actool-test-{os.getpid()}.service"
        self.unit.mkdir(parents=True)
        self.addCleanup(self.remove_unit)
        self.serve(["dbus-daemon", "--system", "--nofork", "--nopidfile", "--address=unix:path=/run/dbus/system_bus_socket"],
                   "/run/dbus/system_bus_socket")

    def remove_unit(self):
        harness.wait_for(lambda: not (self.unit / "cgroup.procs").read_text(), "the end of what ran in the unit")
        self.unit.rmdir()
        if not any(path.is_dir() for path in self.unit.parent.iterdir()):
            self.unit.parent.rmdir()

    def serve(self, argv, path=None):
        with open(self.lab.work / "services", "ab") as errors:
            process = self.lab.start(argv, stdout=subprocess.DEVNULL, stderr=errors)
        self.addCleanup(self.lab.stop, process)
        if path:
            harness.wait_for(lambda: os.path.exists(path), path)
        return process

    def machined(self):
        self.serve([MACHINED])
        harness.wait_for(lambda: subprocess.run(["machinectl", "list"], stdout=subprocess.DEVNULL,
                                                stderr=subprocess.DEVNULL).returncode == 0, "machined")

    def machines(self):
        done = subprocess.run(["machinectl", "list", "--no-legend", "--no-pager"], stdout=subprocess.PIPE, check=True, text=True)
        return [line.split()[:3] for line in done.stdout.splitlines()]

    def property(self, machine, name):
        done = subprocess.run(["machinectl", "show", machine, "--property", name, "--value"], stdout=subprocess.PIPE,
                              check=True, text=True)
        return done.stdout.strip()

    def start_in_unit(self, *words):
        def enter():
            (self.unit / "cgroup.procs").write_text(str(os.getpid()))
        return self.start(*words, preexec_fn=enter)

    def sleeper(self):
        return self.start_in_unit(self.id, "--exec=/bin/sleep", "--", "100")

    def test_as_long_as_it_runs(self):
        self.machined()
        process, uuid = self.sleeper()
        name = f"rkt-{uuid}"
        harness.wait_for(self.machines, "the machine")
        self.assertEqual(self.machines(), [[name, "container", "actool"]])
        self.assertEqual(self.property(name, "Leader"), (self.pod_dir(uuid) / "pid").read_text().strip())
        self.assertEqual(self.property(name, "Id"), uuid.replace("-", ""))
        self.assertEqual(self.property(name, "Unit"), self.unit.name)
        self.ok(self.lab.actool("stop", uuid))
        process.wait(20)
        harness.wait_for(lambda: not self.machines(), "the end of the machine")
        self.collect()

    def test_a_supervisor_that_is_killed(self):
        self.machined()
        process, uuid = self.sleeper()
        harness.wait_for(self.machines, "the machine")
        process.send_signal(signal.SIGKILL)
        process.wait()
        harness.wait_for(lambda: not self.machines(), "the end of the machine")
        self.collect()

    def test_without_machined(self):
        result = self.ok(self.run_pod(self.id))
        self.assertEqual((result.out, result.err), ("ran\n", ""))
        _, uuid = self.sleeper()
        self.refused(self.lab.actool("machine", uuid), 254, f"systemd-machined does not take pod {uuid}: ")
        self.assertEqual(self.status(uuid)["state"], "running")
        self.collect()

    def test_who_is_no_unit(self):
        self.machined()
        _, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        self.refused(self.lab.actool("machine", uuid), 254, f"systemd-machined does not take pod {uuid}: .*unit")
        self.collect()

    def test_a_pod_that_has_ended(self):
        self.ok(self.run_pod(self.id))
        [pod] = self.pods()
        self.refused(self.lab.actool("machine", pod["uuid"]), 254, "has ended")


if __name__ == "__main__":
    harness.main()
