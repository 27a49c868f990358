"""WhatsApp's 64-digit key: from any form to any other, and its typing errors found with one's own backup."""

import os
import unittest

import pexpect

from session import BINARIES, ROOT, Session
from whatsapp import Account

VECTORS = ROOT / "Specs/vectors/crypt15"


class Key(Session):
    def setUp(self):
        super().setUp()
        # No two groups are equal, nor two neighbours, so that every error is one.
        self.account = Account(bytes.fromhex("0123456789abcdef2143658709badcfe31425364758697a8b9cadbec0d1e2f40"))
        self.backup = self.folder / "msgstore.db.crypt15"
        self.backup.write_bytes(self.account.crypt15(b"SQLite format 3\0" + os.urandom(2_000)))

    def at_terminal(self, *arguments, status=0):
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), ["whatsapp", "key", *map(str, arguments)], cwd=str(self.folder),
            env=self.environment(), encoding="utf-8", timeout=60)
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.assertEqual(terminal.exitstatus, status, terminal.before)
        return terminal.before

    def test_every_form_becomes_every_other(self):
        groups = self.account.groups
        forms = {
            "file": self.account.key_file, "raw": self.account.root, "digits": self.account.digits.encode(),
            "lines": "\n".join(" ".join(groups[n:n + 4]) for n in range(0, 16, 4)).encode() + b"\r\n",
            "colons": ":".join(groups).upper().encode(), "dashes": "\u2013".join(groups).encode()}
        for name, content in forms.items():
            path = self.folder / name
            path.write_bytes(content)
            self.coffer("whatsapp", "key", path, "--digits-to", f"{name}.digits", "--key-file-to", f"{name}.key")
            self.assertEqual((self.folder / f"{name}.digits").read_text().split(), groups, name)
            self.assertEqual((self.folder / f"{name}.key").read_bytes(), self.account.key_file, name)
            for written in (f"{name}.digits", f"{name}.key"):
                self.assertEqual(os.stat(self.folder / written).st_mode & 0o777, 0o600)
        self.coffer("whatsapp", "key", VECTORS / "encrypted_backup.key", "--digits-to", "vector")
        self.assertEqual(
            (self.folder / "vector").read_text().replace("\n", " ").split(),
            "0011 2233 4455 6677 8899 aabb ccdd eeff 0f1e 2d3c 4b5a 6978 8796 a5b4 c3d2 e1f0".split())
        for group in groups:
            self.assertNotIn(group, "".join(self.printed))

    def test_it_is_shown_at_a_terminal_alone_and_written_over_nothing(self):
        self.secret_file("digits", self.account.digits)
        self.assertEqual(self.at_terminal("digits").split(), self.account.groups)
        self.coffer("whatsapp", "key", "digits", expect=64)
        self.coffer("whatsapp", "key", "digits", "--json", expect=64)
        (self.folder / "there").write_text("mine")
        for option in ("--digits-to", "--key-file-to"):
            self.error("whatsapp", "key", "digits", option, "there", expect=62)
        # Both or none.
        self.error("whatsapp", "key", "digits", "--digits-to", "new", "--key-file-to", "there", expect=62)
        for same in ("new", "./new", self.folder / "new"):
            self.coffer("whatsapp", "key", "digits", "--digits-to", "new", "--key-file-to", same, expect=64)
        self.assertFalse((self.folder / "new").exists())
        self.assertEqual((self.folder / "there").read_text(), "mine")
        self.assertNotIn(self.account.digits[:4], "".join(self.printed))
        for wrong in (b"", b"12 34", b"g" * 64, self.account.key_file[:58], bytes(158), self.account.root[:31]):
            (self.folder / "wrong").write_bytes(wrong)
            self.assertEqual(
                self.error("whatsapp", "key", "wrong", "--digits-to", "new", expect=10)["name"], "malformed-key")
        self.assertFalse((self.folder / "new").exists())

    def errors(self):
        groups = self.account.groups
        digits = self.account.digits
        swapped = groups[:2] + [groups[11]] + groups[3:11] + [groups[2]] + groups[12:]
        columns = [groups[column * 4 + row] for row in range(4) for column in range(4)]
        return {
            ("digit", (7,), 2): digits[:25] + ("0" if digits[25] != "0" else "1") + digits[26:],
            ("swapped-digits", (3,), 2): digits[:9] + digits[10] + digits[9] + digits[11:],
            ("swapped-digits", (8, 9), 4): digits[:31] + digits[32] + digits[31] + digits[33:],
            ("swapped-groups", (3, 12), None): "".join(swapped),
            ("columns", tuple(range(1, 17)), None): "".join(columns),
            ("missing-digit", (5,), 3): digits[:18] + digits[19:],
            ("missing-digit", (16,), 4): digits[:63],
            ("doubled-digit", (6,), 2): digits[:21] + digits[20] + digits[21:],
            ("doubled-group", (4,), None): "".join(groups[:4] + groups[3:]),
            ("extra-group", (4,), None): "".join(groups[:3] + ["ffff"] + groups[3:]),
            ("digit", (1,), 1): ("1" if digits[0] != "1" else "2") + digits[1:]}

    def test_each_usual_typing_error_is_found_with_ones_own_backup(self):
        for number, ((kind, groups, position), typed) in enumerate(self.errors().items()):
            self.secret_file("typed", " ".join(typed[place:place + 4] for place in range(0, len(typed), 4)))
            found = self.coffer_json("whatsapp", "key", "typed", "--find", self.backup, "--digits-to", f"right {number}")
            typo = found["typo"]
            self.assertEqual((typo["kind"], typo["groups"]), (kind, list(groups)), found)
            if kind not in ("doubled-digit", "doubled-group"):
                self.assertEqual(typo.get("position"), position, found)
            self.assertEqual((self.folder / f"right {number}").read_text().split(), self.account.groups)
        self.secret_file("typed", self.account.digits)
        self.assertNotIn("typo", self.coffer_json("whatsapp", "key", "typed", "--find", self.backup))
        # Digits that are right open content of no known kind, too; and a link to it.
        odd = self.folder / "odd.crypt15"
        odd.write_bytes(self.account.crypt15(os.urandom(3_000)))
        (self.folder / "link.crypt15").symlink_to(odd)
        self.assertEqual(self.coffer_json("whatsapp", "key", "typed", "--find", "link.crypt15"), {"found": True})
        # Without a terminal nothing of the key is shown.
        for group in self.account.groups:
            self.assertNotIn(group, "".join(self.printed))

    def test_at_a_terminal_the_corrected_group_is_told_and_no_other(self):
        typed = self.errors()[("digit", (7,), 2)]
        self.secret_file("typed", typed)
        said = self.at_terminal("typed", "--find", self.backup)
        self.assertIn("Group 7 has a wrong digit at position 2.", said)
        self.assertIn(f"Group 7 is {self.account.groups[6]}.", said)
        for group in self.account.groups[:6] + self.account.groups[7:]:
            self.assertNotIn(group, said)
        self.secret_file("typed", self.errors()[("columns", tuple(range(1, 17)), None)])
        self.assertIn(" ".join(self.account.groups[:4]), self.at_terminal("typed", "--find", self.backup))

    def test_a_foreign_or_damaged_backup_proves_nothing(self):
        typed = self.errors()[("digit", (7,), 2)]
        self.secret_file("typed", typed)
        foreign = self.folder / "foreign.crypt15"
        foreign.write_bytes(Account().crypt15(b"SQLite format 3\0" + bytes(2_000)))
        damaged = self.folder / "damaged.crypt15"
        damaged.write_bytes(self.backup.read_bytes()[:-60] + bytes(60))
        error = self.error("whatsapp", "key", "typed", "--find", foreign, "--digits-to", "new", expect=10)
        self.assertEqual(error["name"], "wrong-key")
        self.assertIn("try with msgstore.db.crypt15", error["advice"])
        # The key is right where the beginning opens.
        error = self.error("whatsapp", "key", "typed", "--find", damaged, "--digits-to", "new", expect=71)
        self.assertEqual(error["name"], "damaged-or-wrong-key")
        self.assertIn("Group 7 has a wrong digit at position 2. So corrected, the digits open the beginning", error["message"])
        self.secret_file("right", self.account.digits)
        self.assertIn("The digits open the beginning", self.error(
            "whatsapp", "key", "right", "--find", damaged, expect=71)["message"])
        # Two errors are one too many.
        self.secret_file("two", typed[:60] + ("0" if typed[60] != "0" else "1") + typed[61:])
        self.error("whatsapp", "key", "two", "--find", self.backup, expect=10)
        for length in (0, 40, 62, 66, 72):
            self.secret_file("short", "a" * length)
            self.assertEqual(
                self.error("whatsapp", "key", "short", "--find", self.backup, expect=10)["name"], "malformed-key")
        self.assertIn("No such file", self.error("whatsapp", "key", "typed", "--find", "none", expect=30)["message"])
        # What is no key at all keeps its own words.
        head = bytes.fromhex("aced0005757200025b42acf317f8060854e00200007870")
        for content, words in (
                (head + bytes.fromhex("00000083") + bytes(131), "crypt12 to crypt14"),
                (b"\xac\xed\x00\x05\x77" + bytes(200), "password_data.key"), (self.account.key_file[:58], "58 bytes"),
                (b"\x00\x01" + bytes(50), "52 bytes that are no text")):
            (self.folder / "other").write_bytes(content)
            error = self.error("whatsapp", "key", "other", "--find", self.backup, expect=10)
            self.assertIn(words, error["message"] + error["advice"])
        from test_whatsapp_import import exit_status
        self.secret_file("text", "no backup at all")
        self.error("whatsapp", "key", "typed", "--find", "text", expect=exit_status("not-a-backup"))
        self.assertFalse((self.folder / "new").exists())


if __name__ == "__main__":
    unittest.main()
