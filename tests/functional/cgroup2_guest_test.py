"""Isolators on a pure cgroup v2 hierarchy, for real: `actool` and its native stage1 in an emulated guest.

The guest is a pod of the virtual machine executor that may do everything in its own kernel. It has the
host's programs and libraries, read-only, and runs this build's tools with them. Machines of CI have
version 1; this is where version 2 is tested beyond the unit tests over a fake tree."""

import harness
import vm_pods

# Prints lines "name: value" for the test to look at.
SCRIPT = r"""
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
mount -t tmpfs none /tmp
mount -t cgroup2 none /sys/fs/cgroup
cp -a /given /tmp/store
actool() { /tools/actool --dir=/tmp/store --system-config=/tmp/none --local-config=/tmp/none "$@"; }
echo "controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
uuid=$(actool prepare "$1" --exec=/bin/sh --memory=40M --cpu=250m --cpu-shares=512 -- -c 'while :; do :; done')
actool run-prepared "$uuid" &
group=/sys/fs/cgroup/actool-$uuid/web
until grep -q 'nr_throttled [1-9]' $group/cpu.stat 2>/dev/null; do sleep 0.1; done
echo "throttled: yes"
for file in memory.max memory.swap.max cpu.max cpu.weight; do
  echo "$file: $(cat $group/$file)"
done
actool status "$uuid" | sed -n 's/^isolator-\(.*\)=/\1: /p'
actool stop --force "$uuid" >/dev/null
wait || true
test -e /sys/fs/cgroup/actool-$uuid || echo "after: gone"
code=0
actool run "$1" --memory=30M --exec=/bin/sh -- -c 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done' || code=$?
echo "eater: $code"
ls -d /sys/fs/cgroup/actool-* 2>/dev/null || echo "left: nothing"

# An ordinary user with a cgroup as a unit with Delegate=yes has it.
delegated=/sys/fs/cgroup/delegated
mkdir -p $delegated/session /tmp/user
echo "+memory +cpu +pids" >/sys/fs/cgroup/cgroup.subtree_control
echo "+memory +cpu +pids" >$delegated/cgroup.subtree_control
chown 1000:1000 $delegated $delegated/cgroup.procs $delegated/cgroup.subtree_control $delegated/session $delegated/session/cgroup.procs
cp -a /given /tmp/user/store
chown -R 1000:1000 /tmp/user
chmod 1777 /tmp
as_user() {
  sh -c 'echo $$ >"$0"; exec setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"' $delegated/session/cgroup.procs \
    /tools/actool --dir=/tmp/user/store --system-config=/tmp/none --local-config=/tmp/none "$@"
}
uuid=$(as_user prepare "$1" --exec=/bin/sh --memory=40M --cpu=250m -- -c 'while :; do :; done')
as_user run-prepared "$uuid" &
group=$(echo $delegated/actool-$uuid/web)
until grep -q 'nr_throttled [1-9]' $group/cpu.stat 2>/dev/null; do sleep 0.1; done
for file in memory.max cpu.max; do
  echo "user $file: $(cat $group/$file)"
done
echo "user group: $(stat -c %u $group)"
as_user status "$uuid" | sed -n 's/^isolator-\(.*\)=/user \1: /p'
as_user stop --force "$uuid" >/dev/null
wait || true
test -e $delegated/actool-$uuid || echo "user after: gone"
code=0
as_user run "$1" --memory=30M --exec=/bin/sh -- -c 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done' || code=$?
echo "user eater: $code"
ls -d $delegated/actool-* 2>/dev/null || echo "user left: nothing"
"""


class GuestCase(vm_pods.VirtualMachine):
    def test_isolators_on_version_2(self):
        app = {"exec": ["/bin/true"], "user": "0", "group": "0"}
        tar = harness.aci_tar(harness.manifest("example.com/web", app=app))
        image = harness.write_aci(self.lab.work / "image.aci", tar)
        self.ok(self.lab.actool("--insecure-options=image", "image", "ingest", image))
        # The guest has no database to open for that.
        self.ok(self.lab.actool("image", "render", harness.image_id(tar)))
        volumes = [{"name": "usr", "kind": "host", "source": "/usr", "readOnly": True},
                   {"name": "tools", "kind": "host", "source": str(harness.BIN), "readOnly": True},
                   {"name": "given", "kind": "host", "source": str(self.lab.store), "readOnly": True}]
        mounts = [{"volume": "usr", "path": "/usr"}, {"volume": "tools", "path": "/tools"},
                  {"volume": "given", "path": "/given"}]
        manifest = self.app(["/usr/bin/bash", "-c", SCRIPT, "guest", harness.image_id(tar)], mounts=mounts)
        root = self.root()
        # As Debian has it: the host's programs find what they need.
        for name in ("lib", "lib64", "sbin"):
            (root / name).symlink_to(f"usr/{name}")
        self.pod(manifest, volumes=volumes)
        result = self.run_pod("--disable-capabilities-restriction", "--disable-paths", "--disable-seccomp", timeout=180)
        self.assertEqual(result.code, 0, result)
        found = dict(line.split(": ", 1) for line in result.out.splitlines() if ": " in line)
        for controller in ("memory", "cpu", "io", "pids"):
            self.assertIn(controller, found["controllers"].split())
        self.assertEqual(found["memory.max"], str(40_000_000 // 4096 * 4096), result)
        self.assertEqual(found["memory.swap.max"], "0", result)
        self.assertEqual(found["cpu.max"], "25000 100000", result)
        self.assertLess(int(found["cpu.weight"]), 100, result)
        self.assertEqual(found["throttled"], "yes")
        for name in ("resource/memory", "resource/cpu", "os/linux/cpu-shares"):
            self.assertEqual(found[f"web:{name}"], "applied", result)
        self.assertEqual(found["after"], "gone")
        self.assertEqual(found["left"], "nothing")
        self.assertEqual(found["eater"], "137", result)
        self.assertEqual(found["user memory.max"], str(40_000_000 // 4096 * 4096), result)
        self.assertEqual(found["user cpu.max"], "25000 100000", result)
        self.assertEqual(found["user group"], "1000", result)
        for name in ("resource/memory", "resource/cpu"):
            self.assertEqual(found[f"user web:{name}"], "applied", result)
        self.assertEqual(found["user after"], "gone", result)
        self.assertEqual(found["user eater"], "137", result)
        self.assertEqual(found["user left"], "nothing", result)


if __name__ == "__main__":
    harness.main()
