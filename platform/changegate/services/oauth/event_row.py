"""The row of `oauth_exchange`: the columns of an exchange, the first use of an ID token, and a refused call.

Later changes to a row are in `revocation`, `refresh_tokens`, `id_token_rows`, and `event_bounds`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changegate.oauth_errors import OAuthError
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.report import Report
from changegate.services.oauth.issuing import Exchange, IssuedToken

Columns = dict[str, Any]


@dataclass(slots=True, repr=False)
class Attempt:
    """A request that the event log records: its origin, and its exchange once the client is authenticated."""

    address: str | None
    correlation_id: str
    client_id: str | None = None
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RefusedCall:
    """A refused API call or login; `request` is its method and path, `user_name` the name of an existing user.

    The name of an unknown user is never stored, because it may be a password typed into the wrong field.
    """

    request: str
    reason: str
    detail: str | None = None
    user_name: str | None = None
    entity: str | None = None


def build_row(
    attempt: Attempt, outcome: IssuedToken | OAuthError | RefusedCall, happened_at: datetime, entity: str | None
) -> Columns:
    """Return the columns of an event's row by name; a missing column is NULL.

    The outcome is the token of an accepted exchange, the refusal of an exchange, or a refused call. `entity` is the
    integration of the event.
    """
    row: Columns = {
        "correlation_id": attempt.correlation_id,
        "happened_at": happened_at,
        "address": attempt.address,
        # Cut to the length of the column, like all text of the sender. SQLite would store longer text, but PostgreSQL
        # refuses it, and the event would be lost.
        "client_id": _shown(attempt.client_id, 100),
        "entity": entity,
        "is_accepted": isinstance(outcome, IssuedToken),
    }
    if isinstance(outcome, IssuedToken):
        row |= _of_exchange(outcome.exchange)
        row |= _of_token(outcome, happened_at)
    elif isinstance(outcome, OAuthError):
        row |= _of_refusal(outcome, attempt.exchange)
    else:
        row |= _of_call(outcome)
    return row


def _of_exchange(exchange: Exchange) -> Columns:
    if exchange.assertion is None:
        return {}
    return _of_assertion(exchange.assertion, exchange.client.policy.jti_claim, exchange.verified)


def _of_assertion(assertion: UnverifiedAssertion, jti_claim: str, verified: VerifiedAssertion | None) -> Columns:
    """Return the facts of an assertion, unverified if it was refused, as printable text."""
    # Only the digest is stored: it is enough to find the exchange that used the assertion first, however long the claim
    # is.
    digest = verified.replay_digest if verified else assertion.unverified_replay_digest(jti_claim)
    return {
        "kid": _shown(assertion.unverified_kid, 256),
        "algorithm": _shown(assertion.unverified_algorithm, 20),
        "issuer": _shown(assertion.unverified_issuer, 255),
        "subject": _shown(verified.subject if verified else assertion.unverified_subject, 255),
        "jti_digest": digest.hex(),
    }


def _of_report(report: Report) -> Columns:
    # `payload` is set only once the signature is verified, so that claims of a forged assertion are never stored.
    return {"rules": report.as_rows(), "claims": report.payload}


def _of_token(issued: IssuedToken, happened_at: datetime) -> Columns:
    exchange = issued.exchange
    columns: Columns = {
        # Unique, so that one assertion is exchanged for one token only.
        "replay_key": exchange.replay_key,
        "token_hash": issued.token_hash,
        "token_generation": issued.generation,
        "user": issued.user,
        "scope": issued.scope,
        "has_all_scopes": issued.has_all_scopes,
        "expires_at": happened_at + issued.lifespan,
        "refresh_token": exchange.refresh_token_id,
    }
    report = exchange.verified.report if exchange.verified else exchange.report
    if report is not None:
        columns |= _of_report(report)
        columns["would_refuse"] = report.would_refuse or None
    return columns


def _of_refusal(refusal: OAuthError, exchange: Exchange | None) -> Columns:
    columns: Columns = {"reason": refusal.reason, "detail": refusal.detail}
    report = refusal.report or (exchange and exchange.report)
    if isinstance(report, Report):
        columns |= _of_report(report)
    if exchange is not None:
        columns |= _of_exchange(exchange)
        if exchange.user_name is not None:
            # Set for existing users only. The text that was sent could be a password in the wrong field.
            columns["subject"] = exchange.user_name
    elif isinstance(refusal.assertion, UnverifiedAssertion):
        # The assertion with which the client tried to authenticate, so the integration's `jti_claim` does not apply.
        columns |= _of_assertion(refusal.assertion, "jti", None)
    return columns


def _of_call(call: RefusedCall) -> Columns:
    return {
        "request": _shown(call.request, 120),
        "reason": call.reason,
        "detail": _shown(call.detail, 500),
        "subject": _shown(call.user_name, 255),
    }


def _shown(text: str | None, length: int) -> str | None:
    return None if text is None else printable(text, length)
