"""The keys and the assertions of the benchmark's own identity provider."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://idp.bench.example"
AUDIENCE = "https://changegate.bench.example"
SUBJECT = "bench"
# The longest that the server accepts by default: no assertion may expire before the last run.
LIFETIME_SECONDS = 3600


@dataclass(frozen=True)
class Signer:
    """Signs assertions, no two alike.

    Assertions are kept: one that an instance or an integration has seen is new to another.
    """

    rsa_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ec_key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    prefix: str = field(default_factory=lambda: uuid4().hex)
    serial: Iterator[int] = field(default_factory=count)
    more_claims: Mapping[str, object] = field(default_factory=dict)
    signed: Mapping[str, list[str]] = field(default_factory=lambda: {"RS256": [], "ES256": []})

    def assertions(self, alg: str, start: int, number: int) -> list[str]:
        """Return the assertions from `start` on, signed at the first call and the same at each later one."""
        kept = self.signed[alg]
        kept += [self.sign(alg) for _ in range(start + number - len(kept))]
        return kept[start : start + number]

    def sign(self, alg: str) -> str:
        """Return a new assertion signed with `alg`, RS256 or ES256."""
        key = self.rsa_key if alg == "RS256" else self.ec_key
        return jwt.encode(self.claims(), key, algorithm=alg, headers={"kid": alg})

    def claims(self) -> dict[str, object]:
        """Return the claims of a new assertion."""
        now = int(time.time())
        claims: dict[str, object] = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT}
        claims |= {"jti": f"{self.prefix}-{next(self.serial)}", "iat": now, "exp": now + LIFETIME_SECONDS}
        return {**claims, **self.more_claims}

    def rsa_public_pem(self) -> bytes:
        """Return the public RSA key."""
        return self.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def key_set(self) -> bytes:
        """Return both public keys as a JWKS document."""
        ec_jwk = ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True)
        return render_key_set(rsa_jwk(self.rsa_key, "RS256"), {**ec_jwk, "kid": "ES256", "use": "sig"})


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> Mapping[str, object]:
    """Return the public key of a key pair as a JWK with a key ID."""
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


def render_key_set(*keys: Mapping[str, object]) -> bytes:
    """Return public keys as a JWKS document."""
    return json.dumps({"keys": keys}).encode()
