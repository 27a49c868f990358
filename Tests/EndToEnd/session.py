"""Sessions of the real programs: devices with homes of their own, vaults on loopback, and what everyone printed."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = ROOT / ".build" / "debug"
# What serves where it should have refused would be waited for for ever.
PATIENCE_SECONDS = 300


def device_environment(home):
    """What the programs find on a device whose owner's folder this is."""
    return os.environ | {
        "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "COFFER_KEY_STORAGE": "file", "TZ": "UTC"}


class Session(unittest.TestCase):
    """A folder for one test; everything that any program printed is kept in `printed`."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-session-"))
        self.printed = []
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def environment(self, device="phone"):
        home = self.folder / "homes" / device
        home.mkdir(parents=True, exist_ok=True)
        return device_environment(home)

    def run_program(self, program, *arguments, device="phone", expect=0):
        done = subprocess.run(
            [str(BINARIES / program), *map(str, arguments)], env=self.environment(device), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True, timeout=PATIENCE_SECONDS)
        self.printed += [done.stdout, done.stderr]
        self.assertEqual(done.returncode, expect, f"{program} {arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def coffer(self, *arguments, device="phone", expect=0):
        return self.run_program("coffer", *arguments, device=device, expect=expect)

    def coffer_json(self, *arguments, device="phone", expect=0):
        done = self.coffer(*arguments, "--json", device=device, expect=expect)
        return json.loads(done)

    def start(self, *arguments, device="phone"):
        """A command that waits for a person, and what it says on its way."""
        program = subprocess.Popen(
            [str(BINARIES / "coffer"), *map(str, arguments)], env=self.environment(device), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.stderr.close)
        return program

    def said(self, program, pattern):
        """The first part of its words that looks so."""
        for line in program.stderr:
            self.printed.append(line)
            if found := re.search(pattern, line):
                return found[0]
        self.fail(f"it never said {pattern}: {self.printed[-5:]}")

    def end(self, program, expect=0):
        out, err = program.communicate(timeout=60)
        self.printed += [out, err]
        self.assertEqual(program.returncode, expect, out + err)
        return out + err

    def error(self, *arguments, expect, device="phone"):
        """The error that a command reports; it has a message and an advice."""
        error = self.coffer_json(*arguments, device=device, expect=expect)["error"]
        self.assertEqual(error["exitStatus"], expect)
        self.assertTrue(error["message"].endswith((".", ")")), error)
        self.assertTrue(error["advice"], error)
        return error

    def make_chats(self, megabytes=1):
        source = self.folder / "Chats"
        subprocess.run(
            [str(ROOT / "scripts/make-chat-history"), str(source), "--megabytes", str(megabytes)], check=True,
            stdout=subprocess.DEVNULL)
        return source

    def make_notes(self, files=3):
        """A folder that is quick to back up."""
        source = self.folder / "Notes"
        source.mkdir()
        for number in range(files):
            (source / f"note {number}.txt").write_text(f"note {number}\n" * 400)
        return source

    def compare(self, source, restored, *options):
        done = subprocess.run(
            [str(ROOT / "scripts/compare-folders"), str(source), str(restored), *options], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def secret_file(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def files_below(self, folder):
        return sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
