"""The Drive emulator under clients that nobody here wrote: Google's own for Python, rclone, and restic over rclone.

What they do to the real Drive they must be able to do to it, without a change in them. Each is skipped by name where
`scripts/setup --clouds` could not get it.
"""

import filecmp
import importlib.util
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/Support"), str(ROOT / "Tests/Clouds")]

import drive_emulator  # noqa: E402
from drive_emulator.client import DESKTOP, FOLDER, Client  # noqa: E402
from drive_emulator.settings import DRIVE  # noqa: E402
from drive_client import drive  # noqa: E402
from server import Missing, program  # noqa: E402

PIECE = 262_144


def is_here(name):
    try:
        return bool(program(name))
    except Missing:
        return False


def has(*modules):
    try:
        return all(importlib.util.find_spec(name) for name in modules)
    except ModuleNotFoundError:
        return False


class Emulated(unittest.TestCase):
    def setUp(self):
        self.server = drive_emulator.start()
        self.addCleanup(self.server.stop)
        self.steer = Client(self.server.address)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def bad_line(self, probability=0.1):
        """Bursts, errors after the work was done, lost answers."""
        faults = [{"status": 403, "reason": "userRateLimitExceeded"}, {"status": 503}, {"status": 500, "phase": "after"}, {"status": 429}]
        often = {"probability": probability / len(faults), "times": None, "operation": "[du]*"}
        for seed, fault in enumerate(faults):
            self.steer.control("faults", fault | often | {"seed": seed})

    def hits(self):
        return self.steer.control("faults")["hits"]


@unittest.skipUnless(has("googleapiclient", "google.oauth2"), "google-api-python-client is not here (scripts/setup --clouds)")
class GooglesClient(Emulated):
    client, did = "google-api-python-client", "a life of files; pieces over a bad line; refresh and revocation; the hidden folder"

    def drive(self, scope=f"{DRIVE}.file", tokens=None):
        return drive(self.steer, scope, tokens)

    def media(self, content, **options):
        from googleapiclient.http import MediaIoBaseUpload

        class Bytes(MediaIoBaseUpload):
            """This client sends a stream's piece again from where the first try had read to, and waits for ever; bytes it has whole."""

            def has_stream(self):
                return False

        return Bytes(io.BytesIO(content), "application/octet-stream", **options)

    def all_pages(self, files, q, **options):
        found, request = [], files.list(q=q, fields="nextPageToken, files(id, name, size, sha256Checksum)", **options)
        while request is not None:
            page = request.execute()
            found += page["files"]
            request = files.list_next(request, page)
        return found

    def test_a_life_of_files(self):
        drive = self.drive()
        files = drive.files()
        about = drive.about().get(fields="user(emailAddress), storageQuota").execute()
        self.assertEqual((about["user"]["emailAddress"], about["storageQuota"]["usage"]), ("ada@example.org", "0"))
        folder, *identifiers = files.generateIds(count=13, space="drive").execute()["ids"]
        files.create(body={"id": folder, "name": "coffer", "mimeType": FOLDER}).execute()
        for number, identifier in enumerate(identifiers):
            body = {"id": identifier, "name": f"it's \\ {number}", "parents": [folder], "appProperties": {"n": str(number)}}
            files.create(body=body, media_body=self.media(b"x" * number) if number else None).execute()
        found = self.all_pages(files, f"'{folder}' in parents and trashed = false", pageSize=5, orderBy="createdTime")
        self.assertEqual([one["id"] for one in found], identifiers)
        one, = self.all_pages(files, "name = 'it\\'s \\\\ 7' and appProperties has { key='n' and value='7' }")
        self.assertEqual(one["size"], "7")
        moved = files.update(
            fileId=one["id"], addParents="root", removeParents=folder, body={"name": "moved"}, fields="name, parents").execute()
        self.assertNotEqual(moved["parents"], [folder])
        files.update(fileId=one["id"], media_body=self.media(b"new")).execute()
        self.assertEqual(files.get_media(fileId=one["id"]).execute(), b"new")
        copied = files.copy(fileId=one["id"], body={"name": "copied"}).execute()
        self.assertEqual(files.get_media(fileId=copied["id"]).execute(), b"new")
        self.assertEqual(files.delete(fileId=one["id"]).execute(), "")
        self.assertEqual(self.error(files.get(fileId=one["id"])), (404, "notFound"))
        self.assertEqual(self.error(files.create(body={"id": folder, "name": "x"})), (409, "fileIdInUse"))
        long = " or ".join(f"name = '{number:060}'" for number in range(60))
        self.assertEqual(self.all_pages(files, long), [])

    def error(self, request):
        from googleapiclient.errors import HttpError
        with self.assertRaises(HttpError) as caught:
            request.execute()
        return caught.exception.resp.status, caught.exception.error_details[0]["reason"]

    def test_large_files_in_pieces_over_a_bad_line(self):
        from googleapiclient.http import MediaIoBaseDownload
        files, content = self.drive().files(), random.Random(1).randbytes(21 * PIECE + 17)
        self.bad_line(0.4)
        request = files.create(
            body={"name": "film"}, media_body=self.media(content, chunksize=2 * PIECE, resumable=True), fields="id, size, md5Checksum")
        request._sleep = lambda seconds: None
        done, seen = None, []
        while done is None:
            progress, done = request.next_chunk(num_retries=20)
            seen += [progress.resumable_progress] if progress else []
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(done["size"], str(len(content)))
        into = io.BytesIO()
        download, whole = MediaIoBaseDownload(into, files.get_media(fileId=done["id"]), chunksize=3 * PIECE), False
        download._sleep = request._sleep
        while not whole:
            _, whole = download.next_chunk(num_retries=20)
        self.assertEqual(into.getvalue(), content)
        self.assertGreater(self.hits(), 3)

    def test_a_token_that_ends_is_refreshed(self):
        files = self.drive().files()
        request = files.create(body={"name": "a"}, media_body=self.media(bytes(3 * PIECE), chunksize=PIECE, resumable=True))
        request.next_chunk()
        self.steer.control("oauth", {"expireAccessTokens": True})
        done = None
        while done is None:
            _, done = request.next_chunk()
        self.assertEqual([one["operation"] for one in self.steer.control("requests")].count("oauth.token"), 1)
        self.steer.control("oauth", {"expireAccessTokens": True, "revoke": True})
        from google.auth.exceptions import RefreshError
        with self.assertRaisesRegex(RefreshError, "invalid_grant"):
            files.list().execute()

    def test_the_hidden_folder(self):
        files = self.drive(f"{DRIVE}.appdata").files()
        made = files.create(body={"name": "a", "parents": ["appDataFolder"]}, media_body=self.media(b"x")).execute()
        self.assertEqual([one["id"] for one in self.all_pages(files, "", spaces="appDataFolder")], [made["id"]])
        self.assertEqual(self.error(files.list()), (403, "insufficientScopes"))


