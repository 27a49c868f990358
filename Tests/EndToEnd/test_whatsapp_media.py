"""Media of WhatsApp's cloud backup: opened by name and key, named by their metadata, and never written where they do not belong."""

import hashlib
import os
import pathlib
import unittest
import uuid

from session import ROOT, Session
from whatsapp import Account

VECTORS = ROOT / "Specs/vectors/crypt15"
JPEG = b"\xff\xd8\xff\xe0 a picture"


class Media(Session):
    def setUp(self):
        super().setUp()
        self.account = Account()
        self.key = self.folder / "key"
        self.key.write_bytes(self.account.key_file)
        self.cloud = self.folder / "cloud"

    def open(self, output="out", expect=0, key=None, folder=None):
        files = self.coffer_json(
            "whatsapp", "media", folder or self.cloud, "-o", output, "--key-file", key or self.key, expect=expect)
        return {file["file"]: file for file in files}

    def written(self, output="out"):
        below = self.folder / output
        return {str(path.relative_to(below)): path.read_bytes() for path in self.files_below(below)}

    def test_the_published_vector_gets_its_path_and_its_time(self):
        for _ in range(2):
            (file,) = self.open(folder=VECTORS / "Media", key=VECTORS / "encrypted_backup.key").values()
        self.assertEqual((file["verdict"], file["naming"], file["wasThere"]), ("ok", "confirmed", True))
        path = self.folder / "out/Media/WhatsApp Images/IMG-20260101-WA0001.jpg"
        self.assertEqual(
            hashlib.sha256(path.read_bytes()).hexdigest(),
            "a981a760cd33f6cab4d8228df7f0015ce3bba16fcf13982c6275c384f7c92cab")
        self.assertEqual((path.stat().st_mtime, path.stat().st_mode & 0o777), (1_767_225_600, 0o600))
        self.assertEqual(len(self.written()), 1)

    def test_paths_that_lead_elsewhere_are_not_followed(self):
        outside = self.folder / "outside"
        outside.mkdir()
        out = self.folder / "out"
        out.mkdir()
        (out / "link").symlink_to(outside)
        (out / "file").write_bytes(b"mine")
        refused = ["../outside/a", "/etc/a", "a/../../outside/b", "a//b", "", ".", "a/.", "a\0b", "x/" * 40 + "y"]
        in_the_way = ["link/a", "file/a", "n" * 300, "d/" + "n" * 256]
        names = {
            self.account.put_media(self.cloud, path, JPEG + str(number).encode()): path
            for number, path in enumerate(refused + in_the_way)}
        files = self.open()
        for name, path in names.items():
            file = files[f"{name}.mcrypt1"]
            self.assertEqual(file["verdict"], "ok", path)
            self.assertEqual(file["output"], f"{name}.jpg", path)
            if path in refused:
                self.assertEqual(file["naming"], "refused-path", path)
            else:
                self.assertTrue(any("did not get its own name" in note for note in file["notes"]), file)
        self.assertEqual(list(outside.iterdir()), [])
        self.assertEqual((out / "file").read_bytes(), b"mine")
        self.assertFalse(any(path.name.startswith(".coffer") for path in out.rglob("*")))

    def test_nothing_is_overwritten_and_names_that_collide_get_numbers(self):
        (self.folder / "out/Media").mkdir(parents=True)
        (self.folder / "out/Media/a.jpg").write_bytes(b"somebody's")
        (self.folder / "out/Media/b").symlink_to("nothing")
        for content in (b"one", b"two"):
            self.account.put_media(self.cloud / "x", "Media/a.jpg", content)
            self.account.put_media(self.cloud / "y", "Media/b", content)
        self.open()
        for _ in range(2):
            written = self.written()
            self.assertEqual(
                {written[f"Media/{name}"] for name in ("a (2).jpg", "a (3).jpg")}, {b"one", b"two"})
            self.assertEqual({written[f"Media/{name}"] for name in ("b (2)", "b (3)")}, {b"one", b"two"})
            self.assertEqual(written["Media/a.jpg"], b"somebody's")
            self.assertEqual(len(written), 5)
            self.assertTrue(all(file["wasThere"] for file in self.open().values()), "again, and nothing is new")

    def test_each_file_says_what_is_wrong_with_it(self):
        good = self.account.put_media(self.cloud, "Media/good.jpg", JPEG)
        plain = self.account.put_media(self.cloud, "Media/plain.jpg", JPEG + b"1", metadata=False)
        empty = self.account.put_media(self.cloud, "Media/empty.txt", b"")
        renamed = self.account.put_media(self.cloud, "Media/renamed.jpg", JPEG + b"2", name="IMG-1")
        other = self.account.put_media(self.cloud, "Media/other.jpg", JPEG + b"3", name="AB" * 32)
        lost = self.account.put_media(self.cloud, "Media/lost.jpg", JPEG + b"4", name="CD" * 32, metadata=False)
        swapped = self.account.put_media(
            self.cloud, "Media/swapped.jpg", JPEG + b"5",
            metadata={"name": "Media/good.jpg", "md5Hash": hashlib.md5(JPEG).hexdigest()})
        bare = self.account.put_media(self.cloud, "Media/bare.jpg", JPEG + b"6", metadata={"name": "Media/bare2.jpg"})
        garbage = self.account.put_media(self.cloud, "Media/garbage.jpg", JPEG + b"7", metadata=b"\xff\0not base64")
        unnamed = self.account.put_media(
            self.cloud, "Media/unnamed.jpg", JPEG + b"a", metadata={"md5Hash": hashlib.md5(JPEG + b"a").hexdigest()})
        odd = self.account.put_media(self.cloud, "Media/odd.jpg", JPEG + b"b", metadata={"name": "Media/odd.jpg", "md5Hash": 5})
        lone = self.account.put_media(
            self.cloud, "Media/lone.jpg", JPEG + b"c", metadata=self.account.metadata(b'{"name": "Media/\\ud800.jpg"}'))
        no_json = self.account.put_media(self.cloud, "Media/no.jpg", JPEG + b"8", metadata=self.account.metadata(b"[1,2"))
        damaged = self.account.put_media(self.cloud, "Media/damaged.jpg", JPEG + b"9")
        body = bytearray((self.cloud / f"{damaged}.mcrypt1").read_bytes())
        body[3] ^= 1
        (self.cloud / f"{damaged}.mcrypt1").write_bytes(body)
        (self.cloud / ("EF" * 32 + ".mcrypt1")).write_bytes(b"too short")
        (self.cloud / "holiday.mcrypt1").write_bytes(bytes(100))
        (self.cloud / ("01" * 32 + ".mcrypt1")).mkdir()
        (self.cloud / "notes.txt").write_text("left alone")
        files = self.open(expect=self.status("damaged-or-wrong-key"))
        expected = {
            good: ("ok", "confirmed", "Media/good.jpg"), plain: ("ok", "none", f"{plain}.jpg"),
            empty: ("ok", "confirmed", "Media/empty.txt"), renamed: ("ok", "confirmed", "Media/renamed.jpg"),
            other: ("ok", "confirmed", "Media/other.jpg"), lost: ("damaged-or-wrong-key", "none", None),
            swapped: ("ok", "of-another-file", f"{swapped}.jpg"), bare: ("ok", "unconfirmed", "Media/bare2.jpg"),
            garbage: ("ok", "damaged-or-wrong-key", f"{garbage}.jpg"),
            no_json: ("ok", "malformed", f"{no_json}.jpg"), unnamed: ("ok", "no-name", f"{unnamed}.jpg"),
            odd: ("ok", "confirmed", "Media/odd.jpg"), lone: ("ok", "no-name", f"{lone}.jpg"),
            damaged: ("damaged-or-wrong-key", "unconfirmed", None), "EF" * 32: ("truncated", "none", None),
            "holiday": ("not-a-backup", "none", None)}
        self.assertEqual(
            {name: (file["verdict"], file["naming"], file.get("output")) for name, file in files.items()},
            {f"{name}.mcrypt1": values for name, values in expected.items()})
        self.assertEqual({name for name, file in files.items() if file["wasRenamed"]}, {"IMG-1.mcrypt1", f"{other}.mcrypt1"})
        self.assertIn("The key is right", files[f"{damaged}.mcrypt1"]["notes"][0])
        self.assertEqual(set(self.written()), {values[2] for values in expected.values() if values[2]})
        self.assertEqual(self.written()["Media/empty.txt"], b"")

    def status(self, name):
        from test_whatsapp_import import exit_status
        return exit_status(name)

    def test_another_accounts_key_opens_nothing_and_says_so(self):
        self.account.put_media(self.cloud, "Media/a.jpg", JPEG)
        self.account.put_media(self.cloud, "Media/b.jpg", JPEG, metadata=False)
        other = self.secret_file("other", Account().digits)
        for file in self.open(expect=self.status("damaged-or-wrong-key"), key=other).values():
            self.assertEqual((file["verdict"], file.get("output")), ("damaged-or-wrong-key", None))
        self.assertEqual(self.written(), {})
        said = self.coffer(
            "whatsapp", "media", self.cloud, "-o", "out", "--key-file", other, expect=self.status("damaged-or-wrong-key"))
        self.assertIn("most likely the key is that of another account", said)
        self.assertNotIn(self.account.digits[:8], "".join(self.printed))

    def test_names_are_shown_and_not_obeyed(self):
        self.account.put_media(self.cloud, "Media/\x1b[2Jx\nok.jpg", JPEG)
        said = self.coffer("whatsapp", "media", self.cloud, "-o", "out", "--key-file", self.key)
        self.assertNotIn("\x1b", said)
        self.assertEqual(set(self.written()), {"Media/\x1b[2Jx\nok.jpg"})

    def test_what_cannot_be_begun_changes_nothing(self):
        self.cloud.mkdir()
        self.assertIn("no .mcrypt1", self.error(
            "whatsapp", "media", self.cloud, "-o", "out", "--key-file", self.key, expect=30)["message"])
        self.error("whatsapp", "media", "none", "-o", "out", "--key-file", self.key, expect=30)
        self.account.put_media(self.cloud, "Media/a.jpg", JPEG)
        self.assertFalse((self.folder / "out").exists())
        (self.folder / "out").write_text("a file")
        self.error("whatsapp", "media", self.cloud, "-o", "out", "--key-file", self.key, expect=41)
        self.error(
            "whatsapp", "media", self.cloud, "-o", "out", "--key-file", self.secret_file("short", "12 34"), expect=10)
        # What a run that was killed left behind goes with the next one.
        (self.folder / "new").mkdir()
        left = f".coffer-opening-{str(uuid.uuid4()).upper()}"
        (self.folder / "new" / left).write_bytes(b"half")
        (self.folder / "new/.coffer-opening-1").write_bytes(b"somebody's")
        self.open(output="new")
        self.assertEqual(set(self.written("new")), {"Media/a.jpg", ".coffer-opening-1"})
        # So no file gets such a name, or the next run would take it for one of these.
        other = self.folder / "other cloud"
        name = self.account.put_media(other, left, JPEG)
        for _ in range(2):
            (file,) = self.open(output="new", folder=other).values()
            self.assertIn("did not get its own name", file["notes"][0])
            self.assertEqual(set(self.written("new")), {"Media/a.jpg", ".coffer-opening-1", f"{name}.jpg"})
        self.open(output="deep/er")
        self.assertEqual(set(self.written("deep/er")), {"Media/a.jpg"})

    def test_a_folder_that_cannot_be_written_stops_the_files_for_it_alone(self):
        locked = self.folder / "out/Media/locked"
        locked.mkdir(parents=True)
        locked.chmod(0o500)
        self.addCleanup(locked.chmod, 0o700)
        if os.access(locked, os.W_OK):
            self.skipTest("this user may write everywhere")
        names = [self.account.put_media(self.cloud, f"Media/{place}", JPEG + place.encode()) for place in ("locked/a", "locked/b/c", "d")]
        files = self.open()
        self.assertEqual(
            [files[f"{name}.mcrypt1"]["output"] for name in names], [f"{names[0]}.jpg", f"{names[1]}.jpg", "Media/d"])
        self.assertIn("Permission denied", files[f"{names[0]}.mcrypt1"]["notes"][0])

    def test_many_files_with_long_names_come_through(self):
        for number in range(60):
            self.account.put_media(self.cloud / str(number % 7), f"Media/Ünï {number}/{'ß' * 100}.jpg", os.urandom(number * 40))
        files = self.open()
        self.assertTrue(all(file["verdict"] == "ok" and file["naming"] == "confirmed" for file in files.values()))
        self.assertEqual(len(self.written()), 60)
        self.assertTrue(all(pathlib.Path(name).suffix == ".jpg" for name in self.written()))


if __name__ == "__main__":
    unittest.main()
