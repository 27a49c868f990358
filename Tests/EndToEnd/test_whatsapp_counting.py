"""`coffer whatsapp check` counts in databases that others wrote: without a name on the disk, in bounded time and room."""

import json
import os
import resource
import sqlite3
import struct
import subprocess
import unittest

from session import BINARIES, Session
from whatsapp import Account


class Counting(Session):
    def setUp(self):
        super().setUp()
        self.account = Account()
        self.key = self.folder / "key"
        self.key.write_bytes(self.account.key_file)
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()

    def put(self, content, name="msgstore.db.crypt15"):
        (self.folder / name).write_bytes(self.account.crypt15(content))
        return self.folder / name

    def database(self, script, rows=0):
        path = self.folder / "made.db"
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.executescript("PRAGMA page_size = 512; CREATE TABLE chat (_id INTEGER PRIMARY KEY); INSERT INTO chat VALUES (1);")
        connection.executescript(script)
        if rows:
            connection.executemany("INSERT INTO message VALUES (?, 1)", ((number,) for number in range(rows)))
        connection.commit()
        connection.close()
        return path.read_bytes()

    MESSAGES = "CREATE TABLE message (_id INTEGER PRIMARY KEY, chat_row_id);"

    def without_end(self, bytes_more=0):
        """A database whose table of messages is 18 pages, each of which leads to the next one 60 times."""
        content = bytearray(self.database(self.MESSAGES, rows=3))
        root = len(content) // 512
        leaf = content[-512:]
        self.assertEqual((leaf[0], leaf[4]), (0x0d, 3))
        pages = []
        for depth in range(18):
            page = bytearray(512)
            following = root + 1 + depth
            cells = [512 - 5 * (number + 1) for number in range(60)]
            page[:12] = struct.pack(">BHHHBI", 5, 0, len(cells), cells[-1], 0, following)
            for number, place in enumerate(cells):
                page[12 + 2 * number:14 + 2 * number] = struct.pack(">H", place)
                page[place:place + 5] = struct.pack(">IB", following, number)
            pages.append(bytes(page))
        content[-512:] = pages[0]
        content += b"".join(pages[1:]) + leaf + bytes(bytes_more)
        content[28:32] = struct.pack(">I", len(content) // 512)
        return bytes(content)

    def check(self, path, *options, **environment):
        done = subprocess.run(
            [BINARIES / "coffer", "whatsapp", "check", path, "--key-file", self.key, "--json", *options], timeout=60,
            env=self.environment() | {"TMPDIR": str(self.scratch)} | environment, capture_output=True, check=True)
        self.assertEqual(os.listdir(self.scratch), [])
        report, = json.loads(done.stdout)
        self.assertEqual(report["verdict"], "ok")
        return report

    def counts(self, *arguments, **environment):
        report = self.check(*arguments, **environment)
        return report.get("chats"), report.get("messages")

    def test_only_tables_are_counted_and_none_for_ever(self):
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS _id, 1 AS chat_row_id FROM n"
        self.assertEqual(self.counts(self.put(self.database(self.MESSAGES, rows=3))), (1, 3))
        self.assertEqual(self.counts(self.put(self.database(self.MESSAGES))), (1, 0))
        self.assertEqual(self.counts(self.put(self.database(f"CREATE VIEW message AS {endless};"))), (1, None))
        # A view that the list of tables calls a table.
        bent = f"""{self.MESSAGES} PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET sql = 'CREATE VIEW message AS {endless}' WHERE name = 'message';"""
        self.assertEqual(self.counts(self.put(self.database(bent)))[1], None)
        self.assertEqual(self.counts(self.put(self.database("CREATE VIRTUAL TABLE message USING fts5(a);"))), (1, None))
        self.assertEqual(self.counts(self.put(self.without_end())), (None, None))

    def test_what_is_counted_has_a_name_at_no_time_and_a_kill_leaves_nothing(self):
        path = self.put(self.without_end(bytes_more=32 << 20))
        process = subprocess.Popen(
            [BINARIES / "coffer", "whatsapp", "check", path, "--key-file", self.key], stdout=subprocess.DEVNULL,
            env=self.environment() | {"TMPDIR": str(self.scratch)})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        looks = 0
        while looks < 5_000:
            self.assertIsNone(process.poll(), "it has ended, and was not seen counting")
            self.assertEqual(os.listdir(self.scratch), [])
            looks += self.bytes_in_scratch(process.pid) >= 32 << 20
        process.kill()
        process.wait()
        self.assertEqual(os.listdir(self.scratch), [])

    def bytes_in_scratch(self, process):
        """Of files that it has open there, with or without a name."""
        count = 0
        for name in os.listdir(f"/proc/{process}/fd"):
            try:
                if os.readlink(f"/proc/{process}/fd/{name}").startswith(f"{self.scratch}/"):
                    count += os.stat(f"/proc/{process}/fd/{name}").st_size
            except FileNotFoundError:
                pass
        return count

    def test_room_is_taken_for_what_the_database_says_and_no_more(self):
        content = self.database(self.MESSAGES, rows=3)
        path = self.put(content + bytes(1 << 20))
        self.assertEqual(self.counts(path, "--max-bytes", str(len(content))), (1, 3))
        report = self.check(path, "--max-bytes", str(len(content) - 1))
        self.assertNotIn("messages", report)
        self.assertIn("larger than --max-bytes", report["words"])

    def test_an_empty_tmpdir_is_none(self):
        self.assertEqual(self.counts(self.put(self.database(self.MESSAGES, rows=3)), TMPDIR=""), (1, 3))

    def test_a_file_that_is_refused_at_once_is_not_read_to_its_end(self):
        path = self.folder / "zeros.crypt15"
        with open(path, "wb") as file:
            file.truncate(8 << 30)
        for command in (("check", path), ("open", path, "-o", "x"), ("import", path, "--to", "cloud", "--coffer-key-file", "y")):
            done = subprocess.run(
                [BINARIES / "coffer", "whatsapp", *command, "--key-file", self.key], env=self.environment(), cwd=self.folder,
                capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (4, 4)))
            self.assertEqual(done.returncode, 73, (command, done))


if __name__ == "__main__":
    unittest.main()
