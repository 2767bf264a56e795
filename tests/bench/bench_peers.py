"""Other tools that take the same root file system, each on a store of its own in a scratch directory."""

import hashlib
import json
import shutil
import subprocess
import time

# Debian packages, by program; tests/packages-bench.txt.
PROGRAMS = {"ctr": "containerd", "containerd": "containerd", "umoci": "umoci", "podman": "podman", "igzip": "isal"}


def missing():
    """Packages whose programs are not there."""
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})


def oci_archive(layout, archive, tree_tar):
    """An OCI image layout with `tree_tar` as its one gzip layer, in the directory `layout` and as the tar
    `archive`. Compressed as our ACI is."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    layer = blob(subprocess.run(["gzip", "-6", "-n", "-c", str(tree_tar)], check=True, stdout=subprocess.PIPE).stdout)
    with open(tree_tar, "rb") as file:
        diff = hashlib.file_digest(file, "sha256").hexdigest()
    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/true"]},
                              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]}}).encode())
    kind = "application/vnd.oci.image."
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": f"{kind}manifest.v1+json",
                                "config": {"mediaType": f"{kind}config.v1+json", **config},
                                "layers": [{"mediaType": f"{kind}layer.v1.tar+gzip", **layer}]}).encode())
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": f"{kind}manifest.v1+json", **manifest,
         "annotations": {"org.opencontainers.image.ref.name": "bench", "io.containerd.image.name": "bench/big:1"}}]}))
    subprocess.run(["tar", "-C", str(layout), "-cf", str(archive), "oci-layout", "index.json", "blobs"], check=True)


class Containerd:
    """A containerd with its root, state and socket below `directory`."""

    def __init__(self, lab, directory):
        directory.mkdir()
        # Sockets have short names.
        self.socket = directory / "s"
        config = directory / "config.toml"
        config.write_text(f"""version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
""")
        self.lab = lab
        self.log = open(directory / "log", "wb")
        self.process = lab.start(["containerd", "--config", str(config)], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while subprocess.run([*self.ctr(), "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             check=False).returncode != 0:
            if time.monotonic() > end:
                raise RuntimeError(f"containerd does not answer; see {directory}/log")
            time.sleep(0.1)

    def ctr(self):
        return ["ctr", "--address", str(self.socket)]

    def import_line(self, archive):
        return " ".join([*self.ctr(), "images", "import", str(archive)])

    def forget_line(self):
        """Removes what an import made, content and snapshots too."""
        ctr = " ".join(self.ctr())
        return f"for i in $({ctr} images ls -q); do {ctr} images rm --sync $i; done >/dev/null 2>&1"

    def stop(self):
        self.lab.stop(self.process)
        self.log.close()


class Podman:
    def __init__(self, directory):
        directory.mkdir()
        self.policy = directory / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.base = (f"podman --root {directory}/root --runroot {directory}/run --storage-driver overlay "
                     f"--tmpdir {directory}/tmp --cgroup-manager cgroupfs")

    def pull_line(self, archive):
        return f"{self.base} pull --quiet --signature-policy {self.policy} oci-archive:{archive}"

    def forget_line(self):
        return f"{self.base} rmi --all --force >/dev/null 2>&1"


class Umoci:
    def __init__(self, layout, target):
        self.line = f"umoci unpack --image {layout}:bench {target}"
        self.forget_line = f"rm -rf {target}"
