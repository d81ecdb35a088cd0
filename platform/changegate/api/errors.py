"""The registrar of errors for machines; everything outside the APIs goes on to the console's."""

import logging
from collections.abc import Callable

from flask import Flask, Response, request
from sqlalchemy.exc import DBAPIError, OperationalError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from changegate.api.envelopes import correlation_id, oauth_fault, table_error, too_large
from changegate.errors import ChangegateError
from changegate.extensions import db

API_PREFIX = "/api/"
# The token endpoint answers its own refusals; what never becomes one, such as a wrong method, is answered here.
OAUTH_PREFIX = "/oauth"
MACHINE_PREFIXES = (API_PREFIX, OAUTH_PREFIX, "/.well-known/", "/healthz", "/readyz")
log = logging.getLogger(__name__)


def register_error_envelopes(app: Flask, *, otherwise: Callable[[ChangegateError], Response]) -> None:
    """Answer every error in the envelope of its audience; `otherwise` renders it for people."""

    def render(error: Exception) -> Response:
        db.session.rollback()
        refused = _as_domain_error(error)
        is_for_people = not request.path.startswith(MACHINE_PREFIXES)
        response = otherwise(refused) if is_for_people else _machine_error(refused)
        if isinstance(error, MethodNotAllowed):
            response.allow.update(error.valid_methods or ())
        return response

    app.register_error_handler(Exception, render)


def _machine_error(error: ChangegateError) -> Response:
    return oauth_fault(error) if request.path.startswith(OAUTH_PREFIX) else table_error(error)


def _as_domain_error(error: Exception) -> ChangegateError:
    if isinstance(error, ChangegateError):
        return error
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, OperationalError):
        log.error("database unavailable, correlation id %s: %s", correlation_id(), type(error.orig).__name__)
        return _with_status(503, "Service unavailable", "The database is busy or away; try again")
    if isinstance(error, DBAPIError):
        # A DBAPIError's text carries the statement's parameters, which may be secrets.
        log.error("database error, correlation id %s: %s", correlation_id(), type(error.orig).__name__)
    else:
        log.error("unexpected error, correlation id %s", correlation_id(), exc_info=error)
    return _with_status(
        500, "Internal error", f"Tell the administrator the correlation id {correlation_id()}"
    )


def _of_http(error: HTTPException) -> ChangegateError:
    if isinstance(error, NotFound):
        status = 400 if request.path.startswith(API_PREFIX) else 404
        return _with_status(status, "Requested URI does not represent any resource", request.path)
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return _with_status(405, "Method not supported", f"{request.method} is not among {allowed}")
    if isinstance(error, RequestEntityTooLarge):
        return too_large(request.content_length, request.max_content_length or 0)
    return _with_status(error.code or 500, error.name, error.description)


def _with_status(status: int, message: str, detail: str | None) -> ChangegateError:
    error = ChangegateError(message, detail)
    error.status = status
    return error
