"""No secret where it does not belong: arguments, environment, logs, outputs, files, memory dumps."""

import os
import pathlib
import subprocess
import threading
import unittest

import pexpect

from fleet import FleetSession, tokens
from session import BINARIES


class Secrets(FleetSession):
    vault_count = 3

    def environment(self, device="phone"):
        """A place of this test's own for what is written for a while: another run on this machine has its own too."""
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        return super().environment(device) | {"TMPDIR": str(self.temporary)}

    def secrets(self):
        """Every form in which one may turn up."""
        written = "".join((self.folder / "written-down").read_text().split())
        digits = written[:64]
        forms = {
            "password": [b"correct horse battery staple"],
            "key": [digits.encode(), digits.upper().encode(), bytes.fromhex(digits),
                    (self.folder / "written-down").read_bytes().strip()],
            "token": [token.encode() for token in tokens(self.folder / "anna-tokens.json").values()],
        }
        return [(name, form) for name, form_list in forms.items() for form in form_list]

    def assert_clean(self, text, place, also_allowed=()):
        for name, form in self.secrets():
            if name not in also_allowed:
                self.assertNotIn(form, text, f"the {name} is in {place}")

    def test_arguments_and_environments_of_all_processes(self):
        """Watches every process of this machine that is ours while the commands run."""
        seen = set()
        done = threading.Event()

        def watch():
            while not done.is_set():
                for entry in pathlib.Path("/proc").iterdir():
                    if entry.name.isdigit():
                        for file in ("cmdline", "environ"):
                            try:
                                text = (entry / file).read_bytes()
                            except OSError:
                                continue
                            if b"coffer" in text:
                                seen.add(text)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.use_everything()
        finally:
            done.set()
            watcher.join()
        self.assertTrue(any(b"restore" in text for text in seen), "the watcher saw the commands")
        for text in seen:
            self.assert_clean(text, "a process's arguments or environment")

    def test_outputs_logs_and_files(self):
        self.use_everything()
        for text in self.printed:
            self.assert_clean(text.encode(), "what a program printed")
        self.assert_clean(self.logs().encode(), "a vault's log")
        self.assertNotIn("anna", self.logs(), "a vault's log names no account")
        self.assertEqual(list(self.temporary.iterdir()), [], "no temporary file is left")
        given = {"password", "guess", "written-down", "anna-tokens.json"}
        for path in self.files_below(self.folder):
            if path.name in given:
                continue
            keeps_key = path.parent.name == "coffer" and path.name == "key"
            self.assert_clean(path.read_bytes(), path, also_allowed=("key",) if keeps_key else ())
            if keeps_key:
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_a_killed_program_leaves_no_core_file(self):
        """Both programs forbid core files to themselves, whatever the shell allows."""
        shell = ["-c", 'ulimit -c unlimited; exec "$0" "$@"']
        self.stop("one")
        vault = subprocess.Popen(
            ["bash", *shell, str(BINARIES / "coffer-vault"), "serve", "one", "--listen", "127.0.0.1:0"],
            env=self.environment("operator"), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertIn(b"ready", vault.stdout.readline())
        self.assert_no_core_file(vault.pid)
        vault.kill()
        vault.wait()
        vault.stdout.close()
        terminal = pexpect.spawn(
            "bash", [*shell, str(BINARIES / "coffer"), "enable", str(self.make_notes()), "--to", "cloud", "--fleet",
                     "fleet.toml", "--token-file", "anna-tokens.json"],
            cwd=str(self.folder), env=self.environment(), encoding="utf-8", timeout=60)
        terminal.expect("Password: ")
        self.assert_no_core_file(terminal.pid)
        terminal.close(force=True)

    def assert_no_core_file(self, process):
        self.assertRegex(pathlib.Path(f"/proc/{process}/limits").read_text(), r"Max core file size +0 +0")

    def use_everything(self):
        source = self.make_notes()
        self.enable(source)
        self.coffer("backup")
        self.coffer_json("backup")
        self.coffer("key", "show", "--key-file", "written-down")
        self.coffer("status")
        self.coffer_json("status")
        self.secret_file("guess", "incorrect horse\n")
        self.coffer(*self.restore_arguments("R", password="guess"), expect=11, device="new-phone")
        self.error(*self.restore_arguments("R", password="guess"), expect=11, device="new-phone")
        self.coffer(*self.restore_arguments("Restored"), device="new-phone")
        self.coffer("restore", "--from", "cloud", "--key-file", "written-down", "Again", device="new-phone")
        self.coffer("verify", "--deep")
        self.coffer("snapshots")
        self.coffer("ls")


if __name__ == "__main__":
    unittest.main()
