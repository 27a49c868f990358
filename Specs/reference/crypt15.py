#!/usr/bin/env python3
"""WhatsApp's encrypted backup files, slow and obvious, as Specs/crypt15.md says it.

    crypt15.py check                    reads Specs/vectors/crypt15 and compares with made.json
    crypt15.py generate                 writes made.json and the files it names
    crypt15.py verdict KEYFILE FILE     what is to be said of a file

Only AES of one block comes from a library; counter mode and GHASH are written out, so that where the counter wraps can be seen. Nothing
here is constant-time, and a megabyte takes minutes: it is for making and checking vectors. Needs Python 3.9 and the package cryptography.
"""

import base64
import hashlib
import hmac
import io
import json
import pathlib
import re
import sys
import zipfile
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors/crypt15"
KEY_FILE_HEAD = bytes.fromhex("aced000575720002 5b42acf317f8060854e0020000 7870 00000020")
OLDER_KEY_FILE_HEAD = KEY_FILE_HEAD[:-1] + b"\x83"


class Refused(Exception):
    """Not a file, or not a key, of this format; the first argument is the verdict."""


# 1. Keys

def hkdf(key, info, length):
    """HKDF-SHA256 (RFC 5869) without a salt."""
    extracted = hmac.new(bytes(32), key, hashlib.sha256).digest()
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(extracted, block + info + bytes([counter]), hashlib.sha256).digest()
        output, counter = output + block, counter + 1
    return output[:length]


def backup_key(root):
    return hkdf(root, b"backup encryption", 32)


def metadata_keys(root):
    return hkdf(root, b"metadata encryption", 32), hkdf(root, b"metadata authentication", 32)


def media_key(root, name):
    both = hkdf(root, name, 48)
    return both[:32], both[32:]


def read_key(data):
    """64 digits in any spacing and case, the 59-byte file, or 32 bytes."""
    if data.startswith(KEY_FILE_HEAD) and len(data) == 59:
        return data[27:]
    if data.startswith(OLDER_KEY_FILE_HEAD) and len(data) == 158:
        raise Refused("older-format", "the key file of crypt12 to crypt14")
    if len(data) == 32 and not all(32 <= byte < 127 or byte in b"\t\n\v\f\r" for byte in data):
        return data
    try:
        digits = re.sub("[\\s:\\-\u2010-\u2014\u2212\u00a0\u202f\u200b\ufeff]", "", data.decode())
        if re.fullmatch("[0-9a-fA-F]{64}", digits):
            return bytes.fromhex(digits)
    except UnicodeDecodeError:
        pass
    raise Refused("not-a-key", f"{len(data)} bytes")


# 2. AES-256-GCM with a nonce of 16 bytes (NIST SP 800-38D)

