"""Who calls with a third party's ID token: judged within the request, before its view begins.

See docs/reference/token-endpoint.md#third-party-id-tokens-at-the-apis.
"""

from flask import g, request

from changegate.api.envelopes import correlation_id, refusal
from changegate.api.oauth_clients import name_client, note_refusal
from changegate.errors import (
    AssertionRefused,
    ChangegateError,
    OAuthError,
    RateLimited,
    TemporarilyUnavailable,
    TokenRefused,
    TooManyFailures,
)
from changegate.extensions import db
from changegate.services.access.caller import Caller
from changegate.services.keys.key_store import key_store
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.id_token_rows import find_admitted_caller, find_known_caller, remember
from changegate.services.oauth.id_tokens import accept_id_token
from changegate.services.oauth.jwt_bearer_grant import refusing_replays
from changegate.services.oauth.subjects import find_named_user

# In the environment of a request in a batch: the exchange of the token that the batch came with; no header can set it.
ADMITTED = "changegate.admitted"


def find_id_token_caller(text: str) -> Caller:
    """Return whom a token acts as, and write the event of its first use.

    Raises `TokenRefused`, `RateLimited` after too many failures, and a 503 where its keys cannot be had.
    """
    admitted = request.environ.get(ADMITTED)
    found = find_known_caller(text) if admitted is None else find_admitted_caller(admitted)
    if found is None and admitted is None:
        found = _judge(text)
    if found is None or found.origin is None:
        raise TokenRefused
    # For the requests of a batch, and where this call runs again when its body is there.
    g.admitted = request.environ[ADMITTED] = found.origin.correlation_id
    return found


def inherited_admission() -> dict[str, str]:
    """Return what a request in a batch has in its environment: it is part of the call that its batch is."""
    return {ADMITTED: g.admitted} if "admitted" in g else {}


def _judge(text: str) -> Caller | None:
    attempt = Attempt(request.remote_addr, correlation_id())
    try:
        accepted = _accept(attempt, text)
    except OAuthError as problem:
        raise _refused(attempt, problem) from None
    return find_admitted_caller(accepted)


def _accept(attempt: Attempt, text: str) -> str:
    try:
        return _accept_once(attempt, text)
    except AssertionRefused as problem:
        if not _was_overtaken(attempt, problem):
            raise
    # The row of the call that was first is there now, and serves both.
    db.session.rollback()
    return _accept_once(attempt, text)


def _accept_once(attempt: Attempt, text: str) -> str:
    accepted = accept_id_token(attempt, text, key_store().asked_by(attempt.address), name_client=name_client)
    with refusing_replays(attempt):
        db.session.commit()
    exchange = attempt.exchange
    if exchange is not None and exchange.verified is not None and exchange.client.policy.allows_reuse:
        remember(text, exchange.client, find_named_user(exchange.client, exchange.verified))
    return accepted


def _was_overtaken(attempt: Attempt, problem: AssertionRefused) -> bool:
    """Tell whether another call brought, at this moment, the same token, which may come more than once."""
    may_come_again = attempt.exchange is not None and attempt.exchange.client.policy.allows_reuse
    return may_come_again and problem.reason == "jti_replayed"


def _refused(attempt: Attempt, problem: OAuthError) -> ChangegateError:
    """Count a failure, write its event, and return what the caller is told."""
    problem = note_refusal(attempt, problem)
    # Its event has been written, with more than the answer says.
    g.has_event = True
    if isinstance(problem, TooManyFailures):
        return RateLimited(problem.retry_after)
    if isinstance(problem, TemporarilyUnavailable):
        return refusal(503, "Service unavailable", f"{problem.description}; try again")
    return TokenRefused()
