"""What the functional tests are made of.

Every test program runs in a mount and a network namespace of its own: only loopback, an
/etc/hosts that names the test's hosts, and a CA bundle with the test's own CA. Discovery then
runs against https://example.test/ on port 443 with nothing special in the code under test.
Nothing touches the internet or the home directory; everything lies in one directory that is
removed at the end.

A test file ends with `harness.main()`.
"""

import collections
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

HOSTS = [
    "example.test", "www.example.test", "other.test", "mirror.test", "auth.test", "storage.test",
    "evil.test", "example.com", "foo.test",
]
BIN = pathlib.Path(os.environ.get("ACTOOL_BIN_DIR", pathlib.Path(__file__).parents[2] / "build/release/bin"))
BUILD = pathlib.Path(os.environ.get("ACTOOL_TEST_BUILD", BIN.parent))
SOURCE = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = SOURCE / "testdata"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUSYBOX = "/bin/busybox"
# A sanitizer's build is slower; waits are multiplied by this.
SLOW = float(os.environ.get("ACTOOL_TEST_SLOWNESS", "1"))
_IN_NAMESPACE = "ACTOOL_TEST_IN_NAMESPACE"


def _run(argv, **kwargs):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def skip(reason):
    """A test that cannot run here. In CI that is a failure."""
    if os.environ.get("CI"):
        raise AssertionError("skipped in CI: " + reason)
    raise unittest.SkipTest(reason)


def measures_memory(test):
    """Not defined where a sanitizer's own memory would be measured (a skip is a failure in CI)."""
    return test if SLOW == 1 else None


def enters_namespaces(test):
    """Of a command that enters a mount or user namespace: setns(2) wants one thread, and the runtime of
    ThreadSanitizer has one of its own. What does so has no threads otherwise, so nothing is missed."""
    return None if os.environ.get("ACTOOL_TEST_SANITIZER") == "thread" else test


def kills(count):
    """How often to kill: fewer times where a sanitizer makes each slow. $ACTOOL_TEST_KILLS overrides."""
    return int(os.environ.get("ACTOOL_TEST_KILLS", count if SLOW == 1 else count // 5))


# What kill_at_random() ended, by what it did, and how long that takes at present.
KILLED = collections.Counter()
_DURATION = {}


def kill_at_random(process, chance, what, duration, choose=None):
    """SIGKILLs a started process's group, or the one process that `choose(pid)` names, at a random
    instant of the `duration` it takes, and waits for the end. True, and counted in KILLED under `what`,
    when the kill ended it. A machine's speed drifts: from the second time on the duration is what the
    last ones took."""
    duration = _DURATION.get(what, duration)
    begin = time.monotonic()
    try:
        process.wait(chance.uniform(0, duration))
        _DURATION[what] = (duration + time.monotonic() - begin) / 2
    except subprocess.TimeoutExpired:
        _DURATION[what] = duration * 1.02
        target = choose(process.pid) if choose else None
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL) if target else os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30 * SLOW)
    # Where a child was killed, its parent says so itself.
    killed = process.returncode == -signal.SIGKILL or (choose is not None and process.returncode != 0)
    KILLED[what] += killed
    return killed


def ended(pid):
    """Whether a process runs no more. Not every machine's first process reaps orphans at once."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def without_leak_check(env):
    """For a program in another PID namespace, in a sandbox or under strace, where LeakSanitizer can't look at
    its own threads and, in the first case, waits for ever. The other checks stay."""
    options = env.get("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", ""))
    return {**env, "ASAN_OPTIONS": options + ":detect_leaks=0"}


class Result:
    """One finished command."""

    def __init__(self, code, out, err):
        self.code = code
        self.out_bytes = out
        self.out = out.decode(errors="replace")
        self.err = err.decode(errors="replace")

    def records(self):
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out[:4000]}\n--- stderr\n{self.err[:4000]}"


def tty_session(argv, env, answers=(), timeout=60):
    """Runs argv on a terminal of its own, typing each answer when a question stands there. The result's `err` is
    what the terminal shows; standard output is a pipe."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(argv, stdin=follower, stdout=subprocess.PIPE, stderr=follower, env=env)
    os.close(follower)
    shown, waiting, end = b"", list(answers), time.monotonic() + timeout * SLOW
    asked = 0
    while time.monotonic() < end:
        ready, _, _ = select.select([leader], [], [], 0.05)
        if ready:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break  # the last follower was closed
            questions = shown.count(b"(yes/no)? ") + shown.count(b"'no': ")
            if questions > asked and waiting:
                asked = questions
                os.write(leader, waiting.pop(0) + b"\n")
        elif process.poll() is not None:
            break
    out = process.stdout.read()
    process.stdout.close()
    code = process.wait(10)
    os.close(leader)
    return Result(code, out, shown)


