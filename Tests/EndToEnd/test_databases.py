"""A chat app's database over days: small backups, and every day of it back, by the program and by the independent reader."""

import hashlib
import random
import shutil
import sqlite3
import subprocess
import sys

from session import ROOT, Session


def without_free_pages(image):
    """What the specification says of a restored database: leaves of the free list and the ends of its trunks are zeros."""
    image = bytearray(image)
    page_bytes = int.from_bytes(image[16:18], "big")

    def number(offset):
        return int.from_bytes(image[offset : offset + 4], "big")

    def clear(start, end):
        image[start:end] = bytes(end - start)

    trunk = number(32)
    while trunk:
        start = (trunk - 1) * page_bytes
        leaves = [number(start + 8 + 4 * i) for i in range(number(start + 4))]
        for leaf in leaves:
            clear((leaf - 1) * page_bytes, leaf * page_bytes)
        clear(start + 8 + 4 * len(leaves), start + page_bytes)
        trunk = number(start)
    return bytes(image)


class Databases(Session):
    def setUp(self):
        super().setUp()
        self.random = random.Random(4)
        self.words = ["".join(self.random.choices("abcdefghijklmnop", k=self.random.randint(3, 9))) for _ in range(900)]
        self.source = self.folder / "Chats"
        self.source.mkdir()
        self.path = self.source / "messages.db"
        self.database = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.database.close)
        self.database.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, key BLOB UNIQUE, body TEXT)")

    def add(self, count):
        self.database.execute("BEGIN")
        for _ in range(count):
            body = " ".join(self.random.choices(self.words, k=30))
            row = (self.random.randbytes(16), body)
            self.database.execute("INSERT INTO messages (key, body) VALUES (?, ?)", row)
        self.database.execute("COMMIT")

    def back_up(self):
        """(bytes written to the store, what a restore must bring back); the source stays as it was."""
        before = hashlib.sha256(self.path.read_bytes()).digest()
        stored = self.coffer_json("backup")["storedBytes"]
        self.assertEqual(hashlib.sha256(self.path.read_bytes()).digest(), before)
        return stored, without_free_pages(self.path.read_bytes())

    def test_days_are_small_and_each_comes_back(self):
        self.coffer("enable", self.source, "--to", "cloud", "--key", "--key-file", "key.txt")
        copies = self.folder / "homes/phone/state/coffer/copies"
        self.add(12_000)
        whole, image = self.back_up()
        days = [image]
        for day in range(11):
            self.add(60)
            self.database.execute("DELETE FROM messages WHERE id % 97 = ?", (day,))
            if day == 4:
                self.database.execute("VACUUM")
            if day == 6:
                shutil.rmtree(copies)
            if day == 9:
                for file in copies.iterdir():
                    file.write_bytes(self.random.randbytes(file.stat().st_size))
            stored, image = self.back_up()
            # Without a copy changed pages are stored full.
            limit = {6: whole // 2, 9: whole // 2}.get(day, whole // 4)
            self.assertLess(stored, limit, f"day {day}")
            days.append(image)
        text = max(self.words, key=len).encode()
        for file in copies.iterdir():
            self.assertNotIn(text, file.read_bytes(), "a copy in plaintext")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        reader = [sys.executable, str(ROOT / "Specs/reference/read_backup.py"), "--key-file", "key.txt", "cloud"]
        for day, image in enumerate(days, start=1):
            target = f"Read{day}"
            done = subprocess.run(
                [*reader, "extract", target, "--snapshot", str(day)], cwd=self.folder, text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual((self.folder / target / "messages.db").read_bytes(), image, f"day {day}")
        done = subprocess.run([*reader, "verify"], cwd=self.folder, text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.coffer("restore", "--from", "cloud", "--key-file", "key.txt", "Restored", device="new-phone")
        restored = self.folder / "Restored/messages.db"
        self.assertEqual(restored.read_bytes(), days[-1])
        self.coffer("disable", "--yes")
        self.assertFalse(copies.exists())
        check = sqlite3.connect(restored).execute("PRAGMA integrity_check").fetchall()
        self.assertEqual(check, [("ok",)])
