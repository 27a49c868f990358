"""The README's first screen is a session: typed here as it stands there, it prints what stands there."""

import re
import unittest

from fleet import FleetSession
from session import BINARIES, ROOT
from terminal import blocks, typed

ANSWERS = [("Password: |The same again: ", "a walk along the harbour")]


def sessions(text):
    """Pairs of a command and what it prints, from the blocks marked `console`."""
    for block in blocks(text):
        if block.info == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
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
                status, seen = typed(
                    [str(BINARIES / "coffer"), *command.split()[1:]], ANSWERS, cwd=str(self.folder),
                    env=self.environment())
                self.assertEqual(status, 0, seen)
                self.assertRegex(seen, self.pattern(expected))

    def pattern(self, expected):
        """An ellipsis stands for anything within its line."""
        lines = [re.escape(line.strip()).replace("…", r"[^\n]*") for line in expected.strip().split("\n")]
        return "^" + "\n".join(lines) + "$"


if __name__ == "__main__":
    unittest.main()
