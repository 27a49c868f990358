#!/usr/bin/env python3
"""Coffer's recovery protocol, slow and obvious, as Specs/recovery.md says it.

    recovery.py check       checks this program against RFC 9497's vectors and the threshold vectors, and the files
                            in Specs/vectors/recovery against this program
    recovery.py generate    writes end-to-end.json and golden.json there

Nothing here is constant-time. It is for making and checking vectors, never for real passwords.
Needs Python 3.9 or later and the package `cryptography` (44 or later), for Ed25519, AES-GCM and Argon2id.
"""

import hashlib
import hmac
import json
import os
import sys
from itertools import combinations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "recovery")

# ---------------------------------------------------------------------------------------------------------------------
# ristretto255 (RFC 9496)

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def is_negative(x):
    return x % P % 2 == 1


def absolute(x):
    return -x % P if is_negative(x) else x % P


def sqrt_ratio(u, v):
    """(was u/v a square?, its non-negative square root, or that of SQRT_M1·u/v). RFC 9496 section 4.2."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    correct = check == u % P
    flipped = check == -u % P
    flipped_i = check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, absolute(r)


SQRT_M1 = pow(2, (P - 1) // 4, P)
INVSQRT_A_MINUS_D = sqrt_ratio(1, (-1 - D) % P)[1]
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P
assert SQRT_AD_MINUS_ONE**2 % P == (-D - 1) % P

IDENTITY = (0, 1)


def add_points(p, q):
    """Affine addition on the twisted Edwards curve −x² + y² = 1 + d·x²·y²."""
    (x1, y1), (x2, y2) = p, q
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P
    return x, y


def multiply(scalar, point):
    result = IDENTITY
    for bit in bin(scalar % ORDER)[2:]:
        result = add_points(result, result)
        if bit == "1":
            result = add_points(result, point)
    return result


def decode(data):
    """RFC 9496 section 4.3.1; refuses the identity too, as RFC 9497 asks."""
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or is_negative(s):
        raise ValueError("not the encoding of an element")
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    v = (-(D * u1 * u1) - u2 * u2) % P
    was_square, invsqrt = sqrt_ratio(1, v * u2 * u2 % P)
    den_x = invsqrt * u2 % P
    den_y = invsqrt * den_x * v % P
    x = absolute(2 * s * den_x)
    y = u1 * den_y % P
    if not was_square or is_negative(x * y) or y == 0:
        raise ValueError("not the encoding of an element")
    if s == 0:
        raise ValueError("the identity")
    return x, y


def encode(point):
    """RFC 9496 section 4.3.2."""
    x0, y0 = point
    z0, t0 = 1, x0 * y0 % P
    u1 = (z0 + y0) * (z0 - y0) % P
    u2 = x0 * y0 % P
    _, invsqrt = sqrt_ratio(1, u1 * u2 * u2 % P)
    den1, den2 = invsqrt * u1 % P, invsqrt * u2 % P
    z_inv = den1 * den2 * t0 % P
    if is_negative(t0 * z_inv):
        x, y, den_inv = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    else:
        x, y, den_inv = x0, y0, den2
    if is_negative(x * z_inv):
        y = -y % P
    return absolute(den_inv * (z0 - y)).to_bytes(32, "little")


def map_to_point(data):
    """MAP of RFC 9496 section 4.3.4."""
    t = int.from_bytes(data, "little") % 2**255 % P
    r = SQRT_M1 * t * t % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    was_square, s = sqrt_ratio(u, v)
    if was_square:
        c = P - 1
    else:
        s, c = -absolute(s * t) % P, r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return w0 * pow(w1, -1, P) % P, w2 * pow(w3, -1, P) % P


def element_from_uniform(data):
    return add_points(map_to_point(data[:32]), map_to_point(data[32:]))


BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def scalar_bytes(scalar):
    return scalar.to_bytes(32, "little")


def read_scalar(data):
    scalar = int.from_bytes(data, "little")
    if len(data) != 32 or scalar == 0 or scalar >= ORDER:
        raise ValueError("not a scalar")
    return scalar


# ---------------------------------------------------------------------------------------------------------------------
# OPRF(ristretto255, SHA-512) (RFC 9497)


def context_string(mode):
    return b"OPRFV1-" + bytes([mode]) + b"-ristretto255-SHA512"


def expand_message(message, tag):
    """expand_message_xmd, RFC 9380 section 5.3.1, for 64 bytes."""
    suffix = tag + bytes([len(tag)])
    first = hashlib.sha512(bytes(128) + message + (64).to_bytes(2, "big") + b"\0" + suffix).digest()
    return hashlib.sha512(first + b"\1" + suffix).digest()


def hash_to_group(message, mode=1):
    return element_from_uniform(expand_message(message, b"HashToGroup-" + context_string(mode)))


def hash_to_scalar(message, tag):
    return int.from_bytes(expand_message(message, tag), "little") % ORDER


def two(data):
    return len(data).to_bytes(2, "big") + data


def composites(share_key, inputs, outputs, mode):
    seed = hashlib.sha512(two(encode(share_key)) + two(b"Seed-" + context_string(mode))).digest()
    m, z = IDENTITY, IDENTITY
    for i, (c, d) in enumerate(zip(inputs, outputs)):
        transcript = two(seed) + i.to_bytes(2, "big") + two(encode(c)) + two(encode(d)) + b"Composite"
        weight = hash_to_scalar(transcript, b"HashToScalar-" + context_string(mode))
        m = add_points(m, multiply(weight, c))
        z = add_points(z, multiply(weight, d))
    return m, z


def challenge(share_key, m, z, t2, t3, mode):
    transcript = b"".join(two(encode(x)) for x in (share_key, m, z, t2, t3)) + b"Challenge"
    return hash_to_scalar(transcript, b"HashToScalar-" + context_string(mode))


def prove(key, inputs, outputs, nonce, mode=1):
    share_key = multiply(key, BASE)
    m, z = composites(share_key, inputs, outputs, mode)
    c = challenge(share_key, m, z, multiply(nonce, BASE), multiply(nonce, m), mode)
    return scalar_bytes(c) + scalar_bytes((nonce - c * key) % ORDER)


def verify(proof, share_key, inputs, outputs, mode=1):
    c, s = read_scalar(proof[:32]), read_scalar(proof[32:])
    m, z = composites(share_key, inputs, outputs, mode)
    t2 = add_points(multiply(s, BASE), multiply(c, share_key))
    t3 = add_points(multiply(s, m), multiply(c, z))
    return challenge(share_key, m, z, t2, t3, mode) == c


def oprf_output(message, element, info=None):
    middle = two(info) if info is not None else b""
    return hashlib.sha512(two(message) + middle + two(encode(element)) + b"Finalize").digest()


def finalize(message, blind, evaluation, info=None):
    return oprf_output(message, multiply(pow(blind, -1, ORDER), evaluation), info)


def split(coefficients, indices):
    return {i: sum(a * i**power for power, a in enumerate(coefficients)) % ORDER for i in indices}


def lagrange(i, indices):
    """λ_i at 0."""
    top = bottom = 1
    for j in indices:
        if j != i:
            top = top * -j % ORDER
            bottom = bottom * (i - j) % ORDER
    return top * pow(bottom, -1, ORDER) % ORDER


def combine(elements):
    """Σ λ_i·E_i over {index: element}."""
    total = IDENTITY
    for i, element in elements.items():
        total = add_points(total, multiply(lagrange(i, list(elements)), element))
    return total


# ---------------------------------------------------------------------------------------------------------------------
# Bytes: TLS presentation language (RFC 8446 section 3)


def u8(n):
    return n.to_bytes(1, "big")


def u16(n):
    return n.to_bytes(2, "big")


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def vector(data, ceiling):
    """opaque x<..ceiling>: the length has as many bytes as the ceiling needs."""
    width = 1 if ceiling < 2**8 else 2 if ceiling < 2**16 else 3
    assert len(data) <= ceiling
    return len(data).to_bytes(width, "big") + data


def optional(data):
    return b"\0" if data is None else b"\1" + data


LABELS = """vault-id fleet-fingerprint share-commitment envelope-hash record-hash receipt channel-key-id envelope-key
envelope-commitment management-key channel-reply channel-info channel-export password-input proof-nonce sign-prepare
sign-activate sign-replace sign-retire sign-confirm sign-delete sign-forgive sign-history sign-set-head sign-get-head
sign-thaw sign-channel-key sign-fleet""".split()


def label(name):
    assert name in LABELS
    return b"coffer/v1/" + name.encode()


def labelled(name, *fields):
    return vector(label(name), 255) + b"".join(fields)


def H(name, *fields):
    return hashlib.sha256(labelled(name, *fields)).digest()


def hkdf(secret, salt, info, count):
    """HKDF-SHA512, RFC 5869."""
    prk = hmac.new(salt or bytes(64), secret, "sha512").digest()
    block, out, i = b"", b"", 1
    while len(out) < count:
        block = hmac.new(prk, block + info + bytes([i]), "sha512").digest()
        out, i = out + block, i + 1
    return out[:count]


def vault_id(identity_key):
    return H("vault-id", identity_key)[:16]


def account_name(tenant, account):
    return vector(tenant.encode(), 64) + vector(account.encode(), 128)


def header(r):
    holders = b"".join(u8(h["index"]) + h["vault"] + h["commitment"] for h in r["holders"])
    return (
        r["fleet"] + u32(r["version"]) + account_name(r["tenant"], r["account"]) + r["registration"]
        + u8(r["threshold"]) + vector(holders, 49 * 15) + u32(r["memory"]) + u32(r["passes"]) + r["management"]
    )  # fmt: skip


def envelope_hash(envelope):
    return H("envelope-hash", envelope)


def record_hash(header_bytes, envelope):
    return H("record-hash", header_bytes, envelope_hash(envelope))


def receipt(registration, attempt, blinded):
    return H("receipt", registration, attempt, blinded)


def fleet_bytes(fleet, promised, vaults, generations):
    """vaults: (index, identity key, [url]); generations: (version, threshold, [index])."""
    listed = b"".join(
        u8(i) + key + vector(b"".join(vector(url.encode(), 255) for url in urls), 2**16 - 1)
        for i, key, urls in vaults
    )
    made = b"".join(u32(v) + u8(t) + vector(bytes(indices), 15) for v, t, indices in generations)
    return fleet + u8(promised) + vector(listed, 2**24 - 1) + vector(made, 2**16 - 1)


def context(fleet, vault, tenant, account, serial):
    return fleet + vault + account_name(tenant, account) + u64(serial)


# ---------------------------------------------------------------------------------------------------------------------
# Registration and recovery


def public_key(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def password_input(fleet, tenant, account, registration, password):
    return labelled("password-input", fleet, account_name(tenant, account), registration, vector(password, 1024))


def derive(name, secret, registration):
    return hkdf(secret, b"", labelled(name, registration), 32)


def stretch(output, registration, memory, passes):
    return Argon2id(salt=registration, length=64, iterations=passes, lanes=1, memory_cost=memory).derive(output)


def register(c):
    """c: fleet, version, tenant, account, identity seeds by index, registration id, coefficients, K, password,
    Argon2id's memory in KiB and passes."""
    shares = split(c["coefficients"], list(c["identities"]))
    holders = []
    for index, seed in c["identities"].items():
        vault = vault_id(public_key(seed))
        share_key = encode(multiply(shares[index], BASE))
        commitment = H("share-commitment", c["registration"], u8(index), vault, share_key)
        holders.append({"index": index, "vault": vault, "commitment": commitment})
    management = derive("management-key", c["K"], c["registration"])
    record = dict(c, holders=holders, threshold=len(c["coefficients"]), management=public_key(management))
    header_bytes = header(record)
    message = password_input(c["fleet"], c["tenant"], c["account"], c["registration"], c["password"])
    output = oprf_output(message, multiply(c["coefficients"][0], hash_to_group(message)))
    stretched = stretch(output, c["registration"], c["memory"], c["passes"])
    ciphertext = AESGCM(derive("envelope-key", stretched, c["registration"])).encrypt(bytes(12), c["K"], header_bytes)
    envelope = derive("envelope-commitment", stretched, c["registration"]) + ciphertext
    return {
        "shares": shares, "management": management, "header": header_bytes, "envelope": envelope, "input": message,
        "output": output, "stretched": stretched, "recordHash": record_hash(header_bytes, envelope),
    }  # fmt: skip


