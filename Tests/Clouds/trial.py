"""What one server is put through."""

import json
import os
import pathlib
import random
import subprocess
import time

from line import Line
from server import COFFER, Missing, Wrong, die_with_parent

PASSED, WEAKER, FAILED, NOT_TRIED = "✓", "less", "✗", "–"
MARKS = {"passed": PASSED, "weaker": WEAKER, "failed": FAILED, "not-tried": NOT_TRIED}
CORPUS_SEED = 11
# All that one server is put through.
SECONDS_MAX = 900
KILL_SECONDS_MAX = 120


def described(error):
    """What went wrong, with what a program said about it."""
    if isinstance(error, Wrong):
        return str(error)
    said = getattr(error, "stderr", None) or b""
    said = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{type(error).__name__}: {error} {said[-600:]}".strip()


def make_corpus(folder, root):
    """Chats, a film that takes two packs, and names that are hard to keep."""
    subprocess.run(
        [str(root / "scripts/make-chat-history"), str(folder), "--megabytes", "4"], check=True, stdout=subprocess.DEVNULL)
    dice = random.Random(CORPUS_SEED)
    (folder / "film.mp4").write_bytes(dice.randbytes(20_000_000))
    (folder / "empty").write_bytes(b"")
    (folder / "später %25 ?&=+ \n.txt").write_bytes(dice.randbytes(1_000))
    return folder


def shown(groups):
    return ", ".join(sorted(map(str, groups))) or "none"


class Trial:
    def __init__(self, name, running, folder, root):
        """running: None until the server answers."""
        self.name, self.running, self.folder, self.root = name, running, folder, root
        self.marks = {}
        self.problems = []
        self.begun = time.monotonic()
        # Name of a step to how long it took.
        self.seconds = {}
        self.is_restored = False

    def run(self):
        steps = [self.contract, self.corpus_through_a_bad_line, self.other_programs]
        if not self.running.prepare or self.step("prepare", self.prepare):
            for step in steps:
                self.step(step.__name__, step)
        self.compare_with_what_is_known()

    def step(self, name, do):
        """Whether it went as it should. Whatever goes wrong is this server's, and the next one has its turn."""
        begun = time.monotonic()
        try:
            do()
            return True
        except Missing as reason:
            if not self.running:
                raise
            print(f"{self.name}: {name}: not tried: {reason}", flush=True)
            return True
        except Exception as error:
            if do == self.other_programs:
                self.marks[17] = FAILED
            self.problems.append(f"{name}: {described(error)}")
            return False
        finally:
            self.seconds[name] = time.monotonic() - begun

    def line(self):
        marks = " ".join(f"{number}{mark}" for number, mark in sorted(self.marks.items()) if mark != NOT_TRIED)
        steps = ", ".join(f"{name.split('_')[0]} {seconds:.0f}" for name, seconds in self.seconds.items())
        return f"{self.name}: {marks} corpus{PASSED if self.is_restored else FAILED} ({self.total_seconds:.0f} s: {steps})"

    @property
    def total_seconds(self):
        return sum(self.seconds.values())

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
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    def coffer(self, *arguments, device="phone", expect=(0,)):
        process = self.begin(*arguments, device=device)
        try:
            said, noted = process.communicate(timeout=max(1, self.begun + SECONDS_MAX - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Wrong(f"coffer {arguments[0]} was ended: this server has taken {SECONDS_MAX} s")
        if process.returncode not in expect:
            raise Wrong(f"coffer {' '.join(map(str, arguments))}: status {process.returncode}: {said[-600:]} {noted[-600:]}")
        return said

    # MARK: Steps

    def prepare(self):
        self.running.prepare(self.running.store(self.running.address, "prepared"), self.coffer)

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
        running = self.running
        line = Line(running.address, running.busy, running.kinds, running.is_writing) if running.address else None
        try:
            store = running.store(line.address if line else None, "corpus")
            self.coffer("enable", corpus, "--to", store, "--key-file", "digits")
            if line:
                self.kill_in_the_middle(line)
                line.lose_one_answer_of_each_kind()
            self.coffer("backup")
            self.coffer("verify", "--deep")
            self.coffer("restore", "--from", store, "--key-file", "digits", "Restored", device="new-phone")
            self.compare(corpus, "Restored")
            self.is_restored = True
            if line:
                self.mark_what_befell(line)
        finally:
            if line:
                line.stop()

    def kill_in_the_middle(self, line):
        """The first backup is killed when one of its packs is up whole and another one half."""
        with line.half_an_upload() as gate:
            backup = self.begin("backup")
            deadline = time.monotonic() + KILL_SECONDS_MAX
            while backup.poll() is None and time.monotonic() < deadline and not gate.is_reached.wait(0.02):
                pass
            status = backup.poll()
            backup.kill()
            said, noted = backup.communicate()
        if status is not None or not gate.is_reached.is_set():
            self.marks[16] = FAILED
            raise Wrong(
                f"the backup that was to be killed had status {status} and {gate.whole_count} packs up, and none half: {said} {noted}")

    def mark_what_befell(self, line):
        """Nothing is marked that did not happen."""
        self.marks[16] = PASSED
        for number, kind, times in ((9, "lost", len(line.lost_writes)), (12, "busy", line.faults.get("busy", 0))):
            if kind in line.kinds and not times:
                raise Wrong(f"no request {'lost its answer while it wrote' if number == 9 else 'met a busy server'}")
            self.marks[number] = PASSED if times else NOT_TRIED

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
        """Servers that are known to promise less, or to fail, are found out, and no others."""
        known = self.running
        found = {number for number, mark in self.marks.items() if mark == WEAKER}
        failed = {number for number, mark in self.marks.items() if mark == FAILED}
        if found - set(known.may_promise_less) != set(known.weaker):
            self.problems.append(f"promises less in {shown(found)}; known is {shown(known.weaker)}")
        if not set(known.broken) <= failed:
            self.problems.append(f"known to fail in {shown(known.broken)}, failed in {shown(failed)}")

    def close(self):
        """Group 18: all was as it is known."""
        self.marks[18] = FAILED if self.problems else PASSED
