"""What surely does not fit is refused before anything is written, in numbers."""

import os
import subprocess
import unittest

from session import Session


@unittest.skipUnless(os.geteuid() == 0, "needs the right to mount")
class Room(Session):
    def mount(self, name, size):
        folder = self.folder / name
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
        if done.returncode != 0:
            self.skipTest("cannot mount here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], capture_output=True)
        return folder

    def test_a_store_and_a_target_that_are_too_small(self):
        chats = self.folder / "Chats"
        chats.mkdir()
        for number in range(4):
            (chats / f"photo {number}.jpg").write_bytes(os.urandom(1_000_000 + number))
        small = self.mount("small", "2m")
        self.coffer("enable", chats, "--to", small / "store", "--key-file", "digits")
        before = sorted(small.rglob("*"))
        error = self.error("backup", expect=26)
        self.assertIn("Nothing was uploaded", error["message"])
        self.assertIn("--ignore-room", error["advice"])
        self.assertEqual(sorted(small.rglob("*")), before)
        self.coffer("backup", "--ignore-room", expect=26)
        self.coffer("disable", "--yes", "--delete-store")
        self.coffer("enable", chats, "--to", "cloud", "--key-file", "more digits")
        self.coffer("backup")
        target = self.mount("target", "2m")
        error = self.error("restore", target / "Chats", expect=41)
        self.assertIn("Nothing was restored", error["message"])
        self.assertEqual(list(target.iterdir()), [])
        self.coffer("restore", target / "Chats", "--path", "photo 1.jpg")
        self.coffer("restore", target / "More", "--ignore-room", expect=41)
        self.assertTrue((target / "More").is_dir())
        # Room for the rest of what was cut is enough.
        subprocess.run(["mount", "-o", "remount,size=5500k", str(target)], check=True)
        self.coffer("restore", target / "More")
        self.assertEqual(len(list((target / "More").glob("*.jpg"))), 4)


if __name__ == "__main__":
    unittest.main()
