"""A bad line before a real server: busy answers, answers that are cut, and answers that are lost when all was done.

    line = FaultProxy("http://127.0.0.1:5000")
    ... line.address ...
    line.stop()

    python fault_proxy.py http://127.0.0.1:5000     prints its address, and ends when its input does
"""

import http.client
import random
import socket
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = ("busy", "lost", "cut")


class FaultProxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, seed=7, share=0.15, kinds=KINDS, busy=(503, b""), delay=0.0):
        """
        address: `http://HOST:PORT` of the server.
        share: of the requests that something happens to.
        kinds: what: `busy` (the server never hears of it), `lost` (it is done, and no answer comes), `cut` (half an answer), `stall`
            (it is done, and nothing moves any more).
        busy: status and body of a busy answer; or a function that gives them.
        delay: seconds that each request takes longer.
        """
        self.upstream = urllib.parse.urlsplit(address)
        self.dice = random.Random(seed)
        self.share, self.kinds, self.busy, self.delay = share, kinds, busy, delay
        self.lock = threading.Lock()
        self.faults = {}
        self.seen = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()

    @property
    def fault_count(self):
        return sum(self.faults.values())

    def see(self, method, path, headers):
        """Notes a request, and says what happens to it, or None."""
        with self.lock:
            self.seen.append((method, path, headers))
            kind = self.dice.choice(self.kinds) if self.dice.random() < self.share else None
            if kind:
                self.faults[kind] = self.faults.get(kind, 0) + 1
            return kind

    def handle_error(self, request, client_address):
        pass  # whoever hangs up is no news here


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name):
        # Every method there is: PROPFIND, MKCOL, PATCH.
        if name.startswith("do_"):
            return self.exchange
        raise AttributeError(name)

    def exchange(self):
        body = self.body()
        if body is None:
            return self.hang_up()
        self.fault = self.server.see(self.command, self.path, dict(self.headers))
        if self.server.delay:
            time.sleep(self.server.delay)
        if self.fault == "busy":
            status, content = self.server.busy() if callable(self.server.busy) else self.server.busy
            return self.answer(status, [], content)
        status, headers, content = self.ask(body)
        if self.fault == "lost":
            return self.hang_up()
        if self.fault == "stall":
            self.connection.recv(1)
            return self.hang_up()
        self.answer(status, headers, content, cut=self.fault == "cut")

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            # Whoever was killed meanwhile has sent nothing: the server must not get a part for the whole.
            return body if len(body) == length else None
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def ask(self, body):
        """What the server says; redirections are answers like any others."""
        has_body = body or self.command in ("PUT", "POST", "PATCH") or "content-length" in self.headers
        upstream = self.upstream(len(body) if has_body else None)
        try:
            upstream.endheaders(body)
            reply = upstream.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            upstream.close()

    def upstream(self, length):
        """A line to the server on which the request stands, but for its body."""
        upstream = http.client.HTTPConnection(self.server.upstream.hostname, self.server.upstream.port)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "expect"):
                upstream.putheader(name, value)
        if length is not None:
            upstream.putheader("Content-Length", str(length))
        return upstream

    def answer(self, status, headers, content, cut=False):
        bodyless = self.command == "HEAD" or status in (204, 304)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
            elif self.command == "HEAD" and name.lower() == "content-length":
                self.send_header(name, value)
        if not bodyless:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if bodyless:
            return
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    print(FaultProxy(sys.argv[1]).address, flush=True)
    sys.stdin.read()
