"""Special shapes of tokens that the attack table is built from."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.forge import (
    NOW,
    as_bytes,
    b64,
    claims,
    ec_key,
    ed25519_key,
    forge,
    header,
    jwk,
    key_set_document,
    rsa_key,
    sign,
    unb64,
)

ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def said(**changes: Any) -> str:
    """Return a well-signed token with changed claims."""
    return forge(payload=claims(**changes))


def headed(**changes: Any) -> str:
    """Return a well-signed token with a changed header."""
    return forge(header(**changes))


def with_signature(signature: bytes, **head: Any) -> str:
    """Return acceptable claims under a changed header, with these bytes for a signature."""
    return ".".join(b64(part) for part in (as_bytes(header(**head)), as_bytes(claims()), signature))


def with_segment(position: int, change: Callable[[str], str]) -> str:
    """Return a good token with the text of one segment changed."""
    segments = forge().split(".")
    segments[position] = change(segments[position])
    return ".".join(segments)


def spliced() -> str:
    """Return the header and signature of one token around the payload of another."""
    (head, _, signature), (_, payload, _) = forge().split("."), said(sub="admin").split(".")
    return f"{head}.{payload}.{signature}"


def twice(values: Mapping[str, Any], name: str, value: Any) -> str:
    """Return JSON in which one name occurs a second time."""
    return f"{json.dumps(values)[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}"


def utf_16(values: Mapping[str, Any]) -> bytes:
    """Return JSON in the other encoding some readers guess."""
    return json.dumps(values).encode("utf-16")


def literally(name: str, text: str) -> str:
    """Return the JSON of acceptable claims with one value given as literal text."""
    return json.dumps(claims(**{name: "PLACE"})).replace('"PLACE"', text)


def trailing_bits(segment: str) -> str:
    """Return another spelling of a segment: its last character's unused bits set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) | 1]


def padded(segment: str) -> str:
    """Return a segment with the padding base64 would give it."""
    assert len(segment) % 4
    return segment + "=" * (-len(segment) % 4)


def padded_and_signed(position: int) -> str:
    """Return a token whose header (0) or payload (1) is padded, with a good signature over that very text."""
    for filling in ("", "x", "xx"):
        parts = [b64(as_bytes(header(x=filling))), b64(as_bytes(claims(x=filling)))]
        if len(parts[position]) % 4:
            parts[position] = padded(parts[position])
            break
    signing_input = ".".join(parts)
    return f"{signing_input}.{b64(sign('RS256', rsa_key(), signing_input.encode()))}"


def ecdsa(r: int, s: int) -> bytes:
    """Return an ES256 signature of two numbers."""
    return r.to_bytes(32) + s.to_bytes(32)


def rewritten_ecdsa(token: str) -> str:
    """Return a token with its ES256 signature's second valid form (r, n - s)."""
    signing_input, _, segment = token.rpartition(".")
    signature = unb64(segment)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    return f"{signing_input}.{b64(ecdsa(r, ORDER_P256 - s))}"


def encrypted() -> str:
    """Return a real JWE to the provider's public key whose plaintext is an unsigned JWT."""
    head = b64(as_bytes({"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT", "kid": "k1"}))
    content_key, nonce = AESGCM.generate_key(256), random.randbytes(12)
    sealed = AESGCM(content_key).encrypt(nonce, with_signature(b"", alg="none").encode(), head.encode())
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapped = rsa_key().public_key().encrypt(content_key, oaep)
    return ".".join([head, b64(wrapped), b64(nonce), b64(sealed[:-16]), b64(sealed[-16:])])


def json_serialised(*, flat: bool) -> str:
    """Return a good token in JSON serialisation, with an unprotected header that says otherwise."""
    protected, payload, signature = forge().split(".")
    one = {"protected": protected, "header": {"alg": "none"}, "signature": signature}
    return json.dumps({"payload": payload, **one} if flat else {"payload": payload, "signatures": [one]})


def wrapped_in_json() -> str:
    """Return JSON that is at the same time three segments, as CVE-2022-39227 used it."""
    protected, payload, signature = forge().split(".")
    wrapped = {f"{protected}.{b64(as_bytes(claims(sub='admin')))}.": "", "protected": protected}
    return json.dumps(wrapped | {"payload": payload, "signature": signature})


