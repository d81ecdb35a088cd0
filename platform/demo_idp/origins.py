"""The protection against pages of other origins: they must not rotate, break, sign, or send."""

from urllib.parse import urlsplit

from flask import abort, request

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
SAME_SITE = ("same-origin", "none")
REFUSAL = "Requests from pages of another origin are refused."


def refuse_foreign_hosts(own: str | None) -> None:
    """Refuse a request to a name that is not the server's: an attacker may have pointed it here (DNS rebinding)."""
    # Not TRUSTED_HOSTS of Flask, which cannot list an IPv6 address.
    if urlsplit(f"//{request.host}").hostname not in (own, *LOOPBACK_NAMES):
        abort(400, "This server has another name.")


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
