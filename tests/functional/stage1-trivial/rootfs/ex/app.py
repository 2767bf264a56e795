"""Runs one app of the pod to its end, writes its status, and exits with it."""
import json
import os
import sys

app = next(a for a in json.load(open("pod"))["apps"] if a["name"] == sys.argv[1])
os.close(int(os.environ["RKT_LOCK_FD"]))
child = os.fork()
if child == 0:
    os.chroot("stage1/rootfs/opt/stage2/%s/rootfs" % app["name"])
    os.chdir(app["app"].get("workingDirectory") or "/")
    environment = {v["name"]: v["value"] for v in app["app"].get("environment") or []}
    environment.setdefault("PATH", "/bin")
    os.execve(app["app"]["exec"][0], app["app"]["exec"], environment)
with open("app.pid", "w") as file:  # for stop
    file.write("%d" % child)
if not os.path.exists("pid"):
    with open("pid", "w") as file:
        file.write("%d\n" % os.getppid())
_, status = os.waitpid(child, 0)
code = os.waitstatus_to_exitcode(status)
code = code if code >= 0 else 128 - code
with open("stage1/rootfs/rkt/status/" + app["name"], "w") as file:
    file.write("%d" % code)
sys.exit(code)
