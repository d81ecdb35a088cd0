"""Phrases: the expectations and values of rules, stored as their parts and put into words only when they are read.

Most stored events are never read. Rows outlive releases: never change the name of a stored phrase or the order of its
parts.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

# The last second that a datetime can represent.
LAST_SECOND = 253_402_300_799

StoredPhrase = list[str | float]


class Phrase:
    """A text by its name and its numbers and texts; `str` puts it into words.

    `stored` has the name and the parts; `Phrase(*stored)` is the same phrase.
    """

    __slots__ = ("stored",)

    def __init__(self, *stored: str | float) -> None:
        self.stored: StoredPhrase = [*stored]

    def __str__(self) -> str:
        """Return the words; those of an unknown phrase, such as one of another release, are its JSON."""
        name, *parts = self.stored
        words = _WORDS.get(str(name))
        try:
            return words(*parts) if words else json.dumps(self.stored)
        except (TypeError, ValueError, IndexError):
            return json.dumps(self.stored)


def _instant(seconds: float) -> str:
    return f"{seconds} ({_utc(seconds)})"


def _after(limit: float) -> str:
    return f"a number, after {_utc(limit)}"


def _until(limit: float) -> str:
    return f"absent, or a number up to {_utc(limit)}"


def _between(earliest: float, latest: float) -> str:
    return f"a number, from {_utc(earliest)} to {_utc(latest)}"


def _utc(seconds: float) -> str:
    # An instant computed from the policy and the clock may lie outside the range of a datetime.
    return f"{datetime.fromtimestamp(int(min(max(seconds, 0), LAST_SECOND)), UTC):%Y-%m-%d %H:%M:%S} UTC"


_WORDS: Mapping[str, Callable[..., str]] = {
    "after": _after,
    "at most seconds": "at most {:.0f} seconds".format,
    "between": _between,
    "bytes": "{} bytes".format,
    "characters": "{}: 1 to {} characters".format,
    "instant": _instant,
    "seconds": "{:.0f} seconds".format,
    "until": _until,
}
