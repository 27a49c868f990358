"""TLS by the vault itself, seen by Python's own ssl."""

import datetime
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleet import FleetSession


class TLS(FleetSession):
    vault_count = 1
    options = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--log-format", "json"]

    def setUp(self):
        self.is_encrypted = False
        super().setUp()
        self.stop("one")
        self.make_certificate("first")
        self.is_encrypted = True
        self.start("one")

    def serve_options(self, name):
        return self.options if self.is_encrypted else []

    def make_certificate(self, name, cert="cert.pem", key="key.pem"):
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(private, hashes.SHA256()))
        pem = serialization.Encoding.PEM
        (self.folder / cert).write_bytes(certificate.public_bytes(pem))
        secret = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.secret_file(key, "")
        (self.folder / key).write_bytes(secret)

    def context(self, cert="cert.pem"):
        context = ssl.create_default_context(cafile=str(self.folder / cert))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    def connect(self, context):
        plain = socket.create_connection(("127.0.0.1", self.ports["one"]), timeout=20)
        self.addCleanup(plain.close)
        encrypted = context.wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(encrypted.close)
        return encrypted

    def shown(self, context):
        return dict(pair[0] for pair in self.connect(context).getpeercert()["subject"])["commonName"]

    def get(self, path, context=None):
        connection = http.client.HTTPSConnection(
            "localhost", self.ports["one"], context=context or self.context(), timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def test_tls_1_3_and_nothing_older(self):
        self.assertEqual(self.get("/health"), (200, b"ok\n"))
        status, key = self.get("/v1/key")
        self.assertEqual((status, len(key) > 1000), (200, True))
        self.assertEqual(self.connect(self.context()).version(), "TLSv1.3")
        old = self.context()
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises(ssl.SSLError):
            self.connect(old)
        # Plain HTTP at this port is no conversation.
        plain = socket.create_connection(("127.0.0.1", self.ports["one"]), timeout=20)
        self.addCleanup(plain.close)
        plain.sendall(b"GET /v1/key HTTP/1.1\r\nhost: vault\r\n\r\n")
        try:
            self.assertNotIn(b"HTTP/1.1 200", plain.recv(4096))
        except ConnectionError:
            pass

    def test_a_new_certificate_is_read_on_sighup_and_a_bad_one_changes_nothing(self):
        first = self.context()
        self.assertEqual(self.shown(first), "first")
        open_before = self.connect(first)
        self.make_certificate("second")
        self.reread("certificate_read")
        self.assertEqual(self.shown(self.context()), "second")
        open_before.sendall(b"GET /health HTTP/1.1\r\nhost: vault\r\n\r\n")
        self.assertIn(b"200 OK", open_before.recv(4096))

        second = self.context()
        good_key = (self.folder / "key.pem").read_bytes()
        for name, text in (("cert.pem", "nothing"), ("key.pem", "nothing")):
            before = (self.folder / name).read_bytes()
            (self.folder / name).write_text(text)
            self.reread("certificate_kept")
            (self.folder / name).write_bytes(before)
        self.make_certificate("other", cert="other.pem", key="key.pem")
        self.reread("certificate_kept")
        (self.folder / "key.pem").write_bytes(good_key)
        os.chmod(self.folder / "key.pem", 0o640)
        self.reread("certificate_kept")
        self.assertEqual(self.shown(second), "second")

    def reread(self, event):
        """Tells the vault, and waits until it says what it did."""
        before = self.count(event)
        self.processes["one"].send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while self.count(event) == before and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.count(event), before + 1)

    def count(self, event):
        return sum(json.loads(line)["event"] == event for line in self.logs().split("\n") if line.startswith("{"))

    def test_what_cannot_be_a_certificate_is_told_before_the_vault_serves(self):
        self.stop("one")
        serve = ["serve", "one", "--listen", "127.0.0.1:0"]
        self.vault(*serve, "--tls-cert", "cert.pem", expect=64)
        os.chmod(self.folder / "key.pem", 0o644)
        self.assertIn("chmod 600", self.vault(*serve, *self.options, expect=77))
        os.chmod(self.folder / "key.pem", 0o600)
        self.make_certificate("other", cert="other.pem")
        self.assertIn("is not the key", self.vault(*serve, *self.options, expect=65))
        self.assertIn("no certificate", self.vault(
            *serve, "--tls-cert", "key.pem", "--tls-key", "key.pem", expect=65))
        self.vault(*serve, "--tls-cert", "missing.pem", "--tls-key", "key.pem", expect=74)

    def test_a_handshake_that_never_ends_is_closed(self):
        self.stop("one")
        self.options = [*self.options, "--request-seconds", "1"]
        self.start("one")
        silent = socket.create_connection(("127.0.0.1", self.ports["one"]), timeout=20)
        self.addCleanup(silent.close)
        silent.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        self.assertEqual(silent.recv(1), b"")

    def test_sighup_during_the_start_ends_nothing(self):
        self.stop("one")
        os.mkfifo(self.folder / "later.toml")
        self.options = [*self.options, "--fleet", "later.toml"]

        def hang_up():
            # Opens when the vault does, which is in the midst of its start then and waits for the text.
            with open(self.folder / "later.toml", "wb") as later:
                self.processes["one"].send_signal(signal.SIGHUP)
                later.write((self.folder / "fleet.toml").read_bytes())

        threading.Thread(target=hang_up, daemon=True).start()
        self.start("one")
        self.assertEqual(self.get("/health")[0], 200)

    def test_sighup_without_a_certificate_ends_nothing(self):
        self.stop("one")
        self.is_encrypted = False
        self.start("one")
        self.processes["one"].send_signal(signal.SIGHUP)
        time.sleep(0.3)
        self.assertIsNone(self.processes["one"].poll())


if __name__ == "__main__":
    unittest.main()
