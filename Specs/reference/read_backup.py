#!/usr/bin/env python3
"""Reads a Coffer store with nothing but the 64-digit key.

Written from Specs/backup-format.md alone, section by section, so that a backup outlives the program that made it.
It needs Python 3.11 and two packages:  python3 -m pip install cryptography zstandard

    read_backup.py [--key-file FILE] STORE list
    read_backup.py [--key-file FILE] STORE verify  [--snapshot N]
    read_backup.py [--key-file FILE] STORE extract DIR [--snapshot N]
    read_backup.py [--key-file FILE] STORE ls [PATH] [--snapshot N]

Without --key-file it asks for the 64 digits (`--key-file -` reads them from standard input). It only reads the store.
Exit codes: 0 all is well, 1 something is damaged or was not restored, 2 it cannot do what was asked, 3 wrong key.
"""

import argparse
import errno
import getpass
import hashlib
import hmac
import io
import json
import os
import re
import stat
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

try:
    import zstandard
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as missing:
    print(f"{missing}. Install what is missing with:  python3 -m pip install cryptography zstandard", file=sys.stderr)
    sys.exit(2)


class Damaged(Exception):
    """Bytes of the store are not what the specification allows."""


class WrongKey(Exception):
    """Neither the header nor a keyring knows this key."""


class Unable(Exception):
    """The request cannot be carried out; nothing is known to be wrong with the store."""


def require(condition, what):
    if not condition:
        raise Damaged(what)


# ---------------------------------------------------------------- the TLS presentation language (RFC 8446, section 3)


