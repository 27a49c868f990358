"""WhatsApp's folder as a source: found, sized by kind, saved with what is live in it, and without what a newer file replaces."""

import os
import sqlite3
import unittest

from session import Session
from whatsapp import Account

LEFT_OUT = ["older-dumps", ".Shared/", ".Thumbs/", ".StickerThumbs/", ".thumbnails/", ".trash/"]


class WhatsAppSource(Session):
    def make_storage(self, place="Android/media/com.whatsapp/WhatsApp"):
        """A phone's storage, with WhatsApp's folder in it."""
        folder = self.folder / "sdcard" / place
        for name, size in {
            "Databases/msgstore.db.crypt15": 5_000, "Databases/msgstore-2026-01-02.1.db.crypt15": 4_000,
            "Databases/msgstore-2026-01-03.1.db.crypt15": 4_500, "Databases/msgstore-increment-1.db.crypt15": 300,
            "Databases/msgstore-increment-1-2026-01-02.1.db.crypt15": 200,
            "Databases/msgstore-increment-1-2026-01-03.1.db.crypt15": 200,
            "Backups/wa.db.crypt15": 100, "Backups/chatsettingsbackup.db.crypt15": 100,
            "Media/WhatsApp Images/IMG-20260101-WA0001.jpg": 7_000, "Media/WhatsApp Images/Sent/IMG-2.jpg": 8_000,
            "Media/WhatsApp Video/VID-1.mp4": 9_000, "Media/WhatsApp Voice Notes/202601/PTT-1.opus": 600,
            "Media/WhatsApp Documents/scan.jpg": 500, "Media/.Statuses/a.jpg": 400, "Media/.Statuses/b.mp4": 400,
            "Media/WhatsApp Stickers/STK-1.webp": 50, ".Shared/x.tmp": 10, ".Thumbs/t.jpg": 10,
            "Media/WhatsApp Images/.thumbnails/t.jpg": 10, ".trash/old.jpg": 10, ".StickerThumbs/s.png": 10,
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            content = os.urandom(size)
            if "/msgstore" in name:
                # What does not even begin as a backup replaces none.
                content = Account().crypt15(content)[:size - 16] + os.urandom(16)
            (folder / name).write_bytes(content)
        return folder

    def saved(self):
        target = self.folder / f"Restored {len(list(self.folder.iterdir()))}"
        self.coffer("restore", target)
        return {str(path.relative_to(target)) for path in self.files_below(target)}

    def test_a_phone_is_saved_without_what_is_replaced_and_the_choice_can_be_changed(self):
        folder = self.make_storage()
        # A root's copy of what is live has its place there, too.
        live = folder / "databases" / "msgstore.db"
        live.parent.mkdir()
        connection = sqlite3.connect(live)
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE message (text_data); INSERT INTO message VALUES ('hi')")
        said = self.coffer("enable", f"whatsapp:{self.folder}/sdcard", "--to", "cloud", "--key-file", "digits")
        self.assertIn(f"Left out: {', '.join(LEFT_OUT)}. coffer include shows", said)
        sizes = self.coffer_json("include")
        amounts = {amount["category"]: (amount["files"], amount["bytes"]) for amount in sizes["categories"]}
        self.assertEqual(
            {kind: amounts[kind] for kind in ("voice", "documents", "stickers", "videos", "statuses")},
            {"voice": (1, 600), "documents": (1, 500), "stickers": (2, 60), "videos": (1, 9_000), "statuses": (2, 800)})
        self.assertEqual(sizes["olderDumps"], {"files": 2, "bytes": 4_200, "filesLeftOut": 2})
        self.assertEqual(sizes["warnings"], [])
        shown = self.coffer("include")
        self.assertIn("older-dumps: of the messages 2 files, 4.2 kB, that WhatsApp has replaced by newer ones: left out", shown)
        said = self.coffer("backup")
        self.assertIn("Left out, as you chose: older-dumps, .Shared/", said)
        self.assertNotIn("Warning", said)
        names = self.saved()
        self.assertIn("databases/msgstore.db", names)
        self.assertNotIn("databases/msgstore.db-wal", names)
        self.assertIn("Databases/msgstore-increment-1.db.crypt15", names)
        self.assertEqual(
            {str(path.relative_to(folder)) for path in self.files_below(folder)} - names,
            {"Databases/msgstore-2026-01-02.1.db.crypt15", "Databases/msgstore-increment-1-2026-01-02.1.db.crypt15",
             ".Shared/x.tmp", ".Thumbs/t.jpg", ".trash/old.jpg", ".StickerThumbs/s.png", "databases/msgstore.db-shm",
             "databases/msgstore.db-wal", "Media/WhatsApp Images/.thumbnails/t.jpg"})
        self.assertEqual(self.coffer_json("status")["source"], f"whatsapp:{folder}")
        self.assertIn("older-dumps", self.coffer("snapshots"))
        # The choice is the person's.
        self.coffer("include", "older-dumps", ".trash/", "--exclude", "statuses")
        self.coffer("backup")
        names = self.saved()
        self.assertIn("Databases/msgstore-2026-01-02.1.db.crypt15", names)
        self.assertIn(".trash/old.jpg", names)
        self.assertFalse(any(".Statuses" in name for name in names))
        self.assertIn("older-dumps", self.coffer("exclude", "older-dumps"))
        self.coffer("include", "everything")
        self.assertEqual(self.coffer_json("backup")["snapshot"]["leftOut"], [])
        self.coffer("restore", "Documents", "--only", "documents,statuses", "--snapshot", "1")
        self.assertEqual(
            [path.name for path in self.files_below(self.folder / "Documents")], ["a.jpg", "b.mp4", "scan.jpg"])
        # Without warning where dumps are left out; with one where messages are.
        self.coffer("exclude", "older-dumps")
        self.assertEqual(
            self.coffer_json("exclude", "messages")["warnings"][0],
            "8 of 8 databases and other files with messages are not saved.".replace("8", str(amounts["messages"][0])))
        connection.close()

    def test_a_newest_dump_that_is_broken_replaces_none(self):
        folder = self.make_storage("WhatsApp") / "Databases"
        (folder / "msgstore-2026-01-03.1.db.crypt15").unlink()
        (folder / "msgstore-2026-01-01.1.db.crypt15").write_bytes((folder / "msgstore.db.crypt15").read_bytes())
        newest = folder / "msgstore.db.crypt15"
        whole = newest.read_bytes()
        self.coffer("enable", "whatsapp:sdcard", "--to", "cloud", "--key-file", "digits")
        # By the newest, and not by the day after it, which is cut.
        (folder / "msgstore-2026-01-02.1.db.crypt15").write_bytes(whole[:1_000])
        self.assertEqual(self.coffer_json("include")["olderDumps"]["filesLeftOut"], 1)
        for broken in (whole[:20], whole[:2_400], whole[:3_000] + bytes(2_000), bytes(5_000), b""):
            newest.write_bytes(broken)
            self.assertEqual(self.coffer_json("include")["olderDumps"]["files"], 0, len(broken))
        self.coffer("backup")
        self.assertIn("Databases/msgstore-2026-01-01.1.db.crypt15", self.saved())

    def test_another_device_goes_on_with_it(self):
        self.make_storage("WhatsApp")
        self.coffer("enable", "whatsapp:sdcard", "--to", "cloud", "--key-file", "digits")
        self.coffer("backup")
        joined = self.coffer("enable", "whatsapp:sdcard/WhatsApp", "--to", "cloud", "--join", "--key-file", "digits", device="tablet")
        self.assertIn("older-dumps", joined)
        self.assertEqual(
            self.coffer_json("backup", device="tablet")["snapshot"]["leftOut"], LEFT_OUT)
        drill = self.coffer_json("drill", "--sample", "100%")
        self.assertEqual((drill["files"], drill["findings"]), (14, []))
        self.coffer("move", "--to", "cloud2")

    def test_what_is_not_whatsapps_folder_is_refused_and_said(self):
        notes = self.make_notes()
        error = self.error("enable", f"whatsapp:{notes}", "--to", "cloud", "--key-file", "digits", expect=30)
        self.assertEqual(error["name"], "no-source")
        for word in ("Databases", "Backups", "Media", "Android/media/com.whatsapp/WhatsApp", str(notes)):
            self.assertIn(word, error["message"])
        self.error("enable", "whatsapp:", "--to", "cloud", "--key-file", "digits", expect=30)
        self.error("enable", "whatsapp:none", "--to", "cloud", "--key-file", "digits", expect=30)
        self.make_storage("WhatsApp")
        self.make_storage("WhatsApp Business")
        error = self.error("enable", "whatsapp:sdcard", "--to", "cloud", "--key-file", "digits", expect=30)
        self.assertIn("several", error["message"])
        self.assertFalse((self.folder / "cloud").exists() or (self.folder / "digits").exists())
        inside = "sdcard/WhatsApp/cloud"
        self.assertEqual(
            self.error("enable", "whatsapp:sdcard/WhatsApp", "--to", inside, "--key-file", "digits", expect=29)["name"],
            "store-inside-source")
        # A card that is not there any more leaves an empty folder: that is no backup.
        self.coffer("enable", "whatsapp:sdcard/WhatsApp", "--to", "cloud", "--key-file", "digits")
        (self.folder / "sdcard").rename(self.folder / "gone")
        (self.folder / "sdcard/WhatsApp").mkdir(parents=True)
        for command in ("backup", "include"):
            self.assertIn("has nothing of WhatsApp's", self.error(command, expect=30)["message"])
        self.coffer("restore", "whatsapp:sdcard/WhatsApp", expect=64)

    def test_older_dumps_are_no_word_for_other_folders(self):
        self.coffer("enable", self.make_notes(), "--to", "cloud", "--key-file", "digits")
        self.assertEqual(self.error("exclude", "older-dumps", expect=66)["name"], "bad-pattern")
        self.assertEqual(self.coffer_json("include")["leftOut"], {"categories": [], "patterns": []})

    def test_a_folder_may_be_called_anything(self):
        for name in ("a:b", "whatsapp:"):
            (self.folder / name / "x").mkdir(parents=True)
            (self.folder / name / "note.txt").write_text(name)
        self.coffer("enable", "a:b", "--to", "cloud", "--key-file", "digits")
        self.coffer("enable", "./whatsapp:", "--to", "cloud2", "--key-file", "digits2", device="tablet")
        self.assertEqual(self.coffer_json("backup", device="tablet")["snapshot"]["files"], 1)
        self.assertEqual(self.coffer_json("status")["source"], f"{self.folder}/a:b")


if __name__ == "__main__":
    unittest.main()
