"""A whole backup in Google Drive (an emulator of ours, which clients of other people accept), through all that Drive does to those who
write to it; and the ways to sign in."""

import json
import os
import pathlib
import random
import re
import socket
import stat
import sys
import unittest
import urllib.error
import urllib.request

import fault_proxy
from session import ROOT, Session

sys.path.insert(0, str(ROOT / "Tests/Support"))
import drive_emulator.server  # noqa: E402

DESKTOP = ("111111111111-desktop.apps.googleusercontent.com", "GOCSPX-emulator-desktop")
OTHER = ("222222222222-other.apps.googleusercontent.com", "GOCSPX-emulator-other")
TV = ("111111111111-tv.apps.googleusercontent.com", "GOCSPX-emulator-tv")


class Drive(Session):
    desktop = {}

    def setUp(self):
        super().setUp()
        self.drive = drive_emulator.server.start()
        self.addCleanup(self.drive.stop)
        self.address = self.drive.address

    def environment(self, device="phone"):
        inherited = {name: value for name, value in super().environment(device).items() if not name.endswith("DISPLAY")}
        return inherited | {"COFFER_GOOGLE_URL": self.address} | self.desktop

    def control(self, what, value=None, method=None):
        """Steers the emulator, never through a bad line."""
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(
            f"{self.drive.address}/emulator/{what}", body, method=method or ("GET" if value is None else "POST"))
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read())

    def files(self):
        return [file for file in self.control("files") if file["mimeType"] == "application/octet-stream"]

    def client_file(self, client=DESKTOP):
        return self.secret_file(f"client {client[0][13:15]}", f"{client[0]}\n{client[1]}\n")

    def sign_in(self, store, *arguments, device="phone", answer="allow", expect=0, client=DESKTOP):
        """As somebody with a browser on this machine."""
        program = self.start("store", "login", store, "--credentials-file", self.client_file(client), *arguments, device=device)
        address = self.said(program, r"http://127\.0\.0\.1:\S+")
        page = self.browse(f"{address}&emulator_answer={answer}")
        self.assertIn("can be closed", page)
        return self.end(program, expect)

    def browse(self, address):
        """A person's browser has a good line."""
        with urllib.request.urlopen(address.replace(self.address, self.drive.address)) as reply:
            return reply.read().decode()


