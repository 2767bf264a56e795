"""What a service manager gives a pod and hears from it: sockets to listen on, readiness. The test stands in for
systemd."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import harness
from run_test import PodCase


class SystemdCase(PodCase):
    def run_with(self, args, sockets=(), names=None, env=None):
        """`actool run` as a service manager starts it: the sockets from descriptor 3 on."""
        def place():
            high = [os.dup2(one.fileno(), 100 + i) for i, one in enumerate(sockets)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.close(fd)
                os.set_inheritable(3 + i, True)
            os.environ["LISTEN_PID"] = str(os.getpid())

        variables = {**self.lab.env, **(env or {})}
        argv = self.lab.argv("run", *args)
        if sockets:
            variables["LISTEN_FDS"] = str(len(sockets))
            if names is not None:
                variables["LISTEN_FDNAMES"] = names
            # LISTEN_PID is the process's own; a shell knows it and stays that process.
            argv = ["/bin/sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh", *argv]
        process = subprocess.Popen(argv, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, preexec_fn=place if sockets else None, close_fds=False,
                                   start_new_session=True)
        self.addCleanup(self.reap, process)
        return process

    def finish(self, process):
        out, err = process.communicate(timeout=60 * harness.SLOW)
        return harness.Result(process.returncode, out, err)

    def listening(self, port=0):
        one = socket.socket()
        self.addCleanup(one.close)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))
        one.listen()
        return one


class SocketActivation(SystemdCase):
    SCRIPT = ("echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && echo mine; "
              "fd=3; while [ $fd -lt $((3 + LISTEN_FDS)) ]; do echo $(readlink /proc/$$/fd/$fd | head -c 7); "
              "fd=$((fd + 1)); done")

    def image(self, name, *ports):
        return self.ingest(name, app={**self.APP, "exec": ["/bin/sh", "-c", self.SCRIPT], "ports": [
            {"name": port, "protocol": "tcp", "port": number, "socketActivated": activated}
            for port, number, activated in ports]})

    def test_sockets_by_the_names_of_ports(self):
        web = self.image("example.com/web", ("http", 80, True), ("https", 443, True), ("plain", 81, False))
        result = self.finish(self.run_with([web], [self.listening(), self.listening()], names="https:http"))
        self.assertEqual(self.ok(result).out.splitlines()[:2], ["2 https:http", "mine"])
        self.assertEqual([line for line in result.out.splitlines()[2:] if line.startswith("socket")], ["socket:"] * 2)

    def test_each_app_gets_its_own(self):
        web = self.image("example.com/web", ("http", 80, True))
        mail = self.image("example.com/mail", ("smtp", 25, True))
        result = self.finish(self.run_with([web, mail], [self.listening(), self.listening()], names="smtp:http"))
        self.assertEqual(sorted(self.ok(result).out.split()), sorted("1 smtp mine socket: 1 http mine socket:".split()))

    def test_sockets_by_port_number(self):
        first, second = self.listening(), self.listening()
        a = self.image("example.com/a", ("a", first.getsockname()[1], True))
        b = self.image("example.com/b", ("b", second.getsockname()[1], True))
        result = self.finish(self.run_with([a, b], [second, first]))
        self.assertEqual(sorted(self.ok(result).out.split()), sorted("1 mine socket: 1 mine socket:".split()))

    def test_the_app_serves_what_came_in_through_it(self):
        listener = self.listening()
        web = self.ingest("example.com/served", app={
            "exec": ["/bin/sh", "-c", "exec python3"], "user": "0", "group": "0",
            "ports": [{"name": "http", "protocol": "tcp", "port": 80, "socketActivated": True}]})
        # The smallest server there is in busybox: nc takes a listening socket of inetd's kind as its standard input.
        process = self.run_with([web, "--exec=/bin/sh", "--", "-c", "ls -l /proc/self/fd/3 | grep -c socket; sleep 1"],
                                [listener])
        client = socket.create_connection(listener.getsockname(), timeout=10)
        client.close()
        self.assertEqual(self.ok(self.finish(process)).out, "1\n")

    def test_a_socket_that_is_nobodys(self):
        process = self.run_with([self.id], [self.listening()], names="other")
        self.refused(self.finish(process), 254, 'no app has a socket-activated port for the socket "other"')

    def test_sockets_for_another_process_are_left_alone(self):
        result = self.lab.actool("run", self.id, "--exec=/bin/sh", "--", "-c", "echo [$LISTEN_FDS]",
                                 env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
        self.assertEqual(self.ok(result).out, "[]\n")


class Notify(SystemdCase):
    def manager(self):
        path = self.lab.work / "notify"
        path.unlink(missing_ok=True)
        one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(one.close)
        one.bind(str(path))
        one.settimeout(20 * harness.SLOW)
        return one, {"NOTIFY_SOCKET": str(path)}

    def image(self, name, script):
        entries = harness.busybox_entries() + [harness.Entry(
            "rootfs/bin/notify", pathlib.Path(self.notifier()).read_bytes(), mode=0o755)]
        manifest = harness.manifest(name, exec=["/bin/sh", "-c", script], annotations=[
            {"name": "appc.io/executor/supports-systemd-notify", "value": "true"}])
        tar = harness.aci_tar(manifest, entries)
        path = harness.write_aci(self.lab.work / "notify.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        return harness.image_id(tar)

    def notifier(self):
        """A static program that sends its argument to $NOTIFY_SOCKET."""
        program = self.lab.work / "notifier"
        if not program.exists():
            source = self.lab.work / "notifier.c"
            source.write_text(r"""
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char* path = getenv("NOTIFY_SOCKET");
  if (argc != 2 || path == NULL) return 2;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  return sendto(fd, argv[1], strlen(argv[1]), 0, (struct sockaddr*)&address, sizeof address) < 0;
}
""")
            subprocess.run(["cc", "-static", "-o", program, source], check=True)
        return program

    def test_a_pod_of_other_apps_is_ready_when_they_have_begun(self):
        manager, env = self.manager()
        process = self.run_with([self.id, "--exec=/bin/sh", "--", "-c", "echo [$NOTIFY_SOCKET]; sleep 100"], env=env)
        self.assertEqual(manager.recv(4096), b"READY=1")
        self.assertEqual(process.stdout.readline(), b"[]\n")
        process.terminate()
        self.finish(process)

    def test_ready_when_the_app_says_so(self):
        manager, env = self.manager()
        image = self.image("example.com/slow", "echo $NOTIFY_SOCKET; notify STATUS=starting; "
                                               "until [ -e /tmp/go ]; do sleep 0.05; done; notify READY=1; sleep 100")
        file = self.lab.work / "uuid"
        file.unlink(missing_ok=True)
        process = self.run_with([f"--uuid-file-save={file}", image], env=env)
        manager.settimeout(1)
        with self.assertRaises(TimeoutError):
            manager.recv(4096)
        manager.settimeout(20 * harness.SLOW)
        self.ok(self.lab.actool("enter", file.read_text().strip(), "touch", "/tmp/go"))
        self.assertEqual(manager.recv(4096), b"READY=1")
        process.terminate()
        self.assertEqual(self.finish(process).out, "/dev/notify\n")

    def test_also_by_an_app_that_is_not_root(self):
        manager, env = self.manager()
        image = self.image("example.com/user", "notify READY=1; sleep 100")
        process = self.run_with([image, "--user=web", "--group=web"], env=env)
        self.assertEqual(manager.recv(4096), b"READY=1")
        process.terminate()
        self.finish(process)

    def test_nothing_else_comes_through(self):
        manager, env = self.manager()
        image = self.image("example.com/liar", "notify 'MAINPID=1\nSTOPPING=1\nFDSTORE=1'; "
                                               "for i in $(seq 1 200); do notify X=$i; done; notify 'A=b\nREADY=1'; "
                                               "notify READY=1; exit 3")
        process = self.run_with([image], env=env)
        self.assertEqual(manager.recv(4096), b"READY=1")
        self.assertEqual(self.finish(process).code, 3)
        manager.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            manager.recv(4096)

    def test_without_a_manager_nothing_is_made(self):
        image = self.image("example.com/alone", "echo [$NOTIFY_SOCKET]; ls /dev/notify")
        result = self.run_pod(image)
        self.assertEqual(result.out, "[]\n")
        self.assertNotEqual(result.code, 0)

    def test_the_mark_of_readiness(self):
        process, uuid = self.start(self.id, "--exec=/bin/sleep", "--", "100")
        mark = self.pod_dir(uuid) / "stage1/rootfs/rkt/supervisor-status"
        harness.wait_for(lambda: mark.is_symlink(), "the mark")
        self.assertEqual(os.readlink(mark), "ready")


class Units(harness.TestCase):
    def test_example_units_are_valid(self):
        units = harness.SOURCE / "share/examples/units"
        found = sorted(path.name for path in units.iterdir())
        self.assertIn("web.service", found)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *[str(units / name) for name in found]],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        complaints = [line for line in done.stdout.decode().splitlines() if "examples/units" in line]
        self.assertEqual(complaints, [])


if __name__ == "__main__":
    harness.main()
