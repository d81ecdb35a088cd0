"""What the address of a list may say, whoever wrote it."""


def correlation_id(text: str) -> str:
    """Return the correlation id that a page goes on from, or the empty text for what is none."""
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else ""
