"""Strangers against the limits of a real vault: whatever they do, honest requests are answered meanwhile."""

import os
import pathlib
import resource
import socket
import subprocess
import sys
import time
import unittest
import urllib.request

from fleet import FleetSession, free_port
from session import BINARIES

MESSAGE_BYTES = 5257


class Limits(FleetSession):
    vault_count = 1
    request_seconds = 1

    def serve_options(self, name):
        return ["--request-seconds", str(self.request_seconds), "--answer-seconds", "3", "--idle-seconds", "2",
                "--metrics", f"127.0.0.1:{self.metrics_port}"]

    def setUp(self):
        self.metrics_port = free_port()
        super().setUp()
        self.sockets = []
        self.addCleanup(self.close_all)

    def close_all(self):
        for each in self.sockets:
            each.close()

    def connect(self, sent=b""):
        connection = socket.create_connection(("127.0.0.1", self.ports["one"]), timeout=20)
        self.sockets.append(connection)
        if sent:
            connection.sendall(sent)
        return connection

    def get(self, path, port=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.ports['one']}{path}", timeout=20) as answer:
            return answer.read()

    def metric(self, name):
        page = self.get("/metrics", self.metrics_port).decode()
        return next((float(line.split()[-1]) for line in page.split("\n") if line.startswith(name + " ")), 0)

    def closed(self, reason):
        return self.metric(f'coffer_vault_connections_closed_total{{reason="{reason}"}}')

    def assert_honest_work_goes_on(self):
        self.assertEqual(len(self.get("/v1/key")), self.key_bytes)
        self.assertEqual(self.get("/ready"), b"ready\n")

    def end_of(self, connection, drip=b"", seconds=15):
        """Seconds until the vault closes the connection, while a byte is sent from time to time."""
        start = time.monotonic()
        connection.settimeout(0.2)
        while time.monotonic() - start < seconds:
            try:
                if drip:
                    connection.sendall(drip)
                if connection.recv(65536) == b"":
                    return time.monotonic() - start
            except TimeoutError:
                continue
            except OSError:
                return time.monotonic() - start
        self.fail("the vault keeps the connection")

    def resident_megabytes(self):
        status = pathlib.Path(f"/proc/{self.processes['one'].pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def test_what_strangers_do(self):
        """One vault for all of them, as in life."""
        self.key_bytes = len(self.get("/v1/key"))
        for attack in (self.slow_headers, self.slow_body, self.body_without_end, self.header_bombs, self.slow_reader,
                       self.long_line, self.garbage, self.half_closed):
            with self.subTest(attack.__name__):
                attack()
                self.assert_honest_work_goes_on()
                self.assertLess(self.resident_megabytes(), 400)
        with self.subTest("ten thousand idle connections"):
            self.ten_thousand_idle_connections()

    def slow_headers(self):
        connection = self.connect(b"GET /health HTTP/1.1\r\nhost: vault\r\nx-slow: ")
        self.assertGreater(self.end_of(connection, drip=b"a"), 0.5)
        self.assertGreaterEqual(self.closed("slow_request"), 1)

    def slow_body(self):
        before = self.closed("slow_request")
        connection = self.connect(
            b"POST /v1/message HTTP/1.1\r\nhost: vault\r\ncontent-length: %d\r\n\r\n" % MESSAGE_BYTES)
        self.end_of(connection, drip=b"a")
        self.assertGreater(self.closed("slow_request"), before)

    def body_without_end(self):
        """In chunks, and with a length that is a lie."""
        for head in (b"transfer-encoding: chunked", b"content-length: 99999999999"):
            connection = self.connect(b"POST /v1/message HTTP/1.1\r\nhost: vault\r\n" + head + b"\r\n\r\n")
            chunk = b"1000\r\n" + bytes(0x1000) + b"\r\n"
            answer = b""
            connection.settimeout(1)
            try:
                for _ in range(2000):
                    connection.sendall(chunk)
                answer = connection.recv(4096)
            except OSError:
                pass
            self.assertIn(b"413", answer or b"413 was lost with the connection")
            self.end_of(connection, drip=chunk)

    def header_bombs(self):
        for bomb in (b"x-a: b\r\n" * 50_000, b"x-a: " + b"b" * 1_000_000, b"x-" + b"a" * 1_000_000 + b": b"):
            connection = self.connect(b"GET /health HTTP/1.1\r\nhost: vault\r\n")
            try:
                connection.sendall(bomb + b"\r\n\r\n")
                answer = connection.recv(4096)
            except OSError:
                answer = b""
            self.assertNotIn(b"200", answer.split(b"\r\n")[0])
            self.end_of(connection)

    def slow_reader(self):
        """Asks for the key, thousands of times, or sends messages, and never reads."""
        for request in (b"GET /v1/key HTTP/1.1\r\nhost: vault\r\n\r\n",
                        b"POST /v1/message HTTP/1.1\r\nhost: vault\r\ncontent-length: 5257\r\n\r\n" + bytes(5257)):
            with self.subTest(request=request[:20]):
                self.never_reads(request)

    def never_reads(self, request):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", self.ports["one"]))
        self.sockets.append(connection)
        connection.settimeout(0.5)
        reasons = ("slow_reader", "slow_request", "pipelined")
        before = sum(map(self.closed, reasons))
        start = time.monotonic()
        with self.assertRaises(OSError):
            while time.monotonic() - start < 15:
                try:
                    connection.sendall(request * 10)
                except TimeoutError:
                    continue
        self.assertGreater(sum(map(self.closed, reasons)), before)

    def long_line(self):
        connection = self.connect(b"GET /")
        try:
            for _ in range(400):
                connection.sendall(b"a" * 65536)
        except OSError:
            pass
        self.end_of(connection)

    def garbage(self):
        for junk in (os.urandom(100_000), b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 50_000):
            connection = self.connect()
            try:
                connection.sendall(junk)
            except OSError:
                pass
            self.end_of(connection)

    def half_closed(self):
        connection = self.connect(b"POST /v1/message HTTP/1.1\r\nhost: vault\r\ncontent-length: 10\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        self.end_of(connection)

    def ten_thousand_idle_connections(self):
        count = 10_000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < count + 500:
            self.skipTest(f"this machine lets a process open {hard} files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        # All of them at the same time, however slow the machine is.
        self.stop("one")
        self.request_seconds = 300
        self.start("one")
        start = time.monotonic()
        for _ in range(count):
            self.connect()
        self.get("/v1/key")
        self.assertGreater(self.metric("coffer_vault_connections"), count - 1)
        for _ in range(20):
            self.get("/v1/key")
        self.enable(self.make_notes())
        self.coffer("status")
        print(f"{count} idle connections: {time.monotonic() - start:.0f} s, of which the vault computed "
              f"{self.metric('process_cpu_seconds_total'):.0f} s; {self.resident_megabytes():.0f} MB resident",
              file=sys.stderr)


class Places(FleetSession):
    vault_count = 1

    def serve_options(self, name):
        return ["--connections", "20", "--request-seconds", "60", "--idle-seconds", "60"]

    def test_who_opens_every_place_crowds_out_his_own(self):
        idle = []
        for _ in range(200):
            connection = socket.create_connection(("127.0.0.1", self.ports["one"]), timeout=10)
            self.addCleanup(connection.close)
            idle.append(connection)
        self.enable(self.make_notes())
        self.coffer("status")
        self.assertEqual(idle[0].recv(1), b"", "the oldest one made room")

    def test_a_vault_that_cannot_keep_its_promise_of_places_does_not_start(self):
        self.stop("one")
        shell = 'ulimit -n 1000; exec "$0" "$@"'
        done = subprocess.run(
            ["bash", "-c", shell, str(BINARIES / "coffer-vault"), "serve", "one", "--listen", "127.0.0.1:0"],
            env=self.environment("operator"), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 69)
        self.assertIn("LimitNOFILE", done.stderr)
        self.assertIn("--connections 744", done.stderr)
        self.vault("serve", "one", "--connections", "0", expect=64)


if __name__ == "__main__":
    unittest.main()
