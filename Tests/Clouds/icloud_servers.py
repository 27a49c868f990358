"""The emulator of CloudKit's web services, as a server of the fleet: ours, written from Apple's documentation, so the table says little by it.

The bad line is before the host of assets, where the bytes of packs go: an answer of the other host that is lost costs a sign-in, which
`Tests/EndToEnd/test_icloud.py` tries. For the same reason older tokens go on here: the backup that is killed may wait for an answer.
"""

import functools
import sys
import threading
import urllib.request

from server import ROOT, Running, free_port

sys.path.insert(0, str(ROOT / "Tests/Support"))

import cloudkit_emulator  # noqa: E402

CONTAINER = "iCloud.org.example.coffer"
API_TOKEN = "c0ffee00emulator"
DEVICES = ("phone", "new-phone")


def emulator(folder):
    port = free_port()
    server = cloudkit_emulator.start(settings={"callback": f"http://127.0.0.1:{port}/", "singleUse": False})
    own = server.emulator.assets.address

    def store(line, name):
        server.emulator.assets.address = line or own
        return f"icloud:{CONTAINER}/{name}"

    return Running(
        store=store, stop=server.stop, address=own, environment={"COFFER_ICLOUD_URL": server.address},
        prepare=functools.partial(sign_in, server.address, port, folder), note="ours")


def sign_in(address, port, folder, store, coffer):
    """On each device somebody signs in at the page as soon as the program waits for it."""
    credentials = folder.parent / "api-token"
    credentials.write_text(f"{API_TOKEN}\n")
    credentials.chmod(0o600)
    done = threading.Event()

    def answer():
        while not done.wait(0.1):
            try:
                urllib.request.urlopen(f"{address}/signin?emulator_answer=allow&keep=1", timeout=5).close()
            except OSError:
                pass  # nobody waits yet

    threading.Thread(target=answer, daemon=True).start()
    try:
        for device in DEVICES:
            coffer("store", "login", store, "--port", port, "--credentials-file", credentials, device=device)
    finally:
        done.set()


SERVERS = {"icloud-emulator": emulator}
