"""The programs that are measured, each as the same few commands. Every one keeps its state below its own folder."""

import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATABASE = "Databases/msgstore.db"


class Tool:
    """One program with one set of flags. Commands are argument lists, or a line for bash where pipes are needed."""

    name = ""
    programs = ()
    increments = True  # whether a second backup reuses the first
    verifies = True
    takes_one_file = True

    def __init__(self, folder, programs):
        self.folder = pathlib.Path(folder)
        self.store = self.folder / "store"
        self.programs_found = programs
        self.environment = os.environ | {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder)}

    def prepare(self, source):
        """Makes an empty store; not measured."""
        (self.folder / "home").mkdir(parents=True)

    def run_quietly(self, *command):
        subprocess.run([str(part) for part in command], env=self.environment, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def program(self, name):
        return self.programs_found[name]

    def version(self):
        done = subprocess.run([self.program(self.programs[0]), *self.version_arguments], text=True, capture_output=True,
                              env=self.environment)
        found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
        return found.group(0) if found else "?"

    version_arguments = ("--version",)

    def independent_reader(self, target):
        """Days, and the commands by which another program restores them, if there is one; not measured against anything."""
        return []


class Coffer(Tool):
    name = "Coffer"
    programs = ("coffer",)

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        self.environment |= {"XDG_STATE_HOME": str(self.folder / "home/state"), "COFFER_KEY_STORAGE": "file",
                             "XDG_CACHE_HOME": str(self.folder / "home/cache")}
        self.key = self.folder / "key.txt"
        self.unlock = ["--from", self.store, "--key-file", self.key]

    def prepare(self, source):
        super().prepare(source)
        self.run_quietly(self.program("coffer"), "enable", source, "--to", self.store, "--key", "--key-file", self.key)

    def backup(self, source, day):
        return [self.program("coffer"), "backup", "--json"]

    def restore(self, target):
        return [self.program("coffer"), "restore", *self.unlock, target, "--json"]

    def restore_one(self, target):
        return [self.program("coffer"), "restore", *self.unlock, "--only", DATABASE, target, "--json"]

    def verify(self):
        return [self.program("coffer"), "verify", "--deep", "--json"]

    def independent_reader(self, target):
        python = reader_python()
        if not python:
            print("skipped: the independent reader (Python's cryptography or zstandard is not there)", file=sys.stderr)
            return []
        reader = [python, ROOT / "Specs/reference/read_backup.py", "--key-file", self.key, self.store, "extract"]
        # The second snapshot is day 1 again.
        return [(day, [*reader, target, "--snapshot", number]) for day, number in (("day1", "1"), ("day2", "3"))]


def reader_python():
    """A Python that has what the independent reader needs."""
    for python in (ROOT / ".build-tools/python/bin/python", sys.executable):
        done = subprocess.run([python, "-c", "import cryptography, zstandard"], stderr=subprocess.DEVNULL) \
            if os.access(python, os.X_OK) else None
        if done and done.returncode == 0:
            return python
    return None


class Restic(Tool):
    name = "restic"
    programs = ("restic",)
    version_arguments = ("version",)
    flags = ()

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        password = self.folder / "password"
        self.environment |= {"RESTIC_REPOSITORY": str(self.store), "RESTIC_PASSWORD_FILE": str(password),
                             "RESTIC_CACHE_DIR": str(self.folder / "home/cache")}

    def prepare(self, source):
        super().prepare(source)
        (self.folder / "password").write_text(secrets.token_hex(32))
        self.run_quietly(self.program("restic"), "init", "--repository-version", "2")
        self.source = source

    def backup(self, source, day):
        return [self.program("restic"), "backup", "-q", *self.flags, source]

    def restore(self, target):
        return [self.program("restic"), "restore", "-q", "latest", "--target", target]

    def restore_one(self, target):
        return [self.program("restic"), "restore", "-q", "latest", "--include", f"{self.source}/{DATABASE}",
                "--target", target]

    def verify(self):
        return [self.program("restic"), "check", "-q", "--read-data"]


class ResticOff(Restic):
    name = "restic, compression off, packs of 64 MiB"
    flags = ("--compression", "off", "--pack-size", "64")


class Borg(Tool):
    encryption = "repokey"
    compression = "lz4"
    programs = ("borg",)

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        self.environment |= {"BORG_REPO": str(self.store), "BORG_PASSPHRASE": secrets.token_hex(32),
                             "BORG_BASE_DIR": str(self.folder / "home")}

    def prepare(self, source):
        super().prepare(source)
        self.run_quietly(self.program("borg"), "init", "-e", self.encryption)
        self.source, self.count = source, 0

    def backup(self, source, day):
        self.count += 1
        return [self.program("borg"), "create", "-C", self.compression, f"::{self.count}", source]

    def restore(self, target):
        return f"mkdir -p {target} && cd {target} && exec {self.program('borg')} extract ::{self.count}"

    def restore_one(self, target):
        return self.restore(target) + f" {str(self.source).lstrip('/')}/{DATABASE}"

    def verify(self):
        return [self.program("borg"), "check", "--verify-data"]


class BorgAES(Borg):
    name = "borg, aes, lz4"


class BorgBlake(Borg):
    name = "borg, blake2, auto,zstd,3"
    encryption = "repokey-blake2"
    compression = "auto,zstd,3"


class RcloneCrypt(Tool):
    name = "rclone crypt"
    programs = ("rclone",)

    def prepare(self, source):
        super().prepare(source)
        self.store.mkdir()
        obscured = subprocess.run([self.program("rclone"), "obscure", secrets.token_hex(32)], check=True, text=True,
                                  capture_output=True).stdout.strip()
        self.environment |= {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_C_TYPE": "crypt",
                             "RCLONE_CONFIG_C_REMOTE": str(self.store), "RCLONE_CONFIG_C_PASSWORD": obscured}
        self.source = source

    def backup(self, source, day):
        # What a sync deletes or replaces is kept, as the other programs keep older snapshots.
        return [self.program("rclone"), "sync", "-q", source, "C:now", "--backup-dir", f"C:before-{day}"]

    def restore(self, target):
        return [self.program("rclone"), "copy", "-q", "C:now", target]

    def restore_one(self, target):
        return [self.program("rclone"), "copyto", "-q", f"C:now/{DATABASE}", f"{target}/{DATABASE}"]

    def verify(self):
        return [self.program("rclone"), "cryptcheck", "-q", self.source, "C:now"]


class TarAge(Tool):
    name = "tar, zstd -1, age"
    programs = ("age", "zstd", "tar", "age-keygen")
    increments = False
    verifies = False
    takes_one_file = False

    def prepare(self, source):
        super().prepare(source)
        self.store.mkdir()
        self.run_quietly(self.program("age-keygen"), "-o", self.folder / "identity")
        text = (self.folder / "identity").read_text()
        self.recipient = re.search(r"age1\w+", text).group(0)

    def backup(self, source, day):
        return (f"tar -C {source} -cf - . | zstd -q -1 | {self.program('age')} -r {self.recipient} "
                f"> {self.store}/{day}.tar.zst.age")

    def restore(self, target):
        return (f"mkdir -p {target} && {self.program('age')} -d -i {self.folder}/identity {self.store}/day1.tar.zst.age "
                f"| zstd -q -d | tar -C {target} -xf -")


class CopyFloor(Tool):
    name = "cp -a (no encryption: the floor)"
    programs = ("cp",)
    increments = False
    verifies = False
    takes_one_file = False

    def backup(self, source, day):
        return ["cp", "-a", source, self.store]

    def restore(self, target):
        return ["cp", "-a", self.store, target]


ALL = (Coffer, Restic, ResticOff, BorgAES, BorgBlake, RcloneCrypt, TarAge, CopyFloor)


def find_programs(tool, extra):
    """Paths of a tool's programs, or the name of the first that is missing."""
    search = os.pathsep.join([*map(str, extra), os.environ.get("PATH", os.defpath)])
    found = {}
    for program in tool.programs:
        path = shutil.which(program, path=search)
        if path is None:
            return program
        found[program] = path
    return found
