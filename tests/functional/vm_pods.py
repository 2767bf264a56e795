"""Pods for the virtual machine executor, by its own interface."""

import subprocess

import harness
import native_test


class VirtualMachine(native_test.NativeCase):
    entry_points = harness.BIN / "stage1/vm/rootfs"

    def setUp(self):
        super().setUp()
        self.lab.env["ACTOOL_VM_ACCEL"] = "tcg"  # what there is in CI, and the same everywhere


class Images(VirtualMachine):
    """Those whose images are EROFS file systems, as they are in a store."""

    def start(self, *options, **kwargs):
        for app in (self.dir / "stage1/rootfs/opt/stage2").iterdir():
            index = self.dir / "images" / app.name / "erofs"
            index.parent.mkdir(parents=True)
            subprocess.run(["mkfs.erofs", "--quiet", index, app / "rootfs"], check=True, stdout=subprocess.DEVNULL)
            record = self.dir / "appsinfo" / app.name / "tree"
            record.parent.mkdir(parents=True)
            record.write_text(f"{index}\n")
        return super().start(*options, **kwargs)
