"""Browsers of other origins: pre-flight answers and CORS headers, for the origins that a setting names."""

import re

from flask import Flask, Response, request
from flask.globals import request_ctx

from changegate.config import Settings

PREFIX = "/api/"
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    "Authorization, Accept, Content-Type, Idempotency-Key, X-HTTP-Method-Override, X-no-response-body, "
    "X-WantSessionDebugMessages"
)
EXPOSED_HEADERS = "X-Total-Count, Link, Location, Retry-After, X-Request-Id, X-Attachment-Metadata"
MAX_AGE_SECONDS = "600"


def register_cors(app: Flask, settings: Settings) -> None:
    """Let the scripts of the named origins read the answers of every API.

    Credentials are never allowed: no API takes a cookie, and an Authorization header needs no such leave.
    """
    if not settings.cors_origins:
        return
    known = re.compile("|".join(_pattern(origin) for origin in settings.cors_origins))

    def let_origin_read(response: Response) -> Response:
        if request.path.startswith(PREFIX):
            response.vary.add("Origin")
            origin = request.headers.get("Origin", "")
            if known.fullmatch(origin):
                _add_headers(response, origin)
        return response

    app.after_request(let_origin_read)


def answer_options() -> Response:
    """Answer OPTIONS with the methods there are; nobody needs to say who he is for that."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    adapter = request_ctx.url_adapter
    response.allow.update(adapter.allowed_methods() if adapter else ())
    return response


def _pattern(origin: str) -> str:
    # A star stands for one part of the host: https://*.example.com is not https://a.b.example.com.
    return re.escape(origin).replace(r"\*", "[a-z0-9-]+")


def _add_headers(response: Response, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = MAX_AGE_SECONDS
