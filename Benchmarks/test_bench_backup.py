"""The benchmark works: a tiny corpus, one round, Coffer beside `cp -a`. The numbers themselves prove nothing here."""

import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
COFFER = HERE.parent / ".build" / "debug" / "coffer"


def make_corpus(folder):
    rng = random.Random(1)
    for number in range(12):
        photo = folder / "day1" / "Media" / f"{number % 3}" / f"IMG-{number}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(rng.randbytes(rng.randint(1, 90_000)))
    database = folder / "day1" / "Databases" / "msgstore.db"
    database.parent.mkdir()
    write_messages(database, rng, 800)
    for day, before in (("day2", "day1"), ("vacuumed", "day2")):
        shutil.copytree(folder / before, folder / day, copy_function=os.link)
        own = folder / day / "Databases" / "msgstore.db"
        own.unlink()
        shutil.copy2(folder / before / "Databases" / "msgstore.db", own)
    write_messages(folder / "day2" / "Databases" / "msgstore.db", rng, 30)
    (folder / "day2" / "Media" / "new.jpg").write_bytes(rng.randbytes(50_000))
    shutil.copy2(folder / "day2" / "Databases" / "msgstore.db", folder / "vacuumed" / "Databases" / "msgstore.db")
    os.link(folder / "day2" / "Media" / "new.jpg", folder / "vacuumed" / "Media" / "new.jpg")


def write_messages(path, rng, count):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, text TEXT)")
    connection.executemany("INSERT INTO message(text) VALUES (?)",
                           [(rng.randbytes(40).hex(),) for _ in range(count)])
    connection.commit()
    connection.close()


class Benchmark(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        make_corpus(self.folder)

    def bench(self, *arguments):
        return subprocess.run(
            [sys.executable, str(HERE / "bench_backup.py"), str(self.folder), "--coffer", str(COFFER), *arguments],
            text=True, capture_output=True)

    def test_one_round_on_a_tiny_corpus_writes_the_table(self):
        page = self.folder / "Performance.md"
        page.write_text("before\n<!-- bench-backup: begin -->\nstale numbers\n<!-- bench-backup: end -->\nafter\n")
        done = self.bench("--rounds", "1", "--only", "coffer", "cp -a", "--write", str(page))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        results = json.loads((self.folder / "run" / "results.json").read_text())["results"]["Coffer"]
        self.assertGreater(results["fresh"]["stored"], 0.1, "megabytes: the photos do not compress")
        self.assertLess(results["unchanged"]["stored"], 0.03)
        self.assertGreater(results["day2"]["stored"], 0.05)
        self.assertIn("read independently: day2", done.stderr)
        written = page.read_text()
        self.assertIn("| Coffer ", written)
        self.assertIn("| cp -a", written)
        self.assertNotIn("stale numbers", written)
        self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))

    def test_a_program_that_is_not_there_is_skipped_by_name(self):
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import tools;"
             "print(tools.find_programs(tools.Restic, []), tools.find_programs(tools.CopyFloor, []))", str(HERE)],
            text=True, capture_output=True, env={"PATH": str(self.folder)})
        self.assertEqual(done.stdout.strip(), "restic cp", done.stderr)


if __name__ == "__main__":
    unittest.main()
