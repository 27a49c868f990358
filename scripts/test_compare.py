#!/usr/bin/env python3
"""Tests of make-chat-history and compare-folders. Run:  python3 scripts/test_compare.py"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
MAKE = SCRIPTS / "make-chat-history"
sys.dont_write_bytecode = True


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(SCRIPTS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


compare_folders = load("compare-folders")
MESSAGES = "databases/msgstore.db"


def copy_tree(source, target):
    subprocess.run(["cp", "-a", "--sparse=always", str(source), str(target)], check=True)


def keeping_times(path, change):
    """Changes a file or folder and puts its time, and that of its folder, back."""
    paths = [path.parent, path]
    times = [os.lstat(p).st_mtime_ns for p in paths if os.path.lexists(p)]
    change(path)
    for p, time in zip(paths, times):
        if os.path.lexists(p):
            os.utime(p, ns=(time, time), follow_symlinks=False)


def fold(folder):
    """What a backup does: SQLite's backup API makes one file of a database and its companions."""
    path = folder / MESSAGES

    def change(_):
        image = folder / "databases" / "image"
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(image)) as target:
            source.backup(target)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        image.rename(path)
        path.chmod(0o644)

    keeping_times(path, change)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.root.cleanup)
        cls.top = Path(cls.root.name)
        cls.source, cls.good = cls.top / "source", cls.top / "good"
        subprocess.run([MAKE, cls.source, "--megabytes", "15"], check=True)
        copy_tree(cls.source, cls.good)
        fold(cls.good)

    def compare(self, restored, source=None, live=()):
        return compare_folders.Comparison(source or self.source, restored, live).run()

    def restored(self):
        target = self.top / "restored"
        shutil.rmtree(target, ignore_errors=True)
        copy_tree(self.good, target)
        return target


class Histories(Case):
    def test_the_same_seed_gives_the_same_history(self):
        again, other = self.top / "again", self.top / "other"
        subprocess.run([MAKE, again, "--megabytes", "15"], check=True)
        fold(again)
        self.assertEqual(self.compare(again).differences, [])
        subprocess.run([MAKE, other, "--megabytes", "15", "--seed", "2"], check=True)
        self.assertNotEqual(self.compare(other).differences, [])

    def test_it_has_what_backups_forget(self):
        entries = {os.path.join(path, name) for path, folders, files in os.walk(os.fsencode(self.source))
                   for name in folders + files}
        names = {os.path.basename(path) for path in entries}
        self.assertIn(b"latin \xe9t\xe9.txt", names)
        self.assertIn(b"line\nbreak.txt", names)
        self.assertIn(b"x" * 255, names)
        statuses = {path: os.lstat(path) for path in entries}
        self.assertTrue(any(status.st_nlink == 3 and os.path.isfile(path) for path, status in statuses.items()))
        self.assertTrue(any(os.path.islink(path) and not os.path.exists(path) for path in entries))
        self.assertTrue(any(status.st_mtime_ns < 0 for status in statuses.values()))
        self.assertTrue(any(s.st_size > 8 << 20 and s.st_blocks * 512 < 1 << 20 for s in statuses.values()))
        self.assertGreater((self.source / (MESSAGES + "-wal")).stat().st_size, 4096)

    def test_a_folder_in_use_is_not_written_over(self):
        result = subprocess.run([MAKE, self.source], capture_output=True)
        self.assertEqual(result.returncode, 2)

    def test_the_writer_commits_until_it_is_told_to_stop(self):
        for stop in (lambda writer: writer.stdin.close(), lambda writer: writer.send_signal(signal.SIGTERM)):
            folder = self.restored()
            before = self.count(folder)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            writer = subprocess.Popen([MAKE, folder, "--writer"], **pipes)
            with writer.stdout:
                self.assertEqual(writer.stdout.readline(), "writing\n")
                while self.count(folder) < before + 5:
                    pass
                stop(writer)
                committed = int(writer.stdout.readline().split()[1])
            self.assertEqual(writer.wait(), 0)
            writer.stdin.close()
            self.assertEqual(self.count(folder), before + committed)

    def count(self, folder):
        with contextlib.closing(sqlite3.connect(folder / MESSAGES)) as database:
            return database.execute("SELECT value FROM counters").fetchone()[0]