def aes_block(key, block):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def multiply(x, y):
    """The product in GF(2^128); the first bit of a block is the highest here and stands for 1."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def inverse(x):
    """x to the power of 2^128 - 2."""
    result, power = 1 << 127, x
    for _ in range(127):
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def ghash(h, data):
    total = 0
    for start in range(0, len(data), 16):
        total = multiply(total ^ int.from_bytes(data[start : start + 16].ljust(16, b"\0"), "big"), h)
    return total


def first_counter(key, nonce):
    """J0: not the nonce with a 1 behind it, since it has 16 bytes and not 12."""
    h = int.from_bytes(aes_block(key, bytes(16)), "big")
    return ghash(h, nonce + bytes(8) + (8 * len(nonce)).to_bytes(8, "big"))


def nonce_for(key, counter):
    """The nonce of 16 bytes that has this J0."""
    h = int.from_bytes(aes_block(key, bytes(16)), "big")
    return multiply(multiply(counter, inverse(h)) ^ 128, inverse(h)).to_bytes(16, "big")


def counter_mode(key, counter, data):
    """From J0 + 1; the last 32 bits count for themselves and wrap, the others stay."""
    output = bytearray()
    for number in range((len(data) + 15) // 16):
        low = (counter + 1 + number) % 2**32
        block = (counter >> 32 << 32 | low).to_bytes(16, "big")
        output += bytes(a ^ b for a, b in zip(aes_block(key, block), data[16 * number : 16 * number + 16]))
    return bytes(output)


def tag(key, nonce, ciphertext):
    h = int.from_bytes(aes_block(key, bytes(16)), "big")
    padded = ciphertext + bytes(-len(ciphertext) % 16)
    total = ghash(h, padded + bytes(8) + (8 * len(ciphertext)).to_bytes(8, "big"))
    return (total ^ int.from_bytes(aes_block(key, first_counter(key, nonce).to_bytes(16, "big")), "big")).to_bytes(16, "big")


def crypt(key, nonce, data):
    return counter_mode(key, first_counter(key, nonce), data)


# 3. The header

def varint(data, place, bytes_max=10):
    value = 0
    for count in range(bytes_max):
        if place + count >= len(data):
            raise Refused("not-a-backup", "a number that is cut")
        value |= (data[place + count] & 0x7F) << 7 * count
        if not data[place + count] & 0x80:
            if value >= 1 << 64:
                break
            return value, place + count + 1
    raise Refused("not-a-backup", "a number that is too long")


def fields(data, start, end):
    """(number, wire type, value or range), in the order in which they stand."""
    data, place = data[:end], start
    while place < end:
        key, place = varint(data, place)
        if not 0 < key >> 3 < 1 << 29:
            raise Refused("not-a-backup", "a field without a number")
        if key & 7 == 0:
            value, place = varint(data, place)
        elif key & 7 in (1, 2, 5):
            length = {1: 8, 5: 4}.get(key & 7)
            if length is None:
                length, place = varint(data, place)
            value, place = (place, place + length), place + length
            if place > end:
                raise Refused("not-a-backup", "a field that is cut")
        else:
            raise Refused("not-a-backup", "a group")
        yield key >> 3, key & 7, value


def read_header(data):
    """(length of length and message, place of the nonce). Raises Refused."""
    if not data:
        raise Refused("not-a-backup", "empty")
    if data[:2] == b"\0\1" and data[2:3] in (b"\1", b"\2", b"\3") and len(data) >= 67:
        raise Refused("older-format", "crypt12")
    length, start = varint(data, 0, 3)
    if not 1 <= length <= 65_536:
        raise Refused("not-a-backup", "length of the header")
    if len(data) < start + length:
        raise Refused("truncated" if data[start : start + 1] in (b"\x08", b"\x12", b"\x1a") else "not-a-backup", "header")
    nonce, older = None, False
    for number, kind, value in fields(data, start, start + length):
        older = older or (number, kind) == (2, 2)
        if (number, kind) == (3, 2):
            for inner, inner_kind, place in fields(data, *value):
                if (inner, inner_kind) == (1, 2):
                    nonce = place if place[1] - place[0] == 16 else None
    if nonce is None:
        raise Refused("older-format", "crypt14") if older else Refused("not-a-backup", "no nonce")
    return start + length, nonce


# 4. Content and verdict

def kind(content):
    if content.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if content[:4] in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    head = content[:16].lstrip(b" \t\r\n")
    if head[:1] in (b"{", b"[") and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "json"
    return "other" if content else "empty"


def is_zlib(data):
    return len(data) >= 2 and data[0] & 15 == 8 and data[0] >> 4 <= 7 and (data[0] * 256 + data[1]) % 31 == 0 and not data[1] & 32


def inflate(plain):
    """(content, what is wrong or None, bytes behind the stream or None if it has not ended)."""
    if not is_zlib(plain):
        return plain, None, None
    stream, content = zlib.decompressobj(), b""
    try:
        for place in range(0, len(plain), 64):  # so that what came before damage is kept
            content += stream.decompress(plain[place : place + 64])
            if stream.eof:
                behind = len(stream.unused_data) + len(plain) - min(len(plain), place + 64)
                return content, "bytes-behind" if behind else None, behind
    except zlib.error:
        return content, "damaged", None
    return content, "cut", None


def is_recognised(plain, content):
    return kind(content) in ("sqlite", "zip", "webp") or kind(content) == "json" and is_zlib(plain)


def read(data, root):
    """What is to be said of a file: verdict, problem, content (only if proven)."""
    try:
        start, (nonce_start, nonce_end) = read_header(data)
    except Refused as refusal:
        return {"verdict": refusal.args[0], "problem": None, "content": None}
    key, nonce, body = backup_key(root), data[nonce_start:nonce_end], data[start:]

    def proven(verdict, ciphertext):
        content, problem, _ = inflate(crypt(key, nonce, ciphertext))
        return {"verdict": verdict, "problem": problem, "content": content}

    def unproven(verdict):
        return {"verdict": verdict, "problem": None, "content": None}

    def is_tag(length, candidate):
        return tag(key, nonce, body[:length]) == candidate

    if len(body) < 16:
        return unproven("truncated")
    is_first = len(body) >= 32 and is_tag(len(body) - 32, body[-32:-16])
    if len(body) >= 32 and hashlib.md5(data[:-16]).digest() == data[-16:]:
        return proven("ok", body[:-32]) if is_first else unproven("wrong-key")
    if is_first:
        return proven("ok-payload-header-or-trailer-altered", body[:-32])
    if is_tag(len(body) - 16, body[-16:]):
        return proven("ok-no-trailer", body[:-16])
    plain = crypt(key, nonce, body)
    content, problem, behind = inflate(plain)
    fits = is_recognised(plain, content) or is_zlib(plain) and len(body) < 512
    is_cut = fits and (problem == "cut" or behind is not None and behind < 32)
    return unproven("truncated" if is_cut else "damaged-or-wrong-key")


def seal(root, header, plain, has_trailer=True):
    """A file of this header (length and message) around a payload that is compressed already, or is not to be."""
    _, (start, end) = read_header(header)
    key, nonce = backup_key(root), header[start:end]
    ciphertext = crypt(key, nonce, plain)
    data = header + ciphertext + tag(key, nonce, ciphertext)
    return data + hashlib.md5(data).digest() if has_trailer else data


# 5. Media

def media_name(root, path, content):
    return hmac.new(root, hashlib.sha256(path.encode()).digest() + hashlib.md5(content).digest(), hashlib.sha256).digest()


def open_media(root, name, data):
    key, nonce = media_key(root, name)
    if len(data) < 16 or tag(key, nonce, data[:-16]) != data[-16:]:
        raise Refused("damaged-or-wrong-key")
    return crypt(key, nonce, data[:-16])


def open_metadata(root, text):
    data = base64.b64decode(text)
    encryption, authentication = metadata_keys(root)
    nonce, mac, ciphertext = data[1:17], data[18:50], data[50:]
    if data[0] != 16 or data[17] != 32 or hmac.new(authentication, nonce + ciphertext, hashlib.sha256).digest() != mac:
        raise Refused("damaged-or-wrong-key")
    decryptor = Cipher(algorithms.AES(encryption), modes.CBC(nonce)).decryptor()
    plain = decryptor.update(ciphertext) + decryptor.finalize()
    return json.loads(plain[: -plain[-1]])


def increment_counts(content):
    """What `header.json` of an increment says it holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return json.loads(archive.read("header.json"))["added_messages"]


