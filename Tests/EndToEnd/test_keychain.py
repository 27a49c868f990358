"""The key in a real Secret Service (gnome-keyring on a session bus of its own); skipped where it is not installed."""

import shutil
import subprocess
import unittest

from session import BINARIES, Session

NEEDED = ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]


@unittest.skipUnless(all(map(shutil.which, NEEDED)), f"needs {', '.join(NEEDED)}")
class Keychain(Session):
    def in_desktop_session(self, script):
        environment = self.environment()
        del environment["COFFER_KEY_STORAGE"]
        environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        unlock = "printf unlocked | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n"
        done = subprocess.run(
            ["dbus-run-session", "--", "bash", "-euc", unlock + script], env=environment, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_the_key_lies_in_the_keychain_and_in_no_file(self):
        source = self.make_notes()
        said = self.in_desktop_session(f"""
            {BINARIES}/coffer enable Notes --to cloud --key-file written-down
            {BINARIES}/coffer backup
            {BINARIES}/coffer status
            {BINARIES}/coffer key show --key-file shown
            secret-tool search --all application coffer >/dev/null
            {BINARIES}/coffer disable --yes
            test -z "$(secret-tool lookup application coffer)"
            """)
        self.assertIn("secret-service", said)
        digits = (self.folder / "written-down").read_text()
        self.assertEqual(digits, (self.folder / "shown").read_text())
        self.assertNotIn("".join(digits.split()), said)
        self.assertEqual(self.files_below(self.folder / "homes/phone/state/coffer"), [])
        self.coffer("restore", "--from", "cloud", "--key-file", "written-down", "Restored", device="new-phone")
        self.compare(source, self.folder / "Restored")

    def test_two_backups_with_relative_state_folders_keep_two_keys(self):
        self.make_notes()
        self.in_desktop_session(f"""
            mkdir one two
            (cd one; {BINARIES}/coffer enable ../Notes --to cloud --key-file written --state state)
            (cd two; {BINARIES}/coffer enable ../Notes --to cloud --key-file written --state state)
            (cd one; {BINARIES}/coffer backup --state state)
            {BINARIES}/coffer backup --state two/state
            """)


if __name__ == "__main__":
    unittest.main()
