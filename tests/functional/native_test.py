"""The native stage1 by its own interface: pod directories made by hand, no stage0 and no store."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import termios
import time
import uuid

import harness

ENTRY = harness.BIN / "stage1/native/rootfs"
APPLETS = ("sh cat chmod date dd echo env false grep head hostname id ip kill ln ls mkdir mknod mount mv ps pwd "
           "readlink rm sed sleep stat stty test touch tr trap true tty umask wc").split()


class NativeCase(harness.TestCase):
    entry_points = ENTRY  # those of another stage1 in executors_test.py

    def setUp(self):
        super().setUp()
        self.uuid = str(uuid.uuid4())
        self.dir = self.lab.work / self.uuid
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        shutil.rmtree(self.dir, ignore_errors=True)

    def root(self, app="a"):
        return self.dir / f"stage1/rootfs/opt/stage2/{app}/rootfs"

    def app(self, script="true", name="a", user="0", group="0", members=None, **runtime):
        """An app of the pod and its root directory; `script` is a shell's, or a list to execute."""
        root = self.root(name)
        (root / "bin").mkdir(parents=True)
        (root / "etc").mkdir()
        shutil.copy(harness.BUSYBOX, root / "bin/busybox")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:web:/srv:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nweb:x:1001:\n")
        command = script if isinstance(script, list) else ["/bin/sh", "-c", script]
        return {"name": name, "image": {"id": "sha512-" + "0" * 128},
                "app": {"exec": command, "user": user, "group": group, **(members or {})}, **runtime}

    def pod(self, *apps, volumes=(), **members):
        manifest = {"acVersion": "0.8.11", "acKind": "PodManifest", "apps": list(apps),
                    "volumes": list(volumes), **members}
        (self.dir / "pod").write_text(json.dumps(manifest))

    def start(self, *options, **kwargs):
        """Starts the pod as stage0 would: in its directory, in a mount namespace, with the lock."""
        lock = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for stream, default in (("stdin", subprocess.DEVNULL), ("stdout", subprocess.PIPE), ("stderr", subprocess.PIPE)):
            kwargs.setdefault(stream, default)
        options = options if any(option.startswith("--net") for option in options) else ("--net=none", *options)
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", self.entry_points / "run", *options, self.uuid], cwd=self.dir,
            env={**self.lab.env, "RKT_LOCK_FD": str(lock), "OUTER_SECRET": "x"}, pass_fds=[lock], bufsize=0, **kwargs)
        os.close(lock)
        self.processes.append(process)
        return process

    def finish(self, process, timeout=60):
        out, err = process.communicate(timeout=timeout * harness.SLOW)
        return harness.Result(process.returncode, out or b"", err or b"")

    def run_pod(self, *options, timeout=60, **kwargs):
        return self.finish(self.start(*options, **kwargs), timeout)

    def run_app(self, script, *options, volumes=(), **kwargs):
        self.pod(self.app(script, **kwargs), volumes=volumes)
        return self.run_pod(*options)

    def status(self, app="a"):
        path = self.dir / "stage1/rootfs/rkt/status" / app
        return path.read_text() if path.exists() else None

    def pid(self):
        harness.wait_for(lambda: (self.dir / "pid").exists(), "the pid file")
        return int((self.dir / "pid").read_text())

    def line(self, process):
        """The next line of output, which says that the app is where the test wants it."""
        ready, _, _ = select.select([process.stdout], [], [], 30 * harness.SLOW)
        self.assertTrue(ready, "the app said nothing")
        return process.stdout.readline().decode().rstrip("\n")

    def entry(self, name, *arguments, **kwargs):
        done = subprocess.run([self.entry_points / name, *map(str, arguments)], cwd=self.dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=harness.without_leak_check(self.lab.env), timeout=60 * harness.SLOW, **kwargs)
        return harness.Result(done.returncode, done.stdout, done.stderr)

    def assert_refused(self, result, message):
        self.refused(result, 254, re.escape(message))


class Status(NativeCase):
    def test_exit_status_is_the_apps(self):
        self.assertEqual(self.run_app("echo out; echo err >&2; exit 3").code, 3)
        self.assertEqual(self.status(), "3")

    def test_output_goes_straight_through(self):
        result = self.ok(self.run_app("echo out; echo err >&2"))
        self.assertEqual((result.out, result.err), ("out\n", "err\n"))
        self.assertEqual(self.status(), "0")

    def test_death_by_signal_is_128_and_its_number(self):
        self.assertEqual(self.run_app("kill -SEGV $$").code, 128 + signal.SIGSEGV)
        self.assertEqual(self.status(), "139")

    def test_several_apps_succeed_together(self):
        self.pod(self.app("echo one; sleep 0.2", name="one"), self.app("echo two", name="two"))
        result = self.ok(self.run_pod())
        self.assertEqual(sorted(result.out.split()), ["one", "two"])
        self.assertEqual((self.status("one"), self.status("two")), ("0", "0"))

    def test_first_failure_ends_the_others_and_is_the_pods(self):
        self.pod(self.app("trap 'echo asked; exit 5' TERM; while :; do sleep 0.05; done", name="patient"),
                 self.app("sleep 0.3; exit 7", name="failing"))
        result = self.run_pod()
        self.assertEqual(result.code, 7, result)
        self.assertEqual(result.out, "asked\n")
        self.assertEqual((self.status("failing"), self.status("patient")), ("7", "5"))

    def test_children_left_behind_die_with_the_pod(self):
        process_name = f"4{os.getpid()}"
        self.ok(self.run_app(f"sleep {process_name} >/dev/null 2>&1 & true"))
        left = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertNotIn(f"sleep {process_name}", left)

    def test_orphans_are_reaped(self):
        result = self.ok(self.run_app("(sleep 0.1 &) ; sleep 0.6; ps -o pid,stat,args"))
        self.assertNotIn("Z", [line.split()[1] for line in result.out.splitlines()])


