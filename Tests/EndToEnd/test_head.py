"""Stores that show an older state, or another one, than the last backup: found out by what the vaults keep."""

import json
import shutil
import subprocess

from fleet import FleetSession
from session import BINARIES, Session

OLDER, OTHER = 34, 35


class Store:
    """What whoever runs the store can do with it."""

    def keep(self, name):
        shutil.copytree(self.folder / "cloud", self.folder / name)

    def put_back(self, name):
        shutil.rmtree(self.folder / "cloud")
        shutil.copytree(self.folder / name, self.folder / "cloud")

    def snapshots(self):
        return sorted(path.name for path in (self.folder / "cloud/snapshots").iterdir())

    def hide_newest(self):
        (self.folder / "cloud/snapshots" / self.snapshots()[-1]).unlink()

    def change(self, source, text):
        (source / "new.txt").write_text(text * 500)


class Heads(Store, FleetSession):
    def test_an_older_copy_of_the_store_is_named_and_nothing_is_restored_or_written(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.keep("older")
        self.change(notes, "new")
        summary = self.coffer_json("backup")
        self.assertEqual(summary["vaults"]["acknowledged"], 5)
        self.assertEqual(summary["notes"], [])
        self.put_back("older")

        error = self.error(*self.restore_arguments("R"), expect=OLDER, device="new-phone")
        self.assertEqual(error["name"], "older-state")
        self.assertIn("that was snapshot 2", error["message"])
        self.assertIn("snapshot 1", error["message"])
        self.assertIn("--accept-older", error["advice"])
        self.assertFalse((self.folder / "R").exists())
        # The 64 digits with a sign-in ask the vaults too.
        self.coffer("key", "show", "--key-file", "digits")
        error = self.error("restore", "--from", "cloud", "R", "--key-file", "digits", "--token-file",
                           "anna-tokens.json", expect=OLDER, device="new-phone")
        self.assertEqual(error["name"], "older-state")
        # Without one nobody is asked, and that is said.
        said = self.coffer("restore", "--from", "cloud", "R0", "--key-file", "digits", device="new-phone")
        self.assertIn("No sign-in was given", said)
        unlock = ["--from", "cloud", "--password-file", "password", "--token-file", "anna-tokens.json"]
        for device, arguments in (("phone", []), ("new-phone", unlock)):
            findings = self.coffer_json("verify", *arguments, expect=4, device=device)["findings"]
            self.assertEqual(len(findings), 1, findings)
            self.assertIn("older state", findings[0])
            self.assertIn("older state", self.coffer("snapshots", *arguments, device=device))

        before = self.snapshots()
        error = self.error("backup", expect=OLDER)
        self.assertIn("would hide the loss", error["message"])
        self.assertEqual(self.snapshots(), before)

        # The person decides.
        said = self.coffer(*self.restore_arguments("R"), "--accept-older", device="new-phone")
        self.assertIn("older state", said)
        self.assertFalse((self.folder / "R/new.txt").exists())
        self.coffer(*self.restore_arguments("R1"), "--snapshot", "1", device="other-phone")
        self.coffer("backup", "--accept-older")
        self.assertEqual([name[:8] for name in self.snapshots()], ["00000001", "00000003"])
        self.coffer("backup")
        said = self.coffer(*self.restore_arguments("R2"), device="newer-phone")
        self.assertNotIn("older state", said)
        self.compare(notes, self.folder / "R2")
        self.coffer("verify", "--deep")

    def test_junk_in_the_place_of_the_last_backup_hides_no_older_state(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.keep("older")
        for text in ("a", "b"):
            self.change(notes, text)
            self.coffer("backup")
        newest = self.folder / "cloud/snapshots" / self.snapshots()[-1]
        # Damage alone stops nothing: the next backup mends it.
        whole = newest.read_bytes()
        newest.write_bytes(b"junk")
        self.assertIn("cannot be read", self.coffer_json("backup")["notes"][0])
        (self.folder / "cloud/snapshots" / self.snapshots()[-1]).unlink()
        newest.write_bytes(whole)
        name = f"00000004{self.snapshots()[-1][8:]}"
        self.put_back("older")
        (self.folder / "cloud/snapshots" / name).write_bytes(b"junk")
        before = self.snapshots()
        error = self.error("backup", expect=OLDER)
        self.assertIn("The newest that can is snapshot 1", error["message"])
        self.assertEqual(self.snapshots(), before)
        self.error(*self.restore_arguments("R"), expect=32, device="new-phone")
        self.coffer("backup", "--accept-older")
        self.coffer("backup")
        self.coffer(*self.restore_arguments("R"), device="new-phone")

    def test_a_newest_snapshot_that_is_held_back_and_a_fork(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.keep("first")
        self.change(notes, "phone")
        self.coffer("backup")
        self.hide_newest()
        error = self.error(*self.restore_arguments("R"), expect=OLDER, device="new-phone")
        self.assertIn("1 is missing", error["message"])

        # Another device asked nobody: its vaults are out of reach.
        self.put_back("first")
        self.coffer("key", "show", "--key-file", "digits")
        other = self.folder / "Other"
        shutil.copytree(notes, other)
        self.coffer("enable", other, "--to", "cloud", "--join", "--key-file", "digits", device="tablet")
        self.coffer("backup", device="tablet")
        self.assertEqual(len(self.snapshots()), 2)
        error = self.error(*self.restore_arguments("R"), expect=OTHER, device="new-phone")
        self.assertEqual(error["name"], "other-history")
        self.assertIn("snapshot 2", error["message"])
        self.assertFalse((self.folder / "R").exists())
        error = self.error("backup", expect=OTHER)
        self.assertEqual(error["name"], "other-history")
        self.assertIn("another history", self.coffer_json("verify", expect=4)["findings"][0])

    def test_what_vaults_that_are_down_did_not_hear_is_said_and_told_later(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.keep("older")
        self.change(notes, "new")
        self.stop("one", "two")
        said = self.coffer("backup")
        self.assertIn("3 of 5 vaults know of your last backup", said)
        self.assertIn("when 5 of them answer", said)
        self.assertIn("3 of 5 vaults know of your last backup", self.coffer("status"))
        self.keep("newest")
        self.put_back("older")
        self.start("one")
        self.start("two")
        # All answer: w + r = 3 + 5 ≥ n + t = 8.
        self.error(*self.restore_arguments("R"), expect=OLDER, device="new-phone")
        self.put_back("newest")
        self.coffer("backup")
        self.assertNotIn("know of your last backup", self.coffer("status"))
        self.put_back("newest")
        self.stop("three", "four")
        self.error(*self.restore_arguments("R"), expect=OLDER, device="new-phone")

        # Without vaults the device still knows; and a backup does not depend on them.
        self.stop("one", "two", "five")
        self.error("backup", expect=OLDER)
        said = self.coffer("backup", "--accept-older")
        self.assertIn("0 of 5 vaults know of your last backup", said)
        self.assertIn("too few", said)

    def test_two_vaults_of_five_that_serve_what_was_before(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.keep("older")
        # Two vaults with their anchors as they were: to them, nothing has happened since.
        for name in ("one", "two"):
            self.stop(name)
            shutil.copytree(self.folder / name, self.folder / f"{name}-before")
            self.start(name)
        self.change(notes, "new")
        self.assertEqual(self.coffer_json("backup")["vaults"]["acknowledged"], 5)
        for name in ("one", "two"):
            self.stop(name)
            shutil.rmtree(self.folder / name)
            shutil.move(self.folder / f"{name}-before", self.folder / name)
            self.start(name)
        self.put_back("older")
        # As few as can restore: two that lie, and one that does not.
        self.stop("four", "five")
        error = self.error(*self.restore_arguments("R"), expect=OLDER, device="new-phone")
        self.assertIn("that was snapshot 2", error["message"])

    def test_pruning_and_a_change_of_password_raise_no_alarm(self):
        notes = self.make_notes()
        self.enable(notes)
        for text in ("a", "b", "c"):
            self.change(notes, text)
            self.coffer("backup")
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertEqual(len(self.snapshots()), 1)
        self.coffer("backup")
        self.coffer("verify", "--deep")
        said = self.coffer(*self.restore_arguments("R"), device="new-phone")
        self.assertNotIn("vaults could", said)
        self.compare(notes, self.folder / "R")

    def test_two_devices_that_back_up_in_turn_and_at_once_raise_no_alarm(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        other = self.folder / "Other"
        shutil.copytree(notes, other)
        self.coffer("enable", other, "--to", "cloud", "--join", "--password-file", "password", "--token-file",
                    "anna-tokens.json", device="tablet")
        for device in ("tablet", "phone", "tablet"):
            self.change(notes if device == "phone" else other, device)
            self.assertEqual(self.coffer_json("backup", device=device)["vaults"]["acknowledged"], 5)
        for round in range(3):
            running = []
            for device, source in (("phone", notes), ("tablet", other)):
                self.change(source, f"{device} {round}")
                running.append(subprocess.Popen(
                    [str(BINARIES / "coffer"), "backup", "--json"], env=self.environment(device), cwd=self.folder,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            for process in running:
                said, _ = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 0, said)
                # Else the vaults do not know it, and cannot miss it.
                self.assertGreaterEqual(json.loads(said)["vaults"]["acknowledged"], 3, said)
        self.assertEqual(len(self.snapshots()), 10)
        self.coffer("verify", "--deep")
        said = self.coffer(*self.restore_arguments("R"), device="new-phone")
        self.assertNotIn("older state", said)
        # Whichever is the newest: without it, and with all that was written at the same moment, it is missed.
        newest = self.snapshots()[-1][:8]
        while self.snapshots()[-1].startswith(newest):
            self.hide_newest()
        self.error(*self.restore_arguments("R1"), expect=OLDER, device="new-phone")

    def test_an_expired_sign_in_stops_no_backup(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        (self.folder / "anna-tokens.json").unlink()
        self.change(notes, "new")
        summary = self.coffer_json("backup")
        self.assertEqual(summary["vaults"]["acknowledged"], 0)
        self.assertEqual(len(summary["notes"]), 1)
        self.assertIn("could not say", summary["notes"][0])
        self.sign_in("anna")
        self.assertEqual(self.coffer_json("backup")["vaults"]["acknowledged"], 5)


class KeyAlone(Store, Session):
    """Without vaults a device knows what it wrote itself, and a new one nothing."""

    def test_a_device_knows_its_own_last_backup(self):
        notes = self.make_notes()
        self.coffer("enable", notes, "--to", "cloud", "--key", "--key-file", "digits")
        self.coffer("backup")
        self.keep("older")
        self.change(notes, "new")
        summary = self.coffer_json("backup")
        self.assertNotIn("vaults", summary)
        self.put_back("older")
        self.assertEqual(self.error("backup", expect=OLDER)["name"], "older-state")
        self.error("restore", "R", expect=OLDER)
        self.coffer("restore", "--from", "cloud", "R", "--key-file", "digits", device="new-phone")