# Vectors

def encoded(number):
    output = bytearray()
    while number >= 128:
        output.append(number & 127 | 128)
        number >>= 7
    return bytes(output + bytes([number]))


def field(number, data):
    return encoded(number << 3 | 2) + encoded(len(data)) + data


def header(message):
    return encoded(len(message)) + message


def made_nonce(name):
    return hashlib.sha256(name.encode()).digest()[:16]


def usual(name, more=b""):
    """The header of a file of 2026, as small as it gets."""
    metadata = field(1, b"2.26.20.7") + field(3, b"42") + b"\x20\x01\x28\x00\x38\x01"
    return header(b"\x08\x01" + field(3, field(1, made_nonce(name))) + field(4, metadata) + more + b"\x30\x03")


def increment():
    """An increment as it is known: counts, messages, rows of tables."""
    output = io.BytesIO()
    members = {
        "header.json": json.dumps({
            "header": {"app_version": "2.26.20.7", "format_version": "1.0"},
            "added_messages": {"filename": "messages.bin", "format": "protobuf", "messages_count_on_backup": 12,
                               "messages_updated": 3, "messages_deleted": 1, "chunks": []}}),
        "messages.bin": b"\x02\x10\x02",
        "chat_modified_0.json": json.dumps({"chat": [{"_id": 1, "archived": 0}]}),
        "sequences.json": "{}",
    }
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return output.getvalue()


