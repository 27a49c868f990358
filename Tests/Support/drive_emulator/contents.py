"""Bytes of files, in memory or in a folder, and their hashes."""

import hashlib
import os
import uuid


class Contents:
    """Bytes that grow at their end."""

    def __init__(self, folder=None, name=None):
        self.size = 0
        self.hashes = [hashlib.md5(), hashlib.sha1(), hashlib.sha256()]
        self.folder, self.name = folder, name or uuid.uuid4().hex
        self.bytes = bytearray() if folder is None else None
        if folder is not None and name is not None and os.path.exists(self.path):
            self.read_again()

    @property
    def path(self):
        return os.path.join(self.folder, self.name)

    def read_again(self):
        with open(self.path, "rb") as file:
            while part := file.read(1 << 20):
                self.count(part)

    def count(self, part):
        self.size += len(part)
        for one in self.hashes:
            one.update(part)

    def add(self, part):
        if self.folder is None:
            self.bytes += part
        else:
            with open(self.path, "ab") as file:
                file.write(part)
        self.count(part)

    def read(self, start=0, stop=None):
        stop = self.size if stop is None else stop
        if self.folder is None:
            return bytes(self.bytes[start:stop])
        if not self.size:
            return b""
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def copy(self):
        other = Contents(self.folder)
        other.add(self.read())
        return other

    def drop(self):
        if self.folder is not None and os.path.exists(self.path):
            os.remove(self.path)

    @property
    def md5(self):
        return self.hashes[0].hexdigest()

    @property
    def sha1(self):
        return self.hashes[1].hexdigest()

    @property
    def sha256(self):
        return self.hashes[2].hexdigest()
