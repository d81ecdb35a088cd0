"""Refused API calls as events, so that administrators find each one by its `X-Request-Id`."""

import logging

from flask import g
from sqlalchemy.exc import SQLAlchemyError

from changegate.api.current_request import current_request
from changegate.api.envelopes import correlation_id
from changegate.database import commit, rollback
from changegate.errors import ChangegateError, NotAuthenticated, RateLimited, ScopeMissing, TokenRefused
from changegate.extensions import now
from changegate.services.oauth.event_row import Attempt, RefusedCall
from changegate.services.oauth.events import record_refused_call
from changegate.services.oauth.refused_tokens import RefusedToken, explain_token
from changegate.services.scopes.rules import name_missing_scopes

# Of the OAuth endpoints, only what is refused before a view arrives here: the views write their own events.
EVENT_PREFIXES = ("/api/", "/oauth/", "/oauth_")
log = logging.getLogger(__name__)


def note_refused_call(error: ChangegateError) -> None:
    """Write the event of a 401 or 403, or of a limit on failures, if the log has room; name the scope that is missing.

    A refused ID token has its event already.
    """
    is_refusal = error.status in (401, 403) or isinstance(error, RateLimited)
    if not is_refusal or "has_event" in g or not current_request().path.startswith(EVENT_PREFIXES):
        return
    try:
        if isinstance(error, ScopeMissing):
            error.detail = name_missing_scopes(error.calls, g.caller.grant.scope.split())
        _record(error)
        commit()
    except SQLAlchemyError as problem:
        # The integration was deleted at this moment, or the database is away: the caller is refused all the same.
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
    """Return what is known of the token that a call came with, which may be nothing."""
    if "caller" in g:
        grant, origin = g.caller.grant, g.caller.origin
        of_client = (grant.entity, origin.client_id) if grant and origin else (None, None)
        return RefusedToken(None, g.caller.user_name, *of_client)
    credentials = current_request().authorization
    token = credentials.token if credentials and isinstance(error, TokenRefused) else None
    return explain_token(token) if token else RefusedToken()
