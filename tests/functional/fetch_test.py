"""actool fetch against nginx with TLS, and against a server that cuts connections."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import threading
import time

import harness

TEMPLATE = "example.test https://example.test/aci/{name}-{version}.{ext}"
WEB = "example.test/web:1.0.0"
URL = "https://example.test/aci/example.test/web-1.0.0.aci"


class CuttingServer:
    """HTTPS on a port of its own. `cuts` says after how many bytes of body each GET of an image ends; then
    whole bodies are sent. `pace` is a pause after each 64 KiB. Knows Range unless told otherwise."""

    def __init__(self, test, host, files, cuts=(), pace=0.0, ranges=True):
        self.files, self.cuts, self.pace, self.ranges = files, list(cuts), pace, ranges
        self.requests = []  # (path, Range header or "")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, test.lab.certificate(host)))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        test.addCleanup(self.listener.close)
        self.context = context
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), self.context.wrap_socket(client, server_side=True) as tls:
            tls.settimeout(30)
            head = b""
            while b"\r\n\r\n" not in head:
                more = tls.recv(65536)
                if not more:
                    return
                head += more
            lines = head.decode().split("\r\n")
            path = lines[0].split()[1]
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            wanted = headers.get("range", "")
            self.requests.append((path, wanted))
            if path not in self.files:
                tls.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            data, begin, status = self.files[path], 0, "200 OK"
            extra = 'ETag: "one"\r\n'
            if wanted and self.ranges:
                begin, status = int(wanted.removeprefix("bytes=").rstrip("-")), "206 Partial Content"
                extra += f"Content-Range: bytes {begin}-{len(data) - 1}/{len(data)}\r\n"
            body = data[begin:]
            tls.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}"
                        "Connection: close\r\n\r\n".encode())
            end = len(body)
            if path.endswith(".aci") and self.cuts:
                end = min(end, self.cuts.pop(0))
            for at in range(0, end, 65536):
                tls.sendall(body[at:min(at + 65536, end)])
                if path.endswith(".aci"):
                    time.sleep(self.pace)


class Fetch(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        (lab.work / "htpasswd").write_text("me:{PLAIN}secret\n")
        cls.nginx = lab.nginx({
            "example.test": {"config": """
                location /aged/ { alias %s/www/example.test/aci/; expires 1h; }
                location /private/ { alias %s/www/example.test/aci/; auth_basic x;
                                     auth_basic_user_file %s/htpasswd; }
                location ~ ^/down/(.*) { return 302 http://example.test/aci/$1; }
                location ~ ^/loop/(.*) { return 302 https://example.test/loop/$1; }
                location ~ ^/moved/(.*) { return 302 https://mirror.test/$1; }
                location ~ ^/private-elsewhere/(.*) { return 302 https://auth.test/$1; }
                """ % (lab.work, lab.work, lab.work)},
            "mirror.test": {"root": lab.work / "www/example.test/aci"},
            "other.test": {"certificate_of": "foo.test", "root": lab.work / "www/example.test/aci"},
            "auth.test": {"root": lab.work / "www/example.test/aci",
                          "config": f"auth_basic x; auth_basic_user_file {lab.work}/htpasswd;"},
            "foo.test": {"root": lab.work / "www/foo.test"},
        })
        cls.gpg = harness.Gpg(lab)
        cls.key = cls.gpg.key("Example <maker@example.test>")
        cls.stranger = cls.gpg.key("Stranger <stranger@evil.test>")
        cls.aci = lab.work / "www/example.test/aci"
        tags = [("ac-discovery", TEMPLATE), ("ac-discovery-pubkeys", "example.test https://example.test/keys.asc")]
        cls.nginx.page("example.test", "example.test", tags)
        (cls.nginx.root("example.test") / "keys.asc").write_bytes(cls.gpg.export(cls.key))
        cls.web = cls.publish("example.test/web", exec=["/bin/true"])
        cls.web_tar = harness.aci_tar(harness.manifest("example.test/web", exec=["/bin/true"]))

    @classmethod
    def publish(cls, name, version="1.0.0", key=None, root=None, content=None, **members):
        """Puts a signed image where discovery of example.test finds it; returns its ID."""
        entries = None if content is None else [harness.directory("rootfs"),
                                                harness.Entry("rootfs/data", content)]
        tar = harness.aci_tar(harness.manifest(name, version, **members), entries)
        path = harness.write_aci((root or cls.aci) / f"{name}-{version}.aci", tar)
        cls.gpg.sign(key or cls.key, path)
        return harness.image_id(tar)

    def setUp(self):
        super().setUp()
        self.trust(self.gpg, self.key, "example.test")

    def fetch(self, *args, **kwargs):
        return self.lab.actool("fetch", *args, **kwargs)

    def fetched(self, *args, **kwargs):
        return self.ok(self.fetch(*args, **kwargs)).records()

    def asked(self, *args, code=0, **kwargs):
        """The requests that nginx sees of a fetch: ["GET /path status", ...]."""
        before = len(self.nginx.requests())
        result = self.fetch(*args, **kwargs)
        self.assertEqual(result.code, code, result)
        time.sleep(0.05)  # nginx logs after it has answered
        return [" ".join(line.split()[1:4]) for line in self.nginx.requests()[before:]]

    def absent(self):
        self.assertEqual(self.image_ids(), [])

    # --- what works ---

    def test_pipe_from_discover(self):
        result = self.ok(self.lab.shell(f"actool discover {WEB} | actool fetch"))
        [record] = result.records()
        self.assertEqual(record["kind"], "image")
        self.assertEqual(record["id"], self.web)
        self.assertEqual(record["name"], "example.test/web")
        self.assertEqual(record["requested"], WEB)
        self.assertEqual(record["signedBy"], self.key)
        self.assertEqual(record["sources"], [URL])
        self.assertEqual(record["tarSize"], len(self.web_tar))
        self.assertEqual(self.image_ids(), [self.web])

    def test_name_url_file_and_id(self):
        self.assertEqual(self.fetched(WEB)[0]["id"], self.web)
        self.assertEqual(self.fetched(URL)[0]["id"], self.web)
        file = self.aci / "example.test/web-1.0.0.aci"
        self.assertEqual(self.fetched(file)[0]["id"], self.web)
        self.assertEqual(self.fetched(f"file://{file}")[0]["id"], self.web)
        self.assertEqual(self.fetched(self.web[:20])[0]["id"], self.web)

    def test_file_alone(self):
        [record] = self.fetched(self.aci / "example.test/web-1.0.0.aci")
        self.assertEqual(record["id"], self.web)
        self.assertNotIn("requested", record)

    def test_formats(self):
        self.assertEqual(self.ok(self.fetch("--format=id", WEB)).out, self.web + "\n")
        lines = self.ok(self.fetch("--format=table", WEB)).out.splitlines()
        self.assertEqual(lines[0].split(), ["ID", "NAME", "SIZE", "SIGNED", "BY"])
        self.assertTrue(lines[1].startswith(self.web[:19] + "  example.test/web:1.0.0"), lines)
        self.assertTrue(lines[1].endswith(self.key[-16:]), lines)

    def test_names_from_standard_input(self):
        records = self.fetched(stdin=f"{WEB}\n\n{URL}\n".encode())
        self.assertEqual([r["id"] for r in records], [self.web, self.web])

    def test_image_record_passes_through(self):
        [record] = self.fetched(WEB)
        line = json.dumps(record).encode()
        self.assertEqual(self.fetched(stdin=line)[0]["id"], self.web)
        record["requested"] = "example.test/web:2.0.0"
        self.refused(self.fetch(stdin=json.dumps(record).encode()), 253,
                     "example.test/web:2.0.0 was asked for")
        self.lab.reset_actool()
        self.refused(self.fetch(stdin=line), 252, f"no image {self.web} in the store")

    def test_signature_option(self):
        signature = self.lab.work / "elsewhere.asc"
        self.gpg.sign(self.key, self.aci / "example.test/web-1.0.0.aci", signature)
        lone = self.lab.work / "lone.aci"
        lone.write_bytes((self.aci / "example.test/web-1.0.0.aci").read_bytes())
        self.refused(self.fetch(lone), 253, f"lone.aci has no signature: there is no .*lone.aci.asc")
        self.assertEqual(self.fetched(lone, "--signature", signature)[0]["id"], self.web)
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.test")
        self.assertEqual(self.fetched(lone, "--signature", URL + ".asc")[0]["id"], self.web)
        self.refused(self.fetch("--signature", signature, lone), 254, "belongs to no image")

    def test_image_id_option(self):
        other = self.publish("example.test/pinned", exec=["/bin/true"])
        for place in (WEB, URL, self.aci / "example.test/web-1.0.0.aci"):
            with self.subTest(place=place):
                self.lab.reset_actool()
                self.trust(self.gpg, self.key, "example.test")
                self.refused(self.fetch(place, f"--image-id={other}"), 253, f"but {other} was asked for")
                self.absent()
                self.assertEqual(self.fetched(place, f"--image-id={self.web}")[0]["id"], self.web)
                self.assertEqual(self.asked("--pull-policy=update", place, f"--image-id={self.web}"), [])
        # What the store has of a URL is not what is asked for when that is another image.
        self.refused(self.fetch(URL, f"--image-id={other}"), 253, f"but {other} was asked for")
        self.refused(self.fetch(f"--image-id={other}", URL), 254, "belongs to no image")
        self.refused(self.fetch(self.web, f"--image-id={self.web}"), 254, "an image ID needs no other")

    def test_redirect_to_another_host(self):
        url = "https://example.test/moved/example.test/web-1.0.0.aci"
        self.assertEqual(self.fetched(url)[0]["id"], self.web)

    def test_unsigned_only_when_told_to(self):
        path = harness.write_aci(self.aci / "example.test/unsigned-1.0.0.aci",
                                 harness.aci_tar(harness.manifest("example.test/unsigned")))
        self.addCleanup(path.unlink)
        self.refused(self.fetch("example.test/unsigned:1.0.0"), 253,
                     r"unsigned-1\.0\.0\.aci has no signature: there is no https://.*\.aci\.asc")
        self.absent()
        result = self.ok(self.fetch("--insecure-options=image", "example.test/unsigned:1.0.0"))
        self.assertNotIn("signedBy", result.records()[0])
        self.assertIn("insecure", result.err)

    def test_progress(self):
        err = self.ok(self.fetch("--progress=json", WEB)).err
        lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        self.assertTrue(lines and lines[-1]["finished"], err)
        self.assertEqual(lines[-1]["label"], WEB)
        self.assertEqual(lines[-1]["done"], (self.aci / "example.test/web-1.0.0.aci").stat().st_size)

    # --- pull policies ---

    def test_new_asks_nobody_for_what_is_there(self):
        self.fetched(WEB)
        self.assertEqual(self.asked(WEB), [])
        self.assertEqual(self.asked(URL), [])

    def test_never(self):
        for image in (WEB, URL):
            self.assertEqual(self.asked("--pull-policy=never", image, code=252), [])
        self.refused(self.fetch("--store-only", WEB), 252, "no image .* in the store; --pull-policy=never")
        self.fetched(WEB)
        self.assertEqual(self.asked("--store-only", WEB), [])

    def test_update_transfers_nothing_that_is_there(self):
        path = "/aci/example.test/web-1.0.0.aci"
        self.fetched(URL)
        self.assertEqual(self.asked("--pull-policy=update", URL), [f"GET {path} 304"])
        self.assertIn(f"GET {path} 304", self.asked("--no-store", WEB))

    def test_update_waits_for_the_max_age(self):
        url = "https://example.test/aged/example.test/web-1.0.0.aci"
        self.fetched(url)
        self.assertEqual(self.asked("--pull-policy=update", url), [])

    def test_update_brings_new_bytes(self):
        old = self.publish("example.test/moving", exec=["/bin/true"])
        self.assertEqual(self.fetched("example.test/moving:1.0.0")[0]["id"], old)
        new = self.publish("example.test/moving", exec=["/bin/false"])
        self.assertEqual(self.fetched("example.test/moving:1.0.0")[0]["id"], old)
        self.assertEqual(self.fetched("--pull-policy=update", "example.test/moving:1.0.0")[0]["id"], new)

    def test_policies_and_aliases_exclude_each_other(self):
        self.refused(self.fetch("--pull-policy=always", WEB), 254, "one of new, update, never")
        self.refused(self.fetch("--store-only", "--no-store", WEB), 254, "excludes")

    # --- refusals ---

    def test_not_there(self):
        self.refused(self.fetch("example.test/none:1.0.0"), 252, "there is neither https://.*none-1.0.0.aci")
        self.refused(self.fetch("https://example.test/none.aci"), 252, "there is neither")
        self.refused(self.fetch("sha512-0000"), 252, "no image sha512-0000 in the store")
        self.refused(self.fetch("/nowhere/web.aci"), 252, "no file /nowhere/web.aci")
        self.absent()

    def test_a_stranger_signed_it(self):
        self.publish("example.test/forged", key=self.stranger)
        self.refused(self.fetch("example.test/forged:1.0.0"), 253,
                     f"example.test/forged:1.0.0: signed by unknown key {self.stranger}")
        self.absent()

    def test_a_refusal_is_final(self):
        """The next endpoint is for what could not be had, not for what was not to be trusted."""
        self.publish("example.test/forged", key=self.stranger)
        record = {"kind": "discovered", "requested": "example.test/forged:1.0.0", "keys": [], "endpoints": [
            {"aci": f"https://{host}/example.test/forged-1.0.0.aci",
             "asc": f"https://{host}/example.test/forged-1.0.0.aci.asc"} for host in ("mirror.test", "auth.test")]}
        before = len(self.nginx.requests())
        self.refused(self.fetch(stdin=json.dumps(record).encode()), 253, "unknown key")
        time.sleep(0.05)
        self.assertFalse([l for l in self.nginx.requests()[before:] if l.startswith("auth.test")])

    def test_another_image_under_the_name(self):
        for end in (".aci", ".aci.asc"):
            source = self.aci / f"example.test/web-1.0.0{end}"
            (self.aci / f"example.test/liar-1.0.0{end}").write_bytes(source.read_bytes())
        self.refused(self.fetch("example.test/liar:1.0.0"), 253, "example.test/liar")
        self.absent()

    def test_redirect_to_plain_http(self):
        self.refused(self.fetch("https://example.test/down/example.test/web-1.0.0.aci"), 251,
                     "redirects from https to http")
        self.absent()

    def test_redirect_loop(self):
        self.refused(self.fetch("https://example.test/loop/example.test/web-1.0.0.aci"), 251, "loop")

    def test_certificate_of_another_host(self):
        url = "https://other.test/example.test/web-1.0.0.aci"
        self.refused(self.fetch(url), 251, "certificate of other.test is not accepted")
        self.absent()
        self.assertEqual(self.fetched("--insecure-options=tls", url)[0]["id"], self.web)

    def test_plain_http(self):
        self.nginx.page("foo.test", "foo.test/web", [("ac-discovery", "foo.test http://foo.test/{name}.{ext}")])
        self.publish("foo.test/web", root=self.lab.work / "plain")
        for end in ("", ".asc"):
            target = self.nginx.root("foo.test") / f"foo.test/web.aci{end}"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((self.lab.work / f"plain/foo.test/web-1.0.0.aci{end}").read_bytes())
        self.trust(self.gpg, self.key, "foo.test")
        self.refused(self.fetch("foo.test/web:1.0.0"), 251, "http")
        self.absent()
        # What the operator typed is what the operator wants; the signature counts all the same.
        self.ok(self.fetch("http://foo.test/foo.test/web.aci"))
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "foo.test")
        self.ok(self.fetch("--insecure-options=http", "foo.test/web:1.0.0"))

    def test_credentials(self):
        url = "https://example.test/private/example.test/web-1.0.0.aci"
        self.refused(self.fetch(url), 251, "401|credentials")
        self.credentials_for("example.test")
        self.assertEqual(self.fetched(url)[0]["id"], self.web)

    def credentials_for(self, host):
        directory = self.lab.local_config / "auth.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "test.json").write_text(json.dumps({
            "rktKind": "auth", "rktVersion": "v1", "domains": [host], "type": "basic",
            "credentials": {"user": "me", "password": "secret"}}))

    def test_credentials_never_follow_a_redirect(self):
        self.credentials_for("example.test")
        self.refused(self.fetch("https://example.test/private-elsewhere/example.test/web-1.0.0.aci"), 251,
                     "auth.test")
        self.absent()

    def test_transports_it_has_not(self):
        self.refused(self.fetch("docker://busybox"), 254, "has no transport for registries")
        record = {"kind": "discovered", "requested": WEB, "keys": [],
                  "endpoints": [{"aci": "file:///etc/passwd", "asc": "file:///etc/passwd.asc"}]}
        self.refused(self.fetch(stdin=json.dumps(record).encode()), 254, "has no transport")

    def test_usage(self):
        self.refused(self.fetch(), 254, "no image to fetch")
        self.refused(self.fetch(stdin=b"\n"), 254, "standard input has no record")
        self.refused(self.fetch(stdin=b'web\n{"kind":"pod"}\n'), 254, 'line 2: .*kind "pod"')
        self.refused(self.fetch("--max-bytes=many", WEB), 254, '"many" is no size')

    def test_image_over_the_limit(self):
        self.refused(self.fetch("--max-bytes=64KiB", WEB), 253, "more than 64.0 KiB as distributed")
        self.absent()

    def test_signature_without_end(self):
        path = self.aci / "example.test/long-1.0.0.aci"
        path.write_bytes(b"x")
        (self.aci / "example.test/long-1.0.0.aci.asc").write_bytes(b"x" * (1 << 20))
        self.refused(self.fetch("example.test/long:1.0.0"), 251, "long-1.0.0.aci.asc")

    def test_one_of_several_fails(self):
        result = self.fetch("example.test/none:1.0.0", WEB, "/nowhere/web.aci")
        self.assertEqual(result.code, 252, result)
        self.assertEqual([r["id"] for r in result.records()], [self.web])
        self.assertEqual(len([l for l in result.err.splitlines() if ": error: " in l]), 2, result)

    # --- endpoints ---

    def endpoints(self, *urls):
        return json.dumps({"kind": "discovered", "requested": WEB, "keys": [], "endpoints": [
            {"aci": url, "asc": url + ".asc"} for url in urls]}).encode()

    def test_the_next_endpoint_is_tried(self):
        good = "https://mirror.test/example.test/web-1.0.0.aci"
        for bad in ("https://example.test/none.aci", "https://other.test/example.test/web-1.0.0.aci",
                    "https://example.test:444/web.aci"):
            with self.subTest(bad):
                self.lab.reset_actool()
                self.trust(self.gpg, self.key, "example.test")
                [record] = self.fetched(stdin=self.endpoints(bad, good))
                self.assertEqual(record["sources"], [good])

    def test_no_endpoint_works(self):
        self.refused(self.fetch(stdin=self.endpoints("https://example.test/none.aci", "https://example.test:444/w.aci")),
                     251, "none of 2 endpoints works: there is neither https://example.test/none.aci.*; .*444")

    # --- broken transfers ---

    def cutting(self, **kwargs):
        """A server of one image of 4 MiB of noise; (server, URL, image ID, size as distributed)."""
        name = "example.test/big"
        identity = self.publish(name, root=self.lab.work / "cut", content=os.urandom(4 << 20))
        path = self.lab.work / f"cut/{name}-1.0.0.aci"
        data = path.read_bytes()
        files = {"/big.aci": data, "/big.aci.asc": pathlib.Path(f"{path}.asc").read_bytes()}
        server = CuttingServer(self, "mirror.test", files, **kwargs)
        return server, f"https://mirror.test:{server.port}/big.aci", identity, len(data)

    def images_asked(self, server):
        return [wanted for path, wanted in server.requests if path.endswith(".aci")]

    def offsets(self, server):
        return [int(w.removeprefix("bytes=").rstrip("-") or 0) for w in self.images_asked(server)]

    def test_goes_on_after_cuts(self):
        server, url, identity, size = self.cutting(cuts=[1 << 20, 1 << 20])
        result = self.ok(self.fetch(url))
        self.assertEqual(result.records()[0]["id"], identity)
        offsets = self.offsets(server)
        self.assertEqual(len(offsets), 3, offsets)
        self.assertTrue(0 == offsets[0] < offsets[1] <= 1 << 20, offsets)
        self.assertTrue(offsets[1] < offsets[2] <= 2 << 20, offsets)
        self.assertEqual(result.records()[0]["distributedSize"], size)

    def test_goes_on_with_a_server_without_ranges(self):
        server, url, identity, _ = self.cutting(cuts=[1 << 20], ranges=False)
        self.assertEqual(self.fetched(url)[0]["id"], identity)
        self.assertEqual(len(self.images_asked(server)), 2)

    def test_gives_up_and_the_next_fetch_goes_on(self):
        server, url, identity, _ = self.cutting(cuts=[300_000] * 4)
        self.refused(self.fetch(url), 251, "the connection to mirror.test:[0-9]+ broke")
        self.absent()
        self.assertEqual(len(self.images_asked(server)), 4)
        self.assertEqual(self.fetched(url)[0]["id"], identity)
        self.assertGreater(self.offsets(server)[-1], 1_000_000)

    def test_another_place_goes_on_with_a_partial(self):
        server, url, identity, _ = self.cutting(cuts=[300_000] * 4)
        self.refused(self.fetch(url), 251, "broke")
        server.files["/elsewhere.aci"] = server.files["/big.aci"]
        server.files["/elsewhere.aci.asc"] = server.files["/big.aci.asc"]
        self.assertEqual(self.fetched(url.replace("big", "elsewhere"))[0]["id"], identity)
        self.assertGreater(self.offsets(server)[-1], 1_000_000)

    def test_killed_and_resumed(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                self.lab.reset_actool()
                self.trust(self.gpg, self.key, "example.test")
                server, url, identity, _ = self.cutting(pace=0.05)
                process = self.lab.popen("fetch", url)
                harness.wait_for(lambda: self.images_asked(server), "the transfer to begin")
                harness.wait_for(self.partial_grows, "bytes to come")
                # As the terminal or the kernel would: the tool alone, or its whole group.
                os.kill(process.pid, number) if number == signal.SIGKILL else os.killpg(process.pid, number)
                process.communicate(timeout=30 * harness.SLOW)
                self.assertNotEqual(process.returncode, 0)
                harness.wait_for(lambda: not self.ingesting(), "ingest to end")
                self.absent()
                server.pace = 0
                self.assertEqual(self.fetched(url)[0]["id"], identity)
                self.assertGreater(self.offsets(server)[-1], 0)

    def partial_grows(self):
        return any(file.stat().st_size > 500_000 for file in self.lab.store.glob("ingest/*/data"))

    def ingesting(self):
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                if b"ingest" in words and any(str(self.lab.store).encode() in word for word in words):
                    return True
        return False

    def test_two_at_once_download_once(self):
        server, url, identity, _ = self.cutting(pace=0.02 * harness.SLOW)
        first = self.lab.popen("fetch", "--format=id", url)
        harness.wait_for(lambda: self.images_asked(server), "the first transfer to begin")
        second = self.lab.popen("fetch", "--format=id", "--progress=json", url)
        for process in (first, second):
            out, err = process.communicate(timeout=60 * harness.SLOW)
            self.assertEqual((process.returncode, out.decode()), (0, identity + "\n"), err)
        # The one that waits shows how far the other one is.
        self.assertIn(b"waiting for another process that fetches the same image", err)
        shown = [json.loads(line)["done"] for line in err.splitlines() if line.startswith(b"{")]
        self.assertGreater(len(shown), 1)
        self.assertEqual(shown, sorted(shown))
        self.assertGreater(shown[-1], 500_000)
        self.assertEqual(len(self.images_asked(server)), 1)
        self.assertEqual(self.image_ids(), [identity])

    def test_on_a_terminal_the_one_that_waits_shows_the_others_progress(self):
        server, url, identity, _ = self.cutting(pace=0.04 * harness.SLOW)
        first = self.lab.popen("fetch", "--format=id", url)
        harness.wait_for(lambda: self.images_asked(server), "the first transfer to begin")
        result = self.ok(harness.tty_session(self.lab.argv("fetch", "--format=id", url), self.lab.env))
        self.assertEqual((result.out, first.wait(30 * harness.SLOW)), (identity + "\n", 0))
        first.communicate()
        self.assertIn("waiting for another process that fetches the same image", result.err)
        # One line, drawn over itself again and again: what the other one has.
        lines = re.findall(r"\x1b\[1A\r[^\r\n]*: ([0-9.]+) (KiB|MiB) ", result.err)
        bytes_shown = [float(number) * (1 << (10 if unit == "KiB" else 20)) for number, unit in lines]
        self.assertGreater(len(set(bytes_shown)), 3, result.err)
        self.assertEqual(bytes_shown, sorted(bytes_shown), result.err)
        self.assertGreater(bytes_shown[-1], 1 << 20, result.err)
        self.assertEqual(len(self.images_asked(server)), 1)

    # --- dependencies ---

    def depends(self, *names, **extra):
        return [{"imageName": name, "labels": [{"name": "version", "value": "1.0.0"}], **extra} for name in names]

    def test_dependencies_are_fetched(self):
        base = self.publish("example.test/base", content=b"base")
        lib = self.publish("example.test/lib", content=b"lib", dependencies=self.depends("example.test/base"))
        top = self.publish("example.test/top", content=b"top",
                           dependencies=self.depends("example.test/lib", "example.test/base"))
        asked = self.asked("example.test/top:1.0.0")
        self.assertEqual(asked.count("GET /aci/example.test/base-1.0.0.aci 200"), 1, asked)
        self.assertEqual(sorted(self.image_ids()), sorted([base, lib, top]))
        # Only what was asked for is printed.
        self.assertEqual([r["id"] for r in self.fetched("example.test/top:1.0.0")], [top])
        self.lab.reset_actool()
        self.trust(self.gpg, self.key, "example.test")
        self.fetched("--nodeps", "example.test/top:1.0.0")
        self.assertEqual(self.image_ids(), [top])

    def test_a_dependency_needs_trust_of_its_own(self):
        self.publish("example.test/lib2", key=self.stranger, content=b"lib")
        self.publish("example.test/top2", content=b"top", dependencies=self.depends("example.test/lib2"))
        self.refused(self.fetch("example.test/top2:1.0.0"), 253,
                     f"example.test/lib2:1.0.0: signed by unknown key {self.stranger}")

    def test_a_missing_dependency_is_named(self):
        self.publish("example.test/top3", content=b"top", dependencies=self.depends("example.test/none"))
        self.refused(self.fetch("example.test/top3:1.0.0"), 252,
                     "example.test/none:1.0.0, which example.test/top3:1.0.0 depends on: .*there is neither")

    def test_a_dependency_is_what_its_image_id_says(self):
        base = self.publish("example.test/base4", content=b"base")
        size = (self.aci / "example.test/base4-1.0.0.aci").stat().st_size
        self.publish("example.test/right4", content=b"right",
                     dependencies=self.depends("example.test/base4", imageID=base, size=size))
        self.publish("example.test/wrong4", content=b"wrong",
                     dependencies=self.depends("example.test/base4", imageID="sha512-" + "0" * 128))
        self.publish("example.test/small4", content=b"small",
                     dependencies=self.depends("example.test/base4", size=size - 1))
        self.refused(self.fetch("example.test/wrong4:1.0.0"), 253, "the image is .* was asked for")
        self.refused(self.fetch("example.test/small4:1.0.0"), 253, f"more bytes than the {size - 1} ")
        self.ok(self.fetch("example.test/right4:1.0.0"))

    def test_a_circle_is_refused(self):
        self.publish("example.test/a5", content=b"a", dependencies=self.depends("example.test/b5"))
        self.publish("example.test/b5", content=b"b", dependencies=self.depends("example.test/a5"))
        self.refused(self.fetch("example.test/a5:1.0.0"), 254,
                     "dependencies go in a circle: example.test/a5:1.0.0 -> example.test/b5:1.0.0 -> "
                     "example.test/a5:1.0.0")

    # --- keys ---

    def test_keys_from_https(self):
        self.lab.reset_actool()
        self.refused(self.fetch(WEB), 253, f"unknown key {self.key}")
        self.absent()
        self.assertEqual(self.fetched("--trust-keys-from-https", WEB)[0]["id"], self.web)
        keys = self.ok(self.lab.actool("trust", "list", "--format=jsonl")).records()
        self.assertEqual([(k["prefix"], k["fingerprint"]) for k in keys], [("example.test/web", self.key)])

    def test_keys_from_https_only_for_names_without_one(self):
        self.lab.reset_actool()
        self.trust(self.gpg, self.stranger, "example.test")
        self.refused(self.fetch("--trust-keys-from-https", WEB), 253, f"unknown key {self.key}")

    # --- plumbing ---

    def test_raw(self):
        url = "https://example.test/keys.asc"
        self.assertEqual(self.ok(self.fetch("--raw", url)).out_bytes, self.gpg.export(self.key))
        result = self.fetch("--raw", url, "--max-bytes=16")
        self.assertEqual((result.code, result.out), (251, ""), result)
        self.refused(self.fetch("--raw", "https://example.test/none"), 252, "HTTP 404")
        self.refused(self.fetch("--raw", "http://example.test/keys.asc"), 251, "http")
        self.ok(self.fetch("--insecure-options=pubkey", "--raw", "http://example.test/keys.asc"))
        self.refused(self.fetch("--raw", "/etc/passwd"), 254, "no http")


if __name__ == "__main__":
    harness.main()
