"""An account's WhatsApp files, sealed as Specs/crypt15.md says, fast and apart from the code under test."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import sqlite3
import zlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_FILE_HEAD = bytes.fromhex("aced00057572 00025b42acf317f8060854e0020000787000000020")


def padded(data):
    count = 16 - len(data) % 16
    return data + bytes([count]) * count


class Account:
    def __init__(self, root=None):
        self.root = root or os.urandom(32)

    @property
    def digits(self):
        return self.root.hex()

    @property
    def groups(self):
        return [self.digits[place:place + 4] for place in range(0, 64, 4)]

    @property
    def key_file(self):
        return KEY_FILE_HEAD + self.root

    def derived(self, info, length=32):
        return HKDF(hashes.SHA256(), length, None, info).derive(self.root)

    def crypt15(self, content, deflate=True):
        nonce = os.urandom(16)
        header = b"\x08\x01\x1a\x12\x0a\x10" + nonce
        payload = zlib.compress(content, 1) if deflate else content
        sealed = bytes([len(header)]) + header + AESGCM(self.derived(b"backup encryption")).encrypt(nonce, payload, None)
        return sealed + hashlib.md5(sealed).digest()

    def media(self, path, content):
        """The name without its ending, and the bytes."""
        digest = hashlib.sha256(path.encode()).digest() + hashlib.md5(content).digest()
        name = hmac.new(self.root, digest, "sha256").digest()
        key = self.derived(name, 48)
        return name.hex().upper(), AESGCM(key[:32]).encrypt(key[32:], content, None)

    def metadata(self, values):
        text = values if isinstance(values, bytes) else json.dumps(values).encode()
        nonce = os.urandom(16)
        encryptor = Cipher(algorithms.AES(self.derived(b"metadata encryption")), modes.CBC(nonce)).encryptor()
        sealed = encryptor.update(padded(text)) + encryptor.finalize()
        mac = hmac.new(self.derived(b"metadata authentication"), nonce + sealed, "sha256").digest()
        return base64.b64encode(b"\x10" + nonce + b"\x20" + mac + sealed)

    def put_media(self, folder, path, content, name=None, metadata=True):
        """A file as it lies in a download of the cloud backup; its metadata name it, or say what is given."""
        own, sealed = self.media(path if isinstance(path, str) else "x", content)
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name or own}.mcrypt1").write_bytes(sealed)
        if metadata is True:
            metadata = {"name": path, "md5Hash": hashlib.md5(content).hexdigest(), "updateTime": "2026-01-01T00:00:00+00:00"}
        if metadata is not False:
            text = metadata if isinstance(metadata, bytes) else self.metadata(metadata)
            (folder / f"{name or own}.mcrypt1-metadata").write_bytes(text)
        return name or own


def message_database(path, messages=3_000):
    """A database of messages with free pages in it, closed."""
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE chat (_id INTEGER PRIMARY KEY, subject); CREATE TABLE message (_id INTEGER PRIMARY KEY, text_data, data BLOB);"
        "INSERT INTO chat VALUES (1, 'choir');")
    rows = [(number, f"message {number}", os.urandom(600)) for number in range(messages)]
    connection.executemany("INSERT INTO message VALUES (?, ?, ?)", rows)
    connection.commit()
    connection.execute("DELETE FROM message WHERE _id % 10 = 3 AND _id > ?", (messages * 2 // 3,))
    connection.execute("DELETE FROM message WHERE _id > ?", (messages - messages // 8,))
    connection.commit()
    connection.close()


def next_day(path):
    """Some messages more, and some that changed."""
    connection = sqlite3.connect(path)
    connection.executemany(
        "INSERT INTO message (text_data, data) VALUES (?, ?)", [(f"new {n}", os.urandom(300)) for n in range(20)])
    connection.execute("UPDATE message SET text_data = 'edited' WHERE _id IN (5, 700)")
    connection.commit()
    connection.close()