def made(root):
    """name → (bytes, what it shows)."""
    database = (VECTORS / "tiny.db").read_bytes()
    plain = zlib.compress(database, 9)
    # The second block's counter is 0, and the 96 bits before it stay.
    wrapping = nonce_for(backup_key(root), int.from_bytes(bytes(range(12)), "big") << 32 | 0xFFFFFFFE)
    whole = seal(root, usual("whole"), plain)
    passkey = field(5, field(1, b"\x01" * 400) + field(5, b"\x02" * 64) + field(7, b"\x03" * 32))
    repeated = header(b"\x08\x01" + field(3, field(1, made_nonce("first"))) + field(3, field(1, made_nonce("last"))))
    crypt14 = header(field(2, field(1, b"\0\2") + field(2, b"2") + field(3, bytes(32)) + field(4, bytes(16))
                              + field(5, made_nonce("crypt14"))))
    return {
        "b-wrap.crypt15": (seal(root, header(field(3, field(1, wrapping))), plain), "the 32-bit counter wraps"),
        "f-passkey.crypt15": (seal(root, usual("passkey", passkey), plain), "a header of more than 500 bytes"),
        "h-increment.crypt15": (seal(root, usual("increment"), zlib.compress(increment(), 9)), "zlib(ZIP)"),
        "i-settings.json.crypt15": (seal(root, usual("json"), zlib.compress(b'{"settings":{"a":1}}', 9)), "JSON"),
        "j-raw.db.crypt15": (seal(root, usual("raw"), database[:512]), "a database that is not deflated"),
        "k-repeated.crypt15": (seal(root, repeated, plain), "two nonces: the last counts"),
        "l-unknown.crypt15": (seal(root, usual("unknown", field(99, b"?") + encoded(77 << 3 | 5) + b"four"), plain),
                              "fields that nobody knows"),
        "m-empty.crypt15": (seal(root, usual("empty"), b"", has_trailer=False), "no content at all"),
        "neg-behind-file.crypt15": (whole + b"more", "four bytes behind the file"),
        "neg-two-files.crypt15": (whole + seal(root, usual("second"), plain), "two files"),
        "neg-behind-stream.crypt15": (seal(root, usual("behind"), plain + b"more"), "bytes behind the zlib stream, sealed"),
        "neg-cut-stream.crypt15": (seal(root, usual("cut"), plain[:-20]), "a zlib stream that was sealed cut"),
        "neg-adler.crypt15": (seal(root, usual("adler"), plain[:-1] + bytes([plain[-1] ^ 1])), "a wrong Adler-32, sealed"),
        "neg-bomb.crypt15": (seal(root, usual("bomb"), zlib.compress(bytes(4 << 20), 9)), "4 MiB of zeros"),
        "neg-length-0.crypt15": (b"\0" + whole[1:], "header of length 0"),
        "neg-length-65537.crypt15": (encoded(65_537) + whole[2:], "header of length 65,537"),
        "neg-length-2-63.crypt15": (encoded(1 << 63) + whole[2:], "header of length 2^63"),
        "neg-nested.crypt15": (header(field(3, field(3, field(3, field(1, made_nonce("nested")))))) + plain, "a nonce too deep"),
        "neg-group.crypt15": (header(b"\x1b" + field(1, made_nonce("group")) + b"\x1c") + plain, "a group"),
        "neg-short-nonce.crypt15": (header(field(3, field(1, made_nonce("short")[:12]))) + plain, "a nonce of 12 bytes"),
        "old-crypt14.crypt15": (crypt14 + plain, "crypt14 under another name"),
        "old-crypt12.crypt12": (b"\0\1\1" + bytes(64) + plain, "crypt12"),
        "neg-database.crypt15": (database[:1024], "a database in the clear"),
        "neg-cut.crypt15": (whole[: len(whole) * 2 // 3], "cut in its content"),
        "neg-cut-short.crypt15": (whole[: len(usual("whole")) + 20], "cut so early that it is a tag long, and a little more"),
        "neg-crypt12-short.crypt12": (b"\0\1\1" + bytes(63), "a byte less than crypt12's header"),
    }


def check_key(root):
    """K of another account."""
    return hashlib.sha256(root).digest()


def manifest(root, files):
    """What made.json says of these files."""
    entries = {}
    for name, (data, shows) in files.items():
        result, other = read(data, root), read(data, check_key(root))
        entry = {"shows": shows, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                 "verdict": result["verdict"], "verdict_wrong_key": other["verdict"]}
        if result["problem"]:
            entry["problem"] = result["problem"]
        elif result["content"] is not None:
            entry |= {"content": kind(result["content"]), "plain_sha256": hashlib.sha256(result["content"]).hexdigest()}
        entries[name] = entry
    return {"wrong_key": check_key(root).hex(), "files": entries, "keys": keys(root)}


def keys(root):
    """What may be given as a key: hexadecimal bytes, and the key or how it is refused."""
    text = root.hex()
    groups = [text[place : place + 4] for place in range(0, 64, 4)]
    older = OLDER_KEY_FILE_HEAD + b"\0\2" + b"1" + bytes(96) + bytes(range(32))
    inputs = {
        "digits": text.encode(),
        "groups of four in four lines": "\n".join(" ".join(groups[place : place + 4]) for place in (0, 4, 8, 12)).encode() + b"\n",
        "upper case, dashes": "-".join(groups).upper().encode(),
        "colons, Windows line ends": b"\r\n".join(":".join(groups[place : place + 4]).encode() for place in (0, 4, 8, 12)),
        "word processor's dashes and no-break spaces": "\u2013".join(groups[:8]).encode() + "\u00a0".join([""] + groups[8:]).encode(),
        "byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "key file": KEY_FILE_HEAD + root,
        "32 bytes": root,
    }
    refused = {
        "empty": b"", "63 digits": text[:-1].encode(), "65 digits": text.encode() + b"0", "a letter g": b"g" + text[1:].encode(),
        "key file, cut": (KEY_FILE_HEAD + root)[:-1], "key file and more": KEY_FILE_HEAD + root + b"\n",
        "31 bytes": root[:-1], "33 bytes": root + b"\xff", "crypt14's key file": older, "32 digits": text[:32].encode(),
    }
    return {"root": root.hex(), "read": {name: data.hex() for name, data in inputs.items()},
            "refused": {name: data.hex() for name, data in refused.items()}}


def main(arguments):
    if arguments[:1] == ["verdict"] and len(arguments) == 3:
        result = read(pathlib.Path(arguments[2]).read_bytes(), read_key(pathlib.Path(arguments[1]).read_bytes()))
        print(result["verdict"], result["problem"] or "")
        return
    root = read_key((VECTORS / "encrypted_backup.key").read_bytes())
    if arguments == ["generate"]:
        files = made(root)
        for name, (data, _) in files.items():
            (VECTORS / name).write_bytes(data)
        (VECTORS / "made.json").write_text(json.dumps(manifest(root, files), indent=1) + "\n")
    elif arguments == ["check"]:
        committed = json.loads((VECTORS / "made.json").read_text())
        files = {name: ((VECTORS / name).read_bytes(), entry["shows"]) for name, entry in committed["files"].items()}
        assert manifest(root, files) == committed
        print("the files are as this program reads them")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
