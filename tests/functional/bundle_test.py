"""Bundles: images for machines that no network reaches. Two stores, real signatures."""

import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

import harness

KILLS = harness.kills(50)
PIECE = 4 << 20


class BundleCase(harness.TestCase):
    """`here` has network and images, `island` has neither."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg = harness.Gpg(cls.lab)
        cls.key = cls.gpg.key("Web <web@example.com>")
        chance = random.Random(7)
        cls.acis = {}

        def image(name, version, megabytes, compression, **members):
            tar = harness.aci_tar(
                harness.manifest(name, version, exec=["/bin/true"], **members),
                [harness.directory("rootfs"), harness.Entry("rootfs/noise", chance.randbytes(int(megabytes * 1e6)))])
            path = harness.write_aci(cls.lab.work / f"{name.rsplit('/', 1)[1]}-{version}.aci", tar, compression)
            cls.acis[f"{name}:{version}"] = (path, cls.gpg.sign(cls.key, path), harness.image_id(tar))
            return harness.image_id(tar)

        cls.base = image("example.com/base", "1.0.0", 9, "none")
        cls.lib = image("example.com/lib", "1.0.0", 0.1, "gzip",
                        dependencies=[{"imageName": "example.com/base", "imageID": cls.base}])
        cls.web = image("example.com/web", "1.0.0", 5, "gzip",
                        dependencies=[{"imageName": "example.com/lib"},
                                      {"imageName": "example.com/base", "labels": [{"name": "version", "value": "1.0.0"}]}])
        cls.web2 = image("example.com/web", "2.0.0", 1, "xz",
                         dependencies=[{"imageName": "example.com/lib"}])
        cls.prepared = cls.lab.work / "prepared"
        cls.all = sorted([cls.base, cls.lib, cls.web])

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, "example.com")
        self.island_config = self.lab.local_config
        self.here = self.lab.store
        if not self.prepared.exists():
            for aci, asc, _ in self.acis.values():
                self.ok(self.lab.actool("image", "ingest", f"--signature={asc}", aci))
            shutil.copytree(self.here, self.prepared, symlinks=True)
        else:
            shutil.copytree(self.prepared, self.here, symlinks=True)
        self.island = self.lab.work / f"island{self.lab._serial}"
        self.media = self.lab.work / f"media{self.lab._serial}"
        self.media.mkdir()

    def export(self, *args, **kwargs):
        return self.lab.actool("bundle", "export", *args, **kwargs)

    def on_island(self, *args, **kwargs):
        """actool with the island's store and configuration."""
        return self.lab.actool(*args[:1], f"--dir={self.island}", f"--local-config={self.island_config}", *args[1:], **kwargs)

    def import_(self, *args, **kwargs):
        return self.on_island("bundle", "import", *args, **kwargs)

    def island_ids(self):
        if not self.island.exists():
            return []
        return sorted(record["id"] for record in self.ok(self.on_island("image", "list")).records())

    def volumes(self):
        return sorted(self.media.glob("*.tar"))

    def assert_nothing_left(self, left=("bundles", "ingest", "tmp")):
        """No scratch, in particular none that an import has left."""
        found = [path for name in left for path in (self.island / name).rglob("*") if path.is_file()]
        self.assertEqual(found, [])

    def assert_complete(self, ids=None):
        self.assertEqual(self.island_ids(), ids or self.all)
        self.assert_nothing_left()

    def one_bundle(self, *args):
        out = pathlib.Path(tempfile.mkdtemp(dir=self.lab.work))
        file = out / "one.tar"
        self.ok(self.export(f"--output={file}", *(args or ["example.com/web:1.0.0"])))
        return file

    def split_bundle(self, split="8MiB", *args):
        self.ok(self.export(f"--output={self.media}", f"--split={split}", *(args or ["example.com/web:1.0.0"])))
        return self.volumes()


def members(path):
    with tarfile.open(path) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]


