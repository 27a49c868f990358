"""What the emulator of CloudKit promises, in the words of Apple's reference."""

import http.client
import threading
import unittest
import urllib.parse

from drive_emulator.client import Client as Plain

from .client import ZONE, EmulatorTest, create


class SignIn(EmulatorTest):
    def test_a_token_is_good_for_one_request(self):
        first = self.me.web_token
        self.assertEqual(self.me.op("users/current").status, 200)
        self.assertNotEqual(self.me.web_token, first)
        answer = self.refused(self.me.op("users/current", token=first), 421, "AUTHENTICATION_REQUIRED")
        self.assertIn("/signin", answer.json["redirectURL"])
        self.assertEqual(self.me.op("users/current").status, 200)

    def test_older_tokens_may_go_on(self):
        self.me.control("settings", {"singleUse": False})
        first = self.me.web_token
        self.assertEqual([self.me.op("users/current", token=first).status for _ in range(2)], [200, 200])
        self.assertNotEqual(self.me.web_token, first)

    def test_two_requests_at_once_with_one_token(self):
        token, statuses = self.me.web_token, []
        threads = [threading.Thread(target=lambda: statuses.append(self.me.op("users/current", token=token).status)) for _ in range(6)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        self.assertEqual(sorted(statuses), [200] + 5 * [421])

    def test_a_lost_answer_loses_the_sign_in(self):
        self.me.control("faults", {"operation": "records.modify", "lost": True})
        with self.assertRaises(OSError):
            self.me.modify(create("a"))
        self.refused(self.me.op("users/current"), 421, "AUTHENTICATION_REQUIRED")
        self.me.web_token = self.me.control("token", {})["ckWebAuthToken"]
        self.assertEqual(self.codes(self.me.modify(create("a"))), ["EXISTS"])

    def test_tokens_end_after_half_an_hour_or_two_weeks(self):
        self.me.control("clock", {"advance": 1801})
        self.refused(self.me.op("users/current"), 421, "AUTHENTICATION_REQUIRED")
        self.me.web_token = self.me.control("token", {"kept": True})["ckWebAuthToken"]
        self.me.control("clock", {"advance": 1801})
        self.assertEqual(self.me.op("users/current").status, 200)
        self.me.control("clock", {"advance": 14 * 86400 + 1})
        self.refused(self.me.op("users/current"), 421, "AUTHENTICATION_REQUIRED")

    def test_through_a_browser(self):
        self.me.control("settings", {"callback": "http://127.0.0.1:9/back"})
        self.me.web_token = None
        page = self.me.op("users/current").json["redirectURL"]
        location = self.me.call("GET", page + "&emulator_answer=allow&keep=1").headers["Location"]
        self.assertTrue(location.startswith("http://127.0.0.1:9/back?ckWebAuthToken=158__54__"))
        token = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))["ckWebAuthToken"]
        self.assertIn("+", token)
        self.assertEqual(self.me.op("users/current", token=token).status, 200)

    def test_without_an_api_token_and_in_other_places(self):
        self.refused(self.me.call("POST", "/database/1/x/development/private/users/current", b"{}"), 401, "AUTHENTICATION_FAILED")
        self.refused(self.me.op("users/current", container="iCloud.other"), 400, "BAD_REQUEST")
        self.refused(self.me.op("users/current", database="public"), 403, "ACCESS_DENIED")
        self.refused(self.me.op("records/sing"), 404, "NOT_FOUND")
        self.assertEqual(self.me.op("users/current").status, 200)

    def test_people_do_not_see_each_other(self):
        self.me.modify(create("a"))
        self.me.web_token = self.me.control("token", {"user": "grace"})["ckWebAuthToken"]
        self.refused(self.me.modify(create("a")), 404, "ZONE_NOT_FOUND")


