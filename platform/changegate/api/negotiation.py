"""Content negotiation: JSON, or XML if the caller prefers it (docs/reference/table-api.md#headers)."""

from functools import lru_cache

from werkzeug.http import parse_accept_header

from changegate.errors import FormUnacceptable
from changegate.unproxied import current_request

JSON_TYPE = "application/json"
XML_TYPES = ("application/xml", "text/xml")
# The most frequent values of Accept, which need no parsing.
PLAIN_JSON = frozenset({"", "*/*", JSON_TYPE})
LONGEST_ACCEPT = 1000


def require_acceptable() -> None:
    """Refuse a caller who accepts neither JSON nor XML."""
    if _accept() not in PLAIN_JSON and _preferred(_accept()) is None:
        raise FormUnacceptable


def wants_xml() -> bool:
    """Return whether the response is XML; callers who accept neither form get their error in JSON."""
    accept = _accept()
    return accept not in PLAIN_JSON and _preferred(accept) in XML_TYPES


def _accept() -> str:
    text: str = current_request().environ.get("HTTP_ACCEPT", "")
    return text[:LONGEST_ACCEPT]


@lru_cache(maxsize=256)
def _preferred(accept: str) -> str | None:
    """Return the media type that a caller prefers, JSON if several rank equal."""
    qualities: dict[str, float] = {}
    for name, quality in parse_accept_header(accept):
        qualities.setdefault(name.partition(";")[0].strip().lower(), quality)
    offered = {name: _quality(qualities, name) for name in (JSON_TYPE, *XML_TYPES)}
    best = max(offered, key=offered.__getitem__)
    return best if offered[best] > 0 else None


def _quality(qualities: dict[str, float], name: str) -> float:
    # The most specific range decides (RFC 9110 §12.5.1): `application/json;q=0, */*` accepts anything but JSON.
    ranges = (name, f"{name.partition('/')[0]}/*", "*/*")
    return next((qualities[found] for found in ranges if found in qualities), 0)
