"""The keys this provider holds: those that sign, those still published, those withdrawn."""

from threading import Lock

from demo_idp.signing_key import ALGORITHMS, SigningKey

# Nobody rotates by hand this often; without a bound a loop of rotations would fill the memory.
MAX_OVERLAPPING = 16


class KeyRing:
    """One signing key per algorithm, and what became of the keys before it.

    Keys live in the memory of this process only: a restart makes new ones and forgets the old,
    which is all a demonstration needs and leaves no private key lying about.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._current = _generate_all()
        self._overlapping: tuple[SigningKey, ...] = ()
        self._retired: dict[str, SigningKey] = {}

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Return the keys in the key set, those that sign first."""
        with self._lock:
            return (*self._current.values(), *self._overlapping)

    def get_current(self, algorithm: str) -> SigningKey:
        """Return the key that signs with `algorithm` now."""
        return self._current[algorithm]

    def get_retired(self, algorithm: str) -> SigningKey:
        """Return the key for `algorithm` that left the key set last; KeyError if none ever did."""
        return self._retired[algorithm]

    def find_published(self, kid: str | None, algorithm: str) -> SigningKey | None:
        """Return the published key of that name and algorithm."""
        return next((key for key in self.published if (key.kid, key.algorithm) == (kid, algorithm)), None)

    def has_retired(self) -> bool:
        """Return whether any key has left the key set yet."""
        return bool(self._retired)

    def rotate(self, *, overlap: bool) -> None:
        """Sign with new keys from now on; with `overlap` the old ones stay published."""
        fresh = _generate_all()
        with self._lock:
            former = tuple(self._current.values())
            self._current = fresh
            if not overlap:
                self._withdraw(former)
                return
            overlapping = (*former, *self._overlapping)
            self._overlapping = overlapping[:MAX_OVERLAPPING]
            self._withdraw(overlapping[MAX_OVERLAPPING:])

    def retire(self) -> tuple[SigningKey, ...]:
        """Take the overlapping keys out of the key set and return them."""
        with self._lock:
            dropped, self._overlapping = self._overlapping, ()
            self._withdraw(dropped)
            return dropped

    def _withdraw(self, keys: tuple[SigningKey, ...]) -> None:
        # The newest comes first, so it is written last and is the one that is kept.
        self._retired |= {key.algorithm: key for key in reversed(keys)}


def _generate_all() -> dict[str, SigningKey]:
    return {algorithm: SigningKey.generate(algorithm) for algorithm in ALGORITHMS}
