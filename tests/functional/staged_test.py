"""Ingests whose bytes somebody else writes into the file, in any order, while they are verified
(docs/ingest-protocol.md, Pieces)."""

import array
import hashlib
import json
import os
import signal
import socket
import time

import harness

STEP = 1 << 20


class Transport:
    """What a swarm does, step by step."""

    def __init__(self, case, *options, size=None):
        self.case, self.data = case, case.aci.read_bytes()
        self.socket, theirs = socket.socketpair()
        size = len(self.data) if size is None else size
        words = [f"--size={size}"] if size else []
        self.process = case.lab.popen("--debug", "image", "ingest", "--resume", "--staged", f"--signature={case.asc}", *words, *options,
                                      stdin=theirs)
        theirs.close()
        case.addCleanup(self.close)
        assert json.loads(self.process.stdout.readline()) == {"kind": "ingest", "offset": 0}
        _, ancillary, _, _ = self.socket.recvmsg(1, socket.CMSG_SPACE(4))
        self.fd, = array.array("i", ancillary[0][2][:4])
        os.ftruncate(self.fd, len(self.data))

    def close(self):
        self.socket.close()
        self.shut()
        self.process.kill()
        self.process.communicate()

    def shut(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    def write(self, begin, end, data=None):
        os.pwrite(self.fd, (data or self.data)[begin:end], begin)

    def say(self, line):
        self.socket.sendall(f"{line}\n".encode())

    def bring(self, end, begin=0, data=None):
        """The bytes up to `end` in steps, each told of."""
        for start in range(begin, end, STEP):
            self.write(start, min(start + STEP, end), data)
            self.say(f"prefix {min(start + STEP, end)}")

    def read_by_ingest(self, size):
        """Waits until ingest has read so far: all it was told of, as its account of reads tells."""
        def arrived():
            with open(f"/proc/{self.process.pid}/io", encoding="ascii") as file:
                return int(file.readline().split()[1]) >= size
        harness.wait_for(arrived, "ingest to read")

    def end(self):
        out, err = self.process.communicate(timeout=60 * harness.SLOW)
        return harness.Result(self.process.returncode, out, err)


class Staged(harness.TestCase):
    def setUp(self):
        super().setUp()
        gpg = harness.Gpg(self.lab)
        key = gpg.key("Somebody <somebody@example.com>")
        self.trust(gpg, key, "example.com")
        noise = os.urandom(5 * STEP + 12345)
        self.tar = harness.aci_tar(harness.manifest("example.com/web"),
                                   [harness.directory("rootfs"), harness.Entry("rootfs/noise", noise)])
        self.id = harness.image_id(self.tar)
        self.aci = harness.write_aci(self.lab.work / "web.aci", self.tar, compression="none")
        self.asc = gpg.sign(key, self.aci)

    def blob(self):
        name = self.id.replace("sha512-", "")
        file, = (path for path in self.lab.store.rglob(f"*{name[2:]}*") if path.is_file() and path.stat().st_size == len(self.tar))
        return file

    def assert_committed(self, result):
        self.ok(result)
        self.assertEqual(json.loads(result.out)["id"], self.id)
        self.assertEqual(self.image_ids(), [self.id])
        self.assertEqual(hashlib.sha512(self.blob().read_bytes()).hexdigest(), self.id.split("-")[1])
        self.assertEqual(list((self.lab.store / "ingest").iterdir()), [])

    def assert_nothing_kept(self):
        self.assertEqual(self.image_ids(), [])
        self.assertEqual(list((self.lab.store / "ingest").iterdir()), [])

    def test_bytes_are_verified_as_they_come(self):
        transport = Transport(self)
        transport.bring(4 * STEP)
        transport.read_by_ingest(3 * STEP)
        transport.bring(len(self.tar), 4 * STEP)
        transport.shut()
        transport.say(f"complete {len(self.tar)}")
        result = transport.end()
        self.assert_committed(result)
        self.assertNotIn("changed", result.err)

    def test_nothing_is_said_before_the_end(self):
        for size in (None, 0):
            transport = Transport(self, size=size)
            transport.write(0, len(self.tar))
            transport.shut()
            transport.say(f"complete {len(self.tar)}")
            self.assert_committed(transport.end())
            self.ok(self.lab.actool("image", "rm", self.id))

    def test_a_byte_that_is_changed_afterwards(self):
        """What was good when it was read, and is not when all is there, is no image."""
        transport = Transport(self)
        transport.bring(5 * STEP)
        transport.read_by_ingest(4 * STEP)
        transport.write(5 * STEP, len(self.tar))
        os.pwrite(transport.fd, bytes([self.tar[STEP] ^ 1]), STEP)
        transport.shut()
        transport.say(f"complete {len(self.tar)}")
        result = transport.end()
        self.refused(result, 253, "bad signature by key")
        self.assertIn("bytes were changed after they were read", result.err)
        self.assert_nothing_kept()

    def test_a_byte_that_was_wrong_when_it_was_read(self):
        """What counts is what is there at the end."""
        transport = Transport(self)
        wrong = bytearray(self.tar)
        wrong[2 * STEP] ^= 1
        transport.bring(5 * STEP, data=wrong)
        transport.read_by_ingest(4 * STEP)
        transport.write(0, len(self.tar))
        transport.shut()
        transport.say(f"complete {len(self.tar)}")
        result = transport.end()
        self.assertIn("bytes were changed after they were read", result.err)
        self.assert_committed(result)

    def test_a_file_that_stays_open_is_copied(self):
        transport = Transport(self)
        transport.bring(len(self.tar))
        transport.say(f"complete {len(self.tar)}")
        result = transport.end()
        self.assertIn("it is copied", result.err)
        os.pwrite(transport.fd, b"x" * STEP, 0)
        self.assert_committed(result)

    def test_bytes_that_nobody_signed(self):
        transport = Transport(self)
        wrong = bytearray(self.tar)
        wrong[-20000] ^= 1
        transport.bring(len(self.tar), data=wrong)
        transport.shut()
        transport.say(f"complete {len(self.tar)}")
        self.refused(transport.end(), 253, "bad signature by key")
        self.assert_nothing_kept()

    def test_a_transport_that_goes_away_leaves_its_pieces(self):
        transport = Transport(self)
        transport.bring(3 * STEP)
        transport.read_by_ingest(2 * STEP)
        transport.socket.close()
        self.assertNotEqual(transport.end().code, 0)
        self.assertEqual(self.image_ids(), [])
        # Without --staged the next one goes on from the beginning that there is.
        after = self.lab.popen("image", "ingest", "--resume", f"--signature={self.asc}", stdin=-1)
        self.addCleanup(after.communicate)
        self.assertEqual(json.loads(after.stdout.readline())["offset"], 3 * STEP)
        out, err = after.communicate(self.tar[3 * STEP:])
        self.assert_committed(harness.Result(after.returncode, out, err))

    def test_sigterm_while_bytes_come(self):
        transport = Transport(self)
        transport.bring(2 * STEP)
        transport.read_by_ingest(STEP)
        os.killpg(transport.process.pid, signal.SIGTERM)
        self.assertEqual(transport.end().code, -signal.SIGTERM)
        transport.shut()
        again = Transport(self)
        again.bring(len(self.tar))
        again.shut()
        again.say(f"complete {len(self.tar)}")
        self.assert_committed(again.end())

    def test_what_a_transport_must_not_say(self):
        for line, code, why in ((f"complete {2 * STEP}", 254, f"has not the {2 * STEP} bytes that were announced"),
                                (f"complete {STEP}", 253, f"the input ends after {STEP} of the {len(self.tar)} bytes"),
                                ("prefix many", 254, "is not understood"),
                                ("x" * 100, 254, "a line does not end|is not understood"),
                                (f"prefix {100 * STEP}", 254, "became shorter while it was read")):
            transport = Transport(self)
            transport.write(0, STEP)
            os.ftruncate(transport.fd, STEP)
            transport.say(line)
            self.refused(transport.end(), code, why)
            transport.close()
            self.assertEqual(self.image_ids(), [])

    def test_a_bomb_is_refused_before_all_is_there(self):
        transport = Transport(self, "--max-tar-size=1M")
        transport.bring(3 * STEP)
        self.refused(transport.end(), 253, "larger than the limit")


if __name__ == "__main__":
    harness.main()
