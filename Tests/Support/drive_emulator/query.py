"""The language of `q` in files.list: read once, then asked of each file.

`and` and `or` bind alike and are read from left to right, as Google's guide says.
"""

import calendar
import re
import time

from .errors import invalid_value

TOKEN = re.compile(r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<sign><=|>=|!=|=|<|>|\(|\)|\{|\})|(?P<word>[A-Za-z][A-Za-z0-9_]*))""", re.S)
SIGNS = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}
TIMES = {"createdTime", "modifiedTime", "viewedByMeTime", "sharedWithMeTime"}


def tokens(text):
    position, found = 0, []
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match:
            raise invalid_value("q")
        kind = match.lastgroup
        value = match.group(kind)
        if kind == "text":
            value = re.sub(r"\\(.)", lambda escaped: unescaped(escaped.group(1)), value[1:-1], flags=re.S)
        found.append((kind, value))
        position = match.end()
    return found


def unescaped(character):
    if character not in "\\'":
        raise invalid_value("q")
    return character


class Query:
    """`test(file)` says whether a file is asked for. `parents` are the folders that it names."""

    def __init__(self, text, drive, alias):
        self.drive, self.alias, self.parents = drive, alias, []
        self.rest = tokens(text)
        self.test = self.either() if self.rest else lambda file: True
        if self.rest:
            raise invalid_value("q")

    def next(self, kind=None, value=None):
        if not self.rest or (kind and self.rest[0][0] != kind) or (value and self.rest[0][1] not in value):
            raise invalid_value("q")
        return self.rest.pop(0)[1]

    def at(self, *values):
        return bool(self.rest) and self.rest[0][0] != "text" and self.rest[0][1] in values

    def either(self):
        left = self.one()
        while self.at("and", "or"):
            word, right = self.next(), self.one()
            left = both(left, right) if word == "and" else any_of(left, right)
        return left

    def one(self):
        if self.at("not"):
            self.next()
            inner = self.one()
            return lambda file: not inner(file)
        if self.at("("):
            self.next()
            inner = self.either()
            self.next("sign", [")"])
            return inner
        if self.rest and self.rest[0][0] == "text":
            return self.within(self.next())
        return self.term(self.next("word"))

    def within(self, value):
        """`'VALUE' in FIELD`"""
        self.next("word", ["in"])
        name = self.next("word", ["parents", "owners", "writers", "readers"])
        if name != "parents":
            mine = value in ("me", self.drive.user["emailAddress"])
            return lambda file: mine
        folder = self.alias(value)
        self.parents.append(folder)
        return lambda file: folder in file.parents

    def term(self, name):
        if name in ("properties", "appProperties"):
            return self.having(name)
        if name in ("trashed", "starred", "sharedWithMe"):
            return self.flag(name)
        if name in TIMES:
            return self.moment(name)
        if name in ("name", "mimeType", "fullText", "visibility"):
            return self.words(name)
        raise invalid_value("q")

    def flag(self, name):
        if not self.at("=", "!="):
            if name != "sharedWithMe":
                raise invalid_value("q")
            return lambda file: False
        wanted = (self.next(), self.next("word", ["true", "false"]))
        wanted = (wanted[1] == "true") == (wanted[0] == "=")
        if name == "trashed":
            return lambda file: self.drive.is_trashed(file) == wanted
        return lambda file: (name == "starred" and file.starred) == wanted

    def moment(self, name):
        sign, text = SIGNS[self.next("sign", list(SIGNS))], self.next("text")
        wanted = seconds(text)
        attribute = name if name in ("createdTime", "modifiedTime") else "modifiedTime"
        return lambda file: sign(round(getattr(file, attribute), 3), wanted)

    def words(self, name):
        sign = self.next("sign", ["=", "!="]) if self.at("=", "!=") else self.next("word", ["contains"])
        text = self.next("text")
        if name in ("fullText", "visibility"):
            return lambda file: text.lower() in file.name.lower() if name == "fullText" else text == "limited"
        if sign == "contains":
            return lambda file: holds(getattr(file, name), text, anywhere=name == "mimeType")
        # Letters' case does not count here, as clients found out.
        return lambda file: (getattr(file, name).lower() == text.lower()) == (sign == "=")

    def having(self, name):
        """`properties has { key='A' and value='B' }`"""
        self.next("word", ["has"])
        self.next("sign", ["{"])
        self.next("word", ["key"]), self.next("sign", ["="])
        key = self.next("text")
        self.next("word", ["and"]), self.next("word", ["value"]), self.next("sign", ["="])
        value = self.next("text")
        self.next("sign", ["}"])
        return lambda file: getattr(file, name).get(key) == value


def both(left, right):
    return lambda file: left(file) and right(file)


def any_of(left, right):
    return lambda file: left(file) or right(file)


def holds(text, part, anywhere):
    """Of a name only beginnings of words are found."""
    text, part = text.lower(), part.lower()
    if anywhere:
        return part in text
    return any(text.startswith(part, start) for start in [0] + [found.end() for found in re.finditer(r"[\W_]+", text)])


def seconds(text):
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", text)
    if not match:
        raise invalid_value("q")
    try:
        whole = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        raise invalid_value("q") from None
    offset = 0
    if match[3] and match[3] != "Z":
        offset = (int(match[3][1:3]) * 60 + int(match[3][4:])) * 60 * (-1 if match[3][0] == "-" else 1)
    return whole + float(match[2] or 0) - offset