class WhatIsEqual(Case):
    def test_a_good_restore_is_equal_and_neither_folder_is_touched(self):
        before = [self.state(folder) for folder in (self.source, self.good)]
        report = self.compare(self.good)
        self.assertEqual(report.differences, [])
        self.assertEqual((report.databases, report.folded), (2, 1))
        self.assertGreater(report.files, 40)
        self.assertEqual(before, [self.state(folder) for folder in (self.source, self.good)])

    def state(self, folder):
        paths = (os.path.join(path, name) for path, folders, files in os.walk(folder) for name in folders + files)
        return sorted((path, os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns) for path in paths)

    def test_a_checkpointed_image_is_as_good_as_one_of_the_backup_api(self):
        restored = self.restored()

        def change(path):
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{self.source / MESSAGES}{suffix}", f"{path}{suffix}")
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        keeping_times(restored / MESSAGES, change)
        self.assertEqual(self.compare(restored).differences, [])

    def test_people_and_programs_can_read_the_result(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(compare_folders.main([str(self.source), str(self.good)]), 0)
            self.assertEqual(compare_folders.main([str(self.source), str(self.good), "--json"]), 0)
        text, _, rest = out.getvalue().partition("\n")
        self.assertRegex(text, r"^compared \d+ files, \d+ folders, 3 symbolic links, .*: equal$")
        self.assertTrue(json.loads(rest)["equal"])


class WhatDiffers(Case):
    def assert_differs(self, words, change):
        restored = self.restored()
        change(restored)
        report = self.compare(restored)
        found = [f"{path}: {what}" for path, what in report.differences]
        self.assertTrue(any(words in difference for difference in found), (words, found))
        return report

    def at(self, name, change):
        return lambda folder: keeping_times(folder / name, change)

    def test_contents(self):
        def flip(path):
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.chmod(0o644)
            path.write_bytes(data)

        video = "media/videos/VID-20190704-WA0001.mp4"
        self.assert_differs(f"{video}: the content", self.at(video, flip))
        self.assert_differs("bin/share-hook: the content", self.at("bin/share-hook", lambda p: os.truncate(p, 3)))
        empty = "media/documents/empty.txt"
        self.assert_differs(f"{empty}: the content", self.at(empty, lambda p: p.write_bytes(b"\0")))
        report = self.assert_differs("contacts.db: the", self.at("databases/contacts.db", flip))
        self.assertEqual(len(report.differences), 1)

    def test_names_and_kinds(self):
        empty = "media/photos/empty album"
        self.assert_differs("is missing in RESTORED", self.at(empty, lambda p: p.rmdir()))
        self.assert_differs("is only in RESTORED", self.at("new", lambda p: p.touch()))
        self.assert_differs("a folder became a file", self.at(empty, lambda p: (p.rmdir(), p.touch())))
        self.assert_differs("link to", self.at("media/albums", lambda p: (p.unlink(), p.symlink_to("photo"))))
        self.assert_differs("a symbolic link became", self.at("media/dangling", lambda p: (p.unlink(), p.touch())))

    def test_metadata(self):
        hook = "bin/share-hook"
        self.assert_differs("mode 0755 became 0644", self.at(hook, lambda p: p.chmod(0o644)))
        self.assert_differs("backups: mode", self.at("backups", lambda p: p.chmod(0o755)))

        def later(path):
            time = os.lstat(path).st_mtime_ns + 1
            os.utime(path, ns=(time, time), follow_symlinks=False)

        for name in (hook, "media/dangling", "backups", "databases/msgstore.db", "."):
            self.assert_differs(f"{name}: time", lambda folder: later(folder / name))
        if os.geteuid() == 0:
            self.assert_differs("owner", self.at(hook, lambda p: os.chown(p, 7, 7)))

    def test_attributes(self):
        try:
            os.getxattr(self.source / "media/photos", "user.album")
        except OSError:
            self.skipTest("this file system keeps no user attributes")
        self.assert_differs("user.new", self.at("bin/share-hook", lambda p: os.setxattr(p, "user.new", b"")))
        self.assert_differs("user.album", self.at("media/photos", lambda p: os.removexattr(p, "user.album")))
        self.assert_differs("user.album", self.at("media/photos", lambda p: os.setxattr(p, "user.album", b"1")))

    def test_hard_links(self):
        def part(path):
            content, status = path.read_bytes(), path.stat()
            path.unlink()
            path.write_bytes(content)
            path.chmod(status.st_mode)
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

        def join(folder):
            odd = folder / "media/documents/odd names"
            (odd / "-rf").unlink()
            os.link(odd / "*", odd / "-rf")

        self.assert_differs("is one file with", self.at("media/stickers/profile picture.jpg", part))
        self.assert_differs("is one file with no other name", join)

    def test_databases(self):
        def write(sql):
            def change(path):
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
                    database.execute("PRAGMA journal_mode = DELETE")
                    database.execute(sql)
                    database.execute("PRAGMA journal_mode = WAL")

            return self.at(MESSAGES, change)

        self.assert_differs("the content", write("UPDATE counters SET value = value + 1"))
        self.assert_differs("the content", write("UPDATE messages SET text = 'Z' || substr(text, 2) WHERE number = 77"))
        self.assert_differs("damaged", self.at(MESSAGES, lambda p: os.truncate(p, 100_000)))
        companion = self.at(MESSAGES + "-wal", lambda p: shutil.copyfile(self.source / (MESSAGES + "-wal"), p))
        self.assert_differs("a companion", companion)
        without_wal = self.at(MESSAGES, lambda p: shutil.copyfile(self.source / MESSAGES, p))
        self.assert_differs("the content", without_wal)


    def test_free_pages_may_be_zeros_and_nothing_else(self):
        ours, theirs = self.top / "free" / "a", self.top / "free" / "b"
        ours.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(ours / "x.db", isolation_level=None)) as database:
            database.executescript("PRAGMA secure_delete = OFF; CREATE TABLE t (b BLOB); CREATE TABLE u (b BLOB)")
            for table in "tu":
                database.execute(f"INSERT INTO {table} VALUES (randomblob(9000000))")
            database.execute("DELETE FROM u")
        image = (ours / "x.db").read_bytes()
        trunk = (int.from_bytes(image[32:36], "big") - 1) * 4096
        leaf = (int.from_bytes(image[trunk + 8 : trunk + 12], "big") - 1) * 4096
        for start, end, filling, is_equal in (
            (leaf, leaf + 4096, b"\0", True), (leaf, leaf + 4096, b"\1", False), (leaf, leaf + 4000, b"\0", False),
            (8192, 12288, b"\0", False),
        ):
            shutil.rmtree(theirs, ignore_errors=True)
            copy_tree(ours, theirs)
            changed = image[:start] + filling * (end - start) + image[end:]
            keeping_times(theirs / "x.db", lambda path: path.write_bytes(changed))
            differences = str(self.compare(theirs, ours).differences)
            self.assertEqual(differences == "[]", is_equal, differences)


