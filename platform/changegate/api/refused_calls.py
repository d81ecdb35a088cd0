"""Events of refused API calls, which administrators find by `X-Request-Id`."""

import logging

from flask import g
from sqlalchemy.exc import SQLAlchemyError

from changegate.api.envelopes import correlation_id
from changegate.database import commit, rollback
from changegate.errors import (
    ChangegateError,
    NotAuthenticated,
    OperationFailed,
    RateLimited,
    ScopeMissing,
    TokenRefused,
)
from changegate.extensions import now
from changegate.services.oauth.event_row import Attempt, RefusedCall
from changegate.services.oauth.events import record_refused_call
from changegate.services.oauth.refused_tokens import RefusedToken, explain_token
from changegate.services.scopes.rules import name_missing_scopes
from changegate.unproxied import current_request

# The views of the OAuth endpoints write their own events; only refusals before a view are written here.
EVENT_PREFIXES = ("/api/", "/oauth/", "/oauth_")
log = logging.getLogger(__name__)


def note_refused_call(error: ChangegateError) -> None:
    """Write the event of a refused call or a failure limit, with the missing scope, unless the log is rate-limited.

    A refused ID token already has its event.
    """
    is_refusal = error.status in (401, 403) or isinstance(error, RateLimited | OperationFailed)
    if not is_refusal or "has_event" in g or not current_request().path.startswith(EVENT_PREFIXES):
        return
    try:
        if isinstance(error, ScopeMissing):
            error.detail = name_missing_scopes(error.calls, g.caller.grant.scope.split())
        _record(error)
        commit()
    except SQLAlchemyError as problem:
        # The database is unavailable. The refusal is sent in any case.
        rollback()
        log.warning("no event for the refusal %s: %s", correlation_id(), type(problem).__name__)


def _record(error: ChangegateError) -> None:
    sent = current_request()
    token = _find_token(error)
    attempt = Attempt(sent.remote_addr, correlation_id(), token.client_id)
    call = RefusedCall(
        request=f"{sent.method} {sent.path}",
        reason=token.reason or error.reason,
        detail=None if isinstance(error, NotAuthenticated) else error.detail or error.message,
        user_name=token.user_name or (error.user_name if isinstance(error, NotAuthenticated) else None),
        entity=token.entity,
    )
    record_refused_call(attempt, call, now())


def _find_token(error: ChangegateError) -> RefusedToken:
    """Return the details of the token of a call; without fields if the call had none or it is unknown."""
    if "caller" in g:
        grant, origin = g.caller.grant, g.caller.origin
        of_client = (grant.entity, origin.client_id) if grant and origin else (None, None)
        return RefusedToken(None, g.caller.user_name, *of_client)
    credentials = current_request().authorization
    token = credentials.token if credentials and isinstance(error, TokenRefused) else None
    return explain_token(token) if token else RefusedToken()
