#!/usr/bin/env python3
"""Starts pods one after the other, collects them, and compares what the machine has before and after:

    sudo tests/bench/thousand_pods.py [--pods 1000] [--net default]

Looked at are mounts, cgroups, network interfaces, named network namespaces, leases, tables and rules of the
firewall, processes of pods, loop devices, and the files of the store. Exit code 1, with the difference, when
anything is left. The kernel has a second for the interfaces of the last pod."""

import argparse
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "functional"))

import harness

GROUP = 50  # pods between collections


def lines(*argv):
    return sorted(subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines())


def machine(store):
    return {
        "mounts": len(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()),
        "cgroups": lines("find", "/sys/fs/cgroup", "-type", "d", "-name", "actool-*"),
        "interfaces": sorted(path.name for path in pathlib.Path("/sys/class/net").iterdir()),
        "network namespaces": lines("ip", "netns", "list"),
        "leases": sorted(str(path) for path in pathlib.Path("/var/lib/cni/networks").glob("*/*.*.*.*")),
        "firewall": lines("nft", "list", "ruleset"),
        "processes": lines("pgrep", "-f", f"{store}/pods/"),
        "loop devices": [line for line in lines("losetup", "--noheadings", "-O", "BACK-FILE") if str(store) in line],
        "pods": sorted(str(path) for path in (store / "pods").glob("*/*")),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--net", default="none")
    arguments = parser.parse_args()
    lab = harness.Lab("pods")
    try:
        tar = harness.aci_tar(harness.manifest("example.com/true", exec=["/bin/true"]))
        path = harness.write_aci(lab.work / "image.aci", tar)
        for words in (["image", "ingest", path], ["run", f"--net={arguments.net}", harness.image_id(tar)],
                      ["gc", "--grace-period=0s"]):
            done = lab.actool("--insecure-options=image", *words)
            if done.code != 0:
                sys.exit(f"thousand_pods: actool {words[0]}: {done}")
        before = machine(lab.store)
        began = time.monotonic()
        for start in range(0, arguments.pods, GROUP):
            count = min(GROUP, arguments.pods - start)
            script = (f"for i in $(seq {count}); do actool run --net={arguments.net} {harness.image_id(tar)} || exit 1; done; "
                      "actool gc --grace-period=0s")
            done = lab.shell(script, timeout=600)
            if done.code != 0:
                sys.exit(f"thousand_pods: {done}")
        seconds = time.monotonic() - began
        time.sleep(1)
        after = machine(lab.store)
        left = {what: (before[what], after[what]) for what in before if before[what] != after[what]}
        for what, (was, now) in left.items():
            print(f"{what}: {was} before, {now} after")
        print(f"{arguments.pods} pods in {seconds:.1f} s, {1000 * seconds / arguments.pods:.1f} ms each; "
              + ("something is left" if left else "nothing is left"))
        return 1 if left else 0
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(main())
