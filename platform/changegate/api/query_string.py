"""Query strings with raw bytes, percent-encoded as RFC 3986 §3.4 requires."""

from collections.abc import Iterable
from string import punctuation
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication


class PlainQueryString:
    """Percent-encodes bytes of a query string that the client should have encoded.

    Werkzeug decodes the query string as UTF-8 and fails for invalid bytes. Percent-encoded, invalid bytes are read as
    replacement characters, as if the client had encoded them.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Run the application with the encoded query string."""
        sent: str = environ.get("QUERY_STRING", "")
        if not sent.isascii():
            environ["QUERY_STRING"] = quote(sent.encode("latin-1"), safe=punctuation)
        return self._app(environ, start_response)
