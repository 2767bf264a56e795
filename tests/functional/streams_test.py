"""The standard streams of apps: logs, `actool logs`, `actool attach`."""

import os
import pty
import select
import socket
import subprocess
import threading
import time

import harness
from run_test import PodCase


class StreamCase(PodCase):
    def shell(self, script, *options, image=None):
        """The words of run for one app."""
        return [image or self.id, *options, "--exec=/bin/sh", "--", "-c", script]

    def logs(self, uuid, *args):
        return self.ok(self.lab.actool("logs", *args, uuid)).out

    def uuid(self):
        [pod] = self.pods()
        return pod["uuid"]


class Logs(StreamCase):
    LOG = ["--stdout=log", "--stderr=log"]

    def test_output_goes_to_the_log_and_nowhere_else(self):
        result = self.ok(self.run_pod(*self.shell("echo out; sleep 0.3; echo err >&2; sleep 0.3; printf unfinished", *self.LOG)))
        self.assertEqual((result.out, result.err), ("", ""))
        uuid = self.uuid()
        self.assertEqual(self.logs(uuid), "out\nerr\nunfinished\n")
        self.assertEqual(self.logs(uuid, "--stream=stdout"), "out\nunfinished\n")
        self.assertEqual(self.logs(uuid, "--tail=1"), "unfinished\n")
        self.assertRegex(self.logs(uuid, "--timestamps", "--stream=stderr"),
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z err\n$")
        file = self.pod_dir(uuid) / "logs/web.log"
        self.assertRegex(file.read_text().splitlines()[0], r"^\S+Z stdout F out$")
        self.assertEqual(file.stat().st_mode & 0o7777, 0o640)
        self.collect()

    def test_of_several_apps_in_the_order_of_time(self):
        self.ok(self.run_pod(*self.shell("echo one; sleep 0.4; echo three", *self.LOG), "---",
                             *self.shell("sleep 0.2; echo two", "--name=second", *self.LOG)))
        uuid = self.uuid()
        self.assertEqual(self.logs(uuid), "web: one\nsecond: two\nweb: three\n")
        self.assertEqual(self.logs(uuid, "--app=second"), "two\n")
        self.refused(self.lab.actool("logs", "--app=third", uuid), 252, "the pod has no app 'third'")

    def test_an_app_that_writes_without_end_fills_so_much_and_no_more(self):
        self.ok(self.run_pod(*self.shell("yes 0123456789012345678901234567890123456789 | head -c 60000000", *self.LOG)))
        directory = self.pod_dir(self.uuid()) / "logs"
        sizes = {path.name: path.stat().st_size for path in directory.iterdir()}
        self.assertEqual(set(sizes), {"web.log", "web.log.1"})
        self.assertLessEqual(max(sizes.values()), 10 << 20)
        lines = set(self.logs(self.uuid()).splitlines()[:-1])  # the last was cut by head
        self.assertEqual(lines, {"0123456789" * 4})

    def test_long_lines_come_out_whole(self):
        self.ok(self.run_pod(*self.shell("head -c 100000 /dev/zero | tr '\\0' x; echo; echo next", *self.LOG)))
        self.assertEqual(self.logs(self.uuid()), "x" * 100000 + "\nnext\n")

    def test_an_app_that_closes_its_output(self):
        self.ok(self.run_pod(*self.shell("echo before; exec >&- 2>&-; sleep 0.3; exit 0", *self.LOG)))
        self.assertEqual(self.logs(self.uuid()), "before\n")

    def test_a_log_that_cannot_be_written_does_not_stop_the_app(self):
        process, uuid = self.start(*self.shell(
            "echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; i=0; "
            "while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; exit 4",
            *self.LOG))
        directory = self.pod_dir(uuid) / "logs"
        harness.wait_for(lambda: (directory / "web.log").exists() and (directory / "web.log").read_text(), "a log")
        # The rotation's place is taken by a directory that is not empty.
        (directory / "web.log.1/x").mkdir(parents=True)
        os.truncate(directory / "web.log", 0)
        self.ok(self.lab.actool("enter", uuid, "touch", "/tmp/go"))
        self.assertEqual(process.wait(60), 4)

    def test_follow_goes_on_until_the_pod_ends(self):
        process, uuid = self.start(*self.shell("for i in 1 2 3 4 5; do echo $i; sleep 0.2; done", *self.LOG))
        follower = self.lab.popen("logs", "--follow", uuid)
        out, err = follower.communicate(timeout=60)
        self.assertEqual((follower.returncode, out), (0, b"1\n2\n3\n4\n5\n"), err)

    def test_a_pod_without_logs(self):
        self.ok(self.run_pod(*self.shell("echo straight")))
        self.refused(self.lab.actool("logs", self.uuid()), 252, "has no logs; run its apps with --stdout=log")

    def test_null_is_nothing(self):
        result = self.ok(self.run_pod(*self.shell("echo out; echo err >&2; readlink /proc/self/fd/1 >&2",
                                                  "--stdout=null", "--stderr=null")))
        self.assertEqual((result.out, result.err), ("", ""))

    def test_unknown_modes(self):
        self.refused(self.run_pod(self.id, "--stdin=log"), 254, "--stdin: 'log' is not known")
        self.refused(self.run_pod(self.id, "--stdout=file"), 254, "--stdout: 'file' is not known")

    def test_the_journal_where_there_is_one(self):
        """A stand-in for journald's stream socket, in this test's own mounts."""
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/run"])
        os.makedirs("/run/systemd/journal")
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind("/run/systemd/journal/stdout")
        server.listen()
        received = []

        def serve():
            for _ in range(2):
                peer, _ = server.accept()
                text = b""
                with peer:
                    while chunk := peer.recv(4096):
                        text += chunk
                received.append(text.decode())

        thread = threading.Thread(target=serve)
        thread.start()
        self.ok(self.run_pod(*self.shell("echo out; echo err >&2", *self.LOG)))
        thread.join(20)
        uuid = self.uuid()
        self.assertIn(f"rkt-{uuid}.web\n\n6\n1\n0\n0\n0\nout\n", received)
        self.assertIn(f"rkt-{uuid}.web\n\n4\n1\n0\n0\n0\nerr\n", received)
        # What `logs` asks for.
        stub = self.lab.work / "stub"
        stub.mkdir(exist_ok=True)
        (stub / "journalctl").write_text("#!/bin/sh\necho \"$@\"\n")
        (stub / "journalctl").chmod(0o755)
        result = self.lab.actool("logs", uuid, env={"PATH": f"{stub}:/usr/bin:/bin"})
        self.assertEqual(self.ok(result).out, f"--no-pager -t rkt-{uuid}.web -o cat\n")


class Attach(StreamCase):
    STREAMS = ["--stdin=stream", "--stdout=stream", "--stderr=stream"]
    TTY = ["--stdin=tty", "--stdout=tty", "--stderr=tty"]
    ECHO = "while read line; do echo got $line; echo err $line >&2; done"

    def attach(self, uuid, *args, **kwargs):
        process = self.lab.popen("attach", *args, uuid, **kwargs)
        self.addCleanup(self.reap, process)
        return process

    def await_line(self, process, wanted, stream=None):
        stream = stream or process.stdout
        end = time.monotonic() + 30 * harness.SLOW
        seen = b""
        while wanted not in seen:
            ready, _, _ = select.select([stream], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, f"waited for {wanted}, saw {seen}")
            chunk = os.read(stream.fileno(), 4096)
            self.assertTrue(chunk, f"waited for {wanted}, saw {seen}")
            seen += chunk
        return seen

    def test_list(self):
        process, uuid = self.start(*self.shell("sleep 100", *self.STREAMS), "---",
                                   *self.shell("sleep 100", "--name=two", "--stdout=stream"), "---",
                                   *self.shell("sleep 100", "--name=term", *self.TTY), "---",
                                   *self.shell("sleep 100", "--name=none"))
        listed = lambda app: self.ok(self.lab.actool("attach", "--mode=list", f"--app={app}", uuid)).out.split()
        self.assertEqual(listed("web"), ["stdin", "stdout", "stderr"])
        self.assertEqual(listed("two"), ["stdout"])
        self.assertEqual(listed("term"), ["tty-in", "tty-out"])
        self.assertEqual(listed("none"), [])
        self.refused(self.lab.actool("attach", "--app=two", "--mode=stdin", uuid), 254, 'has no "stdin" to attach to')
        self.refused(self.lab.actool("attach", "--app=none", uuid), 254, "has nothing to attach to")
        self.refused(self.lab.actool("attach", "--mode=list", uuid), 254, "choose one with --app")
        self.refused(self.lab.actool("attach", "--mode=screen", uuid), 254, "--mode: 'screen' is not known")

    def test_streams_both_ways(self):
        process, uuid = self.start(*self.shell(self.ECHO, *self.STREAMS))
        one = self.attach(uuid, stdin=subprocess.PIPE)
        errors = self.attach(uuid, "--mode=stderr")
        time.sleep(0.5)
        one.stdin.write(b"hello\n")
        one.stdin.flush()
        self.await_line(one, b"got hello\n")
        self.await_line(one, b"err hello\n", one.stderr)
        self.await_line(errors, b"err hello\n", errors.stderr)
        # It goes on without whoever was attached, and takes the next.
        one.terminate()
        one.wait(20)
        two = self.attach(uuid, "--mode=stdin,stdout", stdin=subprocess.PIPE)
        time.sleep(0.5)
        two.stdin.write(b"again\n")
        two.stdin.flush()
        self.await_line(two, b"got again\n")
        self.ok(self.lab.actool("stop", "--force", uuid))
        self.assertEqual(errors.wait(20), 0)

    def test_the_end_of_the_app_ends_attach_with_all_of_its_output(self):
        process, uuid = self.start(*self.shell("read line; seq 1 20000; exit 3", *self.STREAMS))
        one = self.attach(uuid, stdin=subprocess.PIPE)
        time.sleep(0.5)
        out, err = one.communicate(b"go\n", timeout=60)
        self.assertEqual(one.returncode, 0, err)
        self.assertEqual(out.split(), [b"%d" % i for i in range(1, 20001)])
        self.assertEqual(process.wait(20), 3)

    def test_who_is_attached_and_does_not_read_holds_up_nobody(self):
        process, uuid = self.start(*self.shell("read line; yes | head -c 30000000; exit 6", *self.STREAMS))
        one = self.attach(uuid, stdin=subprocess.PIPE)
        time.sleep(0.5)
        one.stdin.write(b"go\n")
        one.stdin.flush()
        self.assertEqual(process.wait(60), 6)

    def test_an_app_that_reads_nothing(self):
        process, uuid = self.start(*self.shell("exec 0<&-; sleep 1; exit 5", *self.STREAMS))
        one = self.attach(uuid, stdin=subprocess.PIPE)
        time.sleep(0.3)
        try:
            one.communicate(b"x" * 1_000_000, timeout=60)
        except BrokenPipeError:
            pass
        self.assertEqual(process.wait(20), 5)

    def at_terminal(self, uuid, *args):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen(self.lab.argv("attach", *args, uuid), env=self.lab.env, stdin=slave, stdout=slave,
                                   stderr=slave, start_new_session=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        os.close(slave)
        return process, master

    def read_until(self, fd, wanted):
        seen = b""
        end = time.monotonic() + 30 * harness.SLOW
        while wanted not in seen:
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, f"waited for {wanted}, saw {seen}")
            seen += os.read(fd, 4096)
        return seen

    def test_terminal(self):
        process, uuid = self.start(*self.shell(
            "while read line; do echo got $line $(readlink /proc/self/fd/0); done", *self.TTY))
        client, master = self.at_terminal(uuid, "--mode=tty:rw")
        time.sleep(0.5)
        os.write(master, b"hello\n")
        self.read_until(master, b"got hello /dev/pts/")
        # Leaving leaves the app alone.
        os.write(master, b"\x1d\x1d\x1d")
        self.assertEqual(client.wait(20), 0)
        self.assertEqual(self.status(uuid)["state"], "running")
        client, master = self.at_terminal(uuid)
        time.sleep(0.5)
        os.write(master, b"back\n")
        self.read_until(master, b"got back")
        os.write(master, b"\x03")  # the app's foreground group gets it
        self.assertEqual(process.wait(20), 130)
        self.assertEqual(client.wait(20), 0)

    def test_a_terminal_nobody_looks_at_holds_up_nobody(self):
        self.ok(self.run_pod(*self.shell("seq 1 200000; test -t 1", *self.TTY)))

    def test_apps_with_nothing_to_attach_to(self):
        process, uuid = self.start(*self.shell("sleep 100"))
        self.refused(self.lab.actool("attach", uuid), 254, "stage1 native: error: the pod takes no requests")
        self.assertFalse((self.pod_dir(uuid) / "control").exists())


if __name__ == "__main__":
    harness.main()