class Backups(Drive):
    def test_backup_restore_verify_prune_through_all_that_drive_does(self):
        store = "gdrive:Coffer phone"
        said = self.sign_in(store)
        self.assertIn("You are signed in at Google Drive as ", said)
        source = self.make_notes()
        (source / "film.mp4").write_bytes(random.Random(1).randbytes(20_000_000))
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        line = fault_proxy.FaultProxy(self.drive.address, share=0.06, busy=(429, b""))
        self.addCleanup(line.stop)
        self.address = line.address
        self.control("settings", {"lagSeconds": 2})
        self.control("faults", [
            {"operation": "drive.*", "status": 403, "reason": "userRateLimitExceeded", "times": 5, "probability": 0.2},
            {"operation": "upload.chunk", "cutRequest": 3_000_000, "times": 1},
            {"operation": "upload.chunk", "status": 401, "reason": "authError", "times": 1, "skip": 1},
            {"operation": "upload.start", "status": 429, "reason": "rateLimitExceeded", "times": 1},
            {"operation": "upload.*", "status": 503, "reason": "backendError", "phase": "after", "times": 1, "skip": 3},
            {"operation": "drive.files.create", "lost": True, "times": 2, "skip": 1},
            {"operation": "drive.files.create", "status": 500, "reason": "internalError", "phase": "after", "times": 1, "skip": 3},
            {"operation": "drive.files.list", "incompleteSearch": True, "times": 2, "skip": 1},
            {"operation": "drive.files.download", "cut": 100, "times": 2},
        ])
        self.coffer("backup")
        (source / "note 1.txt").write_text("another\n")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        # A code is good once: if Google's answer to it is lost, somebody has to sign in again.
        self.address = self.drive.address
        self.sign_in(store, device="new-phone")
        self.address = line.address
        # Another device sees what this one knows at once.
        self.control("clock", {"advance": 3})
        self.coffer("restore", "--from", store, "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        names = [file["name"] for file in self.files()]
        self.assertEqual(len(names), len(set(names)), "no file was made twice")
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        hits = self.control("faults")
        self.assertGreaterEqual(hits["hits"], 9, hits)
        self.assertGreater(line.fault_count, 3)
        self.coffer("disable", "--delete-store", "--yes")
        self.assertEqual(self.files(), [])
        self.assertFalse(any(file["trashed"] for file in self.control("files")), "what is deleted is in no trash")


    def test_a_backup_that_was_killed_goes_on_and_makes_nothing_twice(self):
        store = "gdrive:Coffer"
        self.sign_in(store)
        source = self.make_notes()
        (source / "film.bin").write_bytes(random.Random(2).randbytes(40_000_000))
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        # The second pack is stored, and its answer never comes.
        self.control("clock", {"frozen": True})
        self.control("faults", [{"operation": "upload.chunk", "stall": 1000, "phase": "after", "times": None, "skip": 1}])
        program = self.start("backup")
        while len(packs := [file for file in self.files() if file["name"].startswith("packs/")]) < 3:
            self.assertIsNone(program.poll())
        program.kill()
        program.wait()
        self.control("faults", method="DELETE")
        self.control("clock", {"frozen": False})
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        names = [file["name"] for file in self.files()]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual({file["id"] for file in packs}, {file["id"] for file in self.files()})
        self.assertLess(sum(int(file["size"]) for file in self.files()), 45_000_000, "what was stored is not sent again")

    def test_the_store_is_tried_beside_a_backup(self):
        store = "gdrive:Coffer"
        self.sign_in(store)
        self.coffer("enable", self.make_notes(), "--to", store, "--key-file", "digits")
        before = sorted(file["name"] for file in self.files())
        self.control("settings", {"rotateRefreshTokens": True})
        report = self.coffer_json("store", "test", "--quick")
        self.assertEqual({group["outcome"] for group in report["groups"]} - {"not-tried"}, {"passed"}, report)
        self.assertEqual(report["place"], "gdrive:Coffer.coffer-store-test")
        self.assertEqual(sorted(file["name"] for file in self.files()), before)
        self.coffer("backup")


class SignIns(Drive):
    def holders(self, secret, device="phone"):
        return [path for path in self.files_below(self.folder / "homes" / device) if secret.encode() in path.read_bytes()]

    def refresh_token(self):
        kept = [path for path in self.files_below(self.folder / "homes/phone/state/coffer") if path.name.startswith("store-secret-")]
        return kept[0].read_text().split()[1]

    def test_the_sign_in_is_kept_where_it_belongs_and_ends_when_it_should(self):
        store = "gdrive:Coffer"
        source = self.make_notes()
        said = self.error("enable", source, "--to", store, "--key-file", "digits", expect=37)
        self.assertIn("coffer store login gdrive:Coffer", said["advice"])
        self.sign_in(store, "--json")
        self.assertEqual(
            self.coffer_json("store", "list"), [{"store": store, "name": DESKTOP[0], "keptIn": "file"}])
        self.assertIn(DESKTOP[0], self.coffer("enable", source, "--to", store, "--key-file", "digits"))
        self.coffer("backup")
        token = self.refresh_token()
        for secret in (token, DESKTOP[1]):
            holders = self.holders(secret)
            self.assertEqual([path.name[:13] for path in holders], ["store-secret-"])
            self.assertEqual(stat.S_IMODE(holders[0].stat().st_mode), 0o600)
            self.assertNotIn(secret, json.dumps(self.printed))
        for secret in ("upload_id", "4/0AEmu"):
            self.assertNotIn(secret, json.dumps(self.printed))
            self.assertEqual(self.holders(secret), [])
        # Google changes it; the new one is kept.
        self.control("settings", {"rotateRefreshTokens": True})
        self.coffer("snapshots")
        self.assertNotEqual(self.refresh_token(), token)
        self.control("settings", {"rotateRefreshTokens": False})
        # An access token that ends early is renewed.
        self.control("faults", [{"operation": "drive.*", "status": 401, "reason": "authError", "times": 1, "skip": 2}])
        self.coffer("verify")
        # What a person takes back at Google ends it; to sign in again no client is asked for.
        self.control("oauth", {"revoke": True})
        said = self.error("backup", expect=37)
        self.assertIn("invalid_grant", said["message"])
        self.assertIn("coffer store login", said["advice"])
        program = self.start("store", "login", store)
        self.browse(self.said(program, r"http://127\.0\.0\.1:\S+") + "&emulator_answer=allow")
        self.end(program)
        self.coffer("backup")
        # A secret that is damaged or lost stops no new sign-in.
        self.holders(DESKTOP[1])[0].write_text("damaged\n")
        self.assertIn(f"coffer store login {store}", self.error("backup", expect=37)["advice"])
        self.coffer("store", "login", store, expect=64)
        self.sign_in(store)
        self.coffer("backup")
        self.assertEqual(len(self.control("oauth")["grants"]), 2)
        self.assertIn("taken the permission back", self.coffer("store", "logout", store))
        self.assertEqual(len(self.control("oauth")["grants"]), 1, "the one whose secret was lost")
        self.assertEqual(self.holders(DESKTOP[1]), [])
        self.assertEqual(list((self.folder / "homes/phone/state/coffer").glob("gdrive-*")), [])
        self.error("backup", expect=37)
        self.error("store", "logout", store, expect=37)

    def test_logout_leaves_what_it_would_erase_and_forgets_where_google_is_not_reached(self):
        hidden = "gdrive:Coffer?space=appdata"
        self.sign_in(hidden)
        self.coffer("enable", self.make_notes(), "--to", hidden, "--key-file", "digits")
        self.assertIn("Google was not told", self.coffer("store", "logout", hidden))
        self.assertEqual(len(self.control("oauth")["grants"]), 1)
        self.assertEqual([file["space"] for file in self.files()], ["appDataFolder"] * 3)
        self.sign_in("gdrive:Other", client=OTHER)
        self.control("faults", [{"operation": "oauth.revoke", "closed": True, "times": None}])
        self.assertIn("could not be told", self.coffer("store", "logout", "gdrive:Other"))
        self.assertEqual(self.coffer_json("store", "list"), [])

    def test_logout_of_a_visible_folder_erases_no_hidden_backup(self):
        self.control("settings", {"revokeAll": True})
        hidden, visible, third = "gdrive:Coffer?space=appdata", "gdrive:Other", "gdrive:Third"
        self.sign_in(hidden)
        source = self.make_notes()
        self.coffer("enable", source, "--to", hidden, "--key-file", "digits")
        self.coffer("backup")
        for store in (visible, third):
            self.sign_in(store)
        grants = len(self.control("oauth")["grants"])
        said = self.coffer("store", "logout", visible)
        self.assertIn("Google was not told", said)
        self.assertIn("hidden folder", said)
        self.coffer("verify")
        # Also when the hidden one's sign-in has ended, and with another client of the project.
        self.coffer("store", "logout", hidden)
        self.assertIn("Google was not told", self.coffer("store", "logout", third))
        program = self.start(
            "store", "login", third, "--device", "--credentials-file", self.client_file(TV))
        self.control("device", {"user_code": self.said(program, r"[A-Z]{4}-[A-Z]{4}"), "answer": "allow"})
        self.end(program)
        self.assertIn("hidden folder", self.coffer("store", "logout", third))
        self.assertGreaterEqual(len(self.control("oauth")["grants"]), grants)
        self.sign_in(hidden)
        self.coffer("verify")

    def test_logout_leaves_the_other_folders_of_this_device_signed_in(self):
        self.control("settings", {"revokeAll": True})
        self.sign_in("gdrive:Coffer")
        self.coffer("enable", self.make_notes(), "--to", "gdrive:Coffer", "--key-file", "digits")
        self.sign_in("gdrive:Other")
        said = self.coffer("store", "logout", "gdrive:Other")
        self.assertIn("still signed in at gdrive:Coffer", said)
        self.coffer("backup")
        self.assertIn("taken the permission back", self.coffer("store", "logout", "gdrive:Coffer"))
        self.assertEqual(self.control("oauth")["grants"], [])

    def test_another_sign_in_says_that_the_one_before_stays_and_is_of_the_same_drive(self):
        store = "gdrive:Coffer"
        self.assertNotIn("before", self.sign_in(store))
        self.coffer("enable", self.make_notes(), "--to", store, "--key-file", "digits")
        self.assertIn("coffer store logout gdrive:Coffer, and sign in again", self.sign_in(store))
        self.assertEqual(len(self.control("oauth")["grants"]), 2)
        # Somebody else, of whose Drive this device knows nothing.
        said = self.sign_in(store, client=OTHER, expect=37)
        self.assertIn("does not see the folder", said)
        self.assertIn("Nothing was kept", said)
        self.assertEqual(self.coffer_json("store", "list")[0]["name"], DESKTOP[0])
        self.coffer("backup")
        self.coffer("store", "logout", store)
        self.sign_in(store, client=OTHER)

    def test_a_sign_in_that_google_changes_and_that_cannot_be_kept_is_told(self):
        store = "gdrive:Coffer"
        self.sign_in(store)
        self.coffer("enable", self.make_notes(), "--to", store, "--key-file", "digits")
        self.control("settings", {"rotateRefreshTokens": True})
        kept = self.holders(DESKTOP[1])[0]
        text = kept.read_text()
        self.control("clock", {"frozen": True})
        self.control("requests", method="DELETE")
        self.control("faults", [{"operation": "oauth.token", "stall": 10, "phase": "after", "times": 1}])
        program = self.start("backup")
        while not self.control("faults")["hits"]:
            self.assertIsNone(program.poll())
        # Where it was read from nothing can be written any more.
        kept.unlink()
        kept.mkdir()
        self.control("clock", {"advance": 11})
        self.assertRegex(self.end(program), "could not be kept: .* run coffer store login gdrive:Coffer")
        kept.rmdir()
        kept.write_text(text)
        self.assertIn("coffer store login", self.error("backup", expect=37)["advice"])

    def test_what_google_or_the_person_refuses_keeps_nothing(self):
        store = "gdrive:Coffer"
        self.assertIn("test users", self.sign_in(store, answer="deny", expect=37))
        self.assertIn("tick the box", self.sign_in(store, answer="allow&emulator_scopes=openid", expect=37))
        wrong = (DESKTOP[0], "GOCSPX-wrong")
        self.assertIn("invalid_client", self.sign_in(store, client=wrong, expect=37))
        said = self.error("store", "login", store, "--credentials-file", self.secret_file("one line", "secret\n"), expect=37)
        self.assertNotIn("secret\n", json.dumps(said))
        self.assertEqual(self.coffer_json("store", "list"), [])
        self.assertEqual(self.holders("GOCSPX"), [])
        self.coffer("store", "login", store, expect=64)
        for address in ("gdrive:", "gdrive:a/b", "gdrive:a?token=GOCSPX-x"):
            self.assertNotIn("GOCSPX-x", self.error("store", "login", address, expect=27)["message"])

    def test_the_answer_is_waited_for_among_all_that_asks_on_this_machine(self):
        program = self.start("store", "login", "gdrive:Coffer", "--credentials-file", self.console_file())
        address = self.said(program, r"http://127\.0\.0\.1:\S+")
        port = int(re.search(r"redirect_uri=http%3A%2F%2F127\.0\.0\.1%3A(\d+)", address)[1])
        for target in ("/", "/favicon.ico", "/?code=stolen&state=guessed", "/?error=access_denied"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.browse(f"http://127.0.0.1:{port}{target}")
            self.assertEqual(refused.exception.code, 404)
            refused.exception.close()
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        idle[-1].sendall(b"G" * 20_000)
        sockets = pathlib.Path("/proc/net/tcp").read_text().splitlines()
        listeners = [line.split()[1] for line in sockets if line.split()[3] == "0A"]
        self.assertEqual([one for one in listeners if one.endswith(f":{port:04X}")], [f"0100007F:{port:04X}"])
        self.browse(f"{address}&emulator_answer=allow")
        for connection in idle:
            connection.close()
        self.assertIn("signed in", self.end(program))

    def console_file(self):
        """As Google's console gives it."""
        return self.secret_file("client_secret.json", json.dumps({"installed": {
            "client_id": DESKTOP[0], "project_id": "p", "client_secret": DESKTOP[1], "redirect_uris": ["http://localhost"]}}))

    def test_a_desktop_opens_the_address(self):
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "xdg-open").write_text(f'#!/bin/sh\nprintf %s "$1" > "{self.folder}/opened"\n')
        (programs / "xdg-open").chmod(0o755)
        self.desktop = {"DISPLAY": ":0", "PATH": f"{programs}:{os.environ['PATH']}"}
        program = self.start("store", "login", "gdrive:Coffer", "--credentials-file", self.client_file())
        address = self.said(program, r"http://127\.0\.0\.1:\S+")
        self.said(program, "Your browser should open it")
        self.browse(f"{address}&emulator_answer=allow")
        self.end(program)
        self.assertEqual((self.folder / "opened").read_text(), address)
        self.assertNotIn(DESKTOP[1], address)

    def test_without_a_browser_the_code_is_typed_elsewhere(self):
        self.control("settings", {"deviceIntervalSeconds": 1})
        for answer, expect in (("allow", 0), ("deny", 37)):
            program = self.start(
                "store", "login", f"gdrive:{answer}", "--device", "--credentials-file", self.client_file(TV))
            code = self.said(program, r"[A-Z]{4}-[A-Z]{4}")
            self.control("device", {"user_code": code, "answer": answer})
            self.end(program, expect)
        self.assertEqual([entry["store"] for entry in self.coffer_json("store", "list")], ["gdrive:allow"])
        said = self.error(
            "store", "login", "gdrive:x?space=appdata", "--device", "--credentials-file", self.client_file(TV), expect=37)
        self.assertIn("no ?space=appdata", said["advice"])
        said = self.error("store", "login", "gdrive:x", "--device", "--credentials-file", self.client_file(), expect=37)
        self.assertIn("TVs and Limited Input devices", said["advice"])

    def test_nobody_else_is_google(self):
        for place in ("http://evil.example:80", "https://127.0.0.1:80", "http://localhost:80", "http://127.0.0.1:80/x"):
            self.address = place
            said = self.error("store", "login", "gdrive:x", "--credentials-file", self.client_file(), expect=27)
            self.assertIn("COFFER_GOOGLE_URL", said["message"])

    def test_a_full_drive_is_told_and_the_backup_goes_on_when_there_is_room(self):
        store = "gdrive:Coffer"
        self.sign_in(store)
        source = self.make_notes()
        (source / "film.bin").write_bytes(random.Random(1).randbytes(20_000_000))
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        self.control("settings", {"quotaBytes": 18_000_000})
        self.error("backup", expect=26)
        self.control("settings", {"quotaBytes": 15 << 30})
        before = {file["id"] for file in self.files()}
        self.coffer("backup")
        self.assertLessEqual(before, {file["id"] for file in self.files()}, "what was there is not sent again")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.control("faults", [{"operation": "upload.*", "status": 403, "reason": "dailyLimitExceeded", "times": None},
                                {"operation": "drive.files.create", "status": 403, "reason": "dailyLimitExceeded", "times": None}])
        (source / "more").write_text("more")
        self.assertIn("tomorrow", self.error("backup", expect=26)["advice"])


if __name__ == "__main__":
    unittest.main()
