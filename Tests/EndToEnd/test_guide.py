"""The operating guide, word for word: three vaults on tokens from nothing, and what to do when something is lost."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from fleet import free_port
from session import BINARIES, ROOT, Session, device_environment
from test_tokens import MODULES
from walk import Machine, Walk

GUIDE = ROOT / "Docs/Operating.md"
RULES = ROOT / "Docs/prometheus-rules.yml"
PIN = "7731-secret-pin"

# What stands in the guide (a pattern), and what stands for it here. Everything else is run as it is written, and a row
# that nothing needed fails the test. `<word>`: the machine's own.
STANDS_FOR = [
    # It is built, and a link is as good as a copy of 160 MB.
    (r"^make release", "true"),
    (r"^sudo install \.build/release/coffer-vault ", f"ln -s {BINARIES}/coffer-vault "),
    # Packages and accounts are the machine's business: here is one account.
    (r"^sudo apt-get install", "true"),
    (r"^sudo (useradd|usermod)", "true"),
    (r"^sudo -u coffer-vault bash", "true"),
    (r"-o coffer-vault ", ""),
    (r"^sudo ", ""),
    # Folders.
    (r"/usr/local/bin/", "<machine>/bin/"),
    (r"/usr/lib/softhsm/libsofthsm2\.so", "<module>"),
    (r"(?<![\w>])/etc/", "<machine>/etc/"),
    (r"(?<![\w>])/var/lib/", "<machine>/lib/"),
    (r"(?<![\w>])/backup(?=[/\s]|$)", "<machine>/backup"),
    # Hosts and ports.
    (r"https://vault\.example\.org", "http://127.0.0.1:<port>"),
    (r"127\.0\.0\.1:8440", "127.0.0.1:<port>"),
    (r"127\.0\.0\.1:9464", "<metrics>"),
    # A second between two batches spares a token, and would be half of this test's time.
    (r"--anchor pkcs11", "--anchor pkcs11 --anchor-interval-ms 0"),
    # What the operator fills in: his vault's name, and what a command before told him.
    (r"\bfra\b(?!-2\.pub)", "<name>"),
    (r"\bSERIAL\b", "<serial>"),
    (r"\bINDEX\b", "<index>"),
]
ANSWERS = [
    ("SO PIN: ", "87654321"), ("user PIN: ", PIN), ("Password: |The same again: ", "a walk along the harbour"),
    ("cat > pin", PIN),
]
# What `systemctl` starts; nothing: what the guide's unit says.
UNITS = {
    "coffer-vault": None,
    "prometheus": "<prometheus> --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/var/lib/prometheus "
    "--web.listen-address=127.0.0.1:<port>",
}
# Blocks without a fence's `sh`: ways of doing it otherwise, and the tests that go them.
ELSEWHERE = {
    "TLS": "test_tls.py",
    "A tenant's keys": "test_tls.py",
    "The anchor: who notices an old store": "test_rollback.py",
    "What a vault tells its operator": "test_operating.py",
}


def program(name):
    """Where Prometheus' programs are: `scripts/setup --tests` puts them there if they can be had."""
    ours = ROOT / ".build-tools/prometheus" / name
    return str(ours) if ours.exists() else shutil.which(name)


