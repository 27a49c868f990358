"""A whole backup in what the real rclone reaches: a disk, and a bucket on a line that fails; and that nothing of rclone is left."""

import json
import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

import s3_server
from fault_proxy import FaultProxy
from session import BINARIES, ROOT, Session

PROGRAMS = ROOT / ".build-tools/python/bin"


def running(folder):
    """The processes whose command line names something in a folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line and int(entry.name) != os.getpid():
            found.append((int(entry.name), line.replace(b"\0", b" ").decode(errors="replace")))
    return found


class Rclone(Session):
    def setUp(self):
        super().setUp()
        self.configuration = self.folder / "rclone.conf"
        self.sockets = self.folder / "run"
        self.sockets.mkdir(mode=0o700)
        self.disk = self.folder / "disk"
        self.configure("box", type="alias", remote=self.disk)
        self.more = {}

    def configure(self, name, **options):
        with self.configuration.open("a") as file:
            file.write(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items()) + "\n")

    def environment(self, device="phone"):
        return super().environment(device) | {
            "PATH": f"{PROGRAMS}:/usr/bin:/bin", "RCLONE_CONFIG": str(self.configuration),
            "XDG_RUNTIME_DIR": str(self.sockets)} | self.more

    def assert_nothing_runs(self, seconds=20):
        """Everything that was started here has ended, or does within that time."""
        deadline = time.monotonic() + seconds
        while (left := running(self.sockets)) or list(self.sockets.iterdir()):
            self.assertLess(time.monotonic(), deadline, f"{left} {list(self.sockets.iterdir())}")
            time.sleep(0.02)  # ends with what is waited for

    def test_backup_restore_verify_prune(self):
        source = self.make_notes()
        (source / "film.mp4").write_bytes(random.Random(1).randbytes(20_000_000))
        self.coffer("enable", source, "--to", "rclone:box:phone/", "--key-file", "digits")
        self.assertEqual(self.coffer_json("status")["store"], "rclone:box:phone")
        self.coffer("backup")
        (source / "note 1.txt").write_text("another\n")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "--from", "rclone:box:phone", "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        # It is the store that a folder is.
        self.coffer("restore", "--from", self.disk / "phone", "--key-file", "digits", "Again", device="tablet")
        self.compare(source, self.folder / "Again")
        names = [path.name for path in self.files_below(self.disk)]
        self.assertFalse([name for name in names if name.startswith(".") or name.endswith(".next")], names)
        self.assert_nothing_runs()
        self.coffer("disable", "--delete-store", "--yes")
        self.assertEqual(self.files_below(self.disk), [])

    def test_a_bucket_behind_rclone_on_a_bad_line(self):
        server, address = s3_server.start()
        self.addCleanup(server.stop)
        line = FaultProxy(address, share=0.1)
        self.addCleanup(line.stop)
        self.configure(
            "bucket", type="s3", provider="Other", access_key_id="AKIAIOSFODNN7EXAMPLE",
            secret_access_key="a secret of tests", endpoint=line.address)
        source = self.make_notes()
        (source / "film.mp4").write_bytes(random.Random(2).randbytes(6_000_000))
        store = "rclone:bucket:coffer/phone"
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "--from", store, "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        self.assertGreater(sum(line.faults.values()), 3)
        self.assertNotIn("a secret of tests", json.dumps(self.printed))
        self.assert_nothing_runs()

    def test_nothing_is_left_when_it_is_killed_and_the_next_one_goes_on(self):
        source = self.make_notes()
        self.coffer("enable", source, "--to", "rclone:box:", "--key-file", "digits")
        (source / "film.mp4").write_bytes(random.Random(3).randbytes(60_000_000))
        process = subprocess.Popen(
            [str(BINARIES / "coffer"), "backup"], env=self.environment(), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        # Killed while rclone takes in a pack.
        while not [path for path in self.files_below(self.disk) if path.name.startswith(".writing-")]:
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.001)  # ends with what is waited for
        self.assertTrue([line for _, line in running(self.sockets) if " rcd " in line])
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assert_nothing_runs()
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        # Whatever of it was left, and what another one left.
        (self.disk / ".writing-0123").write_bytes(b"half")
        os.utime(self.disk / ".writing-0123", (0, 0))
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        names = [path.name for path in self.files_below(self.disk)]
        self.assertFalse([name for name in names if name.startswith(".writing-")], names)

    def test_a_header_whose_replacement_was_cut_is_read_and_gets_its_name_back(self):
        source = self.make_notes()
        self.coffer("enable", source, "--to", "rclone:box:", "--key-file", "digits")
        self.coffer("backup")
        header, following = self.disk / "coffer.json", self.disk / "coffer.json.next"
        text = header.read_bytes()
        header.rename(following)
        self.assertIn("all sound", self.coffer("verify"))
        self.assertFalse(header.exists(), "who reads moves nothing")
        self.coffer("restore", "--from", "rclone:box:", "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        os.utime(following, (0, 0))
        self.coffer("prune", "--keep-last", "1")
        self.assertEqual(header.read_bytes(), text)
        self.coffer("prune", "--keep-last", "1")
        self.assertFalse(following.exists())
        self.assertIn("all sound", self.coffer("verify", "--deep"))

    def test_what_is_wrong_is_said(self):
        source = self.make_notes()
        secret = "hunter2-and-more"
        for address in [f"rclone::webdav,pass={secret}:x", f"rclone:box,token={secret}:x", "rclone:box", "rclone:box:a/../b"]:
            said = self.error("enable", source, "--to", address, "--key-file", "digits", expect=27)
            self.assertIn("rclone:REMOTE:PATH", said["advice"])
            self.assertNotIn(secret, json.dumps(self.printed))
        said = self.error("enable", source, "--to", "rclone:none:x", "--key-file", "digits", expect=25)
        self.assertIn("didn't find section in config file", said["message"])
        self.configure("out", type="dropbox", token="")
        said = self.error("enable", source, "--to", "rclone:out:x", "--key-file", "digits", expect=37)
        self.assertIn("rclone config reconnect out:", said["advice"])
        self.error("store", "login", "rclone:box:x", "--credentials-file", self.secret_file("k", "a\nb\n"), expect=27)
        self.more = {"PATH": "/nowhere"}
        said = self.error("enable", source, "--to", "rclone:box:x", "--key-file", "digits", expect=27)
        self.assertIn("Install rclone 1.65 or later", said["advice"])
        self.assertFalse((self.folder / "digits").exists())
        self.assertFalse(self.disk.exists())


if __name__ == "__main__":
    unittest.main()
