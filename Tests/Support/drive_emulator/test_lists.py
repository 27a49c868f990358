"""Lists: what is asked, in which order, page by page, and how they mislead."""

import unittest

from .client import EmulatorTest
from .settings import DRIVE


class Questions(EmulatorTest):
    def test_the_language(self):
        f, g = self.me.folder("f"), self.me.folder("G h")
        self.me.make("packs/ab-1", parents=[f], mimeType="text/plain", appProperties={"k": "it's"})
        self.me.make("It's \\ here", parents=[g])
        self.me.call("PATCH", f"/drive/v3/files/{self.me.make('gone')}", {"trashed": True})
        for question, names in [
                ("", ["G h", "It's \\ here", "f", "gone", "packs/ab-1"]),
                ("name = 'PACKS/AB-1'", ["packs/ab-1"]),
                ("name='It\\'s \\\\ here'", ["It's \\ here"]),
                ("name != 'f' and not trashed = true and not name contains 'pa'", ["G h", "It's \\ here"]),
                (f"'{f}' in parents and trashed=false", ["packs/ab-1"]),
                (f"('{f}' in parents or '{g}' in parents) and name contains 'here'", ["It's \\ here"]),
                ("name contains 'ab'", ["packs/ab-1"]),
                ("name contains 'cks'", []),
                ("mimeType contains 'text/' or name = 'gone' and trashed = false", ["packs/ab-1"]),
                ("trashed = false and (mimeType = 'text/plain' or name = 'f')", ["f", "packs/ab-1"]),
                ("mimeType = 'application/vnd.google-apps.folder'", ["G h", "f"]),
                ("appProperties has { key='k' and value='it\\'s' }", ["packs/ab-1"]),
                ("createdTime > '2020-01-01T00:00:00' and modifiedTime < '2099-01-01T00:00:00.5+01:00' and name='f'", ["f"]),
                ("createdTime < '2020-01-01T00:00:00Z'", []),
                ("'root' in parents and 'me' in owners and name = 'f' and starred = false and trashed != true", ["f"]),
                ("sharedWithMe", []), ("((name = 'f'))", ["f"])]:
            self.assertEqual(self.me.names(question), names, question)

    def test_what_is_not_of_the_language(self):
        for question in ["name = ", "name = 'a", "name = 'a\\x'", "name ~ 'a'", "title = 'a'", "name = 'a' and", "(name = 'a'",
                         "name = 'a')", "'a' in", "'a' in children", "trashed = maybe", "trashed", "createdTime > 'yesterday'",
                         "createdTime > '2020-13-01T00:00:00'",
                         "name = 'a' name = 'b'", "properties has { key='a' }", "= 'a'", "name in 'a'", "not"]:
            self.refused(self.me.list(question), 400, "invalid")

    def test_pages(self):
        for number in range(7):
            self.me.make(f"{number}")
        found, token, pages = [], None, 0
        while token or not pages:
            page = self.me.list("trashed = false", pageSize=3, orderBy="name desc", **({"pageToken": token} if token else {})).json
            found += [file["name"] for file in page["files"]]
            token, pages = page.get("nextPageToken"), pages + 1
        self.assertEqual((found, pages), (list("6543210"), 3))
        token = self.me.list(pageSize=3).json["nextPageToken"]
        self.refused(self.me.list("name = 'x'", pageToken=token), 400, "invalid")
        self.refused(self.me.list(pageToken="nothing"), 400, "invalid")
        other = self.signed_in(DRIVE, client="222222222222-other.apps.googleusercontent.com")
        self.refused(other.list(pageToken=token), 400, "invalid")
        self.me.control("settings", {"accessTokenSeconds": 100_000})
        self.me = self.signed_in()
        self.me.control("clock", {"advance": 6 * 3600 + 1})
        self.refused(self.me.list(pageToken=token), 400, "invalid")
        for size in ("0", "-1", "x"):
            self.refused(self.me.list(pageSize=size), 400, "invalidParameter")

    def test_the_next_page_is_named_only_to_who_asks_for_it(self):
        self.me.make("a"), self.me.make("b")
        answer = self.me.call("GET", "/drive/v3/files?pageSize=1&fields=files(name)").json
        self.assertEqual(list(answer), ["files"])
        self.refused(self.me.call("GET", "/drive/v3/files?fields=files(nam)"), 400, "invalidParameter")
        self.refused(self.me.call("GET", "/drive/v3/files?fields=nextPage"), 400, "invalidParameter")

    def test_orders(self):
        for name in ("b", "c", "a"):
            self.me.make(name)
        self.assertEqual([file["name"] for file in self.me.list(orderBy="createdTime").json["files"]], ["b", "c", "a"])
        self.assertEqual([file["name"] for file in self.me.list(orderBy="folder,name").json["files"]], ["a", "b", "c"])
        self.refused(self.me.list(orderBy="size"), 400, "invalid")


class Misleading(EmulatorTest):
    settings = {"lagSeconds": 60}

    def test_lists_are_late_and_looking_a_file_up_is_not(self):
        self.me.control("clock", {"frozen": True})
        file = self.me.make("a")
        self.assertEqual(self.me.names(), [])
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}").status, 200)
        self.me.control("clock", {"advance": 30})
        self.me.call("PATCH", f"/drive/v3/files/{file}", {"name": "b"})
        self.me.control("clock", {"advance": 30})
        self.assertEqual(self.me.names(), ["a"])
        self.me.call("DELETE", f"/drive/v3/files/{file}")
        self.me.control("clock", {"advance": 30})
        self.assertEqual(self.me.names(), ["b"])
        self.me.control("clock", {"advance": 30})
        self.assertEqual(self.me.names(), [])

    def test_a_list_that_says_that_it_is_not_whole_and_one_that_does_not(self):
        self.me.control("settings", {"lagSeconds": 0})
        for name in "abcd":
            self.me.make(name)
        for kind in ("incompleteSearch", "forgetful"):
            self.me.control("faults", {"operation": "drive.files.list", kind: True})
        for said in (True, False):
            page = self.me.list(orderBy="name").json
            self.assertEqual(([file["name"] for file in page["files"]], page["incompleteSearch"]), (["a", "c"], said))
        self.assertEqual(self.me.names(), ["a", "b", "c", "d"])

    def test_an_empty_page_is_not_the_end(self):
        self.me.control("settings", {"lagSeconds": 0})
        self.me.make("a")
        self.me.control("faults", {"operation": "drive.files.list", "emptyPage": True})
        page = self.me.list().json
        self.assertEqual(page["files"], [])
        self.assertEqual(self.me.names(pageToken=page["nextPageToken"]), ["a"])


if __name__ == "__main__":
    unittest.main()
