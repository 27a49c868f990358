"""`coffer store test`: what people see of it, and what it leaves, which is nothing."""

import json
import signal
import subprocess
import time
import unittest

import s3_server
from session import BINARIES, Session

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class StoreTest(Session):
    def environment(self, device="phone"):
        environment = {name: value for name, value in super().environment(device).items() if not name.startswith("AWS_")}
        return environment | {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}

    def test_a_folder_with_a_backup_in_it(self):
        source = self.make_notes()
        self.coffer("enable", source, "--to", "cloud", "--key-file", "digits")
        self.coffer("backup")
        before = {path: path.read_bytes() for path in self.files_below(self.folder / "cloud")}
        report = self.coffer_json("store", "test", "--quick")
        self.assertEqual([group["number"] for group in report["groups"]], list(range(1, 19)))
        self.assertEqual(
            {group["number"] for group in report["groups"] if group["outcome"] == "passed"},
            {1, 2, 3, 4, 5, 6, 7, 10, 11, 15})
        self.assertTrue(all(group["words"] for group in report["groups"] if group["outcome"] == "not-tried"))
        self.assertEqual({path: path.read_bytes() for path in self.files_below(self.folder / "cloud")}, before)
        self.assertFalse((self.folder / "cloud/coffer-store-test").exists())
        self.assertIn("all sound", self.coffer("verify", "--deep"))

    def test_what_people_see(self):
        (self.folder / "new").mkdir()
        lines = self.coffer("store", "test", "new", "--quick").splitlines()
        self.assertRegex(lines[0], r"^At most .* are written to .*/new/coffer-store-test, and .* read from it; then all")
        self.assertEqual(len(lines), 20)
        self.assertRegex(lines[1], r"^ 1  objects that are not there +passed +\d+\.\d s, 0 bytes up, 0 bytes down$")
        self.assertRegex(lines[-1], r"^All 10 groups that were tried passed\.")
        self.assertEqual(list((self.folder / "new").iterdir()), [])

    def test_a_place_that_is_not_there_or_holds_something_else(self):
        self.error("store", "test", "nowhere", expect=20)
        self.error("store", "test", expect=60)
        (self.folder / "cloud/coffer-store-test").mkdir(parents=True)
        (self.folder / "cloud/coffer-store-test/coffer.json").write_text("{}")
        self.error("store", "test", "cloud", expect=28)
        self.assertEqual((self.folder / "cloud/coffer-store-test/coffer.json").read_text(), "{}")
        self.error("store", "test", "s3:http://127.0.0.1:9/coffer", expect=25)

    def test_a_bucket_and_a_test_that_is_stopped(self):
        server, address = s3_server.start()
        self.addCleanup(server.stop)
        from moto.s3.models import s3_backends

        def objects():
            return [key for key in list(s3_backends["123456789012"]["aws"].buckets["coffer"].keys) if key.startswith("mine/")]
        report = self.coffer_json("store", "test", f"s3:{address}/coffer/mine", "--quick")
        self.assertNotIn("failed", [group["outcome"] for group in report["groups"]])
        self.assertEqual(objects(), [])
        test = subprocess.Popen(
            [str(BINARIES / "coffer"), "store", "test", f"s3:{address}/coffer/mine", "--json"], env=self.environment(),
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(test.kill)
        deadline = time.monotonic() + 60
        while len(objects()) < 20 and time.monotonic() < deadline and test.poll() is None:
            time.sleep(0.01)
        self.assertIsNone(test.poll())
        test.send_signal(signal.SIGINT)
        said, noted = test.communicate(timeout=60)
        self.assertEqual(test.returncode, 62, noted)
        self.assertIn("stopped", json.loads(said)["error"]["message"])
        self.assertEqual(objects(), [])


if __name__ == "__main__":
    unittest.main()
