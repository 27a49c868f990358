"""Bytes on their way: pieces, breaks, questions, and what a session's address is worth."""

import hashlib
import http.client
import socket
import struct
import unittest
import urllib.parse

from .client import Client, EmulatorTest

PIECE = 262_144


class Resumable(EmulatorTest):
    def session(self, size=None, **metadata):
        return self.me.begin({"name": "a"} | metadata, size, {"fields": "id,size,sha256Checksum"}).headers["Location"]

    def test_pieces_by_put_and_by_post(self):
        content = bytes(range(256)) * 3000
        for method in ("PUT", "POST"):
            session = self.session(len(content))
            answer = self.me.chunk(session, content[:PIECE], 0, len(content), method)
            self.assertEqual((answer.status, answer.headers["Range"]), (308, f"bytes=0-{PIECE - 1}"))
            answer = self.me.chunk(session, content[PIECE:], PIECE, len(content), method)
            self.assertEqual((answer.status, answer.json["sha256Checksum"]), (200, hashlib.sha256(content).hexdigest()))
            self.assertEqual(self.me.asks(session, len(content)).json, answer.json)
        self.assertEqual(self.me.names(), ["a", "a"])

    def test_a_piece_that_is_not_a_multiple_is_refused_but_for_the_last(self):
        session = self.session()
        self.refused(self.me.chunk(session, bytes(PIECE + 1), 0, 2 * PIECE), 400, "badRequest")
        self.assertEqual(self.me.asks(session).status, 308)
        self.assertNotIn("Range", self.me.asks(session).headers)
        self.assertEqual(self.me.chunk(session, bytes(7), 0, 7).json["size"], "7")

    def test_a_length_that_is_known_at_the_end_only(self):
        session = self.session()
        self.assertEqual(self.me.chunk(session, bytes(PIECE), 0).status, 308)
        self.assertEqual(self.me.asks(session, PIECE).json["size"], str(PIECE))

    def test_all_at_once_and_nothing_at_all(self):
        self.assertEqual(self.me.chunk(self.session(), b"hello").json["size"], "5")
        self.assertEqual(self.me.chunk(self.session(), b"").json["size"], "0")
        self.assertEqual(self.me.chunk(self.session(0), b"").json["size"], "0")

    def test_a_gap_is_refused_and_what_comes_twice_counts_once(self):
        content = bytes(range(256)) * 3072
        session = self.session(len(content))
        self.assertEqual(self.me.chunk(session, content[PIECE:2 * PIECE], PIECE, len(content)).status, 503)
        self.me.chunk(session, content[:2 * PIECE], 0, len(content))
        answer = self.me.chunk(session, content[PIECE:], PIECE, len(content))
        self.assertEqual(answer.json["sha256Checksum"], hashlib.sha256(content).hexdigest())

    def test_what_a_broken_line_brought_is_kept_in_whole_pieces(self):
        session = self.session(10 * PIECE)
        host = urllib.parse.urlsplit(self.server.address).netloc
        line = http.client.HTTPConnection(host)
        line.putrequest("PUT", session.removeprefix(self.server.address))
        line.putheader("Content-Length", str(10 * PIECE))
        line.putheader("Content-Range", f"bytes 0-{10 * PIECE - 1}/{10 * PIECE}")
        line.endheaders(bytes(3 * PIECE + 5))
        line.close()
        for _ in range(2000):
            answer = self.me.asks(session, 10 * PIECE)
            if "Range" in answer.headers:
                break
        self.assertEqual(answer.headers["Range"], f"bytes=0-{3 * PIECE - 1}")
        self.assertEqual(self.me.chunk(session, bytes(7 * PIECE), 3 * PIECE, 10 * PIECE).json["size"], str(10 * PIECE))

    def test_a_line_that_is_reset_leaves_whole_pieces_too(self):
        session = self.session(10 * PIECE)
        line = http.client.HTTPConnection(urllib.parse.urlsplit(self.server.address).netloc)
        line.putrequest("PUT", session.removeprefix(self.server.address))
        line.putheader("Content-Length", str(10 * PIECE))
        line.putheader("Content-Range", f"bytes 0-{10 * PIECE - 1}/{10 * PIECE}")
        line.endheaders(bytes(3 * PIECE))
        line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
        while "upload.chunk" not in [one["operation"] for one in self.me.control("requests")]:
            pass
        # A reset may overtake what was sent before it.
        found = self.me.asks(session, 10 * PIECE).headers.get("Range", "bytes=0--1")
        self.assertEqual((int(found.split("-", 1)[1]) + 1) % PIECE, 0)

    def test_a_line_that_breaks_before_the_end_makes_no_file(self):
        line = http.client.HTTPConnection(urllib.parse.urlsplit(self.server.address).netloc)
        line.putrequest("POST", "/upload/drive/v3/files?uploadType=media")
        line.putheader("Authorization", f"Bearer {self.me.token}")
        line.putheader("Content-Length", "100")
        line.endheaders(b"half")
        line.close()
        self.assertEqual(self.me.names(), [])

    def test_other_sizes_than_announced(self):
        session = self.session(10)
        self.refused(self.me.chunk(session, bytes(11), 0, 11), 400, "badRequest")
        self.refused(self.me.chunk(session, bytes(3), 0, 9), 400, "badRequest")
        self.refused(self.me.call("PUT", session, b"abc", {"Content-Range": "bytes 0-9/10"}), 400, "badRequest")
        self.refused(self.me.call("PUT", session, b"abc", {"Content-Range": "bits 0-2/3"}), 400, "badRequest")

    def test_a_session_ends_after_a_week_and_when_it_is_given_up(self):
        session = self.session()
        self.me.control("clock", {"advance": 7 * 86400 + 1})
        self.refused(self.me.asks(session), 404, "notFound")
        self.me = self.signed_in()
        session = self.session()
        self.assertEqual(self.me.call("DELETE", session).status, 499)
        self.refused(self.me.asks(session), 404, "notFound")

    def test_a_session_needs_no_sign_in_but_none_that_is_over(self):
        session = self.session(2 * PIECE)
        self.me.control("oauth", {"expireAccessTokens": True})
        over = {"Authorization": f"Bearer {self.me.token}"}
        self.refused(self.me.chunk(session, bytes(PIECE), 0, 2 * PIECE, headers=over), 401, "authError")
        self.assertEqual(Client(self.server.address).chunk(session, bytes(PIECE), 0, 2 * PIECE).status, 308)

    def test_an_identifier_that_was_taken_meanwhile(self):
        identifier = self.me.new_id()
        session = self.session(id=identifier)
        self.me.make("b", id=identifier)
        self.refused(self.me.chunk(session, b"x"), 409, "fileIdInUse")

    def test_a_file_is_replaced(self):
        file = self.me.make("a", b"old")
        session = self.me.call("PATCH", f"/upload/drive/v3/files/{file}?uploadType=resumable", {}).headers["Location"]
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}?alt=media").body, b"old")
        self.assertEqual(self.me.chunk(session, b"newer").json["id"], file)
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}?alt=media").body, b"newer")

    def test_clients_that_cannot_read_308(self):
        answer = self.me.chunk(self.session(), bytes(PIECE), 0, headers={"X-GUploader-No-308": "yes"})
        self.assertEqual((answer.status, answer.headers["X-HTTP-Status-Code-Override"]), (200, "308"))


