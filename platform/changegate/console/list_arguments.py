"""Validation of query arguments of lists."""


def page_number(text: str) -> int:
    """Return a positive number from a URL, or 0 if it is invalid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def correlation_id(text: str) -> str:
    """Return the correlation ID that a page begins after, or an empty string if it is invalid."""
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else ""
