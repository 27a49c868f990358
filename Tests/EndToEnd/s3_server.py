"""An S3 server in memory (moto) for tests: prints its address, makes the bucket `coffer`, and ends when its input does."""

import logging
import sys
import urllib.request

from moto.server import ThreadedMotoServer


def start():
    """The server and its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/coffer", method="PUT")).close()
    return server, address


if __name__ == "__main__":
    server, address = start()
    print(address, flush=True)
    sys.stdin.read()
    server.stop()
