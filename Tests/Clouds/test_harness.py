"""The trials of real servers, tried themselves: that what goes wrong is red, that what is green was shown, and that nothing is left."""

import contextlib
import http.client
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from http.server import BaseHTTPRequestHandler
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import clouds
import keeper
import line
import server
import table
import trial
import webdav_servers
from background import BackgroundServer

HERE = pathlib.Path(__file__).resolve().parent
LARGE = line.LARGE_BYTES_MIN * 2

# A `coffer` that does as much of each command as a trial looks at. Its store is PUT below the address.
COFFER = f"""#!{sys.executable}
import http.client, json, os, sys, threading, urllib.parse
what, server = sys.argv[1], os.environ["SERVER"]
def put(path, size):
    for _ in range(20):
        try:
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(server).netloc)
            connection.request("PUT", path, bytes(size))
            if connection.getresponse().status < 300:
                return
        except (OSError, http.client.HTTPException):
            pass
    sys.exit("no success")
if what == "store":
    print(json.dumps({{"groups": json.loads(os.environ.get("GROUPS", "[]"))}}))
elif what == "enable":
    server = sys.argv[sys.argv.index("--to") + 1]
    open("server", "w").write(server)
    for number in range(4):
        put(f"/small{{number}}", 100)
elif what == "backup":
    server = open("server").read()
    for number in range(int(os.environ["PACKS"])):
        put(f"/pack{{number}}", {LARGE})
    for number in range(40):
        put(f"/index{{number}}", 100)
elif what == "restore":
    sys.exit(int(os.environ.get("RESTORES", "0")))
"""


