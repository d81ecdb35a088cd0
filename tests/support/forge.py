"""Forge assertions segment by segment, with real keys and without a library that would refuse."""

import base64
import functools
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ISSUER = "https://idp.example/abc"
AUDIENCE = "0123456789abcdef0123456789abcdef"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def rsa_key(name: str = "ours", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return one RSA key per name, made once."""
    return _rsa_key(name, bits)


def ec_key(alg: str = "ES256", name: str = "ours") -> ec.EllipticCurvePrivateKey:
    """Return one key per name on the curve of a JOSE algorithm, made once."""
    return _ec_key(alg, name)


def ed25519_key(name: str = "ours") -> ed25519.Ed25519PrivateKey:
    """Return one Ed25519 key per name, made once."""
    return _ed25519_key(name)


# The caches are behind the functions: to a cache, a default and the same value given are two calls.
@functools.cache
def _rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(65537, bits)


@functools.cache
def _ec_key(alg: str, name: str) -> ec.EllipticCurvePrivateKey:
    del name
    return ec.generate_private_key(_CURVES[alg]())


@functools.cache
def _ed25519_key(name: str) -> ed25519.Ed25519PrivateKey:
    del name
    return ed25519.Ed25519PrivateKey.generate()


def key_for(alg: str, name: str = "ours") -> PrivateKey:
    """Return the key to use with a JOSE algorithm."""
    if alg.startswith("ES"):
        return ec_key(alg, name)
    return ed25519_key(name) if alg.startswith("Ed") else rsa_key(name)


def b64(data: bytes) -> str:
    """Encode a segment."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(segment: str) -> bytes:
    """Decode a segment."""
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def as_bytes(value: Any) -> bytes:
    """Return bytes and text as they are, anything else as JSON."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


def sign(alg: str, key: Any, data: bytes) -> bytes:
    """Sign as JOSE does; for HS algorithms the key is the secret's bytes."""
    if alg.startswith("Ed"):
        return bytes(key.sign(data))
    digest = _HASHES[alg[2:]]()
    if alg.startswith("HS"):
        return hmac.new(key, data, getattr(hashlib, f"sha{alg[2:]}")).digest()
    if alg.startswith("ES"):
        size = (key.curve.key_size + 7) // 8
        numbers = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return b"".join(number.to_bytes(size) for number in numbers)
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
    return bytes(key.sign(data, pss if alg.startswith("PS") else padding.PKCS1v15(), digest))


def claims(**changes: Any) -> dict[str, Any]:
    """Return acceptable claims with changes; a claim given as `...` is left out."""
    now = int(NOW.timestamp())
    base = {"iss": ISSUER, "sub": "build-42", "aud": AUDIENCE, "iat": now, "exp": now + 300, "jti": "one"}
    return {name: value for name, value in (base | changes).items() if value is not ...}


def header(**changes: Any) -> dict[str, Any]:
    """Return an acceptable header with changes; a member given as `...` is left out."""
    base = {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    return {name: value for name, value in (base | changes).items() if value is not ...}


def forge(head: Any = None, payload: Any = None, *, alg: str = "RS256", key: Any = None) -> str:
    """Return a token with exactly this header and payload, signed with `alg` whatever the header says."""
    signing_input = ".".join(
        b64(as_bytes(part))
        for part in (header(alg=alg) if head is None else head, claims() if payload is None else payload)
    )
    return f"{signing_input}.{b64(sign(alg, key_for(alg) if key is None else key, signing_input.encode()))}"


def jwk(key: PrivateKey, kid: str | None = "k1", **members: Any) -> dict[str, Any]:
    """Return the public half of a key as a JWK; a member given as `...` is left out."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    algorithm = OKPAlgorithm if isinstance(key, ed25519.Ed25519PrivateKey) else algorithm
    described = algorithm.to_jwk(key.public_key(), as_dict=True)
    described = {name: value for name, value in described.items() if name != "key_ops"}
    full = described | {"use": "sig"} | ({} if kid is None else {"kid": kid}) | members
    return {name: value for name, value in full.items() if value is not ...}


def key_set_document(*keys: dict[str, Any]) -> bytes:
    """Return a JWKS document."""
    return json.dumps({"keys": keys}).encode()
