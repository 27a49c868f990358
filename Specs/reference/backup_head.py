#!/usr/bin/env python3
"""What devices tell the vaults of their newest backup, slow and obvious, as section 13 of Specs/backup-format.md says it.

    backup_head.py check       checks Specs/vectors/backup/head.json against this program
    backup_head.py generate    writes it

It is for making and checking vectors. Needs Python 3.9 or later and the package `cryptography`.
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors/backup/head.json"


def hkdf(key, store, info):
    """HKDF-SHA512 (RFC 5869) with the store id as salt; 32 bytes."""
    prk = hmac.new(store, key, "sha512").digest()
    return hmac.new(prk, info + b"\1", "sha512").digest()[:32]


def content(head):
    """number, ended, hash of the snapshot, number of the keyring, tag of coffer.json."""
    return (
        struct.pack(">IQ", head["number"], head["endedSeconds"]) + bytes.fromhex(head["hash"])[:16]
        + struct.pack(">I", head["keyring"]) + bytes.fromhex(head["headerTag"])[:4]
    )  # fmt: skip


def nonce(key, store, plain):
    return hmac.new(hkdf(key, store, b"coffer-v1 head nonce"), plain, "sha256").digest()[:12]


def seal(key, store, plain):
    made = nonce(key, store, plain)
    return made + AESGCM(hkdf(key, store, b"coffer-v1 head")).encrypt(made, plain, None)


def unseal(key, store, sealed):
    """The content, or None."""
    if len(sealed) != 64:
        return None
    try:
        plain = AESGCM(hkdf(key, store, b"coffer-v1 head")).decrypt(sealed[:12], sealed[12:], None)
    except InvalidTag:
        return None
    return plain if nonce(key, store, plain) == sealed[:12] else None


def fill(name, count):
    """As in recovery.py."""
    data = b"".join(hashlib.sha256(name.encode() + bytes([i])).digest() for i in range((count + 31) // 32))
    return data[:count]


def make():
    made = []
    for number, ended, keyring in [(1, 0, 1), (7, 1_800_000_000, 2), (99_999_999, 2**64 - 1, 99_999_999)]:
        name = f"head {number} "
        key, store = fill(name + "key", 32), fill(name + "store", 16)
        head = {
            "number": number, "endedSeconds": str(ended), "hash": fill(name + "hash", 32).hex(), "keyring": keyring,
            "headerTag": fill(name + "tag", 32).hex(),
        }  # fmt: skip
        plain = content(dict(head, endedSeconds=ended))
        sealed = seal(key, store, plain)
        assert len(sealed) == 64 and unseal(key, store, sealed) == plain
        made.append(dict(head, key=key.hex(), store=store.hex(), content=plain.hex(), sealed=sealed.hex()))
    # Sealed under a nonce that is not made of the content.
    key, store = fill("head 7 key", 32), fill("head 7 store", 16)
    other = fill("another nonce", 12)
    refused = other + AESGCM(hkdf(key, store, b"coffer-v1 head")).encrypt(other, bytes.fromhex(made[1]["content"]), None)
    assert unseal(key, store, refused) is None
    return {"heads": made, "refused": [{"key": key.hex(), "store": store.hex(), "sealed": refused.hex()}]}


def main():
    if sys.argv[1:] == ["generate"]:
        VECTORS.write_text(json.dumps(make(), indent=1) + "\n")
        print(f"{VECTORS.name}: written")
    elif sys.argv[1:] == ["check"]:
        if json.loads(VECTORS.read_text()) != make():
            sys.exit(f"{VECTORS.name}: differs from what this program makes")
        print(f"{VECTORS.name}: agrees")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