class Taking(BackgroundServer):
    """A server that takes everything, and notes what it was told to expect and what it got."""

    def __init__(self):
        self.got = []
        super().__init__(Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        length = int(self.headers.get("Content-Length") or 0)
        got = len(self.rfile.read(length))
        self.server.got.append((self.path, length, got))
        self.send_response(201 if got == length else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_MOVE = do_PUT

    def log_message(self, *_):
        pass


class Harness(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def taking(self):
        taking = Taking()
        self.addCleanup(taking.stop)
        return taking

    def quietly(self, do, *arguments):
        """What it returns, and what it printed."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            return do(*arguments), said.getvalue()

    def until(self, is_so, seconds=10):
        deadline = time.monotonic() + seconds
        while not is_so():
            self.assertLess(time.monotonic(), deadline, "it takes too long")
            time.sleep(0.01)


class Rows(Harness):
    """What goes wrong with one server is a row of its own."""

    def tried(self, **servers):
        """Name to trial, of those that were tried; the names that failed."""
        found = {}
        (failed, _), self.said = self.quietly(clouds.try_all, servers, lambda one: found.setdefault(one.name, one))
        return found, failed

    def sound(self, folder):
        return server.Running(store=lambda address, name: name, stop=lambda: None)

    def steps(self, **steps):
        """Trials whose steps do nothing, or what is given."""
        for name in ("contract", "corpus_through_a_bad_line", "other_programs"):
            def step(one, name=name):
                return steps[name](one) if name in steps else setattr(one, "is_restored", True)
            step.__name__ = name
            patch = mock.patch.object(trial.Trial, name, step)
            patch.start()
            self.addCleanup(patch.stop)

    def test_a_server_that_does_not_start_is_red_and_the_next_one_is_tried(self):
        self.steps()

        def ends(folder):
            server.wait_until_answers(f"http://127.0.0.1:{server.free_port()}", server.spawn(["false"], folder))

        def bent(folder):
            raise ValueError("bent")

        found, failed = self.tried(ends=ends, bent=bent, sound=self.sound)
        self.assertEqual(failed, ["ends", "bent"])
        self.assertEqual({name: one.marks[18] for name, one in found.items()}, {"ends": "✗", "bent": "✗", "sound": "✓"})
        self.assertIn("start: false ended with status 1", self.said)
        self.assertEqual(table.row(found["ends"], "now"), f"| ends |  |  |{' – |' * 17} ✗ | ✗ | 0 | now |")

    def test_only_what_is_not_installed_is_skipped(self):
        self.steps()
        found, failed = self.tried(
            absent=lambda folder: server.Running(None, lambda: None, note=server.program("no such program")), sound=self.sound)
        self.assertEqual((list(found), failed), (["sound"], []))
        self.assertIn("absent: skipped: no such program is not installed", self.said)

    def test_whatever_a_step_raises_is_red(self):
        for error in (KeyError("x"), subprocess.CalledProcessError(3, ["rclone"], stderr=b"its words"), trial.Wrong("wrong")):
            with self.subTest(error=error):
                def fail(one):
                    raise error
                self.steps(other_programs=fail)
                found, failed = self.tried(one=self.sound, two=self.sound)
                self.assertEqual(failed, ["one", "two"])
                self.assertEqual((found["one"].marks[17], found["one"].marks[18]), ("✗", "✗"))
                self.assertIn(trial.described(error), self.said)

    def test_a_server_that_still_answers_is_red(self):
        self.steps()
        taking = self.taking()
        _, failed = self.tried(
            left=lambda folder: server.Running(store=lambda address, name: name, stop=lambda: None, address=taking.address))
        self.assertEqual(failed, ["left"])
        self.assertIn("still answers", self.said)

    def test_no_sign_in_no_steps(self):
        self.steps(contract=lambda one: self.fail("it was tried"))

        def prepare(store, coffer):
            raise trial.Wrong("no sign-in")

        found, failed = self.tried(
            one=lambda folder: server.Running(store=lambda address, name: name, stop=lambda: None, prepare=prepare))
        self.assertEqual((failed, found["one"].problems), (["one"], ["prepare: no sign-in"]))

    def test_the_whole_run_is_red_if_one_server_is(self):
        self.steps()
        for starter, status in ((self.sound, 0), (lambda folder: 1 / 0, 1)):
            with mock.patch.object(clouds, "known_servers", lambda: {"one": starter}), mock.patch.object(sys, "argv", ["clouds.py"]), \
                    mock.patch.object(clouds, "COFFER", HERE), mock.patch.dict(os.environ, CLOUDS=""), \
                    mock.patch.object(signal, "signal"), self.assertRaises(SystemExit) as caught:
                self.quietly(clouds.main)
            self.assertEqual(caught.exception.code, status)


class Known(Harness):
    """What a server is known to do badly is found out, and nothing else passes for it."""

    def problems(self, outcomes, **known):
        """What is red in a server with these outcomes of groups."""
        running = server.Running(store=lambda address, name: name, stop=None, **known)
        one = trial.Trial("one", running, self.folder, self.folder)
        report = {"groups": [{"number": number, "outcome": outcome, "title": "", "words": ""} for number, outcome in outcomes.items()]}
        with mock.patch.object(one, "coffer", lambda *_, **__: json.dumps(report)):
            one.contract()
        one.compare_with_what_is_known()
        return one.problems

    def test_what_is_known_is_expected(self):
        self.assertEqual(self.problems({5: "weaker"}, weaker={5}), [])
        self.assertEqual(self.problems({5: "weaker"}, may_promise_less={5}), [])
        self.assertEqual(self.problems({5: "passed"}, may_promise_less={5}), [])
        self.assertEqual(self.problems({4: "failed"}, broken={4}), [])
        self.assertEqual(self.problems({7: "failed"}, unsteady={7}), [])
        self.assertEqual(self.problems({7: "passed"}, unsteady={7}), [])

    def test_what_is_not_is_red(self):
        self.assertTrue(self.problems({5: "weaker"}))
        self.assertTrue(self.problems({5: "passed"}, weaker={5}))
        self.assertTrue(self.problems({4: "passed"}, broken={4}))
        self.assertTrue(self.problems({4: "failed"}))


class Killed(Harness):
    """Columns 9, 12 and 16 say what happened, with a `coffer` that is played."""

    def played(self, packs=3, groups="[]", restores=0):
        program = self.folder / "coffer"
        program.write_text(COFFER)
        program.chmod(0o755)
        taking = self.taking()
        running = server.Running(
            store=lambda address, name: address, stop=lambda: None, address=taking.address,
            environment={"SERVER": taking.address, "PACKS": str(packs), "GROUPS": groups, "RESTORES": str(restores)})
        one = trial.Trial("played", running, self.folder, self.folder)
        with mock.patch.object(trial, "COFFER", program), mock.patch.object(trial, "make_corpus", lambda folder, root: folder), \
                mock.patch.object(trial.Trial, "compare", lambda *_: None):
            one.run()
        one.close()
        return one, taking

    def test_the_kill_comes_when_one_pack_is_up_and_another_half(self):
        one, taking = self.played()
        self.assertEqual(one.problems, [])
        self.assertEqual({number: one.marks[number] for number in (9, 12, 16, 18)}, {9: "✓", 12: "✓", 16: "✓", 18: "✓"})
        self.until(lambda: any(got < length for _, length, got in taking.got))
        packs = [entry for entry in taking.got if entry[1] == LARGE]
        halves = [entry for entry in packs if entry[2] < LARGE]
        self.assertEqual(halves, [("/pack1", LARGE, LARGE // 2)])
        self.assertIn(("/pack0", LARGE, LARGE), packs)

    def test_a_backup_that_is_done_before_is_no_kill(self):
        one, _ = self.played(packs=1)
        self.assertEqual((one.marks[16], one.marks[18], one.is_restored), ("✗", "✗", False))
        self.assertIn("1 packs up, and none half", one.problems[0])

    def test_no_mark_without_a_restore(self):
        one, _ = self.played(restores=1)
        self.assertEqual([one.marks.get(number) for number in (9, 12, 16)], [None, None, None])
        self.assertEqual(one.marks[18], "✗")


class Lines(Harness):
    def ask(self, address, method, path):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc)
        try:
            connection.request(method, path, b"")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def test_only_a_lost_answer_to_what_was_written_counts(self):
        bad = line.Line(self.taking().address, (503, b""))
        self.addCleanup(bad.stop)
        with mock.patch.object(bad, "share", 1), mock.patch.object(bad, "kinds", ("lost",)):
            self.assertIsNone(self.ask(bad.address, "GET", "/a"))
            self.assertEqual((bad.faults, bad.lost_writes), ({"lost": 1}, []))
            self.assertIsNone(self.ask(bad.address, "PUT", "/token"))
            self.assertEqual(bad.lost_writes, [])
            self.assertIsNone(self.ask(bad.address, "PUT", "/a"))
            self.assertEqual(bad.lost_writes, [("PUT", "/a")])

    def test_what_was_refused_was_not_written(self):
        bad = line.Line(self.taking().address, (503, b""))
        self.addCleanup(bad.stop)
        bad.done("lost", "PUT", "/a", 0, 412)
        bad.done(None, "PUT", "/a", 0, 201)
        bad.done("cut", "PUT", "/a", 0, 201)
        self.assertEqual(bad.lost_writes, [])
        bad.lose_one_answer_of_each_kind()
        self.assertEqual([bad.done(None, "PUT", "/a", 0, status) for status in (501, 201, 201)], [None, "lost", None])
        self.assertEqual(bad.lost_writes, [("PUT", "/a")])

    def test_each_kind_loses_one_answer_for_certain(self):
        bad = line.Line(self.taking().address, (503, b""))
        self.addCleanup(bad.stop)
        bad.share = 0
        bad.lose_one_answer_of_each_kind()
        answers = [self.ask(bad.address, method, "/a") for method in ("PUT", "PUT", "GET", "MOVE", "MOVE")]
        self.assertEqual(answers, [None, 201, 201, None, 201])
        self.assertEqual(bad.lost_writes, [("PUT", "/a"), ("MOVE", "/a")])


# Starts a server as a trial does, and says its process and those that it started.
STARTER = """
import pathlib, signal, sys, time
if sys.argv[4:]:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
sys.path.insert(0, sys.argv[1])
import server
folder = pathlib.Path(sys.argv[2])
process = server.spawn([sys.executable, "-c", sys.argv[3]], folder)
print(process.pid, flush=True)
sys.stdin.read()
"""
# A server that makes a daemon as memcached and Ceph do, which no signal to a group or a parent's end reaches, and stays.
DAEMON = """
import os, pathlib, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        pathlib.Path("new").write_text(str(os.getpid()))
        pathlib.Path("new").rename("daemon")
        time.sleep(600)
    os._exit(0)
time.sleep(601)
"""
STAYS = "time.sleep(601)"


@unittest.skipUnless(sys.platform == "linux", "keepers are of Linux")
class Left(Harness):
    """Nothing outlives a run, however it ends."""

    def begin(self, program, *blocked):
        """The processes of keeper and daemon."""
        self.starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(HERE), str(self.folder), program, *blocked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.starter.stdout.close)
        self.addCleanup(self.starter.stdin.close)
        self.addCleanup(self.starter.wait)
        self.addCleanup(self.starter.kill)
        kept = int(self.starter.stdout.readline())
        return kept, self.daemon()

    def daemon(self):
        self.until((self.folder / "daemon").exists)
        return int((self.folder / "daemon").read_text())

    def is_gone(self, process):
        try:
            return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def test_a_daemon_ends_when_the_run_is_killed(self):
        kept, daemon = self.begin(DAEMON)
        self.assertFalse(self.is_gone(daemon))
        self.starter.kill()
        self.until(lambda: self.is_gone(daemon) and self.is_gone(kept))

    def test_a_daemon_ends_where_signals_were_blocked(self):
        kept, daemon = self.begin(DAEMON, "blocked")
        self.starter.kill()
        self.until(lambda: self.is_gone(daemon) and self.is_gone(kept))

    def test_a_daemon_ends_with_its_server(self):
        kept, daemon = self.begin(DAEMON.replace(STAYS, "time.sleep(1)"))
        self.until(lambda: self.is_gone(daemon) and self.is_gone(kept))

    def test_a_daemon_ends_when_its_server_is_stopped(self):
        process = server.spawn([sys.executable, "-c", DAEMON], self.folder)
        daemon = self.daemon()
        server.stopper(process)()
        self.assertTrue(self.is_gone(daemon))

    def test_the_status_is_the_servers(self):
        process = server.spawn([sys.executable, "-c", "raise SystemExit(7)"], self.folder)
        self.assertEqual(process.wait(20), 7)
        self.assertEqual(server.spawn(["/no/such/program"], self.folder).wait(20), 127)

    @unittest.skipUnless(pathlib.Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so").exists(), "nginx is not installed")
    def test_no_worker_of_nginx_is_left(self):
        url, _, _, stop = webdav_servers.start_nginx(self.folder)
        self.addCleanup(stop)
        (master,) = [process for process, parent in keeper.parents().items() if parent == self.keeper_of(url)]
        workers = [process for process, parent in keeper.parents().items() if parent == master]
        self.assertTrue(workers)
        os.kill(master, signal.SIGKILL)
        self.until(lambda: all(map(self.is_gone, workers)))
        self.assertFalse(webdav_servers.answers(url))

    def keeper_of(self, url):
        return next(
            process for process, parent in keeper.parents().items()
            if parent == os.getpid() and b"nginx" in pathlib.Path(f"/proc/{process}/cmdline").read_bytes())

    def test_folders_of_killed_runs_are_swept(self):
        gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout.strip()
        names = [f"coffer-clouds-{gone}-abc", f"coffer-clouds-{os.getpid()}-abc", "coffer-clouds-other"]
        for name in names:
            (self.folder / name / "inner").mkdir(parents=True)
        clouds.sweep(self.folder)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), sorted(names[1:]))


class Page(Harness):
    def test_rows_of_others_stay_and_those_of_nobody_go(self):
        page = self.folder / "page.md"
        old = [f"| {name} | 1 | whole |{' ✓ |' * 18} ✓ | 5 | then |" for name in ("b", "a", "nobody")] + ["| of another shape | 1 |"]
        page.write_text("\n".join(["before", table.BEGIN, *table.header(), *old, table.END, "after"]))
        one = trial.Trial("a", server.Running(store=None, stop=None, note="2", options=("--quick",)), self.folder, self.folder)
        one.marks, one.is_restored = {1: "✓", 5: "less"}, True
        table.write_table(page, [one], ["a", "b", "c"], "2026-11-22 abcdef0")
        lines = page.read_text().split("\n")
        self.assertEqual(lines[:2] + lines[-2:], ["before", table.BEGIN, table.END, "after"])
        self.assertEqual(lines[4:-2], [table.row(one, "2026-11-22 abcdef0"), old[0]])
        self.assertTrue(lines[4].startswith("| a | 2 | quick | ✓ | – | – | – | less | –"), lines[4])
        self.assertTrue(lines[4].endswith("| ✓ | 0 | 2026-11-22 abcdef0 |"), lines[4])
        self.assertEqual({text.count("|") for text in lines[2:-2]}, {lines[2].count("|")})

    def test_the_moment_names_the_commit_and_what_is_not_in_it(self):
        def git(*words):
            subprocess.run(["git", "-C", str(self.folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
                           check=True, capture_output=True)
        self.assertRegex(table.moment(self.folder), r"^\d{4}-\d\d-\d\d$")
        git("init", "-q")
        (self.folder / "Sources").mkdir()
        (self.folder / "Sources/a").write_text("a")
        git("add", ".")
        git("commit", "-q", "-m", "a")
        self.assertRegex(table.moment(self.folder), r"^\d{4}-\d\d-\d\d [0-9a-f]{7}$")
        (self.folder / "README").write_text("b")
        self.assertRegex(table.moment(self.folder), r"[0-9a-f]{7}$")
        (self.folder / "Sources/b").write_text("b")
        self.assertRegex(table.moment(self.folder), r"[0-9a-f]{7}\+$")

    def test_a_version_is_what_the_program_says(self):
        for said, version in (("nginx version: nginx/1.22.1", "1.22.1"), ("rclone v1.75.2\n- os 12", "1.75.2"),
                              ("ceph version 16.2.15 (618f)", "16.2.15"), ("Server version: Apache/2.4.71 (Debian)", "2.4.71")):
            self.assertEqual(server.said_version(sys.executable, "-c", f"print({said!r})"), version)
        with self.assertRaises(server.Wrong):
            server.said_version(sys.executable, "-c", "print('none')")
        with self.assertRaises(server.Missing):
            server.package_version("no-such-package")
        with self.assertRaises(server.Missing):
            server.package_version("no-such-package", sys.executable)

    def test_every_server_of_the_page_is_known(self):
        page = (HERE.parents[1] / "Docs/Stores.md").read_text()
        names = table.rows_of(page.split(table.BEGIN)[1].split(table.END)[0])
        self.assertLessEqual({name for name in names if name != "server"}, set(clouds.known_servers()))


if __name__ == "__main__":
    unittest.main()
