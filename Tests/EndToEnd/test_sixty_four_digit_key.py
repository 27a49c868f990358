"""The whole way with the 64-digit key alone, at a terminal and without one."""

import os
import random
import re
import subprocess
import sys
import unittest

import pexpect

from session import BINARIES, ROOT, Session


class SixtyFourDigitKey(Session):
    def enabled(self, source):
        self.coffer("enable", source, "--to", "cloud", "--key", "--key-file", "key.txt")

    def test_backup_and_restore_on_a_new_device(self):
        source = self.make_chats(megabytes=4)
        self.enabled(source)
        self.assertEqual(os.stat(self.folder / "key.txt").st_mode & 0o777, 0o600)
        first = self.coffer_json("backup")
        second = self.coffer_json("backup")
        self.assertGreater(first["storedBytes"], 1_000_000)
        self.assertLess(second["storedBytes"], 20_000, "an unchanged folder is not stored again")
        self.coffer("restore", "--from", "cloud", "--key-file", "key.txt", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        self.assertIn("all sound", self.coffer("verify", "--deep"))

    def test_the_device_s_own_folder_with_its_key_is_never_saved(self):
        home = self.folder / "home"
        state = home / ".local/state/coffer"
        state.parent.mkdir(parents=True)
        (home / "letter.txt").write_text("dear all\n")
        (home / ".local/state/other").write_text("not Coffer's\n")
        # Under another name, as through a link on the way.
        (self.folder / "to-state").symlink_to(state.parent)
        named = ("--state", self.folder / "to-state/coffer")
        self.coffer("enable", home, "--to", "cloud", "--key", "--key-file", "key.txt", *named)
        for _ in range(2):
            self.coffer("backup", *named)
        self.assertTrue((state / "key").exists())
        self.coffer("restore", "--from", "cloud", "--key-file", "key.txt", "Restored", device="new-phone")
        restored = sorted(str(path.relative_to(self.folder / "Restored")) for path in (self.folder / "Restored").rglob("*"))
        self.assertEqual(restored, [".local", ".local/state", ".local/state/other", "letter.txt"])

    def test_the_independent_reader_extracts_what_the_program_wrote(self):
        source = self.make_chats(megabytes=4)
        self.enabled(source)
        self.coffer("backup")
        (source / "added.txt").write_text("one more\n")
        self.coffer("backup")
        reader = [sys.executable, str(ROOT / "Specs/reference/read_backup.py"), "--key-file", "key.txt", "cloud"]
        for arguments in (["verify"], ["extract", "Read"]):
            done = subprocess.run(reader + arguments, cwd=self.folder, text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.compare(source, self.folder / "Read")

    def test_at_a_terminal_the_key_is_shown_once_and_asked_back(self):
        source = self.make_notes()
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), ["enable", str(source), "--to", "cloud", "--key"], cwd=str(self.folder),
            env=self.environment(), encoding="utf-8", timeout=60)
        terminal.expect("type groups (\\d+) and (\\d+): ")
        groups = re.findall(r"\b[0-9a-f]{4}\b", terminal.before)
        self.assertEqual(len(groups), 18)
        terminal.sendline("0000 0000")
        terminal.expect("not what the key says")
        terminal.expect("type groups (\\d+) and (\\d+): ")
        asked = [groups[int(number) - 1] for number in terminal.match.groups()]
        terminal.sendline(" ".join(asked).upper())
        terminal.expect("Backup of .* is on")
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.assertEqual(terminal.exitstatus, 0)
        self.coffer("backup")
        self.restore_by_typing("-".join(groups).upper())

    def restore_by_typing(self, digits):
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), ["restore", "--from", "cloud", "Restored"], cwd=str(self.folder),
            env=self.environment("new-phone"), encoding="utf-8", timeout=60)
        terminal.expect("64-digit key: ")
        terminal.sendline(digits)
        terminal.expect("Restored snapshot 1")
        terminal.expect(pexpect.EOF)
        self.assertNotIn(digits, terminal.before, "what is typed is not shown")
        self.compare(self.folder / "Notes", self.folder / "Restored")

    def test_a_key_that_was_not_confirmed_enables_nothing(self):
        source = self.make_notes()
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), ["enable", str(source), "--to", "cloud", "--key"], cwd=str(self.folder),
            env=self.environment(), encoding="utf-8", timeout=60)
        for _ in range(3):
            terminal.expect("type groups")
            terminal.sendline("zzzz zzzz")
        terminal.expect("not confirmed")
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.assertEqual(terminal.exitstatus, 62)
        self.assertFalse((self.folder / "cloud").exists())
        self.assertEqual(self.error("backup", expect=60)["name"], "not-enabled")

    def test_a_mistyped_key_is_located(self):
        self.enabled(self.make_notes())
        self.coffer("backup")
        digits = (self.folder / "key.txt").read_text().split()
        self.assertEqual(len(digits), 18)
        mistyped = f"{int(digits[6], 16) ^ 0x0050:04x}"
        cases = {
            "wrong character": (digits[:4] + ["12g4"] + digits[5:], "group 5, position 3"),
            "missing group": (digits[:8] + digits[9:], "group 9 is probably missing"),
            "two missing groups and a half": (digits[:15] + ["12"], "62 digits"),
            "one digit too many": (digits + ["1"], "73 digits"),
            "empty": ([], "0 digits"),
            "one wrong digit": (digits[:6] + [mistyped] + digits[7:], "Group 7 of the 64-digit key is probably mistyped"),
            "neighbours swapped": (digits[:3] + [digits[4], digits[3]] + digits[5:], "Groups 4 and 5 of the 64-digit key"),
            "two wrong groups": (digits[:6] + [mistyped, "0000"] + digits[8:], "of the 64-digit key is"),
        }
        for name, (groups, words) in cases.items():
            with self.subTest(name):
                self.secret_file("typed", " ".join(groups))
                error = self.error("restore", "--from", "cloud", "--key-file", "typed", "Restored", expect=10)
                self.assertEqual(error["name"], "malformed-key")
                self.assertIn(words, error["message"])
                for group in filter(lambda group: len(group) == 4, groups):
                    self.assertNotIn(group, error["message"] + error["advice"])
        swapped = digits[1:2] + digits[0:1] + digits[2:16]
        self.secret_file("typed", " ".join(swapped))
        error = self.error("restore", "--from", "cloud", "--key-file", "typed", "Restored", expect=10)
        self.assertEqual(error["name"], "wrong-key")
        self.assertFalse((self.folder / "Restored").exists(), "nothing was made for a key that opens nothing")
        self.secret_file("typed", "".join(digits[:16]).upper())
        self.coffer("restore", "--from", "cloud", "--key-file", "typed", "Restored")

    def test_disable_says_what_it_deletes_and_leaves_the_rest(self):
        source = self.make_notes()
        self.enabled(source)
        self.coffer("backup")
        said = self.coffer("disable", "--yes")
        self.assertIn("still there", said)
        self.assertEqual(self.error("backup", expect=60)["name"], "not-enabled")
        self.coffer("restore", "--from", "cloud", "--key-file", "key.txt", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_without_a_terminal_nothing_is_changed(self):
        source = self.make_notes()
        self.assertIn("Nothing was changed", self.coffer("enable", source, "--to", "cloud", "--key", expect=62))
        self.assertEqual(self.error("status", expect=60)["name"], "not-enabled")
        self.enabled(source)
        self.assertIn("Nothing was changed", self.coffer("key", "rotate", expect=62))

    def test_a_key_for_no_other_store_is_not_ignored(self):
        self.enabled(self.make_notes())
        for option in (["--key"], ["--key-file", "key.txt"], ["--token-file", "x"], ["--password-file", "x"]):
            self.assertIn("--from STORE", self.coffer("snapshots", *option, expect=64))

    def test_disable_with_the_store_leaves_nothing(self):
        self.enabled(self.make_notes())
        self.coffer("backup")
        state = self.folder / "homes/phone/state/coffer"
        # As programs leave them that are killed.
        for name in ("known-files.new", "known-files.cut", "packs-read", "packs-read.new"):
            (state / name).write_text("left")
        self.coffer("disable", "--yes", "--delete-store")
        self.assertEqual(self.files_below(self.folder / "cloud"), [])
        self.assertEqual(self.files_below(self.folder / "homes/phone/state"), [])

    def test_a_new_device_goes_on_with_the_key(self):
        source = self.make_notes()
        self.enabled(source)
        self.coffer("backup")
        self.coffer("enable", source, "--to", "cloud", "--join", "--key-file", "key.txt", device="other")
        self.assertEqual(self.coffer_json("backup", device="other")["snapshot"]["number"], 2)

    def test_the_key_is_shown_at_a_terminal_alone(self):
        source = self.make_notes()
        self.assertIn("--key-file", self.coffer("enable", source, "--to", "cloud", "--key", "--json", expect=64))
        said = self.coffer("enable", source, "--to", "cloud", "--key", expect=62)
        self.assertNotRegex(said, r"\b[0-9a-f]{4} [0-9a-f]{4}\b")

    def test_a_damaged_settings_file_never_costs_the_key(self):
        source = self.make_notes()
        self.enabled(source)
        self.coffer("backup")
        state = self.folder / "homes/phone/state/coffer"
        (state / "settings.json").write_text("{")
        self.assertIn("key", self.error("backup", expect=63)["advice"])
        (state / "settings.json").unlink()
        for store in ("cloud", "cloud2"):
            error = self.error("enable", source, "--to", store, "--key-file", "other.txt", expect=63)
            self.assertEqual(error["name"], "damaged-state")
        self.coffer("restore", "--from", "cloud", "--key-file", state / "key", "Restored")
        self.compare(source, self.folder / "Restored")

    def test_empty_names_are_refused(self):
        self.make_notes()
        self.error("enable", "", "--to", "cloud", "--key-file", "k", expect=30)
        self.error("enable", "Notes", "--to", "", "--key-file", "k", expect=27)

    def test_wrong_usage_is_json_too(self):
        error = self.coffer_json("restore", expect=64)["error"]
        self.assertEqual((error["name"], error["exitStatus"]), ("usage", 64))
        error = self.coffer_json("restore", "R", "--from", "cloud", "--key-file", "not-there", expect=20)["error"]
        self.assertEqual(error["name"], "no-store")

    def test_an_output_that_takes_nothing_is_no_crash(self):
        self.enabled(self.make_notes())
        self.coffer("backup")
        with open("/dev/full", "w") as full:
            done = subprocess.run([str(BINARIES / "coffer"), "status"], env=self.environment(), cwd=self.folder,
                                  stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1)

    def test_names_are_shown_and_not_obeyed(self):
        source = self.make_notes()
        (source / "a\x1b[31mred\x07\u202etxt.exe").write_text("x")
        os.mkfifo(source / "p\x1b[2J")
        self.enabled(source)
        said = self.coffer("backup") + self.coffer("ls")
        self.coffer("restore", "--from", "cloud", "--key-file", "key.txt", "R")
        (self.folder / "R/note 1.txt").write_text("mine")
        said += self.coffer("restore", "--from", "cloud", "--key-file", "key.txt", "R", "--into-existing", expect=3)
        header = self.folder / "cloud/coffer.json"
        header.write_text(header.read_text().replace('"fleet" : null', '"fleet" : "\\u001b[31mPWN\\u0007 = 1"'))
        said += self.coffer("restore", "--from", "cloud", "Again", expect=55)
        for code in ("\x1b", "\x07", "\u202e"):
            self.assertNotIn(code, said)
        self.assertIn("a?[31mred??txt.exe", said)

    def test_interrupting_a_prompt_brings_the_echo_back(self):
        self.enabled(self.make_notes())
        self.coffer("backup")
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), ["restore", "--from", "cloud", "R"], cwd=str(self.folder),
            env=self.environment("new-phone"), encoding="utf-8", timeout=60)
        terminal.expect("64-digit key: ")
        terminal.sendcontrol("c")
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.assertIn(terminal.signalstatus or terminal.exitstatus, (2, 130))

    def test_a_store_inside_the_folder_is_refused(self):
        self.make_notes()
        for store in ("Notes/cloud", "Notes", "Elsewhere/../Notes/cloud"):
            error = self.error("enable", "Notes", "--to", store, "--key-file", "key.txt", expect=29)
            self.assertEqual(error["name"], "store-inside-source")

    def test_an_existing_store_is_never_taken_over(self):
        self.enabled(self.make_notes())
        self.coffer("backup")
        before = {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")}
        error = self.error(
            "enable", "Notes", "--to", "cloud", "--key-file", "other.txt", expect=28, device="other-phone")
        self.assertEqual(error["name"], "store-taken")
        self.assertEqual(before, {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")})
        self.assertEqual(self.error("enable", "Notes", "--to", "elsewhere", "--key-file", "k", expect=61)["name"],
                         "already-enabled")

    def test_a_folder_that_is_not_empty_is_not_restored_to(self):
        source = self.make_notes()
        self.enabled(source)
        self.coffer("backup")
        target = self.folder / "Target"
        target.mkdir()
        (target / "note 1.txt").write_text("mine\n")
        error = self.error("restore", "--from", "cloud", "--key-file", "key.txt", "Target", expect=40)
        self.assertEqual(error["name"], "target-not-empty")
        summary = self.coffer_json(
            "restore", "--from", "cloud", "--key-file", "key.txt", "Target", "--into-existing", expect=3)
        self.assertEqual([missing["path"] for missing in summary["missing"]], ["note 1.txt"])
        self.assertEqual((target / "note 1.txt").read_text(), "mine\n")
        self.assertEqual((target / "note 0.txt").read_text(), (source / "note 0.txt").read_text())
        self.assertEqual(len(self.files_below(target)), 3)


class FullDisk(Session):
    def test_a_full_store_costs_nothing_that_was_backed_up(self):
        """A store on a file system of 6 MB: the second backup does not fit."""
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(disk)], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("this machine does not let a test mount a file system")
        self.addCleanup(subprocess.run, ["umount", str(disk)])
        source = self.make_notes()
        self.coffer("enable", source, "--to", "disk/cloud", "--key-file", "key.txt")
        self.coffer("backup")
        times = os.stat(source)
        large = source / "film"
        large.write_bytes(random.Random(1).randbytes(12_000_000))
        error = self.error("backup", expect=26)
        self.assertEqual(error["name"], "store-full")
        self.assertFalse(list(disk.rglob(".writing-*")), "nothing half-written is left")
        self.assertIn("1 snapshot, all sound", self.coffer("verify", "--deep"))
        large.unlink()
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.coffer("restore", "--from", "disk/cloud", "--key-file", "key.txt", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_a_full_target_leaves_no_half_written_file(self):
        source = self.make_notes()
        (source / "film").write_bytes(random.Random(1).randbytes(4_000_000))
        self.coffer("enable", source, "--to", "cloud", "--key-file", "key.txt")
        self.coffer("backup")
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], capture_output=True).returncode:
            self.skipTest("this machine does not let a test mount a file system")
        self.addCleanup(subprocess.run, ["umount", str(disk)])
        error = self.error("restore", "--from", "cloud", "--key-file", "key.txt", "disk/Restored", expect=41)
        self.assertEqual(error["name"], "target-failed")
        # The note that a restore was cut stays, for the next one to go on.
        left = {path.name for path in self.files_below(disk) if "coffer" in path.name}
        self.assertLessEqual(left, {".coffer-unfinished-restore"})


class Damage(Session):
    """Each kind of object damaged: a clear error, and only what must be lost is lost."""

    def setUp(self):
        super().setUp()
        self.source = self.make_chats(megabytes=1)
        self.coffer("enable", self.source, "--to", "cloud", "--key-file", "key.txt")
        self.coffer("backup")
        self.store = self.folder / "cloud"

    def damage(self, path, at=None):
        data = bytearray(path.read_bytes())
        position = len(data) // 2 if at is None else at
        data[position] ^= 1
        path.write_bytes(data)

    def restore(self, expect=0):
        target = self.folder / f"Restored-{random.random()}"
        return target, self.coffer_json(
            "restore", "--from", "cloud", "--key-file", "key.txt", target, expect=expect, device="new-phone")

    def one(self, pattern):
        return sorted(self.store.glob(pattern))[0]

    def test_a_folder_that_is_no_store(self):
        (self.folder / "empty").mkdir()
        error = self.error("restore", "--from", "empty", "--key-file", "key.txt", "Restored", expect=20)
        self.assertEqual(error["name"], "no-store")
        (self.folder / "empty/coffer.json").write_text("{}")
        error = self.error("restore", "--from", "empty", "--key-file", "key.txt", "Restored", expect=21)
        self.assertEqual(error["name"], "damaged-header")
        self.assertEqual(
            self.error("restore", "--from", "s3:bucket", "--key-file", "key.txt", "R", expect=27)["name"],
            "unsupported-store")

    def test_a_header_that_someone_altered(self):
        header = self.store / "coffer.json"
        header.write_text(header.read_text().replace('"fleet" : null', '"fleet" : "id = 1"'))
        error = self.error("restore", "--from", "cloud", "--key-file", "key.txt", "R", expect=23)
        self.assertEqual(error["name"], "header-altered")

    def test_a_newer_format(self):
        header = self.store / "coffer.json"
        header.write_text(header.read_text().replace('"version" : 1', '"version" : 2'))
        error = self.error("restore", "--from", "cloud", "--key-file", "key.txt", "R", expect=22)
        self.assertEqual(error["name"], "newer-format")

    def test_one_copy_of_the_keyring(self):
        self.damage(self.store / "keyring/00000001-a")
        target, _ = self.restore()
        self.compare(self.source, target)
        self.assertIn("a copy is damaged", self.coffer("verify", expect=4))
        self.damage(self.store / "keyring/00000001-b")
        error = self.error("restore", "--from", "cloud", "--key-file", "key.txt", "R", expect=24)
        self.assertEqual(error["name"], "damaged-keyring")

    def test_an_index(self):
        self.damage(self.one("index/*"))
        target, _ = self.restore()
        self.compare(self.source, target)
        self.assertIn("lists replace it", self.coffer("verify", expect=4))

    def test_one_copy_of_a_snapshot_and_both(self):
        snapshot = self.one("snapshots/*")
        self.damage(snapshot, at=100)
        target, _ = self.restore()
        self.compare(self.source, target)
        self.assertIn("a copy is damaged", self.coffer("verify", expect=4))
        self.damage(snapshot, at=snapshot.stat().st_size - 100)
        error = self.error("restore", "--from", "cloud", "--key-file", "key.txt", "R", expect=32)
        self.assertEqual(error["name"], "damaged-snapshot")

    def test_a_pack(self):
        pack = sorted(self.store.glob("packs/*/*"), key=lambda path: path.stat().st_size)[-1]
        self.damage(pack)
        target, summary = self.restore(expect=3)
        self.assertTrue(summary["missing"])
        restored = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
        for missing in summary["missing"]:
            self.assertNotIn(missing["path"], restored, "nothing damaged stands under its name")
        self.assertFalse([name for name in restored if ".coffer-" in name], "no half-written file is left")
        self.assertIn("Damage was found", self.coffer("verify", "--deep", expect=4))

    def test_the_store_is_gone(self):
        self.store.rename(self.folder / "elsewhere")
        self.assertEqual(self.error("backup", expect=20)["name"], "no-store")

    def test_the_source_is_gone(self):
        self.source.rename(self.folder / "moved")
        self.assertEqual(self.error("backup", expect=30)["name"], "no-source")
        target, _ = self.restore()
        self.compare(self.folder / "moved", target)


if __name__ == "__main__":
    unittest.main()
