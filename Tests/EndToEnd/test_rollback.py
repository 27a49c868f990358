"""Vaults whose disk is put back to an earlier state, as real processes."""

import shutil
import signal
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request

from fleet import FleetSession, free_port
from session import BINARIES

WITNESSES = ["north", "east", "south", "west"]
ROLLED_BACK = 76


class FileAnchor(FleetSession):
    vault_count = 1

    def test_a_store_that_is_put_back_is_refused_and_left_alone(self):
        self.stop("one")
        store = self.folder / "one" / "vault.sqlite"
        copy = self.folder / "copy.sqlite"
        self.assertIn("remembers this head", self.vault("audit", "one"))
        shutil.copy(store, copy)
        self.vault("tenant", "add", "chat-app", "--dir", "one", "--jwks", "issuer/issuer.jwks.json", "--budget", "2")
        present = self.folder / "present.sqlite"
        shutil.copy(store, present)
        shutil.copy(copy, store)
        old = store.read_bytes()
        for command in (["serve", "one", "--listen", "127.0.0.1:0"], ["audit", "one"], ["tenant", "list", "--dir", "one"]):
            said = self.vault(*command, expect=ROLLED_BACK)
            self.assertIn("older copy", said)
        self.assertEqual(store.read_bytes(), old, "refusing changes nothing")
        shutil.copy(present, store)
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.start("one")

    def test_a_vault_that_is_killed_comes_up_again(self):
        for round in range(5):
            self.vault(
                "tenant", "add", f"tenant-{round}", "--dir", "one", "--jwks", "issuer/issuer.jwks.json")
            process = self.processes.pop("one")
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            self.start("one")
        self.assertEqual(self.vault("tenant", "list", "--dir", "one").count("tenant-"), 5)

    def test_without_its_anchor_file_a_vault_does_not_serve(self):
        self.stop("one")
        vault = self.folder / "one"
        (vault / "anchor").rename(self.folder / "apart")
        for command in (["serve", "one", "--listen", "127.0.0.1:0"], ["tenant", "remove", "chat-app", "--dir", "one"]):
            said = self.vault(*command, expect=69)
            self.assertIn("anchor does not answer", said)
            self.assertIn("nothing in the store was changed", said)
            self.assertNotIn("damaged", said)
        (self.folder / "apart").rename(vault / "anchor")
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.assertIn("chat-app", self.vault("tenant", "list", "--dir", "one"))

        # One that is there and does not read.
        (vault / "anchor").write_text("another file\n")
        said = self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=65)
        self.assertIn("anchor does not read", said)
        self.assertNotIn("store is damaged", said)

        # Lost for good: a copy of the store gets an anchor of its own, as the guide says.
        (vault / "anchor").unlink()
        self.vault("backup", "one", "saved")
        for path in vault.glob("vault.sqlite*"):
            path.unlink()
        for path in (self.folder / "saved").iterdir():
            if not (vault / path.name).exists():
                shutil.copy2(path, vault)
        self.assertIn("frozen", self.vault("restore", "one"))
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.start("one")


class RestoredVault(FleetSession):
    """One of five vaults loses its disk, and comes back from a copy."""

    def test_a_restored_vault_answers_again_when_a_device_with_the_key_was_in_touch(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.stop("one")
        store = self.folder / "one" / "vault.sqlite"
        copy = self.folder / "copy.sqlite"
        shutil.copy(store, copy)
        self.start("one")
        self.secret_file("guess", "hunter2\n")
        # Three are needed, so this one counts the guess.
        self.stop("four", "five")
        self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
        self.start("four")
        self.start("five")
        self.stop("one")
        shutil.copy(copy, store)

        self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=ROLLED_BACK)
        self.assertIn("frozen", self.vault("restore", "one"))
        self.assertIn("nothing to restore", self.vault("restore", "one", expect=73))
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.start("one")

        # Two others are down: three answer, and one of them is frozen.
        self.stop("four", "five")
        error = self.error(*self.restore_arguments("R"), expect=50, device="new-phone")
        self.assertIn("came back from a backup", error["message"])
        self.start("four")
        self.coffer("attempts")
        self.stop("four")
        self.coffer(*self.restore_arguments("R"), device="new-phone")
        self.compare(notes, self.folder / "R")