class Refusals(NativeCase):
    def test_program_that_is_not_there(self):
        self.assert_refused(self.run_app(["/bin/none"]),
                            'app "a": exec "/bin/none": No such file or directory; the image has no such program')
        self.assertIsNone(self.status())

    def test_program_without_its_interpreter(self):
        app = self.app(["/bin/script"])
        (self.root() / "bin/script").write_text("#!/none\n")
        (self.root() / "bin/script").chmod(0o755)
        self.pod(app)
        self.assert_refused(self.run_pod(), 'the interpreter or loader that it asks for is not in the image')

    def test_program_that_may_not_be_executed(self):
        app = self.app(["/etc/passwd"])
        self.pod(app)
        self.assert_refused(self.run_pod(), 'app "a": exec "/etc/passwd": Permission denied')

    def test_working_directory_that_is_not_there(self):
        self.assert_refused(self.run_app("true", members={"workingDirectory": "/none"}),
                            'app "a": entering the working directory "/none": No such file or directory')

    def test_user_that_is_not_there(self):
        self.assert_refused(self.run_app("true", user="nobody"), 'app "a": user "nobody" is not in the image')

    def test_one_app_that_cannot_start_ends_the_pod(self):
        self.pod(self.app("sleep 100", name="one"), self.app(["/none"], name="two"))
        self.assert_refused(self.run_pod(), 'app "two": exec "/none"')

    def test_manifest_that_is_none(self):
        self.app()
        (self.dir / "pod").write_text("{")
        self.refused(self.run_pod(), 254, "the pod's manifest")

    def test_unknown_network(self):
        self.pod(self.app())
        self.refused(self.run_pod("--net=nowhere"), 252, "there is no network nowhere")

    def test_without_rights_there_is_a_clear_error(self):
        self.pod(self.app())
        os.chmod(self.dir, 0o755)
        for directory in (self.dir / "stage1", self.dir / "stage1/rootfs"):
            os.chmod(directory, 0o777)
        done = self.entry("run", "--net=none", self.uuid,
                          preexec_fn=lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534)))
        self.assert_refused(done, "starting a process in new namespaces: not permitted")


class Environment(NativeCase):
    def test_variables(self):
        result = self.ok(self.run_app(["/bin/env"], members={"environment": [
            {"name": "GREETING", "value": "a b"}, {"name": "HOME", "value": "/mine"}]}))
        self.assertEqual(dict(line.split("=", 1) for line in result.out.splitlines()), {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "AC_APP_NAME": "a",
            "container": "actool", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "HOME": "/mine",
            "GREETING": "a b"})

    def test_program_is_searched_in_the_apps_path(self):
        app = self.app(["tool", "x"], members={"environment": [{"name": "PATH", "value": "/none:/opt:/bin"}]})
        (self.root() / "opt").mkdir()
        (self.root() / "opt/tool").write_text("#!/bin/sh\necho found $1\n")
        (self.root() / "opt/tool").chmod(0o755)
        self.pod(app)
        self.assertEqual(self.ok(self.run_pod()).out, "found x\n")

    def test_working_directory(self):
        self.assertEqual(self.ok(self.run_app(["/bin/pwd"], members={"workingDirectory": "/etc"})).out, "/etc\n")

    def test_users(self):
        script = "id -u; id -g; id -G; echo $HOME $USER; umask"
        result = self.ok(self.run_app(script, user="web", group="web", members={"supplementaryGIDs": [5, 1002]}))
        uid, gid, groups, home, umask = result.out.splitlines()
        self.assertEqual((uid, gid, home, umask), ("1000", "1001", "/srv web", "0022"))
        self.assertEqual(set(groups.split()), {"1001", "5", "1002"})

    def test_user_by_the_owner_of_a_path(self):
        app = self.app("id -u; id -g", user="/data", group="/link")
        (self.root() / "data").write_text("")
        (self.root() / "link").symlink_to("/data")
        os.chown(self.root() / "data", 77, 88)
        self.pod(app)
        self.assertEqual(self.ok(self.run_pod()).out, "77\n88\n")

    def test_no_signal_is_blocked_or_ignored_and_no_descriptor_leaks(self):
        self.pod(self.app("grep Sig /proc/self/status; ls /proc/self/fd"))
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            result = self.ok(self.run_pod())
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        values = dict(re.findall(r"(SigBlk|SigIgn):\s+(\w+)", result.out))
        self.assertEqual(values, {"SigBlk": "0" * 16, "SigIgn": "0" * 16})
        self.assertEqual(result.out.splitlines()[-4:], ["0", "1", "2", "3"])  # 3 is ls's own

    def test_standard_input_is_empty_unless_interactive(self):
        self.pod(self.app("cat; readlink /proc/self/fd/0"))
        self.assertEqual(self.finish_with_input(self.start(stdin=subprocess.PIPE)).out, "/dev/null\n")

    def test_interactive_passes_standard_input(self):
        self.pod(self.app("cat"))
        result = self.finish_with_input(self.start("--interactive", stdin=subprocess.PIPE))
        self.assertEqual(self.ok(result).out, "typed\n")

    def finish_with_input(self, process):
        try:
            out, err = process.communicate(b"typed\n", timeout=60 * harness.SLOW)
        except BrokenPipeError:
            out, err = process.communicate()
        return harness.Result(process.returncode, out, err)


