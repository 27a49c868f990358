#!/usr/bin/env python3
"""Measures Coffer and its peers on one corpus, in turn, and writes the table of Docs/Performance.md.

    bench_backup.py CORPUS --coffer PATH [--rounds 3] [--only NAME ...] [--peers DIR ...] [--write FILE]

CORPUS is what build-corpus made; the stores, restored folders and numbers of a run lie below CORPUS/run. CPU seconds are user and
system time of the whole process tree, so that a busy machine disturbs them little; wall seconds are only a hint there.
Programs take turns within a round, each with a fresh store; the numbers are medians over the rounds. Each program sees
the three days under one path, so that its own cache of known files works. Every restore of the first round is compared
byte for byte, and so is what the independent reader (Specs/reference/read_backup.py) restores of Coffer's day 1 and day 2.
A program that is not there is skipped by name.
"""

import argparse
import filecmp
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import report
import tools

DAYS = ("day1", "day2", "vacuumed")


class Failed(Exception):
    """A program did not do what it was measured at."""


def measure(command, environment, folder):
    """Runs a command (a list, or a line for bash) and gives CPU seconds, wall seconds and peak memory in MB."""
    arguments = ["bash", "-c", "set -o pipefail; " + command] if isinstance(command, str) else [str(p) for p in command]
    os.sync()
    with open(folder / "output.txt", "wb") as output:
        began = time.monotonic()
        child = subprocess.Popen(arguments, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise Failed(f"{arguments}\n{(folder / 'output.txt').read_text(errors='replace')[-2000:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "peak": usage.ru_maxrss * 1024 / 1e6}


def bytes_below(folder):
    """The length of all files, each hard link once."""
    seen, total = set(), 0
    for path, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(path, name))
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total


def same_pages(original, copy):
    """Whether two SQLite databases differ in free pages and in page 1's counters alone: what was deleted need not come back."""
    if os.path.getsize(original) != os.path.getsize(copy):
        return False
    with open(original, "rb") as ours, open(copy, "rb") as theirs:
        header = ours.read(100)
        if header[:16] != b"SQLite format 3\0":
            return False
        size = int.from_bytes(header[16:18], "big")
        size = 65_536 if size == 1 else size
        free, trunk = set(), int.from_bytes(header[32:36], "big")
        while trunk and trunk not in free:
            ours.seek((trunk - 1) * size)
            page = ours.read(size)
            leaves = int.from_bytes(page[4:8], "big")
            free |= {trunk, *(int.from_bytes(page[8 + 4 * i:12 + 4 * i], "big") for i in range(leaves))}
            trunk = int.from_bytes(page[:4], "big")
        ours.seek(0)
        number = 1
        while our_page := ours.read(size):
            their_page = theirs.read(size)
            if number == 1:
                our_page, their_page = (page[:24] + page[32:92] + page[100:] for page in (our_page, their_page))
            if our_page != their_page and number not in free:
                return False
            number += 1
    return True


def require_equal(source, target):
    """Every file of the source lies in the target with the same bytes; programs that keep whole paths put it deeper."""
    deeper = target / str(source).lstrip("/")
    restored = deeper if deeper.is_dir() else target
    for path, _, names in os.walk(source):
        for name in names:
            original = os.path.join(path, name)
            copy = restored / os.path.relpath(original, source)
            if not copy.is_file() or not (filecmp.cmp(original, copy, shallow=False) or same_pages(original, copy)):
                raise Failed(f"{copy} is not what {original} is")


class Run:
    """One program's turn: a fresh store, three days, restores and a verification."""

    def __init__(self, kind, programs, trees, folder, compare):
        self.folder, self.trees, self.compare = folder, trees, compare
        self.source = trees / "current"
        self.tool = kind(folder, programs)
        self.numbers = {}

    def step(self, name, command):
        print(f"    {name}", end="", file=sys.stderr, flush=True)
        self.numbers[name] = measure(command, self.tool.environment, self.folder)
        print(" {cpu:.2f} CPU s, {wall:.1f} s, {peak:.0f} MB".format(**self.numbers[name]), file=sys.stderr)

    def backup(self, step, day):
        with self.showing(day):
            before = bytes_below(self.tool.store) if self.tool.store.exists() else 0
            self.step(step, self.tool.backup(self.source, day))
            self.numbers[step]["stored"] = (bytes_below(self.tool.store) - before) / 1e6

    def restore(self, step, command, day):
        target = self.folder / step
        self.step(step, command(target))
        if self.compare and day:
            with self.showing(day):
                require_equal(self.source, target)
        if not day and not list(target.rglob(pathlib.Path(tools.DATABASE).name)):
            raise Failed(f"{self.tool.name} did not restore {tools.DATABASE}")
        shutil.rmtree(target)

    def showing(self, day):
        return Shown(self.trees / day, self.source)

    def perform(self):
        with self.showing("day1"):
            self.tool.prepare(self.source)
        self.backup("fresh", "day1")
        if self.tool.increments:
            self.backup("unchanged", "day1")
        self.restore("restore", self.tool.restore, "day1")
        if self.tool.takes_one_file:
            self.restore("one", self.tool.restore_one, None)
        if self.tool.verifies:
            with self.showing("day1"):
                self.step("verify", self.tool.verify())
        if self.tool.increments:
            self.backup("day2", "day2")
            self.restore("restore-day2", self.tool.restore, "day2")
            self.backup("vacuumed", "vacuumed")
        if self.compare:
            self.read_independently()
        return self.numbers

    def read_independently(self):
        for day, command in self.tool.independent_reader(self.folder / "read"):
            numbers = measure(command, self.tool.environment, self.folder)
            print("    read independently: {} {cpu:.2f} CPU s".format(day, **numbers), file=sys.stderr)
            with self.showing(day):
                require_equal(self.source, self.folder / "read")
            shutil.rmtree(self.folder / "read")


class Shown:
    """A day's tree under the path that every program is given."""

    def __init__(self, tree, source):
        self.tree, self.source = tree, source

    def __enter__(self):
        self.tree.rename(self.source)

    def __exit__(self, *_):
        self.source.rename(self.tree)


def link_trees(corpus, trees):
    """The corpus by hard links, so that its days can be renamed; then read once, for a warm cache."""
    for day in DAYS:
        shutil.copytree(corpus / day, trees / day, copy_function=os.link, symlinks=True)
    for path, _, names in os.walk(trees / "day1"):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                while file.read(1 << 20):
                    pass
    # A link is a change to its file, and programs that remember files leave out those that have just changed.
    time.sleep(5)


def medians(rounds):
    steps = {step for numbers in rounds for step in numbers}
    return {step: {field: statistics.median(numbers[step][field] for numbers in rounds) for field in rounds[0][step]}
            for step in steps if all(step in numbers for numbers in rounds)}


def chosen_tools(arguments):
    extra = [arguments.coffer.parent, *arguments.peers]
    for kind in tools.ALL:
        if arguments.only and not any(part.lower() in kind.name.lower() for part in arguments.only):
            continue
        programs = tools.find_programs(kind, extra)
        if isinstance(programs, str):
            print(f"skipped: {kind.name} ({programs} is not there)", file=sys.stderr)
        else:
            yield kind, programs


def run_rounds(arguments, folder):
    kinds = list(chosen_tools(arguments))
    rounds = {kind.name: [] for kind, _ in kinds}
    for number in range(arguments.rounds):
        for kind, programs in kinds:
            print(f"round {number + 1}: {kind.name}", file=sys.stderr)
            own = folder / "tool"
            own.mkdir()
            try:
                rounds[kind.name].append(Run(kind, programs, folder / "trees", own, number == 0).perform())
            finally:
                shutil.rmtree(own)
    versions = {kind.name: kind(folder, programs).version() for kind, programs in kinds}
    return {name: medians(numbers) for name, numbers in rounds.items()}, versions


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--coffer", type=pathlib.Path, required=True, help="the program that is to be measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="parts of the names of the programs to measure")
    parser.add_argument("--peers", nargs="+", type=pathlib.Path, default=[], help="where to look besides PATH")
    parser.add_argument("--beside", type=pathlib.Path,
                        help="an earlier results.json of this corpus and machine, for programs that are not measured now")
    parser.add_argument("--write", type=pathlib.Path, help="the page whose table is replaced")
    parser.add_argument("--work", type=pathlib.Path, help="where stores and restored folders go, on CORPUS' file system")
    arguments = parser.parse_args()
    arguments.coffer = arguments.coffer.resolve()
    # Programs are run from other folders. Not resolved: a virtual environment's links must stay.
    arguments.peers = [peer.absolute() for peer in arguments.peers]
    if not os.access(arguments.coffer, os.X_OK):
        sys.exit(f"bench: {arguments.coffer} is not there")
    corpus = arguments.corpus.resolve()
    folder = (arguments.work or corpus / "run").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "trees").mkdir(parents=True)
    link_trees(corpus, folder / "trees")
    try:
        results, versions = run_rounds(arguments, folder)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    finally:
        shutil.rmtree(folder / "trees")
    facts = {"rounds": arguments.rounds, "corpus": bytes_below(corpus / "day1") / 1e6, "versions": versions,
             "files": sum(len(names) for _, _, names in os.walk(corpus / "day1")),
             "processor": processor(), "cores": os.cpu_count(), "system": platform.system()}
    if arguments.beside:
        earlier = json.loads(arguments.beside.read_text())
        facts["beside"] = earlier["facts"]["rounds"]
        results |= {name: numbers for name, numbers in earlier["results"].items() if name not in results}
        versions |= {name: version for name, version in earlier["facts"]["versions"].items() if name not in versions}
    (folder / "results.json").write_text(json.dumps({"facts": facts, "results": results}, indent=1))
    text = report.table(results, facts)
    print(text)
    if arguments.write:
        report.write(arguments.write, text)


if __name__ == "__main__":
    main()