class BackedUpVault(FleetSession):
    """A machine burns; what is left is a copy that was made while the vault served, and its key, kept apart."""

    vault_count = 3

    def test_a_vault_comes_back_from_its_copy_alone(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        (self.folder / "apart").mkdir()
        shutil.copy2(self.folder / "one/security-module.key", self.folder / "apart")
        # While it serves, and while somebody is guessing.
        self.secret_file("guess", "hunter2\n")
        guesser = subprocess.Popen(
            [str(BINARIES / "coffer"), *self.restore_arguments("R", password="guess")], cwd=self.folder,
            env=self.environment("thief"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said = self.vault("backup", "one", "saved")
        guesser.wait()
        self.assertRegex(said, r"copied epoch \d+, (\d+) of \1 records proved")
        self.vault("backup", "one", "saved", expect=73)
        self.assertEqual({path.name for path in self.files_below(self.folder / "saved")},
                         {"vault.sqlite", "data-key.wrapped", "vault.pub", "anchor"})
        self.assertEqual([path for path in self.files_below(self.folder / "saved")
                          if path.name != "vault.pub" and path.stat().st_mode & 0o077], [])
        self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
        left = self.coffer_json("status")["vaults"]["attemptsLeft"]

        process = self.processes.pop("one")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        shutil.rmtree(self.folder / "one")
        shutil.copytree(self.folder / "saved", self.folder / "one")
        shutil.copy2(self.folder / "apart/security-module.key", self.folder / "one")
        # The copy's own anchor refuses it: nobody serves it by mistake with its old counts.
        self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=ROLLED_BACK)
        self.assertIn("frozen", self.vault("restore", "one"))
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.start("one")
        self.stop("three")
        error = self.error(*self.restore_arguments("R"), expect=50, device="new-phone")
        self.assertIn("came back from a backup", error["message"])
        self.start("three")
        self.coffer("attempts")
        self.stop("three")
        self.coffer(*self.restore_arguments("R"), device="new-phone")
        self.compare(notes, self.folder / "R")
        self.start("three")
        self.assertGreaterEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], left)

    def test_a_copy_that_was_cut_or_bent_is_none(self):
        (self.folder / "saved.unfinished").mkdir()
        (self.folder / "saved.unfinished" / "vault.sqlite").write_text("what is left of a run that was cut")
        self.vault("backup", "one", "saved")
        self.assertFalse((self.folder / "saved.unfinished").exists())
        self.vault("backup", "nowhere", "other", expect=77)
        store = self.folder / "saved" / "vault.sqlite"
        shutil.copy2(self.folder / "one/security-module.key", self.folder / "saved")
        with sqlite3.connect(store) as database:
            database.execute("UPDATE records SET epoch = epoch + 1 WHERE slot = 0")
        database.close()
        # The others are copied all the same.
        said = self.vault("backup", "saved", "again", expect=65)
        self.assertIn("the record of slot 0 does not open", said)
        self.assertRegex(said, r"(\d) of (?!\1)\d records proved")
        with sqlite3.connect(store) as database:
            database.execute("DELETE FROM leaves WHERE slot = 1")
        database.close()
        self.vault("backup", "saved", "once-more", expect=65)
        self.assertFalse((self.folder / "once-more").exists())


