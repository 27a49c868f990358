"""Prints its address and ends when its input does: `python -m cloudkit_emulator [--port N] [--settings JSON]`."""

import argparse
import json
import sys

from .emulator import start


def main():
    parser = argparse.ArgumentParser(prog="cloudkit_emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="else one that is free")
    parser.add_argument("--settings", type=json.loads, default={}, help="as /emulator/settings takes them")
    options = parser.parse_args()
    running = start(port=options.port, settings=options.settings)
    print(running.address, flush=True)
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    running.stop()


if __name__ == "__main__":
    main()
