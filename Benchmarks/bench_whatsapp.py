#!/usr/bin/env python3
"""Measures `coffer whatsapp` beside wa-crypt-tools, and writes its table of Docs/Performance.md.

    bench_whatsapp.py DATABASE --coffer PATH --peer FOLDER --work DIR [--rounds 5] [--write FILE]

The database is sealed once at zlib's level 1, with the header of a given vector. Then each round opens it with every program in turn;
what came out must be the database, byte for byte. CPU seconds are user and system time of the command, peak memory is its own.
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

ROOT = pathlib.Path(__file__).resolve().parents[1]
VECTORS = ROOT / "Specs/vectors/crypt15"
KEY = VECTORS / "encrypted_backup.key"
BEGIN, END = "<!-- bench-whatsapp: begin -->", "<!-- bench-whatsapp: end -->"
OURS, THEIRS = "Coffer, open", "wa-crypt-tools, wadecrypt"
CPU_SHARE_MAX, PEAK_MAX = 0.45, 32


class Failed(Exception):
    """A program did not do what it was measured at."""


def measure(command):
    """CPU and wall seconds and the peak of memory in MiB of one command."""
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise Failed(f"{command}: {said[-500:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": time.monotonic() - began, "peak": usage.ru_maxrss / 1024}


def commands(arguments, sealed, work):
    """name → (command, the file that comes out, or None)."""
    opened = work / "opened.db"
    return {
        OURS: ([arguments.coffer, "whatsapp", "open", sealed, "-o", opened, "--key-file", KEY], opened),
        "Coffer, check": ([arguments.coffer, "whatsapp", "check", sealed, "--key-file", KEY, "--scratch", work], None),
        THEIRS: ([arguments.peer / "wadecrypt", KEY, sealed, opened], opened),
    }


def perform(arguments, work):
    sealed = work / "msgstore.db.crypt15"
    sealing = measure([arguments.coffer, "whatsapp", "seal", arguments.database, "--like",
                       VECTORS / "a-2022-msgstore.db.crypt15", "-o", sealed, "--level", "1", "--key-file", KEY])
    rounds = {name: [] for name in commands(arguments, sealed, work)}
    for number in range(arguments.rounds):
        for name, (command, output) in commands(arguments, sealed, work).items():
            numbers = measure(command)
            if output:
                if not filecmp.cmp(output, arguments.database, shallow=False):
                    raise Failed(f"{name}: what came out is not the database")
                output.unlink()
            print("round {}: {}: {cpu:.2f} CPU s, {wall:.1f} s, {peak:.0f} MiB".format(number + 1, name, **numbers), file=sys.stderr)
            rounds[name].append(numbers)
    results = {name: {field: statistics.median(numbers[field] for numbers in all_rounds) for field in all_rounds[0]}
               for name, all_rounds in rounds.items()}
    results["Coffer, seal at level 1 (once)"] = sealing
    return results, sealed.stat().st_size


def table(results, facts):
    lines = [
        f"A database of {facts['database'] / 1e6:,.1f} MB, {facts['sealed'] / 1e6:,.1f} MB as `.crypt15` (zlib level 1); medians of {facts['rounds']} rounds, "
        f"warm cache, {facts['cores']} cores of {facts['processor']}, {facts['system']}, load average {facts['load']:.1f} before.", "",
        "| | CPU s | wall s | peak memory, MiB |", "|---|---|---|---|"]
    for name, numbers in results.items():
        lines.append(f"| {name} | {numbers['cpu']:.2f} | {numbers['wall']:.2f} | {numbers['peak']:.0f} |")
    share = results[OURS]["cpu"] / results[THEIRS]["cpu"]
    lines += ["", f"`open` takes {share:.2f} of the CPU time of wa-crypt-tools (must be at most {CPU_SHARE_MAX}) and {results[OURS]['peak']:.0f} MiB "
              f"(at most {PEAK_MAX})."]
    return "\n".join(lines)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.split(":", 1)[1].split()[:2])
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("database", type=pathlib.Path)
    parser.add_argument("--coffer", type=pathlib.Path, required=True)
    parser.add_argument("--peer", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=pathlib.Path)
    arguments = parser.parse_args()
    work = arguments.work / "whatsapp-run"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    facts = {"load": os.getloadavg()[0], "rounds": arguments.rounds, "cores": os.cpu_count(), "processor": processor(),
             "system": f"{platform.system()} {platform.release()}", "database": arguments.database.stat().st_size}
    try:
        results, facts["sealed"] = perform(arguments, work)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = table(results, facts)
    print(text)
    (arguments.work / "whatsapp-results.json").write_text(json.dumps({"results": results, "facts": facts}, indent=1))
    if arguments.write:
        report.write(arguments.write, text, BEGIN, END)


if __name__ == "__main__":
    main()
