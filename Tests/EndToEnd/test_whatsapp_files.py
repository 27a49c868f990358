"""WhatsApp's own files by command: opened, checked and written, beside wa-crypt-tools, and nothing given out that is not proven."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import unittest
import zlib

from session import ROOT, Session

sys.path.insert(0, str(ROOT / "Specs/reference"))
import crypt15  # noqa: E402

VECTORS = ROOT / "Specs/vectors/crypt15"
KEY = VECTORS / "encrypted_backup.key"
PEER = ROOT / ".build-tools/wa-crypt-tools/bin"
STATUS = {
    "ok": 0, "ok-no-trailer": 0, "ok-payload-header-or-trailer-altered": 70, "wrong-key": 10, "damaged-or-wrong-key": 71,
    "truncated": 72, "not-a-backup": 73, "older-format": 74}


def entries():
    given = json.loads((VECTORS / "manifest.json").read_text())
    made = json.loads((VECTORS / "made.json").read_text())["files"]
    return {name: entry for name, entry in (given | made).items() if "verdict" in entry}


class WhatsAppFiles(Session):
    def whatsapp(self, *arguments, key=KEY, expect=0):
        """The reports of a command, one for each file."""
        return json.loads(self.coffer("whatsapp", *arguments, "--key-file", key, "--json", expect=expect))

    def make_database(self, messages=3, journal="DELETE"):
        path = self.folder / f"made-{journal}.db"
        with sqlite3.connect(path) as connection:
            connection.executescript(f"""
                PRAGMA journal_mode = {journal};
                CREATE TABLE chat (_id INTEGER PRIMARY KEY, hidden INTEGER, subject TEXT);
                CREATE TABLE message (_id INTEGER PRIMARY KEY, chat_row_id INTEGER, text_data TEXT);
                INSERT INTO chat VALUES (1, 0, 'a'), (2, NULL, NULL), (3, 1, 'hidden');
                INSERT INTO message VALUES (1, -1, NULL);""")
            connection.executemany(
                "INSERT INTO message (chat_row_id, text_data) VALUES (?, ?)",
                ((1 + number % 2, f"message {number}") for number in range(messages)))
        connection.close()
        return path

    def seal(self, content, name="msgstore.db.crypt15", more=b""):
        """A file that the reference program makes."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(crypt15.seal(crypt15.read_key(KEY.read_bytes()), crypt15.usual(name), zlib.compress(content, 9)) + more)
        return path

    def test_every_vector_gets_its_verdict_and_exit_status_and_only_proven_content_gets_a_name(self):
        wrong = self.secret_file("wrong", json.loads((VECTORS / "made.json").read_text())["wrong_key"])
        for name, entry in entries().items():
            status = 75 if "problem" in entry else STATUS[entry["verdict"]]
            target = self.folder / "out" / name
            target.parent.mkdir(exist_ok=True)
            report, = self.whatsapp("open", VECTORS / name, "-o", target, expect=status)
            self.assertEqual(report["verdict"], entry["verdict"], name)
            self.assertEqual(report.get("problem"), entry.get("problem"), name)
            is_whole = entry["verdict"].startswith("ok") and "problem" not in entry
            self.assertEqual(target.exists(), is_whole, name)
            if is_whole:
                self.assertEqual(target.stat().st_mode & 0o777, 0o600)
                digest = hashlib.sha256(target.read_bytes()).hexdigest()
                self.assertEqual(digest, entry.get("plain_sha256", digest), name)
            other = self.folder / "out" / "other"
            report, = self.whatsapp("open", VECTORS / name, "-o", other, key=wrong, expect=STATUS[entry["verdict_wrong_key"]])
            self.assertEqual(report["verdict"], entry["verdict_wrong_key"], name)
            self.assertFalse(other.exists(), name)
        self.assertEqual([path.name for path in (self.folder / "out").glob(".*")], [])

    def test_a_folder_is_opened_with_what_is_in_it_and_increments_are_named(self):
        phone = self.folder / "WhatsApp"
        for name, place in (("a-2022-msgstore.db.crypt15", "Databases/msgstore.db.crypt15"),
                            ("h-increment.crypt15", "Databases/msgstore-increment-1.db.crypt15"),
                            ("i-settings.json.crypt15", "Backups/backup_settings.json.crypt15"),
                            ("neg-cut.crypt15", "Backups/wa.db.crypt15"), ("old-crypt14.crypt15", "old.db.crypt14")):
            (phone / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(VECTORS / name, phone / place)
        shutil.copytree(VECTORS / "Media", phone / "Media")
        (phone / "Databases/link.crypt15").symlink_to("/etc/passwd")
        reports = self.whatsapp("open", phone, "-o", self.folder / "out", expect=72)
        self.assertEqual([(str(report["file"]).removeprefix(f"{phone}/"), report["verdict"]) for report in reports], [
            ("Backups/backup_settings.json.crypt15", "ok"), ("Backups/wa.db.crypt15", "truncated"),
            ("Databases/msgstore-increment-1.db.crypt15", "ok"), ("Databases/msgstore.db.crypt15", "ok"),
            ("old.db.crypt14", "older-format")])
        self.assertEqual([str(path.relative_to(self.folder / "out")) for path in self.files_below(self.folder / "out")], [
            "Backups/backup_settings.json", "Databases/msgstore-increment-1.db.zip", "Databases/msgstore.db"])
        increment = reports[2]["increment"]
        self.assertEqual((increment["messages"], increment["messagesUpdated"], increment["messagesDeleted"], increment["applied"]),
                         (12, 3, 1, False))
        self.assertIn("chat_modified_0.json", increment["members"])
        self.assertIn("Nothing of it was put into a database", reports[2]["words"])
        said = self.coffer("whatsapp", "open", phone, "-o", self.folder / "out2", "--key-file", KEY, expect=72)
        self.assertIn("1 media file (.mcrypt1) in these folders", said)
        # Nothing is overwritten, and nothing that is there keeps the others from being opened.
        (self.folder / "out/Databases/msgstore.db").write_text("mine")
        (self.folder / "out/Backups/backup_settings.json").unlink()
        reports = self.whatsapp("open", phone, "-o", self.folder / "out", expect=40)
        self.assertEqual([report.get("error") for report in reports],
                         [None, "truncated", "target-not-empty", "target-not-empty", "older-format"])
        self.assertEqual((self.folder / "out/Databases/msgstore.db").read_text(), "mine")
        self.assertTrue((self.folder / "out/Backups/backup_settings.json").exists())

    def test_check_counts_and_says_what_is_only_claimed(self):
        for journal in ("DELETE", "WAL"):
            path = self.seal(self.make_database(journal=journal).read_bytes(), name=f"{journal}.crypt15")
            report, = self.whatsapp("check", path)
            self.assertEqual((report["verdict"], report["chats"], report["messages"]), ("ok", 2, 3), journal)
            self.assertEqual(report["header"], {"authenticated": False, "appVersion": "2.26.20.7", "phoneSuffix": "42",
                                                "backupVersion": 1, "keyType": "digits"})
        said = self.coffer("whatsapp", "check", path, "--key-file", KEY)
        self.assertIn("2 chats, 3 messages", said)
        self.assertIn("nothing proves it: WhatsApp 2.26.20.7", said)
        self.assertNotIn("message 1", said)
        # What is no database inside, and a scratch folder that cannot be used, change no verdict.
        broken = self.seal(b"SQLite format 3\0" + os.urandom(5_000), name="broken.crypt15")
        self.assertEqual(self.whatsapp("check", broken)[0]["verdict"], "ok")
        report, = self.whatsapp("check", path, "--scratch", self.folder / "nowhere")
        self.assertEqual((report["verdict"], report.get("messages")), ("ok", None))
        self.assertIn("Nothing was counted", report["words"])
        scratch = self.folder / "scratch"
        scratch.mkdir()
        self.whatsapp("check", path, "--scratch", scratch)
        self.assertEqual(list(scratch.iterdir()), [])

    def test_keys_in_every_form_and_none_of_them_in_what_is_said(self):
        keys = json.loads((VECTORS / "made.json").read_text())["keys"]
        file = VECTORS / "e-minimal.crypt15"
        for number, (name, data) in enumerate(keys["read"].items()):
            path = self.folder / f"key {number}"
            path.write_bytes(bytes.fromhex(data))
            self.assertEqual(self.whatsapp("check", file, key=path)[0]["verdict"], "ok", name)
        for number, (name, data) in enumerate(keys["refused"].items()):
            path = self.folder / f"no key {number}"
            path.write_bytes(bytes.fromhex(data))
            error = self.error("whatsapp", "check", file, "--key-file", path, expect=10)
            self.assertEqual(error["name"], "malformed-key", name)
        for text in self.printed:
            self.assertNotIn(keys["root"][:12], text.lower().replace(" ", ""))

    def test_bombs_and_bytes_behind(self):
        report, = self.whatsapp("open", VECTORS / "neg-bomb.crypt15", "-o", "bomb", "--max-bytes", "1000000", expect=75)
        self.assertEqual((report["verdict"], report["problem"], report["error"]), ("ok", "too-large", "content-refused"))
        self.assertFalse((self.folder / "bomb").exists())
        report, = self.whatsapp("check", VECTORS / "neg-two-files.crypt15", expect=71)
        self.assertEqual((report["bytesBehind"], report["keyFitsBeginning"]), (266, True))

    def test_usage_errors_touch_nothing(self):
        (self.folder / "there").write_text("mine")
        self.assertEqual(self.error("whatsapp", "open", VECTORS / "e-minimal.crypt15", "-o", "there", "--key-file", KEY,
                                    expect=40)["name"], "target-not-empty")
        self.assertEqual((self.folder / "there").read_text(), "mine")
        self.error("whatsapp", "open", "nothing", "-o", "x", "--key-file", KEY, expect=30)
        (self.folder / "empty").mkdir()
        self.error("whatsapp", "check", "empty", "--key-file", KEY, expect=30)
        report, = self.whatsapp("open", VECTORS / "e-minimal.crypt15", "-o", "no/such/x", expect=41)
        self.assertEqual(report["error"], "target-failed")
        os.mkfifo(self.folder / "pipe.crypt15")
        self.assertEqual(self.whatsapp("check", "pipe.crypt15", expect=30)[0]["error"], "no-source")

    def test_seal_is_opened_again_and_refuses_what_would_be_wrong(self):
        database = self.make_database(messages=2_000)
        like = VECTORS / "c-2026-msgstore.db.crypt15"
        report, = self.whatsapp("seal", database, "--like", like)
        sealed = self.folder / f"{database.name}.crypt15"
        self.assertEqual((report["verdict"], report["output"]), ("ok", str(sealed)))
        self.assertIn("not tried against WhatsApp", report["words"])
        result = crypt15.read(sealed.read_bytes(), crypt15.read_key(KEY.read_bytes()))
        self.assertEqual((result["verdict"], result["content"]), ("ok", database.read_bytes()))
        # The header of the other but for the nonce, and its level; a new nonce each time.
        _, (start, end) = crypt15.read_header(like.read_bytes())
        head, model = sealed.read_bytes()[:160], like.read_bytes()[:160]
        self.assertEqual(head[:start] + head[end:], model[:start] + model[end:])
        self.assertNotEqual(head[start:end], model[start:end])
        again, = self.whatsapp("seal", database, "--like", like, "-o", "again", "--level", "1")
        self.assertNotEqual((self.folder / "again").read_bytes()[start:end], head[start:end])
        self.whatsapp("seal", database, "--like", VECTORS / "neg-trunc-16.crypt15", "-o", "without")
        self.assertEqual(crypt15.read((self.folder / "without").read_bytes(), crypt15.read_key(KEY.read_bytes()))["verdict"],
                         "ok-no-trailer")
        wrong = self.secret_file("wrong", json.loads((VECTORS / "made.json").read_text())["wrong_key"])
        for arguments, key, status in (
                ((database, "--like", like, "-o", "again"), KEY, 40), ((database, "--like", like, "-o", "x"), wrong, 10),
                ((database, "--like", VECTORS / "neg-flip-md5.crypt15", "-o", "x"), KEY, 70),
                ((database, "--like", VECTORS / "k-repeated.crypt15", "-o", "x"), KEY, 75),
                ((database, "--like", VECTORS / "h-increment.crypt15", "-o", "x"), KEY, 75),
                ((like, "--like", like, "-o", "x"), KEY, 30)):
            self.error("whatsapp", "seal", *arguments, "--key-file", key, expect=status)
        (self.folder / f"{database.name}-wal").write_text("changes")
        self.error("whatsapp", "seal", database, "--like", like, "-o", "x", "--key-file", KEY, expect=30)
        self.assertFalse((self.folder / "x").exists())

    @unittest.skipUnless(PEER.exists(), "make test installs wa-crypt-tools")
    def test_wa_crypt_tools_opens_what_is_sealed_and_the_other_way_round(self):
        database = self.make_database(messages=2_000)
        self.whatsapp("seal", database, "--like", VECTORS / "a-2022-msgstore.db.crypt15", "-o", "ours.crypt15")
        self.peer("wadecrypt", KEY, "ours.crypt15", "theirs.db")
        self.assertEqual((self.folder / "theirs.db").read_bytes(), database.read_bytes())
        self.peer("waencrypt", "--reference", VECTORS / "a-2022-msgstore.db.crypt15", KEY, database, "theirs.crypt15")
        report, = self.whatsapp("open", "theirs.crypt15", "-o", "back.db")
        self.assertEqual(report["verdict"], "ok")
        self.assertEqual((self.folder / "back.db").read_bytes(), database.read_bytes())

    def peer(self, program, *arguments):
        done = subprocess.run([PEER / program, *arguments], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
