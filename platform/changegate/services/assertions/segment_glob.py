"""Patterns of claim values: `*` stands for any characters of one segment, everything else for itself.

Segments end at `/` and `:`. A pattern covers the whole value, so there is no anchor to forget. Matching never goes
back: no part of a value is searched for two pieces, and the search itself is linear, so no value makes it slow.
"""

from collections.abc import Callable

WILDCARD = "*"


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Return the test whether a text matches; raises `ValueError` for an empty pattern and for `**`."""
    if not pattern or WILDCARD * 2 in pattern:
        raise ValueError("a pattern has at least one character, and no two wildcards in a row")
    if WILDCARD not in pattern:
        return lambda text: text == pattern
    head, *pieces, tail = pattern.split(WILDCARD)
    least = len(head) + len(tail)

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(head) or not text.endswith(tail):
            return False
        return _fill(text, pieces, len(head), len(text) - len(tail))

    return matches


def _fill(text: str, pieces: list[str], start: int, end: int) -> bool:
    """Find the pieces between two wildcards, in order, with nothing but one segment's characters around each.

    The first place of a piece is always the right one: a later one that fits would leave the same separators
    outside of all pieces, and the wildcard after the piece can take what lies between the two.
    """
    for piece in pieces:
        place = text.find(piece, start, end)
        if place < 0 or _has_separator(text, start, place):
            return False
        start = place + len(piece)
    return not _has_separator(text, start, end)


def _has_separator(text: str, start: int, end: int) -> bool:
    return text.find("/", start, end) >= 0 or text.find(":", start, end) >= 0