class Decoder:
    """Takes values from the front of `data`; refuses what is not there."""

    def __init__(self, data):
        self.data, self.position = data, 0

    def opaque(self, count):
        require(count <= len(self.data) - self.position, "a structure is cut short")
        self.position += count
        return self.data[self.position - count : self.position]

    def uint(self, count):
        return int.from_bytes(self.opaque(count), "big")

    def vector(self, floor, ceiling):
        length = self.uint((ceiling.bit_length() + 7) // 8)
        require(floor <= length <= ceiling, "a vector is shorter or longer than allowed")
        return self.opaque(length)

    def structures(self, floor, ceiling, decode):
        inner = Decoder(self.vector(floor, ceiling))
        values = []
        while inner.position < len(inner.data):
            values.append(decode(inner))
        return values

    def one_of(self, *values):
        value = self.uint(1)
        require(value in values, f"unknown value {value} of an enumeration")
        return value

    def end(self):
        require(self.position == len(self.data), "bytes are left over after a structure")


# ------------------------------------------------------------------------------------------------------ 2. Keys


def parse_digits(text):
    """The 64-digit key as people write it, to the 32 bytes of the backup key."""
    digits = re.sub(r"[ \t\r\n-]", "", text)
    if not re.fullmatch(r"[0-9A-Fa-f]{64}([0-9A-Fa-f]{8})?", digits):
        what = "64 hexadecimal digits, or 72 with its two check groups"
        raise Unable(f"the key must have {what} (spaces, line ends and hyphens do not matter)")
    if len(digits) == 72:
        check_groups([int(digits[place : place + 4], 16) for place in range(0, 72, 4)])
    return bytes.fromhex(digits[:64])


def times_x(group, power=1):
    for _ in range(power):
        group = group << 1 ^ (0x1100B if group >> 15 else 0)
    return group


def check_groups(groups):
    """18 groups over GF(2^16): they add up to 0, and so do they when group i is multiplied by x^i."""
    plain = weighted = 0
    for number, group in enumerate(groups, 1):
        plain ^= group
        weighted ^= times_x(group, number)
    if plain or weighted:
        wrong = [number for number in range(1, 19) if plain and times_x(plain, number) == weighted]
        what = f"group {wrong[0]} is probably mistyped" if wrong else "more than one group is mistyped or out of order"
        raise Unable(f"the key's check groups do not fit: {what}. Nothing was tried with it")


def hkdf(key, info, store_id):
    """HKDF-SHA512 (RFC 5869): 32 bytes of output, so one block of the expansion is enough."""
    extracted = hmac.digest(store_id, key, "sha512")
    return hmac.digest(extracted, info + b"\x01", "sha512")[:32]


# -------------------------------------------------------------------------------------------- 3. Sealed objects

KEYRING, PACK, INDEX, SNAPSHOT, REMOVAL = 1, 2, 3, 4, 5
PREAMBLE_BYTES, FRAME_BYTES, TAG_BYTES = 32, 1 << 20, 16


class SealedObject:
    """`size` bytes of a file from `start`: a preamble and sealed frames, opened frame by frame when they are needed."""

    def __init__(self, path, key_of, kind, start=0, size=None, id=None):
        self.path, self.start = path, start
        try:
            require(os.path.isfile(path), f"{path} is missing")
            self.size = os.path.getsize(path) if size is None else size
            preamble = self.stored(0, PREAMBLE_BYTES)
        except OSError as error:
            raise Damaged(f"{path} cannot be read: {error.strerror}")
        fields = Decoder(preamble)
        require(fields.opaque(6) == b"COFFER" and fields.uint(1) == 1, f"{path}: not a sealed object of version 1")
        require(fields.uint(1) == kind, f"{path}: an object of another kind")
        self.epoch, self.id = fields.uint(4), fields.opaque(16)
        require(fields.uint(4) == 0, f"{path}: the reserved field of the preamble is not 0")
        require((self.epoch == 0) == (kind == KEYRING), f"{path}: epoch {self.epoch} is not allowed for its kind")
        # An object's key binds its preamble, not its file name: this line stops swapped names.
        require(id is None or id == self.id, f"{path}: the object belongs under another name")
        self.cipher = AESGCM(key_of(self.epoch, preamble))
        sealed = self.size - PREAMBLE_BYTES
        self.frames = max(1, -(-sealed // (FRAME_BYTES + TAG_BYTES)))
        self.plaintext_bytes = sealed - TAG_BYTES * self.frames
        smallest = 0 if self.frames == 1 else FRAME_BYTES * (self.frames - 1) + 1
        require(self.plaintext_bytes >= smallest, f"{path}: no object has this size ({self.size} bytes)")

    def stored(self, offset, count):
        with open(self.path, "rb") as file:
            file.seek(self.start + offset)
            data = file.read(count)
        require(len(data) == count, f"{self.path} is cut short")
        return data

    def frame(self, i):
        last = i == self.frames - 1
        offset = PREAMBLE_BYTES + i * (FRAME_BYTES + TAG_BYTES)
        nonce = i.to_bytes(11, "big") + bytes([last])
        try:
            sealed = self.stored(offset, self.size - offset if last else FRAME_BYTES + TAG_BYTES)
            return self.cipher.decrypt(nonce, sealed, None)
        except OSError as error:
            raise Damaged(f"{self.path} cannot be read: {error.strerror}")
        except InvalidTag:
            raise Damaged(f"{self.path}: frame {i} does not open")

    def plaintext(self):
        return b"".join(self.frame(i) for i in range(self.frames))


# --------------------------------------------------------------------------------------------------- 4. Padding


def padded(n):
    """PADMÉ (Nikitin et al., PETS 2019)."""
    if n < 2:
        return n
    e = n.bit_length() - 1
    s = e.bit_length()
    step = 1 << (e - s)
    return -(-n // step) * step


def require_zeros(data, start, end):
    require(data.count(0, start, end) == end - start, "padding is not zero")


def decode_padded(plaintext, decode):
    """A structure followed by zero bytes: (value, the structure's own bytes)."""
    decoder = Decoder(plaintext)
    value = decode(decoder)
    length = decoder.position
    require(len(plaintext) == max(1024, padded(length)), "padding has the wrong length")
    require_zeros(plaintext, length, len(plaintext))
    return value, plaintext[:length]


# ---------------------------------------------------------------------------------- 5. Chunks, packs and indexes

CHUNK_BYTES_MAX, PACK_BYTES_MAX, PACK_ENTRY_BYTES = 8_388_608, 16_777_216, 49
NONE, ZSTANDARD = 0, 1
ZERO_ID = bytes(32)


@dataclass(frozen=True, slots=True)
class PackEntry:
    chunk: bytes
    compression: int
    content_bytes: int
    stored_bytes: int
    piece_start: int
    piece_bytes: int

    @property
    def form(self):
        return self.compression, self.content_bytes, self.stored_bytes


def decode_pack_entry(decoder):
    entry = PackEntry(decoder.opaque(32), decoder.one_of(NONE, ZSTANDARD), *(decoder.uint(4) for _ in range(4)))
    require(entry.chunk != ZERO_ID, "a pack holds a chunk with the id of zeros")
    require(1 <= entry.content_bytes <= CHUNK_BYTES_MAX, "a chunk has no content or more than 8 MiB")
    if entry.compression == NONE:
        require(entry.stored_bytes == entry.content_bytes, "an uncompressed chunk has two lengths")
    else:
        require(1 <= entry.stored_bytes < entry.content_bytes, "a chunk did not become shorter by compression")
    require(entry.piece_bytes >= 1, "a piece is empty")
    require(entry.piece_start + entry.piece_bytes <= entry.stored_bytes, "a piece ends behind its chunk")
    return entry


@dataclass(frozen=True, slots=True)
class PackListing:
    pack: bytes
    epoch: int
    plaintext_bytes: int
    entries: list

    def check(self):
        pieces = sum(entry.piece_bytes for entry in self.entries)
        length = pieces + 3 + PACK_ENTRY_BYTES * len(self.entries) + 4
        require(self.plaintext_bytes <= PACK_BYTES_MAX, "a pack is larger than 16 MiB")
        require(self.plaintext_bytes == max(1024, padded(length)), "a pack has the wrong length for its entries")
        return self


def decode_pack_listing(decoder):
    return PackListing(
        decoder.opaque(16), decoder.uint(4), decoder.uint(4), decoder.structures(0, 2**24 - 1, decode_pack_entry)
    ).check()


def decode_index(decoder):
    return decoder.structures(0, 2**32 - 1, decode_pack_listing)


def decode_footer(pack, read):
    """The listing in a pack's own footer. `read(start, end)` gives plaintext."""
    total = pack.plaintext_bytes
    require(4 <= total <= PACK_BYTES_MAX, f"{pack.path}: no pack has this size")
    footer_bytes = Decoder(read(total - 4, total)).uint(4)
    require(footer_bytes <= total - 4, f"{pack.path}: the footer is longer than the pack")
    footer = Decoder(read(total - 4 - footer_bytes, total - 4))
    listing = PackListing(pack.id, pack.epoch, total, footer.structures(0, 2**24 - 1, decode_pack_entry))
    footer.end()
    return listing.check()


def decompress(stored, content_bytes, prefix=b""):
    """One Zstandard frame, in slices of 256 bytes, so that no slice can grow beyond 8 MiB: a bomb is seen early."""
    dictionary = zstandard.ZstdCompressionDict(prefix, zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    frame = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=CHUNK_BYTES_MAX).decompressobj()
    content, position = bytearray(), 0
    try:
        while position < len(stored) and not frame.eof:
            content += frame.decompress(stored[position : position + 256])
            position += 256
            require(len(content) <= content_bytes, "a chunk is longer than it says")
    except zstandard.ZstdError as error:
        raise Damaged(f"a chunk does not decompress: {error}")
    require(frame.eof and not frame.unused_data and position >= len(stored), "a chunk is not one Zstandard frame")
    require(len(content) == content_bytes, "a chunk is shorter than it says")
    return bytes(content)


# --------------------------------------------------------------------------------------------------- 6. Keyring


@dataclass(frozen=True, slots=True)
class Keyring:
    number: int
    chunk_id_key: bytes
    epoch_keys: dict


def decode_keyring(decoder):
    number, chunk_id_key = decoder.uint(4), decoder.opaque(32)
    epochs = decoder.structures(44, 2**16 - 1, lambda d: (d.uint(4), d.uint(8), d.opaque(32)))
    numbers = [epoch for epoch, _, _ in epochs]
    require(numbers[0] >= 1 and numbers == sorted(set(numbers)), "the numbers of the epochs do not rise from 1")
    return Keyring(number, chunk_id_key, {epoch: key for epoch, _, key in epochs})


# ----------------------------------------------------------------------------------------------------- 7. Trees

FILE, DIRECTORY, SYMBOLIC_LINK = 1, 2, 3
AS_IS, SQLITE_IMAGE, SQLITE_PAGES = 0, 1, 2
RUN_IDS_MAX = 4096


@dataclass(frozen=True, slots=True)
class ChunkList:
    depth: int
    ids: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    name: bytes
    kind: int
    mode: int
    owner: int
    group: int
    modified_nanoseconds: int
    attributes: list
    form: int = 0
    link_group: int = 0
    content_bytes: int = 0
    block_bytes: int = 0
    chunks: ChunkList | None = None
    layers: tuple = ()
    target: bytes = b""

    @property
    def content(self):
        return self.form, self.content_bytes, self.block_bytes, self.chunks, self.layers


def decode_chunk_list(decoder):
    chunks = ChunkList(decoder.one_of(0, 1, 2, 3), decoder.vector(0, 4096))
    require(len(chunks.ids) % 32 == 0, "a list of chunks ends within an id")
    return chunks


def decode_entry(decoder, is_root=False):
    name = decoder.vector(1, 2**16 - 1)
    if is_root:
        require(name == b".", "the root of a snapshot has a name")
    else:
        # These two lines stop a restored path from leaving the folder.
        require(b"/" not in name and b"\0" not in name, f"a name holds a slash or a zero byte: {show(name)}")
        require(name not in (b".", b".."), f"an entry is called {show(name)}")
    kind = decoder.one_of(FILE, DIRECTORY, SYMBOLIC_LINK)
    mode, owner, group = decoder.uint(4), decoder.uint(4), decoder.uint(4)
    require(mode <= 0o7777, "a mode has unknown bits")
    seconds = int.from_bytes(decoder.opaque(8), "big", signed=True)
    nanoseconds = decoder.uint(4)
    require(nanoseconds <= 999_999_999, "a time has more than 999999999 nanoseconds")
    attributes = decoder.structures(0, 2**24 - 1, lambda d: (d.vector(1, 2**8 - 1), d.vector(0, 2**24 - 1)))
    require(len({key for key, _ in attributes}) == len(attributes), "an extended attribute stands there twice")
    require(all(b"\0" not in key for key, _ in attributes), "the name of an extended attribute holds a zero byte")
    entry = Entry(name, kind, mode, owner, group, seconds * 1_000_000_000 + nanoseconds, attributes)
    if kind == FILE:
        return decode_file(decoder, entry)
    if kind == DIRECTORY:
        return replace(entry, chunks=decode_chunk_list(decoder))
    target = decoder.vector(1, 2**16 - 1)
    require(b"\0" not in target, "the target of a symbolic link holds a zero byte")
    return replace(entry, target=target)


def decode_file(decoder, entry):
    form, link_group, content_bytes = decoder.one_of(AS_IS, SQLITE_IMAGE, SQLITE_PAGES), decoder.uint(8), decoder.uint(8)
    entry = replace(entry, form=form, link_group=link_group, content_bytes=content_bytes, block_bytes=decoder.uint(4))
    if form == SQLITE_PAGES:
        entry = replace(entry, layers=tuple(decoder.structures(1, 2**24 - 1, decode_page_layer)))
        require(len(entry.layers) <= LAYERS_MAX, "a database has more than 16 layers")
        require(entry.block_bytes in PAGE_BYTES, "a database has pages of another size than SQLite's")
        right = content_bytes == entry.block_bytes * entry.layers[-1].page_count
        require(right, "a database is not as long as its pages")
        return entry
    block_bytes, chunks = entry.block_bytes, decode_chunk_list(decoder)
    if content_bytes == 0:
        require(block_bytes == 0 and chunks == ChunkList(0, b""), "an empty file has blocks")
    else:
        require(1 <= block_bytes <= CHUNK_BYTES_MAX, "a file has blocks of 0 bytes or more than 8 MiB")
        if chunks.depth == 0:
            count = -(-content_bytes // block_bytes)
            require(len(chunks.ids) == 32 * count, "a file has more or fewer blocks than its length asks for")
    return replace(entry, chunks=chunks)


def decode_listing(content):
    decoder = Decoder(content)
    entries = decoder.structures(0, 2**24 - 1, decode_entry)
    decoder.end()
    return entries


# ---------------------------------------------------------------------------------------- 8. Databases by pages

PAGE_BYTES = {1 << i for i in range(9, 17)}
LAYERS_MAX, GROUP_PAGES = 16, 4096
ZEROS, FULL, DELTA = 0, 1, 2
FULL_BYTES_MAX, DELTA_BYTES_MAX, PREFIX_BYTES_MAX = 4_194_304, 262_144, 1_048_576


@dataclass(frozen=True, slots=True)
class PageLayer:
    page_count: int
    groups: ChunkList

    @property
    def group_count(self):
        return -(-self.page_count // GROUP_PAGES)


def decode_page_layer(decoder):
    layer = PageLayer(decoder.uint(4), decode_chunk_list(decoder))
    require(layer.page_count >= 1, "a layer has no pages")
    right = layer.groups.depth or len(layer.groups.ids) == 32 * layer.group_count
    require(right, "a layer has more or fewer groups than its pages ask for")
    return layer


@dataclass(frozen=True, slots=True)
class PageBatch:
    kind: int
    runs: list  # of (first, count, place)
    chunk: bytes = b""
    hashes: bytes = b""
    prefix: tuple = ()

    @property
    def page_count(self):
        return sum(count for _, count, _ in self.runs)


def decode_page_batch(decoder):
    kind = decoder.one_of(ZEROS, FULL, DELTA)
    runs = decoder.structures(6, 2**16 - 1, lambda d: (d.uint(2), d.uint(2), d.uint(2)))
    if kind == ZEROS:
        batch = PageBatch(kind, runs)
    else:
        chunk, hashes = decoder.opaque(32), decoder.vector(8, 2**16 - 1)
        prefix = decoder.structures(4, 2**16 - 1, lambda d: d.uint(4)) if kind == DELTA else ()
        batch = PageBatch(kind, runs, chunk, hashes, tuple(prefix))
        require(chunk != ZERO_ID, "the id of zeros stands for pages")
        require(len(hashes) == 8 * batch.page_count, "a batch has more or fewer hashes than pages")
        require(all(a < b for a, b in zip(batch.prefix, batch.prefix[1:])), "the pages of a prefix do not rise")
    expected, end, place_end = 0, -1, 0
    for first, count, place in runs:
        require(count >= 1, "a run of pages is empty")
        behind = kind == ZEROS or place == place_end
        require(first > end or (first == end and not behind), "the runs of a batch do not rise, or could be one")
        require(kind == FULL or place == (expected if kind == DELTA else 0), "a run has a wrong place")
        expected, end, place_end = expected + count, first + count, place + count
    return batch


def decode_page_group(content, page_bytes, first_page, pages, pages_below):
    """The batches of a group; `pages_below` is None in the first layer."""
    decoder = Decoder(content)
    batches = decoder.structures(0, 2**24 - 1, decode_page_batch)
    decoder.end()
    named, previous = bytearray(pages), -1
    for batch in batches:
        require(batch.runs[0][0] > previous, "the batches of a group are out of order")
        previous = batch.runs[0][0]
        for first, count, _ in batch.runs:
            require(first + count <= pages, "a batch names a page behind the end")
            require(not any(named[first : first + count]), "a page is named twice")
            named[first : first + count] = b"\1" * count
        if batch.kind == DELTA:
            require(pages_below is not None, "the first layer has a delta")
            require(batch.page_count * page_bytes <= DELTA_BYTES_MAX, "a delta has too many pages")
            require(len(batch.prefix) * page_bytes <= PREFIX_BYTES_MAX, "a prefix has too many pages")
            require(batch.prefix[-1] < pages_below, "a prefix names a page that the image below does not have")
    below = max(0, min(pages, (pages_below or 0) - first_page))
    require(all(named[below:]), "a page comes from nowhere")
    return batches


# ------------------------------------------------------------------------------------------------- 9. Snapshots


@dataclass(frozen=True, slots=True)
class Snapshot:
    number: int
    id: bytes
    began_seconds: int
    ended_seconds: int
    previous: bytes
    source: str
    left_out: str
    files: int
    directories: int
    symbolic_links: int
    content_bytes: int
    skipped_count: int
    skipped: list
    root: Entry
    hash: bytes = b""


def decode_snapshot(decoder):
    fixed = decoder.uint(4), decoder.opaque(16), decoder.uint(8), decoder.uint(8), decoder.opaque(32)
    try:
        source, left_out = (decoder.vector(0, 2**16 - 1).decode("utf-8") for _ in range(2))
    except UnicodeDecodeError:
        raise Damaged("the source of a snapshot, or what was left out, is not UTF-8")
    counts = [decoder.uint(8) for _ in range(5)]
    skipped = decoder.structures(0, 2**16 - 1, lambda d: (d.vector(1, 2**16 - 1), d.one_of(1, 2, 3, 4, 5)))
    require(len(skipped) <= counts[4], "more entries were skipped than counted")
    root = decode_entry(decoder, is_root=True)
    require(root.kind == DIRECTORY, "the root of a snapshot is not a directory")
    return Snapshot(*fixed, source, left_out, *counts, skipped, root)


# -------------------------------------------------------------------------------------------------- 11. Removals


def decode_removal(decoder):
    """The hashes of snapshots that were removed, and the ids of packs that go or are gone."""
    snapshots = decoder.structures(0, 2**24 - 1, lambda d: (d.uint(4), d.opaque(32)))
    packs = decoder.structures(0, 2**24 - 1, lambda d: d.opaque(16))
    decoder.uint(8)
    return {hash for _, hash in snapshots}, set(packs)


# --------------------------------------------------------------------------------------------------- 10. Header


@dataclass(frozen=True, slots=True)
class Header:
    store_id: bytes
    fleet: str | None
    tags: list  # two while the key is replaced

    def authenticated(self):
        if self.fleet is None:
            return b"\x01" + self.store_id + b"\x00"
        fleet = self.fleet.encode()
        return b"\x01" + self.store_id + b"\x01" + len(fleet).to_bytes(3, "big") + fleet


def read_header(path):
    def members_once(pairs):
        require(len(dict(pairs)) == len(pairs), "coffer.json has a member twice")
        return dict(pairs)

    try:
        require(os.path.getsize(path) < 1 << 27, "coffer.json is longer than any fleet file makes it")
        with open(path, "rb") as file:
            data = file.read()
        members = json.loads(data.decode("utf-8"), object_pairs_hook=members_once)
        require(type(members) is dict, "coffer.json is not an object")
        require(set(members) == {"format", "version", "store", "fleet", "tag"}, "coffer.json has other members")
        require(members["format"] == "coffer-backup", "coffer.json is not the header of a backup")
        require(type(members["version"]) is int and members["version"] == 1, "this reader knows version 1 only")
        for name, digits in (("store", "[0-9a-f]{32}"), ("tag", "([0-9a-f]{64}){1,2}")):
            valid = type(members[name]) is str and re.fullmatch(digits, members[name])
            require(valid, f"`{name}` in coffer.json does not have its number of hexadecimal digits")
        fleet = members["fleet"]
        require(fleet is None or type(fleet) is str, "`fleet` in coffer.json is not a text")
        require(fleet is None or len(fleet.encode("utf-8")) < 2**24, "`fleet` in coffer.json is too long")
    except (ValueError, RecursionError) as error:
        raise Damaged(f"coffer.json is not valid JSON in UTF-8: {error}")
    except OSError as error:
        raise Damaged(f"coffer.json cannot be read: {error.strerror}")
    tags = bytes.fromhex(members["tag"])
    return Header(bytes.fromhex(members["store"]), fleet, [tags[place : place + 32] for place in range(0, len(tags), 32)])


# ------------------------------------------------------------------------------------------------------ a store


class Store:
    """A folder of objects, opened with the backup key. What is damaged but not needed goes to `complaints`."""

    FRAMES_KEPT = 20

    def __init__(self, folder, backup_key):
        self.folder, self.complaints = folder, []
        self.header = read_header(os.path.join(folder, "coffer.json"))
        store_id = self.header.store_id
        tag = hmac.digest(hkdf(backup_key, b"coffer-v1 header", store_id), self.header.authenticated(), "sha256")
        tag_is_right = any(hmac.compare_digest(tag, known) for known in self.header.tags)
        self.keyring = self.open_keyring(lambda _, preamble: hkdf(backup_key, b"coffer-v1 object" + preamble, store_id))
        if self.keyring is None and tag_is_right:
            raise Damaged("the key is right, but no keyring opens: " + "; ".join(self.complaints))
        if self.keyring is None:
            raise WrongKey("the key is wrong, or belongs to another store")
        require(tag_is_right, "coffer.json was altered: its tag is wrong although the key is right")
        self.frames = OrderedDict()
        self.packs_used = set()
        self.listings, self.pieces = {}, {}
        self.all_footers_read = False
        self.load_removals()
        self.load_indexes()

    def names(self, folder, pattern):
        try:
            found = (re.fullmatch(pattern, name) for name in sorted(os.listdir(os.path.join(self.folder, folder))))
            return [match for match in found if match]
        except OSError:
            return []

    def complain(self, what):
        if str(what) not in self.complaints:
            self.complaints.append(str(what))

    def key_of(self, epoch, preamble):
        require(epoch in self.keyring.epoch_keys, f"the keyring has no epoch {epoch}")
        return hkdf(self.keyring.epoch_keys[epoch], b"coffer-v1 object" + preamble, self.header.store_id)

    def open_keyring(self, key_of):
        names = self.names("keyring", r"([0-9]{8})-([ab])")
        for number in sorted({int(match[1]) for match in names}, reverse=True):
            if len(self.header.tags) > 1:
                self.complaints.clear()  # a higher number is the other key's, not damaged
            copies = []
            for letter in "ab":
                path = os.path.join(self.folder, "keyring", f"{number:08}-{letter}")
                try:
                    copies.append(decode_padded(SealedObject(path, key_of, KEYRING).plaintext(), decode_keyring)[0])
                    require(copies[-1].number == number, f"{path}: the keyring belongs under another name")
                except Damaged as error:
                    copies = [copy for copy in copies if copy.number == number]
                    self.complain(error)
            if copies:
                if any(copy != copies[0] for copy in copies):
                    self.complain(f"the two copies of keyring {number} differ")
                return copies[0]
        return None

    # Packs and indexes

    def load_indexes(self):
        for match in self.names("index", r"[0-9a-f]{32}"):
            path = os.path.join(self.folder, "index", match[0])
            try:
                object = SealedObject(path, self.key_of, INDEX, id=bytes.fromhex(match[0]))
                listings, _ = decode_padded(object.plaintext(), decode_index)
            except Damaged as error:
                self.complain(error)
                continue
            for listing in listings:
                self.add_listing(listing)

    def load_removals(self):
        self.removed_snapshots, named = set(), set()
        for match in self.names("removals", r"[0-9a-f]{32}"):
            path = os.path.join(self.folder, "removals", match[0])
            try:
                object = SealedObject(path, self.key_of, REMOVAL, id=bytes.fromhex(match[0]))
                (snapshots, packs), _ = decode_padded(object.plaintext(), decode_removal)
            except Damaged as error:
                self.complain(error)
                continue
            self.removed_snapshots |= snapshots
            named |= packs
        self.packs_named = named

    def add_listing(self, listing):
        known = self.listings.setdefault(listing.pack, listing)
        if known is not listing:
            if known != listing:
                self.complain(f"two indexes disagree about pack {listing.pack.hex()}")
            return
        offset = 0
        for entry in listing.entries:
            self.pieces.setdefault(entry.chunk, []).append((listing.pack, offset, entry))
            offset += entry.piece_bytes

    def read_all_footers(self):
        """Finds the packs that no readable index lists."""
        self.all_footers_read = True
        for prefix in self.names("packs", r"[0-9a-f]{2}"):
            for match in self.names(os.path.join("packs", prefix[0]), prefix[0] + r"[0-9a-f]{30}"):
                if bytes.fromhex(match[0]) not in self.listings:
                    try:
                        pack = self.open_pack(bytes.fromhex(match[0]))
                        self.add_listing(decode_footer(pack, lambda start, end: self.plaintext(pack, start, end)))
                    except Damaged as error:
                        self.complain(error)

    def open_pack(self, id):
        return SealedObject(self.pack_path(id), self.key_of, PACK, id=id)

    def pack_path(self, id):
        return os.path.join(self.folder, "packs", id.hex()[:2], id.hex())

    def plaintext(self, object, start, end):
        """A range of an object's plaintext, through a small cache of frames."""
        parts = []
        for i in range(start // FRAME_BYTES, -(-end // FRAME_BYTES)):
            key = (object.path, i)
            if key not in self.frames:
                self.frames[key] = object.frame(i)
                if len(self.frames) > self.FRAMES_KEPT:
                    self.frames.popitem(last=False)
            self.frames.move_to_end(key)
            base = i * FRAME_BYTES
            parts.append(self.frames[key][max(0, start - base) : end - base])
        return b"".join(parts)

    def piece(self, pack_id, offset, entry):
        listing, pack = self.listings[pack_id], self.open_pack(pack_id)
        agrees = (pack.epoch, pack.plaintext_bytes) == (listing.epoch, listing.plaintext_bytes)
        require(agrees, f"{pack.path}: the pack is not as the index says")
        self.packs_used.add(pack_id)
        return self.plaintext(pack, offset, offset + entry.piece_bytes)

    def stored_form(self, places, stored_bytes):
        """Puts pieces together from the front; a piece that cannot be read gives way to another that covers it."""
        stored, left = bytearray(), list(places)
        while len(stored) < stored_bytes:
            fitting = [p for p in left if p[2].piece_start <= len(stored) < p[2].piece_start + p[2].piece_bytes]
            # A pack that a removal names may be damaged: others come first.
            best = max(fitting, default=None,
                       key=lambda p: (p[0] not in self.packs_named, p[2].piece_start + p[2].piece_bytes))
            if best is None:
                raise Damaged("a piece of a chunk is missing")
            left.remove(best)
            try:
                stored += self.piece(*best)[len(stored) - best[2].piece_start :]
            except Damaged as error:
                self.complain(error)
        return bytes(stored)

    def chunk(self, id):
        """The content of a chunk, checked against its id."""
        reason = "no index lists it"
        for form in sorted({place[2].form for place in self.pieces.get(id, [])}):
            compression, content_bytes, stored_bytes = form
            try:
                places = [place for place in self.pieces[id] if place[2].form == form]
                content = self.stored_form(places, stored_bytes)
                if compression == ZSTANDARD:
                    content = decompress(content, content_bytes)
                expected = hmac.digest(self.keyring.chunk_id_key, content, "sha256")
                require(hmac.compare_digest(expected, id), "a chunk does not have the content of its id")
                return content
            except Damaged as error:
                reason = error
        if not self.all_footers_read:
            self.read_all_footers()
            return self.chunk(id)
        raise Damaged(f"chunk {id.hex()} cannot be read: {reason}")

    # Trees

    def ids(self, chunks):
        for position in range(0, len(chunks.ids), 32):
            id = chunks.ids[position : position + 32]
            if chunks.depth == 0:
                yield id
                continue
            require(id != ZERO_ID, "the id of zeros stands for a run of ids")
            run = self.chunk(id)
            require(len(run) % 32 == 0 and len(run) <= 32 * RUN_IDS_MAX, "a run of ids has a wrong length")
            yield from self.ids(ChunkList(chunks.depth - 1, run))

    def blocks(self, entry):
        """(offset, length, id) of each block of a file."""
        offset = 0
        for id in self.ids(entry.chunks):
            require(offset < entry.content_bytes, "a file has more blocks than its length asks for")
            length = min(entry.block_bytes, entry.content_bytes - offset)
            yield offset, length, id
            offset += length
        require(offset == entry.content_bytes, "a file has fewer blocks than its length asks for")

    def page_batches(self, layer, below, page_bytes):
        """(first page of the group, batch) of each batch of a layer; `below` is the layer below or None."""
        group = 0
        for id in self.ids(layer.groups):
            first_page = group * GROUP_PAGES
            require(first_page < layer.page_count, "a layer has more groups than its pages ask for")
            pages = min(GROUP_PAGES, layer.page_count - first_page)
            content = b"\0\0\0" if id == ZERO_ID else self.chunk(id)
            pages_below = below.page_count if below else None
            for batch in decode_page_group(content, page_bytes, first_page, pages, pages_below):
                yield first_page, batch
            group += 1
        require(group == layer.group_count, "a layer has fewer groups than its pages ask for")

    def delta_pages(self, batch, page_bytes, file):
        prefix = []
        for page in batch.prefix:
            file.seek(page * page_bytes)
            prefix.append(file.read(page_bytes))
        frame, length = self.chunk(batch.chunk), batch.page_count * page_bytes
        try:
            right = zstandard.get_frame_parameters(frame).content_size == length
        except zstandard.ZstdError as error:
            raise Damaged(f"a delta is not a Zstandard frame: {error}")
        require(right, "a delta does not have the length of its pages")
        pages = decompress(frame, length, b"".join(prefix))
        for i in range(batch.page_count):
            page = pages[i * page_bytes : (i + 1) * page_bytes]
            hash = hmac.digest(self.keyring.chunk_id_key, page, "sha256")[:8]
            require(hash == batch.hashes[i * 8 : (i + 1) * 8], "a page of a delta does not have its hash")
        return pages

    def full_pages(self, batch, page_bytes):
        content = self.chunk(batch.chunk)
        require(len(content) <= FULL_BYTES_MAX and len(content) % page_bytes == 0, "a batch is not whole pages")
        end = max(place + count for _, count, place in batch.runs)
        require(end * page_bytes <= len(content), "a batch has fewer pages than are named")
        return content

    def write_pages(self, entry, file):
        """Builds the image of each layer in turn. New pages wait behind the image until all prefixes are read."""
        page_bytes, below = entry.block_bytes, None
        waiting = page_bytes * max(layer.page_count for layer in entry.layers)
        file.seek(waiting - 1)
        file.write(b"\0")
        for layer in entry.layers:
            end = waiting
            for _, batch in self.page_batches(layer, below, page_bytes):
                if batch.kind == DELTA:
                    pages = self.delta_pages(batch, page_bytes, file)
                    file.seek(end)
                    end += file.write(pages)
            end = waiting
            for first_page, batch in self.page_batches(layer, below, page_bytes):
                if batch.kind == DELTA:
                    file.seek(end)
                    pages = file.read(batch.page_count * page_bytes)
                    end += len(pages)
                elif batch.kind == FULL:
                    pages = self.full_pages(batch, page_bytes)
                for first, count, place in batch.runs:
                    run = bytes(count * page_bytes)
                    if batch.kind != ZEROS:
                        run = pages[place * page_bytes : (place + count) * page_bytes]
                    elif below is None:
                        continue
                    file.seek((first_page + first) * page_bytes)
                    file.write(run)
            below = layer
        file.truncate(entry.content_bytes)

    def entries(self, directory):
        previous = b""
        for id in self.ids(directory.chunks):
            require(id != ZERO_ID, "the id of zeros stands for a listing")
            for entry in decode_listing(self.chunk(id)):
                require(entry.name > previous, f"{show(entry.name)} is out of order in its directory, or there twice")
                previous = entry.name
                yield entry

    # Snapshots

    def snapshot_names(self):
        return self.names("snapshots", r"([0-9]{8})-([0-9a-f]{32})")

    def open_snapshot(self, match):
        """The first of the two copies that opens. What is wrong with the other one is a complaint."""
        path, opened = os.path.join(self.folder, "snapshots", match[0]), []
        require(os.path.isfile(path), f"{path} is missing")
        size = os.path.getsize(path)
        if size % 2:
            self.complain(f"{path}: its size is odd, so it does not hold two equal copies")
        for start in (0, size // 2):
            try:
                object = SealedObject(path, self.key_of, SNAPSHOT, start, size // 2)
                snapshot, structure = decode_padded(object.plaintext(), decode_snapshot)
                named = (snapshot.number, snapshot.id) == (int(match[1]), bytes.fromhex(match[2]))
                require(named and snapshot.number >= 1, f"{path}: the snapshot belongs under another name")
                hash = hashlib.sha256(b"coffer-v1 snapshot" + structure).digest()
                opened.append(replace(snapshot, hash=hash))
            except Damaged as error:
                self.complain(error)
        require(opened, f"snapshot {int(match[1])} does not open: " + "; ".join(self.complaints[-2:]))
        if any(copy.hash != opened[0].hash for copy in opened):
            self.complain(f"{path}: the two copies differ")
        return opened[0]

    def snapshot(self, number=None):
        names = self.snapshot_names()
        if not names:
            raise Unable("the store has no snapshot")
        wanted = max(int(match[1]) for match in names) if number is None else number
        matches = [match for match in names if int(match[1]) == wanted]
        if not matches:
            raise Unable(f"the store has no snapshot {wanted}")
        require(len(matches) == 1, f"there are {len(matches)} snapshots with the number {wanted}")
        return self.open_snapshot(matches[0])


# ----------------------------------------------------------------------------------------------------- commands


def show(name):
    """A name or a path, with what a terminal would act upon made visible."""
    text = name.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() else escape(c) for c in text)


def escape(character):
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def list_snapshots(store):
    problems = 0
    for match in store.snapshot_names():
        try:
            s = store.open_snapshot(match)
        except Damaged as error:
            print(f"{int(match[1]):>6}  damaged: {error}")
            problems += 1
            continue
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(s.ended_seconds, 253_402_300_799)))
        counts = f"{s.files} files, {s.directories} folders, {s.symbolic_links} links, {s.content_bytes:,} bytes"
        print(f"{s.number:>6}  {when}  {counts}, {s.skipped_count} skipped  {show(s.source.encode())}")
        if s.left_out:
            print(f"        without {show(', '.join(s.left_out.splitlines()).encode())}")
    return problems


def list_entries(store, number, path):
    entry = store.snapshot(number).root
    for name in (part for part in path.split(b"/") if part not in (b"", b".")):
        found = [child for child in store.entries(entry) if child.name == name] if entry.kind == DIRECTORY else []
        if not found:
            raise Unable(f"the snapshot has no {show(path)}")
        entry = found[0]
    for child in store.entries(entry) if entry.kind == DIRECTORY else [entry]:
        kind = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMBOLIC_LINK: stat.S_IFLNK}[child.kind]
        seconds = child.modified_nanoseconds // 1_000_000_000
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)) if abs(seconds) < 2**36 else str(seconds)
        arrow = f" -> {show(child.target)}" if child.kind == SYMBOLIC_LINK else ""
        print(f"{stat.filemode(kind | child.mode)} {child.content_bytes:>14,} {when} {show(child.name)}{arrow}")
    return 0


class Extraction:
    """Writes one snapshot into an empty folder. Entries that are damaged are reported and left out."""

    def __init__(self, store, folder):
        self.store, self.folder, self.problems = store, folder, 0
        self.first_names, self.directories = {}, []
        self.files = self.links = 0

    def run(self, root):
        os.makedirs(self.folder, exist_ok=True)
        if os.listdir(self.folder):
            raise Unable(f"{show(self.folder)} is not empty")
        self.fill(self.folder, root)
        # Folders last and from the inside out: making entries changes times, and modes may forbid it.
        for path, entry in reversed(self.directories):
            self.set_attributes(path, entry)

    def problem(self, path, error):
        self.problems += 1
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"not restored: {show(os.path.relpath(path, self.folder))}: {reason}", file=sys.stderr)

    def fill(self, path, directory):
        self.directories.append((path, directory))
        try:
            for entry in self.store.entries(directory):
                self.restore(os.path.join(path, entry.name), entry)
        except Damaged as error:
            self.problem(path, error)

    def restore(self, path, entry):
        try:
            if entry.kind == DIRECTORY:
                os.mkdir(path, 0o700)
                self.fill(path, entry)
            elif entry.kind == SYMBOLIC_LINK:
                os.symlink(entry.target, path)
                self.links += 1
                self.set_attributes(path, entry)
            elif entry.link_group in self.first_names:
                first, first_entry = self.first_names[entry.link_group]
                require(entry.content == first_entry.content, "two names of one file have different contents")
                os.link(first, path, follow_symlinks=False)
                self.files += 1
            else:
                self.write_file(path, entry)
        except (Damaged, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.problem(path, error)

    def write_file(self, path, entry):
        # O_EXCL: nothing that exists is ever opened, so no link is followed.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "w+b") as file:
                if entry.form == SQLITE_PAGES:
                    self.store.write_pages(entry, file)
                else:
                    self.write_blocks(entry, file)
        except BaseException:
            os.unlink(path)
            raise
        self.files += 1
        if entry.link_group:
            self.first_names[entry.link_group] = (path, entry)
        self.set_attributes(path, entry)

    def write_blocks(self, entry, file):
        for offset, length, id in self.store.blocks(entry):
            if id == ZERO_ID:
                continue
            content = self.store.chunk(id)
            require(len(content) == length, "a block has the wrong length")
            file.seek(offset)
            file.write(content)
        file.truncate(entry.content_bytes)

    def set_attributes(self, path, entry):
        """Owner first, because it clears set-id bits; then attributes, while the mode still allows them; time last."""
        try:
            if os.geteuid() == 0:
                os.chown(path, entry.owner, entry.group, follow_symlinks=False)
            for name, value in entry.attributes:
                try:
                    os.setxattr(path, name, value, follow_symlinks=False)
                except OSError as error:
                    reason = f"attribute {show(name)} of {show(path)} was not set: {error.strerror}"
                    print(f"warning: {reason}", file=sys.stderr)
            if entry.kind != SYMBOLIC_LINK:
                os.chmod(path, entry.mode)
            os.utime(path, ns=(entry.modified_nanoseconds, entry.modified_nanoseconds), follow_symlinks=False)
        except (OSError, OverflowError) as error:
            print(f"warning: {show(path)}: owner, mode or time was not set: {error}", file=sys.stderr)


def extract(store, number, folder):
    snapshot = store.snapshot(number)
    extraction = Extraction(store, folder)
    extraction.run(snapshot.root)
    counts = f"{extraction.files} files, {len(extraction.directories) - 1} folders, {extraction.links} symbolic links"
    print(f"restored snapshot {snapshot.number}: {counts}; {extraction.problems} not restored")
    if snapshot.skipped_count:
        print(f"note: {snapshot.skipped_count} entries were left out when the backup was made")
    if snapshot.left_out:
        print(f"note: the backup was made without {show(', '.join(snapshot.left_out.splitlines()).encode())}")
    return extraction.problems


class Verification:
    """Reads everything that the snapshots need, and checks all that the specification lets a reader check."""

    def __init__(self, store):
        self.store, self.problems = store, []
        self.lengths, self.images = {}, set()

    def run(self, number):
        chain = []
        for match in self.store.snapshot_names():
            try:
                chain.append(self.store.open_snapshot(match))
            except Damaged as error:
                self.problems.append(str(error))
        self.check_chain(chain)
        wanted = [snapshot for snapshot in chain if number in (None, snapshot.number)]
        if number is not None and number not in [int(match[1]) for match in self.store.snapshot_names()]:
            raise Unable(f"the store has no snapshot {number}")
        for snapshot in wanted:
            self.check_tree(snapshot)
        packs = self.store.listings if number is None else self.store.packs_used
        for id in sorted(set(packs) - self.store.packs_named):
            self.attempt("", lambda: self.check_pack(id))
        self.problems += [what for what in self.store.complaints if what not in self.problems]
        for problem in self.problems:
            print(f"damaged: {problem}", file=sys.stderr)
        numbers = ", ".join(str(snapshot.number) for snapshot in wanted)
        print(f"snapshots {numbers or '-'}; {len(self.lengths)} chunks in {len(packs)} packs; "
              f"{len(self.problems)} problems")
        return len(self.problems)

    def attempt(self, where, check):
        try:
            check()
        except Damaged as error:
            self.problems.append(f"{where}{error}")

    def check_chain(self, chain):
        removed = self.store.removed_snapshots
        for lower, snapshot in zip([None] + chain, chain):
            if lower and lower.number == snapshot.number:
                self.problems.append(f"two snapshots have the number {snapshot.number}")
            elif snapshot.previous == (lower.hash if lower else bytes(32)) or snapshot.previous in removed:
                continue
            elif (lower.number if lower else 0) == snapshot.number - 1 or snapshot.previous == bytes(32):
                self.problems.append(f"snapshot {snapshot.number} does not follow the one before it")
            else:
                print(f"note: the snapshot before {snapshot.number} is not there (deleted, or withheld)")

    def check_tree(self, snapshot):
        self.counts = [0, 0, 0, 0]
        self.groups = {}
        before = len(self.problems)
        self.check_directory(b"", snapshot.root, f"snapshot {snapshot.number}: ")
        files, directories, links, content_bytes = self.counts
        claimed = (snapshot.files, snapshot.symbolic_links, snapshot.content_bytes)
        right = claimed == (files, links, content_bytes) and snapshot.directories - directories in (0, 1)
        if len(self.problems) == before and not right:
            self.problems.append(f"snapshot {snapshot.number}: its counts are not those of its tree")

    def check_directory(self, path, directory, where):
        def check():
            for entry in self.store.entries(directory):
                name = path + entry.name
                if entry.kind == DIRECTORY:
                    self.counts[1] += 1
                    self.check_directory(name + b"/", entry, where)
                elif entry.kind == SYMBOLIC_LINK:
                    self.counts[2] += 1
                else:
                    self.counts[0] += 1
                    self.counts[3] += entry.content_bytes
                    self.attempt(f"{where}{show(name)}: ", lambda: self.check_file(entry))

        self.attempt(f"{where}{show(path or b'.')}: ", check)

    def check_file(self, entry):
        if entry.link_group:
            first = self.groups.setdefault(entry.link_group, entry)
            require(first.content == entry.content, "two names of one file have different contents")
        if entry.form == SQLITE_PAGES:
            # In memory: a verification leaves nothing behind on the disk.
            if entry.content not in self.images:
                self.store.write_pages(entry, io.BytesIO())
                self.images.add(entry.content)
            return
        for _, length, id in self.store.blocks(entry):
            if id != ZERO_ID:
                if id not in self.lengths:
                    self.lengths[id] = len(self.store.chunk(id))
                require(self.lengths[id] == length, "a block has the wrong length")

    def check_pack(self, id):
        pack, listing = self.store.open_pack(id), self.store.listings[id]
        plaintext = pack.plaintext()
        footer = decode_footer(pack, lambda start, end: plaintext[start:end])
        require(footer == listing, f"{pack.path}: the pack is not as the index says")
        pieces = sum(entry.piece_bytes for entry in footer.entries)
        footer_bytes = 3 + PACK_ENTRY_BYTES * len(footer.entries) + 4
        require_zeros(plaintext, pieces, len(plaintext) - footer_bytes)


def read_key(path):
    try:
        if path is None:
            return parse_digits(getpass.getpass("64-digit key: "))
        with open(sys.stdin.fileno() if path == "-" else path, encoding="ascii", errors="replace") as file:
            return parse_digits(file.read(4096))
    except (OSError, EOFError) as error:
        raise Unable(f"the key cannot be read: {error}")


def run(arguments):
    if not os.path.isdir(arguments.store):
        raise Unable(f"{arguments.store} is not a folder")
    if not os.path.exists(os.path.join(arguments.store, "coffer.json")):
        if not os.path.isdir(os.path.join(arguments.store, "keyring")):
            raise Unable(f"{arguments.store} is not a Coffer store: it has no coffer.json")
    store = Store(arguments.store, read_key(arguments.key_file))
    if arguments.command == "list":
        problems = list_snapshots(store)
    elif arguments.command == "verify":
        return 1 if Verification(store).run(arguments.snapshot) else 0
    elif arguments.command == "extract":
        problems = extract(store, arguments.snapshot, os.path.abspath(os.fsencode(arguments.folder)))
    else:
        problems = list_entries(store, arguments.snapshot, os.fsencode(arguments.path))
    for complaint in store.complaints:
        print(f"warning: {complaint}", file=sys.stderr)
    return 1 if problems else 0


def main(argv=None):
    parser = argparse.ArgumentParser(description="Reads a Coffer store with nothing but the 64-digit key.")
    parser.add_argument("--key-file", metavar="FILE", help="a file with the digits, or - for standard input")
    parser.add_argument("store", metavar="STORE", help="the folder with coffer.json in it")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the snapshots")
    verify = commands.add_parser("verify", help="read and check everything")
    into = commands.add_parser("extract", help="restore into an empty folder")
    into.add_argument("folder", metavar="DIR")
    entries = commands.add_parser("ls", help="the entries of a folder")
    entries.add_argument("path", metavar="PATH", nargs="?", default="")
    for command in (verify, into, entries):
        command.add_argument("--snapshot", metavar="N", type=int, help="its number; without it, the newest")
    arguments = parser.parse_args(argv)
    try:
        return run(arguments)
    except Damaged as error:
        print(f"damaged: {error}", file=sys.stderr)
        return 1
    except WrongKey as error:
        print(f"wrong key: {error}", file=sys.stderr)
        return 3
    except (Unable, OSError, RecursionError) as error:
        print(f"cannot go on: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.setrecursionlimit(20_000)  # one folder in another costs three calls
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
