"""A real server of other people's making, as the fleet knows it.

A module with servers has `SERVERS`, a dictionary from name to a function `start(folder) -> Running`, which may use the folder for
whatever the server keeps, and raises `Missing` with the reason where the server cannot be had. Ports are found free; what was
started ends with `stop` (and with this program: it is a child that dies with its parent).
"""

import ctypes
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".build-tools"
COFFER = pathlib.Path(os.environ.get("COFFER", ROOT / ".build" / "debug" / "coffer"))
CLOUDS_BIN = TOOLS / "clouds" / "bin"

sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))


class Missing(Exception):
    """This server cannot be had here; the words say why."""


@dataclasses.dataclass
class Running:
    """A server that answers.

    store: from an address `http://HOST:PORT` (the server's, or that of a line before it) and a name to the text of a store there
        that nothing else uses.
    address: `http://HOST:PORT` of the server; None where no line can be put before it.
    environment: what signs in there.
    weaker: the groups in which it is known to promise less.
    may_promise_less: the groups in which it depends on the moment.
    broken: the groups in which it is known to fail: bad citizens are here to show that they are found out.
    unsteady: the groups in which it fails now and then.
    options: of `coffer store test`, `--quick` where the server is slow.
    busy: status and body of its busy answer.
    fetch, push: another program reads a store into a folder, or writes a folder into a store; None where there is none.
    prepare: called with the store's text, a function that runs `coffer`, before anything else (a sign-in).
    """

    store: typing.Callable[[str, str], str]
    stop: typing.Callable[[], None]
    address: str | None = None
    environment: dict = dataclasses.field(default_factory=dict)
    weaker: frozenset = frozenset()
    may_promise_less: frozenset = frozenset()
    broken: frozenset = frozenset()
    unsteady: frozenset = frozenset()
    options: tuple = ()
    busy: tuple = (503, b"")
    fetch: typing.Callable[[str, pathlib.Path], None] | None = None
    push: typing.Callable[[pathlib.Path, str], None] | None = None
    prepare: typing.Callable | None = None
    note: str = ""


def die_with_parent():
    """For a child, before it becomes the server (Linux): no server is left by a run that was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name, *folders):
    """The path of a program in the fleet's environment or on this machine."""
    path = shutil.which(name, path=os.pathsep.join([str(CLOUDS_BIN), *map(str, folders), os.environ["PATH"], "/usr/sbin"]))
    if path is None:
        raise Missing(f"{name} is not installed (scripts/setup --clouds)")
    return path


def spawn(arguments, folder, environment=None, log="server.log"):
    """A server whose output goes to a file of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    output = open(folder / log, "ab")
    return subprocess.Popen(
        [str(argument) for argument in arguments], cwd=folder, env=os.environ | (environment or {}), stdin=subprocess.DEVNULL,
        stdout=output, stderr=output, preexec_fn=die_with_parent)


def stopper(*processes):
    def stop():
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return stop


def wait_until_answers(url, process=None, seconds=60):
    """Any answer of HTTP is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise Missing(f"{process.args[0]} ended with status {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise Missing(f"{url} does not answer within {seconds} s")
