"""The method that a caller means but cannot send: `X-HTTP-Method-Override`.

See docs/reference/table-api.md#paths-and-methods.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

PREFIX = "/api/"
HEADER = "HTTP_X_HTTP_METHOD_OVERRIDE"
OVERRIDABLE = frozenset({"GET", "POST"})
# Servers frame the answer by the method that was really sent: one to HEAD has no body, and GET's caller waits for it.
UNOFFERED = frozenset({"HEAD", "OPTIONS", "CONNECT", "TRACE"})
LONGEST_METHOD = 20


class MethodOverride:
    """Gives a GET or POST the method that its header names, before anything else looks at it.

    Routing, scopes and roles so judge the method that takes effect. One that is not offered ends as 405, and never
    in the method that was sent.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if is_overridden(environ):
            method = environ[HEADER].strip().upper()[:LONGEST_METHOD]
            environ["REQUEST_METHOD"] = f"{method} by override" if method in UNOFFERED else method
        return self._app(environ, start_response)


def is_overridden(environ: Mapping[str, Any]) -> bool:
    """Return whether the header takes effect."""
    is_offered = environ["REQUEST_METHOD"] in OVERRIDABLE and environ["PATH_INFO"].startswith(PREFIX)
    return bool(environ.get(HEADER)) and is_offered
