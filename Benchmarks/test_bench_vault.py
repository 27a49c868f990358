"""The vault's benchmark works: a few accounts, a few evaluations. The numbers themselves prove nothing here."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BINARIES = HERE.parent / ".build" / "debug"


class Benchmark(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def bench(self, *arguments):
        return subprocess.run(
            [sys.executable, str(HERE / "bench_vault.py"), "--vault", str(BINARIES / "coffer-vault"), "--bench",
             str(BINARIES / "vault-bench"), "--work", str(self.folder), *arguments], text=True, capture_output=True)

    def test_two_small_vaults_write_the_table(self):
        page = self.folder / "Performance.md"
        page.write_text("before\n<!-- bench-vault: begin -->\nstale numbers\n<!-- bench-vault: end -->\nafter\n")
        done = self.bench("--accounts", "40", "300", "--asked", "20", "--requests", "20", "--half-seconds", "0.1",
                          "--rounds", "8", "--small", "--keep", "--write", str(page))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        results = json.loads((self.folder / "vault-results.json").read_text())["results"]
        self.assertEqual([numbers["accounts"] for numbers in results], [40, 300])
        for numbers in results:
            self.assertGreater(numbers["half"]["p99"], 0)
            self.assertGreater(numbers["of-parts"], 0)
            self.assertGreater(numbers["parts"]["evaluate"], 0)
        written = page.read_text()
        self.assertIn("| 300 accounts |", written)
        self.assertNotIn("stale numbers", written)
        self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))
        # What was filled in is a vault's store, record by record.
        audit = subprocess.run([str(BINARIES / "coffer-vault"), "audit", str(self.folder / "vault-bench" / "1")],
                               text=True, capture_output=True)
        self.assertEqual(audit.returncode, 0, audit.stdout + audit.stderr)
        self.assertIn("304 records", audit.stdout)

    def test_accounts_for_which_there_is_no_room_are_skipped_by_name(self):
        done = self.bench("--accounts", "1000000000000")
        self.assertEqual(done.returncode, 1)
        self.assertIn("skipped: 1,000,000,000,000 accounts", done.stderr)
        self.assertIn("nothing was measured", done.stderr)


if __name__ == "__main__":
    unittest.main()