class AtOnce(EmulatorTest):
    def test_media(self):
        answer = self.me.call(
            "POST", "/upload/drive/v3/files?uploadType=media&fields=name,mimeType,size", b"hi", {"Content-Type": "text/plain"})
        self.assertEqual(answer.json, {"name": "Untitled", "mimeType": "text/plain", "size": "2"})

    def test_bytes_that_look_like_a_boundary(self):
        content = b"\r\n--c\r\n\r\n--bee\r"
        file = self.me.make("a", content)
        self.assertEqual(self.me.call("GET", f"/drive/v3/files/{file}?alt=media").body, content)

    def test_a_body_without_its_end_and_a_kind_that_is_not_known(self):
        answer = self.me.call(
            "POST", "/upload/drive/v3/files?uploadType=multipart", b"--b\r\n\r\n{}",
            {"Content-Type": "multipart/related; boundary=b"})
        self.refused(answer, 400, "badRequest")
        self.refused(self.me.call("POST", "/upload/drive/v3/files", b"x"), 400, "badRequest")

    def test_what_is_too_large(self):
        self.me.control("settings", {"simpleBytesMax": 1000})
        self.refused(self.me.multipart({"name": "a"}, bytes(1001)), 413, "uploadTooLarge")


if __name__ == "__main__":
    unittest.main()
