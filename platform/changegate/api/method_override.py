"""`X-HTTP-Method-Override`, for clients that can send only GET and POST.

See docs/reference/table-api.md#paths-and-methods.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from changegate.api.cors import PREFIX

HEADER = "HTTP_X_HTTP_METHOD_OVERRIDE"
OVERRIDABLE = frozenset({"GET", "POST"})
# Methods that the header cannot set. Servers frame the response by the method on the wire: after an override to HEAD, a
# client that sent GET would wait for a body.
UNOFFERED = frozenset({"HEAD", "OPTIONS", "CONNECT", "TRACE"})
LONGEST_METHOD = 20


class MethodOverride:
    """Replaces the method of a GET or POST by that of its header, before any other code reads it.

    Routing, scopes, and roles therefore apply to the method that takes effect. A method that is not offered is a 405;
    the method on the wire is never run instead.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Run the application with the method that takes effect."""
        if is_overridden(environ):
            method = environ[HEADER].strip().upper()[:LONGEST_METHOD]
            environ["REQUEST_METHOD"] = f"{method} by override" if method in UNOFFERED else method
        return self._app(environ, start_response)


def is_overridden(environ: Mapping[str, Any]) -> bool:
    """Return whether the header takes effect."""
    is_offered = environ["REQUEST_METHOD"] in OVERRIDABLE and environ["PATH_INFO"].startswith(PREFIX)
    return bool(environ.get(HEADER)) and is_offered
