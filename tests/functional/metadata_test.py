"""The metadata service of a pod (spec/ace.md), and a pod of two apps that checks what the spec's executor
self-check (ace/validator.go) expects."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import stat
import subprocess

import harness
from run_test import PodCase

GET = "wget -q -O - --header 'Metadata-Flavor: AppContainer' $AC_METADATA_URL/acMetadata/v1"


class MetadataCase(PodCase):
    ANNOTATIONS = [{"name": "created", "value": "2014-10-27T19:32:27.67021798Z"},
                   {"name": "lorem", "value": "ipsum"}]

    def ingest(self, name, app=None, **kwargs):
        entries = harness.busybox_entries()
        entries += [harness.symlink("rootfs/bin/wget", "busybox"),
                    harness.symlink("rootfs/bin/timeout", "busybox")]
        manifest = harness.manifest(name, app=app or self.APP, **kwargs)
        tar = harness.aci_tar(manifest, entries)
        path = harness.write_aci(self.lab.work / "image.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        self.manifests = {**getattr(self, "manifests", {}), name: manifest}
        return harness.image_id(tar)

    def inside(self, script, *options, app_options=(), **kwargs):
        return self.run_pod("--mds-register", *options, self.id, *app_options, "--exec=/bin/sh", "--", "-c", script,
                            **kwargs)


class Metadata(MetadataCase):
    def test_only_when_asked(self):
        result = self.ok(self.run_pod(self.id, "--exec=/bin/sh", "--", "-c", "echo [$AC_METADATA_URL]"))
        self.assertEqual(result.out, "[]\n")
        [pod] = self.pods()
        self.assertFalse((self.pod_dir(pod["uuid"]) / "metadata-key").exists())
        self.assertFalse((self.lab.store / "pods/metadata-key").exists())

    def test_the_pods(self):
        result = self.ok(self.inside(f"{GET}/pod/uuid; echo; {GET}/pod/annotations; echo; {GET}/pod/manifest"))
        uuid, annotations, manifest = result.out.split("\n", 2)
        [pod] = self.pods()
        self.assertEqual(uuid, pod["uuid"])
        self.assertEqual(json.loads(annotations), [])
        self.assertEqual(json.loads(manifest), json.loads(self.ok(self.lab.actool("cat-manifest", uuid)).out))

    def test_an_apps(self):
        self.id = self.ingest("example.com/noted", annotations=self.ANNOTATIONS)
        result = self.ok(self.inside(
            f"A={GET.split()[-1]}; wget -q -O - $A/apps/noted/image/id; echo; "
            "wget -q -O - $A/apps/noted/annotations; echo; wget -q -O - $A/apps/noted/image/manifest",
            app_options=["--annotation=lorem=dolor", "--annotation=more=x"]))
        image, annotations, manifest = result.out.split("\n", 2)
        self.assertEqual(image, self.id)
        self.assertEqual({one["name"]: one["value"] for one in json.loads(annotations)},
                         {"created": "2014-10-27T19:32:27.67021798Z", "lorem": "dolor", "more": "x"})
        self.assertEqual(json.loads(manifest), self.manifests["example.com/noted"])

    def test_media_types(self):
        script = "; ".join(f"wget -S -q -O /dev/null $AC_METADATA_URL/acMetadata/v1/{path} 2>&1 | grep Content-Type"
                           for path in ("pod/uuid", "pod/manifest", "apps/web/image/id", "apps/web/annotations"))
        result = self.ok(self.inside(script))
        self.assertEqual([line.strip() for line in result.out.splitlines()],
                         ["Content-Type: text/plain; charset=us-ascii", "Content-Type: application/json"] * 2)

    def test_signatures_across_pods(self):
        post = "wget -q -O - --post-data"
        url = "$AC_METADATA_URL/acMetadata/v1/pod/hmac"
        sign = self.ok(self.inside(f"{GET}/pod/uuid; echo; {post} 'content=Old+MacDonald%20Had+A+Farm' {url}/sign"))
        uuid, signature = sign.out.split("\n")
        self.assertEqual(len(base64.b64decode(signature)), 64)
        # Another pod can tell, and can't sign in its name.
        escaped = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        verify = lambda content, who: f"{post} 'content={content}&uuid={who}&signature={escaped}' {url}/verify && echo good || echo bad"
        result = self.inside("; ".join([verify("Old+MacDonald+Had+A+Farm", uuid), verify("Young+MacDonald", uuid),
                                        verify("Old+MacDonald+Had+A+Farm", "00000000-0000-4000-8000-000000000000"),
                                        f"{post} 'content=Old+MacDonald+Had+A+Farm' {url}/sign"]))
        *verdicts, own = result.out.split("\n")
        self.assertEqual(verdicts, ["good", "bad", "bad"])
        self.assertNotEqual(own, signature)
        # What the key is for: a pod's key is made of the host's and the UUID.
        key = (self.lab.store / "pods/metadata-key").read_bytes()
        pods_key = hmac.new(key, uuid.encode(), hashlib.sha512).digest()
        self.assertEqual(signature, base64.b64encode(
            hmac.new(pods_key, b"Old MacDonald Had A Farm", hashlib.sha512).digest()).decode())
        self.assertEqual(stat.S_IMODE((self.lab.store / "pods/metadata-key").stat().st_mode), 0o600)

    def test_without_the_token_there_is_nothing(self):
        script = ("echo $AC_METADATA_URL; B=${AC_METADATA_URL%/*}; for p in /acMetadata/v1/pod/uuid "
                  "/0000/acMetadata/v1/pod/uuid / //acMetadata/v1/pod/uuid; do "
                  "wget -S -q -O - $B$p 2>&1 | grep '^  HTTP/'; done; wget -S -q -O - $AC_METADATA_URL/acMetadata/v1/../../etc 2>&1 | grep '^  HTTP/'; "
                  "wget -S -q -O - $AC_METADATA_URL/acMetadata/v1/apps/none/image/id 2>&1 | grep '^  HTTP/'; "
                  "wget -S -q -O - --post-data x=y $AC_METADATA_URL/acMetadata/v1/pod/uuid 2>&1 | grep '^  HTTP/'; "
                  "wget -S -q -O - --post-data x=y $AC_METADATA_URL/acMetadata/v1/pod/hmac/sign 2>&1 | grep '^  HTTP/'")
        url, *answers = self.ok(self.inside(script)).out.splitlines()
        self.assertRegex(url, r"^http://127\.0\.0\.1:\d+/[0-9a-f]{64}$")
        codes = [re.search(r" (\d{3}) ", line).group(1) for line in answers]
        self.assertEqual(codes, ["404"] * 6 + ["405", "400"], answers)

    def test_only_from_inside_and_by_nobody(self):
        process, uuid = self.start("--mds-register", self.id, "--exec=/bin/sleep", "--", "100")
        url = self.ok(self.lab.actool("enter", uuid, "/bin/sh", "-c", "echo $AC_METADATA_URL")).out.strip()
        self.assertNotEqual(subprocess.run(["curl", "-s", "-m", "5", url + "/acMetadata/v1/pod/uuid"],
                                           stdout=subprocess.PIPE).returncode, 0)
        inside = self.ok(self.lab.actool("enter", uuid, "/bin/sh", "-c", f"{GET}/pod/uuid"))
        self.assertEqual(inside.out, uuid)
        services = [pid for pid in os.listdir("/proc") if pid.isdigit() and uuid in self.cmdline(pid)
                    and "metadata" in self.cmdline(pid)]
        self.assertEqual(len(services), 1)
        text = pathlib.Path(f"/proc/{services[0]}/status").read_text()
        self.assertIn("Uid:\t65534\t65534\t65534\t65534", text)
        self.assertIn("CapEff:\t0000000000000000", text)
        self.assertIn("NoNewPrivs:\t1", text)
        self.assertNotIn(url.rsplit("/", 1)[1], self.cmdline(services[0]))
        # It ends with the pod.
        process.kill()
        process.wait(20)
        harness.wait_for(lambda: harness.ended(services[0]), "the service's end")

    @staticmethod
    def cmdline(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return ""

    def test_hostile_clients(self):
        script = (
            "H=127.0.0.1; P=${AC_METADATA_URL#http://127.0.0.1:}; P=${P%%/*}; "
            "head -c 3000000 /dev/zero | tr '\\0' A | timeout 5 nc $H $P >/dev/null 2>&1; "
            "printf 'GET / HTTP/1.1\\r\\nContent-Length: -1\\r\\n\\r\\n' | timeout 5 nc $H $P >/dev/null 2>&1; "
            "for i in $(seq 1 100); do (sleep 3 | timeout 4 nc $H $P >/dev/null 2>&1) & done; sleep 4; "
            "(printf 'content='; head -c 2000000 /dev/zero | tr '\\0' A) > /tmp/form; "
            "wget -S -q -O /dev/null --post-file /tmp/form $AC_METADATA_URL/acMetadata/v1/pod/hmac/sign 2>&1 | grep '^  HTTP/'; "
            f"{GET}/pod/uuid")
        result = self.ok(self.inside(script, timeout=120))
        self.assertIn("413", result.out)
        self.assertRegex(result.out.splitlines()[-1], "^[0-9a-f-]{36}$")

    @harness.enters_namespaces
    def test_of_prepared_and_changing_pods(self):
        uuid = self.ok(self.lab.actool("prepare", self.id, "--exec=/bin/sh", "--", "-c", f"{GET}/pod/uuid")).out.strip()
        self.assertEqual(self.ok(self.lab.actool("run-prepared", "--mds-register", uuid)).out, uuid)
        self.collect()
        file = self.lab.work / "box"
        file.unlink(missing_ok=True)
        process = self.lab.popen("app", "sandbox", "--mds-register", f"--uuid-file-save={file}")
        self.addCleanup(self.reap, process)
        harness.wait_for(lambda: file.exists() and file.read_text().strip(), "the UUID")
        uuid = file.read_text().strip()
        self.ok(self.lab.actool("status", "--wait-ready=20s", uuid))
        for name in ("one", "two"):
            self.ok(self.lab.actool("app", "add", uuid, self.id, f"--name={name}", "--exec=/bin/sh", "--", "-c",
                                    f"{GET}/apps/{name}/image/id"))
            harness.wait_for(lambda: (self.pod_dir(uuid) / "control").exists(), "the control socket")
            self.ok(self.lab.actool("app", "start", uuid, f"--app={name}"))
            harness.wait_for(lambda: self.id in self.lab.actool("logs", f"--app={name}", uuid).out, "its answer")


class Validator(MetadataCase):
    """The two apps of the spec's executor self-check, its checks in a shell."""

    CHECK = r"""
fail() { echo "==> $*"; failed=1; }
absent() { [ ! -e "$1" ] || fail "$1 exists unexpectedly"; }
present() { [ -e "$1" ] || fail "$1 does not exist"; }
create() { absent "$1"; touch "$1" || fail "touching $1"; }
wait_for() { i=0; until [ -e "$1" ]; do i=$((i+1)); [ $i -lt 200 ] || { fail "timed out waiting for $1"; return; }; sleep 0.05; done; }
get() { wget -q -O - --header 'Metadata-Flavor: AppContainer' "$AC_METADATA_URL/acMetadata/v1$1" || fail "GET $1"; }
post() { wget -q -O - --post-data "$2" "$AC_METADATA_URL/acMetadata/v1$1" || fail "POST $1"; }
case $1 in
prestart) create /prestart; absent /main; absent /poststop ;;
main)
    present /prestart; create /main; absent /poststop
    [ "$PATH" = /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ] || fail "PATH $PATH"
    [ "$(pwd)" = /opt/acvalidator ] || fail "working directory $(pwd)"
    [ "$IN_ACE_VALIDATOR" = correct ] || fail "environment"
    [ "$AC_APP_NAME" = ace-validator-main ] || fail "AC_APP_NAME $AC_APP_NAME"
    grep -q ' /db rw' /proc/self/mountinfo || fail "/db is not mounted, or not read-write"
    [ -n "$container" ] || fail "container"
    uuid=$(get /pod/uuid)
    get /pod/manifest | grep -q ace-validator-sidekick || fail "pod manifest"
    [ "$(get /pod/annotations)" = '[]' ] || fail "pod annotations"
    get /apps/ace-validator-main/image/manifest | grep -q coreos.com/ace-validator-main || fail "image manifest"
    get /apps/ace-validator-main/annotations | grep -q ipsum || fail "annotations"
    get /apps/ace-validator-sidekick/image/id | grep -q '^sha512-' || fail "image ID"
    signature=$(post /pod/hmac/sign 'content=Old+MacDonald' | sed 's/+/%2B/g; s/=/%3D/g')
    post /pod/hmac/verify "content=Old+MacDonald&uuid=$uuid&signature=$signature"
    wait_for /db/sidekick
    create /db/main ;;
sidekick) create /db/sidekick; wait_for /db/main ;;
poststop) present /prestart; present /main; create /poststop ;;
esac
[ -z "$failed" ] && echo "$1 OK" || { echo "$1 FAIL"; exit 1; }
"""

    def image(self, name, mode, handlers=(), **members):
        entries = harness.busybox_entries() + [
            harness.directory("rootfs/opt"), harness.directory("rootfs/opt/acvalidator"),
            harness.symlink("rootfs/bin/wget", "busybox"), harness.symlink("rootfs/bin/sed", "busybox"),
            harness.Entry("rootfs/ace-validator", b"#!/bin/sh\n" + self.CHECK.encode(), mode=0o755)]
        app = {"exec": ["/ace-validator", mode], "user": "0", "group": "0", "eventHandlers": list(handlers),
               "mountPoints": [{"name": "database", "path": "/db", "readOnly": False}], **members.pop("app", {})}
        tar = harness.aci_tar(harness.manifest(name, app=app, **members), entries)
        path = harness.write_aci(self.lab.work / "validator.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", path))
        return harness.image_id(tar)

    def test_executor_self_check(self):
        main = self.image(
            "coreos.com/ace-validator-main", "main",
            [{"name": "pre-start", "exec": ["/ace-validator", "prestart"]},
             {"name": "post-stop", "exec": ["/ace-validator", "poststop"]}],
            app={"workingDirectory": "/opt/acvalidator",
                 "environment": [{"name": "IN_ACE_VALIDATOR", "value": "correct"}],
                 "ports": [{"name": "www", "protocol": "tcp", "port": 80}],
                 "isolators": [{"name": "resource/memory", "value": {"limit": "1G"}}]},
            annotations=[*self.ANNOTATIONS, {"name": "homepage", "value": "https://github.com/appc/spec"}])
        sidekick = self.image("coreos.com/ace-validator-sidekick", "sidekick")
        result = self.run_pod("--mds-register", "--volume=database,kind=empty", main, sidekick)
        self.assertEqual(sorted(self.ok(result).out.splitlines()),
                         ["main OK", "poststop OK", "prestart OK", "sidekick OK"])
        [pod] = self.pods()
        self.assertTrue((self.pod_dir(pod["uuid"]) / "overlay/ace-validator-main.app/upper/poststop").exists())


if __name__ == "__main__":
    harness.main()
