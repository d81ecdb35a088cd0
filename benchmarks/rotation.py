"""A provider that rotates its key continually, with overlap, while it signs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.bounds import Bound
from benchmarks.exchanges import once
from benchmarks.load import Traffic
from benchmarks.product import Instance
from benchmarks.signing import Signer, render_key_set, rsa_jwk

# About three rotations a second on the reference machine, where a provider rotates once in weeks.
ASSERTIONS_OF_A_KEY = 400
# Enough for different keys in each key set; generating a new key for each rotation would take minutes.
DIFFERENT_KEYS = 6
NOTE = "! {file} {word}"


@dataclass
class RotatingProvider:
    """Signs with one key after the other; its key set contains the current key and the previous one.

    `note` is the file in which the load generator records the number of the current key.
    """

    note: Path
    signer: Signer
    keys: list[rsa.RSAPrivateKey] = field(
        default_factory=lambda: [rsa.generate_private_key(65537, 2048) for _ in range(DIFFERENT_KEYS)]
    )
    numbers: Iterator[int] = field(default_factory=count)
    asked_at: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.note.write_text("0")

    def document(self) -> bytes:
        """Return the current key set."""
        now = int(self.note.read_text())
        self.asked_at.append(now)
        return render_key_set(*(self._jwk(number) for number in (now, now - 1) if number >= 0))

    def chapters(self, needed: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of each new key with the assertions that it signs, until there are `needed` assertions."""
        for start in range(0, needed, ASSERTIONS_OF_A_KEY):
            number = next(self.numbers)
            yield number, [self._sign(number) for _ in range(min(ASSERTIONS_OF_A_KEY, needed - start))]

    def bounds(self) -> list[Bound]:
        """Return how often the key set was fetched after each rotation that was noticed."""
        fetches, noticed = len(self.asked_at), len(set(self.asked_at))
        return [Bound("d-rotation: fetches per rotation", fetches / noticed, 1.0)] if noticed else []

    def _jwk(self, number: int) -> Mapping[str, object]:
        return rsa_jwk(self._key(number), _kid(number))

    def _key(self, number: int) -> rsa.RSAPrivateKey:
        return self.keys[number % DIFFERENT_KEYS]

    def _sign(self, number: int) -> str:
        return jwt.encode(self.signer.claims(), self._key(number), algorithm="RS256", headers={"kid": _kid(number)})


def _kid(number: int) -> str:
    return f"rotated-{number}"


@dataclass
class RotatingExchanges:
    """The traffic of a client whose provider rotates."""

    folder: Path
    provider: RotatingProvider
    instance: Instance
    files: Iterator[int] = field(default_factory=count)

    def traffic(self, needed: int) -> Traffic:
        """Return traffic of `needed` assertions, with a line for the generator before the first one of each key."""
        lines: list[str] = []
        for number, assertions in self.provider.chapters(needed):
            lines.append(NOTE.format(file=self.provider.note, word=number))
            lines += map(self.instance.token_form, assertions)
        return once(self.folder, f"d-rotation-{next(self.files)}", lines)