class Lab:
    """The machine a test runs on: a work directory, a CA, servers, keys and actool's directories."""

    def __init__(self, name):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=f"actool-{name}-"))
        os.chmod(self.work, 0o755)
        self.processes = []
        self.home = self.work / "home"
        self.home.mkdir()
        self.env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.work / "tmp"),
        }
        for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",
                         "GCOV_PREFIX"):
            if variable in os.environ:
                self.env[variable] = os.environ[variable]
        (self.work / "tmp").mkdir(mode=0o1777)
        os.chmod(self.work / "tmp", 0o1777)
        self.reset_actool()
        self._ca = None

    # --- actool -----------------------------------------------------------------------------

    def reset_actool(self):
        """A new, empty store and configuration."""
        serial = getattr(self, "_serial", 0) + 1
        self._serial = serial
        self.store = self.work / f"store{serial}"
        self.system_config = self.work / f"system{serial}"
        self.local_config = self.work / f"local{serial}"

    def globals(self):
        return [f"--dir={self.store}", f"--system-config={self.system_config}",
                f"--local-config={self.local_config}"]

    def argv(self, *args):
        return [str(BIN / "actool"), *self.globals(), *map(str, args)]

    def actool(self, *args, stdin=None, env=None, timeout=120, preexec_fn=None, cwd=None):
        """Runs `actool ARGS`; `stdin` is bytes, or nothing for /dev/null."""
        done = subprocess.run(
            self.argv(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**self.env, **(env or {})}, timeout=timeout * SLOW, preexec_fn=preexec_fn, cwd=cwd,
            **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        return Result(done.returncode, done.stdout, done.stderr)

    def popen(self, *args, **kwargs):
        """Starts `actool ARGS` in a process group of its own."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.argv(*args), env=self.env, start_new_session=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)

    def shell(self, script, timeout=120):
        """A bash script in which `actool` is ours with this lab's directories; pipefail is on."""
        words = " ".join(f"'{word}'" for word in [str(BIN / "actool"), *self.globals()])
        prelude = f"set -o pipefail\nactool() {{ {words} \"$@\"; }}\n"
        done = subprocess.run(["bash", "-c", prelude + script], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                              timeout=timeout * SLOW)
        return Result(done.returncode, done.stdout, done.stderr)

    # --- TLS and nginx ------------------------------------------------------------------------

    def ca(self):
        """Makes the test's CA once and puts it into this namespace's CA bundle."""
        if self._ca:
            return self._ca
        self._ca = self.work / "ca"
        self._ca.mkdir()
        self._req(["-x509", "-days", "3650", "-subj", "/CN=actool test CA",
                   "-addext", "basicConstraints=critical,CA:TRUE",
                   "-keyout", self._ca / "ca.key", "-out", self._ca / "ca.crt"])
        bundle = self.work / "bundle.crt"
        bundle.write_bytes((self._ca / "ca.crt").read_bytes())
        _run(["mount", "--bind", str(bundle), CA_BUNDLE])
        return self._ca

    def _req(self, arguments):
        _run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
              *map(str, arguments)])

    def certificate(self, host):
        """(certificate, key) for `host`, signed by the test's CA."""
        ca = self.ca()
        crt, key, csr = ca / f"{host}.crt", ca / f"{host}.key", ca / f"{host}.csr"
        if not crt.exists():
            self._req(["-subj", f"/CN={host}", "-keyout", key, "-out", csr])
            extension = ca / f"{host}.ext"
            extension.write_text(f"subjectAltName=DNS:{host}\n")
            _run(["openssl", "x509", "-req", "-in", str(csr), "-CA", str(ca / "ca.crt"), "-CAkey",
                  str(ca / "ca.key"), "-CAcreateserial", "-days", "3650", "-extfile", str(extension),
                  "-out", str(crt)])
        return crt, key

    def nginx(self, sites):
        """Starts nginx; see Nginx. Ended with the lab."""
        server = Nginx(self, sites)
        self.processes.append(server.process)
        return server

    def start(self, argv, **kwargs):
        """Starts any process and ends it with the lab."""
        process = subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, **kwargs)
        self.processes.append(process)
        return process

    def stop(self, process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def close(self):
        for process in list(self.processes):
            self.stop(process)
        for home in self.work.glob("gnupg*"):
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", CA_BUNDLE], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.work, ignore_errors=True)


class Nginx:
    """nginx with TLS on 443 and plain HTTP on 80.

    `sites` maps a host to a dict: `root` (a directory, made when missing, default
    work/www/HOST), `config` (nginx directives for the server block), `certificate_of` (present
    the certificate of another host). Access is logged to `log`, one "HOST METHOD URI STATUS" a
    line.
    """

    def __init__(self, lab, sites):
        self.lab = lab
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nginx-", dir=lab.work))
        os.chmod(self.dir, 0o755)
        self.log = self.dir / "access.log"
        blocks = []
        for host, site in sites.items():
            root = pathlib.Path(site.get("root") or lab.work / "www" / host)
            root.mkdir(parents=True, exist_ok=True)
            site["root"] = root
            crt, key = lab.certificate(site.get("certificate_of", host))
            blocks.append(f"""
  server {{
    listen 127.0.0.1:443 ssl; listen 127.0.0.1:80;
    server_name {host};
    ssl_certificate {crt}; ssl_certificate_key {key};
    root {root};
    {site.get("config", "")}
  }}""")
        self.sites = sites
        config = self.dir / "nginx.conf"
        config.write_text(f"""
worker_processes 1;
daemon off;
user root;
pid {self.dir}/pid;
error_log {self.dir}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format test '$host $request_method $request_uri $status $http_range';
  access_log {self.log} test;
  types {{ text/html html; }}
  default_type application/octet-stream;
  client_body_temp_path {self.dir}/a; proxy_temp_path {self.dir}/b; fastcgi_temp_path {self.dir}/c;
  uwsgi_temp_path {self.dir}/d; scgi_temp_path {self.dir}/e;
  server_names_hash_bucket_size 128;
  index index.html;
  {''.join(blocks)}
}}
""")
        with open(self.dir / "stderr", "wb") as errors:
            self.process = subprocess.Popen(["nginx", "-p", str(self.dir), "-c", str(config)],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        wait_for(lambda: _connects(443), "nginx to listen",
                 lambda: (self.dir / "stderr").read_text())

    def root(self, host):
        return self.sites[host]["root"]

    def requests(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def stop(self):
        self.lab.stop(self.process)
        wait_for(lambda: not _connects(443), "nginx to end")

    def page(self, host, name, tags):
        """Puts an HTML page with these <meta> tags where discovery of `name` looks."""
        rest = name.split("/", 1)[1] if "/" in name else ""
        directory = self.root(host) / rest
        directory.mkdir(parents=True, exist_ok=True)
        metas = "".join(f'<meta name="{n}" content="{c}">\n' for n, c in tags)
        (directory / "index.html").write_text(f"<!DOCTYPE html><html><head>\n{metas}</head></html>\n")


def _connects(port, address="127.0.0.1"):
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex((address, port)) == 0


def wait_for(condition, what, detail=lambda: "", seconds=20):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds * SLOW} s for {what}: {detail()}")


class Gpg:
    """A gpg home directory with keys of the test's own."""

    def __init__(self, lab):
        self.lab = lab
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="gnupg", dir=lab.work))
        os.chmod(self.home, 0o700)

    def run(self, *args, stdin=None, faked_time=None):
        time_option = ["--faked-system-time", faked_time] if faked_time else []
        return _run(["gpg", "--homedir", str(self.home), "--batch", "--yes", "--no-tty", "--passphrase", "",
                     "--pinentry-mode", "loopback", *time_option, *map(str, args)],
                    input=stdin, env=self.lab.env).stdout

    def key(self, uid, algorithm="ed25519", expire="never", faked_time=None):
        """Makes a signing key without passphrase; returns its fingerprint in lower case."""
        before = set(self.fingerprints())
        self.run("--quick-gen-key", uid, algorithm, "sign,cert", expire, faked_time=faked_time)
        return (set(self.fingerprints()) - before).pop()

    def fingerprints(self):
        found, primary = [], False
        for line in self.run("--list-keys", "--with-colons").decode().splitlines():
            fields = line.split(":")
            if fields[0] in ("pub", "sub"):
                primary = fields[0] == "pub"
            elif fields[0] == "fpr" and primary:
                found.append(fields[9].lower())
        return found

    def export(self, fingerprint):
        return self.run("--armor", "--export", fingerprint)

    def revoke(self, fingerprint):
        """Imports the revocation certificate that gpg made with the key."""
        text = (self.home / "openpgp-revocs.d" / f"{fingerprint.upper()}.rev").read_text()
        self.run("--import", stdin=text.replace(":-----BEGIN", "-----BEGIN").encode())

    def sign(self, fingerprint, path, output=None, faked_time=None, options=()):
        """Detached armoured signature beside the file; returns its path."""
        output = pathlib.Path(output or f"{path}.asc")
        self.run("--armor", "--local-user", fingerprint + "!", *options, "--output", output, "--detach-sign", path,
                 faked_time=faked_time)
        return output


