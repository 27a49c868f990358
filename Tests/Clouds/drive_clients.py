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

BEGIN, END = "<!-- drive-clients: begin -->", "<!-- drive-clients: end -->"
HEADER = ["| client | version | what it did | |", "|---|---|---|---|"]


def version(client):
    """Of an installed package, else what the program says."""
    try:
        return importlib.metadata.version(client)
    except importlib.metadata.PackageNotFoundError:
        said = subprocess.run([program(client), "version"], capture_output=True, text=True, check=True).stdout
        return said.split()[1].lstrip("v")


def classes():
    return [one for one in vars(test_drive_clients).values() if isinstance(one, type) and hasattr(one, "client")]


def attempt(kind):
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
    return f"| {kind.client} | {version(kind.client)} | {kind.did} | {mark} |", not wrong


def write_table(page, rows):
    text = page.read_text()
    before, rest = text.split(BEGIN, 1)
    old, after = rest.split(END, 1)
    kept = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ") and line not in HEADER}
    kept |= {row.split("|")[1].strip(): row for row in rows}
    page.write_text("\n".join([before + BEGIN, *HEADER, *kept.values(), END]) + after)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=pathlib.Path, help="the page whose table is brought up to date")
    options = parser.parse_args()
    found = [attempt(kind) for kind in classes()]
    if options.write:
        write_table(ROOT / options.write, [row for row, _ in found if row])
    sys.exit(0 if all(is_good for _, is_good in found) else 1)


if __name__ == "__main__":
    main()
