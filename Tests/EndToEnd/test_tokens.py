"""Vaults whose keys, and memories of the newest state, are in SoftHSM2's tokens."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from fleet import FleetSession
from session import BINARIES

ROLLED_BACK = 76
MODULES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"]
PIN = "7731-secret-pin"


class TokenSession(FleetSession):
    """Each vault has a token of its own, and its anchor in it."""

    vault_count = 1

    def setUp(self):
        # In memory where there is such a place: SoftHSM writes its files over in place, and waits for nothing.
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.soft = pathlib.Path(tempfile.mkdtemp(prefix="coffer-softhsm-", dir=shared))
        self.addCleanup(shutil.rmtree, self.soft, ignore_errors=True)
        self.tokens = self.soft / "tokens"
        self.tokens.mkdir(mode=0o700)
        (self.soft / "conf").write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.module = next(path for path in MODULES if os.path.exists(path))
        self.serials = {}
        super().setUp()

    def environment(self, device="phone"):
        return super().environment(device) | {"SOFTHSM2_CONF": str(self.soft / "conf")}

    def new_token(self, label):
        """Initialises a token as its owner would, and returns its serial number."""
        before = set(self.tokens.iterdir())
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "87654321", "--pin", PIN],
            env=self.environment("operator"), check=True, stdout=subprocess.DEVNULL)
        folder, = set(self.tokens.iterdir()) - before
        serial = folder.name.replace("-", "")[-16:]
        self.serials[label] = serial
        return serial

    def token_folder(self, serial):
        folder, = [path for path in self.tokens.iterdir() if path.name.replace("-", "").endswith(serial)]
        return folder

    def token_options(self, serial, pin="pin"):
        return ["--pkcs11", self.module, "--token-serial", serial, "--pin-file", pin]

    def init_options(self, name):
        self.secret_file("pin", f"{PIN}\n")
        return [*self.token_options(self.new_token(name)), "--anchor", "pkcs11", "--anchor-interval-ms", "0"]

    def kill(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

    def put_back(self, copy, original):
        shutil.rmtree(original)
        shutil.copytree(copy, original)

    def ready(self, name):
        try:
            with urllib.request.urlopen(f"{self.url(name)}/ready", timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def until(self, condition, seconds=40):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def tearDown(self):
        told = "".join(self.printed) + self.logs()
        self.assertNotIn(PIN, told)
        super().tearDown()


class Fleet(TokenSession):
    vault_count = 3

    def test_a_persons_day_with_vaults_that_are_killed_and_put_back(self):
        notes = self.make_notes()
        self.enable(notes)
        for name in self.names:
            self.kill(name)
            self.start(name)
        self.coffer("backup")
        self.secret_file("guess", "hunter2\n")
        store, token = self.folder / "one", self.token_folder(self.serials["one"])
        self.kill("one")
        shutil.copytree(store, self.folder / "copy")
        shutil.copytree(token, self.folder / "copy-token")
        self.start("one")
        self.error(*self.restore_arguments("R", password="guess"), expect=11, device="thief")
        left = self.coffer_json("status")["vaults"]["attemptsLeft"]
        for name in self.names:
            self.kill(name)
            if name != "one":
                self.start(name)

        # The whole folder put back, and not the token: refused, and nothing changed.
        shutil.copytree(store, self.folder / "present")
        shutil.copytree(token, self.folder / "present-token")
        self.put_back(self.folder / "copy", store)
        for command in (["serve", "one", "--listen", "127.0.0.1:0"], ["audit", "one"], ["tenant", "list", "--dir", "one"]):
            self.assertIn("older copy", self.vault(*command, expect=ROLLED_BACK))
        # The token put back, and not the folder, which only a simulated one can be.
        self.put_back(self.folder / "present", store)
        self.put_back(self.folder / "copy-token", token)
        self.assertIn("the anchor was put back", self.vault("audit", "one", expect=ROLLED_BACK))
        # Both: SoftHSM's files are no hardware, and nobody notices.
        self.put_back(self.folder / "copy", store)
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.put_back(self.folder / "present", store)
        self.put_back(self.folder / "present-token", token)
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.start("one")

        self.assertEqual(self.coffer_json("status")["vaults"]["attemptsLeft"], left)
        self.coffer(*self.restore_arguments("R"), device="new-phone")
        self.compare(notes, self.folder / "R")

    def test_tokens_are_pulled_out_and_come_back(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        places = {name: self.token_folder(self.serials[name]) for name in ("one", "two")}
        for name, place in places.items():
            shutil.move(place, self.soft / name)
        self.coffer_json(*self.restore_arguments("R"), device="new-phone", expect=50)
        self.until(lambda: self.ready("one") == 503)
        self.assertEqual(self.ready("three"), 200)
        for name, place in places.items():
            self.assertIsNone(self.processes[name].poll(), "the vault waits for its token")
            shutil.move(self.soft / name, place)
        self.until(lambda: self.ready("one") == 200 and self.ready("two") == 200)
        self.coffer(*self.restore_arguments("R"), device="new-phone")
        self.compare(notes, self.folder / "R")


class OneVault(TokenSession):
    def test_a_wrong_pin_is_tried_once_however_often_the_vault_is_started(self):
        self.stop("one")
        before = self.folder / "one" / "security-module.token"
        self.secret_file("pin", "not-the-pin\n")
        said = self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=77)
        self.assertIn("CKR_PIN_INCORRECT", said)
        for _ in range(3):
            said = self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=77)
            self.assertIn("not tried again", said)
            self.assertNotIn("CKR_", said)
        self.assertTrue(before.exists())
        os.chmod(self.folder / "pin", 0o644)
        self.assertIn("chmod 600", self.vault("audit", "one", expect=77))
        self.secret_file("pin", PIN)
        os.chmod(self.folder / "pin", 0o600)
        self.vault("audit", "one")
        self.assertFalse((self.folder / "one" / "pin-refused").exists())
        self.assertNotIn("not-the-pin", "".join(self.printed))

    def test_the_pin_by_a_file_descriptor(self):
        self.stop("one")
        serial = self.serials["one"]
        command = [str(BINARIES / "coffer-vault")]
        options = ["--pkcs11", self.module, "--token-serial", serial, "--pin-fd", "3"]
        for arguments in (["init", "two", "--name", "two", *options], ["audit", "two"]):
            subprocess.run(
                ["bash", "-c", '"$@" 3< pin', "bash", *command, *arguments], cwd=self.folder, check=True,
                env=self.environment("operator"), stdout=subprocess.DEVNULL)
        self.assertIn("descriptor 3", self.vault("audit", "two", expect=77))

    def test_another_token_of_the_same_label_and_one_that_is_gone(self):
        self.stop("one")
        mine = self.token_folder(self.serials["one"])
        shutil.move(mine, self.soft / "mine")
        self.assertIn("is not there", self.vault("audit", "one", expect=69))
        other = self.new_token("one")
        said = self.vault("audit", "one", expect=69)
        self.assertIn("another token", said)
        self.assertIn(other, said)
        shutil.move(self.soft / "mine", mine)
        self.vault("audit", "one")

    def test_init_makes_a_vault_or_nothing(self):
        serial = self.serials["one"]
        options = self.token_options(serial)
        listing = self.vault("token", "list", *options)
        self.secret_file("wrong", "wrong-pin\n")
        self.assertIn("PIN is wrong", self.vault("init", "new", "--name", "new", *self.token_options(serial, "wrong"), expect=77))
        self.assertIn("token list", self.vault("init", "new", "--name", "new", *self.token_options("0" * 16), expect=69))
        self.vault("init", "new", "--name", "new", "--anchor", "pkcs11", expect=64)
        self.vault("init", "new", "--name", "new", "--pkcs11", self.module, expect=64)
        self.vault("init", "new", "--name", "new", "--pkcs11", "libsofthsm2.so", *options[2:], expect=64)
        self.vault("init", "new", "--name", "new", *options, "--pin-fd", "3", expect=64)
        self.vault("init", "new", "--name", "new", "--pkcs11", "/etc/hostname", *options[2:], expect=78)
        # The store's place is taken by a folder that nothing can be written into.
        (self.folder / "new" / "vault.sqlite-wal").mkdir(parents=True)
        self.assertIn("taken back", self.vault("init", "new", "--name", "new", *options, "--anchor", "pkcs11", expect=69))
        self.assertEqual(self.vault("token", "list", *options), listing)
        shutil.rmtree(self.folder / "new")
        self.vault("init", "new", "--name", "new", *options)
        # Two vaults on one token, one of them with a file as its anchor.
        self.assertEqual(self.vault("token", "list", *options).count("\n"), listing.count("\n") + 1)
        self.vault("audit", "new")
        self.vault("audit", "one")

    def add_tenant(self, name, **options):
        return self.vault("tenant", "add", name, "--dir", "one", "--jwks", "issuer/issuer.jwks.json", **options)

    def test_a_write_that_was_torn_at_any_byte_leaves_a_whole_head(self):
        self.stop("one")
        folder = self.token_folder(self.serials["one"])
        before = {path: path.read_bytes() for path in folder.glob("*.object")}
        self.add_tenant("app")
        old = {path: data for path, data in before.items() if not path.exists()}
        new, = [path for path in folder.glob("*.object") if path not in before]
        whole = new.read_bytes()
        self.assertEqual(len(old), 1, "one object is written anew, and nothing else")
        for length in sorted({0, 1, 8, len(whole) // 3, len(whole) // 2, len(whole) - 20, len(whole) - 1}):
            for path, data in old.items():
                path.write_bytes(data)
            new.write_bytes(whole[:length])
            self.assertRegex(self.vault("audit", "one"), "one batch behind|remembers this head", length)
        self.add_tenant("another")
        self.assertIn("remembers this head", self.vault("audit", "one"))

    def test_a_process_that_is_killed_while_it_writes(self):
        self.stop("one")
        start = time.monotonic()
        self.add_tenant("app-0")
        usual = time.monotonic() - start
        for number in range(1, 13):
            process = subprocess.Popen(
                [str(BINARIES / "coffer-vault"), "tenant", "add", f"app-{number}", "--dir", "one", "--jwks",
                 "issuer/issuer.jwks.json"],
                env=self.environment("operator"), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(usual * (0.4 + number / 16))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.assertRegex(self.vault("audit", "one"), "one batch behind|remembers this head")
        self.add_tenant("last")
        self.assertIn("remembers this head", self.vault("audit", "one"))

    def test_a_store_that_is_restored_is_remembered_by_the_token(self):
        self.stop("one")
        store, copy = self.folder / "one" / "vault.sqlite", self.folder / "copy.sqlite"
        shutil.copy(store, copy)
        self.add_tenant("app")
        shutil.copy(copy, store)
        self.vault("audit", "one", expect=ROLLED_BACK)
        self.assertIn("frozen", self.vault("restore", "one"))
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.add_tenant("app")

    def test_two_processes_on_one_token(self):
        for number in range(4):
            self.add_tenant(f"tenant-{number}")
            self.assertEqual(self.ready("one"), 200)
        self.enable(self.make_notes())
        self.stop("one")
        self.assertIn("remembers this head", self.vault("audit", "one"))
        self.assertEqual(self.vault("tenant", "list", "--dir", "one").count("tenant-"), 4)

    def test_a_vault_moves_into_a_token_and_into_another_one(self):
        self.vault("init", "soft", "--name", "soft")
        self.vault("tenant", "add", "app", "--dir", "soft", "--jwks", "issuer/issuer.jwks.json")
        serial = self.serials["one"]
        files = [self.folder / "soft" / name for name in ("security-module.key", "data-key.wrapped")]
        before = [(file, file.read_bytes()) for file in files]
        self.assertIn("Make a new backup now", self.vault("token", "move", "soft", *self.token_options(serial)))
        self.assertFalse(any(file.exists() for file in files))
        # As a move leaves it that was cut when the new settings were kept.
        for file, content in before:
            file.write_bytes(content)
            file.chmod(0o600)
        self.vault("audit", "soft")
        self.assertFalse(any(file.exists() for file in files))
        self.assertIn("app", self.vault("tenant", "list", "--dir", "soft"))

        self.stop("one")
        shutil.copytree(self.folder / "one", self.folder / "copy")
        second = self.new_token("second")
        self.vault("token", "move", "one", *self.token_options(second), "--anchor-interval-ms", "0")
        said = self.vault("audit", "one")
        self.assertIn(second, said)
        self.assertIn("remembers this head", said)
        self.start("one")
        self.add_tenant("later")
        self.assertRegex(self.vault("token", "list", *self.token_options(serial)), r"of vaults:\n  coffer-vault moved \w{8}\n$")
        # What was copied before opens nothing any more.
        self.assertIn("not in it", self.vault("audit", "copy", expect=78))
        self.vault("token", "move", "one", *self.token_options("f" * 16), expect=69)
        self.vault("audit", "one")
