"""All rooms together: which request goes where, and who may ask."""

import os
import re
import threading

from . import errors, writing
from .access import Access
from .clock import Clock
from .control import Control
from .drive import Drive
from .errors import Refused, SignInRefused
from .faults import Faults, corrupted
from .files import Files
from .grants import Grants
from .journal import Journal
from .listing import Listing
from .messages import Reply
from .oauth import OAuth
from .settings import Settings
from .uploads import Uploads

IDENTIFIER = r"(?P<identifier>[^/:]+)"


class Emulator:
    def __init__(self, folder=None, settings=None):
        self.folder = folder
        self.clock, self.settings, self.faults = Clock(), Settings(), Faults()
        self.settings.change(settings or {})
        self.lock = threading.RLock()
        self.requests = []
        contents = folder and os.path.join(folder, "contents")
        if contents:
            os.makedirs(contents, exist_ok=True)
        self.journal = journal = Journal(folder)
        self.drive = Drive(self.settings, self.clock, journal, contents)
        self.grants = Grants(self.settings, self.clock, journal)
        self.oauth = OAuth(self.grants, self.settings, self.clock)
        self.files = Files(self.drive, Listing(self.drive, self.settings, self.clock))
        self.uploads = Uploads(self.drive, self.settings, self.clock, self.files.answer)
        self.control = Control(self)
        self.routes = [(method, re.compile(path), name, call) for method, path, name, call in self.all_routes()]

    def all_routes(self):
        """Method, path, the name that faults know it by, and who answers. Those of Drive need an access token."""
        files, oauth = self.files, self.oauth
        drive = r"/drive/v3/"
        return [
            ("GET", drive + "about", "drive.about.get", files.about),
            ("GET", drive + "files/generateIds", "drive.files.generateIds", files.generate_ids),
            ("DELETE", drive + "files/trash", "drive.files.emptyTrash", files.empty_trash),
            ("GET", drive + "files", "drive.files.list", files.list),
            ("POST", drive + "files", "drive.files.create", files.create),
            ("POST", drive + f"files/{IDENTIFIER}/copy", "drive.files.copy", files.copy),
            ("GET", drive + f"files/{IDENTIFIER}", "drive.files.get", files.get),
            ("PATCH", drive + f"files/{IDENTIFIER}", "drive.files.update", files.update),
            ("DELETE", drive + f"files/{IDENTIFIER}", "drive.files.delete", files.delete),
            ("POST", f"(/resumable)?/upload{drive}files", "drive.files.create", self.upload),
            ("PATCH", f"(/resumable)?/upload{drive}files/{IDENTIFIER}", "drive.files.update", self.upload),
            # A session's address takes either method.
            ("PUT|POST|DELETE", f"(/resumable)?/upload{drive}files(/{IDENTIFIER})?", "upload.chunk", self.upload),
            ("GET", "/o/oauth2/(v2/)?auth", "oauth.authorize", oauth.authorize),
            ("GET|POST", "(/o/oauth2)?/token", "oauth.token", oauth.token),
            ("POST", "(/o/oauth2)?/device/code", "oauth.device", oauth.device_code),
            ("GET", "/device", "oauth.devicePage", oauth.device_page),
            ("GET|POST", "(/o/oauth2)?/revoke", "oauth.revoke", oauth.revoke),
            ("GET", "/tokeninfo|/oauth2/v3/tokeninfo", "oauth.tokenInfo", oauth.token_info),
        ]

    def route(self, request):
        """The operation's name, who answers it, and the identifier in its path."""
        if "upload_id" in request.query and "/upload/" in request.path:
            asks = request.headers.get("Content-Range", "").startswith("bytes */")
            return "upload.query" if asks else "upload.chunk", lambda request: self.uploads.go_on(request), None
        for methods, path, name, call in self.routes:
            match = path.fullmatch(request.path)
            if match and request.method in methods.split("|"):
                if name == "drive.files.get" and request.query.get("alt") == "media":
                    name = "drive.files.download"
                if "/upload/" in request.path and request.query.get("uploadType") == "resumable":
                    name = "upload.start"
                return name, call, match.groupdict().get("identifier")
        return None, None, None

    def upload(self, request, identifier=None):
        kind = request.query.get("uploadType")
        if kind == "resumable":
            return self.uploads.start(request, identifier)
        if kind in ("media", "multipart"):
            return self.uploads.simple(request, identifier)
        raise errors.bad_request("Missing or unknown uploadType.")

    def answer(self, request, call, identifier):
        """What a good line brings back; errors are answers too."""
        try:
            with self.lock:
                needs_access = "/drive/v3/" in request.path
                if needs_access:
                    self.authorize(request, session="upload_id" in request.query)
                if not request.complete and "upload_id" not in request.query:
                    return None
                if call is None:
                    raise Refused(404, "notFound", "Not Found")
                return call(request, identifier) if identifier else call(request)
        except (Refused, SignInRefused) as refused:
            return error_reply(refused)

    def authorize(self, request, session):
        """A session's address needs no token, but one that is there must be good."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip() if kind.lower() == "bearer" else request.query.get("access_token")
        if not token:
            if session:
                return
            raise errors.login_required()
        grant = self.grants.of_access(token)
        if not grant:
            raise errors.invalid_credentials()
        request.access = Access(self.drive, grant.project, grant.scopes)

    def note(self, request, operation, status, rule):
        """For tests that count. No tokens, no bodies."""
        with self.lock:
            self.requests.append({
                "operation": operation, "method": request.method, "path": request.path, "status": status,
                "bytes": len(request.body), "range": request.headers.get("Content-Range") or request.headers.get("Range"),
                "query": {name: value for name, value in request.query.items() if name not in ("access_token", "upload_id", "code")},
                "fault": rule.values if rule else None})

    def fault_reply(self, rule, request):
        """The error that a rule wants, in the form of this endpoint."""
        status, reason, message, headers = (rule.get(name) for name in ("status", "reason", "message", "headers"))
        if "/drive/v3/" in request.path:
            return error_reply(errors.of_reason(status, reason, message, headers))
        refused = SignInRefused(status, reason or "internal_failure", message)
        refused.headers = headers or {}
        return error_reply(refused)

    def spoil(self, rule, reply):
        """What a rule does to an answer when all was done."""
        if rule.get("duplicate") and reply.file:
            writing.duplicate(self.drive, reply.file)
        return corrupted(rule, reply)

    def end(self):
        self.clock.end()
        with self.lock:
            self.journal.close()


def error_reply(refused):
    return Reply(refused.code, refused.body(), {"Content-Type": "application/json; charset=UTF-8"} | refused.headers)
