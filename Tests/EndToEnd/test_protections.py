"""Several protections of one backup: added, changed, moved, removed; the key replaced; the store moved."""

import fcntl
import json
import os
import shutil
import subprocess
import unittest

from fleet import FleetSession, free_port
from session import BINARIES, Session

SIGN_IN = ["--password-file", "password", "--token-file", "anna-tokens.json"]


class Killed:
    """A command that is killed as soon as something can be seen of it."""

    def kill(self, moment, *arguments):
        process = subprocess.Popen(
            [str(BINARIES / "coffer"), *arguments], env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and not moment():
            pass
        process.kill()
        process.wait()

    def moments(self):
        """Of a replacement of the key, one after the other."""
        state, store = self.folder / "homes/phone/state/coffer", self.folder / "cloud"
        def tag_digits():
            return len(json.loads((store / "coffer.json").read_text())["tag"])

        def keyrings():
            return {path.name for path in (store / "keyring").iterdir() if path.name[0] != "."}

        numbers = keyrings()
        return {
            "the new key is kept": lambda: (state / "next-key").exists(),
            "a new keyring is there": lambda: keyrings() - numbers,
            "both keyrings are there": lambda: len(keyrings() - numbers) == 2,
            "the header has two tags": lambda: tag_digits() == 128,
            "an old keyring is gone": lambda: numbers - keyrings(),
            "the new key is kept no more": lambda: not numbers & keyrings() and not (state / "next-key").exists(),
        }

    def opens_with(self, key, target):
        done = subprocess.run(
            [str(BINARIES / "coffer"), "restore", "--from", "cloud", "--key-file", key, target], cwd=self.folder,
            env=self.environment("new-phone"), stdin=subprocess.DEVNULL, capture_output=True)
        return done.returncode == 0


class WithoutVaults(Session, Killed):
    def setUp(self):
        super().setUp()
        self.source = self.make_notes()
        self.coffer("enable", self.source, "--to", "cloud", "--key-file", "key.txt")
        self.coffer("backup")

    def restore(self, target, key="key.txt", store="cloud", expect=0):
        return self.coffer("restore", "--from", store, "--key-file", key, target, device="new-phone", expect=expect)

    def objects(self, store="cloud"):
        return {path.relative_to(self.folder / store): path.read_bytes()
                for path in self.files_below(self.folder / store)}

    def test_the_key_is_replaced_and_nothing_is_uploaded_again(self):
        before = self.objects()
        said = self.coffer("key", "rotate", "--key-file", "new-key.txt")
        self.assertIn("from now on", said)
        after = self.objects()
        self.assertEqual({path for path in before if path.parts[0] not in ("keyring", "coffer.json")},
                         {path for path in after if path.parts[0] not in ("keyring", "coffer.json")})
        self.restore("Old", expect=10)
        self.restore("New", key="new-key.txt")
        self.compare(self.source, self.folder / "New")
        self.assertLess(self.coffer_json("backup")["storedBytes"], 20_000)
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        state = self.folder / "homes/phone/state/coffer"
        self.assertEqual([path.name for path in sorted(state.glob("*key"))], ["key"])
        self.coffer("key", "show", "--key-file", "shown.txt")
        self.assertEqual((self.folder / "shown.txt").read_text(), (self.folder / "new-key.txt").read_text())

    def test_another_device_is_told_that_the_key_was_replaced_and_joins_again(self):
        self.coffer("enable", self.source, "--to", "cloud", "--join", "--key-file", "key.txt", device="other")
        self.assertEqual(self.coffer_json("backup", device="other")["snapshot"]["number"], 2)
        self.coffer("key", "rotate", "--key-file", "new-key.txt")
        error = self.error("backup", expect=10, device="other")
        self.assertEqual(error["name"], "key-replaced")
        self.assertIn("--join", error["advice"])
        self.coffer("disable", "--yes", "--leave-shares", device="other")
        self.coffer("enable", self.source, "--to", "cloud", "--join", "--key-file", "new-key.txt", device="other")
        self.assertEqual(self.coffer_json("backup", device="other")["snapshot"]["number"], 3)

    def test_another_device_takes_over_a_replacement_whose_device_is_lost(self):
        moment, key = self.moments()["the header has two tags"], "key.txt"
        for attempt in range(5):
            other = f"other-{attempt}"
            self.coffer("enable", self.source, "--to", "cloud", "--join", "--key-file", key, device=other)
            self.kill(moment, "key", "rotate", "--key-file", f"lost-{attempt}.txt")
            if moment():
                break
            # On a busy machine it may be over before the kill.
            key = f"lost-{attempt}.txt"
        else:
            self.fail("killed too late five times")
        error = self.error("key", "rotate", "--key-file", "second.txt", expect=65, device=other)
        self.assertIn("--take-over", error["advice"])
        self.coffer("key", "rotate", "--take-over", device=other)
        self.restore("Second", key="second.txt")
        self.restore("Lost", key=f"lost-{attempt}.txt", expect=10)
        self.restore("Old", expect=10)
        self.assertIn("all sound", self.coffer("verify", device=other))
        self.assertEqual(self.error("backup", expect=10)["name"], "key-replaced")

    def test_a_key_that_was_not_saved_replaces_nothing(self):
        before = self.objects()
        (self.folder / "there").write_text("mine")
        self.assertEqual(self.error("key", "rotate", "--key-file", "there", expect=62)["name"], "not-confirmed")
        self.assertEqual(before, self.objects())
        self.coffer("backup")

    def test_a_replacement_that_was_cut_goes_on_with_the_next_command(self):
        """The store is taken away while the key is replaced: once before the first step, once before each later one."""
        keyring = self.folder / "cloud/keyring"
        os.chmod(keyring, 0o500)
        blocked = os.access(keyring, os.W_OK)  # as root nothing is refused
        os.chmod(keyring, 0o700)
        if blocked:
            keyring.rename(self.folder / "away")
            keyring.write_text("a file stands in the way")
            self.coffer("key", "rotate", "--key-file", "new-key.txt", expect=24)
            keyring.unlink()
            (self.folder / "away").rename(keyring)
            self.coffer("backup")
            return
        os.chmod(keyring, 0o500)
        self.coffer("key", "rotate", "--key-file", "new-key.txt", expect=25)
        os.chmod(keyring, 0o700)
        self.assertTrue((self.folder / "homes/phone/state/coffer/next-key").exists())
        self.coffer("backup")
        self.assertFalse((self.folder / "homes/phone/state/coffer/next-key").exists())
        self.restore("New", key="new-key.txt")

    def test_killed_at_any_moment_the_old_key_or_the_new_one_opens_the_store(self):
        old = "key.txt"
        for number, name in enumerate(list(self.moments())):
            with self.subTest(name):
                new = f"new-{number}.txt"
                self.kill(self.moments()[name], "key", "rotate", "--key-file", new)
                opened = [key for key in (old, new) if self.opens_with(key, f"R{number}{key}")]
                self.assertTrue(opened)
                self.coffer("backup")
                opened = [key for key in (old, new) if self.opens_with(key, f"Done{number}{key}")]
                # Before it is noted that there is a new key, nothing was begun.
                self.assertIn(opened, [[new], [old]] if number == 0 else [[new]])
                self.assertIn("all sound", self.coffer("verify"))
                old, = opened

    def test_the_store_moves_and_the_old_place_is_left(self):
        before = self.objects()
        said = self.coffer("move", "--to", "elsewhere")
        self.assertIn(str(self.folder / "cloud"), said)
        self.assertEqual(before, self.objects("elsewhere"))
        self.assertEqual(before, self.objects())
        self.assertEqual(self.coffer_json("backup")["snapshot"]["number"], 2)
        self.assertEqual(before, self.objects(), "backups go to the new place")
        self.restore("Restored", store="elsewhere")
        self.compare(self.source, self.folder / "Restored")

    def test_a_move_that_was_cut_is_no_store_and_goes_on(self):
        shutil.copytree(self.folder / "cloud", self.folder / "elsewhere")
        (self.folder / "elsewhere/coffer.json").unlink()
        for path in sorted((self.folder / "elsewhere").glob("packs/*/*"))[:1]:
            path.unlink()
        self.restore("R", store="elsewhere", expect=20)
        summary = self.coffer_json("move", "--to", "elsewhere")
        self.assertGreater(summary["alreadyThere"], 2)
        self.assertEqual(self.objects(), self.objects("elsewhere"))
        self.assertIn("all sound", self.coffer("verify", "--deep"))

    def test_a_store_does_not_move_onto_another(self):
        self.coffer("enable", self.source, "--to", "other", "--key-file", "other-key.txt", device="other")
        before = self.objects("other")
        self.assertEqual(self.error("move", "--to", "other", expect=28)["name"], "store-taken")
        self.assertEqual(self.error("move", "--to", "cloud", expect=28)["name"], "store-taken")
        self.assertEqual(self.error("move", "--to", "Notes/cloud", expect=29)["name"], "store-inside-source")
        self.assertEqual(before, self.objects("other"))

    def test_a_store_does_not_move_onto_itself_under_another_name_nor_into_itself(self):
        before = self.objects()
        (self.folder / "link").symlink_to("cloud")
        (self.folder / "up").symlink_to(".")
        (self.folder / "half").mkdir()
        (self.folder / "half/packs").symlink_to(self.folder / "cloud/packs")
        for place in ("link", "cloud/../cloud", "./cloud//", "up/cloud", "cloud/inner/deep", "link/inner", "Notes/../cloud",
                      "missing/../cloud", ".", "half"):
            with self.subTest(place):
                error = self.error("move", "--to", place, expect=28)
                self.assertEqual(error["name"], "store-taken")
                self.assertEqual(before, self.objects())
        self.assertFalse((self.folder / "cloud/inner").exists())
        self.coffer("move", "--to", "cloud-2")
        self.assertEqual(before, self.objects("cloud-2"))

    def test_two_commands_that_change_what_this_device_knows_do_not_run_at_once(self):
        before = self.objects()
        with open(self.folder / "homes/phone/state/coffer/lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for command in (["backup"], ["key", "rotate", "--key-file", "new-key.txt"], ["move", "--to", "elsewhere"],
                            ["exclude", "videos"], ["disable", "--yes"],
                            ["password", "add", "--fleet", "fleet.toml", *SIGN_IN]):
                (self.folder / "password").write_text("correct horse\n")
                self.assertEqual(self.error(*command, expect=67)["name"], "busy")
            self.coffer("status")
            self.restore("Restored")
        self.assertEqual(before, self.objects())
        self.coffer("backup")

    def test_protections_are_listed(self):
        said = self.coffer("protections")
        self.assertIn("64-digit key: always opens the backup (saved when it was made)", said)
        self.assertIn("Password: none", said)
        self.assertTrue(self.coffer_json("protections")["digitsSaved"])
        for command in ("change", "remove"):
            self.secret_file("p", "correct horse\n")
            options = ["--password-file", "p"] if command == "change" else ["--key-file", "key.txt"]
            self.assertEqual(self.error("password", command, *options, expect=13)["name"], "not-registered")


class WithVaults(FleetSession, Killed):
    vault_count = 3

    def digits_then_password(self):
        source = self.make_notes()
        self.coffer("enable", source, "--to", "cloud", "--key-file", "key.txt")
        self.coffer("backup")
        self.coffer("password", "add", "--fleet", "fleet.toml", *SIGN_IN)
        return source

    def opens(self, target, **options):
        self.coffer(*self.restore_arguments(target, **options), device="new-phone")
        self.compare(self.folder / "Notes", self.folder / target)

    def opens_with_digits(self, target, key="key.txt", expect=0):
        self.coffer("restore", "--from", "cloud", "--key-file", key, target, device="new-phone", expect=expect)

    def test_a_password_is_added_changed_and_removed(self):
        self.digits_then_password()
        self.assertIn("Password: with 2 of 3 vaults", self.coffer("protections"))
        self.opens("One")
        self.opens_with_digits("Two")
        self.secret_file("second", "another password\n")
        self.coffer("password", "change", "--password-file", "second")
        self.error(*self.restore_arguments("R"), expect=11, device="new-phone")
        self.opens("Three", password="second")
        error = self.error("password", "remove", "--key-file", "password", expect=10)
        self.assertEqual(error["name"], "malformed-key")
        self.coffer("password", "remove", "--key-file", "key.txt")
        self.assertIsNone(json.loads((self.folder / "cloud/coffer.json").read_text())["fleet"])
        self.opens_with_digits("Four")
        self.coffer("backup")
        said = self.coffer("protections")
        self.assertIn("Password: none", said)
        self.coffer("password", "add", "--fleet", "fleet.toml", *SIGN_IN)
        self.opens("Five")

    def test_a_password_is_removed_while_vaults_are_down_and_the_next_backup_erases_their_shares(self):
        self.digits_then_password()
        self.stop("one", "two")
        said = self.coffer("password", "remove", "--key-file", "key.txt")
        self.assertIn("still have shares", said)
        self.opens_with_digits("One")
        self.start("one")
        self.start("two")
        self.coffer("backup")
        self.assertNotIn("Vaults that were left", self.coffer("protections"))

    def test_adding_a_password_with_too_few_vaults_changes_nothing_and_can_be_repeated(self):
        self.make_notes()
        self.coffer("enable", "Notes", "--to", "cloud", "--key-file", "key.txt")
        self.stop("one", "two")
        self.error("password", "add", "--fleet", "fleet.toml", *SIGN_IN, expect=50)
        self.assertIsNone(json.loads((self.folder / "cloud/coffer.json").read_text())["fleet"])
        self.coffer("backup")
        self.start("one")
        self.start("two")
        self.coffer("password", "add", "--fleet", "fleet.toml", *SIGN_IN)
        self.opens("One")

    def test_the_key_is_replaced_under_the_same_password(self):
        self.digits_then_password()
        self.coffer("key", "rotate", "--key-file", "new-key.txt", *SIGN_IN)
        self.opens("One")
        self.opens_with_digits("Two", key="new-key.txt")
        self.opens_with_digits("Three", expect=10)
        self.coffer("backup")
        self.opens("Four")
        self.assertFalse((self.folder / "homes/phone/state/coffer/earlier-key").exists())
        self.assertEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], 9)
        self.coffer("disable", "--yes")
        self.error(*self.restore_arguments("R"), expect=13, device="new-phone")

    def test_a_replacement_with_too_few_vaults_leaves_both_keys_and_goes_on(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.stop("one", "two")
        self.error("key", "rotate", *SIGN_IN, expect=50)
        self.start("one")
        self.start("two")
        self.assertIn("being replaced", self.coffer("protections"))
        self.coffer("backup")
        self.opens("One")
        self.assertEqual(self.error("password", "change", *SIGN_IN, expect=65)["name"], "change-pending")
        self.coffer("key", "rotate", *SIGN_IN)
        self.assertNotIn("being replaced", self.coffer("protections"))
        self.opens("Two")

    def test_killed_at_any_moment_of_a_replacement_the_password_opens_the_store(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        for number, name in enumerate(list(self.moments())):
            with self.subTest(name):
                self.kill(self.moments()[name], "key", "rotate", *SIGN_IN)
                self.opens(f"One{number}")
                self.coffer("backup")
                self.opens(f"Two{number}")
                self.coffer("key", "rotate", *SIGN_IN)
                self.opens(f"Three{number}")
        self.assertEqual(self.coffer_json("protections")["pending"], [])

    def test_killed_while_a_password_is_added_or_removed_the_digits_open_the_store_and_it_goes_on(self):
        self.make_notes()
        self.coffer("enable", "Notes", "--to", "cloud", "--key-file", "key.txt")
        self.coffer("backup")
        state, header = self.folder / "homes/phone/state/coffer", self.folder / "cloud/coffer.json"
        without = header.read_text()
        add = ["password", "add", "--fleet", "fleet.toml", *SIGN_IN]
        moments = {
            "it is noted": lambda: (state / "next-fleet.toml").exists(),
            "vaults have it": lambda: (state / "standing").exists(),
            "the store names them": lambda: header.read_text() != without,
        }
        for number, (name, moment) in enumerate(moments.items()):
            with self.subTest(name):
                self.kill(moment, *add)
                self.opens_with_digits(f"One{number}")
                self.coffer("backup")
                if self.coffer_json("protections").get("fleet") is None:
                    self.coffer(*add)
                self.opens(f"Two{number}")
                removed = [lambda: header.read_text() == without, lambda: (state / "leaving-fleet.toml").exists(),
                           lambda: not (state / "fleet.toml").exists()][number]
                self.kill(removed, "password", "remove", "--key-file", "key.txt")
                self.opens_with_digits(f"Three{number}")
                self.coffer("backup")
                self.assertEqual(self.coffer_json("protections")["pending"], [])
                self.coffer(*self.restore_arguments("R"), expect=64, device="new-phone")

    def test_cut_while_the_device_notes_its_fleet_the_change_is_over_with_the_next_backup(self):
        self.digits_then_password()
        state = self.folder / "homes/phone/state/coffer"
        settings = json.loads((state / "settings.json").read_text())
        # As it stands when the fleet's file was written and the settings were not.
        settings["fleetChange"] = {"signIn": settings.pop("signIn"), "isVersion": False}
        settings["protections"] = ["64-digit-key"]
        (state / "settings.json").write_text(json.dumps(settings))
        shutil.copy(state / "fleet.toml", state / "next-fleet.toml")
        self.coffer("backup")
        self.assertEqual(self.coffer_json("protections")["pending"], [])
        self.coffer("password", "remove", "--key-file", "key.txt")

    def test_a_device_without_a_sign_in_says_so_and_leaves_no_shares_behind(self):
        self.digits_then_password()
        shutil.copytree(self.folder / "cloud", self.folder / "copy")
        self.coffer("enable", "Notes", "--to", "cloud", "--join", "--key-file", "key.txt", device="tablet")
        summary = self.coffer_json("backup", device="tablet")
        self.assertIn("no sign-in there", summary["notes"][0])
        self.assertEqual(summary["vaults"]["acknowledged"], 0)
        remove = ["password", "remove", "--key-file", "key.txt"]
        header = (self.folder / "cloud/coffer.json").read_text()
        for command in (remove, ["disable", "--yes"]):
            self.assertEqual(self.error(*command, expect=52, device="tablet")["name"], "token-refused")
            self.assertEqual((self.folder / "cloud/coffer.json").read_text(), header)
        self.opens("One")
        self.assertIn("opens nothing any more",
                      self.coffer(*remove, "--token-file", "anna-tokens.json", device="tablet"))
        error = self.error(*self.restore_arguments("R", store="copy"), expect=13, device="new-phone")
        self.assertEqual(error["name"], "not-registered")

    def test_the_vaults_do_not_change_while_another_device_replaces_the_key(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.coffer("key", "show", "--key-file", "key.txt")
        self.coffer("enable", "Notes", "--to", "cloud", "--join", *SIGN_IN, device="tablet")
        self.stop("one", "two")
        self.error("key", "rotate", *SIGN_IN, expect=50)
        self.start("one")
        self.start("two")
        header = (self.folder / "cloud/coffer.json").read_text()
        error = self.error("password", "remove", "--key-file", "key.txt", expect=65, device="tablet")
        self.assertEqual(error["name"], "change-pending")
        self.assertEqual((self.folder / "cloud/coffer.json").read_text(), header)
        self.coffer("key", "rotate", *SIGN_IN)
        self.opens("One")

    def test_to_a_newer_version_of_the_fleet_the_password_opens_the_store_at_every_moment(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.newer_version()
        self.secret_file("second", "another password\n")
        move = ["password", "move", "--fleet", "next.toml", "--password-file", "second", "--token-file",
                "newer-tokens.json"]
        # Too few of the new version's vaults answer: the store names it, and they lack the registration.
        self.stop("two", "four")
        self.error(*move, expect=50)
        header = json.loads((self.folder / "cloud/coffer.json").read_text())
        self.assertEqual(header["fleet"], (self.folder / "next.toml").read_text())
        self.start("two")
        self.opens("One", account="newer")
        self.coffer("backup")
        self.opens("Two", account="newer")
        # One change at a time.
        for command in (["password", "remove", "--key-file", "digits"],
                        ["password", "move", "--fleet", "fleet.toml", *SIGN_IN]):
            self.coffer(*command, expect=65 if "remove" in command else 55)
        self.opens("Three", account="newer")
        self.start("four")
        self.coffer(*move)
        self.opens("Four", account="newer", password="second")
        self.error(*self.restore_arguments("R", account="newer"), expect=11, device="new-phone")
        self.assertEqual(self.coffer_json("protections")["pending"], [])
        # And back it does not go: who reads the older file would refuse what is registered.
        self.assertEqual(self.error("password", "move", "--fleet", "fleet.toml", *SIGN_IN, expect=55)["name"],
                         "bad-fleet-file")

    def test_the_backup_moves_to_another_fleet(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        old = self.folder / "fleet.toml"
        shutil.copy(old, self.folder / "old-fleet.toml")
        header = json.loads((self.folder / "cloud/coffer.json").read_text())
        self.new_fleet()
        self.coffer("password", "move", "--fleet", "fleet.toml", "--password-file", "password", "--token-file",
                    "bertha-tokens.json")
        self.assertEqual(json.loads((self.folder / "cloud/coffer.json").read_text())["fleet"], old.read_text())
        self.coffer("backup")
        self.opens("One", account="bertha")
        # Whoever kept the old header gets nothing from the old vaults any more.
        shutil.copytree(self.folder / "cloud", self.folder / "copy")
        (self.folder / "copy/coffer.json").write_text(json.dumps(header))
        error = self.error(*self.restore_arguments("R", store="copy"), expect=13, device="new-phone")
        self.assertEqual(error["name"], "not-registered")

    def test_a_fleet_that_another_device_changed_stops_a_replacement_that_goes_on(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.stop("one", "two")
        self.error("key", "rotate", *SIGN_IN, expect=50)
        self.start("one")
        self.start("two")
        fleet = self.folder / "homes/phone/state/coffer/fleet.toml"
        text = fleet.read_text()
        fleet.write_text(text + "# what this device knew before the other changed it\n")
        header = (self.folder / "cloud/coffer.json").read_text()
        error = self.error("key", "rotate", *SIGN_IN, expect=65)
        self.assertEqual(error["name"], "change-pending")
        self.assertIn("another device", error["message"])
        self.assertEqual(header, (self.folder / "cloud/coffer.json").read_text())
        fleet.write_text(text)
        self.coffer("key", "rotate", *SIGN_IN)
        self.opens("One")

    def test_the_key_is_not_replaced_while_a_fleet_that_was_left_has_shares(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        shutil.copy(self.folder / "fleet.toml", self.folder / "old-fleet.toml")
        self.new_fleet()
        self.stop("one", "two")
        self.coffer("password", "move", "--fleet", "fleet.toml", "--password-file", "password", "--token-file",
                    "bertha-tokens.json")
        rotate = ["key", "rotate", "--password-file", "password", "--token-file", "bertha-tokens.json"]
        header = (self.folder / "cloud/coffer.json").read_text()
        self.coffer(*rotate, expect=50)
        self.assertEqual(header, (self.folder / "cloud/coffer.json").read_text())
        self.start("one")
        self.start("two")
        self.coffer(*rotate)
        self.assertEqual(self.coffer_json("protections")["pending"], [])
        self.opens("One", account="bertha")

    def newer_version(self):
        """The third vault leaves, and a fourth takes its place: `next.toml`."""
        self.ports["four"] = free_port()
        self.vault("init", "four", "--name", "four", "--url", self.url("four"))
        self.stop("one", "two", "three")
        text = self.vault("fleet", "next", "fleet.toml", "--add", "four/vault.pub", "--retire", "3")
        (self.folder / "next.toml").write_text(text)
        for name in ("one", "two"):
            with open(self.folder / "next.toml", "a") as file:
                file.write(self.vault("fleet", "sign", name, "next.toml"))
        for name in ("one", "two", "three", "four"):
            self.vault("fleet", "set", name, "next.toml")
        self.vault("tenant", "add", "chat-app", "--dir", "four", "--jwks", "issuer/issuer.jwks.json", "--no-waits")
        for name in ("one", "two", "three", "four"):
            self.start(name)
        self.vault("issuer", "token", "anna", "--tenant", "chat-app", "--fleet", "next.toml", "--issuer", "issuer",
                   "--output", "newer-tokens.json")

    def new_fleet(self):
        """Three more vaults, and their fleet in `fleet.toml`."""
        names = ["six", "seven", "eight"]
        for name in names:
            self.ports[name] = free_port()
            self.vault("init", name, "--name", name, "--url", self.url(name))
        (self.folder / "fleet.toml").write_text(self.vault("fleet", "new", *[f"{name}/vault.pub" for name in names]))
        for name in names:
            self.vault("fleet", "set", name, "fleet.toml")
            self.vault("tenant", "add", "chat-app", "--dir", name, "--jwks", "issuer/issuer.jwks.json", "--no-waits")
            self.start(name)
        self.sign_in("bertha")


class WithFiveVaults(FleetSession):
    """Three are needed, four take part in a change: so one may be down, and may come back when others are down."""

    def tags(self):
        return len(json.loads((self.folder / "cloud/coffer.json").read_text())["tag"]) // 64

    def opens_with_digits(self, target, key, expect=0):
        self.coffer("restore", "--from", "cloud", "--key-file", key, target, device="new-phone", expect=expect)

    def test_the_old_key_ends_when_the_last_vault_has_the_new_one(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.coffer("key", "show", "--key-file", "old.txt")
        self.stop("five")
        said = self.coffer("key", "rotate", *SIGN_IN)
        self.assertIn("both open the backup", said)
        self.assertEqual(self.tags(), 2)
        self.opens_with_digits("Old", "old.txt")
        self.coffer(*self.restore_arguments("Password"), device="new-phone")
        self.compare(self.folder / "Notes", self.folder / "Password")
        self.assertIn("Not done yet", self.coffer("key", "rotate"))
        self.coffer("backup")
        self.assertEqual(self.tags(), 2)
        self.start("five")
        self.coffer("backup")
        self.assertEqual(self.tags(), 1)
        self.opens_with_digits("Ended", "old.txt", expect=10)
        self.stop("one", "two")
        self.coffer(*self.restore_arguments("Others"), device="new-phone")
        self.compare(self.folder / "Notes", self.folder / "Others")
        self.assertFalse((self.folder / "homes/phone/state/coffer/earlier-key").exists())

    def test_a_replacement_is_taken_over_only_where_no_vault_has_the_lost_key(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.coffer("key", "show", "--key-file", "old.txt")
        self.coffer("enable", source, "--to", "cloud", "--join", "--password-file", "password", "--token-file",
                    "anna-tokens.json", device="other")
        self.stop("four", "five")
        self.error("key", "rotate", *SIGN_IN, expect=50)
        self.assertEqual(self.tags(), 2)
        take_over = ["key", "rotate", "--take-over", *SIGN_IN]
        self.assertEqual(self.error(*take_over, expect=65, device="other")["name"], "change-pending")
        self.assertEqual(self.tags(), 2)
        self.start("four")
        self.start("five")
        self.coffer(*take_over, device="other")
        self.assertEqual(self.tags(), 1)
        self.opens_with_digits("Old", "old.txt", expect=10)
        self.coffer(*self.restore_arguments("Password"), device="new-phone")
        self.compare(source, self.folder / "Password")

    def test_vaults_that_have_the_lost_key_keep_it_from_being_ended(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.coffer("enable", source, "--to", "cloud", "--join", "--password-file", "password", "--token-file",
                    "anna-tokens.json", device="other")
        self.stop("five")
        self.coffer("key", "rotate", *SIGN_IN)
        self.start("five")
        self.assertEqual(
            self.error("key", "rotate", "--take-over", *SIGN_IN, expect=65, device="other")["name"], "change-pending")
        self.assertEqual(self.tags(), 2)
        self.coffer(*self.restore_arguments("Password"), device="new-phone")

    def test_what_is_known_of_the_newest_backup_outlives_the_old_key(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        shutil.copytree(self.folder / "cloud/snapshots", self.folder / "earlier")
        self.coffer("backup")
        self.coffer("key", "rotate", *SIGN_IN)
        shutil.rmtree(self.folder / "cloud/snapshots")
        (self.folder / "earlier").rename(self.folder / "cloud/snapshots")
        error = self.error(*self.restore_arguments("R"), expect=34, device="new-phone")
        self.assertEqual(error["name"], "older-state")
        self.assertEqual(self.error("backup", expect=34)["name"], "older-state")


if __name__ == "__main__":
    unittest.main()