class Witnesses(FleetSession):
    vault_count = 1

    def metric(self, sample):
        with urllib.request.urlopen(self.metrics_url, timeout=5) as answer:
            lines = answer.read().decode().split("\n")
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{sample} "))

    def test_a_witness_tells_its_operator_what_it_does(self):
        self.witness_ports = {"north": free_port()}
        key = self.start_witness("north")
        url = f"http://127.0.0.1:{self.witness_ports['north']}"
        self.vault("init", "watched", "--name", "watched", "--url", "http://127.0.0.1:1", "--witness", f"{url}={key}")
        self.kill("north")
        self.start_witness("north", "--watch", "watched/vault.pub", "--metrics", "127.0.0.1:0")
        self.assertEqual(self.metric("coffer_witness_vaults"), 1)
        self.assertEqual(self.metric('coffer_witness_questions_total{outcome="answered"}'), 0)
        self.vault("tenant", "add", "app", "--dir", "watched", "--jwks", "issuer/issuer.jwks.json")
        self.assertGreater(self.metric('coffer_witness_questions_total{outcome="answered"}'), 0)
        self.assertEqual(self.metric("coffer_witness_heads_kept_total"), 2, "the first batch, and the tenant's")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/v1/witness", data=b"nonsense", timeout=5)
        self.assertEqual(self.metric('coffer_witness_questions_total{outcome="malformed"}'), 1)
        with self.assertRaises(urllib.error.HTTPError, msg="the public listener has no metrics"):
            urllib.request.urlopen(f"{url}/metrics", timeout=5)

    def test_strangers_keep_no_vault_from_its_witness(self):
        self.witness_ports = {"north": free_port()}
        self.start_witness("north", "--connections", "200", "--request-seconds", "1")
        strangers = [socket.create_connection(("127.0.0.1", self.witness_ports["north"])) for _ in range(300)]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.witness_ports['north']}/health", timeout=5) as answer:
                self.assertEqual(answer.read(), b"ok\n")
            # Whoever says nothing is sent away.
            strangers[-1].settimeout(10)
            self.assertEqual(strangers[-1].recv(1), b"")
        finally:
            for stranger in strangers:
                stranger.close()

    def start_witness(self, name, *options):
        process = subprocess.Popen(
            [str(BINARIES / "coffer-vault"), "witness", name, "--listen", f"127.0.0.1:{self.witness_ports[name]}",
             *options],
            env=self.environment("operator"), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True)
        self.processes[name] = process
        # Of two listeners either may be there first.
        lines = sorted(process.stdout.readline() for _ in range(2 if "--metrics" in options else 1))
        self.metrics_url = lines[0].split()[-1]
        ready = lines[-1]
        self.assertIn("ready", ready)
        return ready.split("witness ")[1].split(",")[0]

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        process.stdout.close()

    def test_a_machine_that_is_put_back_whole_is_refused_by_its_witnesses(self):
        self.witness_ports = {name: free_port() for name in WITNESSES}
        keys = {name: self.start_witness(name) for name in WITNESSES}
        options = []
        for name in WITNESSES:
            options += ["--witness", f"http://127.0.0.1:{self.witness_ports[name]}={keys[name]}"]
        self.vault("init", "watched", "--name", "watched", "--url", "http://127.0.0.1:1", *options)
        self.assertIn("0 of 4 witnesses", self.vault("tenant", "list", "--dir", "watched", expect=69))
        for name in WITNESSES:
            self.kill(name)
            self.assertEqual(self.start_witness(name, "--watch", "watched/vault.pub"), keys[name])

        def add(number):
            self.vault("tenant", "add", f"app-{number}", "--dir", "watched", "--jwks", "issuer/issuer.jwks.json")

        add(0)
        # With one of four down the vault goes on, and with the whole machine copied and put back it does not.
        self.kill("north")
        add(1)
        shutil.copytree(self.folder / "watched", self.folder / "snapshot")
        add(2)
        shutil.move(self.folder / "watched", self.folder / "present")
        shutil.copytree(self.folder / "snapshot", self.folder / "watched")
        for command in (["audit", "watched"], ["tenant", "list", "--dir", "watched"]):
            self.assertIn("older copy", self.vault(*command, expect=ROLLED_BACK))
        shutil.rmtree(self.folder / "watched")
        shutil.move(self.folder / "present", self.folder / "watched")
        self.assertIn("remembers this head", self.vault("audit", "watched"))
        # Below the quorum nothing is served.
        self.kill("east")
        self.assertIn("2 of 4 witnesses", self.vault("tenant", "list", "--dir", "watched", expect=69))
        self.start_witness("east")
        self.assertIn("app-2", self.vault("tenant", "list", "--dir", "watched"))
