"""Shared keys: the one place where a secret verifies a signature (RFC 7518 §3.2).

What makes a key here takes secrets that an administrator gave one by one, and nothing that was published or fetched.
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
    """A secret that an integration shares with its signer, good for each algorithm that it is long enough for.

    `thumbprint` is no hash of the secret alone, by which it could be guessed: it is made with the instance's own key.
    """

    kid: str | None
    secret: bytes
    thumbprint: str
    algorithms: frozenset[str]

    kty: ClassVar[str] = "oct"
    validity: ClassVar[Validity | None] = None

    @classmethod
    def of_secret(cls, secret: bytes, kid: str | None) -> Self:
        """Return the key; one that is too short is good for nothing."""
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
        """Tell in constant time whether a signature is the HMAC by a key that is long enough for it."""
        # A public key in the place of a shared one is the attack that this module is kept apart for.
        if not isinstance(key, SharedKey) or algorithm not in key.algorithms:
            return False
        expected = hmac.digest(key.secret, signing_input, HASHES[algorithm])
        return hmac.compare_digest(expected, signature)


def _thumbprint(secret: bytes) -> str:
    digest = hmac.digest(settings().secret_key.encode(), _THUMBPRINT + secret, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
