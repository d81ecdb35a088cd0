"""The event log: the decisions of the token endpoint and their reasons, never a token or an assertion.

Functions named `record_*` only register the row with the unit of work; the caller's commit writes it, and raises the
errors that they name (decision 0011).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.database.cleanup import is_time_to_clean_up
from changegate.database.prepared import Prepared, is_broken_reference
from changegate.errors import AssertionRefused, InvalidClient, OAuthError
from changegate.models import OAuthEntity, OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.report import Report, RuleResult, read_rows
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.clients import find_entity
from changegate.services.oauth.event_bounds import event_bounds, write_counts
from changegate.services.oauth.exchange_figures import purge_figures
from changegate.services.oauth.issuing import Exchange

# The time of the last exchange is stored with this precision, so that an integration is written once a day at most.
LAST_EXCHANGE_PRECISION = timedelta(days=1)

# Must be longer than the lifetime of any token or assertion: tokens are found by these rows, and replays detected.
KEPT_FOR = timedelta(days=30)
_INSERT = Prepared(insert(OAuthExchange.__table__), OAuthExchange.__table__.columns.keys())


@dataclass(slots=True, repr=False)
class Attempt:
    """A request to the token endpoint: its origin, and its progress so far."""

    address: str | None
    correlation_id: str
    client_id: str | None = None
    exchange: Exchange | None = field(default=None)


@dataclass(frozen=True, slots=True, repr=False)
class RefusedCall:
    """A refused API call or login; `request` is its method and path, `user_name` the name of an existing user.

    The name of an unknown user is never stored, because it may be a password typed into the wrong field.
    """

    address: str | None
    correlation_id: str
    request: str
    reason: str
    detail: str | None = None
    user_name: str | None = None
    client_id: str | None = None
    entity: str | None = None


def record_accepted(attempt: Attempt, issued: IssuedToken, happened_at: datetime) -> None:
    """Write an exchange and its token with the commit, which raises `AssertionRefused` if the replay key exists.

    The INSERT decides, so that exactly one of several processes succeeds.
    """
    _purge_now_and_then(happened_at)
    exchange = attempt.exchange
    replay_key = exchange.replay_key if exchange else None
    row = _row(attempt, happened_at) | issued.kept | {"is_accepted": True, "assertion_claim": replay_key}
    report = exchange and (exchange.verified.report if exchange.verified else exchange.report)
    if report:
        row |= _judged(report) | {"would_refuse": report.would_refuse or None}
    row["expires_at"] = happened_at + issued.lifespan
    _INSERT.execute_with_commit(row, explain=lambda problem: _explain(attempt, problem))


def _explain(attempt: Attempt, problem: IntegrityError) -> Exception:
    """Return the refusal for a constraint that the INSERT violated; called within the commit."""
    if is_broken_reference(problem):
        # The integration or its user has just been deleted. The event of this refusal must not refer to them, or it
        # would violate the same constraint.
        attempt.exchange = None
        return InvalidClient("client_unknown")
    report = attempt.exchange.verified.report if attempt.exchange and attempt.exchange.verified else Report()
    report.add(("replay", "jti_replayed", "not seen before", "seen before"))
    return AssertionRefused("jti_replayed", report=report)


def record_refused(attempt: Attempt, refusal: OAuthError, happened_at: datetime) -> None:
    """Write the event of a refusal and its rules with the commit, if the limits of the log allow it.

    The commit raises `InvalidClient` if the integration has just been deleted.
    """
    verdict = {"is_accepted": False, "reason": refusal.reason, "detail": refusal.detail}
    report = refusal.report or (attempt.exchange and attempt.exchange.report)
    if isinstance(report, Report):
        verdict |= _judged(report)
    row = _row(attempt, happened_at) | verdict
    if attempt.exchange is not None and attempt.exchange.user_name is not None:
        row["subject"] = attempt.exchange.user_name
    if attempt.exchange is None:
        # The client id is unverified, because the client did not authenticate.
        row["entity"] = find_entity(attempt.client_id)
        if isinstance(refusal.assertion, UnverifiedAssertion):
            row |= _facts(refusal.assertion, "jti", None)
    _write_refusal(row, happened_at)


def record_refused_call(call: RefusedCall, happened_at: datetime) -> None:
    """Write the event of a refused API call or login with the commit, if the limits of the log allow it.

    The commit raises `InvalidClient` if the integration has just been deleted.
    """
    row = {
        "happened_at": happened_at,
        "correlation_id": call.correlation_id,
        "address": call.address,
        "request": _shown(call.request, 120),
        "is_accepted": False,
        "reason": call.reason,
        "detail": _shown(call.detail, 500),
        "subject": _shown(call.user_name, 255),
        "client_id": call.client_id,
        "entity": call.entity,
    }
    _write_refusal(row, happened_at)


def _write_refusal(row: dict[str, Any], at: datetime) -> None:
    write_counts(at)
    if not event_bounds().has_room(row["address"], row["entity"], row["correlation_id"], at):
        return
    _purge_now_and_then(at)
    # Nothing depends on the durability of a refusal: a flood of them must not make other callers wait for fsync.
    _INSERT.execute_with_commit(row, explain=lambda _: InvalidClient("client_unknown"), must_last=False)


def _judged(report: Report) -> dict[str, Any]:
    return {"rules": report.as_rows(), "claims": report.payload}


def report_of(event: OAuthExchange) -> list[RuleResult]:
    """Return the results of all rules that were checked in an exchange."""
    return read_rows(event.rules or ())


def claims_of(event: OAuthExchange) -> dict[str, Any] | None:
    """Return the claims of an exchange's assertion if its signature was verified, else None."""
    claims: dict[str, Any] | None = event.claims
    return claims


