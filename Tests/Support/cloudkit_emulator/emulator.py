"""Both hosts together: which request goes where, and whose it is."""

import json
import re
import threading

from drive_emulator.clock import Clock
from drive_emulator.faults import Faults, corrupted
from drive_emulator.messages import Reply
from drive_emulator.server import Server

from .assets import Assets
from .control import Control
from .errors import BY_STATUS, Refused, bad_request
from .operations import Operations
from .records import Database
from .settings import Settings
from .sign_in import SignIns

PATH = re.compile(r"/database/1/(?P<container>[^/]+)/(?P<environment>[^/]+)/(?P<database>[^/]+)/(?P<operation>[a-z]+/[a-z]+)")
NEXT_TOKEN = "X-Apple-CloudKit-Web-Auth-Token"


class Emulator:
    def __init__(self, settings=None):
        self.clock, self.settings, self.faults = Clock(), Settings(), Faults()
        self.settings.change(settings or {})
        self.lock = threading.RLock()
        self.requests, self.databases = [], {}
        self.sign_ins = SignIns(self.settings, self.clock)
        self.assets = Assets(self.settings, self.clock)
        self.operations = Operations(self.settings, self.clock, self.assets)
        self.control = Control(self)

    def route(self, request):
        """The name that faults know it by, and who answers it."""
        if request.role == "assets":
            return "assets.download" if request.method == "GET" else "assets.data", self.assets.answer, None
        if request.path == "/signin":
            return "signin", self.sign_ins.page, None
        match = PATH.fullmatch(request.path)
        name = match["operation"].replace("/", ".") if match else "unknown"
        return name, lambda request: self.operate(request, match), None

    def answer(self, request, call, _):
        with self.lock:
            # A body that is not whole is no request.
            return call(request) if request.complete else None

    def operate(self, request, match):
        """One operation of CloudKit: the token is taken first, and the answer brings the next, be it an error or not."""
        try:
            sign_in = self.sign_ins.take(request)
            request.notes[NEXT_TOKEN] = self.sign_ins.fresh(sign_in)
            reply = self.perform(request, match, sign_in)
        except Refused as refused:
            reply = refused.reply()
        reply.headers = reply.headers | request.notes
        return reply

    def perform(self, request, match, sign_in):
        if not match or match["operation"] not in self.operations.known():
            raise Refused("NOT_FOUND", "no such operation")
        if match["container"] != self.settings.container or match["environment"] not in ("development", "production"):
            raise Refused("BAD_REQUEST", "Invalid container or environment")
        if match["database"] != "private":
            raise Refused("ACCESS_DENIED", "only the private database is here")
        database = self.databases.get(sign_in.user)
        if not database:
            database = self.databases[sign_in.user] = Database(sign_in.user, self.settings, self.clock, self.assets)
        try:
            body = json.loads(request.body) if request.body.strip() else {}
            if not isinstance(body, dict):
                raise ValueError
        except ValueError:
            raise bad_request("Unexpected input") from None
        return getattr(self.operations, match["operation"].replace("/", "_"))(database, body)

    def fault_reply(self, rule, request):
        """The error that a rule wants. With `phase` "after" the token was taken, and the answer brings the next one."""
        status = rule.get("status")
        more = {"retryAfter": rule.get("retryAfter")} if rule.get("retryAfter") is not None else {}
        code = rule.get("reason") or BY_STATUS.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
        reply = Reply(status) if request.role == "assets" else Refused(code, rule.get("message") or code, **more).reply(status)
        reply.headers = reply.headers | request.notes | (rule.get("headers") or {})
        return reply

    def spoil(self, rule, reply):
        return corrupted(rule, reply)

    def note(self, request, operation, status, rule):
        """For tests that count. No tokens, no bodies."""
        with self.lock:
            self.requests.append({
                "operation": operation, "method": request.method, "status": status, "bytes": len(request.body),
                "range": request.headers.get("Range"), "fault": rule.values if rule else None})

    def end(self):
        self.clock.end()


class Running:
    """Two hosts of one emulator. `address` is the one for records."""

    def __init__(self, emulator, port):
        self.emulator = emulator
        self.assets = Server(emulator, role="assets").begin()
        emulator.assets.address = self.assets.address
        self.records = Server(emulator, port, role="records").begin()
        self.address = self.records.address

    def stop(self):
        self.records.stop()
        self.assets.stop()


def start(port=0, settings=None):
    """An emulator that runs in threads of its own; `stop()` ends it."""
    return Running(Emulator(settings), port)
