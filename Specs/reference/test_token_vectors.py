"""The slow reference of tokens against the committed file."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import token_vectors  # noqa: E402


class TokenVectors(unittest.TestCase):
    def test_every_token_is_as_the_file_says(self):
        wrong, count = token_vectors.check()
        self.assertEqual(wrong, [])
        self.assertGreater(count, 90)


if __name__ == "__main__":
    unittest.main()
