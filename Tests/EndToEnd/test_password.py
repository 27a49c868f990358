"""The whole way with a password and a fleet of real vaults."""

import base64
import json
import os
import re
import unittest

import pexpect

from fleet import FleetSession, tokens
from session import BINARIES


class Password(FleetSession):
    def test_any_two_vaults_may_be_down_or_answer_garbage_and_are_named(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.stop("two")
        self.lie_in_place_of("four")
        said = self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.assertRegex(said, f"{self.url('two')} cannot be reached")
        self.assertRegex(said, f"{self.url('four')} (misbehaves|cannot be reached)")
        self.compare(source, self.folder / "Restored")
        self.stop("five")
        error = self.error(*self.restore_arguments("Again"), expect=50, device="new-phone")
        self.assertEqual(error["name"], "too-few-vaults")
        for name in ("two", "four", "five"):
            self.assertIn(self.url(name), error["message"])
        self.start("five")
        self.start("two")
        status = self.coffer_json("status")["vaults"]
        # Four vaults with six attempts each, three for a guess: eight. Nothing of all this was charged.
        self.assertEqual((status["up"], status["attemptsLeft"]), (4, 8))

    def test_wrong_passwords_count_down_and_then_the_key_is_gone(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.secret_file("guess", "incorrect horse\n")
        for left in range(9, -1, -1):
            error = self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
            self.assertEqual(error["name"], "wrong-password")
            self.assertRegex(error["message"], rf"^Wrong password. {left} attempts? left.")
        for password in ("guess", "password"):
            error = self.error(*self.restore_arguments("R", password=password), expect=12, device="new-phone")
            self.assertEqual(error["name"], "key-destroyed")
        self.assertFalse((self.folder / "R").exists())

    def test_the_right_password_on_the_last_attempt_and_after_it_all_are_back(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.secret_file("guess", "incorrect horse\n")
        for _ in range(9):
            self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
        said = self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.compare(source, self.folder / "Restored")
        self.assertIn("Somebody else made", said)
        self.assertIsNotNone(self.coffer_json("status")["vaults"]["attemptsLeft"])

    def test_enabling_with_a_vault_down_delivers_its_share_later(self):
        source = self.make_notes()
        self.stop("three")
        said = self.enable(source)
        self.assertIn("not yet against the failure", said)
        self.assertIn(self.url("three"), said)
        undelivered = self.folder / "homes/phone/state/coffer/undelivered"
        self.assertEqual(os.stat(undelivered).st_mode & 0o777, 0o600)
        self.start("three")
        self.coffer("backup")
        self.assertFalse(undelivered.exists(), "the share was delivered without a password")
        self.stop("one", "two")
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_enabling_with_too_few_vaults_can_be_repeated(self):
        source = self.make_notes()
        self.stop("one", "two")
        error = self.error("enable", source, "--to", "cloud", "--fleet", "fleet.toml", "--password-file", "password",
                           "--token-file", "anna-tokens.json", expect=50)
        self.assertIn("needs 4 vaults", error["message"])
        self.start("one")
        self.enable(source)
        self.coffer("backup")
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_enabling_again_with_another_fleet_file_names_the_other_fleet(self):
        source = self.make_notes()
        good = (self.folder / "fleet.toml").read_text()
        bad = re.sub(r'urls = \["http://127.0.0.1:\d+"\]', 'urls = ["http://127.0.0.1:9"]', good)
        (self.folder / "bad.toml").write_text(bad)
        self.error("enable", source, "--to", "cloud", "--fleet", "bad.toml", "--password-file", "password",
                   "--token-file", "anna-tokens.json", expect=50)
        self.enable(source)
        self.coffer("backup")
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_a_new_phone_goes_on_with_the_backup(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.assertEqual(
            self.error("enable", "Restored", "--to", "cloud", "--fleet", "fleet.toml", "--password-file", "password",
                       "--token-file", "anna-tokens.json", expect=28, device="new-phone")["name"], "store-taken")
        self.coffer("enable", "Restored", "--to", "cloud", "--join", "--password-file", "password", "--token-file",
                    "anna-tokens.json", device="new-phone")
        (self.folder / "Restored/new.txt").write_text("from the new phone\n")
        summary = self.coffer_json("backup", device="new-phone")
        self.assertEqual(summary["snapshot"]["number"], 2)
        self.assertLess(summary["storedBytes"], 20_000, "what the old phone stored is not stored again")
        self.assertEqual(self.coffer_json("status", device="new-phone")["vaults"]["attemptsLeft"], 10)
        self.coffer("restore", "Again", device="new-phone")
        self.compare(self.folder / "Restored", self.folder / "Again")

    def test_cheap_checks_come_before_an_attempt(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.secret_file("guess", "incorrect horse\n")
        error = self.error(*self.restore_arguments("Notes", password="guess"), expect=40, device="new-phone")
        self.assertEqual(error["name"], "target-not-empty")
        self.assertEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], 10)

    def test_without_a_sign_in_status_still_shows_the_backup(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        (self.folder / "anna-tokens.json").unlink()
        status = self.coffer_json("status")
        self.assertEqual(status["newest"]["number"], 1)
        self.assertIsNone(status["vaults"].get("up"))
        self.assertTrue(status["vaults"]["problems"])
        self.sign_in("anna")
        (self.folder / "anna-tokens.json").rename(self.folder / "newer.json")
        self.assertEqual(self.error("disable", "--yes", expect=52)["name"], "token-refused")
        self.coffer("disable", "--yes", "--token-file", "newer.json")

    def test_disable_without_store_and_without_vaults(self):
        self.enable(self.make_notes())
        (self.folder / "cloud").rename(self.folder / "elsewhere")
        self.stop(*self.names)
        self.assertEqual(self.error("disable", "--yes", expect=50)["name"], "too-few-vaults")
        self.assertIn("whoever knows the password", self.coffer("disable", "--yes", "--leave-shares"))
        self.assertEqual(self.error("status", expect=60)["name"], "not-enabled")

    def test_status_shows_failed_attempts_and_the_person_may_have_their_own_back(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        self.assertNotIn("failed attempt", self.coffer("status"))
        self.secret_file("guess", "incorrect horse\n")
        for _ in range(2):
            self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        today = r"\d{1,2} [A-Z][a-z]+ \d{4}"
        self.assertRegex(self.coffer("status"), rf"(?m)^2 failed attempts (on|between) {today}")
        failed = self.coffer_json("status")["vaults"]["failedAttempts"]
        self.assertEqual([attempts["passwords"] for attempts in failed], [2])
        self.assertRegex(self.coffer("attempts"), r"These count:\n(.*at 3 vaults\n){2}")
        self.assertIn("2 attempts given back", self.coffer("attempts", "--forgive", "--yes"))
        self.assertEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], 10)
        self.assertIn("No failed attempts", self.coffer("attempts"))

    def test_a_lost_key_is_not_replaced_at_once_and_the_device_that_has_it_calls_it_off(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        thief = dict(device="thief")
        arguments = ["enable", source, "--to", "elsewhere", "--fleet", "fleet.toml", "--password-file", "password",
                     "--token-file", "anna-tokens.json"]
        error = self.error(*arguments, expect=54, **thief)
        self.assertIn("--replace-lost-key", error["advice"])
        self.assertIn("Yours takes its place on", self.coffer(*arguments, "--replace-lost-key", **thief))
        self.assertIn("called that off", self.coffer("status"))
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_disable_erases_the_shares(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.coffer("key", "show", "--key-file", "written-down")
        self.stop("one", "two", "three")
        self.assertEqual(self.error("disable", "--yes", expect=50)["name"], "too-few-vaults")
        for name in ("one", "two", "three"):
            self.start(name)
        self.assertIn("the shares of the key at the vaults", self.coffer("disable", "--yes"))
        error = self.error(*self.restore_arguments("R"), expect=13, device="new-phone")
        self.assertEqual(error["name"], "not-registered")
        self.coffer("restore", "--from", "cloud", "--key-file", "written-down", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_the_bound_and_the_policy_are_told_to_operators(self):
        shown = self.vault("fleet", "show", "fleet.toml")
        for corrupt, guesses in enumerate((10, 12, 18)):
            self.assertIn(f"at most {guesses} guesses with {corrupt} vaults that do not count", shown)
        self.assertNotIn("with 3 vaults", shown)
        self.vault("tenant", "add", "other", "--dir", "one", "--jwks", "issuer/issuer.jwks.json",
                   "--replacement-days", "30", "--memory-mib", "64", "--destructions-per-hour", "7")
        listed = self.vault("tenant", "list", "--dir", "one")
        for words in ("replacement without the key after 30 d", "at least 64 MiB", "7 destructions an hour"):
            self.assertIn(words, listed)

    def test_sign_ins_that_are_not_accepted(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        good = tokens(self.folder / "anna-tokens.json")
        vault, token = sorted(good.items())[0]
        header, claims, signature = token.split(".")
        forged = json.loads(base64.urlsafe_b64decode(claims + "=="))
        forged["exp"] += 3600
        forged = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
        cases = {
            "forged": {name: f"{header}.{forged}.{signature}" for name in good},
            "for another vault": {name: token for name in good},
            "without signature": {
                name: base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + f".{claims}." for name in good},
        }
        for name, sign_in in cases.items():
            with self.subTest(name):
                self.secret_file("bad-tokens.json", json.dumps(sign_in))
                error = self.error(*self.restore_arguments("R", account="bad"), expect=52, device="new-phone")
                self.assertEqual(error["name"], "token-refused")
        self.sign_in_that_expired("anna")
        error = self.error(*self.restore_arguments("R", account="expired"), expect=53, device="new-phone")
        self.assertEqual(error["name"], "token-expired")
        self.secret_file("bad-tokens.json", "not json")
        self.assertEqual(self.error(*self.restore_arguments("R", account="bad"), expect=52)["name"], "token-refused")
        self.assertEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], 10)

    def test_a_password_typed_at_a_terminal(self):
        source = self.make_notes()
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"),
            ["enable", str(source), "--to", "cloud", "--fleet", "fleet.toml", "--token-file", "anna-tokens.json"],
            cwd=str(self.folder), env=self.environment(), encoding="utf-8", timeout=60)
        terminal.expect("Password: ")
        terminal.sendline("grüne Äpfel")
        terminal.expect("The same again: ")
        terminal.sendline("grüne Äpfel")
        terminal.expect("is on")
        terminal.expect(pexpect.EOF)
        self.assertNotIn("pfel", terminal.before)
        self.coffer("backup")
        # The same letters, composed otherwise, as another keyboard may do it.
        self.secret_file("decomposed", "gru\u0308ne A\u0308pfel")
        self.coffer(*self.restore_arguments("Restored", password="decomposed"), device="new-phone")
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), ["restore", "--from", "cloud", "R", "--token-file", "anna-tokens.json"],
            cwd=str(self.folder), env=self.environment("new-phone"), encoding="utf-8", timeout=60)
        terminal.expect("10 attempts left")
        terminal.expect("Password: ")
        terminal.sendline("rote Birnen")
        terminal.expect("Wrong password. 9 attempts left.")
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.assertEqual(terminal.exitstatus, 11)

    def test_a_store_that_names_another_fleet_is_found_out(self):
        self.enable(self.make_notes())
        self.coffer("backup")
        original = (self.folder / "cloud/coffer.json").read_text()
        header = json.loads(original)
        header["store"] = "0" * 32
        (self.folder / "cloud/coffer.json").write_text(json.dumps(header))
        error = self.error(*self.restore_arguments("R"), expect=23, device="new-phone")
        self.assertEqual(error["name"], "header-altered", "with the right password it is not the person's fault")
        header = json.loads(original)
        header["fleet"] = re.sub(r"urls = \[.*\]", 'urls = ["http://127.0.0.1:9"]', header["fleet"], count=1)
        (self.folder / "cloud/coffer.json").write_text(json.dumps(header))
        error = self.error(*self.restore_arguments("R"), expect=23, device="new-phone")
        self.assertEqual(error["name"], "header-altered")


if __name__ == "__main__":
    unittest.main()
