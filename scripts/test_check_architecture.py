#!/usr/bin/env python3
"""The fences can fall: breaches are planted in a copy of the sources, and each is found."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


class CheckArchitecture(unittest.TestCase):
    def setUp(self):
        self.copy = pathlib.Path(tempfile.mkdtemp(prefix="coffer-fences-"))
        self.addCleanup(shutil.rmtree, self.copy)
        for name in ("Package.swift", "Sources", "Tests", "Simulation", "scripts"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, self.copy / name)

    def plant(self, path, text):
        with open(self.copy / path, "a") as file:
            file.write(text)

    def check(self):
        done = subprocess.run(
            [str(self.copy / "scripts/check-architecture")], text=True, capture_output=True, cwd=self.copy)
        return done.returncode, done.stdout

    def test_the_sources_as_they_are(self):
        status, said = self.check()
        self.assertEqual(status, 0, said)

    def test_planted_breaches(self):
        manifest = self.copy / "Package.swift"
        text = manifest.read_text()
        above = 'room("BackupFormat", in: "Backup", uses: ['
        self.assertIn(above, text)
        manifest.write_text(text.replace(above, above + '"VaultCore", "BackupEngine", '))
        file = sorted((self.copy / "Sources/Vault/VaultCore").rglob("*.swift"))[0].relative_to(self.copy)
        plants = {
            "import Foundation\n": "is pure and imports Foundation",
            "import BackupFormat\n": "without declaring it",
            "import Crypto\n": "only Primitives imports Crypto",
            "let planted1 = try! f()\n": "try!",
            "let planted2 = fatalError()\n": "fatalError",
            "func planted3() async {}\n": "async",
            "let planted4 = SystemRandomNumberGenerator()\n": "default randomness",
            "struct KeyManager {}\n": "a name that says nothing",
            "struct Planted5: @unchecked Sendable {}\n": "an unchecked promise",
            "// TODO\nlet planted6 = 1 // one\nlet later = \"\"; let TODO = 1\n": "an unowned to-do",
            "func long() {\n" + "    f()\n" * 80 + "}\n": "a function of 82 lines",
        }
        self.plant(file, "\n" * 8 + ("\n" * 8).join(plants))
        status, said = self.check()
        self.assertEqual(status, 1)
        for breach in [*plants.values(), "listed below it", "the vault wing and the backup wing never meet"]:
            self.assertIn(breach, said)

    def test_a_long_file(self):
        file = sorted((self.copy / "Sources/Ground/ByteCoding").rglob("*.swift"))[0].relative_to(self.copy)
        self.plant(file, "// more\n" * 500)
        status, said = self.check()
        self.assertEqual(status, 1)
        self.assertIn("lines; at most 500", said)


if __name__ == "__main__":
    unittest.main()