@unittest.skipUnless(has("google_auth_oauthlib", "googleapiclient"), "google-auth-oauthlib is not here (scripts/setup --clouds)")
class GooglesSignIn(Emulated):
    client, did = "google-auth-oauthlib", "sign-in with a loopback redirect and PKCE"

    def test_signing_in_through_a_browser(self):
        from google_auth_oauthlib.flow import InstalledAppFlow
        flow = InstalledAppFlow.from_client_config({"installed": DESKTOP | {
            "auth_uri": f"{self.server.address}/o/oauth2/v2/auth", "token_uri": f"{self.server.address}/token"}}, [f"{DRIVE}.file"])
        flow.redirect_uri = "http://127.0.0.1:9/"
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the emulator's line is this machine's own
        self.addCleanup(os.environ.pop, "OAUTHLIB_INSECURE_TRANSPORT")
        address, state = flow.authorization_url(access_type="offline", prompt="consent")
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        self.assertEqual(query["code_challenge_method"], "S256")
        location = self.steer.call("GET", address + "&emulator_answer=allow").headers["Location"]
        flow.fetch_token(authorization_response=location)
        tokens = {"access_token": flow.credentials.token, "refresh_token": flow.credentials.refresh_token}
        self.assertEqual(drive(self.steer, tokens=tokens).files().list().execute()["files"], [])
        self.assertIn(f"state={state}", location)


