"""tests/bench/swarm.py at a small size: four hosts on shaped links, and what the seed gives them."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import harness

SWARM = harness.SOURCE / "tests/bench/swarm.py"
# A loaded machine has its own pace; what the seed gives has not much to do with that, unless hosts need longer to hash
# a piece than to fetch it and ask the seed meanwhile: under a sanitizer, or with other work beside. Alone it is 1.1 to 1.2
# times the image; peers that do not give on take 3.5 to 4 times (aria2 in the same run).
MOST_RATIO = 12
MOST_GIVEN = 1.5 if harness.SLOW == 1 else 4


class Swarm(unittest.TestCase):
    def test_four_hosts(self):
        with tempfile.TemporaryDirectory() as folder:
            rows, plot = pathlib.Path(folder) / "rows.json", pathlib.Path(folder) / "plot.svg"
            done = subprocess.run([sys.executable, str(SWARM), "--only=swarm", "--hosts=4", "--size=24", f"--json={rows}", f"--plot={plot}",
                                   f"--most={MOST_RATIO}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300 * harness.SLOW)
            self.assertEqual(done.returncode, 0, done)
            [row] = json.loads(rows.read_text())
            self.assertIn("aria2", done.stdout)
            self.assertLess(row["ratio"], MOST_RATIO * harness.SLOW, done.stdout)
            self.assertLess(row["given"], MOST_GIVEN, done.stdout)
            self.assertIn("polyline", plot.read_text())
        # The links went with the program.
        links = subprocess.run(["ip", "link"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertNotIn("port0", links)

    def test_the_model(self):
        out = subprocess.run([sys.executable, str(SWARM.with_name("swarm_model.py")), "--hosts=50", "--size=300"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        self.assertIn("bound 1.0 s", out)
        last = float(re.search(r"last ([\d.]+) s", out)[1])
        self.assertGreaterEqual(last, 1)
        self.assertLess(last, 2, out)


if __name__ == "__main__":
    harness.main()
