"""SIGKILL at random instants of `actool fetch`: of the process that talks to the network and of
the one that verifies and commits, together or one of them alone."""

import random
import time

import harness
from harness import Entry, Gpg, TestCase, aci_tar, busybox_entries, image_id, manifest, write_aci

NAME = "example.test/web"
KILLS = harness.kills(200)


def processes_below(pid):
    """The PIDs of a process's descendants."""
    try:
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    except OSError:
        return []
    return [p for child in map(int, children) for p in [child, *processes_below(child)]]


class Crash(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = Gpg(cls.lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.nginx = cls.lab.nginx({"example.test": {}})
        cls.www = cls.nginx.root("example.test")
        cls.nginx.page("example.test", NAME, [
            ("ac-discovery", "example.test https://example.test/{name}-{version}.{ext}")])
        noise = random.Random(7).randbytes(6 << 20)
        cls.tar = aci_tar(manifest(NAME), busybox_entries() + [Entry("rootfs/noise", noise)])
        cls.id = image_id(cls.tar)
        cls.gpg.sign(cls.key, write_aci(cls.www / f"{NAME}-1.0.0.aci", cls.tar))

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, NAME)

    def test_the_image_is_absent_or_whole_and_a_second_fetch_completes(self):
        chance = random.Random(2026)
        fetch = ["fetch", f"{NAME}:1.0.0"]
        begin = time.monotonic()
        self.ok(self.lab.actool(*fetch))
        duration = time.monotonic() - begin
        self.ok(self.lab.actool("image", "rm", self.id))
        seen = {0: 0, 1: 0}
        cut = 0
        for attempt in range(KILLS):
            # Each third time one of them alone: the other has to end by itself, and to say so.
            one = (lambda pid: chance.choice([pid, *processes_below(pid)])) if attempt % 3 == 0 else None
            cut += harness.kill_at_random(self.lab.popen(*fetch), chance, "fetch", duration, one)
            ids = self.image_ids()
            self.assertIn(ids, ([], [self.id]), attempt)
            seen[len(ids)] += 1
            if ids:
                exported = self.ok(self.lab.actool("image", "export", self.id, "-"))
                self.assertEqual(exported.out_bytes, self.tar, attempt)
            self.ok(self.lab.actool(*fetch))
            self.assertEqual(self.image_ids(), [self.id], attempt)
            if attempt % 20 == 0:
                self.ok(self.lab.actool("image", "verify"))
            self.ok(self.lab.actool("image", "rm", self.id))
        self.assertGreater(seen[0], 0)
        self.assertGreater(cut, KILLS // 4)  # the kills came while it ran
        self.ok(self.lab.actool("image", "fsck"))


if __name__ == "__main__":
    harness.main()
