"""Files as Drive keeps them: names are labels, identifiers are keys."""

import hashlib
import tempfile
import threading
import unittest

from .client import DESKTOP, OTHER, Client, EmulatorTest
from .server import start
from .settings import DRIVE


class Files(EmulatorTest):
    def test_two_files_have_one_name(self):
        self.assertNotEqual(self.me.make("a"), self.me.make("a"))
        self.assertEqual(self.me.names("name = 'a'"), ["a", "a"])

    def test_a_generated_identifier_is_taken_once_and_for_ever(self):
        identifier = self.me.new_id()
        self.assertEqual(self.me.multipart({"name": "a", "id": identifier}, b"1").json["id"], identifier)
        self.refused(self.me.multipart({"name": "a", "id": identifier}, b"1"), 409, "fileIdInUse")
        self.refused(self.me.begin({"name": "a", "id": identifier}), 409, "fileIdInUse")
        self.assertEqual(self.me.call("DELETE", f"/drive/v3/files/{identifier}").status, 204)
        self.refused(self.me.multipart({"name": "a", "id": identifier}, b"1"), 409, "fileIdInUse")
        self.me.control("settings", {"deletedStayTaken": False})
        self.assertEqual(self.me.multipart({"name": "a", "id": identifier}, b"1").status, 200)

    def test_of_eight_at_once_with_one_identifier_one_wins(self):
        identifier, statuses = self.me.new_id(), []
        threads = [
            threading.Thread(target=lambda: statuses.append(self.me.multipart({"name": "a", "id": identifier}, b"x").status))
            for _ in range(8)]
        for step in (threading.Thread.start, threading.Thread.join):
            for thread in threads:
                step(thread)
        self.assertEqual(sorted(statuses), [200] + 7 * [409])

    def test_an_identifier_of_ones_own_or_of_another_space_is_refused(self):
        self.refused(self.me.call("POST", "/drive/v3/files", {"id": "1mine", "name": "a"}), 400, "invalid")
        hidden = self.signed_in(f"{DRIVE}.appdata").new_id("appDataFolder")
        self.refused(self.me.call("POST", "/drive/v3/files", {"id": hidden, "name": "a"}), 400, "invalid")
        self.refused(self.me.call("GET", "/drive/v3/files/generateIds?count=1001"), 400, "invalidParameter")

    def test_hashes_size_and_fields(self):
        identifier = self.me.make("a", b"hello", appProperties={"coffer": "1"})
        found = self.me.call("GET", f"/drive/v3/files/{identifier}?fields=size,md5Checksum,sha1Checksum,sha256Checksum,appProperties").json
        self.assertEqual(found, {
            "size": "5", "md5Checksum": hashlib.md5(b"hello").hexdigest(), "sha1Checksum": hashlib.sha1(b"hello").hexdigest(),
            "sha256Checksum": hashlib.sha256(b"hello").hexdigest(), "appProperties": {"coffer": "1"}})
        self.assertEqual(set(self.me.call("GET", f"/drive/v3/files/{identifier}").json), {"kind", "id", "name", "mimeType"})
        self.refused(self.me.call("GET", f"/drive/v3/files/{identifier}?fields=sizee"), 400, "invalidParameter")
        self.refused(self.me.call("GET", f"/drive/v3/files/{identifier}?fields=id("), 400, "invalidParameter")

    def test_ranges(self):
        path = f"/drive/v3/files/{self.me.make('a', bytes(range(10)))}?alt=media"
        for wanted, status, body in [
                ("bytes=2-4", 206, range(2, 5)), ("bytes=8-99", 206, range(8, 10)), ("bytes=-3", 206, range(7, 10)),
                ("bytes=5-", 206, range(5, 10)), ("bytes=4-2", 200, range(10)), ("lines=1-2", 200, range(10))]:
            answer = self.me.call("GET", path, headers={"Range": wanted})
            self.assertEqual((answer.status, answer.body), (status, bytes(body)), wanted)
        for wanted, named in [("bytes=2-4", "bytes 2-4/10"), ("bytes=8-99", "bytes 8-9/10"), ("bytes=-99", "bytes 0-9/10")]:
            self.assertEqual(self.me.call("GET", path, headers={"Range": wanted}).headers["Content-Range"], named)
        self.refused(self.me.call("GET", path, headers={"Range": "bytes=10-"}), 416, "requestedRangeNotSatisfiable")
        empty = f"/drive/v3/files/{self.me.make('b')}?alt=media"
        self.assertEqual(self.me.call("GET", empty).body, b"")
        self.assertEqual(self.me.call("GET", empty, headers={"Range": "bytes=0-0"}).status, 416)

    def test_folders_trash_and_deletion(self):
        folder = self.me.folder("f")
        inside = self.me.make("a", parents=[folder])
        self.refused(self.me.call("GET", f"/drive/v3/files/{folder}?alt=media"), 403, "fileNotDownloadable")
        self.me.call("PATCH", f"/drive/v3/files/{folder}", {"trashed": True})
        self.assertEqual(self.me.names("trashed = false"), [])
        self.assertEqual(self.me.names(), ["a", "f"])
        self.assertTrue(self.me.call("GET", f"/drive/v3/files/{inside}?fields=trashed,explicitlyTrashed").json["trashed"])
        self.assertEqual(self.me.call("DELETE", f"/drive/v3/files/{folder}").status, 204)
        self.refused(self.me.call("DELETE", f"/drive/v3/files/{folder}"), 404, "notFound")
        self.refused(self.me.call("GET", f"/drive/v3/files/{inside}"), 404, "notFound")

    def test_changes(self):
        one, two, file = self.me.folder("1"), self.me.folder("2"), self.me.make("a", b"old")
        self.me.call("PATCH", f"/drive/v3/files/{file}?addParents={one}&removeParents=root", {"name": "b"})
        self.assertEqual(self.me.names(f"'{one}' in parents"), ["b"])
        self.me.call("PATCH", f"/drive/v3/files/{two}?addParents={one}&removeParents=root", {})
        self.assertEqual(self.me.call("PATCH", f"/drive/v3/files/{one}?addParents={two}", {}).status, 403)
        self.refused(self.me.call("PATCH", f"/drive/v3/files/{file}", {"parents": [two]}), 403, "fieldNotWritable")
        self.refused(self.me.call("PATCH", f"/drive/v3/files/{file}", {"size": "7"}), 403, "fieldNotWritable")
        answer = self.me.multipart({"name": "c"}, b"new", {"fields": "id,name,size"}, f"/upload/drive/v3/files/{file}", "PATCH")
        self.assertEqual(answer.json, {"id": file, "name": "c", "size": "3"})
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}?alt=media").body, b"new")

    def test_copies(self):
        copied = self.me.call("POST", f"/drive/v3/files/{self.me.make('a', b'x')}/copy", {"name": "b"}).json["id"]
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{copied}?alt=media").body, b"x")

    def test_room(self):
        self.me.control("settings", {"quotaBytes": 10})
        kept = self.me.make("a", b"12345678")
        self.refused(self.me.multipart({"name": "b"}, b"123"), 403, "storageQuotaExceeded")
        self.refused(self.me.begin({"name": "b"}, 3), 403, "storageQuotaExceeded")
        self.me.call("PATCH", f"/drive/v3/files/{kept}", {"trashed": True})
        quota = self.me.call("GET", "/drive/v3/about?fields=storageQuota").json["storageQuota"]
        self.assertEqual(quota, {"limit": "10", "usage": "8", "usageInDrive": "8", "usageInDriveTrash": "8"})
        self.me.control("settings", {"quotaBytes": None, "dailyUploadBytes": 20})
        self.assertNotIn("limit", self.me.call("GET", "/drive/v3/about?fields=storageQuota").json["storageQuota"])
        self.refused(self.me.multipart({"name": "b"}, bytes(13)), 403, "userRateLimitExceeded")
        self.me.control("settings", {"accessTokenSeconds": 200_000})
        self.me = self.signed_in()
        self.me.control("clock", {"advance": 86_401})
        self.assertEqual(self.me.multipart({"name": "b"}, bytes(13)).status, 200)
        self.refused(self.me.call("GET", "/drive/v3/about"), 400, "required")

    def test_too_many_in_one_folder(self):
        folder = self.me.folder("f")
        self.me.control("settings", {"childrenMax": 1})
        self.me.make("a", parents=[folder])
        answer = self.me.multipart({"name": "b", "parents": [folder]}, b"")
        self.refused(answer, 403, "numChildrenInNonRootLimitExceeded")

    def test_what_google_calls_harmful(self):
        file = self.me.make("a", b"x")
        self.me.control("file", {"id": file, "abusive": True})
        self.refused(self.me.call("GET", f"/drive/v3/files/{file}?alt=media"), 403, "cannotDownloadAbusiveFile")
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}?alt=media&acknowledgeAbuse=true").body, b"x")


