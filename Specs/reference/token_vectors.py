#!/usr/bin/env python3
"""Sign-in tokens as apps' own servers make them, by another library than the vault's (Specs/vault.md, section 3).

    token_vectors.py check       checks Specs/vectors/tokens/tokens.json against this program
    token_vectors.py generate    writes it, with new keys

It is for making and checking vectors. Needs Python 3.9 or later and the package `cryptography`.
"""

import base64
import json
import pathlib
import sys

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.exceptions import InvalidSignature

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors/tokens/tokens.json"
NOW = 1_800_000_000
VAULT = "000102030405060708090a0b0c0d0e0f"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def public_jwk(key, algorithm, kid):
    public = key.public_key()
    jwk = {"kid": kid, "alg": algorithm, "use": "sig"}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = public.public_numbers()
        return jwk | {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.key_size + 7) // 8
        numbers = public.public_numbers()
        curve = {256: "P-256", 384: "P-384"}[key.key_size]
        return jwk | {"kty": "EC", "crv": curve, "x": b64(numbers.x.to_bytes(size, "big")),
                      "y": b64(numbers.y.to_bytes(size, "big"))}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return jwk | {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}


def sign(key, algorithm, message):
    if algorithm == "RS256":
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == "PS256":
        return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    if algorithm in ("ES256", "ES384"):
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(curve_hash(key))))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return key.sign(message)


def curve_hash(key):
    return hashes.SHA256() if key.key_size == 256 else hashes.SHA384()


def hs256(secret, message):
    code = hmac.HMAC(secret, hashes.SHA256())
    code.update(message)
    return code.finalize()


def signed_part(header, claims):
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


def claims(**changes):
    return {"iss": "chat", "sub": "alice", "aud": VAULT, "exp": NOW + 3600} | changes


def generate():
    keys = {
        "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
        "p256": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        "p384": ("ES384", ec.generate_private_key(ec.SECP384R1())),
        "rsa": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "pss": ("PS256", rsa.generate_private_key(public_exponent=65537, key_size=3072)),
    }
    public = {kid: public_jwk(key, algorithm, kid) for kid, (algorithm, key) in keys.items()}
    cases = []

    def case(what, refusal, header, body, signature):
        part = signed_part(header, body)
        token = f"{part}.{b64(signature(part.encode()))}"
        cases.append({"case": what, "token": token, "refusal": refusal})

    for kid, (algorithm, key) in keys.items():
        header = {"alg": algorithm, "kid": kid, "typ": "JWT"}

        def good(part, key=key, algorithm=algorithm):
            return sign(key, algorithm, part)

        case(f"{algorithm}", None, header, claims(), good)
        case(f"{algorithm}, not yet valid", "outsideLifetime", header, claims(nbf=NOW + 3600), good)
        case(f"{algorithm}, expired", "expired", header, claims(exp=NOW - 1), good)
        case(f"{algorithm}, for another vault", "wrongVault", header, claims(aud="ff" * 16), good)
        case(f"{algorithm}, for two vaults", "wrongVault", header, claims(aud=[VAULT, "ff" * 16]), good)
        case(f"{algorithm}, wrong kid", "badSignature", header | {"kid": "nobody"}, claims(), good)
        case(f"{algorithm}, no kid among several", "badSignature", {"alg": algorithm}, claims(), good)
        case(f"{algorithm}, none", "badSignature", {"alg": "none", "kid": kid}, claims(), lambda part: b"")
        case(f"{algorithm}, empty signature", "badSignature", header, claims(), lambda part: b"")
        case(f"{algorithm}, cut signature", "badSignature", header, claims(), lambda part: good(part)[:-1])
        case(f"{algorithm}, signature with a byte more", "badSignature", header, claims(),
             lambda part: good(part) + b"\0")
        for other in ("EdDSA", "ES256", "ES384", "RS256", "PS256", "HS256"):
            if other != algorithm:
                case(f"{algorithm}'s key under the name {other}", "badSignature", header | {"alg": other}, claims(), good)
        for form, secret in secrets(key, public[kid]).items():
            case(f"{algorithm}, HS256 with the public key as its secret ({form})", "badSignature",
                 {"alg": "HS256", "kid": kid}, claims(), lambda part, secret=secret: hs256(secret, part))
        for other, (_, stranger) in keys.items():
            if other != kid and type(stranger) is type(key):
                case(f"{algorithm}, signed by the key {other}", "badSignature", header, claims(),
                     lambda part, stranger=stranger: sign_as(stranger, algorithm, part))
        if algorithm in ("ES256", "ES384"):
            case(f"{algorithm}, signature in DER", "badSignature", header, claims(),
                 lambda part: key.sign(part, ec.ECDSA(curve_hash(key))))
            case(f"{algorithm}, a signature of zeros", "badSignature", header, claims(), lambda part: bytes(len(good(part))))
    return {"nowSeconds": NOW, "vault": VAULT, "tenant": "chat", "account": "alice",
            "keySet": {"keys": list(public.values())}, "cases": cases}


