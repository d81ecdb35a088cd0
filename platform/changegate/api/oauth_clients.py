"""Client authentication, failure limits, and error responses of the OAuth endpoints."""

from flask import Response

from changegate.api.envelopes import oauth_error, servicenow_oauth_error
from changegate.database import commit, rollback
from changegate.errors import RateLimited
from changegate.extensions import limiter, now
from changegate.oauth_errors import InvalidClient, OAuthError, TemporarilyUnavailable, TooManyFailures, UserRefused
from changegate.services.keys.key_store import key_store
from changegate.services.oauth.client_assertions import authenticate_by_assertion
from changegate.services.oauth.client_authentication import ClientCredentials, authenticate_client
from changegate.services.oauth.clients import Client
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.events import record_refused
from changegate.unproxied import current_request

SERVICENOW_SUFFIX = ".do"
# The bucket of failures without an authenticated client; client IDs cannot have this form.
NO_CLIENT = "no proven client"
# Refusals that do not count for the named client: it may not exist, or the secret was counted as a guess already.
NOT_OF_ONE_CLIENT = frozenset({"client_unknown", "client_unproven", "client_secret_bad"})


def prove_client(credentials: ClientCredentials, assertion: str | None = None) -> Client:
    """Return the client of a request, authenticated or public; raises `InvalidClient`.

    `assertion` is the assertion of a grant; it identifies a public client that sends no client ID.
    """
    if credentials.assertion is not None:
        return authenticate_by_assertion(credentials, key_store())
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
    """Count the failure, write its event, and return the error in the style of the path."""
    refusal = note_refusal(attempt, refusal)
    render = servicenow_oauth_error if current_request().path.endswith(SERVICENOW_SUFFIX) else oauth_error
    return render(refusal)


def note_refusal(attempt: Attempt, refusal: OAuthError) -> OAuthError:
    """Count a failure and write its event; return the error to send, which is `TooManyFailures` over the limit."""
    rollback()
    refusal = _counted(attempt, refusal)
    record_refused(attempt, refusal, now())
    commit()
    return refusal


def _counted(attempt: Attempt, refusal: OAuthError) -> OAuthError:
    """Count a failure; return the refusal, or `TooManyFailures` after too many without an authenticated client.

    Failures without an authenticated client share one bucket, whether the client ID exists or not: otherwise invented
    IDs would never be limited, or the limit would reveal which IDs exist. Authenticated clients are not affected. Wrong
    passwords and secrets have already been counted as guesses.
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
