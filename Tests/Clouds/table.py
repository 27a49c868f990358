"""The table of `Docs/Stores.md`: what each server was put through, how it did, and of which commit and day that is."""

import datetime
import subprocess

BEGIN, END = "<!-- clouds: begin -->", "<!-- clouds: end -->"
GROUPS = range(1, 19)
# What a row tells of; a change in anything else makes it no other.
TRIED = ("Package.swift", "Package.resolved", "Sources", "Tests/Clouds", "Tests/EndToEnd/fault_proxy.py", "Tests/Support")


def moment(root):
    """The day and the commit, with a `+` where what is tried has been changed since; the day alone where there is no git."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout.strip()
    day = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"
    try:
        changed = git("status", "--porcelain", "--", *TRIED)
        return f"{day} {git('rev-parse', '--short=7', 'HEAD')}{'+' if changed else ''}"
    except (OSError, subprocess.CalledProcessError):
        return day


def row(trial, when):
    marks = [trial.marks.get(number, "–") for number in GROUPS]
    running = trial.running
    extent = "" if running is None else "quick" if "--quick" in running.options else "whole"
    cells = [
        trial.name, running.note if running else "", extent, *marks, "✓" if trial.is_restored else "✗", f"{trial.total_seconds:.0f}", when]
    return "| " + " | ".join(cells) + " |"


def header():
    cells = ["server", "version", "extent", *map(str, GROUPS), "corpus", "s", "tried"]
    return ["| " + " | ".join(cells) + " |", "|" + "---|" * len(cells)]


def rows_of(text):
    """Name to row, of a table that is there."""
    rows = {}
    for line in text.splitlines():
        if line.startswith("| "):
            rows[line.split("|")[1].strip()] = line
    return rows


def write_rows(page, marks, header, rows, order):
    """Rows that are not new stay as they are, if `order` still has their names, and if they have a cell for each column."""
    text = page.read_text()
    before, rest = text.split(marks[0], 1)
    old, after = rest.split(marks[1], 1)
    kept = {name: line for name, line in rows_of(old).items() if line.count("|") == header[0].count("|")}
    rows = kept | rows
    lines = [*header, *(rows[name] for name in order if name in rows)]
    page.write_text(before + marks[0] + "\n" + "\n".join(lines) + "\n" + marks[1] + after)


def write_table(page, trials, order, when):
    write_rows(page, (BEGIN, END), header(), {trial.name: row(trial, when) for trial in trials}, order)