def certificate(key_name: str = "ours", bits: int = 2048) -> x509.Certificate:
    """Return a self-signed certificate, good for some days from the tests' now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example")])
    key = rsa_key(key_name, bits)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(9))
    return builder.sign(key, hashes.SHA256())


def _public(encoding: Encoding, kind: PublicFormat, key: Any = None) -> bytes:
    return (key or rsa_key()).public_key().public_bytes(encoding, kind)


def _spki() -> bytes:
    return _public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _pkcs1() -> bytes:
    return _public(Encoding.PEM, PublicFormat.PKCS1)


# Every text a public key has been spelt as, and so been taken for a shared secret; with who was fooled by it.
SPELLINGS: dict[tuple[str, str], Callable[[], bytes]] = {
    ("CVE-2015-9235", "spki-pem"): _spki,
    ("CVE-2015-9235", "certificate-pem"): lambda: certificate().public_bytes(Encoding.PEM),
    ("CVE-2016-10555", "pem-without-final-newline"): lambda: _spki().rstrip(),
    ("CVE-2016-5431", "crlf-pem"): lambda: _spki().replace(b"\n", b"\r\n"),
    ("CVE-2023-48238", "pkcs1-der"): lambda: _public(Encoding.DER, PublicFormat.PKCS1),
    ("CVE-2024-54150", "spki-der"): lambda: _public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ("CVE-2024-37568", "modulus"): lambda: rsa_key().public_key().public_numbers().n.to_bytes(256),
    ("CVE-2017-11424", "pkcs1-pem"): _pkcs1,
    ("CVE-2023-48223", "pkcs1-pem-without-final-newline"): lambda: _pkcs1().rstrip(),
    ("GHSA-mvf2-f6gm-w987", "blank-before-pkcs1-pem"): lambda: b" " + _pkcs1(),
    ("CVE-2022-29217", "ssh-rsa"): lambda: _public(Encoding.OpenSSH, PublicFormat.OpenSSH),
    ("CVE-2022-29217", "ssh-ed25519"): lambda: _public(Encoding.OpenSSH, PublicFormat.OpenSSH, ed25519_key()),
    ("CVE-2024-33663", "ecdsa-sha2"): lambda: _public(Encoding.OpenSSH, PublicFormat.OpenSSH, ec_key()),
    ("CVE-2026-48526", "jwk-compact"): lambda: json.dumps(jwk(rsa_key()), separators=(",", ":")).encode(),
    ("CVE-2026-48526", "jwk-sorted"): lambda: json.dumps(jwk(rsa_key()), sort_keys=True).encode(),
    ("CVE-2026-48526", "jwk-pretty"): lambda: json.dumps(jwk(rsa_key()), indent=2).encode(),
    ("CVE-2026-102268", "altered-armour"): lambda: _spki().replace(b"-----BEGIN", b"----- BEGIN"),
    ("CVE-2026-102273", "jwks"): lambda: key_set_document(jwk(rsa_key())),
    ("CVE-2026-102273", "nested-jwk"): lambda: json.dumps({"key": jwk(rsa_key())}).encode(),
    ("CVE-2026-114615", "bom-before-pem"): lambda: b"\xef\xbb\xbf" + _spki(),
    ("CVE-2026-114615", "newline-before-pem"): lambda: b"\n" + _spki(),
    ("CVE-2019-20933", "empty-secret"): lambda: b"",
    ("CVE-2020-28637", "one-blank"): lambda: b" ",
    ("CVE-2026-114616", "one-nul"): lambda: b"\x00",
}


def signed_with_a_public_key(spell: Callable[[], bytes], alg: str) -> str:
    """Return a token whose HMAC secret is the provider's public key, spelt one way."""
    return forge(header(alg=alg), alg=alg, key=spell())


def signed_with(key: Any, alg: str = "RS256", **head: Any) -> str:
    """Return acceptable claims, signed with another key or algorithm."""
    return forge(header(alg=alg, **head), alg=alg, key=key)


def resigned(token: str, key: Any) -> str:
    """Return the same header and claims, signed with another RSA key."""
    signing_input = token.rpartition(".")[0]
    return f"{signing_input}.{b64(sign('RS256', key, signing_input.encode()))}"
