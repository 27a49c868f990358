"""The operator's commands."""

import base64
import json
import os
import shutil
import socket
import subprocess
import unittest

from fleet import FleetSession
from session import BINARIES, ROOT, Session


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


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

    def test_operators_who_change_a_tenant_at_once_lose_no_change(self):
        names = [f"issuer-{number}" for number in range(6)]
        for name in names:
            self.vault("issuer", "new", name)
        listed = set(self.vault("tenant", "keys", "chat-app", "--dir", "one").split())
        self.at_once(*[["tenant", "keys", "chat-app", "--dir", "one", "--add", f"{name}/issuer.jwks.json"]
                       for name in names])
        added = set(self.vault("tenant", "keys", "chat-app", "--dir", "one").split()) - listed
        self.assertEqual(len(added), len(names))
        self.at_once(*[["tenant", "keys", "chat-app", "--dir", "one", "--withdraw", key] for key in sorted(added)],
                     ["tenant", "add", "chat-app", "--dir", "one", "--budget", "3"],
                     ["tenant", "add", "chat-app", "--dir", "one", "--grace-hours", "5"])
        self.assertEqual(set(self.vault("tenant", "keys", "chat-app", "--dir", "one").split()), listed)
        self.assertRegex(self.vault("tenant", "list", "--dir", "one"), "chat-app +3 attempts, no waits, grace 5 h")

    def at_once(self, *commands):
        processes = [subprocess.Popen(
            [str(BINARIES / "coffer-vault"), *command], env=self.environment("operator"), cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for command in commands]
        for process in processes:
            said, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, said)

    def test_a_key_that_others_can_read_is_refused(self):
        self.stop("one")
        key = self.folder / "one/security-module.key"
        os.chmod(key, 0o644)
        self.assertIn("chmod 600", self.vault("serve", "one", "--listen", "127.0.0.1:0", expect=77))

    def test_init_does_not_overwrite(self):
        self.vault("init", "one", "--name", "again", expect=73)

    def test_init_over_what_a_cut_run_left_says_what_to_delete(self):
        """A cut leaves the first files of this list, and nothing of the others."""
        files = ["security-module.key", "data-key.wrapped", "vault.sqlite", "vault.pub"]
        self.vault("init", "cut", "--name", "cut", "--url", "http://127.0.0.1:1")
        whole = self.folder / "cut"
        for kept in range(1, len(files)):
            folder = self.folder / f"cut-{kept}"
            folder.mkdir(mode=0o700)
            for name in files[:kept]:
                for path in whole.glob(f"{name}*"):
                    shutil.copy2(path, folder / path.name)
            before = {path: path.read_bytes() for path in self.files_below(folder)}
            said = self.vault("init", folder, "--name", "cut", expect=73)
            self.assertIn("delete the folder", said)
            self.assertEqual(before, {path: path.read_bytes() for path in self.files_below(folder)})
        shutil.rmtree(self.folder / "cut-1")
        self.vault("init", "cut-1", "--name", "cut")
        self.vault("tenant", "list", "--dir", "cut-1")

    def test_init_refuses_urls_that_no_fleet_takes(self):
        for url in ("ftp://x y", "http://a b", "vault.example", 'https://a"b', "https://\x1b[2J"):
            self.vault("init", "new", "--name", "new", "--url", url, expect=64)
        self.assertFalse((self.folder / "new").exists())

    def test_the_version(self):
        self.assertRegex(self.vault("--version"), r"^\d+\.\d+\.\d+\n$")

    def test_a_port_that_is_taken_is_told_in_words(self):
        self.vault("init", "new", "--name", "new")
        (self.folder / "solo.toml").write_text(
            self.vault("fleet", "new", "new/vault.pub", "--url", "http://127.0.0.1:1"))
        said = self.vault("serve", "new", "--fleet", "solo.toml", "--listen", f"127.0.0.1:{self.ports['one']}",
                          expect=69)
        self.assertIn("is taken", said)
        said += self.vault("serve", "new", "--listen", "no-such-host.invalid:0", expect=69)
        for word in ("errno", "bind(", "descriptor", "Error"):
            self.assertNotIn(word, said)

    def test_the_ready_line_puts_an_ipv6_address_in_brackets(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("this machine has no IPv6")
        self.stop("one")
        process = subprocess.Popen(
            [str(BINARIES / "coffer-vault"), "serve", "one", "--listen", "[::1]:0"], cwd=self.folder,
            env=self.environment("operator"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.processes["one"] = process
        self.assertRegex(process.stdout.readline(), rb"^ready on http://\[::1\]:\d+, vault")
        self.assertRegex((self.folder / "one/address").read_text(), r"^\[::1\]:\d+\n$")

    def test_a_foreign_public_file_steers_no_terminal(self):
        good = (self.folder / "one/vault.pub").read_text()
        for name in ("\x1b[2Jone", "o\u202ene", "on\u200be", "a" * 65, "one two"):
            (self.folder / "bad.pub").write_text(good.replace("name one", f"name {name}"))
            said = self.vault("fleet", "new", "bad.pub", expect=65)
            self.assertTrue(all(c.isprintable() or c == "\n" for c in said), said)
        text = (self.folder / "fleet.toml").read_text()
        (self.folder / "bad.toml").write_text('"a\\u001b[2J\\u202eb" = 1\n' + text)
        said = self.vault("fleet", "show", "bad.toml", expect=65)
        self.assertTrue(all(c.isprintable() or c == "\n" for c in said), said)

    def test_a_new_version_of_the_fleet_needs_the_word_of_the_old_one(self):
        self.vault("init", "four", "--name", "four", "--url", "http://127.0.0.1:1")
        unsigned = self.vault("fleet", "next", "fleet.toml", "--add", "four/vault.pub", "--retire", "3")
        (self.folder / "next.toml").write_text(unsigned)
        said = self.vault("fleet", "set", "one", "next.toml", expect=78)
        self.assertIn("signed", said)
        with open(self.folder / "next.toml", "a") as file:
            file.write(self.vault("fleet", "sign", "one", "next.toml"))
        self.vault("fleet", "set", "two", "next.toml", expect=78)
        # A vault that only joins has no say yet.
        self.vault("fleet", "sign", "four", "next.toml", expect=78)
        with open(self.folder / "next.toml", "a") as file:
            file.write(self.vault("fleet", "sign", "two", "next.toml"))
        for name in ("one", "two", "three", "four"):
            self.vault("fleet", "set", name, "next.toml")
        said = self.vault("fleet", "show", "next.toml")
        self.assertIn("version 2", said)
        self.vault("fleet", "set", "one", "fleet.toml", expect=78)
        self.vault("fleet", "sign", "one", "next.toml", expect=78)

    def test_within_a_version_only_urls_change(self):
        foreign = []
        for name in ("x", "y"):
            self.vault("init", name, "--name", name, "--url", "http://127.0.0.1:1")
            foreign.append((self.folder / name / "vault.pub").read_text().split("identity ")[1].split()[0])
        text = (self.folder / "fleet.toml").read_text()
        moved = text.replace(self.url("two"), "https://two.example")
        (self.folder / "moved.toml").write_text(moved)
        self.vault("fleet", "set", "one", "moved.toml")
        lines = [line for line in text.split("\n") if not line.startswith("id = ")]
        identities = [line for line in lines if line.startswith("identity")]
        altered = "\n".join(lines)
        for line, key in zip(identities[1:], foreign):
            altered = altered.replace(line, f'identity = "{key}"')
        (self.folder / "altered.toml").write_text(altered)
        self.assertIn("only URLs may change", self.vault("fleet", "set", "one", "altered.toml", expect=78))

    def test_a_change_of_keys_keeps_the_tenants_policy(self):
        tenant = ["tenant", "add", "other", "--dir", "one"]
        self.vault(*tenant, expect=64)
        self.vault(*tenant, "--jwks", "issuer/issuer.jwks.json", "--budget", "4", "--waits", "7,5", "--grace-hours", "9")
        said = self.vault("tenant", "list", "--dir", "one")
        line = next(line for line in said.split("\n") if line.startswith("other"))
        self.assertRegex(line, r"4 attempts, waits \[7, 5\] s, grace 9 h")
        self.vault("issuer", "new", "rotated")
        self.vault(*tenant, "--jwks", "rotated/issuer.jwks.json")
        self.assertIn(line, self.vault("tenant", "list", "--dir", "one"))
        self.vault(*tenant, "--grace-hours", "10")
        self.assertIn(line.replace("9 h", "10 h"), self.vault("tenant", "list", "--dir", "one"))
        self.vault("tenant", "remove", "other", "--dir", "one")
        self.assertNotIn("other", self.vault("tenant", "list", "--dir", "one"))
        self.vault("tenant", "remove", "other", "--dir", "one", expect=78)

    def test_a_tenants_keys_come_and_go_one_by_one(self):
        keys = ["tenant", "keys", "chat-app", "--dir", "one"]
        first = json.loads((self.folder / "issuer/issuer.jwks.json").read_text())["keys"][0]
        self.vault("issuer", "new", "next")
        second = json.loads((self.folder / "next/issuer.jwks.json").read_text())["keys"][0]
        self.assertEqual(self.vault(*keys), f"{first['kid']}\n")
        for _ in range(2):
            said = self.vault(*keys, "--add", "next/issuer.jwks.json")
            self.assertEqual(said, f"{first['kid']}\n{second['kid']}\n")
        other = second | {"kid": first["kid"]}
        (self.folder / "other.json").write_text(json.dumps({"keys": [other]}))
        self.assertIn("an id of its own", self.vault(*keys, "--add", "other.json", expect=73))
        rsa = {"kty": "RSA", "alg": "RS256", "kid": "small", "e": "AQAB", "n": base64url(b"\xff" * 128)}
        (self.folder / "small.json").write_text(json.dumps({"keys": [rsa]}))
        self.assertIn("2048", self.vault(*keys, "--add", "small.json", expect=65))
        self.vault(*keys, "--withdraw", "nobody", expect=78)
        self.vault(*keys, "--withdraw", first["kid"], "--withdraw", second["kid"], expect=78)
        self.assertEqual(self.vault(*keys, "--withdraw", first["kid"]), f"{second['kid']}\n")
        self.vault("tenant", "keys", "nobody", "--dir", "one", expect=78)

    def test_slips_in_a_policy_are_told(self):
        tenant = ["tenant", "add", "chat-app", "--dir", "one"]
        for waits in ("86400,,900", ",900", "900,", ""):
            self.vault(*tenant, f"--waits={waits}", expect=64)
        self.assertIn("warning", self.vault(*tenant, "--budget", "64"))
        self.assertNotIn("warning", self.vault(*tenant, "--budget", "6"))

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
