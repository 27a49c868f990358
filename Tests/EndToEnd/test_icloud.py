"""A whole backup in iCloud by CloudKit's web services (an emulator of ours; experimental), through a bad line; its sign-in, which changes
with each request; and what comes of an answer that is lost."""

import json
import random
import stat
import sys
import unittest
import urllib.error
import urllib.request

import fault_proxy
import terminal
from session import BINARIES, ROOT, Session

sys.path.insert(0, str(ROOT / "Tests/Support"))
sys.path.insert(0, str(ROOT / "Tests/Clouds"))
import cloudkit_emulator  # noqa: E402
from server import free_port  # noqa: E402

STORE = "icloud:iCloud.org.example.coffer/phone"
API_TOKEN = "c0ffee00emulator"
BUSY = (429, json.dumps({"uuid": "u", "serverErrorCode": "THROTTLED", "reason": "r", "retryAfter": 0.1}).encode())


class ICloud(Session):
    def setUp(self):
        super().setUp()
        self.icloud = cloudkit_emulator.start()
        self.addCleanup(self.icloud.stop)
        self.address = self.icloud.address
        self.port = free_port()
        self.control("settings", {"callback": f"http://127.0.0.1:{self.port}/"})

    def environment(self, device="phone"):
        inherited = {name: value for name, value in super().environment(device).items() if not name.endswith("DISPLAY")}
        return inherited | {"COFFER_ICLOUD_URL": self.address}

    def control(self, what, value=None, method=None):
        """Steers the emulator, never through a bad line."""
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(
            f"{self.icloud.address}/emulator/{what}", body, method=method or ("GET" if value is None else "POST"))
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read())

    def names(self, kind=""):
        return sorted(one["recordName"] for one in self.control("records") if one["recordName"].startswith(kind))

    def token_file(self, text=API_TOKEN):
        return self.secret_file("api token", f"{text}\n")

    def login(self, *arguments, device="phone"):
        return self.start("store", "login", STORE, "--port", self.port, *arguments, device=device)

    def browse(self, address):
        with urllib.request.urlopen(address.replace(self.address, self.icloud.address)) as reply:
            return reply.read().decode()

    def sign_in(self, device="phone", known=False, user="ada"):
        """As somebody with a browser on this machine, who is kept signed in."""
        program = self.login(*(() if known else ("--credentials-file", self.token_file())), device=device)
        page = self.said(program, r"http://127\.0\.0\.1:\S+")
        self.assertIn("can be closed", self.browse(f"{page}&emulator_answer=allow&keep=1&user={user}"))
        return self.end(program)

    def kept(self, device="phone"):
        """The files of a device that hold the web token, and what is in them."""
        folder = self.folder / "homes" / device / "state/coffer"
        return [path for path in folder.glob("icloud-token-*") if path.suffix not in (".lock", ".gate")]


