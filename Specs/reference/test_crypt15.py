"""The slow reference of WhatsApp's files against the given vectors, the committed ones, and published test vectors."""

import contextlib
import hashlib
import io
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import crypt15  # noqa: E402

ROOT = crypt15.read_key((crypt15.VECTORS / "encrypted_backup.key").read_bytes())


def given():
    """The given files that carry a verdict."""
    entries = json.loads((crypt15.VECTORS / "manifest.json").read_text())
    return {name: entry for name, entry in entries.items() if "verdict" in entry}


class Crypt15(unittest.TestCase):
    def test_keys_of_two_accounts(self):
        for root, backup, encryption, authentication in (
            (ROOT.hex(), "4a25aa7a41a638b36a5946d39f01eee9ca49a0f7e89587c83f770d8a979e4929",
             "479b21a1409c40473dc36f36cfbf4c769ee20b287e254a921875890d8bf0ece4",
             "1b8dc334c24bcabc318bcff7b2f9be7de56154843309156515d968aa3b4301b8"),
            ("6730a595a1484d0c39c101dc0ac82ec5e401bb6f0e1b8ee2dc104a6b3687f017",
             "17ec312152f6f84fd13a3ec6b9c9279aac60bb84405f0685d1fae27293757bc7",
             "7cbf5f4dbaf010dffc38d760b98900b5ee5086a40308f28abdfa775c52fabe69",
             "9225f36527dd531ecfa5fc1f2795382f6765308bfc9b31affd222844d7b45bad"),
        ):
            root = bytes.fromhex(root)
            self.assertEqual(crypt15.backup_key(root).hex(), backup)
            self.assertEqual([key.hex() for key in crypt15.metadata_keys(root)], [encryption, authentication])

    def test_the_cipher_is_the_library_s(self):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key, nonce, data = bytes(range(32)), bytes(range(16)), bytes(range(77))
        sealed = crypt15.crypt(key, nonce, data)
        self.assertEqual(sealed + crypt15.tag(key, nonce, sealed), AESGCM(key).encrypt(nonce, data, None))

    def test_the_counter_of_the_wrapping_file_wraps(self):
        key = crypt15.backup_key(ROOT)
        data = (crypt15.VECTORS / "b-wrap.crypt15").read_bytes()
        _, (start, end) = crypt15.read_header(data)
        counter = crypt15.first_counter(key, data[start:end])
        self.assertEqual(counter % 2**32, 0xFFFFFFFE)
        self.assertNotEqual(counter >> 32, 2**96 - 1)
        self.assertEqual(crypt15.nonce_for(key, counter), data[start:end])

    def test_given_files(self):
        self.assertEqual(len(given()), 9)
        for name, entry in given().items():
            data = (crypt15.VECTORS / name).read_bytes()
            result = crypt15.read(data, ROOT)
            self.assertEqual(result["verdict"], entry["verdict"], name)
            self.assertEqual(crypt15.read(data, crypt15.check_key(ROOT))["verdict"], entry["verdict_wrong_key"], name)
            if "plain_sha256" in entry:
                self.assertEqual(hashlib.sha256(result["content"]).hexdigest(), entry["plain_sha256"], name)

    def test_committed_files(self):
        with contextlib.redirect_stdout(io.StringIO()):
            crypt15.main(["check"])

    def test_media(self):
        for path in (crypt15.VECTORS / "Media").glob("*.mcrypt1"):
            name = bytes.fromhex(path.stem)
            content = crypt15.open_media(ROOT, name, path.read_bytes())
            metadata = crypt15.open_metadata(ROOT, path.with_suffix(".mcrypt1-metadata").read_bytes())
            self.assertEqual(crypt15.media_name(ROOT, metadata["name"], content), name)
            with self.assertRaises(crypt15.Refused):
                crypt15.open_media(ROOT, bytes(32), path.read_bytes())

    def test_an_increment_says_what_it_holds(self):
        content = crypt15.read((crypt15.VECTORS / "h-increment.crypt15").read_bytes(), ROOT)["content"]
        counts = crypt15.increment_counts(content)
        self.assertEqual((counts["messages_count_on_backup"], counts["messages_deleted"]), (12, 1))

    def test_key_inputs(self):
        keys = json.loads((crypt15.VECTORS / "made.json").read_text())["keys"]
        for name, data in keys["read"].items():
            self.assertEqual(crypt15.read_key(bytes.fromhex(data)), ROOT, name)
        for name, data in keys["refused"].items():
            with self.assertRaises(crypt15.Refused, msg=name):
                crypt15.read_key(bytes.fromhex(data))

    def test_a_flip_anywhere_is_noticed_and_only_the_tag_proves(self):
        data = (crypt15.VECTORS / "e-minimal.crypt15").read_bytes()
        for place in range(0, len(data), 7):
            bent = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            result = crypt15.read(bent, ROOT)
            self.assertNotIn(result["verdict"], ("ok", "ok-no-trailer"), place)
            self.assertEqual(result["content"] is not None, "ok" in result["verdict"], place)


if __name__ == "__main__":
    unittest.main()
