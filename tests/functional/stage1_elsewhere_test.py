"""A stage1 that somebody else has built and signed, laid out as rkt's own stage1-fly: an ACI whose manifest
names its entry points, for version 5 of the interface. It has to run unchanged, from wherever it comes."""

import json
import signal

import harness
from run_test import PodCase

# What rkt's fly does, in a shell: the process becomes the app, chrooted, in the host's namespaces.
RUN = r"""#!/bin/sh
set -eu
for uuid; do :; done
test "$(basename "$(pwd -P)")" = "$uuid"
test -e "/proc/$$/fd/$RKT_LOCK_FD"
case " $* " in *" --net=host "*) ;; *) echo "flavor fly only supports host networking" >&2; exit 254;; esac
eval "$(python3 -c '
import json, shlex
pod = json.load(open("pod"))
[one] = pod["apps"]
print("name=" + shlex.quote(one["name"]))
for variable in one["app"].get("environment", []):
    print("export " + variable["name"] + "=" + shlex.quote(variable["value"]))
print("set -- " + " ".join(map(shlex.quote, one["app"]["exec"])))
')"
mkdir -p stage1/rootfs/rkt/status
echo $$ > pid
echo "stage1 $0" >&2
exec chroot "stage1/rootfs/opt/stage2/$name/rootfs" "$@"
"""
GC = "#!/bin/sh\necho \"gc $*\" >> \"${ELSEWHERE_LOG:-/dev/null}\"\n"
NAME = "coreos.test/rkt/stage1-fly"
VERSION = "1.30.0"


class Elsewhere(PodCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = harness.Gpg(cls.lab)
        cls.key = cls.gpg.key("Stage1 <stage1@coreos.test>", algorithm="rsa2048")
        entries = [harness.directory("rootfs"),
                   harness.Entry("rootfs/run", RUN.encode(), mode=0o755),
                   harness.Entry("rootfs/gc", GC.encode(), mode=0o755)]
        manifest = harness.manifest(NAME, version=VERSION, annotations=[
            {"name": "coreos.com/rkt/stage1/run", "value": "/run"},
            {"name": "coreos.com/rkt/stage1/gc", "value": "/gc"},
            {"name": "coreos.com/rkt/stage1/interface-version", "value": "5"}])
        cls.tar = harness.aci_tar(manifest, entries)
        cls.dir = cls.lab.work / "stage1-images"
        cls.dir.mkdir()
        cls.aci = harness.write_aci(cls.dir / "stage1-fly.aci", cls.tar)
        cls.gpg.sign(cls.key, cls.aci)

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, "coreos.test/rkt")

    def run_by(self, *options):
        result = self.lab.actool("run", "--net=host", *options, self.id, "--set-env=WORD=yes", "--exec=/bin/sh", "--",
                                 "-c", "echo $WORD; readlink /proc/self/exe; exit 3")
        self.assertEqual((result.code, result.out.split("\n")[0]), (3, "yes"), result)
        self.assertIn("stage1/rootfs/run", result.err)

    def test_by_path_then_by_hash_and_name(self):
        self.run_by(f"--stage1-path={self.aci}")
        self.run_by(f"--stage1-hash={harness.image_id(self.tar)}")
        self.run_by(f"--stage1-name={NAME}:{VERSION}")
        self.ok(self.lab.actool("gc", "--grace-period=0s"))

    def test_by_url(self):
        self.run_by(f"--stage1-url=file://{self.aci}")

    def test_from_the_directory_of_stage1_images(self):
        paths = self.lab.local_config / "paths.d"
        paths.mkdir(parents=True)
        (paths / "paths.json").write_text(json.dumps(
            {"rktKind": "paths", "rktVersion": "v1", "stage1-images": str(self.dir)}))
        self.run_by("--stage1-from-dir=stage1-fly.aci")

    def test_by_configuration(self):
        config = self.lab.local_config / "stage1.d"
        config.mkdir(parents=True)
        (config / "fly.json").write_text(json.dumps(
            {"rktKind": "stage1", "rktVersion": "v1", "name": NAME, "version": VERSION, "location": str(self.aci)}))
        self.run_by()
        self.run_by()  # now it is in the store

    def test_unsigned_or_by_an_untrusted_key_it_is_refused(self):
        unsigned = self.lab.work / "unsigned.aci"
        unsigned.write_bytes(self.aci.read_bytes())
        result = self.lab.actool("run", "--net=host", f"--stage1-path={unsigned}", self.id)
        self.assertEqual(result.code, 253, result)
        other = self.gpg.key("Other <other@coreos.test>", algorithm="rsa2048")
        self.gpg.sign(other, unsigned)
        result = self.lab.actool("run", "--net=host", f"--stage1-path={unsigned}", self.id)
        self.assertEqual(result.code, 253, result)
        self.assertEqual(list(self.lab.store.glob("pods/*/*")), [])

    def test_its_own_refusal_is_the_pods_end(self):
        result = self.lab.actool("run", f"--stage1-path={self.aci}", self.id)
        self.assertEqual(result.code, 254, result)
        self.assertIn("only supports host networking", result.err)

    def test_without_a_stop_entry_point_its_pid_is_signalled_and_its_gc_is_run(self):
        log = self.lab.work / "elsewhere.log"
        self.lab.env["ELSEWHERE_LOG"] = str(log)
        self.addCleanup(self.lab.env.pop, "ELSEWHERE_LOG")
        process = self.lab.popen("run", "--net=host", f"--stage1-path={self.aci}", self.id, "--exec=/bin/sleep", "--",
                                 "100")
        self.addCleanup(self.reap, process)
        harness.wait_for(lambda: any("pid" in pod for pod in self.pods()), "the pod's PID")
        [pod] = self.pods()
        self.assertEqual(pod["pid"], process.pid)
        self.ok(self.lab.actool("stop", pod["uuid"]))
        process.wait(20 * harness.SLOW)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.collect()
        # From version 5 on gc is told the configuration, and the UUID last, as in rkt.
        self.assertEqual(log.read_text().split()[-1], pod["uuid"])
        self.assertIn("--local-config=", log.read_text())


if __name__ == "__main__":
    harness.main()
