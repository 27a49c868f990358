"""What rclone reaches: a disk, what it makes of one (crypt, chunker), its own servers of WebDAV, S3 and SFTP, and the Drive emulator."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

from server import ROOT, TOOLS, Missing, Running, Wrong, free_port, program, said_version, spawn, stopper, wait_until_answers

USER, PASSWORD = "me", "a password of tests"
KEY_ID, SECRET = "AKIAEXAMPLE0", "secretsecret0"
COPY_SECONDS_MAX = 300
# Where lists have no pages.
QUICK = ("--quick",)


def rclone():
    return program("rclone", TOOLS / "python" / "bin")


def obscured(password):
    done = subprocess.run([rclone(), "obscure", "-"], input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Configuration:
    """rclone's own, with one section for each line: a line has an address of its own."""

    def __init__(self, folder, options, **environment):
        """
        options: from an address (None where there is none) to a section's.
        environment: what rclone needs besides.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "rclone.conf"
        self.options = options
        self.more = environment
        self.remotes = {}

    def add(self, name, options):
        with self.path.open("a") as file:
            file.write(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items()) + "\n")

    def remote(self, address):
        if address not in self.remotes:
            name = f"remote{len(self.remotes)}"
            self.add(name, self.options(address))
            self.remotes[address] = name
        return self.remotes[address]

    @property
    def environment(self):
        path = f"{pathlib.Path(rclone()).parent}{os.pathsep}{os.environ['PATH']}"
        return {"RCLONE_CONFIG": str(self.path), "PATH": path} | self.more

    def copy(self, source, target):
        subprocess.run(
            [rclone(), "copy", str(source), str(target)], env=os.environ | self.environment, check=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=COPY_SECONDS_MAX)


def running(configuration, root, address=None, stop=lambda: None, options=()):
    """A server at an address, or what needs none, with the place of all stores in it."""
    return Running(
        store=lambda line, name: f"rclone:{configuration.remote(line)}:{root}/{name}", stop=stop, address=address,
        environment=configuration.environment, options=options, note=said_version(rclone(), "version"),
        may_promise_less=frozenset({7}),
        fetch=lambda store, folder: configuration.copy(store.removeprefix("rclone:"), folder),
        push=lambda folder, store: configuration.copy(folder, store.removeprefix("rclone:")))


def disk(folder):
    return running(Configuration(folder, lambda _: {"type": "local"}), folder / "data", options=QUICK)


def over_disk(**options):
    """A remote that is made of another one: the disk."""
    def start(folder):
        data = folder / "data"
        data.mkdir(parents=True)
        secret = {"password": obscured(PASSWORD)} if options["type"] == "crypt" else {}
        return running(Configuration(folder, lambda _: options | secret | {"remote": str(data)}), "stores", options=QUICK)
    return start


def serving(kind, *arguments, root="stores", options, extent=()):
    """`rclone serve KIND` of a disk, reached over HTTP."""
    def start(folder):
        port, data = free_port(), folder / "data"
        (data / root).mkdir(parents=True)
        process = spawn([rclone(), "serve", kind, "--addr", f"127.0.0.1:{port}", *arguments, data], folder)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until_answers(address, process)
        except BaseException:
            stopper(process)()
            raise
        return running(Configuration(folder, options), root, address, stopper(process), extent)
    return start


def webdav(address):
    # rclone lets 10 ms pass between its requests there.
    return {"type": "webdav", "url": address, "vendor": "other", "user": USER, "pass": obscured(PASSWORD)}


def s3(address):
    return {
        "type": "s3", "provider": "Rclone", "endpoint": address, "access_key_id": KEY_ID, "secret_access_key": SECRET,
        "use_multipart_uploads": "false"}


def sftp(folder):
    port, data = free_port(), folder / "data"
    (data / "stores").mkdir(parents=True)
    process = spawn(
        [rclone(), "serve", "sftp", "--addr", f"127.0.0.1:{port}", "--user", USER, "--pass", PASSWORD, data], folder)
    options = {"type": "sftp", "host": "127.0.0.1", "port": port, "user": USER, "pass": obscured(PASSWORD)}
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                stopper(process)()
                raise Wrong("rclone serve sftp does not answer")
            time.sleep(0.1)
    return running(Configuration(folder, lambda _: options), "stores", stop=stopper(process), options=QUICK)


def drive(folder):
    """rclone knows only Google's own addresses: a proxy stands for them."""
    sys.path.insert(0, str(ROOT / "Tests" / "Support"))
    import drive_emulator
    from drive_emulator.client import DESKTOP, Client
    try:
        from google_proxy import GoogleProxy
    except ImportError as error:
        raise Missing(f"{error.name} is not installed (scripts/setup --clouds)")
    folder.mkdir(parents=True)
    server = drive_emulator.start()
    proxy = GoogleProxy(server.address, folder)

    def stop():
        proxy.stop()
        server.stop()
    tokens = Client(server.address).control("token", {"scope": "https://www.googleapis.com/auth/drive.file"})
    token = {"access_token": "ya29.over", "token_type": "Bearer", "refresh_token": tokens["refresh_token"],
             "expiry": "2020-01-01T00:00:00Z"}
    options = {"type": "drive", "scope": "drive.file", "token": json.dumps(token), "pacer_min_sleep": "1ms", **DESKTOP}
    configuration = Configuration(
        folder, lambda _: options, HTTPS_PROXY=proxy.address, RCLONE_CA_CERT=proxy.authority)
    return running(configuration, "stores", stop=stop, options=QUICK)


SERVERS = {
    "rclone over disk": disk,
    "rclone over crypt": over_disk(type="crypt"),
    "rclone over chunker": over_disk(type="chunker", chunk_size="5M"),
    "rclone over webdav": serving("webdav", "--user", USER, "--pass", PASSWORD, options=webdav, extent=QUICK),
    "rclone over s3": serving("s3", "--auth-key", f"{KEY_ID},{SECRET}", root="coffer", options=s3),
    "rclone over sftp": sftp,
    "rclone over drive": drive,
}
