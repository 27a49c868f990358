"""What a serving vault tells its operator, and that it tells nobody's secrets."""

import base64
import hashlib
import json
import signal
import sqlite3
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from fleet import FleetSession, free_port, tokens
from session import BINARIES


class Observed(FleetSession):
    """Vaults with a listener for the operator, and everything logged, as JSON."""

    vault_count = 3

    def setUp(self):
        self.metrics_ports = {name: free_port() for name in ("one", "two", "three")}
        super().setUp()

    def serve_options(self, name):
        return ["--metrics", f"127.0.0.1:{self.metrics_ports[name]}", "--log-format", "json", "--log-level", "debug"]

    def page(self, name, path="/metrics"):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_ports[name]}{path}", timeout=20) as answer:
            return answer.read().decode()

    def metric(self, name, sample):
        found = [line for line in self.page(name).split("\n") if line.startswith(sample + " ")]
        return float(found[0].split()[-1]) if found else None


class Life(Observed):
    def test_a_whole_life_is_counted_and_names_nobody(self):
        account = "anna.lindqvist@example.org"
        self.sign_in(account)
        for name in self.names:
            self.vault("tenant", "add", "chat-app", "--dir", name, "--budget", "2", "--grace-hours", "0")
        # A tenant that was changed is seen within seconds.
        time.sleep(6)
        notes = self.make_notes()
        self.enable(notes, account=account)
        self.coffer("backup")
        self.coffer(*self.restore_arguments("R", account=account), device="new-phone")
        self.coffer("key", "show", "--key-file", "written-down")
        self.secret_file("guess", "incorrect horse\n")
        for number in range(3):
            self.run_any("coffer", *self.restore_arguments(f"W{number}", password="guess", account=account),
                         device="thief")
        self.coffer("restore", "--from", "cloud", "--key-file", "written-down", "Again", device="third-phone")
        self.run_any("coffer", "status")
        bent = {vault: token[:-8] + "AAAAAAAA" for vault, token in tokens(self.folder / f"{account}-tokens.json").items()}
        self.secret_file("bent-tokens.json", json.dumps(bent))
        self.run_any("coffer", "restore", "--from", "cloud", "Bent", "--password-file", "password", "--token-file",
                     "bent-tokens.json", device="fourth-phone")

        pages = [self.page(name) for name in self.names]
        for page in pages:
            self.assertRegex(page, r'coffer_vault_events_total\{tenant="chat-app",event="activated"\} [1-9]')
            self.assertRegex(page, r'coffer_vault_events_total\{tenant="chat-app",event="charged"\} [1-9]')
            self.assertRegex(page, r"coffer_vault_accounts 1\n")
            self.assertRegex(page, r'coffer_vault_tokens_refused_total\{tenant="chat-app",reason="bad_signature"\} [1-9]')
            self.assertRegex(page, r"coffer_vault_store_bytes [1-9]")
            self.assertRegex(page, r'coffer_vault_part_duration_seconds_count\{part="anchor"\} [1-9]')
            self.assert_exposition(page)
        self.assertTrue(any('event="destroyed"} 1' in page for page in pages), "the guesses destroyed a share")
        for line in self.log_lines():
            self.assertIn("event", line, line)
        self.assertIn("request", {line["event"] for line in self.log_lines()})

        told = "\n".join([*pages, self.logs()]).encode().lower()
        self.assertIn(b"chat-app", told, "the search finds what is there")
        forms = self.secret_forms(account)
        self.assertGreater(len(forms), 30)
        for what, form in forms:
            self.assertNotIn(form.lower(), told, f"{what} is in what a vault tells")

    def run_any(self, program, *arguments, device="phone"):
        """Whatever its exit status."""
        subprocess.run(
            [str(BINARIES / program), *map(str, arguments)], env=self.environment(device), cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def log_lines(self):
        return [json.loads(line) for line in self.logs().split("\n") if line]

    def secret_forms(self, account):
        """Every way in which somebody or a secret may turn up."""
        digits = "".join((self.folder / "written-down").read_text().split())[:64]
        values = {
            "the account": account.encode(), "its first name": b"anna", "its hash": hashlib.sha256(account.encode()).digest(),
            "its hash with the tenant": hashlib.sha256(b"chat-app/" + account.encode()).digest(),
            "the password": b"correct horse battery staple", "a guess": b"incorrect horse",
            "the key": bytes.fromhex(digits),
        }
        for number, token in enumerate(tokens(self.folder / f"{account}-tokens.json").values()):
            values |= {f"token {number}, part {part}": text.encode() for part, text in enumerate(token.split("."))}
        for name in self.names:
            for file in ("security-module.key", "data-key.wrapped"):
                values[f"{file} of {name}"] = (self.folder / name / file).read_bytes()
            with sqlite3.connect(f"file:{self.folder / name / 'vault.sqlite'}?mode=ro", uri=True) as store:
                for slot, key in store.execute("SELECT slot, key FROM records").fetchall():
                    values[f"record name {slot} of {name}"] = key
            store.close()
        forms = []
        for what, value in values.items():
            forms += [(what, value), (what, value.hex().encode()), (what, base64.b64encode(value).rstrip(b"=")),
                      (what, base64.urlsafe_b64encode(value).rstrip(b"="))]
        return forms

    def assert_exposition(self, page):
        """The rules of the text format that a scrape breaks on."""
        kinds, seen = {}, set()
        self.assertTrue(page.endswith("\n"))
        for line in page.rstrip("\n").split("\n"):
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.assertNotIn(name, kinds)
                kinds[name] = kind
            elif not line.startswith("# HELP "):
                sample, value = line.rsplit(" ", 1)
                float(value)
                self.assertNotIn(sample, seen)
                seen.add(sample)
                name = sample.split("{")[0]
                base = next((name.removesuffix(end) for end in ("_bucket", "_sum", "_count")
                             if kinds.get(name.removesuffix(end)) == "histogram"), name)
                self.assertIn(base, kinds)


class Standing(Observed):
    vault_count = 1

    def test_ready_follows_the_anchor_and_the_end(self):
        self.assertEqual(self.page("one", "/health"), "ok\n")
        self.assertEqual(self.page("one", "/ready"), "ready\n")
        anchor = self.folder / "one" / "anchor"
        anchor.rename(anchor.with_name("hidden"))
        self.wait_for("one", "not ready: the anchor does not answer\n")
        self.assertEqual(self.metric("one", "coffer_vault_ready"), 0)
        self.assertEqual(self.page("one", "/health"), "ok\n")
        anchor.with_name("hidden").rename(anchor)
        self.wait_for("one", "ready\n")

    def wait_for(self, name, words, seconds=20):
        end = time.monotonic() + seconds
        said = ""
        while said != words and time.monotonic() < end:
            try:
                said = self.page(name, "/ready")
            except urllib.error.HTTPError as error:
                self.assertEqual(error.code, 503)
                said = error.read().decode()
            # The vault asks its anchor every few seconds.
            time.sleep(0.2)
        self.assertEqual(said, words)


class Stopping(Observed):
    vault_count = 1

    def serve_options(self, name):
        return [*super().serve_options(name), "--drain-seconds", "2"]

    def test_a_vault_that_is_told_to_stop_says_so_first_and_answers_what_is_in_work(self):
        process = self.processes["one"]
        process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 10
        said = ""
        while "draining" not in said and time.monotonic() < end:
            try:
                said = self.page("one", "/ready")
            except urllib.error.HTTPError as error:
                said = error.read().decode()
        self.assertEqual(said, "not ready: draining\n")
        # Until the balancer has noticed, people are still answered.
        with urllib.request.urlopen(f"{self.url('one')}/v1/key", timeout=10) as answer:
            self.assertEqual(answer.status, 200)
        self.assertEqual(process.wait(timeout=20), 0)
        events = [json.loads(line)["event"] for line in self.logs().split("\n") if line]
        self.assertEqual(events[-2:], ["draining", "stopped"])


class NewIdentity(FleetSession):
    """The operating guide's way to exchange a vault's identity, word for word, while everybody serves."""

    vault_count = 3

    def test_a_vault_gets_a_new_identity_and_people_follow(self):
        notes = self.make_notes()
        self.enable(notes)
        self.coffer("backup")
        self.ports["new"] = free_port()
        self.vault("init", "new", "--name", "new", "--url", self.url("new"))
        shown = self.vault("fleet", "show", "fleet.toml").split("\n")
        index = next(line.split()[1] for line in shown if line.startswith("vault ") and self.url("two") in line)
        next_file = self.folder / "next.toml"
        next_file.write_text(self.vault("fleet", "next", "fleet.toml", "--add", "new/vault.pub", "--retire", index))
        for name in ("one", "three"):
            with open(next_file, "a") as file:
                file.write(self.vault("fleet", "sign", name, "next.toml"))
        for name in ("one", "two", "three", "new"):
            self.vault("fleet", "set", name, "next.toml")
        self.vault("tenant", "add", "chat-app", "--dir", "new", "--jwks", "issuer/issuer.jwks.json", "--no-waits")
        self.start("new")
        self.vault("issuer", "token", "anna", "--tenant", "chat-app", "--fleet", "next.toml", "--issuer", "issuer",
                   "--output", "newer-tokens.json")
        self.coffer("password", "move", "--fleet", "next.toml", "--password-file", "password", "--token-file",
                    "newer-tokens.json")
        # The old one is gone, and one more is down: the new one's share counts.
        self.stop("two", "three")
        self.coffer(*self.restore_arguments("R", account="newer"), device="new-phone")
        self.compare(notes, self.folder / "R")


if __name__ == "__main__":
    unittest.main()
