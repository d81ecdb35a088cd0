"""Glob patterns for claim values: `*` matches any characters within one segment, other characters match themselves.

Segments end at `/` and `:`. A pattern must match the whole value, so that no anchor can be forgotten. Matching does not
backtrack and searches each part of a value for one piece only, so that it takes linear time for every value.
"""

from collections.abc import Callable

WILDCARD = "*"


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Return a function that matches a text; raises `ValueError` for an empty pattern and for `**`."""
    # Elsewhere, `**` matches across segments. Here it would match no more than `*`, so that a pattern with it would not
    # do what its author expects.
    if not pattern or WILDCARD * 2 in pattern:
        raise ValueError("a pattern has at least one character, and no two wildcards in a row")
    if WILDCARD not in pattern:
        return lambda text: text == pattern
    head, *pieces, tail = pattern.split(WILDCARD)
    # Head and tail must not overlap: `ab*ba` does not match `aba`.
    least = len(head) + len(tail)

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(head) or not text.endswith(tail):
            return False
        return _fill(text, pieces, len(head), len(text) - len(tail))

    return matches


def _fill(text: str, pieces: list[str], start: int, end: int) -> bool:
    """Return whether the pieces between wildcards occur in order, with no separator outside of the pieces.

    Taking the first occurrence of a piece is enough. If a later occurrence led to a match, the text in between has no
    separator outside of the pieces either, so that the wildcard after the first occurrence can match it.
    """
    for piece in pieces:
        place = text.find(piece, start, end)
        if place < 0 or _has_separator(text, start, place):
            return False
        start = place + len(piece)
    return not _has_separator(text, start, end)


def _has_separator(text: str, start: int, end: int) -> bool:
    return text.find("/", start, end) >= 0 or text.find(":", start, end) >= 0
