#!/usr/bin/env python3
"""What a store in a cloud costs beside a folder (`make bench-stores`): CPU and memory of Coffer alone, with a real S3 server on this
machine, and how much latency costs.

    bench_stores.py FOLDER --coffer .build/release/coffer [--megabytes 400] [--rounds 7] [--write Docs/Performance.md]

FOLDER is what is backed up, up to so many megabytes. The server shares the cores, so that times of the clock say little; a process's
own CPU time does.
"""

import argparse
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests" / "Clouds"))

import s3_servers  # noqa: E402
from server import Missing  # noqa: E402

BEGIN, END = "<!-- stores: begin -->", "<!-- stores: end -->"
LATENCY_SECONDS = 0.1
WINDOWS_BYTES = (1 << 20, 256 << 10)
PACK_BYTES = 16 << 20


class LatencyLine:
    """A line to a server on which an answer takes 100 ms longer, and a connection has at most so much on its way, as a TCP window."""

    def __init__(self, port, window_bytes):
        self.port, self.window_bytes = port, window_bytes
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    def carry(self, source, target):
        """Bytes leave half a round trip after they came; whoever has a window on its way waits."""
        on_way, changed = [], threading.Condition()

        def deliver():
            while True:
                with changed:
                    while not on_way:
                        changed.wait()
                    due, data = on_way[0]
                time.sleep(max(0, due - time.monotonic()))
                try:
                    target.sendall(data) if data else target.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                with changed:
                    # What is on its way is so until its receipt is back.
                    threading.Timer(LATENCY_SECONDS / 2, release, args=(len(data),)).start() if data else None
                    on_way.pop(0)
                if not data:
                    return

        held = [0]

        def release(count):
            with changed:
                held[0] -= count
                changed.notify_all()

        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                data = source.recv(256 << 10)
            except OSError:
                data = b""
            with changed:
                while held[0] >= self.window_bytes:
                    changed.wait()
                held[0] += len(data)
                on_way.append((time.monotonic() + LATENCY_SECONDS / 2, data))
                changed.notify_all()
            if not data:
                return

    def stop(self):
        self.listener.close()


class PeakMemory(threading.Thread):
    """The most that a process had in memory, as the kernel tells while it runs: what wait() tells counts the parent that it began as."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path = pathlib.Path(f"/proc/{pid}/status")
        self.program = os.readlink("/proc/self/exe")
        self.megabytes = 0
        self.start()

    def run(self):
        while True:
            try:
                if os.readlink(self.path.with_name("exe")) != self.program:
                    found = [line for line in self.path.read_text().splitlines() if line.startswith("VmHWM")]
                    if not found:
                        return
                    self.megabytes = int(found[0].split()[1]) / 1_024
            except OSError:
                return
            time.sleep(0.01)


class Coffer:
    def __init__(self, program, folder, environment):
        self.program, self.folder = program, folder
        self.environment = os.environ | environment | {
            "HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "home/state"), "COFFER_KEY_STORAGE": "file"}
        (folder / "home").mkdir(parents=True)

    def run(self, *arguments):
        """CPU seconds, the largest memory in MB, and seconds of the clock."""
        begun = time.monotonic()
        process = subprocess.Popen(
            [str(self.program), *map(str, arguments)], env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        watcher = PeakMemory(process.pid)
        words = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"coffer {arguments}: {words.decode(errors='replace')[-1000:]}")
        return usage.ru_utime + usage.ru_stime, watcher.megabytes, time.monotonic() - begun


def part_of(source, megabytes, target):
    """The first files of the folder, as links, and how many bytes they are."""
    left = megabytes * 1_000_000
    for path in sorted(path for path in pathlib.Path(source).rglob("*") if path.is_file()):
        if path.stat().st_size > left:
            continue
        left -= path.stat().st_size
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:
            shutil.copyfile(path, place)
    return megabytes * 1_000_000 - left


def round_of(coffer, store, source):
    coffer.run("enable", source, "--to", store, "--key-file", "digits")
    steps = {"backup": coffer.run("backup", "--json")}
    steps["restore"] = coffer.run("restore", "--from", store, "--key-file", "digits", "Restored", "--json")
    done = subprocess.run([str(ROOT / "scripts/compare-folders"), str(source), str(coffer.folder / "Restored")])
    if done.returncode:
        sys.exit("what was restored differs")
    steps["verify --deep"] = coffer.run("verify", "--deep", "--json")
    return steps


def medians(rounds):
    return {step: [statistics.median(one[step][index] for one in rounds) for index in range(3)] for step in rounds[0]}


def measured(options, source, work, server):
    """Medians for the folder and for the bucket, which take turns: a machine that others share is faster at one moment than at another."""
    rounds = {"folder": [], "bucket": []}
    for number in range(options.rounds):
        for kind in rounds:
            folder = work / f"{kind}-{number}"
            store = folder / "store" if kind == "folder" else server.store(server.address, f"round-{number}")
            rounds[kind].append(round_of(Coffer(options.coffer, folder, server.environment), store, source))
            shutil.rmtree(folder)
    return [medians(rounds[kind]) for kind in rounds]


def latency(options, work, server):
    """Seconds for the same bytes: Coffer's backup, and boto3 that puts one pack after the other."""
    noise = work / "noise"
    noise.mkdir()
    dice = random.Random(3)
    for number in range(12):
        (noise / f"{number}.bin").write_bytes(dice.randbytes(PACK_BYTES))
    return [(window, *raced(options, work / f"far-{window}", server, noise, window)) for window in WINDOWS_BYTES]


