"""Servers for what speaks to Google Drive: a resumable one of another make.

    address, stop = start_gcs(folder)                      raises FileNotFoundError where it is not installed
    python drive_servers.py FOLDER                          prints its address, and ends when its input does

Google's Cloud Storage takes resumable uploads in the same words as Drive (308, `Range`, `bytes */SIZE`), and `gcp-storage-emulator`
speaks them: a POST to `ADDRESS/upload/storage/v1/b/coffer/o?uploadType=resumable&name=NAME` begins one. It differs in two things:
a session in which nothing has come answers `Range: bytes=0-0`, and one that is done is forgotten (404).
"""

import ctypes
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 30


def program(name):
    path = ROOT / ".build-tools/clouds/bin" / name
    found = str(path) if path.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name} is not here (scripts/setup --clouds)")
    return found


def start_gcs(folder):
    """A bucket `coffer` in memory; the server ends with whoever started it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(pathlib.Path(folder) / "gcs.log", "wb") as log:
        process = subprocess.Popen(
            [program("gcp-storage-emulator"), "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)

    def stop():
        process.terminate()
        process.wait(10)

    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            make_bucket(address)
            return address, stop
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                stop()
                raise
            time.sleep(0.05)


def make_bucket(address):
    body = json.dumps({"name": "coffer"}).encode()
    request = urllib.request.Request(f"{address}/storage/v1/b?project=tests", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    address, stop = start_gcs(sys.argv[1])
    print(address, flush=True)
    sys.stdin.read()
    stop()
