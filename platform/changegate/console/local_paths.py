"""Validation of redirect targets: only paths of this site."""

from urllib.parse import urlsplit


def local_path(wanted: str | None) -> str | None:
    """Return the path unchanged, or None if a browser could read it as the URL of another site."""
    if not wanted or not wanted.isprintable() or "\\" in wanted:
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    is_elsewhere = parts.scheme or parts.netloc or wanted.startswith("//")
    return wanted if wanted.startswith("/") and not is_elsewhere else None
