"""The methods of `drive.files` and `drive.about`."""

import re

from . import errors, fields, writing
from .access import APPDATA, EVERYTHING, FILE
from .file import FIELDS
from .messages import Reply

USUAL = {name: {} for name in ("kind", "id", "name", "mimeType")}
LIST_KNOWN = {"kind", "incompleteSearch", "nextPageToken", "files"}
LIST_USUAL = {"kind": {}, "incompleteSearch": {}, "nextPageToken": {}, "files": USUAL}
ABOUT_KNOWN = {"kind", "user", "storageQuota", "importFormats", "exportFormats", "maxImportSizes", "maxUploadSize", "appInstalled",
               "folderColorPalette", "driveThemes", "teamDriveThemes", "canCreateDrives", "canCreateTeamDrives"}


class Files:
    def __init__(self, drive, listing):
        self.drive, self.listing = drive, listing

    def answer(self, access, query, file, status=200):
        """The file with the fields that were asked for."""
        text = query.get("fields")
        tree = fields.read(text) if text else USUAL
        fields.check(tree, FIELDS, text)
        return Reply.of_json(fields.select(file.resource(self.drive, access.project), tree), status, file=file)

    def about(self, request):
        if not request.query.get("fields"):
            raise errors.Refused(
                400, "required", "The 'fields' parameter is required for this method.", location="fields")
        tree = fields.read(request.query["fields"])
        fields.check(tree, ABOUT_KNOWN, None)
        return Reply.of_json(fields.select(self.drive.about(), tree))

    def generate_ids(self, request):
        request.access.check_any({EVERYTHING, FILE, APPDATA})
        count, space = request.query.get("count", "10"), request.query.get("space", "drive")
        if not count.isdigit() or not 1 <= int(count) <= 1000:
            raise errors.Refused(
                400, "invalidParameter", f"Invalid value '{count}'. Values must be within the range: [1, 1000]", location="count")
        if space not in ("drive", "appDataFolder"):
            raise errors.invalid_value("space")
        answer = {"kind": "drive#generatedIds", "space": space, "ids": self.drive.generate(int(count), space)}
        tree = fields.read(request.query["fields"]) if request.query.get("fields") else {}
        return Reply.of_json(fields.select(answer, tree))

    def list(self, request):
        text = request.query.get("fields")
        tree = fields.read(text) if text else LIST_USUAL
        fields.check(tree, LIST_KNOWN, None)
        fields.check(tree.get("files", {}), FIELDS, None)
        answer, found = self.listing.page(request.access, request.query, request.rule)
        answer["files"] = [file.resource(self.drive, request.access.project) for file in found]
        return Reply.of_json(fields.select(answer, tree))

    def create(self, request):
        return self.answer(request.access, request.query, writing.create(request.access, request.json()))

    def get(self, request, identifier):
        if request.query.get("alt") == "media":
            return self.download(request, identifier)
        return self.answer(request.access, request.query, request.access.file(identifier))

    def update(self, request, identifier):
        return self.answer(
            request.access, request.query, writing.update(request.access, identifier, request.json(), request.query))

    def copy(self, request, identifier):
        access, metadata = request.access, request.json()
        file = access.file(identifier, content=True)
        if file.is_folder:
            raise errors.Refused(403, "cannotCopyFile", "This file cannot be copied by the user.")
        wanted = {"name": f"Copy of {file.name}", "mimeType": file.mimeType, "parents": file.parents} | metadata
        return self.answer(access, request.query, writing.create(access, wanted, file.contents and file.contents.copy()))

    def delete(self, request, identifier):
        file = request.access.file_to_change(identifier)
        if not file.parents:
            raise errors.of_reason(403, "insufficientFilePermissions")
        self.drive.remove(file.id)
        return Reply(204)

    def empty_trash(self, request):
        request.access.check_any({EVERYTHING})
        for file in [one for one in self.drive.files.values() if one.trashed]:
            if file.id in self.drive.files:
                self.drive.remove(file.id)
        return Reply(204)

    def download(self, request, identifier):
        file = request.access.file(identifier, content=True)
        if file.contents is None:
            raise errors.Refused(
                403, "fileNotDownloadable", "Only files with binary content can be downloaded. Use Export with Docs Editors "
                "files.", location="alt")
        if file.abusive and request.query.get("acknowledgeAbuse") != "true":
            raise errors.of_reason(403, "cannotDownloadAbusiveFile")
        headers = {"Content-Type": file.mimeType, "Accept-Ranges": "bytes", "Cache-Control": "private, max-age=0"}
        wanted = asked_range(request.headers.get("Range"), file.size)
        if wanted is None:
            return Reply(200, file.contents.read(), headers)
        if wanted == ():
            error = errors.Refused(
                416, "requestedRangeNotSatisfiable", "Request range not satisfiable", location="Range", location_type="header",
                headers={"Content-Range": f"bytes */{file.size}"})
            raise error
        first, last = wanted
        headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
        return Reply(206, file.contents.read(first, last + 1), headers)


def asked_range(text, size):
    """First and last byte (RFC 9110 section 14.1.2); `None` if there is none to obey, `()` if there are no such bytes."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (text or "").strip())
    if not match or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = min(int(match[2]), size)
        return (size - length, size - 1) if length else ()
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    return (first, min(last, size - 1)) if first < size else ()
