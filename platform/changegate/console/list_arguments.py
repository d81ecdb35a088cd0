"""Validation of query arguments of lists."""


def correlation_id(text: str) -> str:
    """Return the correlation ID that a page begins after, or an empty string if it is invalid."""
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else ""
