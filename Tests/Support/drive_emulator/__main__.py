"""Prints its address and ends when its input does: `python -m drive_emulator [--folder DIR] [--port N] [--settings JSON]`."""

import argparse
import json
import sys

from .server import start


def main():
    parser = argparse.ArgumentParser(prog="drive_emulator", description=__doc__)
    parser.add_argument("--folder", help="keep files and sign-ins here; else they are in memory")
    parser.add_argument("--port", type=int, default=0, help="else one that is free")
    parser.add_argument("--settings", type=json.loads, default={}, help="as /emulator/settings takes them")
    options = parser.parse_args()
    server = start(folder=options.folder, port=options.port, settings=options.settings)
    print(server.address, flush=True)
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    server.stop()


if __name__ == "__main__":
    main()
