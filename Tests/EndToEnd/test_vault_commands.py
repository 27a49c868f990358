"""The operator's commands."""

import json
import os
import unittest

from fleet import FleetSession
from session import ROOT, Session

VECTORS = ROOT / "Specs/vectors/recovery"


class SelfTest(Session):
    def test_every_vector_prints_a_line_and_agrees(self):
        files = [VECTORS / "rfc9497-ristretto255.json", VECTORS / "threshold-voprf.json"]
        said = self.run_program("coffer-vault", "self-test", "--vectors", *files)
        lines = [line for line in said.split("\n") if line.startswith("ok ")]
        cases = sum(len(group["vectors"]) for group in json.loads(files[0].read_text()))
        cases += len(json.loads(files[1].read_text()))
        self.assertEqual(len(lines), cases)
        self.assertNotIn("FAIL", said)

    def test_a_mismatch_is_told_and_fails(self):
        groups = json.loads((VECTORS / "threshold-voprf.json").read_text())
        output = groups[0]["output"]
        groups[0]["output"] = ("0" if output[0] != "0" else "1") + output[1:]
        (self.folder / "wrong.json").write_text(json.dumps(groups))
        said = self.run_program("coffer-vault", "self-test", "--vectors", "wrong.json", expect=1)
        self.assertIn("FAIL", said)

    def test_a_file_that_holds_no_vectors(self):
        (self.folder / "empty.json").write_text("[]")
        self.run_program("coffer-vault", "self-test", "--vectors", "empty.json", expect=1)
        (self.folder / "other.json").write_text('{"a": 1}')
        self.run_program("coffer-vault", "self-test", "--vectors", "other.json", expect=65)

    def test_the_short_form(self):
        self.assertIn("agree", self.run_program("coffer-vault", "self-test"))


class Operator(FleetSession):
    vault_count = 3

    def test_a_vault_folder_is_for_its_owner_alone(self):
        for path in self.files_below(self.folder / "one"):
            if path.name not in ("vault.pub", "address"):
                self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_a_key_that_others_can_read_is_refused(self):
        self.stop("one")
        key = self.folder / "one/security-module.key"
        os.chmod(key, 0o644)
        self.assertIn("chmod 600", self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=77))

    def test_init_does_not_overwrite(self):
        self.vault("init", "one", "--name", "again", expect=73)

    def test_a_fleet_has_an_odd_number_of_vaults(self):
        self.vault("fleet", "new", "one/vault.pub", "two/vault.pub", expect=65)

    def test_fleet_show_prints_the_bound_for_every_minority(self):
        said = self.vault("fleet", "show", "fleet.toml")
        for corrupt in (0, 1):
            self.assertRegex(said, rf"at most \d+ guesses with {corrupt} vaults")

    def test_a_vault_that_is_killed_keeps_what_it_charged(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.secret_file("guess", "incorrect horse\n")
        self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
        left = self.coffer_json("status")["vaults"]["attemptsLeft"]
        for name in list(self.names):
            self.processes[name].kill()
            self.processes[name].wait()
            self.processes.pop(name).stdout.close()
            self.start(name)
        self.assertEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], left)


if __name__ == "__main__":
    unittest.main()