def rewrite(path, files):
    """A tar of these (name, bytes), with headers as plain as can be."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


class RoundTrip(BundleCase):
    def test_with_dependencies(self):
        file = self.one_bundle()
        result = self.ok(self.import_(file))
        self.assertEqual([record["id"] for record in result.records()], [self.web])
        record = result.records()[0]
        self.assertEqual(record["signedBy"], self.key)
        self.assertRegex(record["sources"][0], r"\Abundle:[0-9a-f]{128}\Z")
        self.assert_complete()
        self.ok(self.on_island("image", "verify"))
        root = pathlib.Path(self.ok(self.on_island("image", "render", "example.com/web")).out.strip())
        self.assertTrue((root / "noise").is_file())
        # Once more is no error, and needs nothing.
        again = self.ok(self.import_(file))
        self.assertEqual([record["id"] for record in again.records()], [self.web])
        self.assertEqual(self.ok(self.import_("--format=id", file)).out, self.web + "\n")
        self.assert_complete()

    def test_every_encoding_and_several_images(self):
        self.ok(self.import_(self.one_bundle("example.com/web:2.0.0", self.web, self.base[:30])))
        self.assert_complete(sorted(self.all + [self.web2]))
        for name, (aci, asc, image_id) in self.acis.items():
            exported = self.ok(self.on_island("image", "export", "--distributed", image_id, "-"))
            self.assertEqual(exported.out_bytes, aci.read_bytes(), name)
            exported = self.ok(self.on_island("image", "export", "--signature", image_id, "-"))
            self.assertEqual(exported.out_bytes, asc.read_bytes(), name)

    def test_tar_lists_and_sha512sum_checks(self):
        for volume in self.split_bundle():
            names = subprocess.run(["tar", "-tf", volume], check=True, stdout=subprocess.PIPE).stdout.decode().split()
            self.assertEqual(names[:3], ["actool-bundle/volume.json", "actool-bundle/images.json", "actool-bundle/SHA512SUMS"])
            out = self.media / volume.stem
            out.mkdir()
            done = subprocess.run(["tar", "-xf", volume, "-C", out], stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            checked = subprocess.run(["sha512sum", "--strict", "-c", "actool-bundle/SHA512SUMS"], cwd=out, check=True,
                                     stdout=subprocess.PIPE)
            self.assertEqual(len(checked.stdout.splitlines()), len(names) - 1)

    def test_pieces_put_together_by_hand_are_the_file(self):
        files = dict((member.name, data) for member, data in members(self.one_bundle()))
        images = json.loads(files["actool-bundle/images.json"])
        self.assertEqual(hashlib.sha512(files["actool-bundle/images.json"]).hexdigest(),
                         json.loads(files["actool-bundle/volume.json"])["set"].removeprefix("sha512:"))
        self.assertEqual([image["id"] for image in images["images"]], [self.base, self.lib, self.web])
        piece = lambda digest: files[f"pieces/{digest[:2]}/{digest}"]
        for image in images["images"]:
            aci, asc, _ = next(known for known in self.acis.values() if known[2] == image["id"])
            self.assertEqual(b"".join(map(piece, image["distributed"]["pieces"])), aci.read_bytes())
            self.assertEqual(piece(image["signature"]["digest"].removeprefix("sha512:")), asc.read_bytes())

    def test_the_same_bytes_every_time(self):
        one = self.one_bundle("example.com/web:1.0.0", "example.com/web:2.0.0").read_bytes()
        two = self.ok(self.export("--output=-", "example.com/web:2.0.0", self.web)).out_bytes
        self.assertEqual(one, two)
        self.assertEqual(hashlib.sha512(one).digest(), hashlib.sha512(two).digest())

    def test_a_stream(self):
        """As over ssh: neither side keeps a file."""
        island = f"--dir='{self.island}' --local-config='{self.island_config}'"
        result = self.lab.shell(f"actool bundle export --output=- example.com/web:1.0.0 | actool bundle {island} import -")
        self.ok(result)
        self.assertEqual([record["id"] for record in result.records()], [self.web])
        self.assert_complete()

    def test_a_named_pipe(self):
        fifo = self.media / "fifo"
        os.mkfifo(fifo)
        writer = self.lab.popen("bundle", "export", f"--output={fifo}", "example.com/web:1.0.0")
        self.ok(self.import_(fifo))
        self.assertEqual(writer.wait(60), 0)
        writer.communicate()
        self.assertTrue(fifo.is_fifo())
        self.assert_complete()

    def test_common_pieces_are_written_once(self):
        """Two releases whose files as distributed begin alike: uncompressed, and larger than a piece."""
        ids = []
        head = [harness.directory("rootfs"), harness.Entry("rootfs/noise", random.Random(8).randbytes(PIECE + 5))]
        for content in (b"one", b"two"):
            tar = harness.aci_tar(harness.manifest("example.com/alike"), [*head, harness.Entry("rootfs/more", content)])
            aci = harness.write_aci(self.lab.work / "alike.aci", tar, "none")
            self.ok(self.lab.actool("image", "ingest", f"--signature={self.gpg.sign(self.key, aci)}", aci))
            ids.append(harness.image_id(tar))
        file = self.one_bundle(*ids)
        self.assertLess(file.stat().st_size, 2 * PIECE)
        self.ok(self.import_(file))
        self.assert_complete(sorted(ids))
        self.ok(self.on_island("image", "verify"))

    def test_unsigned(self):
        tar = harness.aci_tar(harness.manifest("example.com/unsigned"), [harness.directory("rootfs")])
        aci = harness.write_aci(self.lab.work / "unsigned.aci", tar)
        self.ok(self.lab.actool("image", "ingest", "--insecure-options=image", aci))
        result = self.export(f"--output={self.media}/u.tar", "example.com/unsigned")
        self.assertIn("was never signed", self.ok(result).err)
        self.refused(self.import_(self.media / "u.tar"), 253, r"example\.com/unsigned.*: there is no signature")
        self.assertEqual(self.island_ids(), [])
        self.assert_nothing_left()
        self.ok(self.import_("--insecure-options=image", self.media / "u.tar"))
        self.assertEqual(self.island_ids(), [harness.image_id(tar)])
        self.assert_nothing_left()

    def test_a_signature_comes_after_the_image(self):
        aci, asc, image_id = self.acis["example.com/base:1.0.0"]
        self.ok(self.on_island("image", "ingest", "--insecure-options=image", aci))
        self.ok(self.import_(self.one_bundle("example.com/base")))
        self.assertEqual(self.ok(self.on_island("image", "list")).records()[0]["signedBy"], self.key)
        self.assert_nothing_left()

    def test_images_that_cannot_be_exported(self):
        self.refused(self.export(f"--output={self.media}/x.tar", "example.com/none"), 252, "no image example.com/none")
        self.refused(self.export(f"--output={self.media}/x.tar"), 254, "which images")
        self.ok(self.lab.actool("image", "gc", "--drop-distributed"))
        self.refused(self.export(f"--output={self.media}/x.tar", "example.com/web:1.0.0"), 252,
                     r"the file as distributed of example\.com/lib .* was dropped; fetch the image again")
        self.ok(self.export(f"--output={self.media}/base.tar", "example.com/base"))  # was never compressed
        self.ok(self.lab.actool("image", "rm", "--force", self.lib))
        self.refused(self.export(f"--output={self.media}/x.tar", "example.com/web:1.0.0"), 252, "example.com/lib")
        self.assertEqual([path.name for path in self.media.iterdir()], ["base.tar"])

    def test_a_damaged_image_is_not_exported(self):
        blob = self.here / "blobs/sha512" / self.base[7:9] / self.base[7:]
        os.chmod(blob, 0o644)
        with blob.open("r+b") as file:
            file.seek(5_000_000)
            file.write(b"damage")
        self.refused(self.export(f"--output={self.media}/x.tar", self.web), 254, r"example\.com/base:1\.0\.0 .* is damaged")
        self.assertEqual(list(self.media.iterdir()), [])


class Volumes(BundleCase):
    def test_any_order_any_number_of_times(self):
        volumes = self.split_bundle()
        self.assertGreater(len(volumes), 2)
        for volume in volumes:
            self.assertLessEqual(volume.stat().st_size, 8 << 20)
        self.ok(self.import_(self.media))
        self.assert_complete()
        chance = random.Random(3)
        for _ in range(4):
            shutil.rmtree(self.island)
            order = [*volumes, chance.choice(volumes), chance.choice(volumes)]
            chance.shuffle(order)
            came = set()
            for volume in order:
                result = self.import_(volume)
                came.add(volume)
                if len(came) < len(volumes):
                    self.assertEqual(result.code, 252, result)
                    self.check_missing(result, volumes, came)
                else:
                    self.ok(result)
            self.assert_complete()
        shutil.rmtree(self.island)
        chance.shuffle(order)
        self.ok(self.import_(*order))
        self.assert_complete()

    def check_missing(self, result, volumes, came):
        """What is said to be missing is what the volumes that did not come have, exactly."""
        missing = [record for record in result.records() if record["kind"] == "missing"]
        stored = self.island_ids()
        self.assertEqual(sorted([record["id"] for record in missing] + stored), self.all)
        images = json.loads(members(volumes[0])[1][1])["images"]
        there = {member.name.split("/")[-1] for volume in came for member, _ in members(volume)}
        for record in missing:
            image = next(image for image in images if image["id"] == record["id"])
            expected = [piece for piece in image["distributed"]["pieces"] if piece not in there]
            self.assertEqual(record["pieces"], expected)
            owners = {int(index) + 1 for index, volume in enumerate(volumes)
                      if set(expected) & {member.name.split("/")[-1] for member, _ in members(volume)}}
            self.assertEqual(set(record["volumes"]), owners)
            self.assertEqual(record["allVolumes"], len(volumes))
            self.assertEqual("waitsFor" in record, not expected)
        self.assertTrue(missing)
        for record in missing:
            self.assertIn(record["id"][:19], result.err)

    def test_state_of_what_is_pending(self):
        volumes = self.split_bundle()
        self.ok(self.import_())
        first = self.import_(volumes[-1])
        self.assertEqual(first.code, 252, first)
        again = self.import_()
        self.assertEqual((again.code, again.out), (252, first.out), again)
        self.ok(self.import_(*volumes[:-1]))
        self.ok(self.import_())
        self.assert_complete()

    def test_different_cuts_of_one_set(self):
        small = self.split_bundle()
        large = pathlib.Path(str(self.media) + "-large")
        self.ok(self.export(f"--output={large}/", "--split=12MiB", "example.com/web:1.0.0"))
        volumes = sorted(large.glob("*.tar"))
        self.assertNotEqual(len(small), len(volumes))
        self.assertEqual(self.import_(small[0]).code, 252)
        self.ok(self.import_(*volumes[1:], small[1]))
        self.assert_complete()

    def test_two_sets_at_once(self):
        volumes = self.split_bundle()
        other = self.one_bundle("example.com/web:2.0.0")
        first = self.import_(volumes[-1], volumes[0])
        self.assertEqual(first.code, 252)
        self.assertEqual([record["id"] for record in first.records() if "waitsFor" in record], [self.web])
        # It brings all that the first one still needs.
        self.assertEqual([record["id"] for record in self.ok(self.import_(other)).records()], [self.web2])
        self.assert_complete(sorted(self.all + [self.web2]))
        # Its pieces serve the first one before it is complete itself.
        shutil.rmtree(self.island)
        cut = self.media / "cut"
        cut.write_bytes(other.read_bytes()[:-600_000])
        self.assertEqual(self.import_(volumes[-1], cut).code, 253)
        self.assertIn(self.web, self.island_ids())
        self.ok(self.import_(other))
        self.ok(self.import_())
        self.assert_complete(sorted(self.all + [self.web2]))

    def test_exports_go_on_where_they_were(self):
        volumes = self.split_bundle()
        before = {volume: (volume.read_bytes(), (volume.stat().st_ino, volume.stat().st_mtime_ns)) for volume in volumes}
        volumes[1].unlink()
        result = self.ok(self.export(f"--output={self.media}", "--split=8MiB", "example.com/web:1.0.0"))
        self.assertEqual(result.out.split(), [str(volume) for volume in volumes])
        self.assertEqual(result.err.count("is there already"), len(volumes) - 1)
        for volume, (data, old) in before.items():
            self.assertEqual(volume.read_bytes(), data)
            self.assertEqual((volume.stat().st_ino, volume.stat().st_mtime_ns) == old, volume != volumes[1])
        volumes[0].write_bytes(b"else")
        self.refused(self.export(f"--output={self.media}", "--split=8MiB", "example.com/web:1.0.0"), 254,
                     "exists; use --overwrite to replace it")
        self.ok(self.export(f"--output={self.media}", "--split=8MiB", "--overwrite", "example.com/web:1.0.0"))
        self.assertEqual(volumes[0].read_bytes(), before[volumes[0]][0])

    def test_options_that_do_not_fit(self):
        export = lambda *options: self.export(*options, "example.com/web:1.0.0")
        self.refused(export(f"--output={self.media}", "--split=1MiB"), 254, "no size of at least 8.0 MiB")
        self.refused(export(f"--output={self.media}", "--split=much"), 254, "'much' is no size")
        self.refused(export("--output=-", "--split=8MiB"), 254, "--split makes several files")
        self.refused(export(f"--output={self.media}/a.tar", "--split=8MiB"), 254, "--split makes several files")
        self.refused(self.import_(self.media / "none.tar"), 252, "no file ")
        self.refused(self.import_(self.media), 252, r"no volume \(\*\.tar\) in")
        self.assertEqual(list(self.media.iterdir()), [])


class Requests(BundleCase):
    def request(self, *names):
        file = self.media / "request.json"
        self.ok(self.on_island("bundle", "want", f"--output={file}", *names))
        return file

    def test_the_loop(self):
        """want -> export --for -> import, and nothing else passes between the sides."""
        request = self.request("example.com/web:1.0.0")
        first = self.media / "first.tar"
        self.ok(self.export(f"--output={first}", f"--for={request}"))
        self.assertEqual([record["id"] for record in self.ok(self.import_(first)).records()], [self.web])
        self.assert_complete()

        second = self.media / "second.tar"
        self.ok(self.export(f"--output={second}", f"--for={self.request('example.com/web:2.0.0')}"))
        # lib and base are there.
        self.assertLess(second.stat().st_size, self.acis["example.com/web:2.0.0"][0].stat().st_size + 20_000)
        self.ok(self.import_(second))
        self.assert_complete(sorted(self.all + [self.web2]))

        third = self.media / "third.tar"
        self.ok(self.export(f"--output={third}", f"--for={self.request('example.com/web:2.0.0')}"))
        self.assertLess(third.stat().st_size, 20_000)
        self.assertEqual([record["id"] for record in self.ok(self.import_(third)).records()], [self.web2])
        self.assert_complete(sorted(self.all + [self.web2]))

    def test_pieces_that_came_are_not_sent_again(self):
        volumes = self.split_bundle()
        self.assertEqual(self.import_(*volumes[:-1]).code, 252)
        rest = self.media / "rest"
        request = self.request("example.com/web:1.0.0")
        self.ok(self.export(f"--output={rest}", f"--for={request}"))
        self.assertLess(rest.stat().st_size, volumes[-1].stat().st_size + 20_000)
        self.ok(self.import_(rest))
        self.assert_complete()

    def test_images_named_here_come_before_those_of_the_request(self):
        out = self.media / "out.tar"
        self.ok(self.export(f"--output={out}", f"--for={self.request('example.com/none')}", "example.com/base"))
        self.ok(self.import_(out))
        self.assert_complete([self.base])
        self.refused(self.export(f"--output={out}", f"--for={self.request('example.com/none')}"), 252,
                     "no image example.com/none")
        self.refused(self.export(f"--output={out}", f"--for={self.request()}"), 254, "which images")

    def test_an_image_that_went_meanwhile(self):
        self.ok(self.import_(self.one_bundle("example.com/base", "example.com/lib")))
        request = self.request("example.com/web:1.0.0")
        self.ok(self.on_island("image", "rm", self.lib, self.base))
        out = self.media / "out.tar"
        self.ok(self.export(f"--output={out}", f"--for={request}"))
        result = self.import_(out)
        self.assertEqual(result.code, 252, result)
        missing = {record["id"]: record for record in result.records()}
        self.assertEqual(sorted(missing), self.all)
        self.assertTrue(missing[self.lib]["assumed"] and missing[self.base]["assumed"])
        self.assertIn("make a new request", result.err)
        self.ok(self.import_(self.one_bundle("example.com/base"), self.one_bundle("example.com/lib")))
        self.ok(self.import_())
        self.assert_complete()

    def test_what_is_no_request(self):
        file = self.media / "request.json"
        good = json.loads(self.request("example.com/web").read_text())
        for change, pattern in [
                ({"kind": "x"}, "this is no request"), ({"version": 2}, "version is not one"),
                ({"want": ["/etc/passwd"]}, "is no name of an image"), ({"want": ["https://x/y"]}, "is no name of an image"),
                ({"have": ["sha512-12"]}, "sha512-12"), ({"pieces": ["zz"]}, "sha512"), ({"have": 1}, "\"have\" is not a list")]:
            file.write_text(json.dumps({**good, **change}))
            self.refused(self.export(f"--output={self.media}/x.tar", f"--for={file}"), 254, "request.json: .*" + pattern)
        file.write_text("[" * 100_000)
        self.refused(self.export(f"--output={self.media}/x.tar", f"--for={file}"), 254, "nested deeper")
        self.refused(self.on_island("bundle", "want", "./x.aci"), 254, "is no name of an image")


class Refusals(BundleCase):
    def refused_wholly(self, result, code, pattern):
        self.refused(result, code, pattern)
        self.assertEqual(self.island_ids(), [])
        self.assert_nothing_left()

    def test_keys_of_this_side_count(self):
        file = self.one_bundle()
        stranger = self.lab.work / "no-keys"
        result = self.lab.actool("bundle", f"--dir={self.island}", f"--local-config={stranger}", "import", file)
        self.assertEqual(result.code, 253, result)
        self.assertRegex(result.err, r"example\.com/base:1\.0\.0 .*: .*unknown key")
        self.assertRegex(result.err, r"it depends on sha512-[0-9a-f]{12}, which was refused")
        self.assertEqual(self.island_ids(), [])
        self.assert_nothing_left()

    def test_a_key_for_another_name(self):
        config = self.lab.work / f"other{self.lab._serial}"
        pub = self.lab.work / f"{self.key}.pub"
        self.ok(self.lab.actool("trust", f"--local-config={config}", "add", "--prefix=example.com/other",
                                "--skip-fingerprint-review", pub))
        self.island_config = config
        self.refused_wholly(self.import_(self.one_bundle("example.com/base")), 253,
                            r"example\.com/base:1\.0\.0 .*: no key trusted for example\.com/base signed it")

    def test_a_flipped_byte(self):
        data = bytearray(self.one_bundle("example.com/base").read_bytes())
        bad = self.media / "bad.tar"
        data[-3_000_000] ^= 1
        bad.write_bytes(data)
        result = self.import_(bad)
        self.assertEqual(result.code, 253, result)
        self.assertRegex(result.err, r"bad\.tar: 1 of its pieces is damaged, pieces/[0-9a-f]{2}/[0-9a-f]{128} first; import a good copy")
        self.assertRegex(result.err, r"1 of \d pieces are missing")
        self.assertEqual(self.island_ids(), [])
        # What was good is kept.
        self.ok(self.import_(self.one_bundle("example.com/base")))
        self.assert_complete([self.base])

    def test_flipped_bytes_anywhere(self):
        data = self.one_bundle("example.com/lib").read_bytes()
        bad = self.media / "bad.tar"
        chance = random.Random(11)
        head = data.index(b"\0" * 1024)
        for attempt in range(60):
            at = chance.randrange(20_000) if attempt % 2 else chance.randrange(len(data))
            changed = bytearray(data)
            changed[at] ^= 1 << chance.randrange(8)
            bad.write_bytes(changed)
            result = self.import_(bad)
            self.assertIn(result.code, (0, 252, 253), (at, result))
            self.assertNotIn("internal error", result.err)
            if result.code == 0:
                self.assertEqual(self.island_ids(), sorted([self.base, self.lib]))
                shutil.rmtree(self.island)
        self.ok(self.import_(self.one_bundle("example.com/lib")))
        self.assert_complete(sorted([self.base, self.lib]))

    def test_truncated_anywhere(self):
        file = self.one_bundle()
        data = file.read_bytes()
        cut = self.media / "cut.tar"
        chance = random.Random(12)
        for size in [0, 1, 511, 512, 1024, *(chance.randrange(len(data) // 512) * 512 for _ in range(5)),
                     *(chance.randrange(len(data)) for _ in range(5))]:
            cut.write_bytes(data[:size])
            result = self.import_(cut)
            self.assertEqual(result.code, 253, (size, result))
            self.assertEqual(len([line for line in result.err.splitlines() if ": error: " in line]), 1, result)
        # All that came is used: the rest of the set is all that is needed.
        self.ok(self.import_(file))
        self.assert_complete()

    def test_volumes_of_strangers(self):
        files = dict((member.name, data) for member, data in members(self.one_bundle("example.com/lib")))
        other = dict((member.name, data) for member, data in members(self.one_bundle("example.com/web:2.0.0")))
        head = ["actool-bundle/volume.json", "actool-bundle/images.json", "actool-bundle/SHA512SUMS"]
        pieces = [name for name in files if name not in head]
        bad = self.media / "bad.tar"

        def attempt(pattern, contents, code=253):
            rewrite(bad, contents)
            self.refused(self.import_(bad), code, r"bad\.tar: " + pattern)

        base = [(name, files[name]) for name in head]
        attempt("this is no volume of a bundle: there is nothing", [])
        attempt("this is no volume of a bundle: there is 'etc/passwd'", [("etc/passwd", b"x")])
        attempt(".*there is 'actool-bundle/images.json' instead", base[1:])
        attempt("its actool-bundle/images.json is not the one of set", [base[0], (head[1], other[head[1]])])
        attempt(".*there is 'actool-bundle/volume.json' instead", [base[0], *base])
        for name in ("../../etc/cron.d/x", "/etc/cron.d/x", "pieces/00/../../x", "actool-bundle/more"):
            attempt("'.*' does not belong into it", [*base, (name, b"x")])
        strange = [name for name in other if name not in head and name not in files][0]
        attempt("'pieces/.*' does not belong into it", [*base, (strange, other[strange])])
        attempt(r"pieces/.* has 1 bytes instead of", [*base, (pieces[0], b"x")])
        attempt("there is no good copy of the signature of", [*base, (pieces[-1], files[pieces[-1]])])
        link = tarfile.TarInfo(pieces[-1])
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        attempt("'pieces/.*' is no plain file", [*base, (link, b"")])
        link = tarfile.TarInfo(head[0])
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        attempt("'actool-bundle/volume.json' is no plain file", [(link, b""), *base[1:]])
        self.assertEqual(self.island_ids(), [])
        # Swapped under each other's names: none of them is kept.
        signatures = [name for name in pieces if len(files[name]) < 1000]
        rest = [name for name in pieces if name not in signatures]
        rewrite(bad, [*base, *((name, files[name]) for name in signatures), *((name, files[rest[0]][:len(files[name])].ljust(len(files[name]), b"x")) for name in rest[1:])])
        result = self.import_(bad)
        self.assertEqual(result.code, 253, result)
        self.assertIn(f"{len(rest) - 1} of its pieces are damaged", result.err)
        self.assertEqual(self.island_ids(), [])
        self.ok(self.import_(self.one_bundle("example.com/lib")))
        self.assert_complete(sorted([self.base, self.lib]))

    def test_lists_that_lie(self):
        """A list is not signed: whatever it says, an image comes in whole and verified or not at all."""
        entries = members(self.one_bundle("example.com/lib"))
        files = [(member.name, data) for member, data in entries]
        good = json.loads(files[1][1])
        bad = self.media / "bad.tar"

        def lie(change, list_text=None, volume=None):
            images = json.loads(json.dumps(good))
            change(images)
            text = list_text or json.dumps(images).encode()
            header = {**json.loads(files[0][1]), "set": "sha512:" + hashlib.sha512(text).hexdigest(), **(volume or {})}
            rewrite(bad, [(files[0][0], json.dumps(header).encode()), (files[1][0], text), files[2],
                          *((name, data) for name, data in files[3:] if name.split("/")[-1] in text.decode())])
            return self.import_(bad)

        same = lambda images: None
        self.refused(lie(lambda images: images["images"][0].update(id=self.web)), 253,
                     "names sha512-.*, which is not before it")
        self.refused(lie(lambda images: images["images"].reverse()), 253, "which is not before it")
        self.refused(lie(lambda images: images["images"].append(images["images"][0])), 253, "stands in it twice")
        self.refused(lie(lambda images: images["images"][0]["distributed"].update(size=1 << 60)), 253, "are not cut into")
        self.refused(lie(lambda images: images["images"][0]["distributed"].update(size=-1)), 253, "is no count")
        self.refused(lie(lambda images: images.update(pieceSize=1)), 253, "version is not one")
        self.refused(lie(lambda images: images.update(version=2)), 253, "version is not one")
        self.refused(lie(lambda images: images["images"][0]["signature"].update(size=1 << 30)), 253, "a signature of")
        self.refused(lie(same, b"[" * 1000), 253, "nested deeper")
        self.refused(lie(same, b" " * (17 << 20)), 253, "images.json has 17.0 MiB; 16.0 MiB is the limit")
        self.refused(lie(same, volume={"starts": []}), 253, "volumes that do not follow")
        self.refused(lie(same, volume={"volume": 7}), 253, "volumes that do not follow")
        self.refused(lie(same, volume={"starts": ["x"]}), 253, "is no count")
        self.assertEqual(self.island_ids(), [])
        self.assert_nothing_left()

        def swap(images):
            base, lib = images["images"]
            lib["signature"] = base["signature"]
        result = lie(swap)
        self.assertEqual(result.code, 253, result)
        self.assertRegex(result.err, r"example\.com/lib:1\.0\.0 .*: the image is sha512-.*, but sha512-.* was asked for")
        self.assertEqual(self.island_ids(), [self.base])
        self.assert_nothing_left()
        result = lie(lambda images: images["images"][1]["distributed"].update(digest="sha256:" + "0" * 64))
        self.refused(result, 253, "its pieces don't make the file")
        self.assertEqual(self.island_ids(), [self.base])
        # Under the ID of another image it is not taken either.
        result = lie(lambda images: (images["images"][1].update(id=self.web), images.update(asked=[self.web])))
        self.refused(result, 253, r"but sha512-.* was asked for")
        self.assertEqual(self.island_ids(), [self.base])
        self.assert_nothing_left()
        # Labels and names of a list only serve messages.
        self.ok(lie(lambda images: images["images"][1].update(name="evil.test/lib", labels=[])))
        self.assertEqual(self.ok(self.on_island("image", "resolve", "example.com/lib")).records()[0]["id"], self.lib)
        self.assert_complete(sorted([self.base, self.lib]))

    def test_a_lie_about_an_image_that_is_pending(self):
        """Somebody else's set with the same image does not cost what came of ours."""
        volumes = self.split_bundle("8MiB", "example.com/base")
        self.assertEqual(self.import_(volumes[0]).code, 252)
        files = [(member.name, data) for member, data in members(self.one_bundle("example.com/base"))]
        images = json.loads(files[1][1])
        del images["images"][0]["signature"]
        text = json.dumps(images).encode()
        header = {**json.loads(files[0][1]), "set": "sha512:" + hashlib.sha512(text).hexdigest()}
        bad = rewrite(self.media / "bad", [(files[0][0], json.dumps(header).encode()), (files[1][0], text), *files[2:3]])
        self.refused(self.import_(bad), 253, "there is no signature")
        self.ok(self.import_(*volumes[1:]))
        self.assert_complete([self.base])

    def test_limits_of_the_store_hold(self):
        self.refused_wholly(self.import_("--max-tar-size=1MiB", self.one_bundle("example.com/base")), 253, "limit")

    def test_a_good_volume_beside_bad_ones(self):
        good = self.one_bundle()
        shutil.copy(good, self.media / "c-good.tar")
        (self.media / "a-bad.tar").write_bytes(b"x" * 5000)
        (self.media / "b-bad.tar").write_bytes(good.read_bytes()[:1_000_000])
        result = self.import_(self.media)
        self.assertEqual(result.code, 253, result)
        for name in ("a-bad", "b-bad"):
            self.assertRegex(result.err, rf"error: .*{name}\.tar: ")
        self.assertIn("2 volumes or images were refused", result.err)
        self.assert_complete()


