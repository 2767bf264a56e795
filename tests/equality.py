#!/usr/bin/env python3
"""A Debian root file system (debootstrap's minbase, from this machine's own registry) and an image of 1.5 GB,
each mounted, unpacked and run, and compared with what GNU tar unpacks.

Usage: tests/equality.py        (root; some minutes; 10 GB of $TMPDIR)
"""

import pathlib
import random
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "functional"))
import equality_test  # noqa: E402
import harness  # noqa: E402

ROOT = harness.SOURCE / "build/equality/rootfs"


def debian():
    """Made before the tests have their network namespace, and kept."""
    if (ROOT / "etc/debian_version").exists() and not ROOT.with_name("unfinished").exists():
        return
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.parent.mkdir(parents=True, exist_ok=True)
    ROOT.with_name("unfinished").touch()
    sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)"], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.split()
    mirror = next(site for site in sites if "security" not in site)
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(ROOT), mirror], check=True,
                   stdout=subprocess.DEVNULL)
    ROOT.with_name("unfinished").unlink()


class Large(equality_test.Equality):
    test_a_part_of_this_machine = None  # CI's

    SCRIPT = ["/bin/sh", "-c", ". /etc/os-release; echo $ID $VERSION_CODENAME; dpkg-query -W -f x dpkg"]

    def test_debian_minbase(self):
        self.check(ROOT, self.SCRIPT, "debian bookworm\nx")

    def test_1500_megabytes(self):
        """The same with 400 files of noise and some thousands more, to 1.5 GB of tar."""
        tree = self.dir / "tree"
        subprocess.run(["cp", "-a", str(ROOT), str(tree)], check=True)
        chance = random.Random(5)
        (tree / "srv/noise").mkdir(parents=True)
        for number in range(400):
            (tree / f"srv/noise/{number}").write_bytes(chance.randbytes(3_200_000 + number))
        for number in range(50):
            subprocess.run(["cp", "-a", str(ROOT / "etc"), str(tree / f"srv/etc{number}")], check=True)
        self.check(tree, self.SCRIPT, "debian bookworm\nx")


if __name__ == "__main__":
    debian()
    harness.main()
