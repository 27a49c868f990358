"""How fast a store is written to and read from can be limited, for once or for good."""

import time
import unittest

from session import Session


class Limit(Session):
    def test_it_holds_and_is_remembered(self):
        chats = self.folder / "Chats"
        chats.mkdir()
        (chats / "one.bin").write_bytes(bytes(range(256)) * 16)
        self.coffer("enable", chats, "--to", "cloud", "--key-file", "digits")
        self.assertIn("no limit", self.coffer("limit"))
        self.assertEqual(self.coffer_json("limit", "500K:4M"), {"up": 500000, "down": 4000000})
        self.assertIn("500 kB per second", self.coffer("limit"))
        for wrong in ("fast", "0", "1M:2M:3M"):
            self.coffer("limit", wrong, expect=64)
            self.coffer("backup", "--limit", wrong, expect=64)
        self.assertEqual(self.coffer_json("limit"), {"up": 500000, "down": 4000000})
        self.coffer("backup")
        # A second at least, since it is a minimum that is looked at; how much more a busy machine needs is not.
        (chats / "two.bin").write_bytes(self.noise(60_000))
        began = time.monotonic()
        self.coffer("backup", "--limit", "20K:off")
        self.assertGreater(time.monotonic() - began, 1)
        self.coffer("limit", "1K")
        self.coffer("verify", "--deep", "--limit", "off")
        self.coffer("restore", "--from", "cloud", "--key-file", "digits", "Restored", device="other")
        self.assertEqual((self.folder / "Restored/two.bin").read_bytes(), (chats / "two.bin").read_bytes())
        self.coffer("limit", "off")
        self.assertIn("Up: no limit. Down: no limit.", self.coffer("limit"))

    @staticmethod
    def noise(count):
        state, noise = 1, bytearray()
        while len(noise) < count:
            state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
            noise.append(state >> 56)
        return bytes(noise)


if __name__ == "__main__":
    unittest.main()
