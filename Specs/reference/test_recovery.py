"""The reference against RFC 9497, the threshold vectors, RFC 9496's bad encodings, and the committed files."""

import unittest

import recovery


class Reference(unittest.TestCase):
    def test_agrees_with_rfc_9497(self):
        recovery.check_rfc9497()

    def test_agrees_with_the_threshold_vectors(self):
        recovery.check_threshold()

    def test_makes_the_committed_files(self):
        for name, make in recovery.MADE.items():
            with self.subTest(name):
                self.assertEqual(recovery.load(name), make())

    def test_refuses_bad_encodings_of_elements(self):
        for text in [
            "00" * 32,
            "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
            "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6",
        ]:
            with self.subTest(text), self.assertRaises(ValueError):
                recovery.decode(bytes.fromhex(text))


if __name__ == "__main__":
    unittest.main()