# --- images -----------------------------------------------------------------------------------


def manifest(name, version="1.0.0", exec=None, labels=None, **members):
    """An image manifest as a dict. `members` are further members; app members under `app`."""
    all_labels = {"version": version, "os": "linux", "arch": "amd64"} if labels is None else labels
    value = {
        "acKind": "ImageManifest", "acVersion": "0.8.11", "name": name,
        "labels": [{"name": key, "value": val} for key, val in all_labels.items() if val is not None],
    }
    if exec is not None:
        value["app"] = {"exec": exec, "user": "0", "group": "0"}
    for key, val in members.items():
        value[key] = {**value.get("app", {}), **val} if key == "app" else val
    return value


class Entry:
    """One tar entry for make_tar()."""

    def __init__(self, path, content=b"", type=tarfile.REGTYPE, mode=None, link="", mtime=1_000_000_000,
                 uid=0, gid=0, major=0, minor=0, pax=None):
        info = tarfile.TarInfo(path)
        info.type = type
        info.mode = mode if mode is not None else (0o755 if type == tarfile.DIRTYPE else 0o644)
        info.linkname = link
        info.mtime = mtime
        info.uid, info.gid = uid, gid
        info.devmajor, info.devminor = major, minor
        info.pax_headers = pax or {}
        self.info, self.content = info, content


