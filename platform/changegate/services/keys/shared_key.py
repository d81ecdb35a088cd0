"""Shared keys: the only module where a secret verifies a signature (RFC 7518 §3.2).

Keys are made only from secrets that an administrator entered, never from published or fetched data.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from changegate.extensions import settings
from changegate.models.jwt_verifier_map import SHARED_KEY_BYTES
from changegate.services.keys.verifying_keys import Validity, VerifyingKeys

HASHES: Mapping[str, str] = MappingProxyType({"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"})
_THUMBPRINT = b"thumbprint of a shared key\0"


@dataclass(frozen=True, slots=True, repr=False)
class SharedKey:
    """A secret that an integration shares with its signer; `algorithms` are those that it is long enough for.

    `thumbprint` is an HMAC with the instance's secret key: a plain hash would let its readers test guesses of the
    secret.
    """

    kid: str | None
    secret: bytes
    thumbprint: str
    algorithms: frozenset[str]

    kty: ClassVar[str] = "oct"
    validity: ClassVar[Validity | None] = None

    @classmethod
    def of_secret(cls, secret: bytes, kid: str | None) -> Self:
        """Return the key of a secret; a secret that is too short fits no algorithm."""
        long_enough = frozenset(name for name, least in SHARED_KEY_BYTES.items() if len(secret) >= least)
        return cls(kid, secret, _thumbprint(secret), long_enough)

    @property
    def size(self) -> int:
        """The size in bits."""
        return len(self.secret) * 8


@dataclass(frozen=True, slots=True)
class SharedKeys(VerifyingKeys[SharedKey]):
    """The shared keys of one integration."""

    supported: ClassVar[frozenset[str]] = frozenset(HASHES)

    keys: tuple[SharedKey, ...]
    is_kid_optional: bool = True

    def is_signed_by(self, key: SharedKey, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Return, in constant time, whether a signature is the HMAC by a key that is long enough for the algorithm."""
        # A public key used as an HMAC secret is the algorithm confusion attack that this module is separate for.
        if not isinstance(key, SharedKey) or algorithm not in key.algorithms:
            return False
        expected = hmac.digest(key.secret, signing_input, HASHES[algorithm])
        return hmac.compare_digest(expected, signature)


def _thumbprint(secret: bytes) -> str:
    digest = hmac.digest(settings().secret_key.encode(), _THUMBPRINT + secret, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
