"""The protection against pages of other origins: they must not rotate, break, sign, or send."""

from flask import abort, request

SAME_SITE = ("same-origin", "none")
REFUSAL = "Requests from pages of another origin are refused."


def refuse_foreign_origins() -> None:
    """Refuse a request that changes something if a browser sends it from a page of another origin.

    Browsers name the origin of every such request. Programs send neither header.
    """
    if request.method not in ("GET", "HEAD") and not _is_of_this_origin():
        abort(403, REFUSAL)


def is_sent_by_this_page() -> bool:
    """Return whether a browser sent the request from a page of this server."""
    return _is_of_this_origin() and ("Origin" in request.headers or "Sec-Fetch-Site" in request.headers)


def _is_of_this_origin() -> bool:
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site", "none") not in SAME_SITE:
        return False
    return origin is None or origin == request.host_url.rstrip("/")
