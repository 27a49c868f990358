"""`coffer whatsapp open`, `check` and `seal` where names and folders are not as usual."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

from session import BINARIES, Session
from whatsapp import Account, message_database

# Root passes over permissions, unless it is kept from it.
WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


class Places(Session):
    def setUp(self):
        super().setUp()
        self.account = Account()
        self.key = self.folder / "key"
        self.key.write_bytes(self.account.key_file)

    def put(self, name, content=b"RIFF....WEBP" + bytes(50), root=None):
        path = os.path.join(os.fsencode(root or self.folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(self.account.crypt15(content))
        return path

    def whatsapp(self, *arguments, expect=0, before=()):
        done = subprocess.run(
            [*before, BINARIES / "coffer", "whatsapp", *arguments, "--key-file", self.key, "--json"], cwd=self.folder,
            env=self.environment(), capture_output=True, text=True)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def verdicts(self, reports):
        return {os.path.basename(report["file"]): report.get("verdict") for report in reports}

    @unittest.skipUnless(not WITHOUT_PRIVILEGE or shutil.which("setpriv"), "root needs setpriv to be kept out of a folder")
    def test_a_folder_that_cannot_be_read_is_said_and_has_a_status(self):
        self.put("phone/a.crypt15")
        self.put("phone/closed/b.crypt15")
        os.chmod(self.folder / "phone/closed", 0)
        self.addCleanup(os.chmod, self.folder / "phone/closed", 0o700)
        for command in (("check", "phone"), ("open", "phone", "-o", "out")):
            reports = self.whatsapp(*command, expect=30, before=WITHOUT_PRIVILEGE)
            self.assertEqual(self.verdicts(reports), {"closed": None, "a.crypt15": "ok"})
            self.assertEqual(reports[0]["error"], "no-source")
        self.whatsapp("check", "phone/closed", expect=30, before=WITHOUT_PRIVILEGE)

    def test_names_in_any_case_or_encoding_and_a_folder_behind_a_link(self):
        for name in (b"A.CRYPT15", b"b.Crypt15", b"deeper/\xff\xfe.crypt15"):
            self.put(name, root=self.folder / "phone")
        (self.folder / "link").symlink_to("phone")
        for place in ("phone", "link", "link/"):
            reports = self.whatsapp("check", place)
            self.assertEqual(self.verdicts(reports), {"A.CRYPT15": "ok", "b.Crypt15": "ok", "\ufffd\ufffd.crypt15": "ok"})
        self.whatsapp("open", "link", "-o", "out")
        self.assertEqual(
            sorted(str(path.relative_to(self.folder / "out")) for path in self.files_below(self.folder / "out")),
            ["A", "b", "deeper/\ufffd\ufffd"])

    def test_a_file_whose_name_is_an_ending_alone(self):
        for number, name in enumerate((".crypt15", "..crypt15", "...crypt15")):
            self.put(f"in{number}/{name}")
            self.whatsapp("open", f"in{number}/{name}", "-o", f"out{number}/")
            self.assertEqual(os.listdir(self.folder / f"out{number}"), ["backup"])

    def test_an_increment_that_cannot_be_listed_says_so(self):
        self.put("msgstore-increment-1.db.crypt15", b"PK\3\4" + bytes(80))
        for command in (("check",), ("open", "-o", "x")):
            report, = self.whatsapp(command[0], "msgstore-increment-1.db.crypt15", *command[1:])
            self.assertIn("By its name it is an increment", report["words"])

    def test_a_changed_file_with_a_fresh_checksum_is_told_from_a_wrong_key(self):
        path = self.put("a.crypt15", os.urandom(20_000).hex().encode().join([b"SQLite format 3\0", b""]))
        with open(path, "r+b") as file:
            content = bytearray(file.read())
            content[-100] ^= 1
            file.seek(0)
            file.write(content[:-16] + hashlib.md5(content[:-16]).digest())
        report, = self.whatsapp("check", path, expect=10)
        self.assertEqual((report["verdict"], report["keyFitsBeginning"]), ("wrong-key", True))
        self.assertIn("the key is the right one", report["words"])
        self.account.root = os.urandom(32)
        self.key.write_bytes(self.account.key_file)
        report, = self.whatsapp("check", path, expect=10)
        self.assertEqual((report["verdict"], report["keyFitsBeginning"]), ("wrong-key", False))
        self.assertIn("This key does not open it", report["words"])

    def test_seal_sees_what_lies_beside_a_database_that_is_behind_a_link(self):
        message_database(self.folder / "real.db", messages=50)
        content = (self.folder / "real.db").read_bytes()
        self.put("like.crypt15", content)
        (self.folder / "linked.db").symlink_to("real.db")
        self.whatsapp("seal", "linked.db", "--like", "like.crypt15", "-o", "fine.crypt15")
        connection = sqlite3.connect(self.folder / "real.db")
        self.addCleanup(connection.close)
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; DELETE FROM message;")
        error = self.whatsapp("seal", "linked.db", "--like", "like.crypt15", "-o", "x.crypt15", expect=30)["error"]
        self.assertIn("real.db-wal holds changes", error["message"])
        self.assertFalse((self.folder / "x.crypt15").exists())


if __name__ == "__main__":
    unittest.main()