def purge_expired(at: datetime) -> None:
    """Delete old exchanges, after storing on their integrations when these were last used."""
    oldest_kept = earliest_correlation_id(at - KEPT_FOR)
    note_last_exchanges(oldest_kept)
    connection().execute(delete(OAuthExchange).where(OAuthExchange.correlation_id < oldest_kept))
    purge_figures(oldest_kept)


def _purge_now_and_then(at: datetime) -> None:
    if is_time_to_clean_up():
        purge_expired(at)


def _row(attempt: Attempt, happened_at: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "happened_at": happened_at,
        "correlation_id": attempt.correlation_id,
        "address": attempt.address,
        "client_id": _shown(attempt.client_id, 100),
        "entity": None,
    }
    exchange = attempt.exchange
    if exchange is not None:
        row["entity"] = exchange.client.entity
        if exchange.assertion is not None:
            row |= _facts(exchange.assertion, exchange.client.policy.jti_claim, exchange.verified)
    return row


def _facts(assertion: UnverifiedAssertion, jti_claim: str, verified: VerifiedAssertion | None) -> dict[str, str | None]:
    """Return the columns that describe an assertion, unverified if it was refused, and printable in any case."""
    digest = verified.replay_digest if verified else assertion.unverified_replay_digest(jti_claim)
    return {
        "kid": _shown(assertion.unverified_kid, 256),
        "algorithm": _shown(assertion.unverified_algorithm, 20),
        "issuer": _shown(assertion.unverified_issuer, 255),
        "subject": _shown(verified.subject if verified else assertion.unverified_subject, 255),
        "jti_digest": digest.hex(),
    }


def _shown(text: str | None, length: int) -> str | None:
    return None if text is None else printable(text, length)


def note_last_exchanges(oldest_kept: str) -> None:
    """Store on each integration the latest of its accepted exchanges that are about to be deleted.

    `oldest_kept` is the smallest correlation id that stays in the log.
    """
    exchange = OAuthExchange
    latest = func.max(exchange.happened_at)
    to_delete = (
        select(OAuthEntity.sys_id, OAuthEntity.last_exchange_at.label("noted"), latest.label("latest"))
        .join(exchange, exchange.entity == OAuthEntity.sys_id)
        .where(exchange.correlation_id < oldest_kept, exchange.is_accepted)
        .group_by(OAuthEntity.sys_id, OAuthEntity.last_exchange_at)
    )
    noted = OAuthEntity.last_exchange_at
    for row in connection().execute(to_delete).all():
        if row.noted is None or row.noted <= row.latest - LAST_EXCHANGE_PRECISION:
            # Compared again in the UPDATE, because another process may have stored a later time since the SELECT.
            is_older = (OAuthEntity.sys_id == row.sys_id, or_(noted.is_(None), noted < row.latest))
            connection().execute(update(OAuthEntity).where(*is_older).values(last_exchange_at=row.latest))