class Backups(ICloud):
    def test_backup_restore_verify_prune_through_a_bad_line(self):
        self.assertIn("You are signed in at iCloud", self.sign_in())
        source = self.make_notes()
        (source / "film.mp4").write_bytes(random.Random(1).randbytes(20_000_000))
        line = fault_proxy.FaultProxy(self.address, share=0.15, kinds=("busy", "cut"), busy=BUSY)
        self.addCleanup(line.stop)
        self.address = line.address
        self.coffer("enable", source, "--to", STORE, "--key-file", "digits")
        self.control("faults", [
            {"operation": "assets.data", "cutRequest": 3_000_000, "times": 1},
            {"operation": "assets.data", "status": 503, "times": 1, "skip": 1},
            {"operation": "assets.data", "status": 410, "times": 1, "skip": 2},
            {"operation": "assets.data", "lost": True, "times": 1, "skip": 3},
            {"operation": "records.modify", "status": 500, "phase": "after", "times": 2, "skip": 2},
            {"operation": "records.changes", "status": 503, "retryAfter": 0.2, "times": 1},
            {"operation": "assets.download", "cut": 100, "times": 2},
            {"operation": "assets.download", "status": 403, "times": 1, "skip": 2},
        ])
        self.coffer("backup")
        (source / "note 1.txt").write_text("another\n")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.sign_in(device="new-phone")
        self.coffer("restore", "--from", STORE, "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.assertGreaterEqual(self.control("faults")["hits"], 9)
        self.assertGreater(line.fault_count, 3)
        self.assertEqual([one["zone"] for one in self.control("records")], ["phone"] * len(self.names()))
        before = self.names()
        report = self.coffer_json("store", "test", "--quick")
        self.assertEqual({group["outcome"] for group in report["groups"]} - {"not-tried"}, {"passed"}, report)
        self.assertEqual(report["place"], f"{STORE}.coffer-store-test")
        self.assertEqual(self.names(), before)
        self.coffer("disable", "--delete-store", "--yes")
        self.assertEqual(self.names(), [])

    def test_a_lost_answer_or_a_kill_costs_the_sign_in_and_nothing_else(self):
        self.sign_in()
        source = self.make_notes()
        (source / "film.bin").write_bytes(random.Random(2).randbytes(40_000_000))
        self.coffer("enable", source, "--to", STORE, "--key-file", "digits")
        # The record of the second pack is made, and nobody hears of it.
        self.control("faults", [{"operation": "records.modify", "lost": True, "times": 1, "skip": 1}])
        said = self.error("backup", expect=37)
        self.assertIn("was lost on its way", said["message"])
        self.assertIn("Earlier backups are untouched", said["message"])
        self.assertIn(f"coffer store login {STORE}", said["advice"])
        self.sign_in(known=True)
        # Killed while it waits for an answer.
        self.control("clock", {"frozen": True})
        self.control("faults", [{"operation": "records.modify", "stall": 1000, "phase": "after", "times": None}])
        before = len(self.names("packs"))
        program = self.start("backup")
        while len(self.names("packs")) == before:
            self.assertIsNone(program.poll())
        program.kill()
        program.wait()
        self.control("faults", method="DELETE")
        self.control("clock", {"frozen": False})
        self.assertIn("killed while it waits", self.error("backup", expect=37)["message"])
        packs = self.names("packs")
        self.sign_in(known=True)
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.assertLessEqual(set(packs), set(self.names("packs")), "what was stored is not sent again")
        stored = sum(one["fields"]["size"] for one in self.control("records"))
        self.assertLess(stored, 45_000_000, "nor stored twice")

    def test_a_lost_answer_while_it_is_enabled_leaves_a_store_that_it_goes_on_with(self):
        source = self.make_notes()
        # The zone is missing, the keyring twice, the header.
        for number in range(4):
            device = f"phone-{number}"
            self.sign_in(device=device)
            self.icloud.emulator.databases.clear()
            self.control("faults", [{"operation": "records.modify", "lost": True, "times": 1, "skip": number}])
            enable = ("enable", source, "--to", STORE, "--key-file")
            said = self.error(*enable, f"digits {number}", device=device, expect=37)
            self.assertIn("may have been done", said["message"])
            # Nor does an attempt without a sign-in forget the key.
            self.error(*enable, f"more digits {number}", device=device, expect=37)
            self.sign_in(device=device, known=True)
            self.coffer(*enable, f"last digits {number}", device=device)
            digits, = {(self.folder / f"{which} {number}").read_text() for which in ("digits", "more digits", "last digits")}
            self.assertTrue(digits)
            self.coffer("backup", device=device)
            self.assertIn("all sound", self.coffer("verify", device=device))

    def test_two_programs_at_once_share_the_sign_in(self):
        self.sign_in()
        self.coffer("enable", self.make_notes(), "--to", STORE, "--key-file", "digits")
        self.coffer("backup")
        programs = [self.start("verify", "--deep") for _ in range(4)] + [self.start("snapshots") for _ in range(3)]
        for program in programs:
            self.end(program)


class SignIns(ICloud):
    def test_the_sign_in_is_kept_where_it_belongs_and_ends_when_it_should(self):
        source = self.make_notes()
        said = self.error("enable", source, "--to", STORE, "--key-file", "digits", expect=37)
        self.assertIn(f"coffer store login {STORE}", said["advice"])
        program = self.login("--credentials-file", self.token_file())
        page = self.said(program, r"http://127\.0\.0\.1:\S+")
        for target in ("/", "/favicon.ico", "/?ckWebAuthToken=", "/?token=x"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.browse(f"http://127.0.0.1:{self.port}{target}")
            self.assertEqual(refused.exception.code, 404)
            refused.exception.close()
        self.browse(f"{page}&emulator_answer=allow&keep=1")
        self.end(program)
        listed, = self.coffer_json("store", "list")
        self.assertEqual((listed["store"], listed["keptIn"]), ("icloud:iCloud.org.example.coffer", "file"))
        self.coffer("enable", source, "--to", STORE, "--key-file", "digits")
        kept, = self.kept()
        before = kept.read_text()
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        self.coffer("backup")
        self.assertNotEqual(kept.read_text(), before)
        for secret in (before.strip(), kept.read_text().strip(), API_TOKEN):
            self.assertNotIn(secret, json.dumps(self.printed))
        below = [path for path in self.files_below(self.folder / "homes/phone") if b"158__54__" in path.read_bytes()]
        self.assertEqual(below, [kept], "no token is anywhere else")
        # After two weeks it is over; the API token is not asked for again. Somebody else is told apart.
        self.control("clock", {"advance": 15 * 86400})
        self.assertIn("two weeks", self.error("backup", expect=37)["message"])
        self.assertIn("another Apple Account", self.sign_in(known=True, user="grace"))
        self.error("backup", expect=20)
        self.sign_in(known=True)
        self.coffer("backup")
        self.assertIn("still in your iCloud", self.coffer("store", "logout", STORE))
        self.assertEqual(self.kept(), [])
        self.error("backup", expect=37)
        self.error("store", "logout", STORE, expect=37)

    def test_without_the_callback_the_address_is_brought_by_hand(self):
        self.control("settings", {"callback": "https://localhost:8713/nobody/is/here"})
        program = self.start("store", "login", STORE, "--device", "--credentials-file", self.token_file())
        page = self.said(program, r"http://127\.0\.0\.1:\S+")
        self.assertIn("No address was brought back", self.end(program, expect=37))
        for pasted, status in ((None, 0), ("https://localhost:8713/nobody/is/here", 37)):
            with self.assertRaises(urllib.error.URLError) as nowhere:
                NoRedirect.opener.open(f"{page}&emulator_answer=allow&keep=1")
            location = pasted or nowhere.exception.headers["Location"]
            nowhere.exception.close()
            ended, seen = terminal.typed(
                [str(BINARIES / "coffer"), "store", "login", STORE, "--device", "--credentials-file", str(self.token_file())],
                [("the browser ended: ", location)], env=self.environment(), cwd=str(self.folder))
            self.assertEqual(ended, status, seen)
            self.assertNotIn("158__54__", seen)
        self.coffer("enable", self.make_notes(), "--to", STORE, "--key-file", "digits")

    def test_what_is_wrong_is_told_and_nothing_is_kept(self):
        said = self.error("store", "login", STORE, "--credentials-file", self.token_file("another-api-token"), expect=37)
        self.assertIn("AUTHENTICATION_FAILED", said["message"])
        self.assertNotIn("another-api-token", json.dumps(said))
        self.error("store", "login", STORE, "--credentials-file", self.token_file("no token"), expect=37)
        self.coffer("store", "login", STORE, expect=64)
        self.coffer("store", "login", "s3:https://s3.example.org/bucket", "--port", "1", expect=64)
        for address in ("icloud:", "icloud:phone", "icloud:iCloud.a/b?ckAPIToken=secret-x", "icloud:iCloud.a/b/c"):
            self.assertNotIn("secret-x", self.error("store", "login", address, expect=27)["message"])
        for place in ("http://evil.example:80", "https://127.0.0.1:80", "http://localhost:80"):
            self.address = place
            said = self.error("store", "login", STORE, "--credentials-file", self.token_file(), expect=27)
            self.assertIn("COFFER_ICLOUD_URL", said["message"])
        self.address = self.icloud.address
        self.assertEqual((self.coffer_json("store", "list"), self.kept()), ([], []))

    def test_a_full_icloud_is_told_and_the_backup_goes_on_when_there_is_room(self):
        self.sign_in()
        source = self.make_notes()
        (source / "film.bin").write_bytes(random.Random(1).randbytes(20_000_000))
        self.coffer("enable", source, "--to", STORE, "--key-file", "digits")
        self.control("settings", {"quotaBytes": 18_000_000})
        self.error("backup", expect=26)
        self.control("settings", {"quotaBytes": None})
        before = self.names()
        self.coffer("backup")
        self.assertLessEqual(set(before), set(self.names()))
        # Somebody deletes the app's data in iCloud's settings.
        self.icloud.emulator.databases.clear()
        self.assertIn("no Coffer backup", self.error("backup", expect=20)["message"])


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


NoRedirect.opener = urllib.request.build_opener(NoRedirect)

if __name__ == "__main__":
    unittest.main()
