"""A real server of other people's making, as the fleet knows it.

A module with servers has `SERVERS`, a dictionary from name to a function `start(folder) -> Running`, which may use the folder for
whatever the server keeps. It raises `Missing` with the reason where a program is not installed; all else that goes wrong is `Wrong`.
Ports are found free; what was started ends with `stop`, and with this program, with all that it started itself (keeper.py).
"""

import ctypes
import dataclasses
import importlib.metadata
import os
import pathlib
import re
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

LIBC = ctypes.CDLL(None)

sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))

from fault_proxy import KINDS  # noqa: E402
from line import is_writing  # noqa: E402


class Missing(Exception):
    """A program of this server is not installed; the words say which. Nothing else is `Missing`."""


class Wrong(Exception):
    """What a server or Coffer did that it should not have."""


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
    options: of `coffer store test`, `--quick` where lists have no pages, or the server is slow.
    busy: status and body of its busy answer.
    kinds: what befalls the line before it.
    is_writing: whether a request (method, path) makes or changes an object.
    fetch, push: another program reads a store into a folder, or writes a folder into a store; None where there is none.
    prepare: called with the store's text, a function that runs `coffer`, before anything else (a sign-in).
    note: its version, asked of the server.
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
    kinds: tuple = KINDS
    is_writing: typing.Callable[[str, str], bool] = is_writing
    fetch: typing.Callable[[str, pathlib.Path], None] | None = None
    push: typing.Callable[[pathlib.Path, str], None] | None = None
    prepare: typing.Callable | None = None
    note: str = ""


def die_with_parent():
    """For a child, before it becomes a program that starts no others (Linux)."""
    LIBC.prctl(1, signal.SIGKILL)


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


def package_version(name, python=None):
    """Of a package of Python: this one's, or another's."""
    try:
        if python is None:
            return importlib.metadata.version(name)
        question = f"import importlib.metadata as m; print(m.version({name!r}))"
        return subprocess.run([str(python), "-c", question], capture_output=True, text=True, check=True).stdout.strip()
    except (importlib.metadata.PackageNotFoundError, OSError, subprocess.CalledProcessError):
        raise Missing(f"{name} is not installed (scripts/setup --clouds)") from None


def said_version(*command):
    """The first version that a program says of itself."""
    said = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    found = re.search(r"\d+\.\d+[\w.]*", said)
    if not found:
        raise Wrong(f"{' '.join(map(str, command))} says no version: {said[:200]}")
    return found[0]


def spawn(arguments, folder, environment=None, log="server.log"):
    """A server whose output, and whatever it keeps in somebody's home, goes to the folder. Its process is that of a keeper, which ends
    it with all that it started."""
    folder.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | {"HOME": str(folder)}
    with open(folder / log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("keeper.py")), str(os.getpid()), *map(str, arguments)],
            cwd=folder, env=inherited | (environment or {}), stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def stopper(*processes):
    def stop():
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
    return stop


def name_of(process):
    return pathlib.Path(process.args[3]).name


def wait_until_answers(url, process=None, seconds=60):
    """Any answer of HTTP is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise Wrong(f"{name_of(process)} ended with status {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise Wrong(f"{url} does not answer within {seconds} s")
