"""files.list: the query, the order, pages, and what lists get wrong."""

import secrets

from . import errors
from .query import Query

ORDERS = {
    "createdTime": lambda file: file.createdTime, "modifiedTime": lambda file: file.modifiedTime,
    "modifiedByMeTime": lambda file: file.modifiedTime, "recency": lambda file: file.modifiedTime,
    "viewedByMeTime": lambda file: file.modifiedTime, "sharedWithMeTime": lambda file: 0,
    "name": lambda file: file.name.lower(), "name_natural": lambda file: file.name.lower(),
    "folder": lambda file: not file.is_folder, "quotaBytesUsed": lambda file: file.size, "starred": lambda file: not file.starred,
}
# What a page token belongs to; the others may change from page to page.
FIXED = ("q", "orderBy", "spaces", "corpora")


class Listing:
    def __init__(self, drive, settings, clock):
        self.drive, self.settings, self.clock = drive, settings, clock
        self.tokens = {}  # token: (when, project, what was asked, the files left)

    def page(self, access, query, rule=None):
        asked = tuple(query.get(name, "") for name in FIXED)
        size = self.page_size(query)
        if token := query.get("pageToken"):
            left = self.resumed(token, access, asked)
        else:
            left = self.found(access, query)
        answer = {"kind": "drive#fileList", "incompleteSearch": False}
        empty = bool(rule and rule.get("emptyPage"))
        here, left = ([], left) if empty else (left[:size], left[size:])
        if left:
            answer["nextPageToken"] = self.token_for(access, asked, left)
        # What is gone by now leaves a page that is shorter, or empty.
        here = [file for file in here if self.settings.lagSeconds or file.id in self.drive.files]
        if rule and (rule.get("incompleteSearch") or rule.get("forgetful")):
            here, answer["incompleteSearch"] = here[::2], bool(rule.get("incompleteSearch"))
        return answer, here

    def token_for(self, access, asked, left):
        token = f"~!!~{secrets.token_urlsafe(60)}"
        self.tokens[token] = (self.clock.now(), access.project, asked, left)
        return token

    def page_size(self, query):
        text = query.get("pageSize", "100")
        if not text.isdigit() or int(text) < 1:
            raise errors.Refused(
                400, "invalidParameter", f"Invalid value '{text}'. Values must be within the range: [1, 1000]", location="pageSize")
        return min(int(text), 1000, self.settings.pageSizeMax)

    def resumed(self, token, access, asked):
        when, project, before, left = self.tokens.get(token, (0, None, None, None))
        if project != access.project or before != asked or when + self.settings.pageTokenSeconds < self.clock.now():
            raise errors.invalid_value("pageToken")
        return left

    def found(self, access, query):
        spaces = [one for one in query.get("spaces", "drive").split(",") if one]
        access.check_spaces(spaces)
        if query.get("corpora", "user") not in ("user", "allDrives", "domain"):
            raise errors.invalid_value("corpora")
        wanted = Query(query.get("q", ""), self.drive, access.alias)
        for folder in wanted.parents:
            known = self.drive.files.get(folder)
            if not known or not (not known.parents or access.may_read(known)):
                raise errors.not_found("")
        files = [
            file for file in self.drive.seen_by_lists()
            if file.space in spaces and file.parents and wanted.test(file) and access.may_read(file)]
        return ordered(files, query.get("orderBy", ""))


def ordered(files, order):
    files.sort(key=lambda file: (-file.modifiedTime, file.id))
    for part in reversed([one for one in order.split(",") if one.strip()]):
        words = part.split()
        if words[0] not in ORDERS or words[1:] not in ([], ["desc"]):
            raise errors.invalid_value("orderBy")
        files.sort(key=ORDERS[words[0]], reverse=bool(words[1:]))
    return files
