"""Walks through a document: its blocks, in order, on machines that are folders."""

import pathlib
import re
import shlex
import shutil
import signal
import subprocess

from terminal import blocks, typed

# What people send each other, or publish.
SENT = ("*.pub", "*.toml", "*.json", "*.tokens")


class Machine:
    """An operator's, or a person's device. `words` are what it puts in the place of `<word>` in a table's row."""

    def __init__(self, name, folder, environment, mail, **words):
        self.name = name
        self.folder = folder
        self.environment = environment
        # Where its owner keeps what others sent.
        self.mail = mail
        self.here = folder
        self.words = {"name": name, "machine": str(folder)} | words
        self.serving = {}

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


class Walk:
    """Runs a document's commands as they stand there, but for what a table of words says."""

    def __init__(self, document, folder, stands_for, answers, units):
        self.blocks = list(blocks(document))
        self.folder = folder
        self.post = folder / "post"
        self.post.mkdir()
        self.stands_for = stands_for
        self.answers = answers
        self.units = units
        self.used = set()
        self.walked = set()
        # By everyone, but for what was typed into a file.
        self.printed = []

    def play(self, heading, cast, part=slice(None)):
        """The blocks below a heading, each by the machines that its fence names."""
        found = [number for number, block in enumerate(self.blocks) if block.heading == heading][part]
        assert found, f"the guide has no blocks below {heading}"
        for number in found:
            block = self.blocks[number]
            kind, _, rest = block.info.partition(" ")
            if kind == "sh":
                self.walked.add(number)
                for machine in cast[rest]:
                    self.run(machine, block.text)
            elif kind == "yaml":
                self.walked.add(number)
                for machine in cast["monitoring"]:
                    path = pathlib.Path(self.here(rest, machine))
                    path.write_text(self.here(block.text, machine))

    def here(self, text, machine):
        """The guide's words as they are on this machine."""
        for row, (there, here) in enumerate(self.stands_for):
            changed = re.sub(there, lambda _: here, text)
            if changed != text:
                self.used.add(row)
            text = changed
        return re.sub(r"<(\w+)>", lambda word: machine.words[word[1]], text)

    def run(self, machine, text):
        self.exchange(self.post, machine.mail)
        for line in text.replace("\\\n", " ").strip().split("\n"):
            self.command(machine, self.here(line, machine))
        self.exchange(machine.mail, self.post)

    def exchange(self, source, target):
        for pattern in SENT:
            for path in source.glob(pattern):
                if target.is_dir():
                    shutil.copy2(path, target / path.name)

    def command(self, machine, line):
        if place := re.match(r"cd (\S+)", line):
            machine.here = pathlib.Path(place[1])
        elif service := re.match(r"systemctl (start|stop|restart|enable --now) (\S+)", line):
            self.serve(machine, service[2]) if service[1] != "stop" else self.stop(machine, service[2])
        else:
            said = self.type(machine, line)
            # What the commands after this one are told.
            if serial := re.search(r"^serial (\w+)  label", said, re.M):
                machine.words["serial"] = serial[1]

    def type(self, machine, line, expect=0):
        begin = dict(self.answers)["cat > pin"] if "cat > pin" in line else ""
        status, said = typed(
            ["bash", "-c", line], self.answers, begin, cwd=str(machine.here), env=machine.environment)
        if not begin:
            self.printed.append(said)
        assert status == expect, f"{machine.name}: {line}\n{said}\nexit status {status}"
        return said

    # What systemd does.

    def exec_start(self):
        unit, = [block.text for block in self.blocks if block.info == "ini"]
        return re.search(r"^ExecStart=(.*)$", unit, flags=re.M)[1]

    def serve(self, machine, unit):
        command = self.here(self.units[unit] or self.exec_start(), machine)
        with open(machine.folder / "log", "ab") as log:
            process = subprocess.Popen(
                shlex.split(command), env=machine.environment, cwd="/", stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if unit == "coffer-vault" else log, stderr=log, text=True)
        machine.serving[unit] = process
        if unit == "coffer-vault":
            # Of its two listeners either may be there first.
            awaited = {"ready", "metrics"} if "--metrics" in command else {"ready"}
            for line in process.stdout:
                awaited.discard(line.split()[0])
                if not awaited:
                    return
            raise AssertionError(f"{machine.name} does not serve: {machine.log()[-2000:]}")

    def stop(self, machine, unit):
        if process := machine.serving.pop(unit, None):
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=30)
            if process.stdout:
                process.stdout.close()
            assert status == 0, f"{machine.name} ended with {status}"

    def kill(self, machine):
        for process in machine.serving.values():
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        machine.serving = {}
