"""A request as the rooms of the emulator see it, and their answer."""

import json
import urllib.parse
from dataclasses import dataclass, field

from .errors import bad_request


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: object
    # `scheme://host` as the client wrote it: what a session's address begins with.
    base: str
    body: bytes = b""
    # False: the line broke before the body's end.
    complete: bool = True
    access: object = None
    # The fault that a test wants here.
    rule: object = None
    # What an emulator remembers of it on its way.
    notes: dict = field(default_factory=dict)
    # Which of an emulator's hosts was asked, where it has several.
    role: str = "all"

    def json(self):
        if not self.body.strip():
            return {}
        try:
            found = json.loads(self.body)
        except ValueError:
            raise bad_request("Parse Error") from None
        if not isinstance(found, dict):
            raise bad_request("Parse Error")
        return found

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    # The file that this request made or changed; faults that concern a file use it.
    file: object = None

    @staticmethod
    def of_json(value, status=200, headers=None, file=None):
        return Reply(status, json.dumps(value, indent=1, ensure_ascii=False).encode(), {
            "Content-Type": "application/json; charset=UTF-8", "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
        } | (headers or {}), file)

    @staticmethod
    def of_page(text, status=200):
        return Reply(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})