class Records(EmulatorTest):
    def test_create_only_and_compare_and_swap(self):
        made = self.me.modify(create("a", n=1, s="x")).json["records"][0]
        self.assertEqual({name: field["type"] for name, field in made["fields"].items()}, {"n": "NUMBER_INT64", "s": "STRING"})
        self.assertEqual(self.codes(self.me.modify(create("a", n=2), atomic=False)), ["EXISTS"])
        changed = self.me.modify(create("a", "update", made["recordChangeTag"], n=2)).json["records"][0]
        self.assertEqual((changed["fields"]["n"]["value"], changed["fields"]["s"]["value"]), (2, "x"))
        answer = self.me.modify(create("a", "update", made["recordChangeTag"], n=3), atomic=False)
        self.assertEqual((answer.status, self.codes(answer)), (200, ["CONFLICT"]))
        self.assertEqual(answer.json["records"][0]["serverRecord"]["fields"]["n"]["value"], 2)
        self.assertEqual(self.codes(self.me.modify(create("a", "update", n=3), atomic=False)), ["BAD_REQUEST"])
        self.assertEqual(self.codes(self.me.modify(create("b", "update", "t"), atomic=False)), ["NOT_FOUND"])
        replaced = self.me.modify(create("a", "replace", changed["recordChangeTag"], n=4)).json["records"][0]
        self.assertNotIn("s", replaced["fields"])
        self.assertEqual(self.me.modify(create("c", "forceReplace", n=5)).json["records"][0]["fields"]["n"]["value"], 5)

    def test_all_or_nothing(self):
        self.me.modify(create("a"))
        answer = self.refused(self.me.modify(create("b"), create("a"), create("c")), 400, "ATOMIC_ERROR")
        self.assertEqual(self.codes(answer), ["ATOMIC_ERROR", "EXISTS", "ATOMIC_ERROR"])
        self.assertEqual([one.get("serverErrorCode") for one in self.me.lookup("a", "b", "c")], [None, "NOT_FOUND", "NOT_FOUND"])
        answer = self.me.modify(create("b"), create("a"), create("c"), atomic=False)
        self.assertEqual(self.codes(answer), [None, "EXISTS", None])
        self.refused(self.me.modify(create("x"), create("x")), 400, "BAD_REQUEST")

    def test_deletion(self):
        tag = self.me.modify(create("a")).json["records"][0]["recordChangeTag"]
        self.assertEqual(self.codes(self.me.modify(create("a", "delete", "other"), atomic=False)), ["CONFLICT"])
        self.assertEqual(self.me.modify(create("a", "delete", tag)).json["records"], [{"recordName": "a", "deleted": True}])
        self.assertEqual(self.codes(self.me.modify(create("a", "delete"), atomic=False)), ["NOT_FOUND"])
        self.assertEqual(self.codes(self.me.modify(create("a", "forceDelete"))), [None])
        self.assertEqual(self.codes(self.me.modify(create("a"))), [None])

    def test_limits(self):
        self.refused(self.me.modify(*(create(str(number)) for number in range(201))), 400, "BAD_REQUEST")
        self.assertEqual(self.codes(self.me.modify(create("a", text="x" * 1_000_001), atomic=False)), ["BAD_REQUEST"])
        for name in ("_a", "x" * 256, "ü"):
            self.assertEqual(self.codes(self.me.modify(create(name), atomic=False)), ["BAD_REQUEST"])
        self.me.control("settings", {"quotaBytes": 500})
        self.assertEqual(self.codes(self.me.modify(create("a", text="x" * 600), atomic=False)), ["QUOTA_EXCEEDED"])

    def test_changes_of_a_zone(self):
        self.me.modify(*(create(f"{number:03}") for number in range(150)))
        self.me.modify(*(create(f"{number:03}") for number in range(150, 250)))
        self.me.modify(create("000", "delete"))
        found, token = [], None
        while True:
            page = self.me.op("records/changes", {"zoneID": ZONE} | ({"syncToken": token} if token else {})).json
            found += page["records"]
            token = page["syncToken"]
            if not page["moreComing"]:
                break
        self.assertEqual(len(found), 250)
        self.assertEqual([one["recordName"] for one in found if one["deleted"]], ["000"])
        self.me.modify(create("new"))
        page = self.me.op("changes/zone", {"zones": [{"zoneID": ZONE, "syncToken": token}, {"zoneID": {"zoneName": "none"}}]}).json
        self.assertEqual([one["recordName"] for one in page["zones"][0]["records"]], ["new"])
        self.assertEqual(page["zones"][1]["serverErrorCode"], "ZONE_NOT_FOUND")
        self.refused(self.me.op("records/changes", {}), 400, "BAD_REQUEST")
        self.refused(self.me.op("records/changes", {"zoneID": ZONE, "syncToken": "sync-9999"}), 400, "BAD_REQUEST")

    def test_queries_need_an_index_and_are_late(self):
        self.me.modify(*(create(name, n=number) for number, name in enumerate("abcde")))
        query = {"zoneID": ZONE, "query": {"recordType": "Object"}}
        self.refused(self.me.op("records/query", query), 400, "BAD_REQUEST")
        self.me.control("settings", {"queryable": ["recordName", "n"], "lagSeconds": 30})
        self.assertEqual(self.me.op("records/query", query).json["records"], [])
        self.me.control("clock", {"advance": 31})
        query["query"] |= {
            "filterBy": [{"fieldName": "n", "comparator": "GREATER_THAN", "fieldValue": {"value": 0}}],
            "sortBy": [{"fieldName": "n", "ascending": False}]}
        page = self.me.op("records/query", query | {"resultsLimit": 3}).json
        self.assertEqual([one["recordName"] for one in page["records"]], ["e", "d", "c"])
        page = self.me.op("records/query", query | {"continuationMarker": page["continuationMarker"]}).json
        self.assertEqual(([one["recordName"] for one in page["records"]], page.get("continuationMarker")), (["b"], None))

    def test_zones(self):
        zones = [zone["zoneID"]["zoneName"] for zone in self.me.op("zones/list").json["zones"]]
        self.assertEqual(zones, ["_defaultZone", "coffer"])
        self.refused(self.me.op("records/modify", {"zoneID": {"zoneName": "none"}, "operations": [create("a")]}), 404, "ZONE_NOT_FOUND")
        self.me.modify(create("a"))
        self.me.op("zones/modify", {"operations": [{"operationType": "delete", "zone": {"zoneID": ZONE}}]})
        self.me.make_zone()
        self.assertEqual(self.me.lookup("a")[0]["serverErrorCode"], "NOT_FOUND")


