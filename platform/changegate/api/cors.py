"""Cross-origin requests: refused writes, preflight responses, and CORS headers.

After a Basic login, a browser sends the credentials with every request, including forms of other sites. A write with
credentials that browsers add automatically must therefore come from this origin or from one listed in the settings.
"""

import re
from urllib.parse import urlsplit

from flask import Flask, Request, Response

from changegate.config import Settings
from changegate.errors import AccessRefused
from changegate.extensions import SAFE_METHODS
from changegate.unproxied import current_request, request_context

PREFIX = "/api/"
# ServiceNow's clients revoke a token by GET; no other GET writes.
WRITTEN_BY_GET = ("/oauth_revoke_token.do", "/oauth_revoke.do")
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    "Authorization, Accept, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-HTTP-Method-Override, "
    "X-no-response-body, X-WantSessionDebugMessages"
)
EXPOSED_HEADERS = (
    "X-Total-Count, Link, Location, ETag, Retry-After, X-Request-Id, X-Attachment-Metadata, X-Changegate-Ignored-Fields"
)
MAX_AGE_SECONDS = "600"


def register_cors(app: Flask, settings: Settings) -> None:
    """Refuse writes from origins that are not in the setting, and let scripts of the listed origins read every API.

    Access-Control-Allow-Credentials is never sent: no API accepts cookies, and an Authorization header that a script
    sets does not need it.
    """
    # Without origins, "(?!)" matches nothing; an empty pattern would match an empty Origin.
    known = re.compile("|".join(map(_pattern, settings.cors_origins)) or "(?!)")

    def refuse_foreign_writes() -> None:
        sent = current_request()
        if _carries_ambient_login(sent) and _is_write(sent) and _is_foreign(sent, settings, known):
            raise AccessRefused(
                "Operation Failed",
                "A page of another origin may not write here. Add its origin to CHANGEGATE_CORS_ORIGINS to allow it.",
            )

    # On the application, so that it covers every blueprint.
    app.before_request(refuse_foreign_writes)
    if settings.cors_origins:
        _add_cors_headers(app, known)


def _is_write(sent: Request) -> bool:
    return sent.method not in SAFE_METHODS or sent.path in WRITTEN_BY_GET


def _carries_ambient_login(sent: Request) -> bool:
    """Return whether a browser may have added credentials: a cookie or Basic. Only scripts send Bearer tokens."""
    authorization: str | None = sent.environ.get("HTTP_AUTHORIZATION")
    if authorization is not None and not authorization.lower().startswith("bearer "):
        return True
    return "HTTP_COOKIE" in sent.environ


def _is_foreign(sent: Request, settings: Settings, known: re.Pattern[str]) -> bool:
    """Return whether a page of another origin sent a request; programs other than browsers send neither header.

    Pages cannot set Sec-Fetch-Site, so if it is present, it decides. Otherwise Origin is compared with the address of
    the request and with the base URL, which differ behind a proxy.
    """
    origin: str | None = sent.environ.get("HTTP_ORIGIN")
    site: str = sent.environ.get("HTTP_SEC_FETCH_SITE", "none").strip().lower()
    if origin is not None and known.fullmatch(origin):
        return False
    # `same-site` is foreign as well: another host of the same domain may be less protected.
    if site != "none":
        return site != "same-origin"
    return origin is not None and origin.lower() not in _own_origins(sent, settings)


def _own_origins(sent: Request, settings: Settings) -> tuple[str, str]:
    base = urlsplit(settings.base_url)
    return f"{sent.scheme}://{sent.host}".lower(), f"{base.scheme}://{base.netloc}".lower()


def _add_cors_headers(app: Flask, known: re.Pattern[str]) -> None:
    def let_origin_read(response: Response) -> Response:
        sent = current_request()
        if sent.path.startswith(PREFIX):
            # For all origins: without it, a cache could give the response for one origin to another.
            response.vary.add("Origin")
            origin = sent.headers.get("Origin", "")
            if known.fullmatch(origin):
                _add_headers(response, origin)
        return response

    app.after_request(let_origin_read)


def answer_options() -> Response:
    """Answer OPTIONS with the allowed methods, without authentication."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    adapter = request_context().url_adapter
    response.allow.update(adapter.allowed_methods() if adapter else ())
    return response


def _pattern(origin: str) -> str:
    # A star matches one label of the host: https://*.example.com does not match https://a.b.example.com.
    return re.escape(origin).replace(r"\*", "[a-z0-9-]+")


def _add_headers(response: Response, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if current_request().method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = MAX_AGE_SECONDS