def sign_as(key, algorithm, part):
    """With the other key, in the form of this algorithm as far as its kind allows."""
    return sign(key, "PS256" if algorithm == "PS256" else "RS256" if algorithm == "RS256" else algorithm, part)


def secrets(key, jwk):
    public = key.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return {"PEM": public.public_bytes(serialization.Encoding.PEM, form),
            "DER": public.public_bytes(serialization.Encoding.DER, form),
            "JWK": json.dumps(jwk, separators=(",", ":")).encode()}


def verifies(jwk, part, signature):
    try:
        if jwk["kty"] == "RSA":
            key = rsa.RSAPublicNumbers(int.from_bytes(unb64(jwk["e"]), "big"), int.from_bytes(unb64(jwk["n"]), "big"))
            pad = padding.PKCS1v15() if jwk["alg"] == "RS256" else padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            key.public_key().verify(signature, part, pad, hashes.SHA256())
        elif jwk["kty"] == "EC":
            curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[jwk["crv"]]
            size = (curve.key_size + 7) // 8
            if len(signature) != 2 * size:
                return False
            x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in "xy")
            r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
            public = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
            public.verify(encode_dss_signature(r, s), part, ec.ECDSA(curve_hash(public)))
        else:
            ed25519.Ed25519PublicKey.from_public_bytes(unb64(jwk["x"])).verify(signature, part)
        return True
    except InvalidSignature:
        return False


def refusal(vectors, token):
    """The rules of section 3, slow and obvious."""
    header, body, signature = token.split(".")
    part = f"{header}.{body}".encode()
    header, body = json.loads(unb64(header)), json.loads(unb64(body))
    keys = [jwk for jwk in vectors["keySet"]["keys"] if jwk["kid"] == header.get("kid")]
    if not keys or keys[0]["alg"] != header["alg"] or not verifies(keys[0], part, unb64(signature)):
        return "badSignature"
    if body["aud"] not in (vectors["vault"], [vectors["vault"]]):
        return "wrongVault"
    if body["exp"] <= vectors["nowSeconds"]:
        return "expired"
    late = body["exp"] > vectors["nowSeconds"] + 24 * 3600 + 60
    return "outsideLifetime" if late or body.get("nbf", 0) > vectors["nowSeconds"] + 60 else None


def check():
    vectors = json.loads(VECTORS.read_text())
    wrong = [case["case"] for case in vectors["cases"] if refusal(vectors, case["token"]) != case["refusal"]]
    return wrong, len(vectors["cases"])


if __name__ == "__main__":
    if sys.argv[1:] == ["generate"]:
        VECTORS.parent.mkdir(exist_ok=True)
        VECTORS.write_text(json.dumps(generate(), indent=1) + "\n")
    elif sys.argv[1:] == ["check"]:
        wrong, count = check()
        print("\n".join(wrong) or f"{count} tokens as they should be")
        sys.exit(bool(wrong))
    else:
        sys.exit(__doc__)