class Assets(EmulatorTest):
    def test_there_and_back(self):
        content = bytes(range(256)) * 4000
        asset = self.me.upload("a", content)
        self.assertEqual(asset["size"], len(content))
        self.assertEqual(self.codes(self.me.modify(create("a", content=asset))), [None])
        url = self.me.lookup("a")[0]["fields"]["content"]["value"]["downloadURL"]
        self.assertIn("${f}", url)
        self.assertEqual(self.me.fetch(url).body, content)
        part = self.me.fetch(url, Range="bytes=10-19")
        self.assertEqual((part.status, part.body, part.headers["Content-Range"]), (206, content[10:20], f"bytes 10-19/{len(content)}"))
        self.assertEqual(self.me.fetch(url, Range=f"bytes={len(content)}-").status, 416)
        self.me.control("clock", {"advance": 3601})
        self.assertEqual(self.me.fetch(url).status, 410)

    def test_the_other_host_takes_no_tokens_and_no_other_name(self):
        wanted = {"zoneID": ZONE, "tokens": [{"recordName": "a", "recordType": "Object", "fieldName": "content"}]}
        url = self.me.op("assets/upload", wanted).json["tokens"][0]["url"]
        host, _, path = url.removeprefix("http://").partition("/")
        self.assertNotEqual(f"http://{host}", self.me.address)
        assets = Plain(f"http://{host}")
        self.assertEqual(assets.call("POST", f"/{path}?ckWebAuthToken=x", b"1").status, 421)
        self.assertEqual(assets.call("POST", f"/{path}", b"1", {"Host": self.me.address.removeprefix("http://")}).status, 421)
        self.assertEqual(self.me.call("POST", f"/{path}", b"1").status, 401)
        self.assertEqual(assets.call("POST", f"/{path}", b"1").status, 200)

    def test_sizes_and_ends(self):
        self.me.control("settings", {"assetBytesMax": 1000, "quotaBytes": 1500})
        wanted = {"zoneID": ZONE, "tokens": [{"recordName": "a", "recordType": "Object", "fieldName": "content"}]}
        url = self.me.op("assets/upload", wanted).json["tokens"][0]["url"]
        self.assertEqual(self.me.send(url, bytes(1001)).status, 413)
        self.me.control("clock", {"advance": 901})
        self.assertEqual(self.me.send(url, bytes(10)).status, 410)
        self.me.modify(create("b", content=self.me.upload("b", bytes(1000))))
        answer = self.me.modify(create("c", content=self.me.upload("c", bytes(1000))), atomic=False)
        self.assertEqual(self.codes(answer), ["QUOTA_EXCEEDED"])

    def test_a_receipt_is_for_one_field_of_one_record(self):
        asset = self.me.upload("a", b"x")
        self.assertEqual(self.codes(self.me.modify(create("b", content=asset), atomic=False)), ["BAD_REQUEST"])
        self.assertEqual(self.codes(self.me.modify(create("a", other=asset), atomic=False)), ["BAD_REQUEST"])
        self.assertEqual(self.codes(self.me.modify(create("a", content=asset | {"receipt": "no"}), atomic=False)), ["BAD_REQUEST"])
        self.assertEqual(self.codes(self.me.modify(create("a", content={"fileChecksum": "no", "size": 1}), atomic=False)), ["BAD_REQUEST"])
        self.assertEqual(self.codes(self.me.modify(create("a", content=asset))), [None])
        kept = self.me.lookup("a")[0]
        again = create("a", "update", kept["recordChangeTag"], content=kept["fields"]["content"]["value"], n=1)
        self.assertEqual(self.codes(self.me.modify(again)), [None])


