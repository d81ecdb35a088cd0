"""Error handlers of the APIs; errors outside the APIs are passed to the console's."""

import errno
import logging
from collections.abc import Callable

from flask import Flask, Response
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from changegate.api.envelopes import correlation_id, error_headers, oauth_fault, refusal, table_error, too_large
from changegate.api.refused_calls import note_refused_call
from changegate.database import find_interruption, is_interrupted, kind_of, rollback
from changegate.database.prepared import is_broken_reference
from changegate.errors import ChangegateError, OperationFailed, RequestUnreadable
from changegate.unproxied import current_request

API_PREFIX = "/api"
# The token endpoint renders its own refusals. Errors before that, such as a wrong method, are rendered here.
OAUTH_PREFIX = "/oauth"
# The server lacks disk space, open files, or memory, until other requests release theirs or an administrator helps.
EXHAUSTED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
MACHINE_PREFIXES = (API_PREFIX, OAUTH_PREFIX, "/.well-known/", "/healthz", "/readyz")
log = logging.getLogger(__name__)


def register_error_envelopes(app: Flask, *, otherwise: Callable[[ChangegateError], Response]) -> None:
    """Render every error in the envelope of its API; `otherwise` renders it as a page."""

    def render(error: Exception) -> Response:
        # First, because the event of the refusal is committed below, and would take the writes of the failed request
        # with it.
        rollback()
        refused = _as_domain_error(error)
        note_refused_call(refused)
        is_for_people = not current_request().path.startswith(MACHINE_PREFIXES)
        response = _page_of(refused, otherwise) if is_for_people else _machine_error(refused)
        if isinstance(error, MethodNotAllowed):
            response.allow.update(error.valid_methods or ())
        return response

    app.register_error_handler(Exception, render)


def _page_of(error: ChangegateError, render: Callable[[ChangegateError], Response]) -> Response:
    page = render(error)
    page.headers.update(error_headers(error, error.status))
    return page


def _machine_error(error: ChangegateError) -> Response:
    return oauth_fault(error) if current_request().path.startswith(OAUTH_PREFIX) else table_error(error)


def _as_domain_error(error: Exception) -> ChangegateError:
    if isinstance(error, ChangegateError):
        return error
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, OperationalError | PoolExhausted):
        cause = getattr(error, "orig", None) or error
        if is_interrupted(cause):
            return find_interruption()
        if _is_beyond_limits(cause):
            return RequestUnreadable("The request exceeds a limit of the database; request less at once")
        log.error("database unavailable, correlation ID %s: %s", correlation_id(), kind_of(cause))
        detail = f"The database is busy or unavailable. Try again. The correlation ID is {correlation_id()}."
        return refusal(503, "Service unavailable", detail)
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        log.error("the server is exhausted, correlation ID %s: %s", correlation_id(), error.strerror)
        detail = f"The server has no room for the request. Try again. The correlation ID is {correlation_id()}."
        return refusal(503, "Service unavailable", detail)
    # StatementError comes after its subclasses, which have more specific responses.
    if isinstance(error, DataError):
        return RequestUnreadable("A value cannot be stored")
    if isinstance(error, IntegrityError) and is_broken_reference(error):
        # Such as the user whose request this is.
        return OperationFailed("A record that the request refers to was deleted meanwhile")
    if isinstance(error, StatementError):
        # Not its text, which may contain the parameters of the statement.
        log.error("database error, correlation ID %s: %s", correlation_id(), kind_of(error))
    else:
        log.error("unexpected error, correlation ID %s", correlation_id(), exc_info=error)
    return refusal(500, "Internal error", f"Ask the administrator about the correlation ID {correlation_id()}")


_TOO_MUCH = ("Expression tree is too large", "too many", "at most", "no query solution")


def _is_beyond_limits(problem: BaseException) -> bool:
    """Return whether a statement exceeded the limits of the database; a retry would not help."""
    # PostgreSQL has a class of SQLSTATE codes for this, SQLite only messages.
    state = getattr(problem, "sqlstate", None) or ""
    return state.startswith("54") or str(problem).startswith(_TOO_MUCH)


def _of_http(error: HTTPException) -> ChangegateError:
    sent = current_request()
    if isinstance(error, NotFound):
        status = 400 if sent.path.startswith(API_PREFIX) else 404
        return refusal(status, "Requested URI does not represent any resource", sent.path)
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return refusal(405, "Method not supported", f"Send one of {allowed} instead of {sent.method}.")
    if isinstance(error, RequestEntityTooLarge):
        return too_large(sent.content_length, sent.max_content_length or 0)
    return refusal(error.code or 500, error.name, error.description)
