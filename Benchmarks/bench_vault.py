#!/usr/bin/env python3
"""Measures a vault that serves, and writes its table of Docs/Performance.md.

    bench_vault.py --vault PATH --bench PATH --work DIR [--accounts 10000 1000000] [--write FILE]

For each number of accounts: a vault is made in DIR by its own commands and filled with that many records, started with its
files dropped from the cache, and again with them in it; then the vault itself is measured under evaluations that were sealed
beforehand, in rounds. Processor time is that of the vault's process, and of the parts of an evaluation that it counts in itself; between
the rounds these are measured by themselves. Vault and client have a core each then, where there are two. A number of accounts that
the disk has no room for is skipped by name.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

import vault_report

ROOM_KEPT = 15e9
# Of one account in the store, for whether there is room; what a vault really takes is measured.
BYTES_PER_ACCOUNT = 1_500
VAULTS = 5
# Half a second or so.
REQUESTS_A_ROUND = 600
HALF_RUNS = 5


class Failed(Exception):
    """A program did not do what it was measured at."""


def run(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, text=True, capture_output=True)
    if done.returncode != 0:
        raise Failed(f"{command}\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    return done.stdout


def on_core(core, *command):
    """The command on one core, if there is more than one and a way to say so."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or not shutil.which("taskset"):
        return list(command)
    return ["taskset", "-c", str(cores[core]), *command]