class Faults(EmulatorTest):
    def test_throttled_with_a_time_to_wait(self):
        for status, seconds in [(429, 7), (503, 2)]:
            self.me.control("faults", {"operation": "records.*", "status": status, "retryAfter": seconds})
        self.assertEqual(self.refused(self.me.modify(create("a")), 429, "THROTTLED").json["retryAfter"], 7)
        self.refused(self.me.modify(create("a")), 503, "TRY_AGAIN_LATER")
        self.assertEqual(self.codes(self.me.modify(create("a"))), [None])

    def test_an_error_after_all_was_done_brings_the_next_token(self):
        self.me.control("faults", {"operation": "records.modify", "status": 500, "phase": "after"})
        self.refused(self.me.modify(create("a")), 500, "INTERNAL_ERROR")
        self.assertEqual(self.codes(self.me.modify(create("a"), atomic=False)), ["EXISTS"])

    def test_a_request_that_is_cut_does_nothing_and_takes_no_token(self):
        self.me.control("faults", {"operation": "records.modify", "cutRequest": 20})
        with self.assertRaises(OSError):
            self.me.modify(create("a"))
        self.assertEqual(self.codes(self.me.modify(create("a"))), [None])

    def test_on_the_host_of_assets(self):
        self.me.control("faults", [{"operation": "assets.data", "status": 503}, {"operation": "assets.download", "cut": 2}])
        with self.assertRaises(ValueError):
            self.me.upload("a", b"hello")
        self.me.modify(create("a", content=self.me.upload("a", b"hello")))
        url = self.me.lookup("a")[0]["fields"]["content"]["value"]["downloadURL"]
        with self.assertRaises(http.client.IncompleteRead):
            self.me.fetch(url)
        self.assertEqual(self.me.fetch(url).body, b"hello")
        asset, = [one for one in self.me.control("records") if one["recordName"] == "a"]
        self.me.control("corrupt", {"fileChecksum": asset["fields"]["content"]["fileChecksum"]})
        self.assertNotEqual(self.me.fetch(url).body, b"hello")
        self.assertNotIn(self.me.web_token, str(self.me.control("requests")))


if __name__ == "__main__":
    unittest.main()
