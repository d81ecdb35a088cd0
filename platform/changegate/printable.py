"""Untrusted text, made safe to display.

Control characters and bidirectional controls must not reach a log, a page, or a terminal: they could move the cursor,
or make one value look like another.
"""

import unicodedata


def printable(text: str, length: int | None = None) -> str:
    """Return the first `length` characters of a text, with U+FFFD for unprintable ones."""
    shown = text[:length]
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


def typed(text: str) -> str:
    """Return the printable characters of typed text, such as a search term."""
    return "".join(c for c in text if c.isprintable()).strip()


def plain_name(text: str) -> str:
    """Return a name without full-width letters and further blanks, with which it would look like another one."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
