#!/usr/bin/env python3
"""Tests of read_backup.py. Run:  python3 Specs/reference/test_read_backup.py

Stores are made by a small writer of its own (below), so that each structure of the specification is built here in one
direction and read there in the other. Then stores are damaged in every way that a store, or a thief of one, could try.
"""

import contextlib
import hashlib
import hmac
import io
import json
import os
import random
import struct
import sys
import tempfile
import unittest
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

sys.path.insert(0, str(Path(__file__).parent))
import read_backup  # noqa: E402

KEYRING, PACK, INDEX, SNAPSHOT, REMOVAL = 1, 2, 3, 4, 5
ZERO_ID = bytes(32)
KEY = bytes(range(32))


# ------------------------------------------------------------------------------------------------------- the writer


def vector(length_bytes, content):
    return len(content).to_bytes(length_bytes, "big") + content


def padded(structure, extra=b""):
    """PADMÉ, by counting up to the next multiple."""
    n = len(structure)
    goal = n
    if n >= 2:
        e = len(bin(n)) - 3
        s = len(bin(e)) - 2
        while goal % (1 << (e - s)):
            goal += 1
    return structure + extra + bytes(max(1024, goal) - n - len(extra))


def symbolic_link(name, target, **changes):
    return metadata(name, 3, **changes) + vector(2, target)


def metadata(name, kind, mode=0o644, seconds=1_400_000_000, nanoseconds=123_456_789, attributes=()):
    pairs = b"".join(vector(1, key) + vector(3, value) for key, value in attributes)
    fixed = struct.pack(">BIIIqI", kind, mode, os.getuid(), os.getgid(), seconds, nanoseconds)
    return vector(2, name) + fixed + vector(3, pairs)


class Writer:
    """Builds the objects of a store in memory: `objects` maps names to bytes."""

    def __init__(self, seed=1, fleet=None, key=KEY, pack_bytes=60_000):
        self.random = random.Random(seed)
        self.key, self.fleet, self.pack_bytes = key, fleet, pack_bytes
        self.store_id = self.random.randbytes(16)
        self.chunk_id_key, self.epoch_key = self.random.randbytes(32), self.random.randbytes(32)
        self.objects, self.listings, self.pieces, self.known = {}, [], [], set()
        self.previous, self.snapshot_hashes = bytes(32), {}
        self.write_keyring(1)
        self.write_header()

    def derive(self, key, info):
        return HKDF(algorithm=hashes.SHA512(), length=32, salt=self.store_id, info=info).derive(key)

    def write_header(self):
        optional = b"\0" if self.fleet is None else b"\1" + vector(3, self.fleet.encode())
        tag = hmac.digest(self.derive(self.key, b"coffer-v1 header"), b"\1" + self.store_id + optional, "sha256")
        header = {
            "format": "coffer-backup", "version": 1,
            "store": self.store_id.hex(), "fleet": self.fleet, "tag": tag.hex(),
        }
        self.objects["coffer.json"] = json.dumps(header).encode()

    def seal(self, kind, plaintext, id=None, epoch=1, reserved=0):
        id = id or self.random.randbytes(16)
        epoch = 0 if kind == KEYRING else epoch
        preamble = b"COFFER" + struct.pack(">BBI", 1, kind, epoch) + id + reserved.to_bytes(4, "big")
        key = self.derive(self.key if kind == KEYRING else self.epoch_key, b"coffer-v1 object" + preamble)
        frames = [plaintext[i : i + 1_048_576] for i in range(0, len(plaintext), 1_048_576)] or [b""]
        sealed = preamble
        for i, frame in enumerate(frames):
            nonce = i.to_bytes(11, "big") + (b"\1" if i == len(frames) - 1 else b"\0")
            sealed += AESGCM(key).encrypt(nonce, frame, None)
        return sealed

    def write_keyring(self, number, plaintext=None):
        epochs = struct.pack(">IQ", 1, 1_700_000_000) + self.epoch_key
        structure = struct.pack(">I", number) + self.chunk_id_key + vector(2, epochs)
        for letter in "ab":
            self.objects[f"keyring/{number:08}-{letter}"] = self.seal(KEYRING, plaintext or padded(structure))

    def chunk(self, content, stored=None, compression=None, claimed=None, id=None, again=False):
        """Stores a chunk and gives its id. The other arguments are for lies."""
        id = id or hmac.digest(self.chunk_id_key, content, "sha256")
        if id in self.known and not again:
            return id
        self.known.add(id)
        if stored is None:
            packed = zstandard.ZstdCompressor(level=3).compress(content)
            compression = 1 if len(packed) < len(content) else 0
            stored = packed if compression else content
        start = 0
        while start < len(stored):
            room = self.pack_bytes - sum(len(piece) for piece, _ in self.pieces)
            piece = stored[start : start + room]
            numbers = (claimed or len(content), len(stored), start, len(piece))
            self.pieces.append((piece, id + bytes([compression]) + struct.pack(">IIII", *numbers)))
            start += len(piece)
            if len(piece) == room:
                self.end_pack()
        return id

    def end_pack(self, garbage=b"", shorter=0, listed=True):
        if not self.pieces:
            return None
        id = self.random.randbytes(16)
        content = b"".join(piece for piece, _ in self.pieces)
        footer = vector(3, b"".join(entry for _, entry in self.pieces))
        footer += len(footer).to_bytes(4, "big")
        zeros = len(padded(content + footer)) - len(content) - len(footer) - shorter
        plaintext = content + garbage + bytes(zeros - len(garbage)) + footer
        name = f"packs/{id.hex()[:2]}/{id.hex()}"
        self.objects[name] = self.seal(PACK, plaintext, id)
        if listed:
            entries = vector(3, b"".join(entry for _, entry in self.pieces))
            self.listings.append(id + struct.pack(">II", 1, len(plaintext)) + entries)
        self.pieces = []
        return name

    def write_index(self, structure=None):
        self.end_pack()
        id = self.random.randbytes(16)
        structure = vector(4, b"".join(self.listings)) if structure is None else structure
        self.objects[f"index/{id.hex()}"] = self.seal(INDEX, padded(structure), id)
        self.listings = []

    def runs(self, ids, depth):
        """A ChunkList. Depth 1 uses runs of three ids, so that little data makes several of them."""
        if depth:
            ids = [self.chunk(b"".join(ids[i : i + 3])) for i in range(0, len(ids), 3)]
            return bytes([depth]) + self.runs(ids, depth - 1)[1:]
        return b"\0" + vector(2, b"".join(ids))

    def file(self, name, content=b"", block_bytes=None, depth=0, link_group=0, form=0, claimed=None, **changes):
        block_bytes = block_bytes or len(content)
        blocks = [content[i : i + block_bytes] for i in range(0, len(content), block_bytes or 1)]
        ids = [self.chunk(block) if any(block) else ZERO_ID for block in blocks]
        return self.file_of(name, ids, claimed or len(content), block_bytes, depth, link_group, form, **changes)

    def file_of(self, name, ids, content_bytes, block_bytes, depth=0, link_group=0, form=0, **changes):
        fixed = struct.pack(">BQQI", form, link_group, content_bytes, block_bytes)
        return metadata(name, 1, **changes) + fixed + self.runs(ids, depth)

    def directory(self, name, entries=(), each=2, **changes):
        """`each`: how many entries share a chunk."""
        changes.setdefault("mode", 0o755)
        groups = [entries[i : i + each] for i in range(0, len(entries), each)]
        return metadata(name, 2, **changes) + self.runs([self.listing(group) for group in groups], 0)

    def listing(self, entries):
        return self.chunk(vector(3, b"".join(entries)))

    def snapshot(self, root, number=1, counts=(0, 0, 0, 0), previous=None, plaintext=None, index=True, name=None):
        if index:
            self.write_index()
        id = self.random.randbytes(16)
        structure = struct.pack(">I", number) + id + struct.pack(">QQ", 1_700_000_000, 1_700_000_009)
        structure += (self.previous if previous is None else previous) + vector(2, "/home/é/Chats".encode())
        structure += vector(2, "videos\n*.tmp".encode())
        structure += struct.pack(">QQQQQ", *counts, 1) + vector(2, vector(2, b"socket") + b"\4") + root
        self.previous = hashlib.sha256(b"coffer-v1 snapshot" + structure).digest()
        plaintext = plaintext or padded(structure)
        name = name or f"snapshots/{number:08}-{id.hex()}"
        self.objects[name] = self.seal(SNAPSHOT, plaintext) + self.seal(SNAPSHOT, plaintext)
        self.snapshot_hashes[name] = self.previous
        return name