class Accidents(BundleCase):
    def test_sigkill_of_import_at_random_instants(self):
        volumes = self.split_bundle()
        command = ["bundle", f"--dir={self.island}", f"--local-config={self.island_config}", "import", self.media]
        begin = time.monotonic()
        self.ok(self.lab.actool(*command))
        duration = time.monotonic() - begin
        chance = random.Random(21)
        killed = 0
        shutil.rmtree(self.island)
        for attempt in range(KILLS):
            killed += harness.kill_at_random(self.lab.popen(*command), chance, "bundle import", duration)
            if attempt % 3 == 0 and self.island.exists():
                # In the middle of it all: a reader, and gc that must not take what is young.
                self.assertLessEqual(set(self.island_ids()), set(self.all))
                self.ok(self.on_island("image", "gc"))
            if attempt % 3 == 2:
                self.ok(self.import_(self.media))
                self.assertEqual(self.island_ids(), self.all)
                self.assert_nothing_left(("bundles",))
                # Of ingests that were killed, gc takes the rest.
                self.ok(self.on_island("image", "gc", "--grace-period=0s"))
                self.assert_nothing_left()
                shutil.rmtree(self.island)
        self.assertGreater(killed, KILLS // 3)
        self.ok(self.import_(*volumes))
        self.assertEqual(self.island_ids(), self.all)
        self.ok(self.on_island("image", "verify"))
        self.ok(self.on_island("image", "fsck"))

    def test_sigkill_of_export_at_random_instants(self):
        command = ["bundle", "export", f"--output={self.media}", "--split=8MiB", "example.com/web:1.0.0"]
        begin = time.monotonic()
        self.ok(self.lab.actool(*command))
        duration = time.monotonic() - begin
        expected = {volume.name: hashlib.sha512(volume.read_bytes()).digest() for volume in self.volumes()}
        chance = random.Random(22)
        killed = 0
        for attempt in range(KILLS):
            for path in self.media.glob("*.tar"):
                if chance.random() < 0.5:
                    path.unlink()
            killed += harness.kill_at_random(self.lab.popen(*command), chance, "bundle export", duration)
            # What has a name is whole.
            for path in self.volumes():
                self.assertEqual(hashlib.sha512(path.read_bytes()).digest(), expected[path.name])
        self.assertGreater(killed, KILLS // 3)
        self.ok(self.lab.actool(*command))
        self.assertEqual({path.name: hashlib.sha512(path.read_bytes()).digest() for path in self.media.iterdir()
                          if not path.name.startswith(".")}, expected)
        # A killed export's file has the name of the next one's: none is left when all were made.
        for path in self.media.iterdir():
            path.unlink() if not path.name.startswith(".") else None
        self.ok(self.lab.actool(*command))
        self.assertEqual(sorted(os.listdir(self.media)), sorted(expected))

    def test_a_full_disk(self):
        file = self.one_bundle()
        mount = lambda *args: subprocess.run(["mount", *map(str, args)], check=True)
        self.island.mkdir()
        mount("-t", "tmpfs", "-o", "size=6m", "none", self.island)
        try:
            for size in ("6m", "20m"):
                mount("-o", f"remount,size={size}", self.island)
                self.refused(self.import_(file), 254, "No space left on device")
            mount("-o", "remount,size=200m", self.island)
            self.ok(self.import_(file))
            self.assert_complete()
        finally:
            subprocess.run(["umount", self.island], check=True)
        mount("-t", "tmpfs", "-o", "size=6m", "none", self.media)
        try:
            self.refused(self.export(f"--output={self.media}/x.tar", "example.com/base"), 254, "No space left on device")
            self.assertEqual(os.listdir(self.media), [])
        finally:
            subprocess.run(["umount", self.media], check=True)

    def test_the_reader_of_a_stream_goes_away(self):
        done = subprocess.run(["bash", "-c", "set -o pipefail; \"$@\" | head -c 100000 >/dev/null", "bash",
                               *self.lab.argv("bundle", "export", "--output=-", "example.com/web:1.0.0")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.lab.env)
        self.assertEqual(done.returncode, 254)
        self.assertRegex(done.stderr.decode(), r"error: .*standard output: Broken pipe")

    def test_two_imports_at_once(self):
        volumes = self.split_bundle()
        command = ["bundle", f"--dir={self.island}", f"--local-config={self.island_config}", "import"]
        first = self.lab.popen(*command, "-", stdin=subprocess.PIPE)
        harness.wait_for(lambda: (self.island / "bundles").exists(), "the first to begin")
        first.stdin.write(volumes[0].read_bytes()[:5_000_000])
        first.stdin.flush()
        harness.wait_for(lambda: any((self.island / "bundles").rglob("pieces/*/*")), "a piece to come")
        second = self.lab.popen(*command, *volumes)
        self.assertIn(b"waiting for another import", second.stderr.readline())
        first.communicate(volumes[0].read_bytes()[5_000_000:], timeout=60)
        self.assertEqual(first.returncode, 252)
        out, err = second.communicate(timeout=60)
        self.assertEqual(second.returncode, 0, err)
        self.assert_complete()

    def test_scratch_that_was_damaged(self):
        volumes = self.split_bundle()
        self.assertEqual(self.import_(*volumes[1:]).code, 252)
        pieces = [path for path in (self.island / "bundles/pieces").rglob("*") if path.is_file()]
        aci = self.acis["example.com/web:1.0.0"][0].read_bytes()
        first = hashlib.sha512(aci[:PIECE]).hexdigest()
        damaged = next(path for path in pieces if path.name == first)
        with damaged.open("r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        result = self.import_(volumes[0])
        self.assertEqual(result.code, 252, result)
        missing, = result.records()
        self.assertEqual((missing["id"], missing["pieces"]), (self.web, [first]))
        self.ok(self.import_(*volumes))
        self.assert_complete()

    def test_gc(self):
        volumes = self.split_bundle()
        self.assertEqual(self.import_(volumes[0]).code, 252)
        self.ok(self.on_island("image", "gc"))
        self.assertTrue(any((self.island / "bundles").rglob("images.json")))
        self.ok(self.on_island("image", "gc", "--grace-period=0s"))
        self.assert_nothing_left()
        self.ok(self.import_())
        self.ok(self.import_(self.media))
        self.assert_complete()

    @harness.measures_memory
    def test_memory_does_not_grow_with_the_image(self):
        noise = random.Random(3).randbytes(1 << 20)
        path = self.lab.work / "large.aci"
        entry = tarfile.TarInfo("rootfs/large")
        entry.size = 300 << 20
        with path.open("wb") as file:
            begin = harness.aci_tar(harness.manifest("example.com/large"), [harness.directory("rootfs")]).rstrip(b"\0")
            file.write(begin + bytes(-len(begin) % 512) + entry.tobuf())
            for i in range(300):
                file.write(i.to_bytes(4, "big") + noise[4:])
            file.write(bytes(1024))
        self.ok(self.lab.actool("image", "ingest", f"--signature={self.gpg.sign(self.key, path)}", path))
        measure = ("import os,sys\n"
                   "pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])\n"
                   "_, status, usage = os.wait4(pid, 0)\n"
                   "print(usage.ru_maxrss, file=sys.stderr); sys.exit(os.waitstatus_to_exitcode(status))")
        bundle = self.media / "large.tar"
        tool = str(harness.BIN / "actool-bundle")
        for command in ([tool, "export", *self.lab.globals(), f"--output={bundle}", "example.com/large"],
                        [tool, "import", *self.lab.globals(), f"--dir={self.island}", str(bundle)]):
            done = subprocess.run(["python3", "-c", measure, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.lab.env, timeout=300 * harness.SLOW)
            self.assertEqual(done.returncode, 0, done.stderr)
            # All of it, shared libraries included.
            self.assertLess(int(done.stderr.split()[-1]), 64 << 10, command)
        self.assert_nothing_left()


if __name__ == "__main__":
    harness.main()
