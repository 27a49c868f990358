"""A fleet of real vaults on loopback, for sessions."""

import base64
import http.server
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from session import BINARIES, Session

NAMES = ["one", "two", "three", "four", "five"]


# Below the ports that the system lends to outgoing connections (ip_local_port_range): one of those may be taken by
# anybody between the moment it was found free and the moment a vault listens on it, or be found free twice. Each of several
# workers has its own (scripts/sessions), for a vault that is down keeps its port.
OWN_PORTS = range(20_000 + int(os.environ.get("SESSIONS_WORKER", 0)), 32_000, int(os.environ.get("SESSIONS_WORKERS", 1)))
PORTS = itertools.cycle(random.sample(OWN_PORTS, len(OWN_PORTS)))


def free_port():
    for port in itertools.islice(PORTS, len(OWN_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError("no free port from 20000 to 31999")


class GarbageVault(http.server.ThreadingHTTPServer):
    """Stands where a vault should, and answers everything with bytes that mean nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bytes(range(256)) * 9)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class FleetSession(Session):
    """Five vaults, three of which are needed; the tenant `chat-app` has no waits."""

    vault_count = 5

    def setUp(self):
        super().setUp()
        self.processes = {}
        self.addCleanup(self.stop_all)
        self.names = NAMES[:self.vault_count]
        self.ports = {name: free_port() for name in self.names}
        self.vault("issuer", "new", "issuer")
        for name in self.names:
            self.vault("init", name, "--name", name, "--url", self.url(name), *self.init_options(name))
        fleet = self.vault("fleet", "new", *[f"{name}/vault.pub" for name in self.names])
        (self.folder / "fleet.toml").write_text(fleet)
        for name in self.names:
            self.vault("fleet", "set", name, "fleet.toml")
            self.vault(
                "tenant", "add", "chat-app", "--dir", name, "--jwks", "issuer/issuer.jwks.json", "--no-waits")
            self.start(name)
        self.password = self.secret_file("password", "correct horse battery staple\n")
        self.sign_in("anna")

    def init_options(self, name):
        """What a test adds to a vault's `init`."""
        return []

    def vault(self, *arguments, expect=0):
        return self.run_program("coffer-vault", *arguments, device="operator", expect=expect)

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def serve_options(self, name):
        """What a test adds to a vault's `serve`."""
        return []

    def start(self, name):
        log = open(self.folder / f"{name}.log", "ab")
        options = self.serve_options(name)
        process = subprocess.Popen(
            [str(BINARIES / "coffer-vault"), "serve", name, "--listen", f"127.0.0.1:{self.ports[name]}", *options],
            env=self.environment("operator"), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=log)
        log.close()
        self.processes[name] = process
        # Of two listeners either may be there first.
        ready = b"".join(process.stdout.readline() for _ in range(2 if "--metrics" in options else 1))
        self.assertIn(b"ready", ready, f"{name} did not start: " + (self.folder / f"{name}.log").read_text()[-2000:])

    def stop(self, *names):
        for name in names:
            process = self.processes.pop(name)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=30), 0, "a vault ends cleanly when it is told to")
            process.stdout.close()

    def stop_all(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
            process.stdout.close()

    def lie_in_place_of(self, name):
        self.stop(name)
        liar = GarbageVault(self.ports[name])
        self.addCleanup(liar.server_close)
        self.addCleanup(liar.shutdown)

    def sign_in(self, account):
        name = f"{account}-tokens.json"
        self.vault("issuer", "token", account, "--tenant", "chat-app", "--fleet", "fleet.toml", "--issuer",
                   "issuer", "--output", name)
        return name

    def enable(self, source, account="anna", store="cloud", **options):
        return self.coffer("enable", source, "--to", store, "--fleet", "fleet.toml", "--password-file", "password",
                           "--token-file", f"{account}-tokens.json", **options)

    def sign_in_that_expired(self, account):
        """Genuine tokens of the issuer, an hour past their end."""
        issuer = json.loads((self.folder / "issuer/issuer.key").read_text())
        key = Ed25519PrivateKey.from_private_bytes(base64url(issuer["d"]))
        expired = {}
        for vault, token in tokens(self.folder / f"{account}-tokens.json").items():
            header, claims, _ = token.split(".")
            claims = json.loads(base64url(claims))
            for time in ("exp", "iat", "nbf"):
                if time in claims:
                    claims[time] -= 25 * 3600
            signed = f"{header}.{text(json.dumps(claims).encode())}"
            expired[vault] = f"{signed}.{text(key.sign(signed.encode()))}"
        self.secret_file("expired-tokens.json", json.dumps(expired))
        return "expired-tokens.json"

    def restore_arguments(self, target, password="password", account="anna", store="cloud"):
        return ["restore", "--from", store, target, "--password-file", password, "--token-file",
                f"{account}-tokens.json"]

    def logs(self):
        return "".join((self.folder / f"{name}.log").read_text() for name in self.names)


def base64url(digits):
    return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def tokens(path):
    return json.loads(path.read_text())
