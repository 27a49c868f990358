"""Keys at prompts: typed, pasted as the grid in which they are shown, and never shown again by what went wrong."""

import sys
import unittest

import pexpect

from session import BINARIES, ROOT, Session

sys.path.insert(0, str(ROOT / "Specs/reference"))
import crypt15  # noqa: E402

VECTORS = ROOT / "Specs/vectors/crypt15"
DIGITS = crypt15.read_key((VECTORS / "encrypted_backup.key").read_bytes()).hex()
GROUPS = [DIGITS[place:place + 4] for place in range(0, 64, 4)]
GRID = [" ".join(GROUPS[place:place + 4]) for place in range(0, 16, 4)]


class TypedKeys(Session):
    def at_a_shell(self, *arguments, device="phone"):
        """A command, and a shell behind it that takes what the command left at the terminal."""
        script = '"$@"; echo "status=$?"; IFS= read -r -t 2 rest; echo "left=[$rest]"'
        self.terminal = pexpect.spawn(
            "bash", ["-c", script, "sh", str(BINARIES / "coffer"), *map(str, arguments)], cwd=str(self.folder),
            env=self.environment(device), encoding="utf-8", timeout=60)
        self.terminal.expect("64-digit key: ")

    def paste(self, *lines):
        for line in lines:
            self.terminal.send(f"{line}\r")

    def end(self):
        """The exit status, what was left for the shell, and all that was seen since the prompt."""
        self.terminal.expect(r"left=\[(.*)\]")
        seen = self.terminal.before
        left = self.terminal.match[1]
        self.terminal.close(force=True)
        for group in GROUPS:
            self.assertNotIn(group, seen.lower())
        return int(seen.split("status=")[1].split()[0]), left, seen

    def check(self, *lines):
        self.at_a_shell("whatsapp", "check", VECTORS / "e-minimal.crypt15")
        self.paste(*lines)
        return self.end()

    def test_the_grid_of_four_lines_is_taken_whole_and_nothing_is_left_for_the_shell(self):
        for lines in (GRID, [*GRID, "", "rm -rf nothing"], ["", *GRID], [f"{line}\n" for line in GRID],
                      ["-".join(GROUPS).upper()]):
            status, left, seen = self.check(*lines)
            self.assertEqual((status, left), (0, ""), lines)
            self.assertIn("ok.", seen)

    def test_a_wrong_character_ends_it_and_the_rest_of_the_grid_is_not_shown(self):
        status, left, seen = self.check(GRID[0], "x" + GRID[1][1:], GRID[2], GRID[3])
        self.assertEqual((status, left), (10, ""))
        self.assertIn("group 5, position 1", seen)

    def test_too_few_digits_are_counted_and_an_empty_line_ends(self):
        self.at_a_shell("whatsapp", "check", VECTORS / "e-minimal.crypt15")
        self.paste(GRID[0])
        self.terminal.expect("16 of 64 digits. Type on, or Enter to end: ")
        self.paste(*GRID[1:3])
        self.terminal.expect("48 of 64 digits")
        self.paste("")
        status, left, seen = self.end()
        self.assertEqual((status, left), (10, ""))
        self.assertIn("48 digits instead of 64", seen)
        self.assertIn("There is no key", self.check("")[2])

    def test_ctrl_d_ends_and_ctrl_c_interrupts(self):
        for key, status in (("\x04", 10), ("\x03", 130)):
            self.at_a_shell("whatsapp", "check", VECTORS / "e-minimal.crypt15")
            self.paste(GRID[0])
            self.terminal.expect("16 of 64 digits")
            self.terminal.send(key)
            self.assertEqual(self.end()[0], status)

    def test_a_typing_error_is_found_in_a_pasted_grid(self):
        self.at_a_shell("whatsapp", "key", "--find", VECTORS / "c-2026-msgstore.db.crypt15", "--digits-to", "right")
        swapped = f"{GROUPS[5]} {GROUPS[4]} {GROUPS[6]} {GROUPS[7]}"
        self.paste(GRID[0], swapped, *GRID[2:])
        self.assertEqual(self.end()[:2], (0, ""))
        self.assertEqual("".join((self.folder / "right").read_text().split()), DIGITS)

    def test_coffers_own_key_with_its_check_groups_in_five_lines(self):
        self.coffer("enable", self.make_notes(), "--to", "cloud", "--key", "--key-file", "key.txt")
        self.coffer("backup")
        lines = (self.folder / "key.txt").read_text().splitlines()
        self.assertEqual(len(lines), 5)
        for number, pasted in enumerate((lines, lines[:4])):
            self.at_a_shell("restore", "--from", "cloud", f"Restored {number}", device="new-phone")
            self.paste(*pasted)
            status, left, seen = self.end()
            self.assertEqual((status, left), (0, ""))
            for group in " ".join(lines).split():
                self.assertNotIn(group, seen)
            self.compare(self.folder / "Notes", self.folder / f"Restored {number}")

    def test_a_key_in_the_place_of_its_file_is_not_repeated(self):
        for given in (DIGITS, " ".join(GROUPS), "-".join(GROUPS).upper(), "./" + DIGITS[:40], "\n".join(GRID)):
            for arguments in (("whatsapp", "check", VECTORS / "e-minimal.crypt15", "--key-file", given),
                              ("whatsapp", "key", given, "--digits-to", "x")):
                for form in ((), ("--json",)):
                    said = self.coffer(*arguments, *form, expect=64)
                    self.assertIn("looks like the key itself", said)
                    self.assertIn("history", said)
                    for group in GROUPS:
                        self.assertNotIn(group, said.lower())
        self.assertIn("no-such-file cannot be read", self.coffer("whatsapp", "key", "no-such-file", "--digits-to", "x", expect=64))


if __name__ == "__main__":
    unittest.main()
