"""The provider's keys: signing, next, previous, and retired."""

from enum import StrEnum
from threading import Lock

from demo_idp.signing_key import ALGORITHMS, SigningKey

# A bound, so that a loop of rotations cannot fill the memory.
MAX_OVERLAPPING = 16


class KeyChange(StrEnum):
    """A change of the key set that providers make."""

    ROTATE = "rotate"
    ROTATE_ABRUPTLY = "rotate-abruptly"
    PRE_PUBLISH = "pre-publish"
    RETIRE = "retire"


class KeyRing:
    """The signing key of each algorithm, the keys that sign next, and the previous keys.

    Keys are only in the memory of this process, so a demo leaves no private key on disk. A restart creates new keys.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._current = _generate_all()
        self._next: dict[str, SigningKey] = {}
        self._overlapping: tuple[SigningKey, ...] = ()
        self._retired: dict[str, SigningKey] = {}

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Return the keys in the key set, signing keys first."""
        with self._lock:
            return (*self._current.values(), *self._next.values(), *self._overlapping)

    def get_current(self, algorithm: str) -> SigningKey:
        """Return the key that signs with `algorithm` now."""
        return self._current[algorithm]

    def get_retired(self, algorithm: str) -> SigningKey:
        """Return the last retired key of `algorithm`; raises `KeyError` if there is none."""
        return self._retired[algorithm]

    def find_published(self, kid: object, algorithm: str) -> SigningKey | None:
        """Return the published key of that name and algorithm."""
        return next((key for key in self.published if (key.kid, key.algorithm) == (kid, algorithm)), None)

    def role_of(self, key: SigningKey) -> str:
        """Return the role of a published key: signs, next, or previous."""
        if key in self._current.values():
            return "signs"
        return "next" if key in self._next.values() else "previous"

    def has_retired(self) -> bool:
        """Return whether a key has been retired."""
        return bool(self._retired)

    def change(self, change: KeyChange) -> None:
        """Make a change of the key set."""
        if change is KeyChange.PRE_PUBLISH:
            self.pre_publish()
        elif change is KeyChange.RETIRE:
            self.retire()
        else:
            self.rotate(overlap=change is KeyChange.ROTATE)

    def pre_publish(self) -> None:
        """Publish new keys that the next rotation uses; keys that wait already stay."""
        fresh = _generate_all()
        with self._lock:
            self._next = self._next or fresh

    def rotate(self, *, overlap: bool) -> None:
        """Sign with the next keys, or else with new ones; with `overlap`, the old keys stay published."""
        fresh = _generate_all()
        with self._lock:
            former = tuple(self._current.values())
            self._current, self._next = self._next or fresh, {}
            if not overlap:
                self._withdraw(former)
                return
            overlapping = (*former, *self._overlapping)
            self._overlapping = overlapping[:MAX_OVERLAPPING]
            self._withdraw(overlapping[MAX_OVERLAPPING:])

    def retire(self) -> tuple[SigningKey, ...]:
        """Remove the previous keys from the key set and return them."""
        with self._lock:
            dropped, self._overlapping = self._overlapping, ()
            self._withdraw(dropped)
            return dropped

    def _withdraw(self, keys: tuple[SigningKey, ...]) -> None:
        # The newest is first in the list. Written last, it is the one that stays.
        self._retired |= {key.algorithm: key for key in reversed(keys)}


def _generate_all() -> dict[str, SigningKey]:
    return {algorithm: SigningKey.generate(algorithm) for algorithm in ALGORITHMS}
