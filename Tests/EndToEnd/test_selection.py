"""What is saved is chosen by kind and by pattern, remembered, and seen in every snapshot; a part can be restored."""

import subprocess
import sys
import time
import unittest

from session import ROOT, Session


class Selection(Session):
    def setUp(self):
        super().setUp()
        self.chats = self.make_chats()
        self.coffer("enable", self.chats, "--to", "cloud", "--key-file", "digits")

    def restored(self, *options, expect=0):
        target = self.folder / f"Restored-{time.monotonic_ns()}"
        self.said = self.coffer("restore", target, *options, expect=expect)
        return {str(path.relative_to(target)) for path in self.files_below(target)}

    def test_a_person_chooses_and_it_is_remembered(self):
        shown = self.coffer("include")
        for word in ("messages", "photos", "videos", "saved"):
            self.assertIn(word, shown)
        self.assertNotIn("left out", shown)
        status = self.coffer_json("exclude", "videos,voice")
        saved = {amount["category"]: amount["isSaved"] for amount in status["categories"]}
        self.assertEqual([name for name, is_saved in saved.items() if not is_saved], ["voice", "videos"])
        self.coffer("exclude", "*.txt")
        self.coffer("exclude", "media/documents/odd names/")
        said = self.coffer("backup")
        self.assertIn("Left out, as you chose: voice, videos, *.txt, media/documents/odd names/", said)
        self.assertIn("Left out: voice, videos", self.coffer("status"))
        self.assertIn("without voice, videos", self.coffer("snapshots"))
        names = self.restored()
        self.assertIn("That backup was made without voice", self.said)
        for name in names:
            self.assertFalse(name.endswith((".opus", ".mp4", ".txt")) or "odd names" in name, name)
        self.assertTrue(any(name.endswith(".jpg") for name in names))
        self.assertIn("databases/msgstore.db", names)
        done = subprocess.run(
            [sys.executable, str(ROOT / "Specs/reference/read_backup.py"), "--key-file", "digits", "cloud", "list"],
            cwd=self.folder, text=True, capture_output=True)
        self.assertIn("without voice, videos, *.txt", done.stdout, done.stderr)
        # And back again.
        self.coffer("include", "voice", "*.txt", "--exclude", "stickers")
        self.assertEqual(
            self.coffer_json("backup")["snapshot"]["leftOut"], ["stickers", "videos", "media/documents/odd names/"])
        self.coffer("include", "everything")
        self.assertEqual(self.coffer_json("backup")["snapshot"]["leftOut"], [])
        self.coffer("restore", "Whole")
        self.compare(self.chats, self.folder / "Whole")
        only = self.coffer_json("include", "photos", "--only")
        self.assertEqual([a["category"] for a in only["categories"] if a["isSaved"]], ["messages", "photos"])

    def test_messages_are_not_left_out_without_a_word(self):
        self.assertIn("Warning: 2 of 2 databases", self.coffer("exclude", "messages"))
        self.assertIn("Warning: messages are not saved.", self.coffer("backup"))
        self.coffer("include", "messages")
        self.assertIn("Warning: 1 of 2 databases", self.coffer("exclude", "msgstore*"))
        self.assertIn("a pattern leaves it out: databases/msgstore.db", self.coffer("backup"))

    def test_what_is_no_pattern_changes_nothing(self):
        for pattern in ("[a", "", "a//b"):
            error = self.error("exclude", pattern, expect=66)
            self.assertEqual(error["name"], "bad-pattern")
        self.assertEqual(self.error("include", "*.tmp", expect=66)["name"], "bad-pattern")
        for item, meant in (("video", "videos"), ("Photos", "photos"), ("photos,film", "photos"), ("VOICES", "voice")):
            for command in (["exclude"], ["include", "messages", "--exclude"], ["restore", "R", "--only"]):
                said = self.coffer(*command, item, expect=64)
                self.assertIn(f"Did you mean {meant}?", said)
                self.assertIn(f"--path {item}" if command[0] == "restore" else f"'**/{item}'", said)
        self.assertIn("Did you mean videos?", self.error("include", "video", expect=66)["advice"])
        self.assertEqual(self.coffer_json("include")["leftOut"], {"categories": [], "patterns": []})
        self.assertEqual(self.coffer_json("exclude", "**/video")["leftOut"]["patterns"], ["**/video"])

    def test_a_part_comes_back(self):
        self.coffer("backup")
        first = self.coffer_json("snapshots")["snapshots"][0]
        self.assertEqual(self.restored("--only", "messages"), {"databases/msgstore.db", "databases/contacts.db"})
        photos = self.restored("--category", "photos,stickers")
        self.assertTrue(photos and all(name.endswith((".jpg", ".webp")) for name in photos), photos)
        self.assertEqual(
            self.restored("--path", "databases/contacts.db", "--path", "bin"),
            {"databases/contacts.db", "bin/share-hook"})
        self.assertEqual(self.restored("--only", "bin", "--only", "videos"), set())
        # At a time: the first backup, although there is another one now.
        while int(time.time()) <= first["ended"] + 1:
            time.sleep(0.1)
        (self.chats / "later.txt").write_text("later")
        self.coffer("backup")
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(first["ended"]))
        self.assertNotIn("later.txt", self.restored("--at", moment, "--only", "documents"))
        today = time.strftime("%Y-%m-%d", time.gmtime())
        self.assertIn("later.txt", self.restored("--at", today, "--only", "documents"))
        self.assertEqual(self.error("restore", "R", "--at", "2001-01-01", expect=31)["name"], "no-snapshot")
        self.coffer("restore", "R", "--at", "yesterday", expect=64)
        self.coffer("restore", "R", "--category", "films", expect=64)
        error = self.error("restore", "R", "--path", "bin", "--path", "bin/none", expect=33)
        self.assertIn("There is no bin/none in the snapshot", error["message"])
        self.assertFalse((self.folder / "R").exists())
        self.coffer("restore", "R", "--at", today, "--snapshot", "1", expect=64)


if __name__ == "__main__":
    unittest.main()
