#!/usr/bin/env python3
"""Every store on every real server that can be had here (`make test-clouds`): the groups of `coffer store test`, then a backup
and a restore of a corpus through a line that fails, killed in the middle, and what another program reads and writes.

    CLOUDS=moto,apache python Tests/Clouds/clouds.py [--write Docs/Stores.md]

Prints a line for each server, those that cannot be had by name with the reason; exits with 1 if one does what it should not.
"""

import argparse
import importlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

from server import ROOT, Missing, Running, program
from table import write_table
from trial import Trial

MODULES = ("s3_servers", "webdav_servers", "rclone_remotes", "drive_servers")


def webdav(start, may_promise_less):
    """A starter of `(url, user, password, stop)` as one of `Running`."""
    def begin(folder):
        os.environ.setdefault("RCLONE", program("rclone"))
        folder.mkdir(parents=True, exist_ok=True)
        url, user, password, stop = start(folder)
        if url is None:
            raise Missing(user)
        scheme, rest = url.rstrip("/").split("://", 1)
        host, _, path = rest.partition("/")
        path = f"/{path}" if path else ""
        return Running(
            store=lambda line, name: f"webdav:{line}{path}/{name}", stop=stop, address=f"{scheme}://{host}",
            environment={"COFFER_WEBDAV_USER": user, "COFFER_WEBDAV_PASSWORD": password},
            # No list of WebDAV has pages.
            options=("--quick",), may_promise_less=frozenset(may_promise_less))
    return begin


def known_servers():
    """Name to starter, of all modules there are."""
    servers = {}
    for name in MODULES:
        if not pathlib.Path(__file__).with_name(f"{name}.py").exists():
            continue
        module = importlib.import_module(name)
        for server, start in getattr(module, "SERVERS", {}).items():
            if name == "webdav_servers":
                servers["rclone-webdav" if server == "rclone" else server] = webdav(
                    start, module.MAY_PROMISE_LESS.get(server, ()))
            else:
                servers[server] = start
    return servers


def chosen(servers):
    wanted = [name for name in os.environ.get("CLOUDS", "").split(",") if name]
    unknown = [name for name in wanted if name not in servers]
    if unknown:
        sys.exit(f"CLOUDS: there is no {', '.join(unknown)}; there are {', '.join(servers)}")
    return {name: start for name, start in servers.items() if not wanted or name in wanted}


def attempt(name, start, folder):
    """The trial of one server, or None if it cannot be had."""
    begun = time.monotonic()
    try:
        running = start(folder / "server")
    except Missing as reason:
        print(f"{name}: skipped: {reason}", flush=True)
        return None
    try:
        trial = Trial(name, running, folder, ROOT)
        trial.run()
    finally:
        running.stop()
    trial.seconds = time.monotonic() - begun
    print(trial.line(), flush=True)
    for problem in trial.problems:
        print(f"    {problem}", flush=True)
    return trial


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", help="the page whose table is brought up to date")
    options = parser.parse_args()
    trials = []
    for name, start in chosen(known_servers()).items():
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"coffer-clouds-{name}-"))
        try:
            trial = attempt(name, start, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if trial:
            trials.append(trial)
            if options.write:
                write_table(ROOT / options.write, [trial])
    failed = [trial.name for trial in trials if trial.problems]
    print(f"{len(trials)} servers tried; " + (f"not as expected: {', '.join(failed)}" if failed else "all as expected"))
    sys.exit(1 if failed or not trials else 0)


if __name__ == "__main__":
    main()