class Guide(Session):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="coffer-session-"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.machines = []
        cls.walk = Walk(GUIDE.read_text(), cls.place, STANDS_FOR, ANSWERS, UNITS)
        cls.addClassCleanup(lambda: [cls.walk.kill(machine) for machine in cls.machines])
        cls.vaults = fra, ams, vie = [cls.operator(name) for name in ("fra", "ams", "vie")]
        # Who makes the fleet file, and here also the issuer: somebody with no vault's secrets.
        cls.office = cls.device("office")
        cls.office.words["name"] = "fra"
        cls.phone, cls.new_phone = cls.device("phone"), cls.device("new-phone")
        # A cloud is everywhere the same.
        (cls.phone.folder / "Cloud").mkdir()
        (cls.new_phone.folder / "Cloud").symlink_to(cls.phone.folder / "Cloud")
        notes = cls.phone.folder / "Chats"
        notes.mkdir()
        for number in range(3):
            (notes / f"note {number}.txt").write_text(f"note {number}\n" * 400)
        cls.app_sends_its_keys()
        cls.cast = {
            "each operator": cls.vaults, "one operator": [cls.office], "t operators": [ams, vie], "monitoring": cls.monitoring(),
            "a person": [cls.phone], "a person's new phone": [cls.new_phone]}
        cls.walk.play("Install", cls.cast)
        cls.walk.play("A fleet, from nothing", cls.cast)

    @classmethod
    def machine(cls, name, environment, mail, **words):
        machine = Machine(name, cls.place / name, environment, cls.place / name / mail, **words)
        cls.machines.append(machine)
        return machine

    @classmethod
    def operator(cls, name):
        folder = cls.place / name
        for made in ("bin", "etc", "lib/softhsm/tokens"):
            (folder / made).mkdir(parents=True)
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder}/lib/softhsm/tokens\nobjectstore.backend = file\n")
        environment = device_environment(folder) | {
            "PATH": f"{folder}/bin:{os.environ['PATH']}", "SOFTHSM2_CONF": f"{folder}/softhsm2.conf"}
        machine = cls.machine(
            name, environment, "etc/coffer-vault", port=str(free_port()), metrics=f"127.0.0.1:{free_port()}",
            module=next(path for path in MODULES if os.path.exists(path)))
        return machine

    @classmethod
    def device(cls, name):
        folder = cls.place / name
        folder.mkdir()
        environment = device_environment(folder) | {"PATH": f"{BINARIES}:{os.environ['PATH']}"}
        return cls.machine(name, environment, ".")

    @classmethod
    def monitoring(cls):
        if not program("prometheus") or not program("promtool"):
            return []
        for made in ("etc/prometheus", "lib/prometheus"):
            (cls.place / "monitoring" / made).mkdir(parents=True)
        path = f"{pathlib.Path(program('promtool')).parent}:{os.environ['PATH']}"
        targets = '", "'.join(vault.words["metrics"] for vault in cls.vaults)
        machine = cls.machine(
            "monitoring", os.environ | {"PATH": path}, "none", port=str(free_port()), metrics=targets,
            prometheus=program("prometheus"))
        machine.here = ROOT
        return [machine]

    @classmethod
    def app_sends_its_keys(cls):
        server = cls.device("app")
        cls.walk.type(server, "coffer-vault issuer new keys && cp keys/issuer.jwks.json keys.json")
        cls.walk.exchange(server.folder, cls.walk.post)

    # What people and machines say.

    def coffer(self, machine, command, expect=0):
        return json.loads(self.walk.type(machine, f"coffer {command} --json", expect=expect))

    def restores(self, target, tokens="alice.tokens", expect=0):
        command = f"restore --from ~/Cloud {target} --token-file {tokens}"
        (self.new_phone.folder / "password").touch(mode=0o600)
        (self.new_phone.folder / "password").write_text("a walk along the harbour\n")
        answer = self.coffer(self.new_phone, f"{command} --password-file password", expect)
        if not expect:
            self.compare(self.phone.folder / "Chats", self.new_phone.folder / target)
        return answer

    def page(self, machine, path):
        try:
            with urllib.request.urlopen(f"http://{machine.words['metrics']}/{path}", timeout=20) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def metric(self, machine, name):
        return float(re.search(rf"^{name} (.*)$", self.page(machine, "metrics"), flags=re.M)[1])

    def audit(self, machine, expect=0):
        return self.walk.type(machine, self.walk.here("coffer-vault audit /var/lib/coffer-vault", machine), expect)

    def queried(self, expression):
        machine, = self.cast["monitoring"]
        query = f"http://127.0.0.1:{machine.words['port']}/api/v1/query?query={expression}"
        try:
            with urllib.request.urlopen(query, timeout=20) as answer:
                return {
                    one["metric"]["instance"]: float(one["value"][1]) for one in json.load(answer)["data"]["result"]}
        except OSError:
            return {}

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    # The walk, and what must be true behind it.

    def test_three_vaults_from_nothing(self):
        self.compare(self.phone.folder / "Chats", self.new_phone.folder / "Restored")
        shown = {self.walk.type(vault, "coffer-vault fleet show fleet.toml") for vault in self.vaults}
        self.assertEqual(len(shown), 1)
        self.assertIn("any 2 of 3 vaults", shown.pop())
        for vault in self.vaults:
            self.assertEqual(self.page(vault, "ready"), "ready\n")
            said = self.audit(vault)
            self.assertIn("opens the data key", said)
            self.assertIn("remembers this head", said)
            self.assertEqual(sorted(path.name for path in (vault.folder / "backup").glob("*/*")),
                             ["security-module.token", "vault.pub", "vault.sqlite"])
            self.assertNotIn(PIN, vault.log())
        self.assertNotIn(PIN, "".join(self.walk.printed))
        # They are three: another folder, another token, another name.
        self.assertEqual(len({vault.words["serial"] for vault in self.vaults}), 3)

    def test_prometheus_scrapes_all_of_them(self):
        if not self.cast["monitoring"]:
            self.skipTest("Prometheus cannot be had here: `apt-get download prometheus` brought none")
        ours = {vault.words["metrics"] for vault in self.vaults}
        self.until(lambda: self.queried("up") == dict.fromkeys(ours, 1.0))
        self.assertEqual(self.queried("coffer_vault_ready"), dict.fromkeys(ours, 1.0))
        self.assertEqual(set(self.queried("coffer_vault_slots")), ours)

    def test_the_alerts_read(self):
        if not program("promtool"):
            self.skipTest("promtool cannot be had here: `apt-get download prometheus` brought none")
        status = self.walk.type(self.phone, f"{program('promtool')} check rules {RULES}")
        self.assertRegex(status, rf"SUCCESS: {RULES.read_text().count('- alert:')} rules found")

    def test_what_is_lost_comes_back(self):
        """One after another, and behind each all three serve again."""
        for disaster in (self.a_machine_is_lost, self.a_record_is_damaged, self.a_vault_is_lost_for_good):
            with self.subTest(disaster.__name__):
                disaster()
        self.assertEqual(self.walk.used, set(range(len(STANDS_FOR))), "every row of the table is needed")
        left = {block.heading for number, block in enumerate(self.walk.blocks)
                if number not in self.walk.walked and block.info != "ini"}
        self.assertEqual(left, set(ELSEWHERE), "every other block is walked, or is another test's")
        self.assertFalse([name for name in ELSEWHERE.values() if not (ROOT / "Tests/EndToEnd" / name).exists()])

    def a_machine_is_lost(self):
        """Its token is saved, and there is a copy, from before the newest backup."""
        fra, ams, vie = self.vaults
        self.walk.type(self.phone, "coffer backup")
        self.walk.kill(ams)
        lost = ams.folder / "lib/coffer-vault"
        shutil.rmtree(lost)
        shutil.copytree(ams.folder / "backup/ams-2026-11-22", lost)
        self.assertIn("older copy", self.audit(ams, expect=76), "the copy is not served as it is")
        shutil.rmtree(lost)
        lost.mkdir(mode=0o700)
        # The others go on without it.
        self.restores("R1")

        self.walk.play("A lost store", {"the operator": [ams]})
        self.assertIn("remembers this head", self.audit(ams))
        self.frozen_until_a_device_was_in_touch(ams, fra, "R2")

    def frozen_until_a_device_was_in_touch(self, vault, other, target, tokens="alice.tokens"):
        self.until(lambda: self.metric(vault, "coffer_vault_restored_records") > 0)
        self.walk.stop(other, "coffer-vault")
        error = self.restores(target, tokens, expect=50)["error"]
        self.assertIn("came back from a backup", error["message"])
        self.walk.serve(other, "coffer-vault")
        self.coffer(self.phone, "status")
        self.walk.stop(other, "coffer-vault")
        self.restores(target, tokens)
        self.walk.serve(other, "coffer-vault")

    def a_record_is_damaged(self):
        fra, ams, vie = self.vaults
        with sqlite3.connect(vie.folder / "lib/coffer-vault/vault.sqlite") as store:
            slot, = store.execute("SELECT max(slot) FROM records").fetchone()
            store.execute("UPDATE records SET sealed = zeroblob(200) WHERE slot = ?", (slot,))
        store.close()
        # Two others answer, and this one serves whom it can, and tells its operator.
        self.restores("R3")
        self.assertEqual(self.metric(vie, "coffer_vault_records_damaged_total"), 1)
        self.assertEqual(self.page(vie, "ready"), "ready\n")
        with self.assertRaisesRegex(AssertionError, rf"slot {slot}[\s\S]*exit status 65"):
            self.walk.play("A damaged record", {"the operator": [vie]})

        self.walk.play("A lost store", {"the operator": [vie]})
        self.walk.play("A damaged record", {"the operator": [vie]})
        self.frozen_until_a_device_was_in_touch(vie, fra, "R4")

    def a_vault_is_lost_for_good(self):
        fra, ams, vie = self.vaults
        self.walk.kill(fra)
        shutil.rmtree(fra.folder)
        new = self.operator("fra-2")
        self.walk.play("Install", {"each operator": [new]})
        self.walk.play("A fleet, from nothing", {"each operator": [new]}, part=slice(0, 2))
        shown = self.walk.type(vie, "coffer-vault fleet show fleet.toml")
        self.office.words["index"] = re.search(rf"^vault (\d) .*:{fra.words['port']}$", shown, flags=re.M)[1]
        self.walk.play("Another version of the fleet", self.cast | {"each operator": [ams, vie, new]})
        self.walk.play("A vault that is lost for good", self.cast | {"new operator": [new]})
        # Nothing is left of the old one that anybody needs: the new one's share counts.
        self.walk.exchange(self.walk.post, self.new_phone.mail)
        self.walk.stop(ams, "coffer-vault")
        self.restores("R5", "alice-next.tokens")


if __name__ == "__main__":
    unittest.main()