class LiveDatabases(Case):
    def assert_live(self, words, change):
        restored = self.restored()
        with contextlib.closing(sqlite3.connect(restored / MESSAGES, isolation_level=None)) as database:
            change(database)
            database.execute("PRAGMA journal_mode = DELETE")
        report = self.compare(restored, self.later, [MESSAGES])
        text = str(report.differences)
        self.assertIn(words, text) if words else self.assertEqual(report.differences, [])

    def setUp(self):
        self.later = self.top / "later"
        if not self.later.exists():
            copy_tree(self.source, self.later)
            subprocess.run([MAKE, self.later, "--write-for-seconds", "0.3"], check=True, capture_output=True)

    def test_an_earlier_moment_is_accepted(self):
        self.assert_live("", lambda database: None)

    def test_the_same_restore_is_not_equal_without_live(self):
        self.assertNotEqual(self.compare(self.good, self.later).differences, [])

    def test_a_gap_or_a_torn_moment_is_not_accepted(self):
        self.assert_live("not a prefix", lambda d: d.execute("DELETE FROM messages WHERE number = 50"))
        self.assert_live("the counter", lambda d: d.execute("UPDATE counters SET value = value - 1"))
        self.assert_live("message 9 is not", lambda d: d.execute("UPDATE messages SET sent = 1 WHERE number = 9"))
        self.assert_live("search index", lambda d: d.execute("UPDATE messages SET text = 'quite new' WHERE number = 9"))

    def test_messages_that_never_were_are_not_accepted(self):
        def invent(database):
            for _ in range(2000):
                database.execute("INSERT INTO messages(chat, author, sent) VALUES (1, 1, 1)")
            database.execute("UPDATE counters SET value = value + 2000")

        self.assert_live("is not the one of the source", invent)


if __name__ == "__main__":
    unittest.main()