class Containment(NativeCase):
    def test_namespaces_are_the_pods_own(self):
        script = "for n in pid mnt ipc uts net; do readlink /proc/self/ns/$n; done"
        ours = [os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "mnt", "ipc", "uts", "net")]
        theirs = self.ok(self.run_app(script)).out.split()
        self.assertEqual(len(theirs), 5)
        self.assertFalse(set(ours) & set(theirs))

    def test_all_processors_are_the_apps(self):
        """The supervisor begins on another one than its parent; neither it nor the app stays bound to it."""
        allowed = "grep Cpus_allowed_list /proc/self/status"
        ours = subprocess.run(["sh", "-c", allowed], stdout=subprocess.PIPE, check=True).stdout.decode()
        handlers = {"eventHandlers": [{"name": "post-stop", "exec": ["/bin/sh", "-c", allowed]}]}
        self.pod(self.app(allowed, members=handlers))
        for _ in range(10):
            self.assertEqual(self.ok(self.run_pod()).out, 2 * ours)

    def test_host_network_and_ipc_when_asked(self):
        script = "for n in ipc net; do readlink /proc/self/ns/$n; done"
        result = self.ok(self.run_app(script, "--net=host", "--ipc=parent"))
        self.assertEqual(result.out.split(), [os.readlink("/proc/self/ns/ipc"), os.readlink("/proc/self/ns/net")])

    def test_apps_share_network_ipc_and_shared_memory(self):
        script = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; touch /dev/shm/{0}; " \
                 "until [ -e /dev/shm/one ] && [ -e /dev/shm/two ]; do sleep 0.02; done"
        self.pod(self.app(script.format("one"), name="one"), self.app(script.format("two"), name="two"))
        self.assertEqual(len(set(self.ok(self.run_pod()).out.split())), 2)

    def test_only_loopback_and_it_is_up(self):
        result = self.ok(self.run_app("ip link; ip addr"))
        self.assertEqual(re.findall(r"^\d+: (\w+):", result.out, re.M), ["lo", "lo"])
        self.assertIn("UP", result.out)
        self.assertIn("127.0.0.1/8", result.out)

    def test_little_memory_is_kept_while_it_runs(self):
        self.pod(self.app("exec sleep 100"))
        process = self.start()
        supervisor = None
        for _ in range(100):
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            supervisor = children[0] if children else None
            if supervisor and pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
                break
            time.sleep(0.05 * harness.SLOW)
        # It rests after a second.
        limit, deadline = 2048, time.monotonic() + 10 * harness.SLOW
        if harness.SLOW != 1:
            limit = 1 << 20  # a sanitizer's build keeps what it keeps
        while (kept := sum(self.kept_kib(pid) for pid in (process.pid, supervisor))) >= limit:
            self.assertLess(time.monotonic(), deadline, f"{kept} KiB")
            time.sleep(0.1)
        process.terminate()
        self.assertEqual(self.finish(process).code, 143)

    @staticmethod
    def kept_kib(pid):
        """A process's part of the memory it has mapped."""
        return int(re.search(r"^Pss: +(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1))

    def test_host_name(self):
        self.pod(self.app("hostname"))
        self.assertEqual(self.ok(self.run_pod()).out, f"rkt-{self.uuid}\n")
        self.assertEqual(self.ok(self.run_pod("--hostname=web")).out, "web\n")

    def test_only_the_pods_processes_are_there(self):
        result = self.ok(self.run_app("ls /proc | grep '^[0-9]'; echo $$"))
        self.assertEqual(result.out.split()[0], "1")
        self.assertLess(max(map(int, result.out.split())), 10)

    def test_capabilities(self):
        def bounding(*options, user="0", isolators=()):
            shutil.rmtree(self.dir, ignore_errors=True)
            result = self.ok(self.run_app("grep Cap /proc/self/status", *options, user=user,
                                          members={"isolators": list(isolators)}))
            return {key: int(value, 16) for key, value in re.findall(r"Cap(\w+):\s+(\w+)", result.out)}

        def isolator(kind, *names):
            return {"name": f"os/linux/capabilities-{kind}-set", "value": {"set": list(names)}}

        default = 0xa80425fb
        self.assertEqual(bounding(), {"Inh": 0, "Prm": default, "Eff": default, "Bnd": default, "Amb": 0})
        self.assertEqual(bounding(user="1000"), {"Inh": 0, "Prm": 0, "Eff": 0, "Bnd": default, "Amb": 0})
        self.assertEqual(bounding(isolators=[isolator("retain", "CAP_KILL")])["Eff"], 1 << 5)
        self.assertEqual(bounding(isolators=[isolator("remove", "CAP_KILL", "CAP_SYS_ADMIN")])["Bnd"],
                         default & ~(1 << 5))
        everything = bounding("--disable-capabilities-restriction")
        self.assertTrue(everything["Eff"] & (1 << 21))  # CAP_SYS_ADMIN
        self.assertEqual(everything["Inh"], 0)

    def test_no_new_privileges(self):
        script = "grep NoNewPrivs /proc/self/status"
        self.assertEqual(self.ok(self.run_app(script)).out.split()[1], "0")
        shutil.rmtree(self.dir)
        isolators = [{"name": "os/linux/no-new-privileges", "value": True}]
        self.assertEqual(self.ok(self.run_app(script, members={"isolators": isolators})).out.split()[1], "1")

    def test_isolators_that_are_not_applied_are_reported_once(self):
        isolators = [{"name": "example.com/unheard-of", "value": 1}]
        result = self.ok(self.run_app("true", members={"isolators": isolators}))
        self.assertEqual(result.err.count("isolators that are not applied: app \"a\": example.com/unheard-of"), 1)

    def test_devices(self):
        script = """
            set -e
            echo x > /dev/null; echo x > /dev/tty 2>/dev/null && exit 1
            [ "$(head -c 4 /dev/zero | tr '\\0' z)" = zzzz ]
            [ "$(head -c 8 /dev/urandom | wc -c)" = 8 ]; [ "$(head -c 8 /dev/random | wc -c)" = 8 ]
            if echo x > /dev/full; then exit 1; fi
            for node in null zero full random urandom tty console; do [ -c /dev/$node ]; done
            [ -c /dev/ptmx ]; [ -d /dev/pts ]; [ -d /dev/shm ]; [ -d /dev/mqueue ]
            echo x > /dev/shm/x
            [ "$(readlink /dev/fd)" = /proc/self/fd ]
            echo out > /dev/stdout
            ls /dev | tr '\\n' ' '
        """
        result = self.ok(self.run_app(script))
        self.assertEqual(result.out, "out\nconsole fd full mqueue null ptmx pts random shm stderr stdin stdout tty "
                                     "urandom zero ")

    def test_device_nodes_an_app_makes_cannot_be_opened(self):
        script = "mknod /null c 1 3 && test -c /null && ! echo x 2>&1 > /null; mknod /dev/mine c 1 3; " \
                 "! echo x 2>&1 > /dev/mine; cat /image-null"
        app = self.app(script)
        os.mknod(self.root() / "image-null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        self.pod(app)
        result = self.run_pod()
        self.assertEqual(result.err.count("Permission denied") + result.out.count("Permission denied"), 3, result)

    def test_kernel_files_are_protected(self):
        script = "echo 1 > /proc/sys/kernel/hostname; mkdir /sys/x; head -c 1 /proc/kallsyms | wc -c; " \
                 "cat /proc/keys | wc -c; ls /sys/fs /sys/module | wc -l; echo 0 > /proc/sys/vm/overcommit_memory"
        result = self.run_app(script)
        self.assertEqual(result.err.count("Read-only file system"), 3, result)
        numbers = [int(word) for word in re.findall(r"^\s*(\d+)$", result.out, re.M)]
        self.assertEqual(numbers[:2], [0, 0])
        self.assertEqual(numbers[2], 3)  # the two headings and the line between them

    def test_paths_are_left_alone_when_asked(self):
        result = self.run_app("ls /sys/fs | wc -l; test -w /proc/sys/kernel/hostname && echo writable",
                              "--disable-paths")
        self.assertRegex(result.out, r"^[1-9]\d*\nwritable\n$")

    def test_nothing_of_the_host_is_mounted(self):
        result = self.ok(self.run_app("cat /proc/self/mountinfo"))
        allowed = re.compile(r"^/$|^/(proc|sys|dev)(/|$)")
        self.assertEqual([line for line in result.out.splitlines() if not allowed.match(line.split()[4])], [])

    def test_mounts_do_not_reach_the_host(self):
        before = pathlib.Path("/proc/self/mountinfo").read_text()
        self.ok(self.run_app("true"))
        self.assertEqual(pathlib.Path("/proc/self/mountinfo").read_text(), before)

    def test_supervisor_shows_nothing_of_the_host(self):
        app = self.app("ls /proc/1/root/ /proc/1/cwd/ 2>&1; cat /proc/1/environ 2>&1; "
                       "readlink /proc/1/fd/1 || readlink /proc/1/exe || echo hidden",
                       members={"isolators": [{"name": "os/linux/capabilities-retain-set", "value": {"set": [
                           "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]}}]})
        self.pod(app)
        result = self.ok(self.run_pod())
        self.assertEqual(result.out.count("Permission denied"), 3, result)
        self.assertTrue(result.out.endswith("hidden\n"), result)
        self.assertNotIn("OUTER_SECRET", result.out)

    def test_supervisor_has_an_empty_root(self):
        # With all capabilities its root can be seen; there is nothing in it.
        result = self.ok(self.run_app("sleep 0.2; ls -A /proc/1/root/ /proc/1/cwd/; grep -c . /proc/1/mountinfo",
                                      "--disable-capabilities-restriction"))
        self.assertEqual(result.out, "/proc/1/cwd/:\n\n/proc/1/root/:\n1\n")

    def test_only_outside_steers_the_pod(self):
        result = self.run_app("kill -TERM 1; kill -INT 1; kill -KILL 1; sleep 0.3; echo alive")
        self.assertEqual((result.code, result.out), (0, "alive\n"))

    def test_read_only_root(self):
        script = "touch /x; touch /dev/shm/x && touch /data/x && echo wrote"
        (self.lab.work / "ro-data").mkdir(exist_ok=True)
        result = self.run_app(script, readOnlyRootFS=True, mounts=[{"volume": "v", "path": "/data"}],
                              volumes=[{"name": "v", "kind": "host", "source": str(self.lab.work / "ro-data")}])
        self.assertIn("/x: Read-only file system", result.err)
        self.assertEqual(result.out, "wrote\n")


class HostileImages(NativeCase):
    """Links of an image that want to lead out of its root."""

    def test_api_directories_must_not_be_links(self):
        for name in ("proc", "sys", "dev"):
            with self.subTest(name):
                shutil.rmtree(self.dir, ignore_errors=True)
                outside = self.lab.work / f"outside-{name}"
                outside.mkdir()
                app = self.app("true")
                (self.root() / name).symlink_to(outside)
                self.pod(app)
                self.assert_refused(self.run_pod(), f'app "a": the image\'s /{name} is a symbolic link')
                self.assertEqual(os.listdir(outside), [])

    def test_api_directories_must_be_directories(self):
        app = self.app("true")
        os.mkfifo(self.root() / "proc")
        self.pod(app)
        self.assert_refused(self.run_pod(), "the image's /proc is not a directory")

    def test_etc_as_a_link(self):
        outside = self.lab.work / "outside-etc"
        outside.mkdir()
        for target in (str(outside), "../../../../../../../../../../.." + str(outside)):
            with self.subTest(target):
                shutil.rmtree(self.dir, ignore_errors=True)
                app = self.app("true")
                shutil.rmtree(self.root() / "etc")
                (self.root() / "etc").symlink_to(target)
                self.pod(app)
                self.run_pod("--dns-conf-mode=resolv=host,hosts=default")
                self.assertEqual(os.listdir(outside), [])

    def test_files_of_etc_as_links(self):
        victim = self.lab.work / "victim"
        victim.write_text("mine")
        app = self.app("cat /etc/hosts")
        for name in ("hosts", "resolv.conf"):
            (self.root() / "etc" / name).symlink_to(victim)
        self.pod(app)
        self.assertIn("localhost", self.ok(self.run_pod("--dns-conf-mode=resolv=host,hosts=default")).out)
        self.assertEqual(victim.read_text(), "mine")

    def test_passwd_as_a_link_a_fifo_or_a_device(self):
        for make in (lambda path: path.symlink_to("/etc/shadow-of-host"), lambda path: os.mkfifo(path),
                     lambda path: os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))):
            shutil.rmtree(self.dir, ignore_errors=True)
            app = self.app("grep Uid /proc/self/status", user="5", group="6")
            (self.root() / "etc/passwd").unlink()
            make(self.root() / "etc/passwd")
            self.pod(app)
            result = self.run_pod(timeout=20)
            self.assertIn(result.code, (0, 254), result)
            if result.code == 254:
                self.assertIn("/etc/passwd", result.err)

    def test_volume_targets_stay_inside(self):
        outside = self.lab.work / "outside-volume"
        source = self.lab.work / "source-volume"
        outside.mkdir()
        source.mkdir()
        (source / "mark").write_text("")
        app = self.app("ls /link/sub; ls /real", mounts=[{"volume": "v", "path": "/link/sub"}])
        (self.root() / "real").mkdir()
        (self.root() / "link").symlink_to("/real")
        self.pod(app, volumes=[{"name": "v", "kind": "host", "source": str(source)}])
        self.assertEqual(self.ok(self.run_pod()).out, "mark\nsub\n")
        (self.root() / "link").unlink()
        (self.root() / "link").symlink_to("../../../../../../../../../../.." + str(outside))
        self.assert_refused(self.run_pod(), 'volume "v" on "/link/sub"')
        self.assertEqual(os.listdir(outside), [])

    def test_links_make_no_directories_in_other_volumes(self):
        host = self.lab.work / "untouched"
        host.mkdir()
        app = self.app("true", mounts=[{"volume": "v", "path": "/data"}, {"volume": "w", "path": "/link/new"}])
        (self.root() / "data").mkdir()
        (self.root() / "link").symlink_to("data")
        (self.dir / "sharedVolumes/w").mkdir(parents=True)
        self.pod(app, volumes=[{"name": "v", "kind": "host", "source": str(host)}, {"name": "w", "kind": "empty"}])
        self.ok(self.run_pod())
        self.assertEqual(os.listdir(host), [])


class Volumes(NativeCase):
    def setUp(self):
        super().setUp()
        self.source = self.lab.work / f"volume-{self.uuid}"
        self.source.mkdir()
        (self.source / "file").write_text("content\n")

    def run_with(self, script, path="/data", volume=None, **kwargs):
        volume = {"name": "v", "kind": "host", "source": str(self.source), **(volume or {})}
        return self.run_app(script, mounts=[{"volume": "v", "path": path}], volumes=[volume], **kwargs)

    def test_is_writable_and_its_target_is_made(self):
        result = self.ok(self.run_with("cat /deep/er/data/file; touch /deep/er/data/new; stat -c '%a %u %g' /deep /deep/er",
                                       path="/deep/er/data"))
        self.assertEqual(result.out, "content\n755 0 0\n755 0 0\n")
        self.assertTrue((self.source / "new").exists())

    def test_read_only(self):
        for kwargs in ({"volume": {"readOnly": True}},
                       {"members": {"mountPoints": [{"name": "v", "path": "/data", "readOnly": True}]}}):
            shutil.rmtree(self.dir, ignore_errors=True)
            result = self.run_with("cat /data/file; touch /data/new", **kwargs)
            self.assertEqual(result.out, "content\n")
            self.assertIn("Read-only file system", result.err)
        self.assertFalse((self.source / "new").exists())

    def test_recursive_or_not(self):
        (self.source / "inner").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.source / "inner"], check=True)
        try:
            (self.source / "inner/below").write_text("")
            self.assertEqual(self.ok(self.run_with("ls /data/inner")).out, "below\n")
            shutil.rmtree(self.dir)
            self.assertEqual(self.ok(self.run_with("ls /data/inner", volume={"recursive": False})).out, "")
            shutil.rmtree(self.dir)
            result = self.run_with("touch /data/inner/x", volume={"readOnly": True})
            self.assertIn("Read-only file system", result.err)
        finally:
            subprocess.run(["umount", self.source / "inner"], check=True)

    def test_empty_volume_is_shared_by_the_apps(self):
        shared = self.dir / "sharedVolumes/v"
        mounts = [{"volume": "v", "path": "/data"}]
        self.pod(self.app("echo hello > /data/x", name="one", mounts=mounts),
                 self.app("until [ -s /data/x ]; do sleep 0.02; done; cat /data/x", name="two", mounts=mounts),
                 volumes=[{"name": "v", "kind": "empty"}])
        shared.mkdir(parents=True)
        self.assertEqual(self.ok(self.run_pod()).out, "hello\n")

    def test_single_file(self):
        result = self.ok(self.run_with("cat /etc/conf", path="/etc/conf",
                                       volume={"source": str(self.source / "file")}))
        self.assertEqual(result.out, "content\n")

    def test_device(self):
        result = self.ok(self.run_with("head -c 2 /dev/mine | wc -c", path="/dev/mine", volume={"source": "/dev/zero"}))
        self.assertEqual(result.out, "2\n")

    def test_devices_in_a_directory_cannot_be_used(self):
        os.mknod(self.source / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        self.assertIn("Permission denied", self.run_with("head -c 1 /data/zero").err)

    def test_what_is_hidden_is_warned_about(self):
        app = self.app("ls /bin/busybox /data", mounts=[{"volume": "v", "path": "/data"}])
        (self.root() / "data").mkdir()
        (self.root() / "data/old").write_text("")
        self.pod(app, volumes=[{"name": "v", "kind": "host", "source": str(self.source)}])
        result = self.ok(self.run_pod())
        self.assertIn("volume \"v\" hides what the image has in \"/data\"", result.err)
        self.assertNotIn("old", result.out)

    def test_file_in_the_way_of_a_directory_is_replaced(self):
        app = self.app("cat /data/file", mounts=[{"volume": "v", "path": "/data"}])
        (self.root() / "data").write_text("old")
        self.pod(app, volumes=[{"name": "v", "kind": "host", "source": str(self.source)}])
        result = self.ok(self.run_pod())
        self.assertEqual(result.out, "content\n")
        self.assertIn("replaces the image's file \"/data\" by a directory", result.err)

    def test_source_that_is_or_passes_a_link(self):
        link = self.lab.work / f"link-{self.uuid}"
        link.symlink_to(self.source)
        for source in (link, link / "file"):
            shutil.rmtree(self.dir, ignore_errors=True)
            self.assert_refused(self.run_with("true", volume={"source": str(source)}),
                                "is or goes through a symbolic link")

    def test_source_that_is_missing(self):
        self.assert_refused(self.run_with("true", volume={"source": str(self.source / "none")}),
                            'app "a": volume "v" on "/data": opening "')
        self.assertFalse((self.source / "none").exists())

    def test_targets_inside_one_another(self):
        app = self.app("true", mounts=[{"volume": "v", "path": "/data"}, {"volume": "v", "path": "/data/sub"}])
        self.pod(app, volumes=[{"name": "v", "kind": "host", "source": str(self.source)}])
        self.assert_refused(self.run_pod(), 'the mounts on "/data" and "/data/sub" overlap')


class CommonFiles(NativeCase):
    def test_hosts_only_when_the_image_has_none(self):
        result = self.ok(self.run_app("cat /etc/hosts; [ ! -e /etc/resolv.conf ]", "--hostname=web"))
        self.assertRegex(result.out, r"(?m)^127\.0\.0\.1\s+localhost web$")
        app_hosts = self.root() / "etc/hosts"
        app_hosts.write_text("mine\n")
        self.assertEqual(self.run_pod().out, "mine\n")

    def test_hosts_of_a_volume_stay_as_they_are(self):
        source = self.lab.work / f"etc-{self.uuid}"
        source.mkdir()
        self.run_app("true", user="0", mounts=[{"volume": "v", "path": "/etc"}],
                     volumes=[{"name": "v", "kind": "host", "source": str(source)}])
        self.assertEqual(os.listdir(source), [])

    def test_modes(self):
        app = self.app("cat /etc/hosts /etc/resolv.conf; touch /etc/resolv.conf")
        etc = self.dir / "stage1/rootfs/etc"
        etc.mkdir(parents=True)
        (etc / "rkt-hosts").write_text("stage0 hosts\n")
        (etc / "rkt-resolv.conf").write_text("stage0 resolv\n")
        self.pod(app)
        result = self.run_pod("--dns-conf-mode=resolv=stage0,hosts=stage0")
        self.assertEqual(result.out, "stage0 hosts\nstage0 resolv\n")
        self.assertIn("Read-only file system", result.err)
        resolv = self.lab.work / "host-resolv.conf"
        resolv.write_text("resolv of the host\n")
        subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)
        try:
            result = self.run_pod("--dns-conf-mode=resolv=host,hosts=stage0")
        finally:
            subprocess.run(["umount", "/etc/resolv.conf"], check=True)
        self.assertEqual(result.out, "stage0 hosts\nresolv of the host\n", result)

    def test_tmp_is_made(self):
        self.assertEqual(self.ok(self.run_app("stat -c %a /tmp")).out, "1777\n")


class Handlers(NativeCase):
    def handlers(self, pre=None, post=None):
        both = {"pre-start": pre, "post-stop": post}
        return {"eventHandlers": [{"name": name, "exec": ["/bin/sh", "-c", script]}
                                  for name, script in both.items() if script]}

    def test_order_and_environment(self):
        self.pod(self.app("echo main $X; exit 4", user="web", group="web",
                          members={**self.handlers("sleep 0.1; echo pre $X $(id -u)",
                                                   "echo post $X $(id -u) $(pwd)"),
                                   "environment": [{"name": "X", "value": "x"}], "workingDirectory": "/etc"}))
        result = self.run_pod()
        self.assertEqual(result.code, 4)
        self.assertEqual(result.out, "pre x 1000\nmain x\npost x 1000 /etc\n")

    def test_pre_start_that_fails_stops_the_app(self):
        result = self.run_app("echo main", members=self.handlers("exit 9", "echo post"))
        self.assert_refused(result, 'app "a": pre-start handler "/bin/sh" exited with 9')
        self.assertEqual(result.out, "")

    def test_pre_start_that_is_not_there(self):
        app = self.app("echo main", members={"eventHandlers": [{"name": "pre-start", "exec": ["/none"]}]})
        self.pod(app)
        self.assert_refused(self.run_pod(), 'app "a": pre-start handler "/none": exec "/none": No such file')

    def test_post_stop_runs_when_main_is_killed_and_its_failure_is_a_warning(self):
        result = self.run_app("kill -KILL $$", members=self.handlers(None, "echo post; exit 5"))
        self.assertEqual((result.code, result.out), (137, "post\n"))
        self.assertIn("its post-stop handler exited with 5", result.err)

    def test_handlers_have_the_apps_capabilities(self):
        result = self.ok(self.run_app("true", members=self.handlers(
            "grep CapBnd /proc/self/status", "grep CapBnd /proc/self/status")))
        self.assertEqual(re.findall(r"CapBnd:\s+(\w+)", result.out), ["00000000a80425fb"] * 2)


class Signals(NativeCase):
    LOOP = "while :; do sleep 0.05; done"

    def test_signals_are_passed_on(self):
        script = "for s in TERM INT HUP QUIT USR1 USR2; do trap \"echo $s; [ $s = TERM ] && exit 6\" $s; done; " \
                 "echo ready; " + self.LOOP
        self.pod(self.app(script))
        process = self.start()
        self.assertEqual(self.line(process), "ready")
        for name in ("INT", "HUP", "QUIT", "USR1", "USR2", "TERM"):
            process.send_signal(getattr(signal, "SIG" + name))
            self.assertEqual(self.line(process), name)
        self.assertEqual(self.finish(process).code, 6)

    def test_stubborn_apps_are_killed(self):
        self.pod(self.app("trap '' TERM; echo ready; " + self.LOOP))
        process = self.start()
        self.line(process)
        began = time.monotonic()
        process.terminate()
        self.assertEqual(self.finish(process).code, 137)
        self.assertGreater(time.monotonic() - began, 9)
        self.assertEqual(self.status(), "137")

    def test_terminated_while_a_pre_start_handler_runs(self):
        self.pod(self.app("echo main", members={"eventHandlers": [
            {"name": "pre-start", "exec": ["/bin/sh", "-c", "echo ready; sleep 100"]}]}))
        process = self.start()
        self.line(process)
        process.terminate()
        result = self.finish(process, timeout=8)
        self.assertNotEqual(result.code, 0)
        self.assertEqual(result.out, "")

    def test_pod_dies_with_the_process_outside(self):
        self.pod(self.app("echo ready; " + self.LOOP))
        process = self.start()
        self.line(process)
        supervisor = self.pid()
        process.kill()
        harness.wait_for(lambda: not pathlib.Path(f"/proc/{supervisor}").exists()
                         or "Z" in pathlib.Path(f"/proc/{supervisor}/stat").read_text().split()[2], "the pod to die")

    def test_killed_supervisor_ends_the_run(self):
        self.pod(self.app("echo ready; " + self.LOOP))
        process = self.start()
        self.line(process)
        os.kill(self.pid(), signal.SIGKILL)
        self.assertEqual(self.finish(process).code, 137)

    def test_lock_is_held_as_long_as_the_pod_runs_and_not_by_apps(self):
        def locked():
            fd = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True
            finally:
                os.close(fd)

        self.pod(self.app("echo ready; " + self.LOOP))
        process = self.start()
        self.line(process)
        self.assertTrue(locked())
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with harness.contextlib.suppress(OSError):
                if "sleep 0.05" in (entry / "cmdline").read_text().replace("\0", " "):
                    links = [os.readlink(fd) for fd in (entry / "fd").iterdir()]
                    self.assertNotIn(str(self.dir), links)
        process.terminate()
        self.finish(process)
        self.assertFalse(locked())

    def test_stop(self):
        self.pod(self.app("trap 'exit 8' TERM; echo ready; " + self.LOOP))
        process = self.start()
        self.line(process)
        self.ok(self.entry("stop", self.uuid))
        self.assertEqual(self.finish(process).code, 8)
        self.assert_refused(self.entry("stop", self.uuid), "it is not running")

    def test_stop_with_force(self):
        self.pod(self.app("trap '' TERM; echo ready; " + self.LOOP))
        process = self.start()
        self.line(process)
        self.ok(self.entry("stop", "--force", self.uuid))
        self.assertEqual(self.finish(process, timeout=5).code, 137)

    def test_stop_signals_nothing_but_a_pods_first_process(self):
        self.pod(self.app())
        bystander = subprocess.Popen(["sleep", "100"])
        self.addCleanup(bystander.wait)
        self.addCleanup(bystander.kill)
        (self.dir / "pid").write_text(f"{bystander.pid}\n")
        lock = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.assert_refused(self.entry("stop", "--force", self.uuid), "it is not running")
        (self.dir / "pid").write_text("-1\n")
        self.assert_refused(self.entry("stop", self.uuid), 'no process ID in it: "-1')
        self.assertIsNone(bystander.poll())

    def test_stop_and_gc_check_where_they_are(self):
        self.pod(self.app())
        other = str(uuid.uuid4())
        self.assert_refused(self.entry("stop", other), "the current directory is not that of pod " + other)
        self.assert_refused(self.entry("gc", other), "the current directory is not that of pod " + other)

    def test_gc(self):
        self.ok(self.run_app("true"))
        self.ok(self.entry("gc", "--debug", "--local-config=/etc/actool", self.uuid))


class Enter(NativeCase):
    def test_runs_in_the_apps_place(self):
        self.pod(self.app("echo first; sleep 100", name="one"),
                 self.app("mkdir /mine; echo second; sleep 100", name="two", user="web", group="web",
                          members={"environment": [{"name": "X", "value": "x"}], "workingDirectory": "/etc"}))
        os.chmod(self.root("two"), 0o777)
        process = self.start()
        self.assertEqual(sorted((self.line(process), self.line(process))), ["first", "second"])
        enter = lambda app, *command: self.entry("enter", f"--pid={self.pid()}", f"--appname={app}", "--", *command)
        script = "id -u; pwd; ls -d /mine; echo $X $AC_APP_NAME; grep CapBnd /proc/self/status; hostname; ps | wc -l; exit 5"
        result = enter("two", "sh", "-c", script)
        self.assertEqual(result.code, 5, result)
        self.assertEqual(result.out.splitlines()[:4], ["1000", "/etc", "/mine", "x two"])
        self.assertIn("00000000a80425fb", result.out)
        self.assertIn("rkt-" + self.uuid, result.out)
        self.assertNotEqual(enter("one", "ls", "/mine").code, 0)
        self.assertEqual(enter("one", "kill", "-KILL", "0").code, 137)
        self.assert_refused(enter("one", "/none"), 'app "one": exec "/none": No such file or directory')
        self.refused(enter("three", "ls"), 252, 'the pod has no app "three"')
        process.terminate()
        self.finish(process, timeout=20)

    def test_at_a_terminal_the_command_is_in_its_foreground(self):
        self.pod(self.app("echo ready; sleep 100"))
        process = self.start()
        self.line(process)
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        command = subprocess.Popen(
            [ENTRY / "enter", f"--pid={self.pid()}", "--appname=a", "--", "sh", "-c",
             "read line; echo got $line; sleep 100; echo not reached"],
            cwd=self.dir, env={**harness.without_leak_check(self.lab.env), "TERM": "dumb"}, stdin=slave, stdout=slave, stderr=slave,
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)))
        os.close(slave)
        seen = b""
        os.write(master, b"hello\n")
        while b"got hello" not in seen:
            seen += os.read(master, 4096)
        os.write(master, b"\x03")
        self.assertEqual(command.wait(60), 130)
        self.assertNotIn(b"not reached", seen)

    def test_app_that_has_ended(self):
        self.pod(self.app("true", name="one"), self.app("echo ready; sleep 100", name="two"))
        process = self.start()
        self.line(process)
        harness.wait_for(lambda: self.status("one"), "the app's end")
        result = self.entry("enter", f"--pid={self.pid()}", "--appname=one", "--", "ls")
        self.refused(result, 252, 'app "one": it has ended')


class Terminal(NativeCase):
    def interact(self, script, conversation, *options):
        """Runs the pod at a terminal; `conversation` is (what to wait for, what to type) pairs."""
        self.pod(self.app(script))
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.start("--interactive", *options, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        seen = b""
        for wanted, typed in [*conversation, (None, None)]:
            deadline = time.monotonic() + 20 * harness.SLOW
            while wanted is None or not re.search(wanted, seen):
                ready, _, _ = select.select([master], [], [], 0.2)
                if ready:
                    try:
                        chunk = os.read(master, 4096)
                    except OSError:  # EIO: the last process at the terminal is gone
                        break
                    seen += chunk
                elif process.poll() is not None:
                    break
                self.assertLess(time.monotonic(), deadline, seen)
            if typed is not None:
                os.write(master, typed)
        return process.wait(), seen.decode()

    def test_app_has_a_terminal_of_its_own(self):
        code, seen = self.interact("tty; test -t 0 && test -t 1 && echo all; ls /dev/pts; exit 3", [])
        self.assertEqual(code, 3)
        self.assertEqual(seen.split(), ["/dev/pts/0", "all", "0", "ptmx"])

    def test_typing_reaches_the_app_and_ctrl_c_interrupts_it(self):
        code, seen = self.interact("read line; echo got $line; sleep 100; echo not reached",
                                   [(rb"^", b"hello\n"), (rb"got hello", b"\x03")])
        self.assertEqual(code, 130)
        self.assertNotIn("not reached", seen)

    def test_it_is_the_controlling_terminal(self):
        code, seen = self.interact("echo to the terminal > /dev/tty; echo console > /dev/console", [])
        self.assertEqual(code, 0)
        self.assertEqual(seen.splitlines(), ["to the terminal", "console"])

    def test_size_is_passed_on(self):
        self.pod(self.app("stty size; read x; stty size"))
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
        process = self.start("--interactive", stdin=slave, stdout=slave, stderr=slave,
                             preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)))
        os.close(slave)
        seen = b""
        while b"31 97" not in seen:
            seen += os.read(master, 4096)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 32, 98, 0, 0))
        time.sleep(0.3)
        os.write(master, b"\n")
        while b"32 98" not in seen:
            seen += os.read(master, 4096)
        self.assertEqual(process.wait(), 0)

    def test_terminals_settings_are_restored(self):
        self.pod(self.app("true"))
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        before = termios.tcgetattr(slave)
        process = self.start("--interactive", stdin=slave, stdout=slave, stderr=slave)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(termios.tcgetattr(slave), before)


class Manifest(NativeCase):
    def test_says_what_it_is(self):
        manifest = json.loads((ENTRY.parent / "manifest").read_text())
        annotations = {one["name"]: one["value"] for one in manifest["annotations"]}
        self.assertEqual(annotations.pop("coreos.com/rkt/stage1/interface-version"), "6")
        self.assertEqual(annotations.pop("actool/stage1/read-only"), "true")
        for name, path in annotations.items():
            self.assertEqual(name, "coreos.com/rkt/stage1" + path.replace("/app-", "/app/"))
            self.assertTrue(os.access(ENTRY / path.lstrip("/"), os.X_OK))

    def test_other_names_are_no_entry_points(self):
        other = self.lab.work / "other"
        shutil.copy(ENTRY / "run", other)
        done = subprocess.run([other], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.refused(harness.Result(done.returncode, done.stdout, done.stderr), 254, "is no entry point of a stage1")


if __name__ == "__main__":
    harness.main()
