"""The three ways in which bytes come: media, multipart, and resumable sessions.

A session's address is a secret of its own: whoever has it can go on without a sign-in. What a broken line brought is kept in
whole pieces of 256 KiB, so a client must ask how much arrived and must not guess.
"""

import base64
import re
import secrets
from dataclasses import dataclass

from . import errors, writing
from .messages import Reply

PIECE = 256 * 1024
RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class Session:
    access: object
    query: dict
    metadata: dict
    # The file that is to be replaced; None makes a new one.
    identifier: str | None
    media_type: str | None
    size: int | None
    started: float
    contents: object
    reply: object = None


class Uploads:
    def __init__(self, drive, settings, clock, answer):
        self.drive, self.settings, self.clock = drive, settings, clock
        # Makes the answer that shows a file as the first request asked for.
        self.answer = answer
        self.sessions = {}

    def simple(self, request, identifier):
        """`uploadType=media` and `uploadType=multipart`."""
        if self.settings.simpleBytesMax is not None and len(request.body) > self.settings.simpleBytesMax:
            raise errors.Refused(413, "uploadTooLarge", "Request Too Large")
        metadata, media_type, body = {}, request.headers.get("Content-Type"), request.body
        if request.query.get("uploadType") == "multipart":
            metadata, media_type, body = parts(request)
        return self.commit(request.access, request.query, metadata, identifier, media_type, self.drive.contents(body))

    def commit(self, access, query, metadata, identifier, media_type, contents):
        if identifier is None:
            file = writing.create(access, metadata, contents, media_type)
        else:
            file = writing.update(access, identifier, metadata, query, contents, media_type)
        return self.answer(access, query, file)

    def start(self, request, identifier):
        metadata = request.json()
        size = request.headers.get("X-Upload-Content-Length")
        if size is not None and not size.isdigit():
            raise errors.bad_request("Invalid X-Upload-Content-Length")
        size = None if size is None else int(size)
        if identifier is None:
            writing.check_new(request.access, metadata, size)
        else:
            file = request.access.file_to_change(identifier)
            writing.check_writable(metadata, new=False)
            self.drive.check_room((size or 0) - file.size)
        token = "AEmu" + secrets.token_urlsafe(40)
        self.sessions[token] = Session(
            request.access, request.query, metadata, identifier, request.headers.get("X-Upload-Content-Type"), size,
            self.clock.now(), self.drive.contents())
        return Reply(200, headers={
            "Location": f"{request.base}{request.path}?uploadType=resumable&upload_id={token}", "X-GUploader-UploadID": token})

    def go_on(self, request):
        """One piece of a session, or the question how much of it is here."""
        token = request.query["upload_id"]
        session = self.sessions.get(token)
        if not session or session.started + self.settings.uploadSeconds < self.clock.now():
            self.sessions.pop(token, None)
            raise errors.Refused(404, "notFound", "Upload session not found.")
        if request.method == "DELETE":
            self.sessions.pop(token).contents.drop()
            return Reply(499)
        if session.reply:
            return session.reply
        first, last, total = self.range_of(request, session)
        if first is not None:
            self.take(request, session, first, last, total)
        if total is not None and session.contents.size == total and request.complete:
            session.reply = self.commit(
                session.access, session.query, session.metadata, session.identifier, session.media_type, session.contents)
            return session.reply
        return self.incomplete(request, session)

    def range_of(self, request, session):
        """What this request brings (first, last) of how much; `None` is unknown or nothing."""
        text, length = request.headers.get("Content-Range"), len(request.body)
        if text is None:
            announced = request.headers.get("Content-Length")
            length = int(announced) if announced else length
            first, last, total = 0, length - 1, length
        else:
            match = RANGE.fullmatch(text.strip())
            if not match:
                raise errors.bad_request("Failed to parse Content-Range header.")
            first, last = (None, None) if match[1] is None else (int(match[1]), int(match[2]))
            total = None if match[3] == "*" else int(match[3])
            if first is not None and request.complete and last - first + 1 != length:
                raise errors.bad_request("Content-Range and Content-Length do not agree.")
        known = session.size
        if total is not None and known is not None and total != known:
            raise errors.bad_request("Upload size differs from what was announced.")
        return first, last, total if total is not None or first is not None else known

    def take(self, request, session, first, last, total):
        here = session.contents.size
        if first > here:
            raise errors.Refused(
                503, "backendError", "Invalid request.  According to the Content-Range header, the upload offset is "
                f"{first} byte(s), which exceeds already uploaded size of {here} byte(s).")
        final = total is not None and last + 1 == total
        if request.complete and not final and (last + 1 - first) % PIECE:
            raise errors.bad_request(
                "Invalid request.  The number of bytes uploaded is required to be equal or greater than 262144, except for "
                "the final request (it's recommended to be the exact multiple of 262144).")
        fresh = request.body[here - first:]
        if not request.complete:
            fresh = fresh[:max(0, (first + len(request.body)) // PIECE * PIECE - here)]
        if session.size is not None and here + len(fresh) > session.size:
            raise errors.bad_request("More bytes came than were announced.")
        self.drive.check_room(here + len(fresh))
        if fresh:
            session.contents.add(fresh)

    def incomplete(self, request, session):
        headers = {"X-GUploader-UploadID": request.query["upload_id"]}
        if session.contents.size:
            headers["Range"] = f"bytes=0-{session.contents.size - 1}"
        if request.headers.get("X-GUploader-No-308", "").lower() == "yes":
            return Reply(200, headers=headers | {"X-HTTP-Status-Code-Override": "308"})
        return Reply(308, headers=headers)


def parts(request):
    """The metadata, the type of the bytes, and the bytes of a multipart/related body."""
    match = re.search(r'boundary="?([^";]+)"?', request.headers.get("Content-Type", ""))
    if not match:
        raise errors.bad_request("Missing end boundary in multipart body.")
    boundary = b"--" + match[1].encode()
    body = b"\r\n" + request.body if request.body.startswith(boundary) else request.body
    pieces = re.split(rb"\r?\n" + re.escape(boundary) + rb"(?=--|[ \t]*\r?\n)", body)
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        raise errors.bad_request("Missing end boundary in multipart body.")
    (_, metadata), (headers, content) = part(pieces[1]), part(pieces[2])
    if headers.get("content-transfer-encoding", "").lower() == "base64":
        content = base64.b64decode(content)
    found = type(request)("", "", {}, {}, "", body=metadata).json()
    return found, headers.get("content-type"), content


def part(bytes_):
    match = re.match(rb"[ \t]*\r?\n((?:[^\r\n]+\r?\n)*)\r?\n", bytes_)
    if not match:
        raise errors.bad_request("Malformed multipart body.")
    lines = match[1].decode("utf-8", "replace").splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return headers, bytes_[match.end():]
