"""WSGI environments (PEP 3333) built from ASGI scopes, and checks of the request head."""

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from changegate.api.whole_body import WHOLE_BODY
from changegate.postponed import CAN_POSTPONE

Environ = dict[str, Any]
# The only headers whose keys have no prefix (RFC 3875 §4.1).
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_BASE: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": False,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
    WHOLE_BODY: True,
    CAN_POSTPONE: True,
}
LONGEST_LENGTH = 18
# Methods whose request bodies have no meaning (RFC 9110 §9.3.1).
READING = frozenset({"GET", "HEAD"})


def build_environ(scope: Mapping[str, Any]) -> Environ:
    """Return the environment of a request, without its `wsgi.input`."""
    environ = _BASE.copy()
    for name, value in scope["headers"]:
        key = _name_of(name)
        if not key:
            continue
        try:
            text = value.decode("ascii")
        except UnicodeDecodeError:
            text = ""
        # Joined (RFC 9110 §5.3) rather than replaced, so that `find_fault` notices a repeated Host or Content-Length by
        # its comma.
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    path: bytes = scope["raw_path"]
    # Decoded once, here. PEP 3333 represents bytes as latin-1; Werkzeug decodes them as UTF-8.
    environ["PATH_INFO"] = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")
    environ["QUERY_STRING"] = scope["query_string"].decode("latin-1")
    environ["REQUEST_METHOD"] = scope["method"]
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    environ["SERVER_NAME"], environ["SERVER_PORT"] = scope["server"]
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = scope["client"]
    environ["wsgi.url_scheme"] = scope["scheme"]
    return environ


def find_fault(environ: Environ) -> str | None:
    """Return what makes a head ambiguous, else None: a proxy could read it differently (RFC 9112 §3.2, §6.3)."""
    host = environ.get("HTTP_HOST", "")
    if "," in host or (not host and environ["SERVER_PROTOCOL"] == "HTTP/1.1"):
        return "One Host header is expected"
    length = environ.get("CONTENT_LENGTH")
    if length is None:
        return None
    if not (length.isascii() and length.isdecimal() and len(length) <= LONGEST_LENGTH):
        return "Content-Length must be one number"
    return "Send either Content-Length or Transfer-Encoding" if "HTTP_TRANSFER_ENCODING" in environ else None


def has_body(environ: Environ) -> bool:
    """Return whether a body follows the head."""
    if "CONTENT_LENGTH" in environ:
        return bool(environ["CONTENT_LENGTH"] != "0")
    # HTTP/2 sends bodies without either header.
    if environ["SERVER_PROTOCOL"] == "HTTP/2" and environ["REQUEST_METHOD"] not in READING:
        return True
    return "HTTP_TRANSFER_ENCODING" in environ


def _name_of(header: bytes) -> str:
    """Return the environment key of a header; empty for a header that could be mistaken for another."""
    text = header.decode("latin-1")
    if "_" in text:
        # X_Forwarded_For would get the key of X-Forwarded-For, which only a trusted proxy may set.
        return ""
    return _UNPREFIXED.get(text) or "HTTP_" + text.replace("-", "_").upper()
