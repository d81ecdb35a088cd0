"""Private keys that sign, and their public halves."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm, get_default_algorithms
from jwt.utils import base64url_encode

ALGORITHMS = ("RS256", "ES256")

# The members that RFC 7638 §3.2 hashes; any other would change the thumbprint.
THUMBPRINT_MEMBERS = ("crv", "e", "kty", "n", "x", "y")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its algorithm and key ID."""

    algorithm: str
    private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    parameters: Mapping[str, str]
    kid: str

    @classmethod
    def generate(cls, algorithm: str, kid: str | None = None) -> Self:
        """Return a new key: RSA with 2048 bits for RS256, P-256 for ES256. Its kid is its thumbprint by default."""
        private_key, parameters = _generate_ec() if algorithm == "ES256" else _generate_rsa()
        return cls(algorithm, private_key, parameters, thumbprint(parameters) if kid is None else kid)

    @property
    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JWK (RFC 7517 §4)."""
        return {**self.parameters, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    @property
    def public_pem(self) -> bytes:
        """Return the public half as PEM."""
        return self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, payload: bytes, header: Mapping[str, object]) -> str:
        """Return a compact JWS with the algorithm of the header, or else of the key."""
        algorithm = str(header.get("alg") or self.algorithm)
        signer = get_default_algorithms()[algorithm]
        return compact({"alg": algorithm, **header}, payload, lambda text: signer.sign(text, self.private_key))


def compact(header: Mapping[str, object], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return a compact JWS (RFC 7515 §7.1); header members that are None are left out."""
    members = {name: value for name, value in header.items() if value is not None}
    head = json.dumps(members, separators=(",", ":")).encode()
    signing_input = b".".join((base64url_encode(head), base64url_encode(payload)))
    return b".".join((signing_input, base64url_encode(sign(signing_input)))).decode()


def thumbprint(parameters: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK, base64url without padding (RFC 7638 §3)."""
    members = {name: parameters[name] for name in THUMBPRINT_MEMBERS if name in parameters}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return base64url_encode(hashlib.sha256(canonical).digest()).decode()


def _generate_rsa() -> tuple[rsa.RSAPrivateKey, dict[str, str]]:
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    # PyJWT adds `key_ops`, which should not be combined with `use` (RFC 7517 §4.3).
    return private_key, {name: jwk[name] for name in ("kty", "n", "e")}


def _generate_ec() -> tuple[ec.EllipticCurvePrivateKey, dict[str, str]]:
    private_key = ec.generate_private_key(ec.SECP256R1())
    return private_key, ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
