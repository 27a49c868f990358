"""What tests say to the emulator: plain requests, and shorthands for steering it."""

import http.client
import json
import unittest
import urllib.parse
from dataclasses import dataclass

from .server import start
from .settings import DRIVE

DESKTOP = {"client_id": "111111111111-desktop.apps.googleusercontent.com", "client_secret": "GOCSPX-emulator-desktop"}
TV = {"client_id": "111111111111-tv.apps.googleusercontent.com", "client_secret": "GOCSPX-emulator-tv"}
OTHER = "222222222222-other.apps.googleusercontent.com"
FOLDER = "application/vnd.google-apps.folder"


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        return self.json["error"]["errors"][0]["reason"]


class Client:
    """One signed-in program. `address` is the emulator's."""

    def __init__(self, address, token=None):
        self.address, self.token = address, token

    def call(self, method, path, body=None, headers=None, query=None):
        host = urllib.parse.urlsplit(self.address).netloc
        path = path.removeprefix(self.address)
        if query:
            path += "?" + urllib.parse.urlencode(query)
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(host, timeout=20)
        try:
            connection.request(method, path, body, {name: value for name, value in headers.items() if value is not None})
            reply = connection.getresponse()
            return Answer(reply.status, dict(reply.headers), reply.read())
        finally:
            connection.close()

    def control(self, what, value=None, method=None):
        return self.call(method or ("GET" if value is None else "POST"), f"/emulator/{what}", value, {"Authorization": None}).json

    def form(self, path, **values):
        return self.call(
            "POST", path, urllib.parse.urlencode(values).encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None})

    # Drive

    def new_id(self, space="drive"):
        return self.call("GET", "/drive/v3/files/generateIds", query={"count": 1, "space": space}).json["ids"][0]

    def multipart(self, metadata, content, query=None, path="/upload/drive/v3/files", method="POST"):
        body = (b"--b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n" + json.dumps(metadata).encode()
                + b"\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--b--\r\n")
        return self.call(method, path, body, {"Content-Type": "multipart/related; boundary=b"},
                         {"uploadType": "multipart"} | (query or {}))

    def make(self, name, content=b"", **metadata):
        return self.multipart({"name": name} | metadata, content).json["id"]

    def folder(self, name):
        return self.call("POST", "/drive/v3/files", {"name": name, "mimeType": FOLDER}).json["id"]

    def list(self, q="", **query):
        return self.call("GET", "/drive/v3/files", query={"q": q, "fields": "nextPageToken,incompleteSearch,files(id,name)"} | query)

    def names(self, q="", **query):
        return sorted(file["name"] for file in self.list(q, **query).json["files"])

    def begin(self, metadata, size=None, query=None):
        headers = {} if size is None else {"X-Upload-Content-Length": str(size)}
        return self.call("POST", "/upload/drive/v3/files", metadata, headers, {"uploadType": "resumable"} | (query or {}))

    def chunk(self, session, content, first=None, total=None, method="PUT", headers=None):
        headers = {"Authorization": None} | (headers or {})
        if first is not None:
            headers["Content-Range"] = f"bytes {first}-{first + len(content) - 1}/{'*' if total is None else total}"
        return self.call(method, session, content, headers)

    def asks(self, session, total="*"):
        return self.call("PUT", session, b"", {"Content-Range": f"bytes */{total}", "Authorization": None})


class EmulatorTest(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.server = start(settings=self.settings)
        self.addCleanup(self.server.stop)
        self.me = self.signed_in()

    def signed_in(self, scope=f"{DRIVE}.file", **values):
        control = Client(self.server.address)
        return Client(self.server.address, control.control("token", {"scope": scope} | values)["access_token"])

    def refused(self, answer, status, reason):
        self.assertEqual((answer.status, answer.reason), (status, reason))
        self.assertEqual(answer.json["error"]["code"], status)
        return answer
