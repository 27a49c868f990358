"""What one server is put through."""

import json
import os
import pathlib
import random
import subprocess
import time

from fault_proxy import FaultProxy
from server import COFFER

PASSED, WEAKER, FAILED, NOT_TRIED = "✓", "less", "✗", "–"
MARKS = {"passed": PASSED, "weaker": WEAKER, "failed": FAILED, "not-tried": NOT_TRIED}
CORPUS_SEED = 11
LINE_SEED = 5


class Wrong(Exception):
    """What a server or Coffer did that it should not have."""


def make_corpus(folder, root):
    """Chats, a film that takes two packs, and names that are hard to keep."""
    subprocess.run(
        [str(root / "scripts/make-chat-history"), str(folder), "--megabytes", "4"], check=True, stdout=subprocess.DEVNULL)
    dice = random.Random(CORPUS_SEED)
    (folder / "film.mp4").write_bytes(dice.randbytes(20_000_000))
    (folder / "empty").write_bytes(b"")
    (folder / "später %25 ?&=+ \n.txt").write_bytes(dice.randbytes(1_000))
    return folder


class Trial:
    def __init__(self, name, running, folder, root):
        self.name, self.running, self.folder, self.root = name, running, folder, root
        self.marks = {}
        self.problems = []
        self.seconds = 0
        self.is_restored = False

    def run(self):
        if self.running.prepare:
            self.running.prepare(self.running.store(self.running.address, "prepared"), self.coffer)
        for step in (self.contract, self.corpus_through_a_bad_line, self.other_programs):
            try:
                step()
            except Wrong as wrong:
                self.problems.append(f"{step.__name__}: {wrong}")
        self.compare_with_what_is_known()

    def line(self):
        marks = " ".join(f"{number}{mark}" for number, mark in sorted(self.marks.items()) if mark != NOT_TRIED)
        return f"{self.name}: {marks} corpus{PASSED if self.is_restored else FAILED} ({self.seconds:.0f} s)"

    # MARK: Coffer

    def environment(self, device):
        home = self.folder / "homes" / device
        home.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COFFER_"))}
        return inherited | {
            "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "COFFER_KEY_STORAGE": "file",
        } | self.running.environment

    def begin(self, *arguments, device="phone"):
        return subprocess.Popen(
            [str(COFFER), *map(str, arguments)], env=self.environment(device), cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def coffer(self, *arguments, device="phone", expect=(0,)):
        process = self.begin(*arguments, device=device)
        try:
            said, noted = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Wrong(f"coffer {arguments[0]} takes more than ten minutes")
        if process.returncode not in expect:
            raise Wrong(f"coffer {' '.join(map(str, arguments))}: status {process.returncode}: {said[-600:]} {noted[-600:]}")
        return said

    # MARK: Steps

    def contract(self):
        """The groups that a store can be put through as it stands."""
        store = self.running.store(self.running.address, "contract")
        report = json.loads(self.coffer("store", "test", store, "--json", *self.running.options, expect=(0, 5)))
        for group in report["groups"]:
            self.marks[group["number"]] = MARKS[group["outcome"]]
            if group["outcome"] == "failed" and group["number"] not in {*self.running.broken, *self.running.unsteady}:
                self.problems.append(f"{group['number']} {group['title']}: {group['words']}")

    def corpus_through_a_bad_line(self):
        """Busy answers, lost answers, cut answers, and a kill: everything comes back (groups 9, 12 and 16)."""
        corpus = make_corpus(self.folder / "corpus", self.root)
        line = FaultProxy(self.running.address, seed=LINE_SEED, busy=self.running.busy) if self.running.address else None
        try:
            store = self.running.store(line.address if line else None, "corpus")
            self.coffer("enable", corpus, "--to", store, "--key-file", "digits")
            was_killed = self.killed_backup(line)
            self.coffer("backup")
            self.coffer("verify", "--deep")
            self.coffer("restore", "--from", store, "--key-file", "digits", "Restored", device="new-phone")
            self.compare(corpus, "Restored")
            self.is_restored = True
            if line:
                self.marks[9] = PASSED if line.faults.get("lost") else NOT_TRIED
                self.marks[12] = PASSED if line.faults.get("busy") else NOT_TRIED
            self.marks[16] = PASSED if was_killed else NOT_TRIED
        finally:
            if line:
                line.stop()

    def killed_backup(self, line):
        """Whether it was killed in the middle."""
        backup = self.begin("backup")
        deadline = time.monotonic() + 120
        while backup.poll() is None and time.monotonic() < deadline:
            if line and sum(method in ("PUT", "POST", "MOVE") for method, _, _ in line.seen) >= 4:
                break
            time.sleep(0.02)
        was_running = backup.poll() is None
        backup.kill()
        backup.communicate()
        return was_running

    def other_programs(self):
        """Another program reads what Coffer wrote, and writes what Coffer reads (group 17)."""
        if not self.running.fetch or not self.is_restored:
            return
        store = self.running.store(self.running.address, "corpus")
        self.running.fetch(store, self.folder / "fetched")
        self.coffer("restore", "--from", self.folder / "fetched", "--key-file", "digits", "Fetched", device="third")
        self.compare(self.folder / "corpus", "Fetched")
        self.running.push(self.folder / "fetched", self.running.store(self.running.address, "pushed"))
        pushed = self.running.store(self.running.address, "pushed")
        self.coffer("restore", "--from", pushed, "--key-file", "digits", "Pushed", device="fourth")
        self.compare(self.folder / "corpus", "Pushed")
        self.marks[17] = PASSED

    def compare(self, corpus, restored):
        done = subprocess.run(
            [str(self.root / "scripts/compare-folders"), str(corpus), str(self.folder / restored)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Wrong(f"{restored} differs: {done.stdout[-600:]}")

    def compare_with_what_is_known(self):
        """Servers that are known to promise less, or to fail, are found out, and no others (group 18)."""
        found = {number for number, mark in self.marks.items() if mark == WEAKER}
        failed = {number for number, mark in self.marks.items() if mark == FAILED}
        if found - set(self.running.may_promise_less) != set(self.running.weaker):
            self.problems.append(f"promises less in {sorted(found)}; known is {sorted(self.running.weaker)}")
        if not set(self.running.broken) <= failed:
            self.problems.append(f"known to fail in {sorted(self.running.broken)}, failed in {sorted(failed)}")
        self.marks[18] = FAILED if self.problems else PASSED
