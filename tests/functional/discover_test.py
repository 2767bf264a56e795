"""actool discover against nginx with TLS, on port 443 of hosts that only this test knows."""

import json
import pathlib
import socket
import threading
import time

import harness

TAGS = [
    ("ac-discovery", "example.test https://storage.test/{os}/{arch}/{name}-{version}.{ext}"),
    ("ac-discovery-pubkeys", "example.test https://example.test/keys.asc"),
]
WEB = "example.test/web:1.0.0,os=linux,arch=amd64"
WEB_IMAGE = "https://storage.test/linux/amd64/example.test/web-1.0.0.aci"
KEYS = "https://example.test/keys.asc"


class Discover(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nginx = cls.lab.nginx({
            "example.test": {"config": """
                location = /loop { return 302 https://example.test/loop2; }
                location = /loop2 { return 302 https://example.test/loop; }
                location = /downgrade { return 301 http://example.test/web/; }
                location = /moved { return 302 https://www.example.test/web/; }
                location = /leave { return 302 https://auth.test/; }
                location = /broken { return 503; }
                location = /gone { return 410; }
                location = /private { auth_basic x; auth_basic_user_file %s/htpasswd;
                                      try_files /web/index.html =404; }
                location = /huge/ { add_header Content-Type text/html; try_files /huge.html =404; }
                """ % cls.lab.work},
            "www.example.test": {},
            "other.test": {"certificate_of": "mirror.test"},
            "auth.test": {"config": "auth_basic x; auth_basic_user_file %s/htpasswd;" % cls.lab.work},
            "foo.test": {},
        })
        (cls.lab.work / "htpasswd").write_text("me:{PLAIN}secret\n")
        cls.nginx.page("example.test", "example.test", TAGS)
        cls.nginx.page("example.test", "example.test/web", TAGS)
        cls.nginx.page("www.example.test", "www.example.test/web", TAGS)
        cls.nginx.page("auth.test", "auth.test", [("ac-discovery", "auth.test https://h.test/{name}.{ext}")])
        (cls.nginx.root("foo.test") / "index.html").write_text("<title>no tags</title>")
        huge = cls.nginx.root("example.test") / "huge"
        huge.mkdir()
        # A gigabyte of NUL bytes that takes no room.
        with open(huge / "index.html", "wb") as file:
            file.truncate(1 << 30)
        (cls.nginx.root("example.test") / "huge.html").symlink_to(huge / "index.html")

    def discover(self, *args, **kwargs):
        return self.lab.actool("discover", *args, **kwargs)

    def found(self, *args, **kwargs):
        return self.ok(self.discover(*args, **kwargs)).records()

    def configure_auth(self, *domains):
        directory = self.lab.local_config / "auth.d"
        directory.mkdir(parents=True)
        (directory / "test.json").write_text(json.dumps({
            "rktKind": "auth", "rktVersion": "v1", "domains": domains, "type": "basic",
            "credentials": {"user": "me", "password": "secret"}}))

    # --- what is found, and how it is written ---

    def test_record(self):
        [record] = self.found(WEB)
        self.assertEqual(record["kind"], "discovered")
        self.assertEqual(record["endpoints"], [{"aci": WEB_IMAGE, "asc": WEB_IMAGE + ".asc"}])
        self.assertEqual(record["keys"], [KEYS])

    def test_defaults_are_in_the_urls_and_not_in_the_request(self):
        [record] = self.found("example.test/web")
        self.assertIn("/linux/", record["endpoints"][0]["aci"])
        self.assertTrue(record["endpoints"][0]["aci"].endswith("/example.test/web-latest.aci"), record)
        again = self.found(stdin=b"example.test/web\n")
        self.assertEqual(again, [record])
        self.assertNotIn("latest", json.dumps(record["requested"]) if "requested" in record else "")

    def test_appc_json(self):
        for option in ("--json", "--format=json"):
            out = self.ok(self.discover(option, WEB)).out
            self.assertEqual(json.loads(out), {
                "ACIEndpoints": [{"ACI": WEB_IMAGE, "ASC": WEB_IMAGE + ".asc"}], "PublicKeys": [KEYS]})
            self.assertTrue(out.startswith('{\n    "ACIEndpoints": [\n'), out)
        self.refused(self.discover("--json", "--format=table", WEB), 254, "--json")

    def test_table(self):
        lines = self.ok(self.discover("--format=table", WEB)).out.splitlines()
        self.assertEqual([line.split() for line in lines], [
            ["NAME", "WHAT", "URL", "MIRROR"], [WEB, "image", WEB_IMAGE, "-"],
            [WEB, "signature", WEB_IMAGE + ".asc", "-"], [WEB, "public", "key", KEYS, "-"]])

    def test_keys_only(self):
        [record] = self.found("--keys", "example.test/web")
        self.assertEqual((record["endpoints"], record["keys"]), ([], [KEYS]))

    def test_several_names_and_names_from_standard_input(self):
        names = [WEB, "example.test/api:2,os=linux,arch=amd64"]
        records = self.found(*names)
        self.assertEqual([r["endpoints"][0]["aci"] for r in records],
                         [WEB_IMAGE, "https://storage.test/linux/amd64/example.test/api-2.aci"])
        self.assertEqual(self.found(stdin="\n".join(names).encode()), records)

    def test_walks_up_and_asks_each_page_once(self):
        before = len(self.nginx.requests())
        self.found("example.test/gone/a:1")
        asked = [line.split()[2] for line in self.nginx.requests()[before:]]
        self.assertEqual(asked, ["/gone/a?ac-discovery=1", "/gone?ac-discovery=1", "/?ac-discovery=1"])

    def test_redirects_to_another_host_are_followed(self):
        [record] = self.found("example.test/moved:1.0.0,os=linux,arch=amd64")
        self.assertEqual(record["endpoints"][0]["aci"],
                         "https://storage.test/linux/amd64/example.test/moved-1.0.0.aci")

    def test_debug_tells_each_attempt(self):
        err = self.ok(self.discover("--debug", "example.test/gone:1")).err
        self.assertIn("https://example.test/gone?ac-discovery=1: status 410", err)
        self.assertIn("asking https://example.test?ac-discovery=1", err)

    # --- what is refused ---

    def test_nothing_announced(self):
        self.refused(self.discover("foo.test/web"), 252,
                     r"discovering foo\.test/web: no ac-discovery tag for it found; tried "
                     r"https://foo\.test/web\?ac-discovery=1: status 404; "
                     r"https://foo\.test\?ac-discovery=1: no ac-discovery tag; is the name right")
        self.refused(self.discover("--keys", "foo.test"), 252, "no ac-discovery-pubkeys tag")

    def test_usage(self):
        self.refused(self.discover(), 254, "no name to discover")
        self.refused(self.discover("Not A Name"), 254, 'image name "Not A Name"')
        self.refused(self.discover(WEB, "--port=65536"), 254, "--port")
        self.refused(self.discover(stdin=b"https://example.test/web.aci\n"), 254,
                     "only names of images can be discovered")

    def test_host_that_does_not_answer(self):
        self.refused(self.discover("nowhere.test/web"), 251, r"https://nowhere\.test/web\?ac-discovery=1: ")
        self.refused(self.discover("--port=444", WEB), 251, r"https://example\.test:444/web\?ac-discovery=1: ")

    def test_server_error_is_not_papered_over_by_the_parent(self):
        self.refused(self.discover("example.test/broken"), 251, "/broken.ac-discovery=1: status 503")

    def test_certificate_of_another_host(self):
        self.refused(self.discover("other.test"), 251, "certificate of other.test is not accepted")
        # Only by the switch, and then it is said.
        result = self.refused(self.discover("--insecure-options=tls", "other.test"), 252, "status|tag")
        self.assertIn("--insecure-options=tls", result.err)

    def test_redirect_loop(self):
        before = len(self.nginx.requests())
        self.refused(self.discover("example.test/loop"), 251, "redirects in a loop")
        self.assertLessEqual(len(self.nginx.requests()) - before, 11)

    def test_redirect_from_https_to_http(self):
        # Not even where plain http is allowed: there the page is asked for by http itself.
        before = len(self.nginx.requests())
        self.refused(self.discover("example.test/downgrade"), 251,
                     "https://example.test/downgrade.ac-discovery=1 redirects from https to http://example.test/")
        self.assertEqual(len(self.nginx.requests()) - before, 1)

    def test_page_of_a_gigabyte(self):
        began = time.monotonic()
        self.refused(self.discover("example.test/huge"), 251, "announces 1.0 GiB, at most 1.0 MiB are accepted")
        self.assertLess(time.monotonic() - began, 20 * harness.SLOW)

    def test_endless_page(self):
        """A server that says no length and never stops sending."""
        sent = self.endless_server(8080)
        self.refused(self.discover("--insecure", "--port=8080", "example.test"), 251, "sends more than 1.0 MiB")
        self.assertLess(sent[0], 16 << 20)

    def endless_server(self, port):
        listener = socket.create_server(("127.0.0.1", port))
        self.addCleanup(listener.close)
        sent = [0]

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    try:
                        client.settimeout(10)
                        if client.recv(1) == b"G":
                            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                            while True:
                                client.sendall(b"<p>" * 4096)
                                sent[0] += 3 * 4096
                    except OSError:
                        continue  # the client hung up, which is what it should do

        threading.Thread(target=serve, daemon=True).start()
        return sent

    def test_credentials(self):
        self.refused(self.discover("auth.test"), 251, "asks for credentials.*auth.test go into a file of auth.d")
        self.configure_auth("auth.test")
        [record] = self.found("auth.test")
        self.assertEqual(record["endpoints"][0]["aci"], "https://h.test/auth.test.aci")

    def test_credentials_never_follow_a_redirect(self):
        # /leave redirects to auth.test, which wants credentials: those for example.test do not
        # go there; those for auth.test do.
        self.configure_auth("example.test")
        self.refused(self.discover("example.test/leave"), 251,
                     "example.test redirects to https://auth.test/, which asks for credentials")
        self.lab.reset_actool()
        self.configure_auth("auth.test")
        err = self.ok(self.discover("--debug", "example.test/leave")).err
        self.assertIn("https://example.test/leave?ac-discovery=1 led to https://auth.test/", err)
        self.assertIn('its ac-discovery tag is for "auth.test"', err)

    # --- plain http ---

    def test_plain_http_only_when_allowed(self):
        server = self.plain_server(8081)
        args = ("--port=8081", WEB)
        self.refused(self.discover(*args), 251, "https://example.test:8081")
        self.assertEqual(server, [])
        for option in ("--insecure", "--insecure-options=http"):
            result = self.ok(self.discover(option, *args))
            self.assertEqual(result.records()[0]["endpoints"][0]["aci"], WEB_IMAGE)
            self.assertIn("warning", result.err)
        self.assertIn("GET /web?ac-discovery=1 HTTP/1.1", server)

    def plain_server(self, port):
        page = (pathlib.Path(self.nginx.root("example.test")) / "index.html").read_bytes()
        listener = socket.create_server(("127.0.0.1", port))
        self.addCleanup(listener.close)
        requests = []

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(10)
                    head = client.recv(65536)
                    if not head.startswith(b"GET "):
                        continue  # a TLS hello: this server speaks none
                    requests.append(head.split(b"\r\n")[0].decode())
                    client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                                   % len(page) + page)

        threading.Thread(target=serve, daemon=True).start()
        return requests


if __name__ == "__main__":
    harness.main()
