#!/usr/bin/env python3
"""The check groups of the written key, slow and obvious, as section 2 of Specs/backup-format.md says it.

    written_key.py check       checks Specs/vectors/backup/written-key.json against this program
    written_key.py generate    writes it

Nothing here is constant-time. It is for making and checking vectors, never for real keys. Needs Python 3.9 or later alone.
"""

import hashlib
import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors/backup/written-key.json"
MODULUS = 0b1_0001_0000_0000_1011  # x^16 + x^12 + x^3 + x + 1
X = 0b10
GROUPS = range(1, 19)


def times(a, b):
    """The product of two polynomials over GF(2), then its remainder by the modulus."""
    product = 0
    for power in range(16):
        if b >> power & 1:
            product ^= a << power
    for power in range(30, 15, -1):
        if product >> power & 1:
            product ^= MODULUS << (power - 16)
    return product


def to_the(a, exponent):
    result = 1
    for _ in range(exponent):
        result = times(result, a)
    return result


def inverse(a):
    """By trying all: there is exactly one."""
    return next(b for b in range(1, 1 << 16) if times(a, b) == 1)


def sums(groups):
    """Over the 18 groups: their sum, and the sum of each times x to the power of its number."""
    plain = weighted = 0
    for number, group in zip(GROUPS, groups):
        plain ^= group
        weighted ^= times(group, to_the(X, number))
    return plain, weighted


def written(key):
    """32 bytes to 18 groups."""
    groups = [int.from_bytes(key[place : place + 2], "big") for place in range(0, 32, 2)]
    plain, weighted = sums(groups + [0, 0])
    # g17 + g18 = plain and g17·x^17 + g18·x^18 = weighted.
    last = times(weighted ^ times(plain, to_the(X, 17)), inverse(to_the(X, 17) ^ to_the(X, 18)))
    groups += [plain ^ last, last]
    assert sums(groups) == (0, 0)
    return groups


def completed(groups, number):
    """What group `number` must be if the others are right, or None if they cannot be."""
    others = [0 if place == number else group for place, group in zip(GROUPS, groups)]
    right, _ = sums(others)
    whole = [right if place == number else group for place, group in zip(GROUPS, groups)]
    return right if sums(whole) == (0, 0) else None


def judge(groups):
    """What a reader says of 18 groups, or of 17."""
    if len(groups) == 17:
        places = [number for number in GROUPS
                  if completed(groups[: number - 1] + [0] + groups[number - 1 :], number) is not None]
        return {"leftOut": places[0]} if len(places) == 1 else {"length": 4 * 17}
    if sums(groups) == (0, 0):
        return {"sound": True}
    single = [number for number in GROUPS if completed(groups, number) is not None]
    if single:
        wrong = groups[single[0] - 1] ^ completed(groups, single[0])
        positions = [place for place in (1, 2, 3, 4) if wrong >> (4 * (4 - place)) & 15]
        return {"mistyped": single[0], "positions": positions}
    pairs = []
    for first in range(1, 18):
        swapped = list(groups)
        swapped[first - 1], swapped[first] = swapped[first], swapped[first - 1]
        if sums(swapped) == (0, 0):
            pairs.append(first)
    return {"swapped": pairs[0]} if len(pairs) == 1 else {"several": True}


# ------------------------------------------------------------------------------------------------------------ vectors


def fill(name, count):
    blocks = (hashlib.sha256(name.encode() + bytes([number])).digest() for number in range(-(-count // 32)))
    return b"".join(blocks)[:count]


def text(groups):
    return " ".join(f"{group:04x}" for group in groups)


def typing_errors():
    groups = written(fill("typing errors", 32))
    for number in GROUPS:
        wrong = int.from_bytes(fill(f"wrong group {number}", 2), "big")
        yield groups[: number - 1] + [groups[number - 1] ^ wrong] + groups[number:]
    for number in (1, 7, 16, 18):
        digit = groups[: number - 1] + [groups[number - 1] ^ 0x0500] + groups[number:]
        yield digit
        yield groups[: number - 1] + groups[number:]
    for first in (1, 9, 16, 17):
        yield groups[: first - 1] + [groups[first], groups[first - 1]] + groups[first + 1 :]
    yield groups[:2] + [groups[7]] + groups[3:7] + [groups[2]] + groups[8:]
    yield [groups[0] ^ 1, groups[1] ^ 2] + groups[2:]
    yield groups


def make():
    keys = [bytes(32), bytes([255]) * 32, bytes(range(32))] + [fill(f"key {number}", 32) for number in range(9)]
    return {
        "keys": [{"key": key.hex(), "written": text(written(key))} for key in keys],
        "typed": [{"text": text(groups)} | judge(groups) for groups in typing_errors()],
    }


def main():
    if sys.argv[1:] == ["generate"]:
        VECTORS.parent.mkdir(exist_ok=True)
        VECTORS.write_text(json.dumps(make(), indent=1) + "\n")
    elif sys.argv[1:] == ["check"]:
        assert json.loads(VECTORS.read_text()) == make(), "the committed file differs"
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