NOISE = random.Random(5).randbytes(1_500_000)


def sample(seed=1, **arguments):
    """A store with one snapshot in which every kind of thing occurs once."""
    w = Writer(seed, **arguments)
    spread = NOISE[:90_000] + bytes(30_000) + NOISE[90_000:100_000] + bytes(20_000)
    media = [
        w.file(b"-rf", b"a dash" * 50, mode=0o444),
        w.file(b"again", NOISE[:200_000], block_bytes=50_000, depth=1, link_group=7),
        symbolic_link(b"dangling", b"../nowhere"),
        w.file(b"empty", b""),
        w.file(b"holes", spread, block_bytes=10_000, mode=0o600, seconds=-1_000, nanoseconds=5),
        w.file(b"name\nwith \xff", "text ☕ ".encode() * 3000, attributes=[(b"user.origin", b"\0forwarded")]),
    ]
    inner = w.directory(b"inner", [w.file(b"again too", NOISE[:200_000], block_bytes=50_000, depth=1, link_group=7)])
    entries = [
        w.directory(b"empty folder", mode=0o700),
        w.directory(b"media", media, mode=0o555),
        w.file(b"msgstore.db", b"SQLite format 3\0" + NOISE[:5000], form=1),
        w.directory(b"other", [inner]),
    ]
    content_bytes = 300 + 200_000 * 2 + len(spread) + len("text ☕ ".encode()) * 3000 + 5016
    w.snapshot(w.directory(b".", entries), counts=(7, 5, 1, content_bytes))
    return w


class StoreCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.stores = 0

    def run_reader(self, objects, *command, key=KEY):
        """(exit code, output, errors) of the reader on a store with these objects."""
        self.stores += 1
        store = self.folder / f"store{self.stores}"
        for name, data in objects.items():
            (store / name).parent.mkdir(parents=True, exist_ok=True)
            (store / name).write_bytes(data)
        key_file = self.folder / "key"
        key_file.write_text(key.hex())
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = read_backup.main(["--key-file", str(key_file), str(store), *command])
        return code, out.getvalue(), err.getvalue()

    def assert_damaged(self, objects, words="", command=("verify",)):
        code, out, err = self.run_reader(objects, *command)
        self.assertEqual(code, 1, f"{command} found nothing wrong: {out}{err}")
        self.assertIn(words, err)
        return err

    def extract(self, objects, code=0, key=KEY):
        target = self.folder / f"restored{self.stores}"
        result = self.run_reader(objects, "extract", str(target), key=key)
        self.assertEqual(result[0], code, result)
        return os.fsencode(target)


def read(*path):
    return Path(os.fsdecode(os.path.join(*path))).read_bytes()