def directory(path, **kwargs):
    return Entry(path, type=tarfile.DIRTYPE, **kwargs)


def symlink(path, target):
    return Entry(path, type=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(path, target):
    return Entry(path, type=tarfile.LNKTYPE, link=target)


def make_tar(entries, format=tarfile.PAX_FORMAT):
    """The bytes of a tar with exactly these entries, in this order, valid or not."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for entry in entries:
            if entry.info.isreg():
                entry.info.size = len(entry.content)
                tar.addfile(entry.info, io.BytesIO(entry.content))
            else:
                tar.addfile(entry.info)
    return out.getvalue()


def busybox_entries():
    """A root file system of a static busybox with the usual links."""
    data = pathlib.Path(BUSYBOX).read_bytes()
    entries = [directory("rootfs"), directory("rootfs/bin"), directory("rootfs/etc"), directory("rootfs/tmp", mode=0o1777),
               directory("rootfs/root", mode=0o700),
               Entry("rootfs/bin/busybox", data, mode=0o755),
               Entry("rootfs/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:web:/:/bin/sh\n"),
               Entry("rootfs/etc/group", b"root:x:0:\nweb:x:1001:\nextra:x:1002:web\n")]
    for applet in ("sh", "cat", "echo", "env", "ls", "id", "true", "false", "sleep", "hostname", "mount", "kill",
                   "ps", "touch", "mkdir", "rm", "pwd", "test", "printf", "stat", "readlink", "grep", "tr", "head",
                   "dd", "ip", "nc", "ifconfig", "wc", "sort", "seq", "yes", "trap", "mknod", "chroot", "umount"):
        entries.append(symlink(f"rootfs/bin/{applet}", "busybox"))
    return entries


def aci_tar(image_manifest, entries=None):
    """The uncompressed tar of an image; `entries` default to a busybox root file system."""
    text = image_manifest if isinstance(image_manifest, bytes) else json.dumps(image_manifest).encode()
    return make_tar([Entry("manifest", text)] + (busybox_entries() if entries is None else entries))


def image_id(tar_bytes):
    return "sha512-" + hashlib.sha512(tar_bytes).hexdigest()


def write_aci(path, tar_bytes, compression="gzip"):
    """Writes the file as distributed and returns its path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if compression == "gzip":
        tar_bytes = gzip.compress(tar_bytes, compresslevel=1, mtime=0)
    elif compression in ("bzip2", "xz"):
        tar_bytes = _run([compression, "-c"], input=tar_bytes).stdout
    path.write_bytes(tar_bytes)
    return path


def snapshot(root):
    """Everything about a tree that matters, as text; times of directories included."""
    script = r"""
    set -e
    find . -mindepth 1 \( -type d -printf '%P|%y|%m|%U|%G|%T@\n' -o -printf '%P|%y|%m|%U|%G|%s|%T@|%l|%n\n' \) | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
    find . -print0 | LC_ALL=C sort -z | xargs -0 -r getfattr -h -d -m - --absolute-names -e hex
    find . \( -type c -o -type b \) -exec stat -c '%n %t %T' {} + | LC_ALL=C sort
    find . -type f -links +1 -printf '%i %P\n' | LC_ALL=C sort -k2 | awk '{ if (!($1 in n)) n[$1] = NR; print n[$1], $2 }'
    """
    return subprocess.run(["bash", "-c", script], cwd=root, check=True, stdout=subprocess.PIPE).stdout.decode()


# --- test cases -------------------------------------------------------------------------------


class TestCase(unittest.TestCase):
    """One Lab a class; a new store and configuration for each test."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls.__name__)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def setUp(self):
        self.lab.reset_actool()

    def ok(self, result):
        self.assertEqual(result.code, 0, result)
        return result

    def refused(self, result, code, pattern):
        """Exit code `code`, nothing on stdout, and exactly one line of error that matches."""
        self.assertEqual(result.code, code, result)
        errors = [line for line in result.err.splitlines() if ": error: " in line]
        self.assertEqual(len(errors), 1, result)
        self.assertRegex(errors[0], pattern)
        self.assertNotIn("internal error", errors[0])
        return result

    def trust(self, gpg, fingerprint, prefix=None):
        """Trusts a key for a prefix (or as root key) through actool itself."""
        path = self.lab.work / f"{fingerprint}.pub"
        path.write_bytes(gpg.export(fingerprint))
        where = ["--root"] if prefix is None else [f"--prefix={prefix}"]
        self.ok(self.lab.actool("trust", "add", *where, "--skip-fingerprint-review", path))

    def image_ids(self):
        return [record["id"] for record in self.ok(self.lab.actool("image", "list")).records()]


def _enter_namespaces():
    """Runs this program again in namespaces of its own."""
    if os.geteuid() != 0:
        skip("functional tests need root for namespaces")
    os.environ[_IN_NAMESPACE] = "1"
    # Tests run programs as ordinary users, too, and who clones into root's home has shut them out.
    if not all(path.stat().st_mode & stat.S_IXOTH for path in BIN.resolve().parents):
        os.environ["ACTOOL_TEST_BUILD"] = str(BIN.parent.resolve())
        os.environ["ACTOOL_BIN_DIR"] = "/mnt"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private", sys.executable,
                          *sys.argv])


def _set_up_namespaces():
    _run(["ip", "link", "set", "lo", "up"])
    if BIN.parent != BUILD:
        _run(["mount", "--bind", "-o", "ro", BUILD / "bin", BIN])
    hosts = tempfile.NamedTemporaryFile("w", delete=False, prefix="actool-hosts-")
    hosts.write("127.0.0.1 localhost " + " ".join(HOSTS) + "\n")
    hosts.close()
    os.chmod(hosts.name, 0o644)
    _run(["mount", "--bind", hosts.name, "/etc/hosts"])
    os.unlink(hosts.name)


def main():
    # A background job is started with SIGINT ignored, and what it starts would be too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get(_IN_NAMESPACE) != "1":
        _enter_namespaces()
    _set_up_namespaces()
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    for what, count in sorted(KILLED.items()):
        print(f"killed: {count} {what}")
    if os.environ.get("CI") and result.skipped:
        print(f"{len(result.skipped)} tests were skipped, which CI takes for failures")
        sys.exit(1)
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
