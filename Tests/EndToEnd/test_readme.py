"""The README's first screen is a session: typed here as it stands there, it prints what stands there."""

import re
import unittest

import pexpect

from fleet import FleetSession
from session import BINARIES, ROOT


def sessions(text):
    """Pairs of a command and what it prints, from the blocks marked `console`."""
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


class Readme(FleetSession):
    def test_the_first_screen(self):
        self.make_notes().rename(self.folder / "Chats")
        (self.folder / "anna-tokens.json").rename(self.folder / "sign-in.json")
        commands = list(sessions((ROOT / "README.md").read_text()))
        self.assertGreaterEqual(len(commands), 3)
        for command, expected in commands:
            with self.subTest(command):
                self.assertEqual(command.split()[0], "coffer")
                printed = self.type(command, answers=expected.count("Password:") + expected.count("The same again:"))
                self.assertRegex(printed, self.pattern(expected))

    def type(self, command, answers):
        terminal = pexpect.spawn(
            str(BINARIES / "coffer"), command.split()[1:], cwd=str(self.folder), env=self.environment(),
            encoding="utf-8", timeout=60, dimensions=(24, 200))
        printed = ""
        for _ in range(answers):
            terminal.expect("(Password|The same again): ")
            printed += terminal.before + terminal.after.rstrip()
            terminal.sendline("a walk along the harbour")
        terminal.expect(pexpect.EOF)
        printed += terminal.before
        terminal.close()
        self.assertEqual(terminal.exitstatus, 0, printed)
        # Progress writes on one line again and again, and takes it back: what a person still sees is what counts.
        lines = [line.rstrip("\r").split("\x1b[K")[-1] for line in printed.split("\n")]
        return "\n".join(line.strip() for line in lines if line.strip())

    def pattern(self, expected):
        """An ellipsis stands for anything within its line."""
        lines = [re.escape(line.strip()).replace("…", r"[^\n]*") for line in expected.strip().split("\n")]
        return "^" + "\n".join(lines) + "$"


if __name__ == "__main__":
    unittest.main()
