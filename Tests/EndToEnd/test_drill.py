"""Drills: a part of a backup is restored, looked at and removed, whatever happens to the program meanwhile."""

import os
import random
import signal
import sqlite3
import subprocess
import time
import unittest

from session import BINARIES, Session


class Drill(Session):
    def setUp(self):
        super().setUp()
        self.chats = self.make_chats()
        self.coffer("enable", self.chats, "--to", "cloud", "--key-file", "key.txt")
        self.coffer("backup")
        self.state = self.folder / "homes/phone/state/coffer"

    def scratch_files(self, parent):
        return [path for path in parent.rglob("*") if ".coffer-drill" in str(path)]

    def test_everything_comes_back_and_is_removed_again(self):
        said = self.coffer("drill", "--sample", "100%")
        self.assertIn("All came back as they were saved, and SQLite finds every database sound", said)
        self.assertEqual(self.scratch_files(self.state), [])
        report = self.coffer_json("drill")
        self.assertEqual((report["findings"], report["databases"]), ([], 2))
        self.assertLess(report["files"], report["filesTotal"])
        (self.folder / "scratch").mkdir()
        report = self.coffer_json(
            "drill", "--from", "cloud", "--key-file", "key.txt", "--scratch", "scratch", device="new-phone")
        self.assertEqual((report["findings"], report["comparedWithSource"]), ([], 0))
        self.assertEqual(list((self.folder / "scratch").iterdir()), [])
        self.coffer("drill", "--sample", "0", expect=64)
        self.coffer("drill", "--sample", "101%", expect=64)

    def test_damage_is_found_and_named(self):
        pack = max(self.folder.glob("cloud/packs/*/*"), key=lambda path: path.stat().st_size)
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        said = self.coffer("drill", "--sample", "100", expect=4)
        self.assertIn("Damage was found", said)
        self.assertIn(f"packs/{pack.parent.name}/{pack.name}", said)
        self.assertEqual(self.scratch_files(self.state), [])

    def test_a_database_that_was_damaged_before_is_said_so(self):
        path = self.chats / "broken.db"
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        database.executemany("INSERT INTO t (b) VALUES (?)", [(f"row {i}",) for i in range(3000)])
        database.close()
        data = bytearray(path.read_bytes())
        data[3 * 4096 : 4 * 4096] = random.Random(1).randbytes(4096)
        path.write_bytes(data)
        self.coffer("backup")
        report = self.coffer_json("drill", "--sample", "1%", expect=4)
        self.assertEqual(len(report["findings"]), 1)
        self.assertIn("broken.db: came back as it was saved, but SQLite", report["findings"][0])

    def test_no_room_is_seen_before(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], capture_output=True).returncode:
            self.skipTest("this machine does not let a test mount a file system")
        self.addCleanup(subprocess.run, ["umount", str(disk)])
        error = self.error("drill", "--sample", "100", "--scratch", "disk", expect=41)
        self.assertIn("room for", error["message"])
        self.assertEqual(list(disk.iterdir()), [])

    def under_way(self):
        """A drill that has something in the scratch folder."""
        (self.folder / "scratch").mkdir(exist_ok=True)
        scratch = self.folder / "scratch/.coffer-drill/restored"
        program = subprocess.Popen(
            [str(BINARIES / "coffer"), "drill", "--sample", "100", "--scratch", "scratch"], env=self.environment(),
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        while program.poll() is None and not (scratch.is_dir() and any(scratch.iterdir())):
            time.sleep(0.001)
        self.assertIsNone(program.poll(), "the drill ended before it was interrupted")
        self.assertEqual(os.stat(scratch.parent).st_mode & 0o777, 0o700)
        return program

    def interrupted(self, number):
        program = self.under_way()
        program.send_signal(number)
        return program.wait(timeout=30)

    def test_killed_it_leaves_nothing_for_long(self):
        for command in (["backup"], ["drill", "--sample", "1"], ["disable", "--yes"]):
            self.assertEqual(self.interrupted(signal.SIGKILL), -signal.SIGKILL)
            self.assertNotEqual(self.scratch_files(self.folder / "scratch"), [])
            self.coffer(*command)
            self.assertEqual(self.scratch_files(self.folder), [], command)
        self.assertEqual(self.files_below(self.state), [])

    def test_two_at_once_leave_each_other_alone(self):
        first = self.under_way()
        first.send_signal(signal.SIGSTOP)
        self.coffer("drill", "--sample", "1")
        (self.folder / "other").mkdir()
        for place in ("scratch", "other"):
            self.assertIn("Another drill", self.error("drill", "--scratch", place, expect=41)["message"])
        self.assertNotEqual(self.scratch_files(self.folder / "scratch"), [])
        first.kill()
        first.wait()
        # It is still known where the first one was.
        self.coffer("backup")
        self.assertEqual(self.scratch_files(self.folder), [])

    def test_interrupted_it_removes_everything_itself(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.assertEqual(self.interrupted(number), 128 + number)
            self.assertEqual(self.scratch_files(self.folder), [])


if __name__ == "__main__":
    unittest.main()
