"""Pods of an ordinary user: everything from `trust` to `gc` without root, in the user's own directories."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile
import threading

import harness
from run_test import PodCase

USER, GROUP, NAME = 12345, 12346, "ordinary"
FIRST, COUNT = 7_000_000, 65536
SH = ["--exec=/bin/sh", "--", "-c"]


class Case(PodCase):
    """The lab's commands are run by an ordinary user of this machine, who has ranges of IDs in this test's
    mount namespace only. Nothing says where the store is: it is where a user's is."""

    RANGES = f"{NAME}:{FIRST}:{COUNT}\n"

    # The tree of the build may lie where only root looks. Read-only: whatever goes wrong here, what removes the
    # lab's directory must not remove it.
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bin = cls.lab.work / "bin"
        cls.bin.mkdir()
        subprocess.run(["mount", "--bind", "-o", "ro", str(harness.BIN), str(cls.bin)], check=True)

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["umount", "-l", str(cls.bin)], check=True)
        super().tearDownClass()

    def setUp(self):
        if not shutil.which("newuidmap"):
            harness.skip("no newuidmap (package uidmap)")
        lab = self.lab
        lab.reset_actool()
        lab.work.chmod(0o777)
        self.bound = set()
        self.cover("/etc/passwd", pathlib.Path("/etc/passwd").read_text() + f"{NAME}:x:{USER}:{GROUP}::/:/bin/sh\n")
        self.give_ranges(self.RANGES)
        self.home = lab.work / "user"
        self.home.mkdir()
        self.addCleanup(subprocess.run, ["rm", "-rf", "--one-file-system", str(self.home)], check=True)
        os.chown(self.home, USER, GROUP)
        lab.store = self.home / ".local/share/actool"
        lab.env["HOME"] = str(self.home)
        for name in ("argv", "globals"):
            self.addCleanup(setattr, lab, name, getattr(lab, name))
        lab.globals = lambda: [f"--system-config={lab.system_config}", f"--local-config={lab.local_config}"]
        lab.argv = lambda *args: [*self.as_user(), str(self.bin / "actool"), *lab.globals(), *map(str, args)]
        self.id = self.ingest("example.com/web")

    def as_user(self):
        return ["setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "--"]

    def as_root(self, *args):
        done = subprocess.run([str(harness.BIN / "actool"), f"--dir={self.lab.store}", *self.lab.globals(), *map(str, args)],
                              capture_output=True, env=self.lab.env, stdin=subprocess.DEVNULL)
        return harness.Result(done.returncode, done.stdout, done.stderr)

    def bind(self, source, target):
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
        self.bound.add(target)
        self.addCleanup(subprocess.run, ["umount", str(target)], check=True)

    def cover(self, target, text):
        file = self.lab.work / ("cover-" + pathlib.Path(target).name)
        file.write_text(text)
        if target in self.bound:
            return
        pathlib.Path(target).touch()
        self.bind(file, target)

    def give_ranges(self, text):
        self.cover("/etc/subuid", text)
        self.cover("/etc/subgid", text)

    def without_helpers(self):
        for name in ("newuidmap", "newgidmap"):
            self.bind("/dev/null", shutil.which(name))

    def shell(self, script, *options, app=(), **kwargs):
        return self.run_pod(*options, self.id, *app, *SH, script, **kwargs)

    def entries(self):
        """An image whose files have several owners."""
        return harness.busybox_entries() + [
            harness.Entry("rootfs/srv/page", b"page\n", uid=33, gid=34, mode=0o600),
            harness.Entry("rootfs/srv/tool", b"tool\n", uid=33, gid=33, mode=0o4755),
            harness.Entry("rootfs/srv/disk", type=tarfile.BLKTYPE),
        ]

    def ingest_owned(self):
        tar = harness.aci_tar(harness.manifest("example.com/owned", app=self.APP), self.entries())
        path = harness.write_aci(self.lab.work / "owned.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        return harness.image_id(tar)

    def nothing_left(self):
        self.collect()
        self.ok(self.lab.actool("image", "rm", *self.image_ids()))
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        left = [path for directory in ("trees", "tmp", "blobs", "pods", "images")
                for path in (self.lab.store / directory).rglob("*") if not path.is_dir()]
        self.assertEqual([path for path in left if not path.name.endswith(("lock", "lck"))], [])


class Rootless(Case):
    def test_one_run(self):
        result = self.ok(self.shell("id -u; id -g; hostname; cat /proc/self/uid_map; cat /proc/self/gid_map",
                                    "--hostname=box"))
        self.assertEqual(result.out.split(), ["0", "0", "box", "0", str(USER), "1", "1", str(FIRST), str(COUNT),
                                              "0", str(GROUP), "1", "1", str(FIRST), str(COUNT)])
        self.assertEqual(result.err, "")
        [pod] = self.pods()
        self.assertEqual(pod["state"], "exited")
        self.assertEqual(self.status(pod["uuid"])["app-web"], "0")
        self.assertEqual(self.ok(self.lab.actool("image", "list")).records()[0]["id"], self.id)
        for path in [self.home, *self.home.rglob("*")]:
            owner = os.lstat(path).st_uid
            self.assertTrue(owner == USER or FIRST <= owner < FIRST + COUNT, (path, owner))
        self.nothing_left()

    def test_exit_status_and_signals(self):
        self.assertEqual(self.shell("exit 7").code, 7)
        self.assertEqual(self.shell("kill -9 $$").code, 137)
        process, uuid = self.start(self.id, *SH, "trap 'exit 9' TERM; echo began; while :; do sleep 0.1; done")
        self.assertEqual(process.stdout.readline(), b"began\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 9)
        self.assertEqual(self.status(uuid)["app-web"], "9")

    def test_owners_of_the_image(self):
        image = self.ingest_owned()
        script = "stat -c '%u %g %a' /srv/page /srv/tool /bin; ls /srv; chown 65535:65535 /srv/page && stat -c %u /srv/page"
        result = self.ok(self.run_pod(image, *SH, script))
        self.assertEqual(result.out.split("\n")[:3], ["33 34 600", "33 33 4755", "0 0 755"])
        self.assertIn("65535", result.out)
        self.assertNotIn("disk", result.out)  # device nodes are left out, which is said
        self.assertIn("device nodes were left out", result.err)
        [page] = (self.lab.store / "trees").glob("*/rootfs/srv/page")
        self.assertEqual((os.stat(page).st_uid, os.stat(page).st_gid), (FIRST + 32, FIRST + 33))
        self.ok(self.lab.actool("image", "verify", "--content", image))
        self.ok(self.lab.actool("image", "fsck"))
        os.chown(page, USER, GROUP)
        self.refused(self.run_pod(image, *SH, "true"), 253, "owner differs")
        os.chown(page, FIRST + 32, FIRST + 33)
        self.nothing_left()

    def test_apps_as_other_users(self):
        result = self.ok(self.shell("id -u; id -g; id -G; touch /tmp/mine; stat -c '%u %g' /tmp/mine",
                                    app=["--user=1000", "--group=1001", "--supplementary-gids=5,6"]))
        self.assertEqual(result.out.split(), ["1000", "1001", "1001", "5", "6", "1000", "1001"])
        self.ok(self.shell("echo x >/dev/stdout", app=["--user=1000", "--stdout=log"]))
        self.collect()
        result = self.shell("true", app=["--user=65537"])
        self.refused(result, 254, 'app "web": user 65537 and group 0 are not both among the pod\'s IDs; .*subuid')

    def test_what_an_app_sees(self):
        script = """set -e
            echo x >/dev/null; head -c 4 /dev/urandom >/dev/shm/f; test -c /dev/tty; test -d /dev/pts
            test -r /proc/self/status; test "$(ls /proc | grep -c '^[0-9]')" -lt 6
            test -d /sys/class/net; ! mkdir /sys/x 2>/dev/null; ! test -r /proc/kcore || ! head -c 1 /proc/kcore | grep -q .
            ! mknod /tmp/m b 7 0 2>/dev/null; ! mount -t tmpfs none /tmp 2>/dev/null
            rm -r /etc/gone 2>/dev/null || true; ls /sys/class/net
            grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status"""
        result = self.ok(self.shell(script))
        self.assertIn("lo\n", result.out)
        self.assertIn("Seccomp:\t2", result.out)
        self.assertNotIn("CapBnd:\t000001ffffffffff", result.out)
        host = self.ok(self.shell("ls /sys/class/net; test -d /sys/fs; ! mkdir /sys/x 2>/dev/null", "--net=host"))
        self.assertEqual(host.out.split(), sorted(os.listdir("/sys/class/net")))
        self.ok(self.shell("nc -l -p 80 -e true & sleep 0.3; nc 127.0.0.1 80 </dev/null"))

    def test_files_are_deleted_and_replaced(self):
        image = self.ingest_owned()
        script = "rm -r /srv && mkdir /srv && ls -a /srv | wc -l && rm /bin/busybox && ! test -e /bin/busybox"
        self.assertEqual(self.ok(self.run_pod(image, *SH, script)).out, "2\n")

    def test_volumes(self):
        volume = self.home / "volume"
        volume.mkdir()
        os.chown(volume, USER, GROUP)
        at = [f"--volume=v,kind=host,source={volume}", "--mount=volume=v,target=/v"]
        self.ok(self.shell("echo mine >/v/file; chown 1000:1000 /v/file; echo root >/v/root", *at))
        self.assertEqual(os.stat(volume / "root").st_uid, USER)
        self.assertEqual(os.stat(volume / "file").st_uid, FIRST + 999)
        result = self.shell("echo x >/v/root", at[0] + ",readOnly=true", at[1])
        self.assertEqual(result.code, 1, result)
        self.assertIn("Read-only file system", result.err)
        secret = self.lab.work / "secret"
        secret.mkdir(exist_ok=True)
        (secret / "key").write_text("key")
        secret.chmod(0o700)
        result = self.shell("cat /v/key", f"--volume=v,kind=host,source={secret}", at[1])
        self.assertNotEqual(result.code, 0)
        self.assertNotIn("key\n", result.out)
        result = self.shell("cat /v/key", f"--volume=v,kind=host,source={secret}/key", at[1])
        self.refused(result, 254, "Permission denied")
        self.ok(self.shell("stat -c '%u %a' /e | grep -q '^33 700'", "--volume=e,kind=empty,uid=33,gid=33,mode=0700",
                           "--mount=volume=e,target=/e"))

    def test_isolators_are_reported(self):
        result = self.ok(self.shell("true", app=["--memory=64M", "--caps-remove=CAP_CHOWN"]))
        self.assertIn("isolators that are not applied", result.err)
        [pod] = self.pods()
        text = self.ok(self.lab.actool("status", pod["uuid"])).out
        self.assertIn("resource/memory", text)
        self.assertIn("ignored", text)

    def test_handlers(self):
        self.id = self.ingest("example.com/handled", app={**self.APP, "eventHandlers": [
            {"name": "pre-start", "exec": ["/bin/sh", "-c", "echo before $(id -u)"]},
            {"name": "post-stop", "exec": ["/bin/sh", "-c", "touch /after"]}]})
        self.assertEqual(self.ok(self.run_pod(self.id)).out, "before 0\nran\n")
        self.assertEqual(len(list((self.lab.store / "pods").glob("*/*/overlay/*/upper/after"))), 1)

    @harness.enters_namespaces
    def test_enter_stop_and_logs(self):
        process, uuid = self.start(self.id, "--stdout=log", *SH, "echo logged; exec sleep 1000")
        inside = self.ok(self.lab.actool("enter", uuid, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map; hostname; ps | grep -c sleep"))
        self.assertEqual(inside.out.split()[:4], ["0", "0", str(USER), "1"])
        self.assertIn("rkt-" + uuid, inside.out)
        # What a user's pod says is to be executed is not executed as the host's root.
        for command in (["enter", uuid, "/bin/true"], ["stop", uuid]):
            self.refused(self.as_root(*command), 254, f"pod {uuid} is that of user {USER}, whose programs root does not run")
        self.assertIn("running", self.ok(self.as_root("list")).out)
        harness.wait_for(lambda: self.lab.actool("logs", uuid).out == "logged\n", "the log")
        self.refused(self.lab.actool("rm", uuid), 250, "is running")
        self.ok(self.lab.actool("stop", uuid))
        self.ok(self.lab.actool("stop", "--force", uuid))
        process.wait(20)
        self.ok(self.lab.actool("rm", uuid))
        self.assertEqual(self.pods(), [])

    @harness.enters_namespaces
    def test_several_are_stopped_at_once(self):
        uuids = [self.start(self.id, *SH, "exec sleep 1000")[1] for _ in range(2)]
        self.ok(self.lab.actool("stop", "--force", *uuids))
        for uuid in uuids:
            self.ok(self.lab.actool("status", "--wait=20s", uuid))
        self.collect()

    def test_at_a_terminal(self):
        done = harness.tty_session(self.lab.argv("run", "--interactive", self.id, *SH, "test -t 0 && tty && id -u"), self.lab.env)
        self.assertEqual(done.code, 0, done)
        self.assertIn("0", done.out)

    @harness.enters_namespaces
    def test_apps_come_and_go(self):
        file = self.home / "uuid"
        process = self.lab.popen("app", "sandbox", f"--uuid-file-save={file}")
        self.addCleanup(self.reap, process)
        harness.wait_for(lambda: file.exists() and file.read_text().strip(), "the pod's UUID")
        uuid = file.read_text().strip()
        self.ok(self.lab.actool("status", "--wait-ready=20s", uuid))
        harness.wait_for(lambda: (self.pod_dir(uuid) / "control").exists(), "the pod to take requests")
        self.ok(self.lab.actool("app", "add", uuid, self.id, "--name=one", *SH, "id -u; exec sleep 1000"))
        self.ok(self.lab.actool("app", "start", "--app=one", uuid))
        harness.wait_for(lambda: self.lab.actool("logs", uuid).out == "0\n", "the app's log")
        self.assertEqual(self.ok(self.lab.actool("app", "exec", "--app=one", uuid, "/bin/id", "-u")).out, "0\n")
        self.ok(self.lab.actool("app", "stop", "--app=one", uuid))
        self.ok(self.lab.actool("app", "rm", "--app=one", uuid))
        self.ok(self.lab.actool("stop", uuid))
        process.wait(20)
        self.collect()

    def test_prepared_copied_and_exported(self):
        image = self.ingest_owned()
        for options in ([], ["--no-overlay"]):
            uuid = self.ok(self.lab.actool("prepare", *options, image, *SH, "stat -c %u /srv/page; touch /made")).out.strip()
            self.assertEqual(self.ok(self.lab.actool("run-prepared", uuid)).out, "33\n")
            exported = self.home / "exported.aci"
            self.ok(self.lab.actool("export", "--overwrite", uuid, exported))
            with tarfile.open(exported) as tar:
                self.assertEqual(tar.getmember("rootfs/srv/page").uid, 33)
                self.assertEqual(tar.getmember("rootfs/made").uid, 0)
        self.nothing_left()

    def test_killed_pods_leave_nothing(self):
        for who in ("outside", "inside"):
            process, uuid = self.start(self.id, *SH, "mkdir -p /a/b; chown 33:33 /a; chmod 0 /a; exec sleep 1000")
            supervisor = int((self.pod_dir(uuid) / "pid").read_text())
            harness.wait_for(lambda: list(self.pod_dir(uuid).glob("overlay/web.app/upper/a")), "a directory of the app")
            os.kill(process.pid if who == "outside" else supervisor, signal.SIGKILL)
            process.wait(20)
            harness.wait_for(lambda: harness.ended(supervisor), "the pod's end")
        self.nothing_left()

    def test_fetched_and_trusted(self):
        gpg = harness.Gpg(self.lab)
        key = gpg.key("Web <web@example.com>")
        file = self.home / "key.asc"
        file.write_bytes(gpg.export(key))
        self.ok(self.lab.actool("trust", "add", "--prefix=example.com/signed", "--skip-fingerprint-review", file))
        self.assertTrue(list((self.home / ".config/actool/trustedkeys").rglob(key.lower()) or
                             (self.home / ".config/actool/trustedkeys").rglob("*")))
        image = harness.write_aci(self.lab.work / "signed.aci", harness.aci_tar(harness.manifest("example.com/signed", app=self.APP)))
        gpg.sign(key, image, pathlib.Path(str(image) + ".asc"))
        self.ok(self.lab.actool("fetch", image))
        self.assertEqual(self.ok(self.run_pod("example.com/signed")).out, "ran\n")
        other = harness.write_aci(self.lab.work / "other.aci", harness.aci_tar(harness.manifest("example.com/other", app=self.APP)))
        gpg.sign(key, other, pathlib.Path(str(other) + ".asc"))
        self.refused(self.lab.actool("fetch", other), 253, "no key trusted for example.com/other")

    def test_the_audit_log_names_the_user(self):
        self.ok(self.run_pod(self.id))
        lines = self.ok(self.lab.actool("image", "log")).records()
        self.assertEqual({line["uid"] for line in lines}, {USER})

    def test_what_is_roots(self):
        self.refused(self.shell("true", "--net=web"), 254, "can't be in the network web; give --net=default, none or host")
        self.refused(self.shell("true", "--private-users"), 254, "--private-users is for root")
        for stage1 in ("fly", "oci", "nspawn", "vm"):
            self.refused(self.shell("true", f"--stage1-name={stage1}"), 254, "this executor needs the host's root; the stage1 \"native\" can")
        self.collect()
        self.assertEqual(self.pods(), [])


class Network(Case):
    """The default network, by slirp4netns: no right on the host is needed."""

    ADDRESS, PORT = "192.0.2.1", 7000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "addr", "replace", f"{cls.ADDRESS}/32", "dev", "lo"], check=True)
        server = socket.create_server(("0.0.0.0", cls.PORT))

        def serve():
            while True:  # as long as the test's program lives
                connection, _ = server.accept()
                with contextlib.suppress(OSError):
                    connection.sendall(b"from outside\n")
                connection.close()

        threading.Thread(target=serve, daemon=True).start()

    def slirps(self):
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and self.command(pid) == "slirp4netns"]

    @staticmethod
    def command(pid):
        with contextlib.suppress(OSError):
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        return ""

    def test_the_world_is_reached(self):
        result = self.ok(self.shell(f"nc {self.ADDRESS} {self.PORT} </dev/null; cat /etc/resolv.conf; ip -4 addr show eth0; "
                                    f"nc -w 2 10.0.2.2 {self.PORT} </dev/null 2>&1; ls /sys/class/net", "--net=default"))
        self.assertEqual(result.out.count("from outside\n"), 1, result)  # not what is the host's own
        self.assertIn("nameserver 10.0.2.3\n", result.out)
        self.assertIn("inet 10.0.2.100/24", result.out)
        self.assertIn("eth0\nlo\n", result.out)
        self.assertEqual(result.err, "")
        self.ok(self.shell("test ! -e /etc/resolv.conf", "--net", "--dns=none"))
        self.nothing_left()

    def test_it_ends_with_the_pod(self):
        before = self.slirps()
        process, uuid = self.start("--net=default", self.id, *SH, "exec sleep 1000")
        [own] = set(self.slirps()) - set(before)
        inside = self.ok(self.lab.actool("enter", uuid, "/bin/nc", self.ADDRESS, self.PORT))
        self.assertEqual(inside.out, "from outside\n")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        harness.wait_for(lambda: harness.ended(own), "the end of slirp4netns")
        self.nothing_left()

    @harness.enters_namespaces
    def test_ports(self):
        image = self.ingest("example.com/listener", {**self.APP, "ports": [
            {"name": "www", "port": 80, "protocol": "tcp"}, {"name": "many", "port": 90, "count": 2, "protocol": "tcp"}]})
        listen = "for port in 80 90 91; do while :; do echo port $port | nc -l -p $port; done & done; wait"
        _, uuid = self.start("--net=default", "--port=www:7080", "--port=many:127.0.0.1:7090", image, *SH, listen)

        def said(address, port):
            with contextlib.suppress(OSError), socket.create_connection((address, port), 5) as connection:
                return connection.makefile().read()

        for address, port, expected in (("127.0.0.1", 7080, 80), (self.ADDRESS, 7080, 80), ("127.0.0.1", 7090, 90),
                                        ("127.0.0.1", 7091, 91)):
            harness.wait_for(lambda: said(address, port) == f"port {expected}\n", f"what listens at {address}:{port}")
        self.assertIsNone(said(self.ADDRESS, 7090))
        self.assertFalse((self.pod_dir(uuid) / "slirp4netns.sock").exists())
        for taken in (7080, self.PORT, 80):
            self.refused(self.run_pod("--net=default", f"--port=www:{taken}", image, *SH, "true"), 254,
                         f"does not forward port {taken} of 0.0.0.0: .*; another program may listen there; ports below 1024 are root's")
        self.nothing_left()

    def test_without_the_program(self):
        self.bind("/dev/null", shutil.which("slirp4netns"))
        self.refused(self.shell("true", "--net=default"), 254, "no slirp4netns.*--net=none or --net=host")


class OneId(Case):
    """Without ranges, or without the programs that set them up."""

    RANGES = "somebody:100000:65536\n"

    def test_root_is_the_only_id(self):
        image = self.ingest_owned()
        result = self.ok(self.run_pod("--debug", image, *SH, "id -u; cat /proc/self/uid_map; cat /srv/page; stat -c '%u %a' /srv/tool; "
                                      "touch /made; tty || true"))
        self.assertEqual(result.out.split()[:6], ["0", "0", str(USER), "1", "page", "0"])
        self.assertIn(f"{NAME} has no ranges of IDs", result.err)
        self.assertIn("files belong to you", result.err)
        self.assertIn("0 755\n", result.out)  # no longer set-user-ID of somebody else
        self.ok(self.lab.actool("image", "verify", "--content", image))
        self.nothing_left()

    def test_others_are_refused(self):
        for app in (["--user=1000"], ["--group=5"], ["--user=1000", "--stdout=log"]):
            self.refused(self.shell("true", app=app), 254, "not both among the pod's IDs")
        self.refused(self.shell("true", app=["--supplementary-gids=7"]), 254, "supplementary groups 7")
        self.refused(self.shell("true", "--volume=e,kind=empty,uid=5", "--mount=volume=e,target=/e"), 254, "giving volume e")

    def test_terminals(self):
        done = harness.tty_session(self.lab.argv("run", "--interactive", self.id, *SH, "test -t 0 && id -u"), self.lab.env)
        self.assertEqual((done.code, done.out.strip()), (0, "0"), done)


class NoHelpers(Case):
    def test_root_is_the_only_id(self):
        self.without_helpers()
        result = self.ok(self.shell("cat /proc/self/uid_map", "--debug"))
        self.assertEqual(result.out.split(), ["0", str(USER), "1"])
        self.assertIn("no newuidmap", result.err)


class FewIds(Case):
    RANGES = f"{USER}:{FIRST}:1000\n"  # by number, as well

    def test_what_is_beyond_them_is_refused(self):
        self.ok(self.shell("id -u | grep -q 1000", app=["--user=1000"]))
        self.refused(self.shell("true", app=["--user=1001"]), 254, "not both among the pod's IDs")

    def test_ranges_that_are_not_the_users(self):
        # As after an administrator has taken them away while newuidmap reads another list: shown by its own words.
        self.cover("/etc/passwd", pathlib.Path("/etc/passwd").read_text().replace(NAME, "renamed"))
        self.give_ranges(f"{NAME}:{FIRST}:1000\n")
        result = self.ok(self.shell("cat /proc/self/uid_map", "--debug"))
        self.assertEqual(result.out.split(), ["0", str(USER), "1"])


class NoNamespaces(Case):
    def test_why_is_said(self):
        # The limit of a namespace between the user and the host, not the machine's.
        shell = f"echo 0 >/proc/sys/user/max_user_namespaces && exec {' '.join(self.as_user())} \"$@\""
        lab = self.lab
        self.give_ranges("root:0:1000000\n")  # for unshare(1), by newuidmap
        argv = lab.argv("run", self.id)
        argv = argv[argv.index("--") + 1:]
        done = subprocess.run(["unshare", "--user", "--map-users=0,0,1000000", "--map-groups=0,0,1000000", "--setuid=0", "--setgid=0",
                               "sh", "-c", shell, "sh", *argv], capture_output=True, env=lab.env, stdin=subprocess.DEVNULL)
        result = harness.Result(done.returncode, done.stdout, done.stderr)
        self.refused(result, 254, "making a user namespace: .*; user.max_user_namespaces is 0: raise it, or run pods as root")
        self.assertEqual(self.pods(), [])


if __name__ == "__main__":
    harness.main()
