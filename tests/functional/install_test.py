"""`cmake --install` gives a working tree: an image is fetched and run with nothing of the build."""

import subprocess

import harness
from harness import Gpg, TestCase, aci_tar, manifest, write_aci


class Install(TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = self.lab.work / "prefix"
        subprocess.run(["cmake", "--install", str(harness.BUILD), "--prefix", str(self.prefix)],
                       check=True, stdout=subprocess.DEVNULL)

    def run_installed(self, *words):
        return subprocess.run([str(self.prefix / "bin/actool"), *self.lab.globals(), *map(str, words)],
                              env=self.lab.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout

    def test_installed_tools_find_each_other(self):
        gpg = Gpg(self.lab)
        key = gpg.key("Publisher <pub@example.test>")
        public = self.lab.work / "key.pub"
        public.write_bytes(gpg.export(key))
        aci = write_aci(self.lab.work / "web.aci", aci_tar(manifest("example.test/web", exec=["/bin/echo", "installed"])))
        gpg.sign(key, aci)
        self.run_installed("trust", "add", "--prefix=example.test", "--skip-fingerprint-review", public)
        identity = self.run_installed("fetch", aci, "--format=id").decode().strip()
        self.assertEqual(self.run_installed("run", identity), b"installed\n")

    def test_every_tool_has_a_manual_page_that_names_its_options(self):
        tools = subprocess.run([str(self.prefix / "bin/actool"), "--list-tools"], env=self.lab.env,
                               stdout=subprocess.PIPE, check=True).stdout.decode().split()
        for tool in ("discover", "fetch", "image", "run", "trust", "verify", "build", "gc"):
            self.assertIn(tool, tools)
            page = self.prefix / f"share/man/man1/actool-{tool}.1"
            self.assertIn("insecure\\-options", page.read_text())
        self.assertIn("SYNOPSIS", (self.prefix / "share/man/man1/actool.1").read_text())

    def test_completion_units_and_examples_are_there(self):
        for path in ("share/bash-completion/completions/actool", "lib/systemd/system/actool-gc.service",
                     "lib/systemd/system/actool-gc.timer"):
            self.assertTrue((self.prefix / path).is_file(), path)
        self.assertTrue(list((self.prefix / "share/doc/actool").rglob("auth.d/*.json")))
        script = (f"PATH={self.prefix}/bin:$PATH; source /usr/share/bash-completion/bash_completion;"
                  f"source {self.prefix}/share/bash-completion/completions/actool;"
                  "COMP_WORDS=(actool fet); COMP_CWORD=1; COMP_LINE='actool fet'; COMP_POINT=10;"
                  "_actool; echo ${COMPREPLY[@]}")
        done = subprocess.run(["bash", "-c", script], env=self.lab.env, stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.decode().strip(), "fetch")


if __name__ == "__main__":
    harness.main()
