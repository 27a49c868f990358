"""The slow reference of heads against the committed file."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import backup_head  # noqa: E402


class BackupHead(unittest.TestCase):
    def test_makes_the_committed_file(self):
        self.assertEqual(json.loads(backup_head.VECTORS.read_text()), backup_head.make())

    def test_opens_nothing_that_is_bent(self):
        vector = backup_head.make()["heads"][1]
        key, store, sealed = (bytes.fromhex(vector[name]) for name in ("key", "store", "sealed"))
        self.assertEqual(backup_head.unseal(key, store, sealed).hex(), vector["content"])
        for place in range(64):
            bent = bytearray(sealed)
            bent[place] ^= 1
            self.assertIsNone(backup_head.unseal(key, store, bytes(bent)))
        self.assertIsNone(backup_head.unseal(key, bytes(16), sealed), "another store")
        self.assertIsNone(backup_head.unseal(bytes(32), store, sealed), "another key")


if __name__ == "__main__":
    unittest.main()