@unittest.skipUnless(is_here("gcp-storage-emulator"), "gcp-storage-emulator is not here (scripts/setup --clouds)")
class SameWords(Emulated):
    """What this emulator and one of Cloud Storage, of another make, say in the same resumable upload."""

    client, did = "gcp-storage-emulator", "a server: the same resumable upload has the same answers"

    def dialogue(self, address, begin, headers):
        client, said, headers = Client(address), [], headers | {"Content-Type": "application/json"}
        total = 3 * PIECE + 7
        session = client.call("POST", begin, {"name": "a"}, headers | {"X-Upload-Content-Length": str(total)}).headers["Location"]
        for first, last in [(0, PIECE), (PIECE, 3 * PIECE), (3 * PIECE, total)]:
            answer = client.chunk(session, bytes(last - first), first, total)
            said.append((answer.status, answer.headers.get("Range")))
            if last < total:
                asked = client.asks(session, total)
                said.append((asked.status, asked.headers.get("Range")))
        said.append(answer.json["size"])
        session = client.call("POST", begin, {"name": "b"}, headers).headers["Location"]
        return said + [client.chunk(session, b"hello").json["size"]]

    def test_a_resumable_upload(self):
        from drive_servers import start_gcs
        address, stop = start_gcs(self.folder)
        self.addCleanup(stop)
        token = self.steer.control("token", {})["access_token"]
        ours = self.dialogue(
            self.server.address, "/upload/drive/v3/files?uploadType=resumable&fields=size", {"Authorization": f"Bearer {token}"})
        theirs = self.dialogue(address, "/upload/storage/v1/b/coffer/o?uploadType=resumable&name=a", {})
        self.assertEqual(ours, theirs)


class ThroughProxy(Emulated):
    """Programs that know only Google's own addresses."""

    def setUp(self):
        super().setUp()
        from google_proxy import GoogleProxy
        self.proxy = GoogleProxy(self.server.address, self.folder)
        self.addCleanup(self.proxy.stop)
        self.sign_in("drive", "drive.file")

    def sign_in(self, name, scope, **options):
        """Its access token is over, so that the first thing it does is to refresh it."""
        tokens = self.steer.control("token", {"scope": f"https://www.googleapis.com/auth/{scope}"})
        token = {"access_token": "ya29.over", "token_type": "Bearer", "refresh_token": tokens["refresh_token"],
                 "expiry": "2020-01-01T00:00:00Z"}
        lines = {"type": "drive", "scope": scope, "token": json.dumps(token), "pacer_min_sleep": "1ms", **DESKTOP, **options}
        with open(self.folder / "rclone.conf", "a", encoding="utf-8") as file:
            file.write(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()))

    @property
    def environment(self):
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
            "HTTPS_PROXY": self.proxy.address, "RCLONE_CA_CERT": self.proxy.authority, "RESTIC_PASSWORD": "a password of tests"}

    def run_program(self, *words, expect=0, text=True):
        ran = subprocess.run(words, env=self.environment, cwd=self.folder, capture_output=True, text=text, timeout=240)
        self.assertEqual(ran.returncode, expect, f"{words}\n{ran.stdout}\n{ran.stderr}")
        return ran.stdout

    def rclone(self, *words, **options):
        return self.run_program(program("rclone"), *words, **options)

    def tree(self, name="tree", files=30):
        dice, root = random.Random(3), self.folder / name
        for number in range(files):
            place = root / f"d{number % 3}" / ("it's \\ %41 ünï" if number % 7 == 0 else "plain")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.bin").write_bytes(dice.randbytes(dice.choice([0, 1, 100, 70_000])))
        (root / "large").write_bytes(dice.randbytes(9_000_001))
        return root

    def same(self, one, other):
        compared = filecmp.dircmp(one, other)
        self.assertEqual((compared.left_only, compared.right_only, compared.funny_files), ([], [], []))
        _, wrong, failed = filecmp.cmpfiles(one, other, compared.common_files, shallow=False)
        self.assertEqual((wrong, failed), ([], []))
        for name in compared.common_dirs:
            self.same(pathlib.Path(one) / name, pathlib.Path(other) / name)


