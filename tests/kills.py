#!/usr/bin/env python3
"""Kills that come at random: at least TOTAL processes ended by SIGKILL in the middle of fetch,
ingest, rm, gc, export, bundle import and bundle export, each followed by a look at the store.

Usage: tests/kills.py [TOTAL]        (1000 when it is not given; ten minutes of two cores)

The tests are those of CI, which kills less often. Prints how many of each were killed. The stores lie in
memory, as a SIGKILL loses nothing that was written; with $TMPDIR they lie there.
"""

import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

FUNCTIONAL = pathlib.Path(__file__).resolve().parent / "functional"
TESTS = [
    ("crash_test.py", "Crash"),
    ("store_test.py", "Crash.test_sigkill_at_random_instants"),
    ("store_test.py", "Crash.test_sigkill_of_what_changes_and_reads"),
    ("bundle_test.py", "Accidents.test_sigkill_of_import_at_random_instants"),
    ("bundle_test.py", "Accidents.test_sigkill_of_export_at_random_instants"),
]
MEMORY = pathlib.Path("/dev/shm")
# Some attempts come after the end of what they were for.
ATTEMPTS_PER_KILL = 1.3


def run(file, test, share):
    env = {"TMPDIR": str(MEMORY)} if MEMORY.is_dir() else {}
    return subprocess.run([sys.executable, str(FUNCTIONAL / file), test],
                          env={**env, **os.environ, "ACTOOL_TEST_KILLS": str(share)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def main():
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    share = int(total * ATTEMPTS_PER_KILL / len(TESTS)) + 1
    killed = collections.Counter()
    failed = False
    # Each has a namespace and a store of its own, and waits more than it works.
    with concurrent.futures.ThreadPoolExecutor(len(TESTS)) as pool:
        running = {pool.submit(run, file, test, share): f"{file} {test}" for file, test in TESTS}
        for future in concurrent.futures.as_completed(running):
            done = future.result()
            print(f"{running[future]}: {share} attempts, {'failed' if done.returncode else 'passed'}", flush=True)
            if done.returncode != 0:
                failed = True
                print(done.stdout)
            for count, what in re.findall(r"^killed: (\d+) (.+)$", done.stdout, re.MULTILINE):
                killed[what] += int(count)
    for what, count in sorted(killed.items()):
        print(f"{count:6} {what}")
    print(f"{sum(killed.values()):6} killed in all, {total} wanted; "
          + ("a test failed" if failed else "all tests passed"))
    sys.exit(1 if failed or sum(killed.values()) < total else 0)


if __name__ == "__main__":
    main()
