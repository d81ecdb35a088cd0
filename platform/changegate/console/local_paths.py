"""Paths of this site, as opposed to addresses that lead away from it."""

from urllib.parse import urlsplit


def local_path(wanted: str | None) -> str | None:
    """Return a path of this site as it came, or None for anything a browser could take for another site."""
    if not wanted or not wanted.isprintable() or "\\" in wanted:
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    is_elsewhere = parts.scheme or parts.netloc or wanted.startswith("//")
    return wanted if wanted.startswith("/") and not is_elsewhere else None
