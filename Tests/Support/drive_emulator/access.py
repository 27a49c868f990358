"""What one access token may see and do: scopes, and whose files."""

from . import errors
from .drive import ROOT
from .settings import DRIVE

EVERYTHING, FILE, APPDATA = DRIVE, f"{DRIVE}.file", f"{DRIVE}.appdata"
READERS = {EVERYTHING, f"{DRIVE}.readonly", f"{DRIVE}.metadata", f"{DRIVE}.metadata.readonly"}
WRITERS = {EVERYTHING, FILE}
CONTENT_READERS = {EVERYTHING, f"{DRIVE}.readonly", FILE, APPDATA}


class Access:
    def __init__(self, drive, project, scopes):
        # Older clients ask for the hidden folder by its older name.
        self.scopes = {APPDATA if scope == f"{DRIVE}.appfolder" else scope for scope in scopes}
        self.drive, self.project = drive, project

    def may_read(self, file):
        if file.space == "appDataFolder":
            return APPDATA in self.scopes and file.app == self.project
        if self.scopes & READERS:
            return True
        # The root is no app's file: a client that asks for it is told that it is not there.
        return FILE in self.scopes and file.app == self.project

    def alias(self, identifier):
        if identifier == "root":
            return ROOT
        return self.drive.app_folder(self.project) if identifier == "appDataFolder" else identifier

    def check_any(self, scopes):
        if not self.scopes & scopes:
            raise errors.scopes_lacking()

    def file(self, identifier, content=False):
        """The file if this token may read it: whatever else is there is as if it was not."""
        self.check_any(READERS | {FILE, APPDATA})
        file = self.drive.files.get(self.alias(identifier))
        if not file or not self.may_read(file):
            raise errors.not_found(identifier)
        if content:
            self.check_any(CONTENT_READERS)
        return file

    def file_to_change(self, identifier):
        file = self.file(identifier)
        if file.space == "drive" and not self.scopes & WRITERS:
            raise errors.scopes_lacking()
        return file

    def check_spaces(self, spaces):
        for space in spaces:
            if space not in ("drive", "appDataFolder"):
                raise errors.invalid_value("spaces")
            if not self.scopes & (READERS | {FILE} if space == "drive" else {APPDATA}):
                raise errors.Refused(
                    403, "insufficientScopes", "The granted scopes do not give access to all of the requested spaces.",
                    location="spaces")

    def parent(self, identifiers):
        """The folder for a new file, and its space."""
        if len(identifiers) > 1:
            raise errors.Refused(403, "cannotAddParent", "Increasing the number of parents is not allowed")
        wanted = identifiers[0] if identifiers else "root"
        if wanted == "appDataFolder" and APPDATA not in self.scopes:
            raise errors.Refused(
                403, "insufficientScopes", "The granted scopes do not allow use of the Application Data folder.")
        folder = self.drive.files.get(self.alias(wanted))
        if not folder or not (folder.id == ROOT or self.may_read(folder)):
            raise errors.not_found(wanted)
        if folder.space == "drive" and not self.scopes & WRITERS:
            raise errors.scopes_lacking()
        if not folder.is_folder:
            raise errors.Refused(403, "parentNotAFolder", "The specified parent is not a folder.")
        self.drive.check_children(folder.id)
        return folder.id, folder.space
