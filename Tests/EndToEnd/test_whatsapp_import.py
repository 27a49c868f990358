"""WhatsApp's own backup becomes a Coffer snapshot: proven before, protected as any other, and small the next time."""

import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from fleet import FleetSession
from session import BINARIES, ROOT, Session
from whatsapp import Account, message_database, next_day

MARK = b"message 17"


def exit_status(name):
    """As the manual's table has it."""
    manual = (ROOT / "Docs/Manual.md").read_text()
    return int(re.search(rf"^\| (\d+) \|[^\n]*`{name}`", manual, re.M).group(1))


class Files:
    """What an account's phone has."""

    def make_account(self):
        self.account = Account()
        self.secret_file("whatsapp-key", self.account.digits)
        self.database = self.folder / "msgstore.plain"
        message_database(self.database)
        self.backup = self.seal("msgstore.db.crypt15")

    def seal(self, name, content=None):
        path = self.folder / "phone" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.account.crypt15(self.database.read_bytes() if content is None else content))
        return path

    def import_arguments(self, *files, store="cloud"):
        return ["whatsapp", "import", *(files or [self.backup]), "--to", store, "--key-file", "whatsapp-key"]

    def require_same(self, path, content):
        """Without megabytes in the report."""
        self.assertTrue(path.read_bytes() == content, path)

    def opened(self, *files):
        """What `open` makes of them."""
        target = self.folder / f"opened {time.monotonic_ns()}"
        target.mkdir()
        self.coffer("whatsapp", "open", *files, "-o", target, "--key-file", "whatsapp-key")
        return target


