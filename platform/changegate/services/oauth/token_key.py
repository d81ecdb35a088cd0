"""A key that signs access tokens in JWT format (RFC 9068): ES256, identified by its thumbprint (RFC 7638).

Each key has exactly one header segment, which is compared byte for byte, so that a token cannot choose its `alg`,
`kid`, or `typ`.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm

from changegate.errors import SealBroken
from changegate.sealed import seal, unseal
from changegate.services.keys.signing_key import SigningKey

ALGORITHM = "ES256"
TYP = "at+jwt"
COORDINATE_BYTES = 32
_HEADER = re.compile(rb'\{"alg":"ES256","kid":"([A-Za-z0-9_-]{43})","typ":"at\+jwt"\}')
_ECDSA = ECAlgorithm(ECAlgorithm.SHA256)


@dataclass(frozen=True, slots=True, repr=False)
class NewKey:
    """A new key as it is stored: its kid, the sealed private key, and the public key as a JWK (RFC 7517 §4)."""

    kid: str
    private_key: str
    public_jwk: Mapping[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A private key, and the header segment of its tokens."""

    kid: str
    header: str
    private_key: EllipticCurvePrivateKey

    def sign(self, payload: bytes, typ: str | None = None) -> str:
        """Return a compact JWS (RFC 7515 §3.1): an access token, or a statement of another `typ`."""
        header = self.header if typ is None else header_of(self.kid, typ)
        signing_input = f"{header}.{encode_segment(payload)}"
        signature = _ECDSA.sign(signing_input.encode("ascii"), self.private_key)
        return f"{signing_input}.{encode_segment(signature)}"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key and its kid."""

    kid: str
    public_key: EllipticCurvePublicKey

    def has_signed(self, signing_input: bytes, signature: bytes) -> bool:
        """Return whether the key verifies a signature."""
        return _ECDSA.verify(signing_input, self.public_key, signature)


def make_key() -> NewKey:
    """Generate a key."""
    private_key = generate_private_key(SECP256R1())
    # An uncompressed point is the byte 4, then x and y (SEC 1).
    point = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    x, y = encode_segment(point[:COORDINATE_BYTES]), encode_segment(point[COORDINATE_BYTES:])
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": ALGORITHM, "use": "sig"}
    kid = SigningKey.from_jwk(jwk).thumbprint
    plain = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return NewKey(kid, seal(plain, purpose=_purpose(kid)), {**jwk, "kid": kid})


# Never stale, because a sealed text always opens to the same key.
@lru_cache(maxsize=16)
def open_signer(kid: str, sealed: str) -> Signer:
    """Return the signer of a stored private key; raises `SealBroken`."""
    private_key = load_der_private_key(unseal(sealed, purpose=_purpose(kid)), None)
    if not isinstance(private_key, EllipticCurvePrivateKey):
        raise SealBroken
    return Signer(kid, header_of(kid), private_key)


def load_verifier(kid: str, public_jwk: Mapping[str, object]) -> Verifier | None:
    """Return the verifier of a stored public key; None unless `kid` is its thumbprint."""
    key = SigningKey.from_jwk(public_jwk)
    if key.thumbprint != kid or not isinstance(key.public_key, EllipticCurvePublicKey):
        return None
    return Verifier(kid, key.public_key)


def header_of(kid: str, typ: str = TYP) -> str:
    """Return the header segment of all tokens that a key signs, or of statements of another `typ`."""
    return encode_segment(f'{{"alg":"{ALGORITHM}","kid":"{kid}","typ":"{typ}"}}'.encode())


def find_kid(header: bytes) -> str | None:
    """Return the kid of a decoded header if it has exactly the form of this instance's headers, else None."""
    match = _HEADER.fullmatch(header)
    return match[1].decode() if match else None


def encode_segment(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _purpose(kid: str) -> str:
    return f"oauth_token_key {kid}"
