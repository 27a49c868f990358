"""The benchmark of WhatsApp's files works, on a small database. The numbers themselves prove nothing here."""

import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PEER = HERE.parent / ".build-tools/wa-crypt-tools/bin"


@unittest.skipUnless(PEER.exists(), "make test installs wa-crypt-tools")
class Benchmark(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def bench(self, coffer, *arguments):
        return subprocess.run(
            [sys.executable, HERE / "bench_whatsapp.py", self.folder / "chats.db", "--coffer", coffer, "--peer", PEER, "--work", self.folder,
             "--rounds", "1", *arguments], text=True, capture_output=True)

    def test_writes_the_table_and_notices_a_program_that_writes_something_else(self):
        with sqlite3.connect(self.folder / "chats.db") as database:
            database.executescript("CREATE TABLE message (text_data); INSERT INTO message VALUES ('one'), ('two')")
        database.close()
        page = self.folder / "Performance.md"
        page.write_text("before\n<!-- bench-whatsapp: begin -->\nstale numbers\n<!-- bench-whatsapp: end -->\nafter\n")
        coffer = HERE.parent / ".build/debug/coffer"
        done = self.bench(coffer, "--write", page)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        written = page.read_text()
        self.assertIn("| wa-crypt-tools, wadecrypt |", written)
        self.assertNotIn("stale numbers", written)
        self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))
        liar = self.folder / "liar"
        liar.write_text(f'#!/bin/sh\n"{coffer}" "$@" || exit\n[ "$2" = seal ] || echo more >> "$5"\n')
        liar.chmod(0o755)
        done = self.bench(liar)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is not the database", done.stderr)


if __name__ == "__main__":
    unittest.main()
