"""Faults on demand, and everything else that tests steer."""

import http.client
import threading
import unittest

from .client import Client, EmulatorTest

PIECE = 262_144


class Faults(EmulatorTest):
    def fault(self, **values):
        self.me.control("faults", values)

    def test_a_burst_before_anything_is_done(self):
        self.fault(operation="drive.files.create", status=403, reason="userRateLimitExceeded", times=2, headers={"Retry-After": "7"})
        for _ in range(2):
            answer = self.refused(self.me.multipart({"name": "a"}, b"x"), 403, "userRateLimitExceeded")
            self.assertEqual(answer.json["error"]["errors"][0]["domain"], "usageLimits")
            self.assertEqual(answer.headers["Retry-After"], "7")
        self.assertEqual(self.me.names(), [])
        self.assertEqual(self.me.multipart({"name": "a"}, b"x").status, 200)
        self.assertEqual(self.me.control("faults")["hits"], 2)

    def test_usual_reasons(self):
        for status, reason in [(401, "authError"), (429, "rateLimitExceeded"), (500, "internalError"), (503, "backendError")]:
            self.fault(status=status)
            self.refused(self.me.list(), status, reason)

    def test_an_error_after_all_was_done(self):
        self.fault(operation="drive.files.create", status=503, phase="after")
        self.refused(self.me.multipart({"name": "a"}, b"x"), 503, "backendError")
        self.assertEqual(self.me.names(), ["a"])

    def test_a_lost_answer_and_a_closed_line(self):
        for kind, names in (("closed", []), ("lost", ["a"])):
            self.fault(operation="drive.files.create", **{kind: True})
            with self.assertRaises((http.client.RemoteDisconnected, ConnectionError)):
                self.me.multipart({"name": "a"}, b"x")
            self.assertEqual(self.me.names(), names)

    def test_an_answer_that_is_cut_and_one_that_is_wrong(self):
        file = self.me.make("a", b"0123456789")
        self.fault(operation="drive.files.download", cut=4)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.me.call("GET", f"/drive/v3/files/{file}?alt=media")
        self.assertEqual(caught.exception.partial, b"0123")
        self.fault(operation="drive.files.download", corrupt=True)
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}?alt=media").body, b"0123456789".replace(b"5", b"4"))

    def test_a_piece_that_is_cut_on_its_way(self):
        session = self.me.begin({"name": "a"}, 4 * PIECE).headers["Location"]
        self.fault(operation="upload.chunk", cutRequest=PIECE + 9)
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionError)):
            self.me.chunk(session, bytes(4 * PIECE), 0, 4 * PIECE)
        self.assertEqual(self.me.asks(session, 4 * PIECE).headers["Range"], f"bytes=0-{PIECE - 1}")

    def test_an_error_in_the_middle_of_a_session(self):
        session = self.me.begin({"name": "a"}, 2 * PIECE).headers["Location"]
        self.fault(operation="upload.chunk", status=401, skip=1)
        self.assertEqual(self.me.chunk(session, bytes(PIECE), 0, 2 * PIECE).status, 308)
        self.refused(self.me.chunk(session, bytes(PIECE), PIECE, 2 * PIECE), 401, "authError")
        self.assertEqual(self.me.chunk(session, bytes(PIECE), PIECE, 2 * PIECE).status, 200)

    def test_a_piece_that_was_stored_and_not_acknowledged(self):
        session = self.me.begin({"name": "a"}, 2 * PIECE).headers["Location"]
        self.fault(operation="upload.chunk", status=500, phase="after", times=2)
        self.me.chunk(session, bytes(PIECE), 0, 2 * PIECE)
        self.assertEqual(self.me.asks(session).headers["Range"], f"bytes=0-{PIECE - 1}")
        self.refused(self.me.chunk(session, bytes(PIECE), PIECE, 2 * PIECE), 500, "internalError")
        self.assertEqual(self.me.asks(session, 2 * PIECE).json["name"], "a")

    def test_a_stall_lasts_as_long_as_the_clock_says(self):
        self.me.control("clock", {"frozen": True})
        self.fault(operation="drive.files.list", stall=120)
        found = []
        waiting = threading.Thread(target=lambda: found.append(self.me.list().status))
        waiting.start()
        while not self.me.control("faults")["hits"]:
            pass
        self.assertEqual(found, [])
        while waiting.is_alive():  # the stall may begin after the first step of the clock
            self.me.control("clock", {"advance": 121})
            waiting.join(0.01)
        self.assertEqual(found, [200])

    def test_what_is_made_twice(self):
        self.fault(operation="drive.files.create", duplicate=True)
        self.me.make("a", b"x")
        self.assertEqual(self.me.names(), ["a", "a"])
        self.me.control("duplicate", {"name": "a", "text": "other"})
        sizes = [file["size"] for file in self.me.call("GET", "/drive/v3/files?fields=files(size)").json["files"]]
        self.assertEqual(sorted(sizes), ["1", "1", "5", "5"])

    def test_dice_are_the_same_each_time(self):
        self.fault(operation="drive.files.list", status=500, probability=0.5, seed=3, times=None)
        first = [self.me.list().status for _ in range(20)]
        self.me.control("faults", method="DELETE")
        self.fault(operation="drive.files.list", status=500, probability=0.5, seed=3, times=None)
        self.assertEqual([self.me.list().status for _ in range(20)], first)
        self.assertEqual(set(first), {200, 500})

    def test_at_the_sign_in(self):
        self.fault(operation="oauth.token", status=503)
        answer = self.me.form("/token", grant_type="refresh_token")
        self.assertEqual((answer.status, answer.json["error"]), (503, "internal_failure"))

    def test_a_rule_that_is_not_understood_is_refused(self):
        self.assertIn("error", self.me.control("faults", {"operation": "drive.files.list", "stat": 500}))
        self.assertIn("error", self.me.control("settings", {"quota": 1}))
        self.assertIn("error", self.me.control("nothing"))


