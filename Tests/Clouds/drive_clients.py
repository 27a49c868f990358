#!/usr/bin/env python3
"""Other people's clients at the Drive emulator (`make test-clouds`), and the table of them in Docs/Stores.md.

    python Tests/Clouds/drive_clients.py [--write Docs/Stores.md]

Exits with 1 if one of them failed; those that cannot be had are named, and their rows stay as they are.
"""

import argparse
import importlib.metadata
import pathlib
import subprocess
import sys
import unittest

import test_drive_clients
from server import ROOT, program
from table import moment, write_rows

BEGIN, END = "<!-- drive-clients: begin -->", "<!-- drive-clients: end -->"
HEADER = ["| client | version | what it did | | tried |", "|---|---|---|---|---|"]


def version(client):
    """Of an installed package, else what the program says."""
    try:
        return importlib.metadata.version(client)
    except importlib.metadata.PackageNotFoundError:
        said = subprocess.run([program(client), "version"], capture_output=True, text=True, check=True).stdout
        return said.split()[1].lstrip("v")


def classes():
    return [one for one in vars(test_drive_clients).values() if isinstance(one, type) and hasattr(one, "client")]


def attempt(kind, when):
    """The row of one client, or None if it is not here; and whether it did what it should."""
    result = unittest.TestResult()
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(kind)
    count = tests.countTestCases()
    tests.run(result)
    if result.skipped:
        print(f"{kind.client}: skipped: {result.skipped[0][1]}", flush=True)
        return None, True
    wrong = result.errors + result.failures
    print(f"{kind.client}: {count - len(wrong)} of {count}", flush=True)
    for test, words in wrong:
        print(f"    {test.id()}: {words}", flush=True)
    mark = "✗" if wrong else "✓"
    return f"| {kind.client} | {version(kind.client)} | {kind.did} | {mark} | {when} |", not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=pathlib.Path, help="the page whose table is brought up to date")
    options = parser.parse_args()
    when = moment(ROOT)
    found = [attempt(kind, when) for kind in classes()]
    if options.write:
        rows = {kind.client: row for kind, (row, _) in zip(classes(), found) if row}
        write_rows(ROOT / options.write, (BEGIN, END), HEADER, rows, [kind.client for kind in classes()])
    sys.exit(0 if all(is_good for _, is_good in found) else 1)


if __name__ == "__main__":
    main()
