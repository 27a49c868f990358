"""Servers for what speaks to Google Drive: a resumable one of another make.

    address, stop = start_gcs(folder)                      raises Missing where it is not installed
    python drive_servers.py FOLDER                          prints its address, and ends when its input does

Google's Cloud Storage takes resumable uploads in the same words as Drive (308, `Range`, `bytes */SIZE`), and `gcp-storage-emulator`
speaks them: a POST to `ADDRESS/upload/storage/v1/b/coffer/o?uploadType=resumable&name=NAME` begins one. It differs in two things:
a session in which nothing has come answers `Range: bytes=0-0`, and one that is done is forgotten (404).
"""

import json
import pathlib
import sys
import urllib.request

from server import free_port, program, spawn, stopper, wait_until_answers


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


if __name__ == "__main__":
    address, stop = start_gcs(sys.argv[1])
    print(address, flush=True)
    sys.stdin.read()
    stop()
