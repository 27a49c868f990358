"""One person's Drive: its files, what lists see of them later, its identifiers and its room."""

import collections
import copy
import secrets

from . import errors
from .clock import written
from .contents import Contents
from .file import FOLDER, GOOGLE_TYPES, File

ROOT = "0AEmulatorRootPVA"
HISTORY_SECONDS = 3600
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Drive:
    def __init__(self, settings, clock, journal, folder=None):
        self.settings, self.clock, self.journal, self.folder = settings, clock, journal, folder
        self.user = {"displayName": "Ada Example", "emailAddress": "ada@example.org", "permissionId": "01234567890123456789"}
        self.permission = {"kind": "drive#permission", "id": self.user["permissionId"], "type": "user", "role": "owner"}
        self.files = {}
        # Kept up with every change, so that a large folder does not slow each upload down.
        self.used, self.children, self.counted = 0, collections.Counter(), {}
        self.history = {}  # identifier: [(since when, the file then or None)]
        self.generated = {}  # identifier: the space it is for
        self.taken = set()
        self.uploaded = []  # (when, bytes)
        for key, values in journal.of("file").items():
            contents = values["contents"] and Contents(folder, values["contents"])
            self.files[key] = File(**values | {"contents": contents})
            self.count(key)
        self.generated = journal.of("generated")
        self.taken = set(journal.of("taken"))
        if ROOT not in self.files:
            self.put(self.made(ROOT, "My Drive", FOLDER, "drive", None))

    # Files

    def made(self, identifier, name, mime_type, space, app, **more):
        now = self.clock.now()
        return File(identifier or self.new_identifier(space), name, mime_type, space, app, **{
            "createdTime": now, "modifiedTime": now} | more)

    def app_folder(self, app):
        """The folder of one project that nobody sees; made when it is first asked for."""
        identifier = f"1AppData{app}"
        if identifier not in self.files:
            self.put(self.made(identifier, "Application Data", FOLDER, "appDataFolder", app))
        return identifier

    def contents(self, bytes_=b""):
        made = Contents(self.folder)
        if bytes_:
            made.add(bytes_)
        return made

    def put(self, file):
        """A new file, or a new state of one; lists see it when the lag is over."""
        self.files[file.id] = file
        self.count(file.id)
        self.note(file.id, copy.copy(file))
        self.journal.put("file", file.id, file.kept())

    def remove(self, identifier):
        """For good, with everything below it."""
        for child in [one.id for one in self.files.values() if identifier in one.parents]:
            self.remove(child)
        file = self.files.pop(identifier)
        self.count(identifier)
        if file.contents:
            file.contents.drop()
        self.note(identifier, None)
        self.journal.put("file", identifier, None)
        self.taken.add(identifier)
        self.journal.put("taken", identifier, True)

    def count(self, identifier):
        """Room and children, after this file came, changed or went."""
        size, parents = self.counted.pop(identifier, (0, []))
        self.used -= size
        self.children.subtract(parents)
        if file := self.files.get(identifier):
            self.counted[identifier] = file.size, file.parents
            self.used += file.size
            self.children.update(file.parents)

    def note(self, identifier, state):
        now = self.clock.now()
        states = self.history.setdefault(identifier, [])
        old = [one for one in states if one[0] <= now - HISTORY_SECONDS]
        states[:] = old[-1:] + [one for one in states if one[0] > now - HISTORY_SECONDS] + [(now, state)]

    def seen_by_lists(self):
        """The files as they were when the lag began."""
        if not self.settings.lagSeconds:
            yield from list(self.files.values())
            return
        then = self.clock.now() - self.settings.lagSeconds
        for identifier in list(self.history.keys() | self.files.keys()):
            # What a journal brought back has no history: it was always there.
            states = [state for when, state in self.history.get(identifier, [(0, self.files.get(identifier))]) if when <= then]
            if states and states[-1] is not None:
                yield states[-1]

    def is_trashed(self, file):
        """Its own doing, or a folder's above it."""
        while file:
            if file.trashed:
                return True
            file = self.files.get(file.parents[0]) if file.parents else None
        return False

    # Identifiers

    def new_identifier(self, space):
        return "1" + "".join(secrets.choice(LETTERS) for _ in range(60 if space == "appDataFolder" else 32))

    def generate(self, count, space):
        made = [self.new_identifier(space) for _ in range(count)]
        for one in made:
            self.generated[one] = space
            self.journal.put("generated", one, space)
        return made

    def check_identifier(self, identifier, space, mime_type):
        if identifier in self.files or (identifier in self.taken and self.settings.deletedStayTaken):
            raise errors.Refused(409, "fileIdInUse", "A file already exists with the provided ID.")
        if self.generated.get(identifier) != space:
            raise errors.Refused(400, "invalid", "The provided file ID is not usable.", location="file.id", location_type="other")
        if mime_type.startswith(GOOGLE_TYPES) and mime_type != FOLDER:
            raise errors.Refused(403, "insufficientFilePermissions", "Generated IDs are not supported for Docs Editors formats.")

    # Room

    def check_room(self, bytes_more):
        if self.settings.quotaBytes is not None and self.used + bytes_more > self.settings.quotaBytes:
            raise errors.of_reason(403, "storageQuotaExceeded")
        if self.settings.dailyUploadBytes is not None:
            since = self.clock.now() - 86400
            self.uploaded = [one for one in self.uploaded if one[0] > since]
            if sum(bytes_ for _, bytes_ in self.uploaded) + bytes_more > self.settings.dailyUploadBytes:
                raise errors.of_reason(403, "userRateLimitExceeded")

    def check_children(self, parent):
        if parent != ROOT and self.children[parent] >= self.settings.childrenMax:
            raise errors.of_reason(403, "numChildrenInNonRootLimitExceeded")

    def count_upload(self, bytes_):
        self.uploaded.append((self.clock.now(), bytes_))

    def about(self):
        in_trash = sum(file.size for file in self.files.values() if self.is_trashed(file))
        quota = {"usage": str(self.used), "usageInDrive": str(self.used), "usageInDriveTrash": str(in_trash)}
        if self.settings.quotaBytes is not None:
            quota["limit"] = str(self.settings.quotaBytes)
        return {
            "kind": "drive#about", "user": self.user | {"kind": "drive#user", "me": True}, "storageQuota": quota,
            "importFormats": {}, "exportFormats": {}, "maxImportSizes": {}, "maxUploadSize": "5242880000000",
            "appInstalled": False, "folderColorPalette": [], "driveThemes": [], "teamDriveThemes": [], "canCreateDrives": False,
            "canCreateTeamDrives": False,
        }

    def shown(self):
        """Everything, for tests: without the folders that are always there."""
        return [
            {"id": file.id, "name": file.name, "parents": file.parents, "space": file.space, "project": file.app,
             "mimeType": file.mimeType, "size": file.size, "sha256Checksum": file.contents and file.contents.sha256,
             "trashed": self.is_trashed(file), "createdTime": written(file.createdTime)}
            for file in self.files.values() if file.parents]