def memory(process):
    """Resident and peak bytes of a process."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines())
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")}


def drop_from_cache(folder):
    """So that a start reads the disk, as after the machine's own start."""
    for path in folder.iterdir():
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Vault:
    """One vault of a fleet of five in a folder of its own, and the process that serves it."""

    def __init__(self, work, arguments, accounts):
        self.work, self.arguments, self.accounts = work, arguments, accounts
        self.folder, self.fleet, self.issuer = work / "1", work / "fleet.toml", work / "issuer" / "issuer.key"
        self.process, self.page = None, None
        self.asked, self.made = min(accounts, arguments.asked), 0

    def command(self, *parts):
        return run(self.arguments.vault, *parts, cwd=self.work)

    def make(self):
        self.command("issuer", "new", "issuer")
        for number in range(1, VAULTS + 1):
            self.command("init", number, "--name", f"v{number}", "--url", f"http://127.0.0.1:{20_000 + number}")
        self.fleet.write_text(self.command("fleet", "new", *[f"{number}/vault.pub" for number in range(1, VAULTS + 1)]))
        self.command("fleet", "set", "1", "fleet.toml")
        self.command("tenant", "add", "bench", "--dir", "1", "--jwks", "issuer/issuer.jwks.json", "--no-waits",
                     "--charges-per-hour", 4_000_000_000, "--requests-per-minute", 1_000_000)
        return json.loads(run(self.arguments.bench, "fill", self.folder, "--fleet", self.fleet, "--accounts", self.accounts))

    def start(self, core=None):
        """Seconds until it serves, on all processors or on one."""
        command = [str(self.arguments.vault), "serve", str(self.folder), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        began = time.monotonic()
        self.process = subprocess.Popen(command if core is None else on_core(core, *command), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        said = {}
        while "ready" not in said:
            line = self.process.stdout.readline()
            if not line:
                raise Failed("the vault did not start")
            said[line.split()[0]] = line.split()[-1]
        self.page = said["metrics"]
        return time.monotonic() - began

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process.stdout.close()
            self.process = None

    def bench(self, core, name, *parts):
        return json.loads(run(*on_core(core, str(self.arguments.bench), name, *parts, "--fleet", str(self.fleet),
                                       "--issuer", str(self.issuer))))

    def own_parts(self):
        """Processor seconds of the parts so far, as the vault itself counts them on its threads."""
        with urllib.request.urlopen(self.page, timeout=20) as answer:
            samples = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
        return {part: float(samples.get(f'coffer_vault_part_processor_seconds_total{{part="{part}"}}', 0))
                for part in vault_report.PARTS}

    def parts(self):
        return self.bench(0, "parts", str(self.work), "--rounds", str(self.arguments.rounds))

    def load(self, requests, rate=None):
        """The next requests in line: at saturation, or so many a second."""
        port = (self.folder / "address").read_text().strip().rsplit(":", 1)[1]
        pace = ["--rate", str(rate)] if rate else []
        sent = self.bench(1, "load", "--port", port, "--process", str(self.process.pid), "--accounts", str(self.accounts),
                          "--asked", str(self.asked), "--made", str(self.made), "--requests", str(requests), *pace)
        self.made += requests
        return sent

    def measured_load(self, requests):
        """The next requests at saturation, and what the vault counted of their parts meanwhile, in microseconds for each."""
        before = self.own_parts()
        sent = self.load(requests)
        own = {part: (seconds - before[part]) * 1e6 / requests for part, seconds in self.own_parts().items()}
        return sent | {"own": own, "of-own": sent["processor"] / vault_report.sum_of_parts(own)}


def round_count(arguments):
    return max(1, arguments.requests // REQUESTS_A_ROUND)


def loaded(vault):
    """The vault at saturation in several short rounds, the parts of an evaluation between them, and then at half of that.

    Of its own parts, which the vault counts in the midst of the work, each round is compared with its own: whatever else the machine does
    slows both. The parts by themselves were measured at another moment. Others on the same machine only ever make it slower, so the
    fastest quarter of the rounds is compared with the fastest quarter of these.
    """
    # Every account that is asked for later is in memory by then, as are the vault's own tables.
    vault.load(vault.asked)
    parts, rounds = [vault.parts()], []
    count = round_count(vault.arguments)
    for _ in range(count):
        rounds.append(vault.measured_load(vault.arguments.requests // count))
        parts.append(vault.parts())
    sums = [vault_report.sum_of_parts(part) for part in parts]
    ratios = [each["processor"] / statistics.mean(sums[number:number + 2]) for number, each in enumerate(rounds)]
    own = [each["of-own"] for each in rounds]
    quiet_parts = fastest_quarter(parts, vault_report.sum_of_parts)
    numbers = {"processor": statistics.mean(each["processor"] for each in fastest_quarter(rounds, lambda one: one["processor"])),
               "perSecond": statistics.median(each["perSecond"] for each in rounds),
               "parts": {name: statistics.mean(part[name] for part in quiet_parts) for name in parts[0]}}
    numbers |= {"of-own": statistics.median(own), "of-own-range": (min(own), max(own)),
                "own": {part: statistics.median(each["own"][part] for each in rounds) for part in vault_report.PARTS}}
    numbers |= {"of-parts": numbers["processor"] / vault_report.sum_of_parts(numbers["parts"]),
                "of-parts-median": statistics.median(ratios),
                "processor-median": statistics.median(each["processor"] for each in rounds)}
    rate = numbers["perSecond"] / 2
    count = max(1, round(rate * vault.arguments.half_seconds / HALF_RUNS))
    halves = [vault.load(count, rate) for _ in range(HALF_RUNS)]
    return numbers | {"half": {name: statistics.median(each[name] for each in halves) for name in halves[0]},
                      "half-p99-most": max(each["p99"] for each in halves)}


def fastest_quarter(measured, microseconds):
    return sorted(measured, key=microseconds)[:max(1, len(measured) // 4)]


def measured(vault):
    """All numbers for one number of accounts."""
    filled = vault.make()
    print(f"    filled in {filled['seconds']:.0f} s", file=sys.stderr)
    size = sum(path.stat().st_size for path in vault.folder.iterdir())
    numbers = {"accounts": vault.accounts, "fill": filled["seconds"], "bytes": size / vault.accounts,
               "record": filled["recordBytes"]}
    try:
        drop_from_cache(vault.folder)
        numbers["start-cold"] = vault.start()
        vault.stop()
        numbers["start"] = vault.start()
        numbers |= {"started": memory(vault.process.pid)}
        vault.stop()
        # With as many event loops as it has processors then: one.
        numbers["start-alone"] = vault.start(core=0)
        print("    started in {start-cold:.2f} s from the disk, {start:.2f} s from the cache".format(**numbers),
              file=sys.stderr)
        numbers |= loaded(vault)
        numbers["served"] = memory(vault.process.pid)
        print("    {processor:.0f} us an evaluation, {of-own:.2f} of its parts, {of-parts:.2f} of them alone, {perSecond:.0f} a second; p99 {half[p99]:.1f} ms"
              .format(**numbers), file=sys.stderr)
    finally:
        vault.stop()
    return numbers


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def measure_all(arguments, skipped):
    results = []
    for accounts in arguments.accounts:
        work = arguments.work / "vault-bench"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        free, needed = shutil.disk_usage(work).free, accounts * BYTES_PER_ACCOUNT
        if free - needed < ROOM_KEPT and not arguments.small:
            skipped.append(f"{accounts:,} accounts: they need about {needed / 1e9:.0f} GB, and of {free / 1e9:.0f} GB free "
                           f"{ROOM_KEPT / 1e9:.0f} GB are left alone")
            print(f"skipped: {skipped[-1]}", file=sys.stderr)
            continue
        print(f"{accounts:,} accounts", file=sys.stderr)
        try:
            results.append(measured(Vault(work, arguments, accounts)))
            # Ten million take a while: what was measured before them is not lost with them.
            (arguments.work / "vault-results-so-far.json").write_text(json.dumps(results, indent=1))
        finally:
            if not arguments.keep:
                shutil.rmtree(work, ignore_errors=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vault", type=pathlib.Path, required=True, help="the program `coffer-vault`")
    parser.add_argument("--bench", type=pathlib.Path, required=True, help="the program `vault-bench`")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="where the vaults are made")
    parser.add_argument("--accounts", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--asked", type=int, default=10_000, help="how many accounts are asked for attempts")
    parser.add_argument("--requests", type=int, default=12_000, help="at saturation")
    parser.add_argument("--half-seconds", type=float, default=20, help="how long at half of that rate, in five runs")
    parser.add_argument("--rounds", type=int, default=400, help="of each part")
    parser.add_argument("--keep", action="store_true", help="leave the last vault where it is")
    parser.add_argument("--small", action="store_true", help="do not look whether there is room")
    parser.add_argument("--write", type=pathlib.Path, help="the page whose table is replaced")
    arguments = parser.parse_args()
    for name in ("vault", "bench", "work"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    skipped = []
    loads = [os.getloadavg()[0]]
    try:
        results = measure_all(arguments, skipped)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    loads.append(os.getloadavg()[0])
    facts = {"processor": processor(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}",
             "load": loads, "skipped": skipped, "requests": arguments.requests, "rounds": round_count(arguments),
             "asked": arguments.asked, "half": arguments.half_seconds}
    if not results:
        sys.exit("bench: nothing was measured")
    (arguments.work / "vault-results.json").write_text(json.dumps({"facts": facts, "results": results}, indent=1))
    text = vault_report.table(results, facts)
    print(text)
    if arguments.write:
        vault_report.write(arguments.write, text)


if __name__ == "__main__":
    main()
