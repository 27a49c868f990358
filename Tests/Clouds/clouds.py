#!/usr/bin/env python3
"""Every store on every real server that can be had here (`make test-clouds`): the groups of `coffer store test`, then a backup
and a restore of a corpus through a line that fails, killed in the middle, and what another program reads and writes.

    CLOUDS=moto,apache python Tests/Clouds/clouds.py [--write Docs/Stores.md]

Prints a line for each server, those that cannot be had by name with the reason; exits with 1 if one does what it should not, does
not start, or is not known.
"""

import argparse
import importlib
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.parse

from server import COFFER, ROOT, Missing, Wrong
from table import moment, write_table
from trial import Trial, described

MODULES = ("s3_servers", "webdav_clouds", "rclone_remotes", "drive_servers", "icloud_servers")
FOLDER_PREFIX = "coffer-clouds-"


def known_servers():
    """Name to starter, of all modules there are."""
    servers = {}
    for name in MODULES:
        if pathlib.Path(__file__).with_name(f"{name}.py").exists():
            servers |= importlib.import_module(name).SERVERS
    return servers


def chosen(servers):
    wanted = [name.strip() for name in os.environ.get("CLOUDS", "").split(",") if name.strip()]
    unknown = [name for name in wanted if name not in servers]
    if unknown:
        sys.exit(f"CLOUDS: there is no {', '.join(unknown)}; there are {', '.join(servers)}")
    return {name: start for name, start in servers.items() if not wanted or name in wanted}


def attempt(name, start, folder, root=ROOT):
    """The trial of one server, or None if a program of it is not installed. Whatever else happens is the trial's."""
    trial = Trial(name, None, folder, root)
    try:
        trial.step("start", lambda: begin(trial, start))
        if trial.running:
            try:
                trial.run()
            finally:
                trial.step("stop", lambda: end(trial.running))
    except Missing as reason:
        print(f"{name}: skipped: {reason}", flush=True)
        return None
    trial.close()
    print(trial.line(), flush=True)
    for problem in trial.problems:
        print(f"    {problem}", flush=True)
    return trial


def begin(trial, start):
    trial.running = start(trial.folder / "server")


def end(running):
    running.stop()
    if not running.address:
        return
    where = urllib.parse.urlsplit(running.address)
    try:
        socket.create_connection((where.hostname, where.port), timeout=5).close()
    except OSError:
        return
    raise Wrong(f"something of it still answers at {running.address}")


def is_alive(process):
    try:
        os.kill(process, 0)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def sweep(place):
    """What runs that were killed left of files; their processes are gone."""
    for folder in place.glob(f"{FOLDER_PREFIX}*"):
        process = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def try_all(servers, found):
    """`found` is called with each trial as soon as it is done. The names of those that did not do as they should, and how many were
    tried."""
    failed, count = [], 0
    sweep(pathlib.Path(tempfile.gettempdir()))
    for name, start in servers.items():
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        try:
            trial = attempt(name, start, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if trial:
            found(trial)
            count += 1
            failed += [name] if trial.problems else []
    return failed, count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", help="the page whose table is brought up to date")
    options = parser.parse_args()
    if not COFFER.exists():
        sys.exit(f"{COFFER} is not there; swift build --product coffer makes it")
    if options.write and "COFFER" in os.environ:
        sys.exit("With COFFER set nothing is written: the page tells of this commit's own build.")
    # So that a run that is told to end takes its servers and folders along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    known, when, begun = known_servers(), moment(ROOT), time.monotonic()

    def found(trial):
        if options.write:
            write_table(ROOT / options.write, [trial], list(known), when)

    failed, count = try_all(chosen(known), found)
    minutes = (time.monotonic() - begun) / 60
    print(f"{when}: {count} servers tried in {minutes:.0f} min; "
          + (f"not as expected: {', '.join(failed)}" if failed else "all as expected"))
    sys.exit(1 if failed or not count else 0)


if __name__ == "__main__":
    main()
