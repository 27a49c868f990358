"""Real vaults under load are killed at random moments; what they answered for must be there when they come back.

CHAOS_ROUNDS says how often a vault is killed, CHAOS_SEED which moments are chosen."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest

from fleet import FleetSession
from session import BINARIES

ACCOUNTS = ["anna", "bela", "cleo"]
BUDGET = 20


class Chaos(FleetSession):
    vault_count = 3

    def setUp(self):
        super().setUp()
        for name in self.names:
            self.vault(
                "tenant", "add", "chat-app", "--dir", name, "--jwks", "issuer/issuer.jwks.json", "--no-waits",
                "--budget", BUDGET, "--charges-per-hour", 4_000_000, "--requests-per-minute", 4_000_000)

    def start_load(self, seed, budget=BUDGET):
        accounts = [f"chat-app/{account}={self.token_file(account)}" for account in ACCOUNTS]
        return subprocess.Popen(
            [str(BINARIES / "simulate"), "load", "--fleet", "fleet.toml", "--seed", str(seed), "--budget", str(budget),
             *accounts],
            cwd=self.folder, env=self.environment("load"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def token_file(self, account):
        path = self.folder / f"{account}-tokens.json"
        return path.name if path.exists() else self.sign_in(account)

    def test_vaults_that_are_killed_under_load_keep_what_they_answered_for(self):
        seed = int(os.environ.get("CHAOS_SEED", "1"))
        rounds = int(os.environ.get("CHAOS_ROUNDS", "8"))
        chance = random.Random(seed)
        load = self.start_load(seed)
        self.addCleanup(load.kill)
        self.epochs = dict.fromkeys(self.names, 0)
        kills = behind = 0
        for _ in range(rounds):
            # The moment of the kill; nothing is asserted about how far the load came.
            time.sleep(chance.uniform(0.05, 0.8))
            for name in chance.sample(self.names, chance.choice([1, 1, 1, 2, 3])):
                self.wait_for_commits(name, load)
                time.sleep(chance.uniform(0, 0.02))
                process = self.processes.pop(name)
                process.send_signal(signal.SIGKILL)
                process.wait()
                process.stdout.close()
                kills += 1
                behind += self.compare_with_anchor(name)
                self.start(name)
            if load.poll() is not None:
                break
        said, _ = load.communicate("", timeout=120)
        self.assertEqual(load.returncode, 0, f"seed {seed}: {said}")
        self.assertRegex(said, r"\d+ answers, [1-9]\d* charges, [1-9]\d* registrations, \d+ requests without")
        self.stop(*self.names)
        for name in self.names:
            self.assertFalse(self.compare_with_anchor(name), "a vault that was told to end leaves nothing half done")
        print(f"chaos, seed {seed}, {kills} kills in {rounds} rounds, {behind} of them between a commit and its anchor: "
              f"{said}", end="", file=sys.stderr)

    def wait_for_commits(self, name, load):
        """Until the vault has written twice since: it is in the middle of its work, not waiting for some."""
        log = self.folder / name / "vault.sqlite-wal"
        seen = None
        writes = -1
        while writes < 2 and load.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                state = log.stat()
                if (state.st_mtime_ns, state.st_size) != seen:
                    seen = (state.st_mtime_ns, state.st_size)
                    writes += 1

    def compare_with_anchor(self, name):
        """Proves the killed vault's store by its anchor. True if the anchor is one batch behind."""
        said = self.vault("audit", name)
        epoch = int(re.search(r"head of epoch (\d+)", said)[1])
        self.assertGreaterEqual(epoch, self.epochs[name], "the store lost batches")
        self.epochs[name] = epoch
        anchored = max(map(int, re.findall(r"(?m)^epoch (\d+)$", (self.folder / name / "anchor").read_text())))
        self.assertIn(epoch - anchored, (0, 1), "the anchor and the store are further apart than one batch")
        self.assertEqual("one batch behind" in said, anchored == epoch - 1)
        return anchored == epoch - 1

    def test_the_load_notices_a_vault_that_counts_otherwise(self):
        load = self.start_load(3, budget=BUDGET - 1)
        self.addCleanup(load.kill)
        said = load.stdout.read()
        load.wait(timeout=120)
        load.stdin.close()
        load.stdout.close()
        self.assertNotEqual(load.returncode, 0, said)
        self.assertRegex(said, r"vault \d, \w+: \d+ attempts left after \d+ of 19")


if __name__ == "__main__":
    unittest.main()
