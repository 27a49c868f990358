"""Servers for what speaks to Google Drive: the emulator, and a resumable one of another make behind it.

    address, stop = start_gcs(folder)                      raises Missing where it is not installed
    python drive_servers.py FOLDER                          prints its address, and ends when its input does

Google's Cloud Storage takes resumable uploads in the same words as Drive (308, `Range`, `bytes */SIZE`), and `gcp-storage-emulator`
speaks them: a POST to `ADDRESS/upload/storage/v1/b/coffer/o?uploadType=resumable&name=NAME` begins one. It differs in two things:
a session in which nothing has come answers `Range: bytes=0-0`, and one that is done is forgotten (404).
"""

import functools
import io
import json
import pathlib
import sys
import threading
import urllib.request

from server import ROOT, Running, Wrong, free_port, package_version, program, spawn, stopper, wait_until_answers

sys.path.insert(0, str(ROOT / "Tests/Support"))

import drive_emulator  # noqa: E402
from drive_emulator.client import FOLDER, TV, Client  # noqa: E402
from drive_client import drive  # noqa: E402
from drive_on_gcs import DriveOnGCS  # noqa: E402

# Which device opens which store in a trial; each signs in for itself.
OPENED = [("phone", "contract"), ("phone", "corpus"), ("new-phone", "corpus"), ("fourth", "pushed")]
# Of Drive and of the sign-in alike.
BUSY = (429, b"")


def emulator(folder):
    """The Drive emulator of Tests/Support: ours, so the table says less by it than by a server of others."""
    server = drive_emulator.start(settings={"deviceIntervalSeconds": 1})
    return running(server.address, Client(server.address), folder, server.stop, "ours")


def emulator_on_gcs(folder):
    """The same, but what is sent in pieces goes to a server of another make, over lines that each break in the middle."""
    gcs, stop_gcs = start_gcs(folder / "gcs")
    server = drive_emulator.start(settings={"deviceIntervalSeconds": 1})
    front = DriveOnGCS(server.address, gcs)

    def stop():
        for one in (front.stop, server.stop, stop_gcs):
            one()

    begun = running(front.address, Client(server.address), folder, stop, f"{package_version('gcp-storage-emulator')}; uploads in pieces")
    begun.fetch = functools.partial(fetch_what_went_on, front, begun.fetch)
    return begun


def fetch_what_went_on(front, fetch, store, folder):
    if not front.broken or not front.resumed:
        raise Wrong(f"{front.broken} uploads were broken, and {front.resumed} went on from there")
    fetch(store, folder)


def running(address, steer, folder, stop, note):
    """`steer` talks to the emulator itself, past all lines."""
    environment = {}

    def store(line, name):
        environment["COFFER_GOOGLE_URL"] = line or address
        return f"gdrive:{name}"

    return Running(
        store=store, stop=stop, address=address, environment=environment, busy=BUSY,
        # Drive takes two or three new files a second, and Coffer sends no more.
        options=("--quick",), prepare=functools.partial(sign_in, steer, folder), fetch=functools.partial(fetch, steer),
        push=functools.partial(push, steer), note=note)


def sign_in(steer, folder, _, coffer):
    """Each device shows a code, and somebody types it elsewhere."""
    credentials = folder.parent / "oauth-client"
    credentials.write_text(f"{TV['client_id']}\n{TV['client_secret']}\n")
    credentials.chmod(0o600)
    done = threading.Event()

    def answer():
        while not done.wait(0.1):
            steer.control("device", {"answer": "allow"})

    threading.Thread(target=answer, daemon=True).start()
    try:
        for device, name in OPENED:
            coffer("store", "login", f"gdrive:{name}", "--device", "--credentials-file", credentials, device=device)
    finally:
        done.set()


def named(files, question):
    """All files that answer a question, by Google's own client."""
    found, request = {}, files.list(q=question, fields="nextPageToken,files(id,name)", pageSize=1000)
    while request is not None:
        page = request.execute()
        found |= {one["name"]: one["id"] for one in page["files"]}
        request = files.list_next(request, page)
    return found


def fetch(steer, store, folder):
    files = drive(steer).files()
    (place,) = named(files, f"name = '{store.removeprefix('gdrive:')}' and mimeType = '{FOLDER}'").values()
    for name, identifier in named(files, f"'{place}' in parents").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files.get_media(fileId=identifier).execute())


def push(steer, folder, store):
    from googleapiclient.http import MediaIoBaseUpload
    files = drive(steer).files()
    place = files.create(body={"name": store.removeprefix("gdrive:"), "mimeType": FOLDER}).execute()["id"]
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        media = MediaIoBaseUpload(io.BytesIO(path.read_bytes()), "application/octet-stream")
        files.create(body={"name": str(path.relative_to(folder)), "parents": [place]}, media_body=media).execute()


def start_gcs(folder):
    """A bucket `coffer` in memory."""
    port = free_port()
    process = spawn(
        [program("gcp-storage-emulator"), "start", "--host", "127.0.0.1", "--port", port, "--in-memory"], pathlib.Path(folder))
    address, stop = f"http://127.0.0.1:{port}", stopper(process)
    try:
        wait_until_answers(address, process)
        body = json.dumps({"name": "coffer"}).encode()
        request = urllib.request.Request(f"{address}/storage/v1/b?project=tests", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=5).close()
    except BaseException:
        stop()
        raise
    return address, stop


SERVERS = {"drive-emulator": emulator, "gcp-storage-emulator": emulator_on_gcs}

if __name__ == "__main__":
    address, stop = start_gcs(sys.argv[1])
    print(address, flush=True)
    sys.stdin.read()
    stop()