def recover(c, made, password, blind, evaluations):
    """K, or None if the password is wrong; from {index: element} of t vaults."""
    message = password_input(c["fleet"], c["tenant"], c["account"], c["registration"], password)
    output = finalize(message, blind, combine(evaluations))
    stretched = stretch(output, c["registration"], c["memory"], c["passes"])
    envelope = made["envelope"]
    if derive("envelope-commitment", stretched, c["registration"]) != envelope[:32]:
        return None
    return AESGCM(derive("envelope-key", stretched, c["registration"])).decrypt(
        bytes(12), envelope[32:], made["header"]
    )


# ---------------------------------------------------------------------------------------------------------------------
# Vectors


def fill(name, count):
    """Bytes that anyone can make again: SHA-256(name ‖ 0), SHA-256(name ‖ 1), … cut to count."""
    data = b"".join(hashlib.sha256(name.encode() + bytes([i])).digest() for i in range((count + 31) // 32))
    return data[:count]


def fill_scalar(name):
    return int.from_bytes(fill(name, 64), "little") % ORDER


def fill_element(name):
    return encode(element_from_uniform(fill(name, 64)))


def end_to_end_case(count, promised, password, wrong):
    t = (count + 1) // 2
    name = f"end to end {t} of {count} "
    indices = [i * 3 - 2 for i in range(1, count + 1)]
    c = {
        "fleet": fill(name + "fleet", 16), "version": 7, "tenant": "chat-app", "account": "user:42",
        "identities": {i: fill(f"{name}identity {i}", 32) for i in indices},
        "registration": fill(name + "registration", 16),
        "coefficients": [fill_scalar(f"{name}coefficient {power}") for power in range(t)],
        "K": fill(name + "backup key", 32), "password": password.encode(), "memory": 19 * 1024, "passes": 2,
    }  # fmt: skip
    made = register(c)
    attempt, blind = fill(name + "attempt", 16), fill_scalar(name + "blind")
    blinded = multiply(blind, hash_to_group(made["input"]))
    vaults = []
    elements = {}
    for index in indices:
        share, nonce = made["shares"][index], fill_scalar(f"{name}nonce {index}")
        elements[index] = multiply(share, blinded)
        proof = prove(share, [blinded], [elements[index]], nonce)
        assert verify(proof, multiply(share, BASE), [blinded], [elements[index]])
        vaults.append({
            "index": index, "identitySeed": c["identities"][index].hex(),
            "vaultID": vault_id(public_key(c["identities"][index])).hex(), "share": scalar_bytes(share).hex(),
            "shareKey": encode(multiply(share, BASE)).hex(), "evaluation": encode(elements[index]).hex(),
            "nonce": scalar_bytes(nonce).hex(), "proof": proof.hex(),
        })  # fmt: skip
    for subset in combinations(indices, t):
        assert recover(c, made, c["password"], blind, {i: elements[i] for i in subset}) == c["K"]
    assert recover(c, made, wrong.encode(), blind, {i: elements[i] for i in indices[:t]}) is None
    return {
        "n": count, "t": t, "fleetID": c["fleet"].hex(), "fleetVersion": c["version"], "promisedTotal": promised,
        "tenant": c["tenant"], "account": c["account"], "registrationID": c["registration"].hex(),
        "password": password, "wrongPassword": wrong, "backupKey": c["K"].hex(), "memoryKiB": c["memory"],
        "passes": c["passes"], "coefficients": [scalar_bytes(a).hex() for a in c["coefficients"]],
        "input": made["input"].hex(), "output": made["output"].hex(), "stretched": made["stretched"].hex(),
        "managementPublicKey": public_key(made["management"]).hex(), "header": made["header"].hex(),
        "envelope": made["envelope"].hex(), "envelopeHash": envelope_hash(made["envelope"]).hex(),
        "recordHash": made["recordHash"].hex(), "attemptID": attempt.hex(), "blind": scalar_bytes(blind).hex(),
        "blindedElement": encode(blinded).hex(),
        "receipt": receipt(c["registration"], attempt, encode(blinded)).hex(), "vaults": vaults,
    }  # fmt: skip


def end_to_end():
    return [
        end_to_end_case(1, 10, "korrekt", "falsch"),
        end_to_end_case(3, 10, "correct horse battery staple", "correct horse battery stable"),
        end_to_end_case(5, 10, "p\u00e4ssw\u00f6rd \u2603 \U0001f511", "passwort"),
    ]


def golden_record():
    holders = [
        {"index": i, "vault": fill(f"vault {i}", 16), "commitment": fill(f"commitment {i}", 32)} for i in (1, 2, 5)
    ]
    record = {
        "fleet": fill("fleet", 16), "version": 3, "tenant": "tenant", "account": "account",
        "registration": fill("registration", 16), "threshold": 2, "holders": holders, "memory": 65536, "passes": 3,
        "management": fill("management", 32),
    }  # fmt: skip
    return header(record), fill("envelope commitment", 32) + fill("envelope ciphertext", 48)


def golden_certificate():
    return (
        fill("old registration", 16) + fill("new record hash", 32) + fill("new management", 32)
        + fill("old signature", 64) + fill("new signature", 64)
    )  # fmt: skip


def golden_hashes(out):
    header_bytes, envelope = golden_record()
    out["vaultID"] = vault_id(fill("identity", 32))
    out["shareCommitment"] = H(
        "share-commitment", fill("registration", 16), u8(5), fill("vault 5", 16), fill_element("share key")
    )
    out["receipt"] = receipt(fill("registration", 16), fill("attempt", 16), fill_element("blinded"))
    out["channelKeyID"] = H("channel-key-id", fill("channel key", 1216))[:8]
    out["recordHeader"] = header_bytes
    out["publicRecord"] = header_bytes + envelope
    out["envelopeHash"] = envelope_hash(envelope)
    out["recordHash"] = record_hash(header_bytes, envelope)
    out["passwordInput"] = password_input(
        fill("fleet", 16), "tenant", "account", fill("registration", 16), b"password"
    )
    urls = ["https://one.example", "http://127.0.0.1:8001"]
    vaults = [(i, fill(f"identity {i}", 32), urls[: 1 + i % 2]) for i in (1, 2, 3, 4, 5, 6)]
    fleet = fleet_bytes(fill("fleet", 16), 10, vaults, [(1, 2, [1, 2, 3]), (4, 3, [2, 3, 4, 5, 6])])
    out["fleet"] = fleet
    out["fleetFingerprint"] = H("fleet-fingerprint", fleet)[:16]
    out["signFleet"] = labelled("sign-fleet", fleet)


def golden_signed(out):
    here = context(fill("fleet", 16), fill("vault 1", 16), "tenant", "account", 0x0102030405060708)
    old, new = fill("old registration", 16), fill("new record hash", 32)
    out["signPrepare"] = labelled("sign-prepare", here, old, new)
    out["signActivate"] = labelled("sign-activate", here, new)
    out["signReplace"] = labelled("sign-replace", here, old, new)
    out["signRetire"] = labelled(
        "sign-retire", fill("fleet", 16), account_name("tenant", "account"), old, new, fill("new management", 32)
    )
    receipts = vector(fill("receipt 1", 32) + fill("receipt 2", 32), 32 * 64)
    out["signConfirm"] = labelled("sign-confirm", here, fill("registration", 16), receipts)
    out["signDelete"] = labelled("sign-delete", here, fill("registration", 16))
    attempts = vector(fill("attempt 1", 16) + fill("attempt 2", 16), 16 * 64)
    out["signForgive"] = labelled("sign-forgive", here, fill("registration", 16), attempts)
    out["signHistory"] = labelled("sign-history", here, fill("registration", 16))
    out["signSetHead"] = labelled("sign-set-head", here, fill("registration", 16), fill("head", 64))
    out["signGetHead"] = labelled("sign-get-head", here, fill("registration", 16))
    out["signThaw"] = labelled("sign-thaw", here, fill("registration", 16), fill("thaw nonce", 32))
    out["signChannelKey"] = labelled(
        "sign-channel-key", fill("fleet", 16), fill("vault 1", 16), fill("key id", 8), fill("channel key", 1216),
        u64(1_800_000_000), u64(1_800_090_000),
    )  # fmt: skip


def golden_requests(out):
    header_bytes, envelope = golden_record()
    serial, registration = u64(0x0102030405060708), fill("registration", 16)
    replacement = fill("old registration", 16) + fill("old signature", 64)
    receipts = vector(fill("receipt 1", 32) + fill("receipt 2", 32), 32 * 64)
    signature = fill("signature", 64)
    bodies = {
        "requestStatus": u8(1) + optional(None),
        "requestStatusOf": u8(1) + optional(registration),
        "requestPrepare": u8(2) + serial + header_bytes + envelope + scalar_bytes(fill_scalar("share"))
        + optional(replacement),
        "requestActivate": u8(3) + serial + fill("new record hash", 32) + signature + optional(None),
        "requestRetire": u8(4) + golden_certificate(),
        "requestEvaluate": u8(5) + serial + registration + fill("attempt", 16) + fill_element("blinded"),
        "requestConfirm": u8(6) + serial + registration + receipts + signature,
        "requestDelete": u8(7) + serial + registration + signature,
        "requestForgive": u8(8) + serial + registration
        + vector(fill("attempt 1", 16) + fill("attempt 2", 16), 16 * 64) + signature,
        "requestHistory": u8(9) + serial + registration + signature,
        "requestSetHead": u8(10) + serial + registration + fill("head", 64) + signature,
        "requestGetHead": u8(11) + serial + registration + signature,
        "requestThaw": u8(12) + serial + registration + fill("thaw nonce", 32) + signature,
        "requestDeletion": u8(13) + serial + registration,
    }  # fmt: skip
    for name, body in bodies.items():
        out[name] = vector(b"token", 1536) + body


def golden_replies(out):
    header_bytes, envelope = golden_record()
    serial = u64(0x0102030405060708)
    held = b"".join(
        u8(role) + fill(f"held registration {role}", 16) + fill(f"held record {role}", 32) for role in (1, 2, 3, 4, 5)
    )
    out["replyStatus"] = (
        u8(1) + serial + u64(1_800_000_000) + u8(2) + u64(1_800_000_100) + u8(0) + u8(6) + u64(0)
        + vector(held, 49 * 5) + optional(header_bytes + envelope_hash(envelope))
        + vector(golden_certificate(), 208 * 2) + optional(fill("ended registration", 16) + fill("ended management", 32))
        + optional(u8(1) + u64(1_800_000_001) + u64(1_800_000_002)) + u64(1_800_000_003) + optional(fill("thaw nonce", 32))
    )  # fmt: skip
    out["replyStatusNotRegistered"] = (
        u8(1) + serial + u64(1_800_000_000) + u8(0) + u8(6) + u8(6) + u64(0) + vector(b"", 49 * 5) + optional(None)
        + vector(b"", 208 * 2) + optional(None) + optional(None) + u64(0) + optional(None)
    )  # fmt: skip
    out["replyPrepared"] = u8(2) + serial
    out["replyActivated"] = u8(3) + serial
    out["replyRetired"] = u8(4) + serial
    out["replyEvaluated"] = (
        u8(5) + fill_element("evaluation") + fill("proof", 64) + fill_element("share key") + envelope + u8(5)
    )
    out["replyConfirmed"] = u8(6) + serial + u8(6)
    out["replyDeleted"] = u8(7) + serial
    out["replyForgiven"] = u8(8) + serial + u8(6)
    entries = b"".join(u8(kind) + u32(kind) + u64(1_800_000_000) + u64(1_800_000_000 + kind) for kind in range(1, 14))
    charged = b"".join(fill(f"attempt {i}", 16) + u64(1_800_000_000 + i) for i in (1, 2))
    out["replyHistory"] = u8(9) + serial + u64(1_800_000_000) + vector(entries, 21 * 22) + vector(charged, 24 * 64)
    out["replyHeadSet"] = u8(10) + serial
    out["replyHead"] = u8(11) + serial + optional(fill("head", 64) + u8(1))
    out["replyHeadNone"] = u8(11) + serial + optional(None)
    out["replyThawed"] = u8(12) + serial
    out["replyWaiting"] = u8(13) + serial + u64(1_800_000_000)
    plain = {"malformed": 1, "unauthorised": 2, "tokenExpired": 3, "wrongVault": 4, "notRegistered": 5,
             "unknownRegistration": 6, "badShare": 12, "badSignature": 13, "attemptReused": 15, "notPrepared": 16,
             "oldKeyNeeded": 17, "suspended": 19, "unavailable": 20, "frozen": 22}  # fmt: skip
    for name, number in plain.items():
        out["refusal." + name] = u8(0) + u8(number)
    out["refusal.staleSerial"] = u8(0) + u8(7) + serial
    for name, number in {"tooEarly": 8, "destructionPending": 9, "destroyed": 10, "changeWaiting": 21}.items():
        out["refusal." + name] = u8(0) + u8(number) + u64(1_800_000_000)
    out["refusal.argon2TooCheap"] = u8(0) + u8(11) + u8(1)
    out["refusal.registrationClosed"] = u8(0) + u8(11) + u8(2)
    out["refusal.fleetMismatch"] = u8(0) + u8(14) + u32(3)
    out["refusal.busy"] = u8(0) + u8(18) + u32(60)


def golden_channel(out):
    out["channelInfo"] = labelled("channel-info", u8(1), fill("vault 1", 16), fill("key id", 8))
    key = hkdf(fill("exported", 32), fill("encapsulated", 1120) + fill("salt", 32), label("channel-reply"), 44)
    message = u8(2) + u64(1)
    plaintext = (u16(len(message)) + message).ljust(2048, b"\0")
    out["sealedReply"] = fill("salt", 32) + AESGCM(key[:32]).encrypt(key[32:], plaintext, b"")


def golden():
    out = {}
    golden_hashes(out)
    golden_signed(out)
    golden_requests(out)
    golden_replies(out)
    golden_channel(out)
    return {"labels": {name: label(name).decode() for name in LABELS}, "bytes": {k: v.hex() for k, v in out.items()}}


# ---------------------------------------------------------------------------------------------------------------------
# Checks


def load(name):
    with open(os.path.join(VECTORS, name), encoding="utf-8") as file:
        return json.load(file)


def check_rfc9497():
    parts = lambda text: [bytes.fromhex(part) for part in text.split(",")]  # noqa: E731
    for suite in load("rfc9497-ristretto255.json"):
        mode, key = suite["mode"], read_scalar(bytes.fromhex(suite["skSm"]))
        for v in suite["vectors"]:
            info = bytes.fromhex(v["Info"]) if mode == 2 else None
            used = key
            if mode == 2:
                tweak = hash_to_scalar(b"Info" + two(info), b"HashToScalar-" + context_string(mode))
                used = pow(key + tweak, -1, ORDER)
            inputs, blinds = parts(v["Input"]), [read_scalar(b) for b in parts(v["Blind"])]
            blinded = [multiply(b, hash_to_group(i, mode)) for i, b in zip(inputs, blinds)]
            evaluated = [multiply(used, b) for b in blinded]
            assert [encode(b) for b in blinded] == parts(v["BlindedElement"])
            assert [encode(e) for e in evaluated] == parts(v["EvaluationElement"])
            outputs = [finalize(i, b, e, info) for i, b, e in zip(inputs, blinds, evaluated)]
            assert outputs == parts(v["Output"])
            if mode == 0:
                continue
            nonce = read_scalar(bytes.fromhex(v["Proof"]["r"]))
            if mode == 1:
                proof = prove(used, blinded, evaluated, nonce, mode)
            else:
                proof = prove(pow(used, -1, ORDER), evaluated, blinded, nonce, mode)
            assert proof.hex() == v["Proof"]["proof"]


def check_threshold():
    for v in load("threshold-voprf.json"):
        message = bytes.fromhex(v["input"])
        shares = split([read_scalar(bytes.fromhex(a)) for a in v["coefficients"]], v["indices"])
        blind = read_scalar(bytes.fromhex(v["blind"]))
        blinded = multiply(blind, hash_to_group(message))
        assert encode(blinded).hex() == v["blindedElement"]
        elements = {i: multiply(shares[i], blinded) for i in v["indices"]}
        for i in v["indices"]:
            assert encode(elements[i]).hex() == v["evaluations"][str(i)]
            nonce = read_scalar(bytes.fromhex(v["proofRandomness"][str(i)]))
            assert prove(shares[i], [blinded], [elements[i]], nonce).hex() == v["proofs"][str(i)]
        for subset in combinations(v["indices"], v["t"]):
            assert finalize(message, blind, combine({i: elements[i] for i in subset})).hex() == v["output"]


MADE = {"end-to-end.json": end_to_end, "golden.json": golden}


def main():
    if sys.argv[1:] == ["generate"]:
        for name, make in MADE.items():
            with open(os.path.join(VECTORS, name), "w", encoding="utf-8") as file:
                json.dump(make(), file, indent=1)
                file.write("\n")
            print(f"{name}: written")
    elif sys.argv[1:] == ["check"]:
        check_rfc9497()
        print("rfc9497-ristretto255.json: agrees")
        check_threshold()
        print("threshold-voprf.json: agrees")
        for name, make in MADE.items():
            if load(name) != make():
                sys.exit(f"{name}: differs from what this program makes")
            print(f"{name}: agrees")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