def raced(options, work, server, noise, window_bytes):
    line = LatencyLine(int(server.address.rsplit(":", 1)[1]), window_bytes)
    try:
        coffer = Coffer(options.coffer, work, server.environment)
        coffer.run("enable", noise, "--to", server.store(line.address, work.name), "--key-file", "digits")
        ours = coffer.run("backup", "--json")[2]
        bucket = s3_servers.client(
            line.address, server.environment["AWS_ACCESS_KEY_ID"], server.environment["AWS_SECRET_ACCESS_KEY"])
        begun = time.monotonic()
        for path in sorted(noise.iterdir()):
            bucket.put_object(Bucket=s3_servers.BUCKET, Key=f"serial/{path.name}", Body=path.read_bytes())
        return ours, time.monotonic() - begun
    finally:
        line.stop()


def page(bytes_, folder, bucket, races, rounds):
    lines = [
        f"{bytes_ / 1e6:,.0f} MB of the corpus; medians of {rounds} rounds; rclone 1.75 `serve s3` on the same two cores, which restores compare byte for byte.", "",
        "| | folder, CPU s | bucket, CPU s | times | folder, peak MB | bucket, peak MB |", "|---|---|---|---|---|---|"]
    for step in folder:
        (ours_cpu, ours_memory, _), (cpu, memory, _) = folder[step], bucket[step]
        lines.append(f"| {step} | {ours_cpu:.2f} | {cpu:.2f} | {cpu / ours_cpu:.2f} | {ours_memory:.0f} | {memory:.0f} |")
    for window, ours, serial in races:
        lines += ["", f"201 MB of noise over a line of 100 ms and a window of {window >> 10:,} KiB for each connection: {ours:.1f} s, {serial / ours:.1f} times as fast "
                  f"as boto3, which sends the same bytes one pack after the other ({serial:.1f} s)."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--coffer", type=pathlib.Path, default=ROOT / ".build/release/coffer")
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write")
    options = parser.parse_args()
    options.coffer = options.coffer.resolve()
    work = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-stores-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    try:
        server = s3_servers.rclone(work / "server")
    except Missing as reason:
        sys.exit(str(reason))
    try:
        source = work / "source"
        bytes_ = part_of(options.source, options.megabytes, source)
        folder, bucket = measured(options, source, work, server)
        text = page(bytes_, folder, bucket, latency(options, work, server), options.rounds)
    finally:
        server.stop()
        shutil.rmtree(work, ignore_errors=True)
    print(text)
    if options.write:
        path = ROOT / options.write
        before, rest = path.read_text().split(BEGIN, 1)
        path.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END, 1)[1])


if __name__ == "__main__":
    main()
