"""The common interface of public keys and shared keys, and the choice of the keys that an assertion is checked with."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Generic, Protocol, TypeVar

MAX_CANDIDATES = 4  # the most signature verifications for one assertion


@dataclass(frozen=True, slots=True)
class Validity:
    """The period in which a key may be used, both ends included."""

    begins_at: datetime
    ends_at: datetime

    def fault(self, at: datetime) -> str | None:
        """Return the reason code if the key may not be used at the instant, or None."""
        if at < self.begins_at:
            return "certificate_not_yet_valid"
        return "certificate_expired" if at > self.ends_at else None

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M} UTC"


class VerifyingKey(Protocol):
    """A key; it is blocked by its `thumbprint`, and `validity` is None if its use is not limited in time."""

    @property
    def kid(self) -> str | None:
        """The key id that assertions name in their header."""

    @property
    def kty(self) -> str:
        """The key type (RFC 7518 §6.1)."""

    @property
    def size(self) -> int:
        """The size in bits."""

    @property
    def thumbprint(self) -> str:
        """The thumbprint, 43 characters of base64url."""

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that the key may be used with, whatever the header of an assertion contains."""

    @property
    def validity(self) -> Validity | None:
        """The period in which the key may be used."""


K = TypeVar("K", bound=VerifyingKey)


class VerifyingKeys(ABC, Generic[K]):
    """The keys of one integration: either all public keys or all shared keys, never a mixture."""

    __slots__ = ()

    supported: ClassVar[frozenset[str]]
    keys: tuple[K, ...]
    # Whether an assertion without kid is accepted if exactly one key fits, even without the setting that allows it.
    # See docs/reference/inbound-integrations.md#keys.
    is_kid_optional: bool

    @abstractmethod
    def is_signed_by(self, key: K, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Return whether the key verifies the signature with the algorithm; False if the two do not fit together."""

    def candidates(self, kid: str | None, alg: str) -> tuple[K, ...]:
        """Return the keys that may have signed an assertion with this header, at most four.

        A key without a kid is tried for an unknown kid only if it is the only key that fits. If more than four keys fit
        an assertion without a kid, the result is empty: trying an arbitrary few would succeed by chance.
        """
        fitting = tuple(key for key in self.keys if alg in key.algorithms)
        if kid is None:
            return fitting if len(fitting) <= MAX_CANDIDATES else ()
        if self.has_kid(kid):
            return tuple(key for key in fitting if key.kid == kid)[:MAX_CANDIDATES]
        return fitting if len(fitting) == 1 and fitting[0].kid is None else ()

    def has_kid(self, kid: str) -> bool:
        """Return whether a usable key has this kid."""
        return any(key.kid == kid for key in self.keys)
