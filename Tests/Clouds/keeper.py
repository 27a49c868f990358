"""Runs a server, and ends it with all that it started: when it is told to (SIGTERM), when whoever started it is gone, and when the
server ends by itself. The status is the server's.

    python keeper.py PARENT COMMAND...          PARENT: the process whose end is this one's

What makes itself a daemon, or loses its parent, becomes a child of this process (a subreaper; Linux), so nothing gets away.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# What was asked to end gets this long before it has to.
GRACE_SECONDS = 1


def parents():
    """Process to parent, of all there are."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name may hold spaces and brackets: what follows the last one is `state parent`.
            found[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            pass
    return found


def descendants():
    above, found, next_ones = parents(), [], [os.getpid()]
    while next_ones:
        next_ones = [process for process, parent in above.items() if parent in next_ones]
        found += next_ones
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_all():
    deadline = time.monotonic() + GRACE_SECONDS
    asked = set()
    while True:
        reap()
        left = descendants()
        if not left:
            return
        is_over = time.monotonic() > deadline
        for process in left:
            if is_over or process not in asked:
                asked.add(process)
                try:
                    os.kill(process, signal.SIGKILL if is_over else signal.SIGTERM)
                except ProcessLookupError:
                    pass
        time.sleep(0.01)


def is_told(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def main():
    parent, command = int(sys.argv[1]), sys.argv[2:]
    system = ctypes.CDLL(None)
    system.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, is_told)
    # Ctrl-C reaches the whole group: whoever started this ends it in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever blocks signals, as programs of Swift do, has children that never hear of them.
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    system.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        if os.getppid() != parent:
            return 0
        try:
            server = subprocess.Popen(command, restore_signals=True)
        except OSError as error:
            print(error, file=sys.stderr)
            return 127
        process = None
        while process != server.pid:
            process, status = os.wait()
        return os.waitstatus_to_exitcode(status) % 256
    finally:
        end_all()


if __name__ == "__main__":
    sys.exit(main())
