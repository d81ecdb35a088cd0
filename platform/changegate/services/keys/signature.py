"""Verification of signatures by public keys (RFC 7518 §3, RFC 8037, RFC 9864)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm

from changegate.services.keys.signing_key import SigningKey


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """An algorithm together with the only type of key, and the only curve, that it may be used with."""

    algorithm: Algorithm
    key_type: type
    curve: type[EllipticCurve] | None = None

    def fits(self, public_key: object) -> bool:
        """Return whether a key is of the algorithm's type and, for elliptic curves, on its curve."""
        if not isinstance(public_key, self.key_type):
            return False
        return self.curve is None or (
            isinstance(public_key, EllipticCurvePublicKey) and isinstance(public_key.curve, self.curve)
        )


# The complete list, deliberately not a library's registry. It has no HMAC algorithm, so that no header can make the
# server use a public key as a shared key (algorithm confusion), and it does not have "none".
SCHEMES: Mapping[str, SignatureScheme] = MappingProxyType(
    {
        "RS256": SignatureScheme(RSAAlgorithm(RSAAlgorithm.SHA256), RSAPublicKey),
        "RS384": SignatureScheme(RSAAlgorithm(RSAAlgorithm.SHA384), RSAPublicKey),
        "RS512": SignatureScheme(RSAAlgorithm(RSAAlgorithm.SHA512), RSAPublicKey),
        "PS256": SignatureScheme(RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256), RSAPublicKey),
        "PS384": SignatureScheme(RSAPSSAlgorithm(RSAPSSAlgorithm.SHA384), RSAPublicKey),
        "PS512": SignatureScheme(RSAPSSAlgorithm(RSAPSSAlgorithm.SHA512), RSAPublicKey),
        "ES256": SignatureScheme(ECAlgorithm(ECAlgorithm.SHA256), EllipticCurvePublicKey, SECP256R1),
        "ES384": SignatureScheme(ECAlgorithm(ECAlgorithm.SHA384), EllipticCurvePublicKey, SECP384R1),
        "ES512": SignatureScheme(ECAlgorithm(ECAlgorithm.SHA512), EllipticCurvePublicKey, SECP521R1),
        "EdDSA": SignatureScheme(OKPAlgorithm(), Ed25519PublicKey),
        "Ed25519": SignatureScheme(OKPAlgorithm(), Ed25519PublicKey),
    }
)


def is_signed_by(key: SigningKey, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
    """Return whether the key verifies the signature with the algorithm; False if the two do not fit together."""
    # `algorithm` comes from the header of the assertion, which the attacker writes: the key decides which it allows.
    scheme = SCHEMES.get(algorithm)
    if scheme is None or algorithm not in key.algorithms or not scheme.fits(key.public_key):
        return False
    return scheme.algorithm.verify(signing_input, key.public_key, signature)
