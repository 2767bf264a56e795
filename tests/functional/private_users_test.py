"""Pods in user namespaces (--private-users), by the whole command: root in a pod is nobody outside."""

import os
import pathlib
import subprocess

import harness
from run_test import PodCase

SH = ["--exec=/bin/sh", "--", "-c"]


class PrivateUsers(PodCase):
    STAGE1 = ["--private-users"]

    def range(self, uuid):
        first, count = (self.pod_dir(uuid) / "private-users").read_text().strip().split(":")
        return int(first), int(count)

    def shell(self, script, *options, app=()):
        return self.run_pod("--net=none", *options, self.id, *app, *SH, script)

    def test_root_inside_is_nobody_outside(self):
        process, uuid = self.start("--net=none", self.id, *SH, "echo began; while :; do sleep 1; done")
        self.assertEqual(process.stdout.readline(), b"began\n")
        first, count = self.range(uuid)
        self.assertEqual(count, 65536)
        self.assertGreaterEqual(first, 524288)
        supervisor = int((self.pod_dir(uuid) / "pid").read_text())
        children = pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        status = pathlib.Path(f"/proc/{children[0]}/status").read_text()
        self.assertIn(f"Uid:\t{first}\t{first}\t{first}\t{first}", status)
        self.assertIn(f"Gid:\t{first}\t{first}\t{first}\t{first}", status)
        inside = self.ok(self.lab.actool("enter", uuid, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map")).out.split()
        self.assertEqual(inside, ["0", "0", str(first), "65536"])
        # Another pod has other IDs.
        _, other = self.start("--net=none", self.id, *SH, "while :; do sleep 1; done")
        self.assertNotEqual(self.range(other)[0], first)

    def test_files_have_the_owners_of_the_image(self):
        result = self.ok(self.shell("stat -c '%u %g' / /bin/busybox /dev /dev/shm /tmp; "
                                    "echo x >/etc/written && stat -c %u /etc/written"))
        self.assertEqual(result.out.split(), ["0"] * 11)
        written = list((self.lab.store / "pods").glob("*/*/overlay/*/upper/etc/written"))
        self.assertEqual([os.stat(path).st_uid for path in written], [0])

    def test_a_volume_keeps_its_owners(self):
        volume = self.lab.work / "volume"
        volume.mkdir()
        (volume / "there").write_text("x")
        os.chown(volume / "there", 1234, 1235)
        result = self.ok(self.shell("stat -c '%u %g' /v/there; echo y >/v/made; chown 7:8 /v/made",
                                    f"--volume=v,kind=host,source={volume}", "--mount=volume=v,target=/v"))
        self.assertEqual(result.out, "1234 1235\n")
        made = os.stat(volume / "made")
        self.assertEqual((made.st_uid, made.st_gid), (7, 8))

    def test_another_user_and_set_user_id(self):
        volume = self.lab.work / "suid"
        volume.mkdir()
        mount = [f"--volume=v,kind=host,source={volume}", "--mount=volume=v,target=/v"]
        self.ok(self.shell("cp /bin/busybox /v/id && chmod 4755 /v/id", *mount))
        made = os.stat(volume / "id")
        self.assertEqual((made.st_uid, made.st_mode & 0o7777), (0, 0o4755))
        result = self.ok(self.shell("/bin/busybox id -u; stat -c '%u %a' /v/id", *mount,
                                    app=["--user=1000", "--group=1000"]))
        self.assertEqual(result.out.split(), ["1000", "0", "4755"])

    def test_what_is_refused(self):
        result = self.shell("hostname other; mount -t tmpfs none /tmp; mknod /tmp/m b 7 0; echo 1 >/proc/sys/vm/swappiness; "
                            "chown 70000 /tmp; echo done")
        self.ok(result)
        self.assertEqual(result.out, "done\n")

    def test_low_ports_and_other_things_root_does(self):
        self.ok(self.shell("nc -l -p 80 -e true & sleep 0.2; nc 127.0.0.1 80 </dev/null; su -s /bin/sh root -c true || true"))

    def test_copied_trees(self):
        result = self.ok(self.shell("stat -c '%u %g' /bin/busybox; echo x >/etc/written; stat -c %u /etc/written",
                                    "--no-overlay"))
        self.assertEqual(result.out.split(), ["0", "0", "0"])

    def test_prepared_pods(self):
        uuid = self.ok(self.lab.actool("prepare", "--private-users", self.id, *SH, "cat /proc/self/uid_map")).out.strip()
        first, _ = self.range(uuid)
        self.assertEqual(self.ok(self.lab.actool("run-prepared", uuid)).out.split(), ["0", str(first), "65536"])

    def test_handlers_and_logs(self):
        self.ok(self.shell("echo to the log; echo x >/dev/stderr", app=["--stdout=log", "--stderr=log"]))

    @harness.enters_namespaces
    def test_apps_that_are_added(self):
        file = self.lab.work / "sandbox-uuid"
        process = self.lab.popen("app", "sandbox", "--private-users", f"--uuid-file-save={file}")
        self.addCleanup(self.reap, process)
        harness.wait_for(lambda: file.exists() and file.read_text().strip(), "the pod's UUID")
        uuid = file.read_text().strip()
        harness.wait_for(lambda: (self.pod_dir(uuid) / "control").exists(), "the pod to take requests")
        first, _ = self.range(uuid)
        script = "cat /proc/self/uid_map; stat -c '%u' / /bin/busybox; echo x >/made; stat -c %u /made; exec sleep 1000"
        self.ok(self.lab.actool("app", "add", uuid, self.id, "--name=one", *SH, script))
        self.ok(self.lab.actool("app", "start", "--app=one", uuid))
        expected = ["0", str(first), "65536", "0", "0", "0"]
        harness.wait_for(lambda: self.lab.actool("logs", uuid).out.split() == expected, "the app's log",
                         lambda: self.lab.actool("logs", uuid).out)
        self.assertEqual(self.ok(self.lab.actool("app", "exec", "--app=one", uuid, "/bin/cat", "/proc/self/uid_map")).out.split(),
                         expected[:3])
        self.ok(self.lab.actool("app", "stop", "--app=one", uuid))
        self.ok(self.lab.actool("app", "rm", "--app=one", uuid))
        self.ok(self.lab.actool("stop", uuid))
        process.wait(20)
        self.collect()

    def test_a_network(self):
        """A network is the host's to set up; the pod's root has no rights over it."""
        for place in ("/var/lib/cni", "/run"):
            os.makedirs(place, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
            self.addCleanup(subprocess.run, ["umount", "-l", place], check=True)
        result = self.ok(self.lab.actool("run", *self.STAGE1, "--net=default", self.id, *SH,
                                         "ip -4 addr show eth0; ip link set eth0 down 2>/dev/null || echo kept; cat /proc/self/uid_map"))
        self.assertRegex(result.out, r"inet 172\.16\.28\.\d+/24")
        self.assertIn("kept\n", result.out)
        self.assertRegex(result.out, r"\b65536\n")
        self.collect()

    def test_subordinate_ids_that_are_given(self):
        for name in ("subuid", "subgid"):
            file = self.lab.work / name
            file.write_text("somebody:100000:65536\nactool:7000000:65536\n")
            subprocess.run(["touch", f"/etc/{name}"], check=True)
            subprocess.run(["mount", "--bind", str(file), f"/etc/{name}"], check=True)
            self.addCleanup(subprocess.run, ["umount", f"/etc/{name}"], check=True)
        process, uuid = self.start("--net=none", self.id, *SH, "while :; do sleep 1; done")
        self.assertEqual(self.range(uuid), (7000000, 65536))
        second = self.shell("true")
        self.refused(second, 254, "no user IDs left")


if __name__ == "__main__":
    harness.main()
