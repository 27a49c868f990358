"""Vaults whose disk is put back to an earlier state, as real processes."""

import shutil
import signal
import subprocess

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
        (self.folder / "one" / "anchor").unlink()
        self.assertIn("is gone", self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=65))


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
        self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
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


class Witnesses(FleetSession):
    vault_count = 1

    def start_witness(self, name, *options):
        process = subprocess.Popen(
            [str(BINARIES / "coffer-vault"), "witness", name, "--listen", f"127.0.0.1:{self.witness_ports[name]}",
             *options],
            env=self.environment("operator"), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True)
        self.processes[name] = process
        ready = process.stdout.readline()
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
