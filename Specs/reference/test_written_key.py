"""The slow reference of the written key against the committed file and the reader's own arithmetic."""

import json
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import read_backup  # noqa: E402
import written_key  # noqa: E402


class WrittenKey(unittest.TestCase):
    def test_makes_the_committed_file(self):
        self.assertEqual(json.loads(written_key.VECTORS.read_text()), written_key.make())

    def test_the_reader_takes_64_digits_or_72_and_names_what_is_wrong(self):
        vectors = json.loads(written_key.VECTORS.read_text())
        for vector in vectors["keys"]:
            for text in (vector["key"], vector["written"], vector["written"].upper().replace(" ", "-")):
                self.assertEqual(read_backup.parse_digits(text).hex(), vector["key"])
        for vector in vectors["typed"]:
            if vector.get("sound"):
                read_backup.parse_digits(vector["text"])
                continue
            with self.assertRaises(read_backup.Unable) as refusal:
                read_backup.parse_digits(vector["text"])
            if "mistyped" in vector:
                self.assertIn(f"group {vector['mistyped']} ", str(refusal.exception))
            for group in vector["text"].split():
                self.assertNotIn(group, str(refusal.exception), "no digit of a key is shown")

    def test_every_two_wrong_groups_are_seen(self):
        generator = random.Random(18)
        groups = written_key.written(generator.randbytes(32))
        for _ in range(200):
            first, second = generator.sample(range(18), 2)
            typed = list(groups)
            typed[first] ^= generator.randrange(1, 1 << 16)
            typed[second] ^= generator.randrange(1, 1 << 16)
            self.assertNotEqual(written_key.sums(typed), (0, 0))


if __name__ == "__main__":
    unittest.main()
