"""Public keys from the parameters of a JWK (RFC 7518 §6, RFC 8037 §2), with the checks that the library leaves out."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from changegate.services.keys.base64url import decode_base64url

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # The library loads larger keys, but each verification then takes long: a denial of service.
MAX_RSA_EXPONENT = 2**32 - 1
CURVES: Mapping[str, type[EllipticCurve]] = {"P-256": SECP256R1, "P-384": SECP384R1, "P-521": SECP521R1}

# The curve -x² + y² = 1 + d·x²·y² over the integers modulo p (RFC 8032 §5.1). The low-order set holds the y coordinates
# of the eight points whose order divides 8: 1 (order 1), -1 (order 2), 0 (order 4), and the two of order 8.
_ED25519_PRIME = 2**255 - 19
_ED25519_D = -121665 * pow(121666, -1, _ED25519_PRIME) % _ED25519_PRIME
_ED25519_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_ED25519_LOW_ORDER = frozenset({0, 1, _ED25519_PRIME - 1, _ED25519_ORDER_8, _ED25519_PRIME - _ED25519_ORDER_8})


class UnusableJwkError(ValueError):
    """A member of a key set cannot be used; `alarm` is True if its publisher has disclosed a secret."""

    def __init__(self, reason: str, *, alarm: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.alarm = alarm


def load_rsa(jwk: Mapping[str, object]) -> RSAPublicKey:
    """Return the key of `n` and `e` (RFC 7518 §6.3.1), or raise `UnusableJwkError`."""
    modulus, exponent = _unsigned(jwk, "n"), _unsigned(jwk, "e")
    bits = modulus.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise UnusableJwkError(f"an RSA key of {bits} bits is outside {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    # With an exponent of 1, a signature equals the padded hash, so that everybody could compute it.
    if not 3 <= exponent <= MAX_RSA_EXPONENT or exponent % 2 == 0:
        raise UnusableJwkError("the RSA exponent is not an odd number from 3 to 2^32-1")
    if modulus % 2 == 0:
        raise UnusableJwkError("the RSA modulus is even")
    return RSAPublicNumbers(exponent, modulus).public_key()


def load_ec(jwk: Mapping[str, object]) -> EllipticCurvePublicKey:
    """Return the key of `crv`, `x`, and `y` (RFC 7518 §6.2.1), or raise `UnusableJwkError`."""
    curve = CURVES[str(jwk["crv"])]()
    length = (curve.key_size + 7) // 8
    x, y = (int.from_bytes(_octets(jwk, name, length)) for name in ("x", "y"))
    try:
        return EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError:
        raise UnusableJwkError(f"the point is not on the curve {curve.name}") from None


def load_ed25519(jwk: Mapping[str, object]) -> Ed25519PublicKey:
    """Return the key of `x` (RFC 8037 §2), or raise `UnusableJwkError`.

    The library loads any 32 bytes. If the key is a point of low order, signatures can be forged without a private key.
    """
    octets = _octets(jwk, "x", 32)
    # The encoding is little-endian; its highest bit is the sign of x. A y of p or more is a second spelling of y - p.
    y = int.from_bytes(octets, "little") & (2**255 - 1)
    if y >= _ED25519_PRIME or y in _ED25519_LOW_ORDER or not _is_on_ed25519(y):
        raise UnusableJwkError("the Ed25519 point is of low order, not canonical or not on the curve")
    return Ed25519PublicKey.from_public_bytes(octets)


def _is_on_ed25519(y: int) -> bool:
    """Return whether x² = (y² - 1) / (dy² + 1) has a root, by Euler's criterion (RFC 8032 §5.1.3).

    The denominator is never 0 because -1/d is not a square modulo p. A y of ±1, where x is 0, is of low order.
    """
    square = (y * y - 1) * pow(_ED25519_D * y * y + 1, -1, _ED25519_PRIME)
    return pow(square, (_ED25519_PRIME - 1) // 2, _ED25519_PRIME) == 1


def _unsigned(jwk: Mapping[str, object], name: str) -> int:
    octets = _octets(jwk, name)
    if octets[0] == 0:
        raise UnusableJwkError(f"`{name}` has a leading zero octet")
    return int.from_bytes(octets)


def _octets(jwk: Mapping[str, object], name: str, length: int | None = None) -> bytes:
    """Return the bytes of a member; only canonical base64url is accepted, so that equal keys have equal thumbprints."""
    text = jwk.get(name)
    octets = decode_base64url(text) if isinstance(text, str) else None
    if not octets:
        raise UnusableJwkError(f"`{name}` is missing or not canonical base64url")
    if length is not None and len(octets) != length:
        raise UnusableJwkError(f"`{name}` has {len(octets)} octets instead of {length}")
    return octets
