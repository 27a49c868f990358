"""The Drive emulator, but resumable uploads go to a server of another make, and each line breaks once in the middle.

    front = DriveOnGCS(drive_address, gcs_address)
    ... front.address ...
    front.stop()

What a session says (308, `Range`, done) is the other server's word. When it has all bytes they are made a file of the emulator,
which says what Drive says of a new file.
"""

import http.client
import json
import secrets
import urllib.parse
from http.server import BaseHTTPRequestHandler

from background import BackgroundServer

PIECE = 262_144
BEGIN = "/upload/storage/v1/b/coffer/o?uploadType=resumable&name="


def ask(address, method, path, body=None, headers=None):
    """Status, headers, body."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.headers), reply.read()
    finally:
        connection.close()


class DriveOnGCS(BackgroundServer):
    def __init__(self, drive, gcs):
        self.drive, self.gcs = drive, gcs
        self.sessions = {}
        # How often a line broke in the middle, and an upload went on from there.
        self.broken, self.resumed = 0, 0
        super().__init__(Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def exchange(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            # Whoever was killed meanwhile has sent a part, which is none of these pieces.
            return self.hang_up()
        path, query = urllib.parse.urlsplit(self.path).path, dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if query.get("upload_id") in self.server.sessions:
            return self.go_on(self.server.sessions[query["upload_id"]], body)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        answer = ask(self.server.drive, self.command, self.path, body or None, headers)
        if query.get("uploadType") == "resumable" and answer[0] == 200:
            return self.begin(path, query, json.loads(body))
        self.send(*answer)

    def begin(self, path, query, metadata):
        """The emulator would have taken it; the other server does."""
        wanted = {"Content-Type": "application/json"}
        if size := self.headers.get("X-Upload-Content-Length"):
            wanted["X-Upload-Content-Length"] = size
        name = secrets.token_hex(8)
        status, headers, _ = ask(self.server.gcs, "POST", BEGIN + name, json.dumps({"name": name}), wanted)
        token = secrets.token_urlsafe(16)
        self.server.sessions[token] = {
            "place": headers["Location"].removeprefix(self.server.gcs), "name": name, "metadata": metadata, "unbroken": True,
            "fields": query.get("fields", "id"), "authorization": self.headers["Authorization"]}
        place = f"http://{self.headers['Host']}{path}?uploadType=resumable&upload_id={token}"
        self.send(status, {"Location": place}, b"")

    def go_on(self, session, body):
        """One piece, or the question what is there."""
        span = self.headers.get("Content-Range")
        half = len(body) // 2 // PIECE * PIECE
        if session["unbroken"] and half:
            session["unbroken"] = False
            first, _, rest = span.removeprefix("bytes ").partition("-")
            span = f"bytes {first}-{int(first) + half - 1}/{rest.partition('/')[2]}"
            self.server.broken += 1
            ask(self.server.gcs, self.command, session["place"], body[:half], {"Content-Range": span})
            return self.hang_up()
        self.server.resumed += bool(body) and not span.startswith("bytes 0-")
        status, headers, answer = ask(self.server.gcs, self.command, session["place"], body, {"Content-Range": span} if span else {})
        if status == 308:
            # It says bytes=0-0 of a session in which there is nothing yet; Google says nothing.
            kept = headers.get("Range") if headers.get("Range") != "bytes=0-0" else None
            return self.send(308, {"Range": kept} if kept else {}, b"")
        if status != 200:
            return self.send(status, {"Content-Type": "application/json"}, answer)
        self.send(*self.made(session))

    def made(self, session):
        """A file of the emulator, of the bytes that the other server has."""
        status, _, content = ask(self.server.gcs, "GET", f"/storage/v1/b/coffer/o/{session['name']}?alt=media")
        boundary = secrets.token_hex(16).encode()
        part = b"--" + boundary + b"\r\nContent-Type: application/json\r\n\r\n"
        body = part + json.dumps(session["metadata"]).encode() + b"\r\n" + part.replace(b"json", b"octet-stream") + content
        body += b"\r\n--" + boundary + b"--\r\n"
        query = urllib.parse.urlencode({"uploadType": "multipart", "fields": session["fields"]})
        return ask(self.server.drive, "POST", f"/upload/drive/v3/files?{query}", body, {
            "Content-Type": f"multipart/related; boundary={boundary.decode()}", "Authorization": session["authorization"]})

    def send(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(2)
        except OSError:
            pass

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = exchange

    def log_message(self, *_):
        pass
