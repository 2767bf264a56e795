"""A hundred commands at once on one store: fetches over TLS, runs, removals and collections of
images that share dependencies. What is left is a store that fsck has nothing to say about, and no
pods, mounts, processes or temporary files."""

import contextlib
import os
import pathlib
import random
import time

import harness
from harness import Entry, Gpg, aci_tar, busybox_entries, directory, image_id, manifest, write_aci
from mount_test import loop_files, mountinfos

HOST = "example.test"
PROCESSES = 100 if harness.SLOW == 1 else 40
# 0; in use, network (never here) and not found are answers that others' removals explain.
IN_USE, NOT_FOUND = 250, 252


class Many(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = Gpg(cls.lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.nginx = cls.lab.nginx({HOST: {}})
        cls.nginx.page(HOST, HOST, [("ac-discovery", f"{HOST} https://{HOST}/aci/{{name}}-{{version}}.{{ext}}")])
        cls.ids = {}
        noise = random.Random(41).randbytes(2 << 20)
        cls.publish("base", busybox_entries())
        cls.publish("lib", [directory("rootfs"), Entry("rootfs/noise", noise)], ["base"])
        for number in range(3):
            cls.publish(f"app{number}", [directory("rootfs"), Entry("rootfs/number", b"%d\n" % number)],
                        ["lib", "base"], exec=["/bin/cat", "/number"])
        cls.publish("alone", busybox_entries(), exec=["/bin/echo", "alone"])

    @classmethod
    def publish(cls, name, entries, needs=(), **members):
        dependencies = [{"imageName": f"{HOST}/{need}", "labels": [{"name": "version", "value": "1.0.0"}]}
                        for need in needs]
        tar = aci_tar(manifest(f"{HOST}/{name}", **members, **({"dependencies": dependencies} if needs else {})),
                      entries)
        cls.ids[name] = image_id(tar)
        path = write_aci(cls.nginx.root(HOST) / f"aci/{HOST}/{name}-1.0.0.aci", tar)
        cls.gpg.sign(cls.key, path)

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, HOST)

    def command(self, chance):
        app = f"{HOST}/{chance.choice(['app0', 'app1', 'app2', 'alone'])}:1.0.0"
        any_image = f"{HOST}/{chance.choice([*self.ids])}:1.0.0"
        return chance.choice([
            ["fetch", app], ["fetch", app], ["fetch", "--pull-policy=update", any_image],
            ["run", "--net=none", app], ["run", "--net=none", app], ["run", "--net=none", "--no-overlay", app],
            ["image", "rm", any_image], ["image", "rm", "--force", any_image],
            ["image", "gc", "--grace-period=0s"], ["image", "gc", "--keep-bytes=0", "--grace-period=0s"],
            ["image", "render", app], ["image", "list"], ["gc", "--grace-period=0s"], ["list"],
        ])

    def test_fetch_run_rm_and_gc(self):
        chance = random.Random(int(os.environ.get("ACTOOL_TEST_SEED", "42")))
        # So that the first removals and collections have something to do.
        self.ok(self.lab.actool("fetch", *(f"{HOST}/{name}:1.0.0" for name in ("app0", "app1", "alone"))))
        begin = time.monotonic()
        running = [(command, self.lab.popen(*command))
                   for command in (self.command(chance) for _ in range(PROCESSES))]
        codes = {}
        for command, process in running:
            out, err = process.communicate(timeout=300 * harness.SLOW)
            word = " ".join(command[:2]) if command[0] == "image" else command[0]
            codes.setdefault(word, []).append(process.returncode)
            with self.subTest(command=command):
                self.assertNotIn(b"internal error", err)
                self.assertIn(process.returncode, (0, IN_USE, NOT_FOUND), err.decode())
                if process.returncode != 0:
                    self.assertIn(word, ("fetch", "run", "image rm", "image render"), err.decode())
                elif command[0] == "run":
                    name = command[-1].split("/")[1].split(":")[0]
                    self.assertEqual(out.decode(), "alone\n" if name == "alone" else name[3:] + "\n")
        seconds = time.monotonic() - begin
        print({word: {code: results.count(code) for code in set(results)} for word, results in codes.items()},
              f"{seconds:.0f} s")
        self.assertLess(seconds, 120 * harness.SLOW)
        # Each kind of command did its work some time.
        for word in {"fetch", "run", "image rm", "image gc", "gc"} & codes.keys():
            self.assertIn(0, codes[word], word)
        self.assert_clean()
        # And the store works.
        self.assertEqual(self.ok(self.lab.actool("run", "--net=none", f"{HOST}/app1:1.0.0")).out, "1\n")

    def assert_clean(self):
        fsck = self.ok(self.lab.actool("image", "fsck"))
        self.assertIn("0 of them broken; 0 index entries added, 0 removed", fsck.err)
        self.assertEqual([line for line in fsck.err.splitlines() if "warning" in line], [], fsck.err)
        self.ok(self.lab.actool("image", "verify"))
        self.ok(self.lab.actool("gc", "--grace-period=0s"))
        self.assertEqual(self.ok(self.lab.actool("list", "--format=jsonl")).out, "")
        pods = [path for path in (self.lab.store / "pods").rglob("*") if not path.is_dir()]
        self.assertEqual(pods, [])
        self.ok(self.lab.actool("image", "gc", "--grace-period=0s"))
        for scratch in ("tmp", "ingest", "bundles", "quarantine"):
            self.assertEqual(list((self.lab.store / scratch).glob("*")), [], scratch)
        store = str(self.lab.store)
        harness.wait_for(lambda: not any(store in line for line in mountinfos()), "mounts to go")
        self.assertFalse([file for file in loop_files() if store in file])
        harness.wait_for(lambda: not self.processes(), "processes to end", lambda: str(self.processes()))
        self.assertFalse([path for path in self.lab.store.rglob("*.new*")])
        temporary = [path for path in (self.lab.work / "tmp").iterdir()]
        self.assertEqual(temporary, [])

    def processes(self):
        """Those that name the store."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes()
                if str(self.lab.store).encode() in words:
                    found.append(words)
        return found


if __name__ == "__main__":
    harness.main()
