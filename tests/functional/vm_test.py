"""The virtual machine executor beyond what all executors do: machines, shares, terminals, refusals."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import termios
import time

import harness
import vm_pods
from run_test import PodCase


class Machines(vm_pods.VirtualMachine):
    """Each test is one boot, which takes seconds: it looks at several things."""

    def test_an_unpacked_image_its_size_and_standard_input(self):
        limit = [{"name": "resource/memory", "value": {"limit": "100M"}},
                 {"name": "resource/cpu", "value": {"limit": "500m"}}]
        self.pod(self.app("cat; cat /proc/self/cgroup; grep MemTotal /proc/meminfo; "
                          "echo written >/kept; echo tail >&2; "
                          "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done", members={"isolators": limit}))
        given = "line\n" * 100_000
        process = self.start("--interactive", stdin=-1)
        out, err = process.communicate(given.encode(), timeout=120)
        lines = out.decode().splitlines()
        self.assertEqual(lines[:-2], given.splitlines())
        self.assertEqual(lines[-2], f"0::/actool-{self.uuid}/a")
        self.assertLess(int(lines[-1].split()[1]), 250_000)
        self.assertEqual((process.returncode, self.status()), (128 + signal.SIGKILL, "137"), err)
        self.assertEqual((self.root() / "kept").read_text(), "written\n")
        report = (self.dir / "stage1/rootfs/rkt/isolators").read_text()
        self.assertIn('"resource/memory","state":"applied"', report.replace(" ", ""))

    def test_terminals(self):
        self.pod(self.app("stty size; echo up; read x; echo got $x; sleep 100"))
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        process = self.start("--interactive", stdin=slave, stdout=slave, stderr=slave)
        self.until(master, "up")
        self.assertIn("33 99", self.seen)
        os.write(master, b"word\n")
        self.until(master, "got word")
        entered = self.entry("enter", f"--pid={self.pid()}", "--appname=a", "--", "sh", "-c", "ps | grep -c 'sleep 10[0]'")
        self.assertEqual(entered.out, "1\n", entered)
        os.write(master, b"\x03")  # Ctrl-C
        self.assertEqual(process.wait(60 * harness.SLOW), 128 + signal.SIGINT)
        os.close(master)
        os.close(slave)

    def until(self, master, text):
        self.seen = ""
        deadline = time.monotonic() + 60 * harness.SLOW
        while text not in self.seen:
            ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, self.seen)
            self.seen += os.read(master, 4096).decode()


    def test_the_default_network_and_its_ports(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as outside:
            app = self.app(f"cat /etc/resolv.conf; nc 10.0.2.2 {outside.getsockname()[1]}; echo served | nc -l -p 80",
                           members={"ports": [{"name": "web", "protocol": "tcp", "port": 80}]})
            (self.root() / "bin/nc").symlink_to("busybox")
            self.pod(app, ports=[{"name": "web", "hostPort": port}])
            process = self.start("--net=default")
            outside.settimeout(60 * harness.SLOW)
            connection, _ = outside.accept()
            connection.sendall(b"from the host\n")
            connection.close()

        def ask():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                return client.recv(100)
            return b""

        harness.wait_for(lambda: ask() == b"served\n", "an answer from the pod")
        self.assertEqual(self.finish(process).out.splitlines(), ["nameserver 10.0.2.3", "from the host"])


class Refusals(vm_pods.VirtualMachine):
    def test_the_hosts_network_and_ipc(self):
        self.pod(self.app())
        self.refused(self.run_pod("--net=host"), 254, "cannot have the host's network; give it --net=none or --net=default")
        self.refused(self.run_pod("--ipc=parent"), 254, "cannot share the host's IPC namespace")
        self.refused(self.run_pod("--net=other"), 254, "has no networks but none and default")

    def test_a_device_volume(self):
        self.pod(self.app( mounts=[{"volume": "v", "path": "/x"}]),
                 volumes=[{"name": "v", "kind": "host", "source": "/dev/null"}])
        self.refused(self.run_pod(), 254, "volume \"v\": only directories and files")

    def test_no_kernel(self):
        self.lab.env["ACTOOL_VM_KERNEL"] = str(self.lab.work / "none")
        self.addCleanup(self.lab.env.pop, "ACTOOL_VM_KERNEL")
        self.pod(self.app())
        self.refused(self.run_pod(), 252, "the kernel .*none: opening .*No such file")

    def test_a_kernel_that_does_not_boot(self):
        boot = self.lab.work / "bad/boot"
        boot.mkdir(parents=True)
        (boot / "vmlinuz-0").write_bytes(b"no kernel")
        modules = self.lab.work / "bad/lib/modules/0"
        modules.mkdir(parents=True)
        (modules / "modules.dep").write_text("")
        (modules / "modules.builtin").write_text("".join(
            f"{name}.ko\n" for name in ("virtio_mmio", "virtio_pci", "virtio_console", "virtio_blk", "erofs", "overlay",
                                        "virtiofs")))
        self.lab.env["ACTOOL_VM_KERNEL"] = str(boot / "vmlinuz-0")
        self.addCleanup(self.lab.env.pop, "ACTOOL_VM_KERNEL")
        self.pod(self.app())
        result = self.run_pod()
        self.assertEqual(result.code, 254, result)
        self.assertIn("the virtual machine ended before the pod did: QEMU exited with 1", result.err)


class Stored(PodCase):
    def test_an_image_of_the_store(self):
        self.lab.env["ACTOOL_VM_ACCEL"] = "tcg"
        result = self.lab.actool("run", "--stage1-name=vm", self.id, "--exec=/bin/sh", "--", "-c",
                                 "echo from $(uname -r); mount | grep ' / '; exit 5")
        self.assertEqual(result.code, 5, result)
        self.assertIn("cloud-amd64", result.out)
        self.assertIn("overlay", result.out)


if __name__ == "__main__":
    harness.main()
