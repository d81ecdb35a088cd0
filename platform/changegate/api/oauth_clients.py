"""What the endpoints for OAuth clients share: who is asking, failures that are counted, and refusals."""

from flask import Response, request
from sqlalchemy.exc import IntegrityError

from changegate.api.envelopes import oauth_error, servicenow_oauth_error
from changegate.database import commit, rollback
from changegate.errors import (
    InvalidClient,
    OAuthError,
    RateLimited,
    TemporarilyUnavailable,
    TooManyFailures,
    UserRefused,
)
from changegate.extensions import limiter, now
from changegate.services.keys.key_store import key_store
from changegate.services.oauth.client_assertions import authenticate_by_assertion
from changegate.services.oauth.clients import Client, ClientCredentials, authenticate_client
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.events import record_refused

SERVICENOW_SUFFIX = ".do"
# Names that no client id has, for failures that are not one client's.
NO_CLIENT = "no proven client"
# Refusals that do not count for the client that they name: it may not exist, or its secret was counted as a guess.
NOT_OF_ONE_CLIENT = frozenset({"client_unknown", "client_unproven", "client_secret_bad"})


def prove_client(credentials: ClientCredentials, assertion: str | None = None) -> Client:
    """Return the client of a request, which has proved itself or is public; raises `InvalidClient`.

    `assertion` is that of a grant, by which a public client without an id is found.
    """
    if credentials.assertion is not None:
        return authenticate_by_assertion(credentials, key_store().asked_by(request.remote_addr))
    return authenticate_client(credentials, assertion)


def name_client(attempt: Attempt, client_id: str | None) -> None:
    """Set the client of a request, authenticated or not; raises `TooManyFailures` if it has failed too often."""
    attempt.client_id = client_id
    if client_id is not None and (limited := _find_limit(attempt, client_id)):
        raise limited


def _find_limit(attempt: Attempt, bucket: str) -> TooManyFailures | None:
    try:
        limiter.require_room_to_fail(attempt.address or "", bucket)
    except RateLimited as limited:
        return TooManyFailures(limited.retry_after)
    return None


def refuse(attempt: Attempt, refusal: OAuthError) -> Response:
    """Count the failure, write its event and answer in the style of the path."""
    refusal = note_refusal(attempt, refusal)
    render = servicenow_oauth_error if request.path.endswith(SERVICENOW_SUFFIX) else oauth_error
    return render(refusal)


def note_refusal(attempt: Attempt, refusal: OAuthError) -> OAuthError:
    """Count a failure and write its event; return what to answer, which may be that there were too many."""
    rollback()
    refusal = _counted(attempt, refusal)
    record_refused(attempt, refusal, now())
    try:
        commit()
    except IntegrityError:
        # Of an integration that is gone nothing can be told but that it was asked for.
        rollback()
        attempt.exchange = None
        record_refused(attempt, refusal, now())
        commit()
    return refusal


def _counted(attempt: Attempt, refusal: OAuthError) -> OAuthError:
    """Count a failure, and return the refusal or, where no client proved itself too often, that of the limit.

    Failures without a proven client share one bucket whether the client exists or not: names that are made up would
    be free tries, and a bucket for real ones alone would tell which are real. No proven client is held up by it. Wrong
    passwords and secrets have been counted as guesses already.
    """
    if isinstance(refusal, TooManyFailures | TemporarilyUnavailable | UserRefused):
        return refusal
    if attempt.exchange is None:
        if limited := _find_limit(attempt, NO_CLIENT):
            return limited
        limiter.count(attempt.address or "", NO_CLIENT)
    is_of_known_client = isinstance(refusal, InvalidClient) and refusal.reason not in NOT_OF_ONE_CLIENT
    if attempt.client_id is not None and (attempt.exchange is not None or is_of_known_client):
        limiter.count(attempt.address or "", attempt.client_id)
    return refusal
