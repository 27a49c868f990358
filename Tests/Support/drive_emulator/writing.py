"""Making and changing files from what a request says of them."""

import copy
import mimetypes

from . import errors
from .file import FIELDS, FOLDER, GOOGLE_TYPES, WRITABLE, WRITABLE_ONCE
from .query import seconds

PLAIN = ("description", "folderColorRgb", "originalFilename", "contentHints", "copyRequiresWriterPermission", "shortcutDetails")


def check_writable(metadata, new):
    for name in metadata:
        if name == "parents" and not new:
            raise errors.Refused(
                403, "fieldNotWritable", "The parents field is not directly writable in update requests. Use the addParents "
                "and removeParents parameters instead.")
        if name in FIELDS and name not in WRITABLE and not (new and name in WRITABLE_ONCE):
            raise errors.Refused(403, "fieldNotWritable", "The resource body includes fields which are not directly writable.")
    if not isinstance(metadata.get("name", ""), str) or len(metadata.get("name", "")) > 32767:
        raise errors.invalid_value("name")


def check_new(access, metadata, size=None):
    """Everything that can be refused before the bytes come; returns the folder and the space."""
    check_writable(metadata, new=True)
    parents = metadata.get("parents") or []
    folder, space = access.parent(parents)
    if identifier := metadata.get("id"):
        access.drive.check_identifier(identifier, space, metadata.get("mimeType") or "")
    if size is not None:
        access.drive.check_room(size)
    return folder, space


def create(access, metadata, contents=None, media_type=None):
    """A new file. `contents` is `None` where only metadata came."""
    drive = access.drive
    folder, space = check_new(access, metadata, contents.size if contents else 0)
    mime_type = metadata.get("mimeType") or usual(media_type) or mimetypes.guess_type(metadata.get("name") or "")[0]
    mime_type = mime_type or "application/octet-stream"
    if contents is None and not mime_type.startswith(GOOGLE_TYPES):
        contents = drive.contents()
    if contents is not None and mime_type == FOLDER:
        raise errors.bad_request("A folder has no contents.")
    file = drive.made(
        metadata.get("id"), metadata.get("name") or "Untitled", mime_type, space, access.project, parents=[folder],
        contents=contents)
    apply(file, metadata)
    if "createdTime" in metadata:
        file.createdTime = time_of(metadata, "createdTime")
    drive.put(file)
    drive.count_upload(file.size)
    return file


def usual(media_type):
    media_type = (media_type or "").split(";")[0].strip()
    return media_type if media_type not in ("", "*/*") else None


def time_of(metadata, name):
    try:
        return seconds(metadata[name])
    except (errors.Refused, TypeError):
        raise errors.invalid_value(name) from None


def apply(file, metadata):
    for name in ("name", "mimeType", "starred"):
        if metadata.get(name) is not None:
            setattr(file, name, metadata[name])
    for name in ("properties", "appProperties"):
        if name in metadata:
            joined = getattr(file, name) | (metadata[name] or {})
            setattr(file, name, {key: value for key, value in joined.items() if value is not None})
    if "modifiedTime" in metadata:
        file.modifiedTime = time_of(metadata, "modifiedTime")
    file.extra = file.extra | {name: metadata[name] for name in PLAIN if name in metadata}


def update(access, identifier, metadata, query, contents=None, media_type=None):
    drive = access.drive
    file = access.file_to_change(identifier)
    check_writable(metadata, new=False)
    if contents is not None and file.mimeType.startswith(GOOGLE_TYPES):
        raise errors.bad_request("This file has no contents to replace.")
    if contents is not None:
        drive.check_room(contents.size - file.size)
    parents = moved(access, file, query)
    file.modifiedTime = drive.clock.now()
    if "trashed" in metadata:
        trash(drive, file, bool(metadata["trashed"]))
    apply(file, metadata)
    file.parents = parents
    if contents is not None:
        if file.contents:
            file.contents.drop()
        file.contents = contents
        file.revision += 1
        file.mimeType = metadata.get("mimeType") or usual(media_type) or file.mimeType
        drive.count_upload(contents.size)
    file.version += 1
    drive.put(file)
    return file


def trash(drive, file, trashed):
    if file.space == "appDataFolder":
        raise errors.Refused(
            403, "notSupportedForAppDataFolderFiles", "Method not supported for files within the Application Data folder.")
    if not file.parents:
        raise errors.of_reason(403, "insufficientFilePermissions")
    file.trashed, file.trashedTime = trashed, drive.clock.now() if trashed else None


def moved(access, file, query):
    """The parents after `addParents` and `removeParents`."""
    removed = {access.alias(one) for one in query.get("removeParents", "").split(",") if one}
    parents = [one for one in file.parents if one not in removed]
    for one in query.get("addParents", "").split(","):
        if not one:
            continue
        folder, space = access.parent([one])
        if file.id in drive_path(access.drive, folder):
            raise errors.Refused(403, "cannotMoveIntoItself", "A folder cannot be moved into itself.")
        if space != file.space:
            raise errors.Refused(403, "cannotMoveBetweenSpaces", "Files cannot be moved between spaces.")
        parents = [folder]
    if not parents and file.parents:
        return file.parents
    return parents


def drive_path(drive, folder):
    """The folder and all above it."""
    found = []
    while folder:
        found.append(folder)
        above = drive.files[folder].parents
        folder = above[0] if above else None
    return found


def duplicate(drive, file, **changes):
    """The same name and bytes once more under another identifier, as another client or a retry within Google makes it."""
    other = copy.copy(file)
    other.id = drive.new_identifier(file.space)
    other.createdTime = other.modifiedTime = drive.clock.now()
    other.contents = file.contents and file.contents.copy()
    for name, value in changes.items():
        setattr(other, name, value)
    drive.put(other)
    return other
