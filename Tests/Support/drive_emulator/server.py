"""The emulator's HTTP: bodies, faults, and answers that end too early."""

import socket
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .emulator import Emulator
from .messages import Request

READ_BYTES = 65_536
NAMES = {308: "Resume Incomplete", 428: "Precondition Required", 499: "Client Closed Request"}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, emulator, port=0, role="all"):
        self.emulator, self.role = emulator, role
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def begin(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def stop(self):
        self.emulator.clock.end()
        self.shutdown()
        self.server_close()
        self.emulator.end()

    def handle_error(self, request, client_address):
        """Clients that go away are what this is for; anything else is a mistake of the emulator."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300

    def exchange(self):
        request = self.request_of()
        emulator = self.server.emulator
        if request.path.startswith("/emulator/"):
            request.body, request.complete = self.body()
            return self.send(emulator.control.answer(request))
        operation, call, identifier = emulator.route(request)
        rule = rule_for(emulator, operation, request)
        request.rule = rule
        if rule and rule.get("closed"):
            emulator.note(request, operation, None, rule)
            return self.hang_up()
        cut = rule.get("cutRequest") if rule else None
        request.body, request.complete = self.body(cut)
        reply = self.reply_with(rule, request, call, identifier)
        emulator.note(request, operation, reply.status if reply else None, rule)
        if reply is None or (rule and rule.get("lost")):
            return self.hang_up()
        self.send(reply, rule.get("cut") if rule else None)
        if cut is not None:
            self.hang_up()

    def reply_with(self, rule, request, call, identifier):
        """The answer, with what the rule does before and after; `None` closes the line."""
        emulator = self.server.emulator
        if rule is None:
            return emulator.answer(request, call, identifier)
        if rule.get("stall") and rule.before:
            emulator.clock.wait(rule.get("stall"))
        if rule.get("status") and rule.before and rule.get("cutRequest") is None:
            return emulator.fault_reply(rule, request)
        reply = emulator.answer(request, call, identifier)
        if rule.get("stall") and not rule.before:
            emulator.clock.wait(rule.get("stall"))
        if reply is None or not request.complete:
            return emulator.fault_reply(rule, request) if rule.get("status") else None
        with emulator.lock:
            reply = emulator.spoil(rule, reply)
        return emulator.fault_reply(rule, request) if rule.get("status") else reply

    def request_of(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        host = self.headers.get("Host") or self.server.address.removeprefix("http://")
        # Somebody ended TLS for a client that believes that this is Google.
        scheme = "https" if host.partition(":")[0].endswith((".googleapis.com", ".google.com")) else "http"
        base = f"{scheme}://{host}"
        method = self.headers.get("X-HTTP-Method-Override", self.command)
        request = Request(method, urllib.parse.unquote(parts.path), query, self.headers, base, role=self.server.role)
        if method == "GET" and self.command == "POST":
            # Long queries come as a form.
            request.query |= dict(urllib.parse.parse_qsl(self.body()[0].decode(), keep_blank_values=True))
            del self.headers["Content-Length"]
        return request

    def body(self, cut=None):
        """What came, and whether that is all of it."""
        found = bytearray()
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                return self.chunked(cut)
            length = int(self.headers.get("Content-Length") or 0)
            wanted = length if cut is None else min(cut, length)
            # In parts: what came before a line broke is not lost.
            while len(found) < wanted and (part := self.rfile.read(min(READ_BYTES, wanted - len(found)))):
                found += part
            return bytes(found), len(found) == length
        except (OSError, ValueError):
            return bytes(found), False

    def chunked(self, cut):
        found = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            part = self.rfile.read(size)
            self.rfile.readline()
            found += part
            if cut is not None and len(found) >= cut:
                return found[:cut], False
            if len(part) < size:
                return found, False
            if size == 0:
                return found, True

    def send(self, reply, cut=None):
        body = b"" if self.command == "HEAD" else reply.body
        self.send_response_only(reply.status, NAMES.get(reply.status))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Date", self.date_time_string(int(self.server.emulator.clock.now())))
        self.send_header("Server", "Drive emulator")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        whole = cut is None or cut >= len(body)
        self._headers_buffer.append(b"\r\n" + (body if whole else body[:cut]))
        self.flush_headers()
        if not whole:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = exchange

    def log_message(self, *_):
        pass


def rule_for(emulator, operation, request):
    with emulator.lock:
        return emulator.faults.take(operation or "", request.method, request.path, urllib.parse.urlencode(request.query))


def start(folder=None, port=0, settings=None):
    """A server that runs in a thread of its own; `address` is where, `stop()` ends it, `emulator` is what it holds."""
    return Server(Emulator(folder, settings), port).begin()