class WhatIsGood(StoreCase):
    def test_everything_comes_back(self):
        code, out, err = self.run_reader(sample().objects, "verify")
        self.assertEqual((code, err), (0, ""), out)
        top = self.extract(sample().objects)
        media = os.path.join(top, b"media")
        self.assertEqual(sorted(os.listdir(top)), [b"empty folder", b"media", b"msgstore.db", b"other"])
        self.assertEqual(os.listdir(os.path.join(top, b"empty folder")), [])
        self.assertEqual(read(media, b"-rf"), b"a dash" * 50)
        self.assertEqual(read(media, b"again"), NOISE[:200_000])
        self.assertEqual(read(media, b"empty"), b"")
        self.assertEqual(read(media, b"holes"), NOISE[:90_000] + bytes(30_000) + NOISE[90_000:100_000] + bytes(20_000))
        self.assertEqual(read(media, b"name\nwith \xff"), "text ☕ ".encode() * 3000)
        self.assertEqual(read(top, b"msgstore.db"), b"SQLite format 3\0" + NOISE[:5000])
        self.assertEqual(os.readlink(os.path.join(media, b"dangling")), b"../nowhere")

    def test_modes_times_links_and_attributes_come_back(self):
        top = self.extract(sample().objects)
        status = lambda *path: os.lstat(os.path.join(top, *path))  # noqa: E731
        self.assertEqual(status(b"media", b"-rf").st_mode & 0o7777, 0o444)
        self.assertEqual(status(b"media").st_mode & 0o7777, 0o555)
        self.assertEqual(status(b"empty folder").st_mode & 0o7777, 0o700)
        for path in ([], [b"media"], [b"other", b"inner"], [b"media", b"dangling"], [b"msgstore.db"]):
            self.assertEqual(status(*path).st_mtime_ns, 1_400_000_000_123_456_789, path)
        self.assertEqual(status(b"media", b"holes").st_mtime_ns, -1_000_000_000_000 + 5)
        self.assertEqual(status(b"media", b"again").st_ino, status(b"other", b"inner", b"again too").st_ino)
        with contextlib.suppress(OSError):  # a file system without user attributes is no fault of the reader
            os.setxattr(os.path.join(top, b"msgstore.db"), b"user.probe", b"")
            value = os.getxattr(os.path.join(top, b"media", b"name\nwith \xff"), b"user.origin")
            self.assertEqual(value, b"\0forwarded")

    def test_a_block_of_zeros_becomes_a_hole(self):
        w = Writer()
        w.snapshot(w.directory(b".", [w.file(b"hole", bytes(8_000_000) + b"end", block_bytes=4_000_000)]))
        status = os.stat(os.path.join(self.extract(w.objects), b"hole"))
        self.assertEqual(status.st_size, 8_000_003)
        self.assertLess(status.st_blocks * 512, 4_000_000)

    def test_list_and_ls_show_what_is_there(self):
        code, out, _ = self.run_reader(sample().objects, "list")
        self.assertEqual(code, 0)
        self.assertIn("7 files, 5 folders, 1 links", out)
        code, out, _ = self.run_reader(sample().objects, "ls", "media")
        self.assertEqual(code, 0)
        self.assertIn("name\\x0awith \\xff", out)
        self.assertIn("dangling -> ../nowhere", out)
        self.assertEqual(self.run_reader(sample().objects, "ls", "media/nothing")[0], 2)

    def test_an_older_snapshot_can_be_chosen(self):
        w = Writer()
        w.snapshot(w.directory(b".", [w.file(b"old", b"1")]), 1, (1, 0, 0, 1))
        w.snapshot(w.directory(b".", [w.file(b"new", b"2")]), 2, (1, 0, 0, 1))
        self.assertEqual(os.listdir(self.extract(w.objects)), [b"new"])
        self.assertIn("old", self.run_reader(w.objects, "ls", "--snapshot", "1")[1])
        self.assertEqual(self.run_reader(w.objects, "verify")[0], 0)
        self.assertEqual(self.run_reader(w.objects, "ls", "--snapshot", "3")[0], 2)

    def test_the_digits_may_be_written_in_any_of_the_allowed_ways(self):
        text = "-".join(KEY.hex().upper()[i : i + 4] for i in range(0, 64, 4)) + " \t\r\n"
        self.assertEqual(read_backup.parse_digits(text), KEY)
        for wrong in (KEY.hex()[:-1], KEY.hex() + "0", KEY.hex()[:-1] + "g", KEY.hex()[:-1] + "\u0661", ""):
            with self.assertRaises(read_backup.Unable):
                read_backup.parse_digits(wrong)

    def test_padding_costs_what_the_paper_says(self):
        self.assertEqual([read_backup.padded(n) for n in (0, 1, 2, 9, 1025, 16_777_200)], [0, 1, 2, 10, 1088, 1 << 24])
        for n in range(2, 5000):
            self.assertLessEqual(read_backup.padded(n), n * 1.12)
            if n > 1024:
                self.assertEqual(read_backup.padded(n), len(padded(bytes(n))))

    def test_a_fleet_file_in_the_header_is_authenticated(self):
        self.assertEqual(self.run_reader(sample(fleet='name = "é"\n').objects, "verify")[0], 0)

    def test_a_folder_that_is_not_empty_is_not_touched(self):
        target = self.folder / "full"
        target.mkdir()
        (target / "mine").write_text("keep")
        self.assertEqual(self.run_reader(sample().objects, "extract", str(target))[0], 2)
        self.assertEqual(os.listdir(target), ["mine"])

    def test_an_empty_plaintext_is_one_empty_frame(self):
        w = Writer()
        path = self.folder / "object"
        path.write_bytes(w.seal(KEYRING, b""))
        key_of = lambda epoch, preamble: w.derive(KEY, b"coffer-v1 object" + preamble)  # noqa: E731
        self.assertEqual(read_backup.SealedObject(str(path), key_of, KEYRING).plaintext(), b"")


class WhatASecondCopySaves(StoreCase):
    def test_one_damaged_keyring_or_snapshot_copy_costs_nothing_but_is_told(self):
        for name in sample().objects:
            if name.startswith(("keyring", "snapshots")):
                objects = sample().objects
                data = bytearray(objects[name])
                data[40] ^= 1
                objects[name] = bytes(data)
                self.extract(objects)
                self.assert_damaged(objects, "does not open")

    def test_a_lost_index_is_rebuilt_from_packs(self):
        objects = {name: data for name, data in sample().objects.items() if not name.startswith("index")}
        self.assertEqual(read(self.extract(objects), b"media", b"again"), NOISE[:200_000])

    def test_a_damaged_index_is_told_and_rebuilt_from_packs(self):
        objects = sample().objects
        for name in objects:
            if name.startswith("index"):
                objects[name] = objects[name][:-1] + bytes([objects[name][-1] ^ 1])
        self.extract(objects)
        self.assert_damaged(objects, "index")

    def test_a_chunk_that_lies_in_two_places_survives_the_loss_of_one(self):
        w = Writer(pack_bytes=30_000)
        entry = w.file(b"photo", NOISE[:100_000])
        w.end_pack()
        first = [name for name in w.objects if name.startswith("packs")]
        w.pack_bytes = 47_000
        w.chunk(NOISE[:100_000], again=True)
        w.snapshot(w.directory(b".", [entry]), counts=(1, 0, 0, 100_000))
        for lost in first:
            objects = {name: data for name, data in w.objects.items() if name != lost}
            self.assertEqual(read(self.extract(objects), b"photo"), NOISE[:100_000])
            self.assert_damaged(objects, "missing")