class Scopes(EmulatorTest):
    def test_an_app_sees_its_own_files_only(self):
        file = self.me.make("mine")
        other, everything = self.signed_in(client=OTHER), self.signed_in(DRIVE)
        self.refused(other.call("GET", f"/drive/v3/files/{file}"), 404, "notFound")
        self.refused(other.call("DELETE", f"/drive/v3/files/{file}"), 404, "notFound")
        self.assertEqual(other.names(), [])
        self.assertEqual(everything.names(), ["mine"])
        self.refused(self.me.call("GET", "/drive/v3/files/root"), 404, "notFound")
        self.assertEqual(everything.call("GET", "/drive/v3/files/root").status, 200)
        self.refused(other.list(f"'{self.me.folder('f')}' in parents"), 404, "notFound")

    def test_another_program_of_the_same_project_sees_them(self):
        file = self.me.make("mine")
        tv = self.signed_in(client="111111111111-tv.apps.googleusercontent.com")
        self.assertEqual(tv.call("GET", f"/drive/v3/files/{file}").status, 200)

    def test_the_hidden_folder_is_a_space_of_its_own(self):
        hidden = self.signed_in(f"{DRIVE}.appdata")
        file = hidden.make("a", parents=["appDataFolder"])
        self.refused(hidden.list(), 403, "insufficientScopes")
        self.assertEqual(hidden.names(spaces="appDataFolder"), ["a"])
        self.assertEqual(hidden.names("'appDataFolder' in parents", spaces="appDataFolder"), ["a"])
        self.refused(self.me.call("GET", f"/drive/v3/files/{file}"), 404, "notFound")
        self.refused(self.me.multipart({"name": "b", "parents": ["appDataFolder"]}, b""), 403, "insufficientScopes")
        self.refused(hidden.multipart({"name": "b"}, b""), 403, "insufficientPermissions")
        self.refused(hidden.call("PATCH", f"/drive/v3/files/{file}", {"trashed": True}), 403, "notSupportedForAppDataFolderFiles")
        self.assertEqual(self.signed_in(DRIVE).names(), [])
        hidden.control("oauth", {"disconnect": "111111111111"})
        self.assertEqual(self.signed_in(f"{DRIVE}.appdata").names(spaces="appDataFolder"), [])

    def test_reading_only(self):
        file = self.signed_in(DRIVE).make("a", b"x")
        reader = self.signed_in(f"{DRIVE}.readonly")
        self.assertEqual(reader.call("GET", f"/drive/v3/files/{file}?alt=media").body, b"x")
        self.refused(reader.call("DELETE", f"/drive/v3/files/{file}"), 403, "insufficientPermissions")
        self.refused(reader.multipart({"name": "b"}, b""), 403, "insufficientPermissions")

    def test_without_a_token(self):
        nobody = Client(self.server.address)
        self.refused(nobody.list(), 401, "required")
        nobody.token = "ya29.nothing"
        self.refused(nobody.list(), 401, "authError")


class InAFolder(unittest.TestCase):
    def test_files_and_sign_ins_outlive_the_process(self):
        with tempfile.TemporaryDirectory() as folder:
            server = start(folder)
            tokens = Client(server.address).control("token", {})
            me = Client(server.address, tokens["access_token"])
            file, gone, empty = me.make("a", b"hello"), me.make("b", b"x"), me.make("c")
            me.call("DELETE", f"/drive/v3/files/{gone}")
            server.stop()
            server = start(folder)
            self.addCleanup(server.stop)
            me = Client(server.address)
            me.token = me.form("/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"], **DESKTOP).json["access_token"]
            self.assertEqual(me.call("GET", f"/drive/v3/files/{file}?alt=media").body, b"hello")
            self.assertEqual(me.call("GET", f"/drive/v3/files/{empty}?alt=media").body, b"")
            self.assertEqual(me.names(), ["a", "c"])
            self.assertEqual(len(me.call("GET", f"/drive/v3/files/{file}?fields=parents").json["parents"]), 1)


if __name__ == "__main__":
    unittest.main()
