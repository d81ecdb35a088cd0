"""What public keys and shared keys have in common: which of an integration's keys may have signed an assertion."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Generic, Protocol, TypeVar

MAX_CANDIDATES = 4  # what one assertion may cost in signature checks


@dataclass(frozen=True, slots=True)
class Validity:
    """The time in which a key may be used, both ends included."""

    begins_at: datetime
    ends_at: datetime

    def fault(self, at: datetime) -> str | None:
        """Return the reason code of a key that may not be used at an instant, or None."""
        if at < self.begins_at:
            return "certificate_not_yet_valid"
        return "certificate_expired" if at > self.ends_at else None

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M} UTC"


class VerifyingKey(Protocol):
    """One key; `thumbprint` is what it is blocked by, and `validity` is None where time is no matter."""

    @property
    def kid(self) -> str | None:
        """The name that assertions call it by."""

    @property
    def kty(self) -> str:
        """The key type (RFC 7518 §6.1)."""

    @property
    def size(self) -> int:
        """The size in bits."""

    @property
    def thumbprint(self) -> str:
        """43 characters of base64url."""

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms it may be used with, whatever a header says."""

    @property
    def validity(self) -> Validity | None:
        """When it may be used."""


K = TypeVar("K", bound=VerifyingKey)


class VerifyingKeys(ABC, Generic[K]):
    """The keys of one integration, all of one nature: those of a set verify no signature of another nature."""

    __slots__ = ()

    supported: ClassVar[frozenset[str]]
    keys: tuple[K, ...]
    # Whether an assertion without kid passes where exactly one key fits, although nobody chose so.
    # See docs/reference/inbound-integrations.md#keys.
    is_kid_optional: bool

    @abstractmethod
    def is_signed_by(self, key: K, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Tell whether a key made a signature with one algorithm; False too when the two do not match."""

    def candidates(self, kid: str | None, alg: str) -> tuple[K, ...]:
        """Return the keys that may have signed an assertion with this header, at most four.

        A key without a kid answers for a named one only where it is the sole key that fits. More than four
        keys for an assertion without a kid are none: to try an arbitrary few would work by luck.
        """
        fitting = tuple(key for key in self.keys if alg in key.algorithms)
        if kid is None:
            return fitting if len(fitting) <= MAX_CANDIDATES else ()
        if self.has_kid(kid):
            return tuple(key for key in fitting if key.kid == kid)[:MAX_CANDIDATES]
        return fitting if len(fitting) == 1 and fitting[0].kid is None else ()

    def has_kid(self, kid: str) -> bool:
        """Tell whether a usable key carries this kid."""
        return any(key.kid == kid for key in self.keys)
