"""Callers who authenticate with a third-party ID token, which is verified before the view runs.

See docs/reference/token-endpoint.md#third-party-id-tokens-at-the-apis.
"""

from flask import g

from changegate.api.envelopes import correlation_id, refusal
from changegate.api.oauth_clients import name_client, note_refusal
from changegate.database import rollback
from changegate.errors import ChangegateError, RateLimited, TokenRefused
from changegate.oauth_errors import AssertionRefused, OAuthError, TemporarilyUnavailable, TooManyFailures
from changegate.services.access.caller import Caller
from changegate.services.keys.key_store import key_store
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.id_token_rows import find_admitted_caller, find_known_caller, remember
from changegate.services.oauth.id_tokens import accept_id_token
from changegate.services.oauth.jwt_bearer_grant import commit_exchange
from changegate.services.oauth.subjects import find_named_user
from changegate.unproxied import current_request

# Key of the WSGI environment: the correlation ID of the exchange that accepted the token of this call. A batch passes
# it to its requests. No header can set it.
ADMITTED = "changegate.admitted"


def find_id_token_caller(text: str) -> Caller:
    """Return the caller of an ID token; write the event of its first use.

    Raises `TokenRefused`, `RateLimited` after too many failures, and a 503 if its keys are unavailable.
    """
    sent = current_request()
    admitted = sent.environ.get(ADMITTED)
    known = find_known_caller(text) if admitted is None else find_admitted_caller(admitted)
    if known is None and admitted is None:
        known = _verify(text)
    if known is None or known.origin is None:
        raise TokenRefused
    # Read by the requests of a batch, and by the second run of this call, after its body arrived (`server/front.py`).
    g.admitted = sent.environ[ADMITTED] = known.origin.correlation_id
    return known


def inherited_admission() -> dict[str, str]:
    """Return the environment of a request in a batch: it shares the accepted ID token of the batch."""
    return {ADMITTED: g.admitted} if "admitted" in g else {}


def _verify(text: str) -> Caller | None:
    attempt = Attempt(current_request().remote_addr, correlation_id())
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
    # The other call has written its row by now; the second try finds it.
    rollback()
    return _accept_once(attempt, text)


def _accept_once(attempt: Attempt, text: str) -> str:
    accepted = accept_id_token(attempt, text, key_store(), name_client=name_client)
    commit_exchange(attempt)
    exchange = attempt.exchange
    if exchange is not None and exchange.verified is not None and exchange.client.policy.allows_reuse:
        remember(text, exchange.client, find_named_user(exchange.client, exchange.verified))
    return accepted


def _was_overtaken(attempt: Attempt, problem: AssertionRefused) -> bool:
    """Return whether a concurrent call used the same token, which the integration allows to be reused."""
    may_come_again = attempt.exchange is not None and attempt.exchange.client.policy.allows_reuse
    return may_come_again and problem.reason == "jti_replayed"


def _refused(attempt: Attempt, problem: OAuthError) -> ChangegateError:
    """Count a failure, write its event, and return the error for the caller."""
    problem = note_refusal(attempt, problem)
    # Stops `note_refused_call` from writing a second event with fewer details.
    g.has_event = True
    if isinstance(problem, TooManyFailures):
        return RateLimited(problem.retry_after)
    if isinstance(problem, TemporarilyUnavailable):
        return refusal(503, "Service unavailable", f"{problem.description}; try again")
    return TokenRefused()
