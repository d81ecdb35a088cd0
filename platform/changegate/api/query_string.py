"""Query strings as RFC 3986 §3.4 has them, whatever bytes were sent."""

from collections.abc import Iterable
from string import punctuation
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication


class PlainQueryString:
    """Percent-encodes the bytes of a query string that should have been.

    Werkzeug decodes it as UTF-8 before anything else and fails for bytes that are none; encoded, they are read with
    a mark in their place, as they are when their sender encodes them.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        sent: str = environ.get("QUERY_STRING", "")
        if not sent.isascii():
            environ["QUERY_STRING"] = quote(sent.encode("latin-1"), safe=punctuation)
        return self._app(environ, start_response)
