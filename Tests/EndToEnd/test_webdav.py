"""A whole backup in a folder of real WebDAV servers, over a line that fails; sign-in; and a server with a certificate of its own."""

import datetime
import http.server
import ipaddress
import json
import pathlib
import random
import stat
import sys
import threading
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Clouds"))

import webdav_servers
from fault_proxy import FaultProxy
from session import Session

USER, PASSWORD = webdav_servers.USER, webdav_servers.PASSWORD


class WebDAV(Session):
    credentials = {"COFFER_WEBDAV_USER": USER, "COFFER_WEBDAV_PASSWORD": PASSWORD}

    def environment(self, device="phone"):
        environment = {
            name: value for name, value in super().environment(device).items() if not name.startswith("COFFER_WEBDAV")}
        return environment | self.credentials

    def serve(self, *names, **options):
        """The first of these servers that this machine has; its URL and its files."""
        for name in names:
            folder = self.folder / name
            url, reason, _, stop = webdav_servers.SERVERS[name](folder, **options)
            if url:
                self.addCleanup(stop)
                return url, folder / "data"
        self.skipTest(reason)

    def test_backup_restore_verify_prune_over_a_bad_line(self):
        url, data = self.serve("apache", "wsgidav")
        line = FaultProxy(url)
        self.addCleanup(line.stop)
        store = f"webdav:{line.address}/clouds/phone"
        source = self.make_notes()
        (source / "film.mp4").write_bytes(random.Random(1).randbytes(20_000_000))
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        self.coffer("backup")
        (source / "note 1.txt").write_text("another\n")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.coffer("restore", "--from", store + "/", "--key-file", "digits", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")
        # The files are those of a folder store: any copy of them is a store.
        self.coffer(
            "restore", "--from", data / "clouds/phone", "--key-file", "digits", "Copied", device="new-phone")
        self.compare(source, self.folder / "Copied")
        self.coffer("prune", "--keep-last", "1", "--grace", "0")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        self.assertGreater(line.fault_count, 10)
        for method, path, headers in line.seen:
            self.assertNotIn("transfer-encoding", {name.lower() for name in headers})
            if method == "PUT":
                self.assertRegex(path, r"^/clouds/phone/staging/[0-9a-f]{32}$")
        self.coffer("disable", "--delete-store", "--yes")
        self.assertEqual([path for path in data.rglob("*") if path.is_file() and ".DAV" not in path.parts], [])

    def test_the_password_is_kept_by_login_and_nowhere_else(self):
        secret = "correct horse battery staple, 1°"
        webdav_servers.PASSWORD, before = secret, webdav_servers.PASSWORD
        self.addCleanup(setattr, webdav_servers, "PASSWORD", before)
        url, data = self.serve("wsgidav")
        place = f"webdav:{url}files/"
        self.credentials = {}
        source = self.make_notes()
        said = self.error("enable", source, "--to", place + "phone", "--key-file", "digits", expect=37)
        self.assertIn("coffer store login", said["advice"])
        said = self.error(
            "store", "login", place, "--credentials-file", self.secret_file("wrong", f"{USER}\nwrong\n"), expect=37)
        self.assertIn("app password", said["advice"])
        self.assertEqual(self.coffer_json("store", "list"), [])
        self.coffer("store", "login", place, "--credentials-file", self.secret_file("right", f"{USER}\n{secret}\n"))
        self.assertEqual(
            self.coffer_json("store", "list"), [{"store": place.rstrip("/"), "name": USER, "keptIn": "file"}])
        # It holds for what lies below, and for nothing beside it.
        self.error("enable", source, "--to", f"webdav:{url}filesystem", "--key-file", "digits", expect=37)
        self.coffer("enable", source, "--to", place + "phone", "--key-file", "digits")
        self.coffer("backup")
        state = self.folder / "homes/phone/state/coffer"
        holders = [path for path in self.files_below(state) if secret.encode() in path.read_bytes()]
        self.assertEqual([path.name[:13] for path in holders], ["store-secret-"])
        self.assertEqual(stat.S_IMODE(holders[0].stat().st_mode), 0o600)
        self.assertNotIn(secret, json.dumps(self.printed, ensure_ascii=False))
        for path in self.files_below(data):
            self.assertNotIn(secret.encode(), path.read_bytes())
        self.coffer("store", "logout", place)
        self.assertFalse(holders[0].exists())
        self.error("backup", expect=37)
        self.error("store", "login", "webdav:https://u:p@host/x", expect=27)
        for address in ["webdav:http://nas.example.org/x", "webdav:https://h/a//b", "webdav:https://h/x?y", "webdav:x"]:
            self.error("enable", source, "--to", address, "--key-file", "other", device="tablet", expect=27)

    def test_hashes_instead_of_the_password(self):
        for name in ["apache-digest", "wsgidav-digest"]:
            url, reason, _, stop = webdav_servers.SERVERS[name](self.folder / name)
            with self.subTest(name):
                if not url:
                    self.skipTest(reason)
                self.addCleanup(stop)
                self.coffer("store", "test", f"webdav:{url}nas", "--quick")
                self.credentials = self.credentials | {"COFFER_WEBDAV_PASSWORD": "wrong"}
                self.error("restore", "--from", f"webdav:{url}nas", "--key-file", "digits", "Restored", expect=37)
                self.credentials = type(self).credentials

    def test_a_server_with_a_certificate_of_its_own(self):
        self.make_certificate()
        url, _ = self.serve("wsgidav", certificate=(self.folder / "cert.pem", self.folder / "key.pem"))
        source, store = self.make_notes(), f"webdav:{url}nas"
        said = self.error("enable", source, "--to", store, "--key-file", "digits", expect=25)
        self.assertIn("certificate is not trusted", said["message"])
        self.credentials = self.credentials | {"SSL_CERT_FILE": str(self.folder / "key.pem")}
        said = self.error("enable", source, "--to", store, "--key-file", "digits", expect=25)
        self.assertIn("SSL_CERT_FILE", said["message"])
        self.credentials = self.credentials | {"SSL_CERT_FILE": str(self.folder / "cert.pem")}
        self.coffer("enable", source, "--to", store, "--key-file", "digits")
        self.coffer("backup")
        self.assertIn("all sound", self.coffer("verify", "--deep"))
        # It is trusted, and belongs to somebody else.
        self.make_certificate("127.0.0.2")
        other, _ = self.serve("wsgidav", certificate=(self.folder / "cert.pem", self.folder / "key.pem"))
        said = self.error("restore", "--from", f"webdav:{other}nas", "--key-file", "digits", "Restored", expect=25)
        self.assertIn("certificate is not trusted", said["message"])

    def test_a_sign_in_goes_before_the_environment_which_may_name_a_place(self):
        url, _ = self.serve("wsgidav")
        place = f"webdav:{url}files"
        source = self.make_notes()
        self.credentials = {"COFFER_WEBDAV_USER": USER, "COFFER_WEBDAV_PASSWORD": "another server's"}
        self.coffer("store", "login", place, "--credentials-file", self.secret_file("right", f"{USER}\n{PASSWORD}\n"))
        self.coffer("enable", source, "--to", place + "/phone", "--key-file", "digits")
        # Where nothing is kept the environment's holds, wherever it is sent; unless it is said where it belongs.
        elsewhere = ["restore", "--from", f"webdav:{url}others", "--key-file", "digits", "Restored"]
        self.assertIn("does not accept", self.error(*elsewhere, expect=37)["message"])
        self.credentials["COFFER_WEBDAV_URL"] = "https://nas.example.org/others"
        self.assertIn("has no password", self.error(*elsewhere, expect=37)["message"])
        self.credentials["COFFER_WEBDAV_URL"] = "nas.example.org"
        self.assertIn("COFFER_WEBDAV_URL", self.error(*elsewhere, expect=27)["message"])
        self.credentials |= {"COFFER_WEBDAV_URL": f"{url}others/", "COFFER_WEBDAV_PASSWORD": PASSWORD}
        self.error(*elsewhere, expect=20)
        self.coffer("backup")

    def test_a_server_that_knows_nothing_of_webdav(self):
        class Nothing(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(404)
                self.send_header("content-length", "19")
                self.end_headers()
                self.wfile.write(b"404 page not found\n")

            do_PROPFIND = do_GET = do_PUT = do_MKCOL = do_DELETE = answer

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        place = f"webdav:http://127.0.0.1:{server.server_port}/files/alice"
        said = self.error(
            "store", "login", place, "--credentials-file", self.secret_file("s", f"{USER}\n{PASSWORD}\n"), expect=25)
        self.assertIn("of every folder of this address", said["message"])
        self.assertEqual(self.coffer_json("store", "list"), [])
        self.error("restore", "--from", place, "--key-file", "digits", "Restored", expect=25)
        said = self.error("enable", self.make_notes(), "--to", place, "--key-file", "digits", expect=25)
        self.assertNotIn("verify", said["advice"])

    def test_trying_an_address_that_is_mistyped_leaves_nothing(self):
        url, data = self.serve("apache", "wsgidav")
        self.coffer("store", "test", f"webdav:{url}files/alcie/chats", "--quick")
        self.assertEqual([path for path in data.rglob("*") if ".DAV" not in path.parts], [])

    def make_certificate(self, address="127.0.0.1"):
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nas")])
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
            .sign(private, hashes.SHA256()))
        pem = serialization.Encoding.PEM
        (self.folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
        secret = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.secret_file("key.pem", secret.decode())


if __name__ == "__main__":
    unittest.main()