class Import(Files, Session):
    def setUp(self):
        super().setUp()
        self.make_account()

    def imported(self, *files, options=()):
        return self.coffer_json(*self.import_arguments(*files), *options)

    def restored(self, *options):
        target = self.folder / f"Restored {time.monotonic_ns()}"
        self.coffer("restore", target, *options)
        return target

    def test_a_restore_is_byte_for_byte_what_open_gives_and_the_next_import_is_small(self):
        first = self.imported(options=["--coffer-key-file", "coffer-key"])
        (file,) = first["files"]
        self.assertEqual((file["verdict"], file["kind"], file["path"]), ("ok", "full", "Databases/msgstore.db"))
        before = self.database.read_bytes()
        next_day(self.database)
        # Under another name and from another folder, as the next download has it.
        moved = self.folder / "elsewhere"
        moved.mkdir()
        (moved / "link.crypt15").symlink_to("from the cloud.crypt15")
        tomorrow = self.seal("msgstore-2026-05-02.1.db.crypt15").rename(moved / "from the cloud.crypt15")
        second = self.coffer_json("whatsapp", "import", moved / "link.crypt15", "--key-file", "whatsapp-key")
        self.assertEqual(second["backup"]["snapshot"]["number"], 2)
        self.assertGreater(first["backup"]["storedBytes"], 1_500_000)
        self.assertLess(second["backup"]["storedBytes"], first["backup"]["storedBytes"] // 10)
        for options, sealed, content in (
                ([], tomorrow, self.database.read_bytes()), (["--snapshot", "1"], self.backup, before)):
            target = self.restored(*options)
            path = target / "Databases/msgstore.db"
            self.require_same(path, content)
            (opened,) = self.files_below(self.opened(sealed))
            self.require_same(path, opened.read_bytes())
            self.assertEqual(path.stat().st_mtime, sealed.stat().st_mtime)
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        # On a new phone, with Coffer's key alone; WhatsApp's opens nothing there.
        self.coffer("restore", "--from", "cloud", "--key-file", "coffer-key", "New", device="new-phone")
        self.require_same(self.folder / "New/Databases/msgstore.db", self.database.read_bytes())
        self.assertEqual(
            self.error("restore", "--from", "cloud", "--key-file", "whatsapp-key", "X", expect=10, device="new-phone")["name"],
            "wrong-key")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.assertEqual(self.coffer_json("drill", "--sample", "100%")["findings"], [])
        # The same once more costs nearly nothing.
        self.assertLess(self.imported(tomorrow)["backup"]["storedBytes"], 20_000)

    def test_increments_other_files_and_media_come_along_and_are_named(self):
        increment = (ROOT / "Specs/vectors/crypt15/h-increment.crypt15")
        vector_key = self.secret_file("vector-key", "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        self.account = Account(bytes.fromhex(vector_key.read_text()))
        shutil.copy(vector_key, self.folder / "whatsapp-key")
        shutil.copy(increment, self.folder / "phone/msgstore-increment-1.db.crypt15")
        files = [
            self.seal("msgstore.db.crypt15"), self.folder / "phone/msgstore-increment-1.db.crypt15",
            self.seal("wa.db.crypt15", b"SQLite format 3\0" + bytes(5_000)), self.seal("backup_settings.json.crypt15", b'{"a": 1}'),
            self.seal("empty.crypt15", b""), self.seal("..crypt15", b"dots")]
        media = self.folder / "Pictures"
        (media / "WhatsApp Images").mkdir(parents=True)
        (media / "WhatsApp Images/IMG-1.jpg").write_bytes(os.urandom(5_000))
        (media / "link").symlink_to("WhatsApp Images")
        report = self.imported(*files, options=["--coffer-key-file", "coffer-key", "--media", media])
        kinds = {file["path"]: (file["kind"], len(file["notes"])) for file in report["files"]}
        self.assertEqual(kinds, {
            "Databases/msgstore.db": ("full", 0), "Databases/msgstore-increment-1.db.zip": ("increment", 1),
            "Backups/wa.db": ("other", 0), "Backups/backup_settings.json": ("other", 0), "Backups/empty": ("other", 0),
            "Backups/backup": ("other", 0)})
        target = self.restored()
        self.assertEqual(
            {str(path.relative_to(target)) for path in self.files_below(target)},
            set(kinds) | {"Media/WhatsApp Images/IMG-1.jpg"} | {"Media/link/IMG-1.jpg"} - {"Media/link/IMG-1.jpg"})
        self.compare(media, target / "Media")
        self.assertEqual((target / "Backups/backup_settings.json").read_bytes(), b'{"a": 1}')
        opened = self.opened(files[1])
        self.assertEqual(
            (target / "Databases/msgstore-increment-1.db.zip").read_bytes(), self.files_below(opened)[0].read_bytes())
        # What was read once is not read again, and what is gone from the command is gone from the snapshot.
        again = self.imported(files[0], options=["--media", media])
        self.assertEqual(again["backup"]["snapshot"]["files"], 2)
        said = self.coffer(*self.import_arguments(files[0], files[1]))
        self.assertIn("not merged", said)

    def test_nothing_is_imported_unless_everything_is_proven(self):
        damaged = self.folder / "phone/wa.db.crypt15"
        body = bytearray(self.seal("wa.db.crypt15").read_bytes())
        body[-5_000] ^= 1
        damaged.write_bytes(body)
        cut = self.folder / "phone/cut.crypt15"
        cut.write_bytes(self.backup.read_bytes()[:-1_000])
        text = self.secret_file("text", "hello")
        bomb = self.seal("bomb.crypt15", bytes(3_000_000))
        options = ["--coffer-key-file", "coffer-key"]
        for files, name in (
                ([self.backup, damaged], "damaged-or-wrong-key"), ([cut], "truncated"), ([text], "not-a-backup"),
                ([self.backup, "none"], "no-source"), ([self.folder / "phone"], "no-source"),
                ([self.backup, self.backup], "ambiguous-import"),
                ([self.backup, self.seal("msgstore-2026-01-01.1.db.crypt15")], "ambiguous-import")):
            error = self.error(*self.import_arguments(*files), *options, expect=exit_status(name))
            self.assertEqual(error["name"], name)
            self.assertIn("Nothing was imported", error["message"] + error["advice"])
        (self.folder / "whatsapp-key").write_text(Account().digits)
        error = self.error(*self.import_arguments(), *options, expect=10)
        self.assertEqual(error["name"], "wrong-key")
        (self.folder / "whatsapp-key").write_text(self.account.digits)
        self.error(*self.import_arguments(), *options, "--media", "nowhere", expect=30)
        self.assertIn("No such file", self.error(*self.import_arguments("none"), *options, expect=30)["message"])
        (self.folder / "Pictures").mkdir()
        inside = self.import_arguments(store="Pictures/cloud")
        self.assertEqual(self.error(*inside, *options, "--media", "Pictures", expect=29)["name"], "store-inside-source")
        self.assertFalse((self.folder / "cloud").exists() or (self.folder / "coffer-key").exists())
        self.assertEqual(self.error("backup", expect=60)["name"], "not-enabled")
        # Who changed the trailer has not changed the content.
        vectors = ROOT / "Specs/vectors/crypt15"
        # It is imported, and the status is that of open.
        altered = self.coffer_json(
            "whatsapp", "import", vectors / "neg-flip-md5.crypt15", "--key-file", vectors / "encrypted_backup.key", "--to",
            "cloud-of-vectors", "--coffer-key-file", "vectors-key", device="tablet",
            expect=exit_status("ok-payload-header-or-trailer-altered"))["files"][0]
        self.assertEqual(self.coffer_json("status", device="tablet")["snapshotCount"], 1)
        self.assertEqual((altered["verdict"], altered["kind"]), ("ok-payload-header-or-trailer-altered", "full"))
        self.assertIn("not what WhatsApp wrote", altered["notes"][0])
        # Zeros are content, too.
        self.assertEqual(self.imported(bomb, options=options)["files"][0]["bytes"], 3_000_000)

    def test_keys_and_settings_of_the_device_never_come_along_as_media(self):
        self.imported(options=["--coffer-key-file", "coffer-key"])
        state = self.folder / "homes/phone/state"
        (self.folder / "link").symlink_to(state)
        for media in (state, state / "coffer", state / "coffer/import-copies", self.folder / "link", "homes", "homes/../homes/phone"):
            error = self.error(*self.import_arguments(), "--media", media, expect=29)
            self.assertIn("keeps key and settings", error["message"])
        (self.folder / "cloud-link").symlink_to(self.folder / "cloud")
        self.error(*self.import_arguments(), "--media", "cloud-link", expect=29)
        self.assertEqual(self.coffer_json("status")["snapshotCount"], 1)

    def test_many_files_need_few_descriptors(self):
        files = [self.seal(f"{number}.crypt15", os.urandom(40)) for number in range(150)]
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (80, limits[1]))
        try:
            report = self.imported(self.backup, *files, options=["--coffer-key-file", "coffer-key"])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assertEqual(report["backup"]["snapshot"]["files"], 151)
        target = self.restored()
        self.assertEqual(len(self.files_below(target)), 151)

    def test_an_older_file_after_a_newer_one_is_said(self):
        older = self.seal("older.crypt15")
        os.utime(older, (1_700_000_000, 1_700_000_000))
        self.assertEqual(self.imported(options=["--coffer-key-file", "coffer-key"])["notes"], [])
        (note,) = self.imported(older)["notes"]
        self.assertIn("--snapshot 1", note)
        self.assertIn("from an older file", self.coffer(*self.import_arguments(older)) + note)

    def test_how_it_is_protected_must_be_said_and_a_second_store_is_another_backup(self):
        self.assertIn("--fleet FILE", self.coffer(*self.import_arguments(), expect=64))
        self.assertIn("--to STORE", self.coffer("whatsapp", "import", self.backup, "--key-file", "whatsapp-key", expect=64))
        self.coffer(*self.import_arguments(), "--fleet", "f", "--coffer-key", expect=64)
        self.coffer(*self.import_arguments(), "--coffer-key", "--json", expect=64)
        self.coffer(*self.import_arguments(), "--coffer-key-file", "coffer-key")
        self.assertEqual(self.error(*self.import_arguments(store="cloud2"), expect=61)["name"], "already-enabled")
        # A protection that would not be made is not passed over. It is said before a key is asked for, or anything read.
        for options in (["--coffer-key-file", "k2"], ["--fleet", "none.toml"], ["--coffer-key-file", "k2", "--to", "cloud"]):
            error = self.error("whatsapp", "import", "nothing", *options, expect=61)
            self.assertIn("leave out --fleet", error["advice"])
        self.assertFalse((self.folder / "k2").exists())
        # There is no folder behind it.
        for command in (["backup"], ["include"], ["exclude", "videos"]):
            self.assertIn("coffer whatsapp import", self.error(*command, expect=30)["advice"])
        self.assertEqual(self.coffer_json("status")["snapshotCount"], 1)
        self.assertIn("What is imported from WhatsApp's own backups goes to", self.coffer("status"))
        self.coffer("move", "--to", "cloud3")
        self.coffer(*self.import_arguments(store="cloud3"))
        error = self.error(
            *self.import_arguments(store="cloud3"), "--coffer-key-file", "k2", device="other", expect=28)
        self.assertIn("--join", error["advice"])
        self.coffer("disable", "--yes")
        self.assertEqual([path.name for path in self.files_below(self.folder / "homes/phone/state")], [])

    def test_it_goes_into_the_backup_that_the_device_has_beside_its_folder(self):
        notes = self.make_notes()
        message_database(notes / "own.db")
        self.coffer("enable", notes, "--to", "cloud", "--key-file", "digits")
        self.coffer("backup")
        self.imported()
        connection = sqlite3.connect(notes / "own.db")
        connection.execute("INSERT INTO message (text_data) VALUES ('one more')")
        connection.commit()
        connection.close()
        self.assertLess(self.coffer_json("backup")["storedBytes"], 60_000)
        # The copies of either one are not the other's to remove.
        state = self.folder / "homes/phone/state/coffer"
        for copies in ("copies", "import-copies"):
            self.assertEqual(len(list((state / copies).glob("*.slots"))), 1)
        next_day(self.database)
        self.assertLess(self.imported(self.seal("msgstore.db.crypt15"))["backup"]["storedBytes"], 150_000)
        # The import is the newest, and does not stand for the folder.
        status = self.coffer_json("status")
        self.assertEqual((status["newest"]["number"], status["newestImport"]["number"]), (3, 4))
        said = self.coffer("status")
        self.assertIn("Last import: ", said)
        self.assertIn("it is snapshot 4", said)
        for options, device in ([], "phone"), (["--from", "cloud", "--key-file", "digits"], "new-phone"):
            target = self.folder / f"Back on {device}"
            said = self.coffer("restore", target, *options, device=device)
            self.assertIn(f"Snapshot 3 is taken, of {notes}.", said)
            self.assertEqual(said.count("what was imported from WhatsApp's backups, 4."), 1, said)
            self.compare(notes, target)
            report = self.coffer_json("restore", f"{target} 2", "--at", "2100-01-01", *options, device=device)
            self.assertEqual((report["snapshot"]["number"], len(report["notes"])), (3, 1))
            self.coffer("restore", f"{target} 3", "--snapshot", "4", *options, device=device)
            self.require_same(self.folder / f"Back on {device} 3/Databases/msgstore.db", self.database.read_bytes())
            self.assertIn("own.db", self.coffer("ls", *options, device=device))
        self.assertEqual(self.coffer_json("drill", "--sample", "100%")["snapshot"]["number"], 3)
        self.assertEqual(self.coffer_json("verify", "--deep")["files"], 4 + 1)
        sources = [snapshot["source"] for snapshot in self.coffer_json("snapshots")["snapshots"]]
        self.assertEqual(sources, [str(notes), "whatsapp-import:"] * 2)
        self.coffer("prune", "--keep-last", "1")
        left = {snapshot["source"] for snapshot in self.coffer_json("snapshots")["snapshots"]}
        self.assertEqual(left, {str(notes), "whatsapp-import:"})

    def test_no_plaintext_lies_on_the_disk_also_if_it_is_killed(self):
        media = self.folder / "Pictures"
        media.mkdir()
        with open(media / "long.bin", "wb") as file:
            for _ in range(60):
                file.write(os.urandom(1_000_000))
        self.coffer(*self.import_arguments(), "--coffer-key-file", "coffer-key")
        process = subprocess.Popen(
            [str(BINARIES / "coffer"), *map(str, self.import_arguments()), "--media", str(media), "--limit", "4M"],
            env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        self.assertIn("proven", process.stdout.readline())
        # The content lies there now, in a file without a name: what is written of it must be noise.
        deadline = time.monotonic() + 30
        held = None
        while held is None and time.monotonic() < deadline:
            held = self.unnamed_file(process.pid)
        self.assertIsNotNone(held)
        self.assertFalse(MARK in held, "the content is in the clear")
        self.assertGreater(len(held), 1_500_000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for folder in ("homes", "cloud"):
            for path in self.files_below(self.folder / folder):
                self.assertFalse(MARK in path.read_bytes(), path)
                self.assertNotIn(".coffer-", path.name)
        # And it goes on.
        self.coffer(*self.import_arguments())
        secrets = "".join(self.printed)
        for group in self.account.groups:
            self.assertNotIn(f" {group} ", secrets)
        self.assertNotIn(self.account.digits, secrets)

    def unnamed_file(self, process):
        for number in os.listdir(f"/proc/{process}/fd"):
            try:
                if os.readlink(f"/proc/{process}/fd/{number}").endswith(" (deleted)"):
                    with open(f"/proc/{process}/fd/{number}", "rb") as file:
                        content = file.read()
                    if len(content) > 1_500_000:
                        return content
            except OSError:
                continue
        return None


class ImportWithFleet(Files, FleetSession):
    vault_count = 3

    def test_a_password_brings_it_back_on_a_new_phone(self):
        self.make_account()
        self.coffer(
            *self.import_arguments(), "--fleet", "fleet.toml", "--token-file", "anna-tokens.json", "--password-file", "password")
        self.assertEqual(self.coffer_json("status")["protections"], ["password"])
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.require_same(self.folder / "Restored/Databases/msgstore.db", self.database.read_bytes())


if __name__ == "__main__":
    unittest.main()
