"""Lets a client that knows only Google's own addresses talk to the Drive emulator: a CONNECT proxy that ends TLS.

Certificates come from an authority that is made for one run, and whose key never leaves this process.
"""

import datetime
import os
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from background import BackgroundServer

HOSTS = ["www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com", "drive.googleapis.com"]


def certificate(subject, issuer, key, signer, authority):
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (subject, issuer)]
    builder = x509.CertificateBuilder(
        names[1], names[0], key.public_key(), x509.random_serial_number(), now - datetime.timedelta(days=1),
        now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Handler(BaseHTTPRequestHandler):
    def do_CONNECT(self):
        host = self.path.partition(":")[0]
        if host not in HOSTS:
            return self.send_error(403)
        self.send_response_only(200)
        self.end_headers()
        try:
            with self.server.context.wrap_socket(self.connection, server_side=True) as line, \
                    socket.create_connection(self.server.emulator) as inner:
                back = threading.Thread(target=pump, args=(inner, line), daemon=True)
                back.start()
                pump(line, inner)
                back.join()
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, *_):
        pass


def pump(source, target):
    try:
        while part := source.recv(65_536):
            target.sendall(part)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class GoogleProxy(BackgroundServer):
    """`address` for HTTPS_PROXY, `authority` (a file) for the client's list of authorities."""

    def __init__(self, emulator_address, folder):
        host, _, port = emulator_address.removeprefix("http://").partition(":")
        self.emulator = (host, int(port))
        root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.authority = os.path.join(folder, "authority.pem")
        with open(self.authority, "wb") as file:
            file.write(certificate("Tests", "Tests", root, root, authority=True))
        chain = os.path.join(folder, "leaf.pem")
        with open(os.open(chain, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(leaf.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
            file.write(certificate("Drive emulator", "Tests", leaf, root, authority=False))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(chain)
        super().__init__(Handler)
