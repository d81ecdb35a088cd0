"""Text from outside the product, made safe to show.

No control character and no bidirectional one reaches a log, a page, or a terminal: they would move the cursor there, or
make one value look like another.
"""


def printable(text: str, length: int | None = None) -> str:
    """Return the first `length` characters of a text, with U+FFFD for each that is not printable."""
    shown = text[:length]
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


def typed(text: str) -> str:
    """Return the printable characters of a search term or another value that a person types."""
    return "".join(c for c in text if c.isprintable()).strip()