class Steering(EmulatorTest):
    def test_requests_are_counted_and_tokens_are_not_written_down(self):
        file = self.me.make("a", b"x")
        self.me.call("GET", f"/drive/v3/files/{file}?alt=media", headers={"Range": "bytes=0-0"})
        seen = self.me.control("requests")
        self.assertEqual([(one["operation"], one["status"]) for one in seen], [("drive.files.create", 200), ("drive.files.download", 206)])
        self.assertNotIn(self.me.token, str(seen))
        self.me.control("requests", method="DELETE")
        self.assertEqual(self.me.control("requests"), [])

    def test_a_file_of_another_client_and_one_that_goes_bad(self):
        folder = self.me.folder("f")
        self.me.control("files", {"name": "theirs", "parents": [folder], "text": "hi", "project": "111111111111"})
        file, = [one for one in self.me.control("files") if one["name"] == "theirs"]
        self.me.control("file", {"id": file["id"], "corrupt": True})
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file['id']}?alt=media").body, b"hh")
        self.me.control("file", {"id": file["id"], "delete": True})
        self.assertEqual(self.me.names(), ["f"])

    def test_a_long_question_comes_as_a_form(self):
        self.me.make("a")
        answer = Client(self.server.address, self.me.token).call(
            "POST", "/drive/v3/files", b"q=name+%3D+%27a%27&fields=files(name)",
            {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(answer.json, {"files": [{"name": "a"}]})

    def test_bodies_in_chunks(self):
        connection = http.client.HTTPConnection(self.server.address.split("//")[1])
        self.addCleanup(connection.close)
        connection.request(
            "POST", "/upload/drive/v3/files?uploadType=media&fields=size", iter([b"ab", b"c"]),
            {"Authorization": f"Bearer {self.me.token}"}, encode_chunked=True)
        self.assertIn(b'"3"', connection.getresponse().read())


if __name__ == "__main__":
    unittest.main()