@unittest.skipUnless(is_here("rclone") and has("cryptography"), "rclone is not here (scripts/setup --clouds)")
class Rclone(ThroughProxy):
    client, did = "rclone", "copy, check, move, dedupe, purge and about; pieces and all at once; a bad line; the hidden folder"

    def test_there_and_back(self):
        tree = self.tree()
        self.rclone("copy", tree, "drive:coffer", "--drive-chunk-size", "512Ki", "--drive-upload-cutoff", "1Mi")
        self.rclone("check", "--download", tree, "drive:coffer")
        self.rclone("check", tree, "drive:coffer")
        self.steer.control("requests", method="DELETE")
        self.rclone("copy", tree, "drive:coffer")
        seen = {one["operation"] for one in self.steer.control("requests")}
        self.assertEqual(seen - {"oauth.token", "drive.files.get", "drive.files.list"}, set())
        self.rclone("copy", "drive:coffer", "back")
        self.same(tree, self.folder / "back")
        cat = self.run_program(program("rclone"), "cat", "--offset", "100", "--count", "50", "drive:coffer/large", text=False)
        self.assertEqual(cat, (tree / "large").read_bytes()[100:150])
        self.rclone("moveto", "drive:coffer/large", "drive:coffer/moved")
        self.rclone("copyto", "drive:coffer/moved", "drive:other/copied")
        self.rclone("delete", "drive:coffer/d0")
        self.rclone("purge", "drive:coffer/d1")
        names = [one["Path"] for one in json.loads(self.rclone("lsjson", "-R", "--files-only", "drive:"))]
        self.assertEqual(len([name for name in names if "/d2/" in name]), 10)
        self.assertEqual([name for name in names if "/d0/" in name or "/d1/" in name], [])
        self.assertIn("other/copied", names)
        self.assertGreater(json.loads(self.rclone("about", "--json", "drive:"))["trashed"], 0)

    def test_pieces_and_all_at_once(self):
        tree = self.tree(files=3)
        for name, cutoff in [("pieces", "0"), ("once", "64Mi")]:
            self.rclone("copy", tree, f"drive:{name}", "--drive-chunk-size", "256Ki", "--drive-upload-cutoff", cutoff)
            self.rclone("check", "--download", tree, f"drive:{name}")
        seen = [one["operation"] for one in self.steer.control("requests")]
        self.assertGreater(seen.count("upload.chunk"), 30)
        self.assertGreater(seen.count("drive.files.create"), 3)

    def test_over_a_bad_line(self):
        tree = self.tree()
        self.bad_line(0.06)
        self.rclone(
            "sync", tree, "drive:coffer", "--drive-chunk-size", "512Ki", "--drive-upload-cutoff", "1Mi", "--low-level-retries", "30")
        self.assertGreater(self.hits(), 3)
        self.steer.control("faults", method="DELETE")
        self.rclone("dedupe", "newest", "drive:coffer")
        self.rclone("check", "--download", tree, "drive:coffer")

    def test_the_hidden_folder(self):
        self.sign_in("hidden", "drive.appfolder", root_folder_id="appDataFolder", use_trash="false")
        tree = self.tree(files=4)
        self.rclone("copy", tree, "hidden:coffer")
        self.rclone("check", "--download", tree, "hidden:coffer")
        self.assertEqual(json.loads(self.rclone("lsjson", "drive:")), [])
        self.rclone("purge", "hidden:coffer")
        self.assertEqual([one["name"] for one in self.steer.control("files")], [])

    def test_names_that_occur_twice(self):
        (self.folder / "one").mkdir()
        (self.folder / "one/a").write_bytes(b"a")
        self.rclone("copy", "one", "drive:coffer")
        self.steer.control("duplicate", {"name": "a", "text": "other"})
        self.rclone("dedupe", "largest", "drive:coffer")
        self.assertEqual(self.rclone("cat", "drive:coffer/a"), "other")


@unittest.skipUnless(
    is_here("rclone") and is_here("restic") and has("cryptography"), "restic or rclone is not here (scripts/setup --clouds)")
class Restic(ThroughProxy):
    client, did = "restic", "over rclone: init, backup, a second one over a bad line, check --read-data, restore, forget and prune"

    def test_a_repository(self):
        tree = self.tree()
        restic = [program("restic"), "-o", f"rclone.program={program('rclone')}", "-r", "rclone:drive:restic", "--no-cache"]
        self.run_program(*restic, "init")
        self.run_program(*restic, "backup", "tree")
        (tree / "another").write_bytes(bytes(100))
        self.bad_line(0.05)
        self.run_program(*restic, "backup", "tree")
        self.assertGreater(self.hits(), 0)
        self.steer.control("faults", method="DELETE")
        self.assertIn("no errors were found", self.run_program(*restic, "check", "--read-data"))
        self.run_program(*restic, "restore", "latest", "--target", "restored")
        self.same(tree, self.folder / "restored/tree")
        self.run_program(*restic, "forget", "--keep-last", "1", "--prune")
        self.assertIn("no errors were found", self.run_program(*restic, "check", "--read-data"))


if __name__ == "__main__":
    unittest.main()
