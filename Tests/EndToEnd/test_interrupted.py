"""Backups and restores are killed at random moments, and the next ones go on."""

import os
import random
import signal
import subprocess
import time
import unittest

from session import BINARIES, Session

MIB = 1 << 20
PACK_BYTES = 16 * MIB


class Interrupted(Session):
    def setUp(self):
        super().setUp()
        self.seed = random.randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.source = self.folder / "Chats"
        (self.source / "Media").mkdir(parents=True)
        for number in range(90):
            path = self.source / "Media" / f"IMG-{number:03}.jpg"
            path.write_bytes(self.random.randbytes(self.random.randrange(MIB // 4, 2 * MIB)))
        (self.source / "film.mp4").write_bytes(self.random.randbytes(60 * MIB))
        # What changed just before a backup is not remembered by its time.
        for path in self.files_below(self.source):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        time_of_change = max(path.stat().st_ctime for path in self.files_below(self.source))
        self.wait_until(lambda: time.time() > time_of_change + 4)
        self.bytes = sum(path.stat().st_size for path in self.files_below(self.source))

    def wait_until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"seed {self.seed}")
            time.sleep(0.01)

    def kill_when(self, condition, *arguments):
        """Runs a command, and kills it when the condition holds; whether it was killed."""
        process = subprocess.Popen(
            [str(BINARIES / "coffer"), *map(str, arguments)], env=self.environment(), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and not condition():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def packs(self):
        return [path for path in self.files_below(self.folder / "cloud/packs") if not path.name.startswith(".")] \
            if (self.folder / "cloud/packs").exists() else []

    def test_a_backup_that_was_killed_goes_on_behind_the_last_pack(self):
        self.coffer("enable", self.source, "--to", "cloud", "--key-file", "digits")
        kills = 0
        for _ in range(3):
            goal = len(self.packs()) + self.random.randrange(1, 4)
            kills += self.kill_when(lambda: len(self.packs()) >= goal, "backup")
        self.assertGreater(kills, 0, f"seed {self.seed}")
        self.assertEqual(self.coffer_json("snapshots")["snapshots"], [], "what was cut is no backup")
        landed = sum(path.stat().st_size for path in self.packs())
        report = self.coffer_json("backup")
        # Whatever was in the store is not stored again: a kill costs the packs that were on their way.
        stored = sum(path.stat().st_size for path in self.packs())
        self.assertLess(stored, self.bytes + (kills + 1) * PACK_BYTES, f"seed {self.seed}")
        self.assertLess(report["storedBytes"], self.bytes - landed + PACK_BYTES * 3 // 2, f"seed {self.seed}")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "Restored")
        self.compare(self.source, self.folder / "Restored")

    def test_a_restore_that_was_killed_goes_on_with_the_same_command(self):
        self.coffer("enable", self.source, "--to", "cloud", "--key-file", "digits")
        self.coffer("backup")
        target = self.folder / "Restored"
        here = lambda: len(list(target.glob("Media/IMG*"))) if target.exists() else 0
        kills = 0
        for _ in range(2):
            goal = here() + self.random.randrange(5, 20)
            kills += self.kill_when(lambda: here() >= goal, "restore", "Restored")
        self.assertGreater(kills, 0, f"seed {self.seed}")
        before = here()
        report = self.coffer_json("restore", "Restored")
        self.assertGreaterEqual(report["filesKept"], before, f"seed {self.seed}")
        self.assertEqual(report["missing"], [])
        self.compare(self.source, target)
        self.assertEqual([path.name for path in target.rglob(".coffer*")], [])


if __name__ == "__main__":
    unittest.main()
