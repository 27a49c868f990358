"""One file or folder of a Drive, and how it looks in answers."""

import os
from dataclasses import asdict, dataclass, field

from .clock import written

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
GOOGLE_TYPES = "application/vnd.google-apps."

# Of version 3's schema; a selection of any other name is an error.
FIELDS = set("""appProperties capabilities clientEncryptionDetails contentHints contentRestrictions copyRequiresWriterPermission
createdTime description downloadRestrictions driveId explicitlyTrashed exportLinks fileExtension folderColorRgb
fullFileExtension hasAugmentedPermissions hasThumbnail headRevisionId iconLink id imageMediaMetadata
inheritedPermissionsDisabled isAppAuthorized kind labelInfo lastModifyingUser linkShareMetadata md5Checksum mimeType
modifiedByMe modifiedByMeTime modifiedTime name originalFilename ownedByMe owners parents permissionIds permissions properties
quotaBytesUsed resourceKey sha1Checksum sha256Checksum shared sharedWithMeTime sharingUser shortcutDetails size spaces starred
teamDriveId thumbnailLink thumbnailVersion trashed trashedTime trashingUser version videoMediaMetadata viewedByMe
viewedByMeTime viewersCanCopyContent webContentLink webViewLink writersCanShare""".split())
# What a client may write; anything else of the schema is refused.
WRITABLE = set("""appProperties contentHints contentRestrictions copyRequiresWriterPermission description folderColorRgb mimeType
modifiedTime name originalFilename properties starred trashed viewedByMeTime writersCanShare keepRevisionForever
downloadRestrictions inheritedPermissionsDisabled kind""".split())
WRITABLE_ONCE = {"createdTime", "id", "parents", "shortcutDetails"}


@dataclass
class File:
    id: str
    name: str
    mimeType: str
    space: str
    app: str
    createdTime: float
    modifiedTime: float
    parents: list = field(default_factory=list)
    trashed: bool = False
    trashedTime: float | None = None
    starred: bool = False
    abusive: bool = False
    version: int = 1
    revision: int = 1
    properties: dict = field(default_factory=dict)
    appProperties: dict = field(default_factory=dict)
    extra: dict = field(default_factory=dict)
    contents: object = None

    @property
    def is_folder(self):
        return self.mimeType == FOLDER

    @property
    def size(self):
        return self.contents.size if self.contents else 0

    def kept(self):
        """As the journal keeps it."""
        contents, self.contents = self.contents, None
        values = asdict(self)
        self.contents = contents
        return values | {"contents": contents and contents.name}

    def resource(self, drive, project):
        """As answers show it to one project, with everything that this emulator knows."""
        user = drive.user | {"kind": "drive#user", "me": True}
        shown = self.extra | {
            "kind": "drive#file", "id": self.id, "name": self.name, "mimeType": self.mimeType, "starred": self.starred,
            "trashed": drive.is_trashed(self), "explicitlyTrashed": self.trashed, "parents": self.parents, "version": str(self.version),
            "spaces": [self.space], "createdTime": written(self.createdTime), "modifiedTime": written(self.modifiedTime),
            "modifiedByMeTime": written(self.modifiedTime), "modifiedByMe": True, "viewedByMe": True, "ownedByMe": True,
            "viewedByMeTime": written(self.modifiedTime), "owners": [user], "lastModifyingUser": user, "shared": False,
            "isAppAuthorized": self.app == project, "quotaBytesUsed": str(self.size), "writersCanShare": True,
            "webViewLink": f"https://drive.google.com/file/d/{self.id}/view?usp=drivesdk", "hasThumbnail": False,
            "permissionIds": [user["permissionId"]], "permissions": [drive.permission],
            "capabilities": {"canEdit": True, "canDelete": True, "canDownload": not self.is_folder, "canTrash": True,
                             "canAddChildren": self.is_folder, "canListChildren": self.is_folder},
        }
        if not self.parents:
            del shown["parents"]
        for name in ("properties", "appProperties"):
            if getattr(self, name):
                shown[name] = getattr(self, name)
        if self.trashedTime:
            shown["trashedTime"] = written(self.trashedTime)
        if self.contents is not None:
            extension = os.path.splitext(self.name)[1].lstrip(".")
            shown |= {
                "size": str(self.size), "md5Checksum": self.contents.md5, "sha1Checksum": self.contents.sha1,
                "sha256Checksum": self.contents.sha256, "originalFilename": self.extra.get("originalFilename", self.name),
                "headRevisionId": f"{self.id}-r{self.revision}", "fileExtension": extension, "fullFileExtension": extension,
                "webContentLink": f"https://drive.google.com/uc?id={self.id}&export=download",
            }
        return shown
