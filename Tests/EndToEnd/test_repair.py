"""A store is read in turn, found damaged, repaired, and whole again after the next backup."""

import random
import subprocess
import sys
import unittest

from session import ROOT, Session


class Repair(Session):
    def setUp(self):
        super().setUp()
        self.chats = self.make_chats()
        self.coffer("enable", self.chats, "--to", "cloud", "--key-file", "digits")
        self.coffer("backup")
        self.packs = sorted(self.folder.glob("cloud/packs/*/*"), key=lambda path: path.stat().st_size)

    def damage(self, path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def verify_independently(self, problems=0):
        done = subprocess.run(
            [sys.executable, str(ROOT / "Specs/reference/read_backup.py"), "--key-file", str(self.folder / "digits"),
             str(self.folder / "cloud"), "verify"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertIn(f"{problems} problems", done.stdout)

    def test_damage_repair_backup_and_all_is_well(self):
        (self.chats / "gone soon.bin").write_bytes(random.Random(1).randbytes(3_500_000))
        self.coffer("backup")
        newest = max(self.folder.glob("cloud/packs/*/*"), key=lambda path: path.stat().st_mtime_ns)
        (self.chats / "gone soon.bin").unlink()
        self.damage(newest)
        self.damage(self.packs[-1])
        self.damage(self.folder / "cloud/keyring/00000001-a")
        for index in self.folder.glob("cloud/index/*"):
            self.damage(index)
        before = {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")}
        trial = self.coffer("repair", "--dry-run", expect=4)
        self.assertEqual(before, {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")})
        said = self.coffer("repair", expect=4)
        for text in (trial, said):
            self.assertIn(f"packs/{newest.parent.name}/{newest.name}", text)
            self.assertIn("gone soon.bin (2)", text)
        self.assertIn("both copies were written anew as keyring 2", said)
        for path, data in before.items():
            if path.parent.name != "index":
                self.assertEqual(path.read_bytes(), data, "nothing was changed")
        self.assertGreater(self.coffer_json("backup")["storedBytes"], 1_000_000)
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "Restored")
        self.compare(self.chats, self.folder / "Restored")
        self.assertIn("All came back", self.coffer("drill", "--sample", "100"))
        # The second backup is not whole any more; when it goes, nothing is left of the damage.
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertIn("nothing is damaged", self.coffer("repair"))
        self.verify_independently()

    def test_a_sound_store_is_left_alone(self):
        before = {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")}
        self.assertIn("nothing is damaged", self.coffer("repair"))
        self.assertEqual(before, {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")})
        self.assertTrue(self.coffer_json("repair", "--from", "cloud", "--key-file", "digits", device="new")["isClean"])

    def test_reading_in_turn_finds_damage_and_remembers(self):
        (self.chats / "film.mp4").write_bytes(random.Random(2).randbytes(40_000_000))
        self.coffer("backup")
        first = self.coffer_json("verify", "--sample", "1%")
        self.assertEqual((first["findings"], first["sample"]["damaged"]), ([], []))
        self.assertLess(first["sample"]["coveredPercent"], 100)
        while first["sample"]["coveredPercent"] < 100:
            covered = first["sample"]["coveredPercent"]
            first = self.coffer_json("verify", "--sample", "1%")
            self.assertGreater(first["sample"]["coveredPercent"], covered)
        self.assertRegex(
            self.coffer("verify", "--sample", "5%"), r"100 % of the packs were read in the last 30 days; .* all sound")
        ledger = self.folder / "homes/phone/state/coffer/packs-read"
        self.damage(ledger)
        self.assertLess(self.coffer_json("verify", "--sample", "1%")["sample"]["coveredPercent"], 100)
        self.damage(self.packs[-1])
        said = self.coffer("verify", "--sample", "100%", expect=4)
        self.assertIn("damaged", said)
        self.assertIn(self.packs[-1].name, said)
        self.assertIn("coffer repair", said)
        self.coffer("verify", "--sample", "5%", "--deep", expect=64)


if __name__ == "__main__":
    unittest.main()
