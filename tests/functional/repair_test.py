"""`actool image fsck --refetch`: what was damaged on disk comes again over the network, the very same
images, verified as ever, with the history they had."""

import json
import os
import shutil

import harness
from harness import Entry, Gpg, aci_tar, directory, image_id, manifest, write_aci

HOST = "example.test"


class Refetch(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = Gpg(cls.lab)
        cls.key = cls.gpg.key("Publisher <pub@example.test>")
        cls.nginx = cls.lab.nginx({HOST: {}})
        cls.nginx.page(HOST, HOST, [("ac-discovery", f"{HOST} https://{HOST}/aci/{{name}}-{{version}}.{{ext}}")])

    def publish(self, name, content, **members):
        """Replaces what is at the image's place."""
        tar = aci_tar(manifest(f"{HOST}/{name}", **members), [directory("rootfs"), Entry("rootfs/data", content)])
        path = write_aci(self.nginx.root(HOST) / f"aci/{HOST}/{name}-1.0.0.aci", tar)
        self.gpg.sign(self.key, path)
        return image_id(tar)

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, HOST)
        dependencies = [{"imageName": f"{HOST}/base", "labels": [{"name": "version", "value": "1.0.0"}]}]
        self.base = self.publish("base", b"b" * 100_000)
        self.web = self.publish("web", b"w" * 100_000, dependencies=dependencies)
        self.other = self.publish("other", b"o" * 100_000)
        self.ok(self.lab.actool("fetch", f"{HOST}/web:1.0.0", f"{HOST}/other:1.0.0"))

    def blob(self, identity):
        return self.lab.store / "blobs/sha512" / identity[7:9] / identity[7:]

    def flip(self, identity):
        with self.blob(identity).open("r+b") as file:
            file.seek(5000)
            byte = file.read(1)[0]
            file.seek(5000)
            file.write(bytes([byte ^ 4]))

    def records(self):
        return {record["id"]: record for record in self.ok(self.lab.actool("image", "list")).records()}

    def refetch(self, *options):
        return self.lab.actool("image", "fsck", "--refetch", *options)

    def test_flipped_bits(self):
        before = self.records()
        self.flip(self.web)
        self.flip(self.base)
        asked = len(self.nginx.requests())
        result = self.ok(self.refetch())
        self.assertEqual(result.out, "")
        self.assertIn("2 images were fetched again", result.err)
        self.assertEqual(self.records(), before)
        self.ok(self.lab.actool("image", "verify"))
        self.assertIn("0 of them broken", self.ok(self.lab.actool("image", "fsck")).err)
        # From where they came, with the signature that was there.
        paths = sorted(line.split()[2] for line in self.nginx.requests()[asked:])
        paths = [path for path in paths if not path.endswith(".torrent")]  # is there a swarm?
        self.assertEqual(paths, [f"/aci/{HOST}/base-1.0.0.aci", f"/aci/{HOST}/web-1.0.0.aci"])
        self.assertEqual(sorted(os.listdir(self.lab.store / "quarantine")), sorted([self.web, self.base]))
        self.ok(self.lab.actool("image", "render", self.web))

    def test_nothing_is_fetched_when_nothing_is_broken(self):
        asked = len(self.nginx.requests())
        self.ok(self.refetch())
        self.assertEqual(len(self.nginx.requests()), asked)

    def test_another_image_is_not_taken_in_its_place(self):
        self.flip(self.web)
        newer = self.publish("web", b"something else")
        result = self.refetch()
        self.assertEqual(result.code, 253, result)
        self.assertIn(f"but {self.web} was asked for", result.err)
        self.assertIn("1 images were broken and are in", result.err)
        self.assertEqual(json.loads(result.out)["requested"], f"{HOST}/web:1.0.0")
        self.assertEqual(sorted(self.image_ids()), sorted([self.base, self.other]))
        self.assertNotIn(newer, self.image_ids())

    def test_packed_and_signed_anew_it_is_the_same_image(self):
        self.flip(self.other)
        place = self.nginx.root(HOST) / f"aci/{HOST}/other-1.0.0.aci"
        tar = harness.gzip.decompress(place.read_bytes())
        write_aci(place, tar, "xz")
        self.gpg.sign(self.key, place)
        self.ok(self.refetch())
        self.assertIn(self.other, self.image_ids())
        self.ok(self.lab.actool("image", "verify", self.other))

    def test_from_the_name_where_the_url_is_gone(self):
        self.flip(self.other)
        old = self.nginx.root(HOST) / f"aci/{HOST}"
        moved = self.nginx.root(HOST) / f"moved/{HOST}"
        moved.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, moved)
        for end in ("aci", "aci.asc"):
            (old / f"other-1.0.0.{end}").rename(moved / f"other-1.0.0.{end}")
        self.nginx.page(HOST, f"{HOST}/other", [
            ("ac-discovery", f"{HOST}/other https://{HOST}/moved/{{name}}-{{version}}.{{ext}}")])
        self.addCleanup(shutil.rmtree, self.nginx.root(HOST) / "other")
        self.ok(self.refetch())
        self.assertIn(self.other, self.image_ids())

    def test_no_server_and_the_rest_is_repaired_all_the_same(self):
        self.flip(self.web)
        self.flip(self.other)
        (self.nginx.root(HOST) / f"aci/{HOST}/web-1.0.0.aci").unlink()
        result = self.refetch()
        self.assertEqual(result.code, 253, result)
        self.assertIn("1 images were fetched again", result.err)
        self.assertEqual(json.loads(result.out)["requested"], f"{HOST}/web:1.0.0")
        self.assertEqual(sorted(self.image_ids()), sorted([self.base, self.other]))
        self.ok(self.lab.actool("image", "verify"))

    def test_other_namespaces_get_theirs_by_their_own_keys(self):
        key = self.lab.work / "key.pub"
        key.write_bytes(self.gpg.export(self.key))
        for team in ("blue", "red"):
            words = (f"--namespace={team}", "trust", "add", f"--prefix={HOST}", "--skip-fingerprint-review", key)
            self.ok(self.lab.actool(*words))
            self.ok(self.lab.actool(f"--namespace={team}", "fetch", "--nodeps", f"{HOST}/web:1.0.0"))
        self.ok(self.lab.actool("--namespace=red", "trust", "rm", f"--prefix={HOST}", self.key))

        def has(namespace):
            return self.ok(self.lab.actool(f"--namespace={namespace}", "image", "list", "--format=id")).out.split()
        self.flip(self.web)  # one file for all three
        # Told in another namespace than the default one, which gets its image too.
        result = self.lab.actool("--namespace=blue", "image", "fsck", "--refetch")
        self.assertEqual(result.code, 253, result)
        self.assertEqual(result.out, "")  # red's is none of blue's business
        self.assertIn("2 images were fetched again", result.err)
        self.assertRegex(result.err, "lost in namespace red of .* 'actool --namespace=red fetch " + f"{HOST}/web:1.0.0")
        self.assertEqual(has("blue"), [self.web])
        self.assertIn(self.web, has("default"))
        self.assertEqual(has("red"), [])
        self.ok(self.lab.actool("--namespace=blue", "image", "verify"))
        self.ok(self.lab.actool("image", "verify"))

    def test_a_key_that_is_trusted_no_more(self):
        self.flip(self.other)
        self.ok(self.lab.actool("trust", "rm", f"--prefix={HOST}", self.key))
        result = self.refetch()
        self.assertEqual(result.code, 253, result)
        self.assertNotIn(self.other, self.image_ids())


if __name__ == "__main__":
    harness.main()
