"""Old backups go; those that stay come back, by the program and by the independent reader."""

import subprocess
import sys

from session import ROOT, Session


class Prune(Session):
    def setUp(self):
        super().setUp()
        self.chats = self.make_chats()
        self.coffer("enable", self.chats, "--to", "cloud", "--key-file", "digits")
        for day in range(3):
            (self.chats / "new.txt").write_text(f"day {day}\n" * 2000)
            self.coffer("backup")

    def stored_bytes(self):
        return sum(path.stat().st_size for path in self.files_below(self.folder / "cloud"))

    def read_independently(self, command, *arguments):
        done = subprocess.run(
            [sys.executable, str(ROOT / "Specs/reference/read_backup.py"), "--key-file", str(self.folder / "digits"),
             str(self.folder / "cloud"), command, *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_old_backups_go_and_the_rest_comes_back(self):
        before = self.stored_bytes()
        trial = self.coffer("prune", "--keep-last", "1", "--grace", "0", "--dry-run")
        self.assertIn("1 snapshot kept, 2 would be removed (1, 2)", trial)
        self.assertEqual(self.stored_bytes(), before, "a trial changes nothing")
        self.assertIn("1 snapshot kept, 2 removed (1, 2)", self.coffer("prune", "--keep-last", "1", "--grace", "0"))
        self.assertLess(self.stored_bytes(), before)
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.assertIn("0 problems", self.read_independently("verify"))
        self.coffer("restore", "Restored")
        self.compare(self.chats, self.folder / "Restored")
        # The device's caches of what is gone do no harm.
        (self.chats / "new.txt").write_text("day 0\n" * 2000)
        self.coffer("backup")
        self.coffer("restore", "Again")
        self.compare(self.chats, self.folder / "Again")

    def test_with_a_grace_the_space_comes_later(self):
        said = self.coffer("prune", "--keep-last", "1")
        self.assertRegex(said, r"more will be freed by a prune after \d")
        self.assertEqual(self.coffer_json("prune", "--keep-last", "1")["freedBytes"], 0)
        self.assertIn("all sound", self.coffer("verify"))
        self.assertIn("0 problems", self.read_independently("verify"))

    def test_a_snapshot_that_is_not_shown_stops_a_prune_until_it_is_given_up(self):
        snapshots = sorted((self.folder / "cloud/snapshots").iterdir())
        hidden = self.folder / "hidden"
        rules = ("prune", "--keep-last", "1", "--grace", "0")
        for snapshot in snapshots:
            snapshot.rename(hidden)
            before = self.files_below(self.folder / "cloud")
            error = self.coffer_json(*rules, expect=38)["error"]
            self.assertEqual(error["name"], "missing-snapshots")
            self.assertIn(str(int(snapshot.name[:8])), error["message"])
            self.assertIn("--accept-missing", error["advice"])
            self.coffer(*rules, "--dry-run", expect=38)
            self.assertEqual(self.files_below(self.folder / "cloud"), before)
            hidden.rename(snapshot)
        self.coffer("verify", "--deep")
        # The one in the middle is lost for good.
        snapshots[1].unlink()
        self.coffer(*rules, expect=38)
        said = self.coffer("prune", "--keep-last", "3", "--grace", "0", "--accept-missing")
        self.assertIn("Given up", said)
        self.assertIn("snapshot 2", said)
        self.assertNotIn("Given up", self.coffer("prune", "--keep-last", "3", "--grace", "0"))
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "First", "--snapshot", "1")
        self.coffer("restore", "Third")
        self.compare(self.chats, self.folder / "Third")

    def test_without_a_rule_nothing_goes(self):
        self.assertIn("--keep-daily 7", self.coffer("prune", expect=64))
        self.coffer("prune", "--keep-last", "-1", expect=64)
        self.assertEqual(len(self.coffer_json("snapshots")["snapshots"]), 3)


if __name__ == "__main__":
    import unittest

    unittest.main()