class WhatIsDamaged(StoreCase):
    def test_each_flipped_byte_is_noticed(self):
        whole = sample().objects
        for name, data in whole.items():
            middle = len(data) // 2
            for position in [*range(0, 34), middle - 1, middle, middle + 33, len(data) - 17, len(data) - 1]:
                changed = bytearray(data)
                changed[position] ^= 4
                code, out, err = self.run_reader({**whole, name: bytes(changed)}, "verify")
                self.assertIn(code, (1, 3) if name == "coffer.json" else (1,), f"{name} at {position}: {out}{err}")

    def test_each_cut_or_lengthened_object_is_noticed(self):
        whole = sample().objects
        for name, data in whole.items():
            for changed in (data[:-1], data[: len(data) // 2], data[:32], data[:31], b"", data + b"x"):
                self.assert_damaged({**whole, name: changed})

    def test_each_missing_object_but_an_index_is_noticed(self):
        whole = sample().objects
        for name in whole:
            if not name.startswith(("index", "snapshots", "coffer.json")):
                self.assert_damaged({other: data for other, data in whole.items() if other != name})

    def test_a_frame_cannot_be_dropped_or_moved(self):
        w = Writer(pack_bytes=4_000_000)
        entry = w.file(b"video", random.Random(9).randbytes(3_400_000))
        w.snapshot(w.directory(b".", [entry]), counts=(1, 0, 0, 3_400_000))
        self.assertEqual(self.run_reader(w.objects, "verify")[0], 0)
        name = next(name for name in w.objects if name.startswith("packs") and len(w.objects[name]) > 3_000_000)
        data, frame = w.objects[name], 1_048_576 + 16
        first, second = data[32 : 32 + frame], data[32 + frame : 32 + 2 * frame]
        self.assert_damaged({**w.objects, name: data[:32] + second + first + data[32 + 2 * frame :]}, "frame 0")
        self.assert_damaged({**w.objects, name: data[: 32 + 2 * frame]})
        self.assert_damaged({**w.objects, name: data[: 32 + frame] + data[32 + 2 * frame :]})

    def test_objects_cannot_stand_under_other_names(self):
        whole = sample().objects
        groups = [[name for name in whole if name.startswith(kind)] for kind in ("packs", "index", "snapshots")]
        a, b = groups[0][:2]
        self.assert_damaged({**whole, a: whole[b], b: whole[a]}, "another name")
        self.assert_damaged({**whole, a: whole[groups[1][0]]}, "another kind")
        snapshot = groups[2][0]
        without = {name: data for name, data in whole.items() if name != snapshot}
        self.assert_damaged({**without, snapshot.replace("00000001", "00000002"): whole[snapshot]}, "another name")
        other_id = snapshot[:-1] + ("0" if snapshot[-1] != "0" else "1")
        self.assert_damaged({**without, other_id: whole[snapshot]}, "another name")
        keyrings = {name.replace("00000001", "00000009"): whole[name] for name in whole if name.startswith("keyring")}
        self.assert_damaged({**whole, **keyrings}, "another name")

    def test_objects_of_another_store_with_the_same_key_do_not_open(self):
        whole, other = sample(1).objects, sample(2).objects
        ours, theirs = ([name for name in o if name.startswith("snapshots")][0] for o in (whole, other))
        without = {name: data for name, data in whole.items() if name != ours}
        self.assert_damaged({**without, theirs: other[theirs]}, "does not open")

    def test_a_lost_pack_costs_only_the_files_in_it(self):
        w = Writer(pack_bytes=60_000)
        small, large = w.file(b"small", b"kept"), w.file(b"large", NOISE[:200_000], block_bytes=20_000)
        w.snapshot(w.directory(b".", [large, small]), counts=(2, 0, 0, 200_004))
        lost = [name for name in w.objects if name.startswith("packs")][1]
        top = self.extract({name: data for name, data in w.objects.items() if name != lost}, code=1)
        self.assertEqual(os.listdir(top), [b"small"], "a half-restored file must not stay")
        self.assertEqual(read(top, b"small"), b"kept")

    def test_padding_must_be_zero_and_of_the_right_length(self):
        for extra in (b"x", bytes(900) + b"x"):
            w = Writer()
            structure = struct.pack(">I", 1) + w.chunk_id_key + vector(2, bytes([0, 0, 0, 1]) + bytes(8) + w.epoch_key)
            w.write_keyring(1, padded(structure, extra))
            self.assert_damaged(w.objects, "padding is not zero")
        w.write_keyring(1, padded(structure) + bytes(64))
        self.assert_damaged(w.objects, "wrong length")
        for arguments in ({"garbage": b"x"}, {"shorter": 1}):
            w = Writer()
            entry = w.file(b"file", NOISE[:3000])
            w.end_pack(**arguments)
            w.snapshot(w.directory(b".", [entry]), counts=(1, 0, 0, 3000))
            self.assert_damaged(w.objects, "padding" if "garbage" in arguments else "wrong length")

    def test_preambles_have_no_room_for_anything_else(self):
        w = sample()
        name = next(name for name in w.objects if name.startswith("keyring"))
        structure = struct.pack(">I", 1) + w.chunk_id_key + vector(2, bytes([0, 0, 0, 1]) + bytes(8) + w.epoch_key)
        self.assert_damaged({**w.objects, name: w.seal(KEYRING, padded(structure), reserved=1)}, "reserved")
        snapshot = next(name for name in w.objects if name.startswith("snapshots"))
        sealed = w.seal(SNAPSHOT, bytes(1024), epoch=2)
        self.assert_damaged({**w.objects, snapshot: sealed * 2}, "no epoch 2")


class KeysAndHeaders(StoreCase):
    def test_a_wrong_key_is_told_apart_from_damage(self):
        self.assertEqual(self.run_reader(sample().objects, "verify", key=bytes(32))[0], 3)
        objects = {n: bytes(2000) if n.startswith("keyring") else d for n, d in sample().objects.items()}
        self.assert_damaged(objects, "the key is right")

    def test_an_altered_header_is_refused(self):
        whole = sample(fleet="mine").objects
        header = json.loads(whole["coffer.json"])

        def with_header(**changes):
            return {**whole, "coffer.json": json.dumps({**header, **changes}).encode()}

        for changes in ({"fleet": "theirs"}, {"fleet": None}, {"tag": "0" * 64}):
            self.assert_damaged(with_header(**changes), "altered", ("list",))
        self.assertEqual(self.run_reader(with_header(store="0" * 32), "list")[0], 3)
        refused = [{"version": 2}, {"version": True}, {"version": 1.0}, {"format": "other"}, {"store": "0" * 31}]
        for changes in refused + [{"store": None}, {"tag": header["tag"].upper()}, {"more": 1}, {"fleet": 7}]:
            self.assert_damaged(with_header(**changes), "version" if "version" in changes else "coffer.json", ("list",))
        twice = whole["coffer.json"].replace(b"{", b'{"version": 1, ')
        self.assert_damaged({**whole, "coffer.json": twice}, "twice", ("list",))
        for text in (b"", b"[]", b"{", b"\xff{}", whole["coffer.json"] + b"x"):
            self.assert_damaged({**whole, "coffer.json": text}, "coffer.json", ("list",))

    def test_while_the_key_is_replaced_both_open_the_store_and_nothing_is_damaged(self):
        w = sample()
        first, second = KEY, bytes(range(1, 33))
        tags = [json.loads(w.objects["coffer.json"])["tag"]]
        w.key = second
        w.write_keyring(2)
        w.write_header()
        tags.append(json.loads(w.objects["coffer.json"])["tag"])
        header = {**json.loads(w.objects["coffer.json"]), "tag": "".join(tags)}
        objects = {**w.objects, "coffer.json": json.dumps(header).encode()}
        for key in (first, second):
            status, *_ = self.run_reader(objects, "verify", key=key)
            self.assertEqual(status, 0)
        self.assertEqual(self.run_reader(objects, "verify", key=bytes(32))[0], 3)
        for length in (63, 65, 127, 129, 192):
            header["tag"] = ("0" * 192)[:length]
            self.assert_damaged({**objects, "coffer.json": json.dumps(header).encode()}, "`tag`", ("list",))

    def test_the_highest_keyring_that_opens_is_used(self):
        w = sample()
        w.write_keyring(2)
        self.assertEqual(self.run_reader(w.objects, "verify")[0], 0)
        objects = {n: bytes(2000) if n.startswith("keyring/00000002") else d for n, d in w.objects.items()}
        self.assertEqual(self.run_reader(objects, "list")[0], 0)
        self.assert_damaged(objects, "keyring")

    def test_a_folder_that_is_no_store_is_a_mistake_not_damage(self):
        self.assertEqual(self.run_reader({"letter.txt": b"hello"}, "list")[0], 2)
        self.assert_damaged({n: d for n, d in sample().objects.items() if n != "coffer.json"}, "coffer.json", ("list",))


class Snapshots(StoreCase):
    def three(self):
        w = Writer()
        names = [w.snapshot(w.directory(b".", [w.file(b"f", b"x" * n)]), n, (1, 0, 0, n)) for n in (1, 2, 3)]
        return w, names

    def test_a_snapshot_that_was_exchanged_breaks_the_chain(self):
        w, names = self.three()
        w.objects.pop(names[1])
        w.snapshot(w.directory(b".", [w.file(b"f", b"forged")]), 2, (1, 0, 0, 6))
        self.assert_damaged(w.objects, "snapshot 3 does not follow")

    def test_a_deleted_snapshot_is_told_but_is_no_damage(self):
        w, names = self.three()
        for lost in names[:2]:
            code, out, _ = self.run_reader({n: d for n, d in w.objects.items() if n != lost}, "verify")
            self.assertEqual(code, 0)
            self.assertIn("is not there", out)

    def test_what_was_removed_by_the_key_holder_is_not_missed(self):
        w, names = self.three()
        gone = next(name for name in w.objects if name.startswith("packs/"))
        hash = w.snapshot_hashes[names[1]]
        structure = vector(3, (2).to_bytes(4, "big") + hash) + vector(3, bytes.fromhex(gone[-32:])) + bytes(8)
        id = w.random.randbytes(16)
        w.objects[f"removals/{id.hex()}"] = w.seal(REMOVAL, padded(structure), id)
        w.objects.pop(names[0])
        w.objects.pop(names[1])
        code, out, err = self.run_reader(w.objects, "verify")
        self.assertEqual((code, err), (0, ""), out)
        self.assertNotIn("is not there", out)
        # The first snapshot's content is gone, and nobody needs it; a damaged removal is told.
        code, out, err = self.run_reader({n: d for n, d in w.objects.items() if n != gone}, "verify")
        self.assertEqual((code, err), (0, ""), out)
        w.objects[f"removals/{id.hex()}"] = w.objects[f"removals/{id.hex()}"][:-1]
        self.assert_damaged(w.objects, id.hex())

    def test_a_later_snapshot_cannot_deny_the_earlier_ones(self):
        w, _ = self.three()
        w.snapshot(w.directory(b".", [w.file(b"f", b"4")]), 9, (1, 0, 0, 1), previous=bytes(32))
        self.assert_damaged(w.objects, "snapshot 9 does not follow")

    def test_two_snapshots_with_one_number_are_damage(self):
        w, _ = self.three()
        w.snapshot(w.directory(b"."), 3)
        self.assert_damaged(w.objects, "two snapshots", ("verify",))
        self.assert_damaged(w.objects, "2 snapshots", ("ls",))

    def test_wrong_counts_are_noticed(self):
        for counts in ((2, 0, 0, 1), (1, 2, 0, 1), (1, 0, 1, 1), (1, 0, 0, 2)):
            w = Writer()
            w.snapshot(w.directory(b".", [w.file(b"f", b"x")]), counts=counts)
            self.assert_damaged(w.objects, "counts")

    def test_two_copies_that_differ_are_noticed(self):
        w, names = self.three()
        other = Writer()
        forged = other.snapshot(other.directory(b".", mode=0o777), 3)
        plaintexts = {**w.objects, names[2]: w.objects[names[2]][: len(w.objects[names[2]]) // 2] * 2}
        self.assertEqual(self.run_reader(plaintexts, "list")[0], 0)
        self.assertNotEqual(other.objects[forged], plaintexts[names[2]])
        self.assert_damaged({**w.objects, names[2]: w.objects[names[2]] + b"\0"}, "odd")


class HostileTrees(StoreCase):
    """The key's owner is not the enemy, but a reader must not depend on that."""

    def refuse(self, entries, words, writer, **root):
        writer.snapshot(writer.directory(b".", entries, **root), counts=(len(entries), 0, 0, 1))
        err = self.assert_damaged(writer.objects, words)
        self.assertIn("damaged", err)
        top = self.extract(writer.objects, code=1)
        return top

    def test_names_cannot_leave_the_folder(self):
        for name in (b"..", b".", b"a/b", b"/tmp/x", b"x\0y", b"../escape"):
            w = Writer()
            top = self.refuse([w.file(name, b"x")], "name" if name not in (b"..", b".") else "called", w)
            self.assertEqual(os.listdir(top), [])
        self.assertFalse((self.folder / "escape").exists())

    def test_names_must_rise_over_the_whole_directory(self):
        for names in ([b"b", b"a"], [b"a", b"a"], [b"a", b"c", b"b"], [b"a", b"b", b"b"]):
            w = Writer()
            self.refuse([w.file(name, b"x") for name in names], "out of order", w)

    def test_numbers_out_of_range_are_refused(self):
        for changes in ({"mode": 0o10000}, {"nanoseconds": 1_000_000_000}, {"form": 2}):
            w = Writer()
            self.refuse([w.file(b"f", b"x", **changes)], "", w)
        w = Writer()
        self.refuse([metadata(b"f", 4) + b"\0\0\0"], "enumeration", w)
        w = Writer()
        self.refuse([symbolic_link(b"f", b"")], "vector", w)
        w = Writer()
        self.refuse([w.file(b"f", b"x", attributes=[(b"user.a", b""), (b"user.a", b"1")])], "twice", w)

    def test_a_file_has_exactly_its_blocks(self):
        w = Writer()
        a, b = w.chunk(b"aaaa"), w.chunk(b"bb")
        for ids, content_bytes, block_bytes in (
            ([a, b], 7, 4), ([a, b], 5, 4), ([a, b], 4, 4), ([a], 6, 4), ([b, a], 6, 4), ([], 6, 4),
            ([a], 0, 0), ([a], 0, 4), ([a], 4, 0), ([a], 4, 8_388_609), ([ZERO_ID], 9, 4),
        ):
            for depth in (0, 1):
                w = Writer()
                w.chunk(b"aaaa"), w.chunk(b"bb")
                self.refuse([w.file_of(b"f", ids, content_bytes, block_bytes, depth)], "", w)

    def test_lists_of_chunks_are_whole_and_not_too_deep(self):
        w = Writer()
        id = w.chunk(b"aaaa")
        for chunks in (
            b"\4" + vector(2, id), b"\0" + vector(2, id[:31]), b"\1" + vector(2, ZERO_ID),
            b"\1" + vector(2, w.chunk(id[:31])), b"\1" + vector(2, w.chunk(id * 4097)), b"\2" + vector(2, w.chunk(id)),
            b"\0" + vector(2, id * 129),
        ):
            w2 = Writer()
            w2.chunk(b"aaaa"), w2.chunk(id[:31]), w2.chunk(id * 4097), w2.chunk(id)
            self.refuse([metadata(b"f", 1) + struct.pack(">BQQI", 0, 0, 4, 4) + chunks], "", w2)

    def test_listings_have_nothing_left_over(self):
        w = Writer()
        entry = w.file(b"f", b"x")
        for content in (vector(3, entry) + b"\0", vector(3, entry)[:-1], vector(3, entry + b"\0"), b""):
            w = Writer()
            w.file(b"f", b"x")
            root = metadata(b".", 2, mode=0o755) + w.runs([w.chunk(content or b"\0")], 0)
            w.snapshot(root, counts=(1, 0, 0, 1))
            self.assert_damaged(w.objects)
        w = Writer()
        w.snapshot(metadata(b".", 2) + w.runs([ZERO_ID], 0))
        self.assert_damaged(w.objects, "zeros")

    def test_the_root_is_a_directory_without_a_name(self):
        for root in (lambda w: w.directory(b"x"), lambda w: w.file(b".", b"x")):
            w = Writer()
            w.snapshot(root(w))
            self.assert_damaged(w.objects, "root")

    def test_names_of_one_file_must_agree(self):
        w = Writer()
        self.refuse([w.file(b"a", b"x", link_group=1), w.file(b"b", b"y", link_group=1)], "different contents", w)

    def test_a_link_is_never_followed(self):
        outside = self.folder / "outside"
        outside.mkdir()
        w = Writer()
        link = symbolic_link(b"a", os.fsencode(outside))
        self.refuse([link, w.directory(b"a", [w.file(b"f", b"x")])], "out of order", w)
        self.assertEqual(os.listdir(outside), [])


PAGE = 512


class PageWriter(Writer):
    """Writes databases by pages: the structures of section 8, with room for lies."""

    def hashes(self, content):
        pages = (content[i : i + PAGE] for i in range(0, len(content), PAGE))
        return b"".join(hmac.digest(self.chunk_id_key, page, "sha256")[:8] for page in pages)

    def zeros(self, runs):
        return b"\0" + self.page_runs(runs)

    def full(self, runs, content, hashes=None, chunk=None):
        named = b"".join(content[place * PAGE : (place + count) * PAGE] for _, count, place in runs)
        hashes = self.hashes(named) if hashes is None else hashes
        return b"\1" + self.page_runs(runs) + (chunk or self.chunk(content)) + vector(2, hashes)

    def delta(self, runs, content, below, prefix, hashes=None, frame=None):
        dictionary = b"".join(below[page * PAGE : (page + 1) * PAGE] for page in prefix)
        raw = zstandard.ZstdCompressionDict(dictionary, zstandard.DICT_TYPE_RAWCONTENT)
        frame = frame or zstandard.ZstdCompressor(dict_data=raw).compress(content)
        hashes = self.hashes(content) if hashes is None else hashes
        numbers = b"".join(struct.pack(">I", page) for page in prefix)
        return b"\2" + self.page_runs(runs) + self.chunk(frame) + vector(2, hashes) + vector(2, numbers)

    def page_runs(self, runs):
        return vector(2, b"".join(struct.pack(">HHH", *run) for run in runs))

    def layer(self, page_count, *groups):
        """`groups`: lists of batches; None for the id of zeros."""
        ids = [ZERO_ID if group is None else self.chunk(vector(3, b"".join(group))) for group in groups]
        return struct.pack(">I", page_count) + self.runs(ids, 0)

    def database(self, name, layers, page_bytes=PAGE, content_bytes=None, page_count=None):
        count = page_count or struct.unpack(">I", layers[-1][:4])[0]
        fixed = struct.pack(">BQQI", 2, 0, count * page_bytes if content_bytes is None else content_bytes, page_bytes)
        return metadata(name, 1) + fixed + vector(3, b"".join(layers))


def pages(*seeds):
    """Noise, the same for one seed; 0 is a page of zeros."""
    return b"".join(random.Random(seed).randbytes(PAGE) if seed else bytes(PAGE) for seed in seeds)


def edited(page, by=b"edited"):
    return page[:100] + by + page[100 + len(by) :]


class DatabasesByPages(StoreCase):
    def restored(self, w, entry, content):
        w.snapshot(w.directory(b".", [entry]), counts=(1, 0, 0, len(content)))
        code, out, err = self.run_reader(w.objects, "verify")
        self.assertEqual((code, err), (0, ""), out)
        self.assertEqual(read(self.extract(w.objects), b"a.db"), content)

    def test_a_first_layer_of_full_pages_and_zeros(self):
        w = PageWriter()
        first = w.layer(6, [w.full([(0, 2, 0), (3, 1, 4)], pages(1, 2, 9, 9, 4)), w.zeros([(2, 1, 0), (4, 2, 0)])])
        self.restored(w, w.database(b"a.db", [first]), pages(1, 2, 0, 4, 0, 0))

    def test_layers_change_pages_add_some_and_drop_some(self):
        w = PageWriter()
        image = pages(*range(1, 9))
        layers = [w.layer(8, [w.full([(0, 8, 0)], image)])]
        # Page 7 moves to place 0 and page 0 to place 7: each is read before it is overwritten.
        new = edited(pages(8)) + pages(20) + edited(pages(1))
        second = w.delta([(0, 2, 0), (7, 1, 2)], new, image, [0, 1, 7])
        layers.append(w.layer(8, [second, w.zeros([(3, 1, 0)])]))
        image = new[: 2 * PAGE] + pages(3, 0, 5, 6, 7) + new[2 * PAGE :]
        layers.append(w.layer(4, None))
        image = image[: 4 * PAGE]
        new = pages(3, 31, 32)
        layers.append(w.layer(7, [w.delta([(1, 1, 0), (5, 2, 1)], new, image, [2]), w.full([(4, 1, 0)], pages(30))]))
        image = image[:PAGE] + pages(3, 3, 0, 30, 31, 32)
        self.restored(w, w.database(b"a.db", layers), image)

    def test_groups_of_4096_pages(self):
        w = PageWriter()
        seeds = [5, 6] * 2048
        first = w.layer(4100, [w.full([(0, 4096, 0)], pages(*seeds))], [w.full([(0, 4, 0)], pages(1, 2, 3, 4))])
        below = pages(*seeds, 1, 2, 3, 4)
        second = w.layer(4100, None, [w.delta([(2, 1, 0)], edited(pages(6)), below, [4095, 4097])])
        self.restored(w, w.database(b"a.db", [first, second]), pages(*seeds, 1, 2) + edited(pages(6)) + pages(4))

    def test_hostile_structures_are_refused(self):
        w = PageWriter()
        image = pages(1, 2, 3, 4)
        whole = w.full([(0, 4, 0)], image)
        base = w.layer(4, [whole])
        bomb = zstandard.ZstdCompressor().compress(bytes(1 << 22))
        silent = zstandard.ZstdCompressor(write_content_size=False).compress(pages(5))

        def over(*batches, count=4):
            return [base, w.layer(count, list(batches))]

        delta = w.delta([(0, 1, 0)], pages(5), image, [0])
        cases = {
            "17 layers": [base] + [w.layer(4, None)] * 16,
            "no pages": [w.layer(0)],
            "too few groups": [base, w.layer(5000, None)],
            "too many groups": [w.layer(4, [whole], None)],
            "nothing in the first layer": [w.layer(4, None)],
            "a hole in the first layer": [w.layer(4, [w.full([(0, 3, 0)], image)])],
            "a delta in the first layer": [w.layer(4, [w.delta([(0, 4, 0)], image, image, [0])])],
            "growth from nowhere": over(delta, count=5),
            "shrunk and grown": [base, w.layer(2, None), w.layer(4, None)],
            "a page behind the end": over(w.full([(4, 1, 0)], image)),
            "a page twice": over(delta, w.zeros([(0, 1, 0)])),
            "a page twice in one batch": over(w.full([(0, 2, 0), (1, 1, 3)], image)),
            "out of order": over(w.zeros([(1, 1, 0)]), w.zeros([(0, 1, 0)])),
            "runs out of order": over(w.full([(2, 1, 0), (0, 1, 1)], image)),
            "an empty run": over(w.zeros([(0, 0, 0)])),
            "no runs": over(w.zeros([])),
            "runs that could be one": over(w.full([(0, 1, 0), (1, 1, 1)], image)),
            "zeros with a place": over(w.zeros([(0, 1, 1)])),
            "a delta with a wrong place": over(w.delta([(0, 1, 1)], pages(5), image, [0])),
            "too few hashes": over(w.full([(0, 2, 0)], image, hashes=bytes(8))),
            "a wrong hash": over(w.delta([(0, 1, 0)], pages(5), image, [0], hashes=bytes(8))),
            "a place behind the chunk": over(w.full([(0, 1, 4)], image, hashes=bytes(8))),
            "half a page": over(w.full([(0, 1, 0)], image + b"x")),
            "too much content": over(w.full([(0, 1, 0)], bytes((4 << 20) + PAGE))),
            "the id of zeros": over(w.full([(0, 1, 0)], image, chunk=ZERO_ID)),
            "a chunk that is not there": over(w.full([(0, 1, 0)], image, chunk=bytes(range(32)))),
            "no prefix": over(w.delta([(0, 1, 0)], pages(5), image, [])),
            "a prefix that is not there": over(w.delta([(0, 1, 0)], pages(5), image, [0, 4])),
            "a prefix of another order": over(w.delta([(0, 1, 0)], pages(1), image, [1, 0])),
            "another prefix": over(w.delta([(0, 1, 0)], edited(pages(9)), pages(9, 9, 9, 9), [0])),
            "too long a prefix": over(w.delta([(0, 1, 0)], pages(5), image, list(range(2049)))),
            "too long a delta": [
                w.layer(600, [w.full([(0, 600, 0)], bytes(600 * PAGE))]),
                w.layer(600, [w.delta([(0, 513, 0)], pages(*[7] * 513), image, [0])]),
            ],
            "a bomb": over(w.delta([(0, 1, 0)], pages(5), image, [0], frame=bomb)),
            "a silent frame": over(w.delta([(0, 1, 0)], pages(5), image, [0], frame=silent)),
            "no frame": over(w.delta([(0, 1, 0)], pages(5), image, [0], frame=b"nothing")),
            "an unknown kind": over(b"\3" + delta[1:]),
        }
        for name, layers in cases.items():
            with self.subTest(name):
                v = PageWriter()
                v.objects, v.listings, v.pieces, v.known = dict(w.objects), list(w.listings), list(w.pieces), set(w.known)
                v.random = random.Random(name)
                count = struct.unpack(">I", layers[-1][:4])[0]
                v.snapshot(v.directory(b".", [v.database(b"a.db", layers)]), counts=(1, 0, 0, count * PAGE))
                self.assert_damaged(v.objects, "damaged")
                self.assertEqual(os.listdir(self.extract(v.objects, code=1)), [])

    def test_sizes_that_do_not_fit_are_refused(self):
        for changes in ({"page_bytes": 513}, {"page_bytes": 256}, {"page_bytes": 1 << 17}, {"content_bytes": 2047}):
            w = PageWriter()
            base = w.layer(4, [w.full([(0, 4, 0)], pages(1, 2, 3, 4))])
            w.snapshot(w.directory(b".", [w.database(b"a.db", [base], **changes)]), counts=(1, 0, 0, 2048))
            self.assert_damaged(w.objects)


class HostileChunks(StoreCase):
    def refuse(self, words, content=b"x" * 5000, **lies):
        w = Writer()
        id = w.chunk(content, **lies)
        entry = w.file_of(b"f", [id], lies.get("claimed") or len(content), 8_388_608)
        w.snapshot(w.directory(b".", [entry]), counts=(1, 0, 0, len(content)))
        self.assert_damaged(w.objects, words)
        self.assertEqual(os.listdir(self.extract(w.objects, code=1)), [])

    def test_a_bomb_is_stopped_before_it_grows(self):
        bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
        peak = self.peak_of(lambda: self.refuse("longer than it says", bytes(1 << 20), stored=bomb, compression=1))
        self.assertLess(peak, 64 << 20)

    def peak_of(self, run):
        import tracemalloc

        tracemalloc.start()
        try:
            run()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_a_chunk_is_exactly_one_frame(self):
        compress = zstandard.ZstdCompressor(level=3, write_content_size=False).compress
        content = NOISE[:1000] * 5
        frame = compress(content)
        self.refuse("not one Zstandard frame", content, stored=frame + b"x", compression=1)
        self.refuse("not one Zstandard frame", content, stored=frame + b"\x50\x2a\x4d\x18" + bytes(4), compression=1)
        two = compress(content[:2500]) + compress(content[2500:])
        self.refuse("not one Zstandard frame", content, stored=two, compression=1)
        self.refuse("not one Zstandard frame", content, stored=frame[:-1], compression=1)
        self.refuse("shorter", content, stored=compress(content[:-1]), compression=1)
        self.refuse("decompress", content, stored=b"x" * 100, compression=1)

    def test_a_chunk_has_the_content_of_its_id(self):
        self.refuse("content of its id", NOISE[:100], stored=NOISE[100:200], compression=0)

    def test_the_numbers_of_a_pack_entry_agree(self):
        self.refuse("two lengths", NOISE[:100], stored=NOISE[:99], compression=0)
        self.refuse("shorter by compression", NOISE[:100], stored=NOISE[:100], compression=1)
        self.refuse("enumeration", NOISE[:100], stored=NOISE[:50], compression=2)
        self.refuse("8 MiB", NOISE[:100], stored=NOISE[:50], compression=1, claimed=8_388_609)
        self.refuse("id of zeros", NOISE[:100], id=ZERO_ID)

    def test_an_index_is_whole(self):
        for structure, words in (
            (b"\0\0\0\1\0", "cut short"), (b"\0\0\1\0", "wrong length for its entries"),
            (b"\xff\xff\xff\xff" + bytes(2000), "cut short"),
        ):
            w = sample()
            w.write_index(structure)
            self.assert_damaged(w.objects, words)


class Commands(unittest.TestCase):
    def test_bad_usage_has_its_own_code(self):
        wrong = ([], ["store"], ["store", "burn"], ["store", "extract"], ["store", "verify", "--snapshot", "x"])
        for arguments in wrong:
            with self.assertRaises(SystemExit) as exit, contextlib.redirect_stderr(io.StringIO()):
                read_backup.main(arguments)
            self.assertEqual(exit.exception.code, 2)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(read_backup.main(["/nowhere/at/all", "list"]), 2)


class Fixture(unittest.TestCase):
    """Stores that were made once for a version of the format, and must open for ever."""

    def test_a_store_of_version_1_gives_back_what_it_was_made_of(self):
        fixture = Path(__file__).parents[1] / "vectors/backup/v1"
        command = ["--key-file", str(fixture / "key.txt"), str(fixture / "store")]
        for number, expected in json.loads((fixture / "contents.json").read_text()).items():
            with tempfile.TemporaryDirectory() as folder:
                with contextlib.redirect_stdout(io.StringIO()):
                    self.assertEqual(read_backup.main([*command, "extract", f"{folder}/out", "--snapshot", number]), 0)
                    self.assertEqual(read_backup.main([*command, "verify", "--snapshot", number]), 0)
                self.assertEqual(self.describe(os.fsencode(f"{folder}/out")), expected)

    def describe(self, root):
        entries = {}
        for path, folders, names in os.walk(root):
            for name in names + folders:
                full = os.path.join(path, name)
                status = os.lstat(full)
                entry = {"mode": status.st_mode, "mtime": status.st_mtime_ns}
                if os.path.islink(full):
                    entry["target"] = os.fsdecode(os.readlink(full))
                elif os.path.isfile(full):
                    entry["sha256"] = hashlib.sha256(Path(os.fsdecode(full)).read_bytes()).hexdigest()
                entries[os.path.relpath(full, root).hex()] = entry
        return entries


if __name__ == "__main__":
    unittest.main()
