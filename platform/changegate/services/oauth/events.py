"""The event log: the decisions of the token endpoint and their reasons, never a token or an assertion.

Functions named `record_*` only register the row with the unit of work; the caller's commit writes it, and raises
`IntegrityError` if the database rejects it (decision 0011).
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update

from changegate.database import connection
from changegate.database.cleanup import ROWS_AT_ONCE
from changegate.database.dialects import lock_number
from changegate.database.prepared import Prepared
from changegate.extensions import settings
from changegate.models import OAuthEntity, OAuthExchange, OAuthExchangeWatermark, OAuthThinnedExchange
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.oauth_errors import OAuthError
from changegate.services.assertions.hints import find_hint
from changegate.services.assertions.report import RuleResult, read_rows
from changegate.services.jobs.cleanups import cleans_up
from changegate.services.oauth.clients import find_entity
from changegate.services.oauth.event_bounds import event_bounds, write_counts
from changegate.services.oauth.event_row import Attempt, Columns, RefusedCall, build_row
from changegate.services.oauth.exchange_figures import purge_figures
from changegate.services.oauth.exchange_log import KEPT_COLUMNS, LoggedExchange, keep_thinned
from changegate.services.oauth.issuing import IssuedToken

# The time of the last exchange is stored with this precision, so that an integration is written once a day at most.
LAST_EXCHANGE_PRECISION = timedelta(days=1)
# Any number that no other advisory lock uses. Two transactions that delete the same events, such as those of a job and
# of `changegate purge`, would lock them in any order, and PostgreSQL would end one of them.
PURGE_LOCK = 0x6576656E74

_INSERT = Prepared(insert(OAuthExchange.__table__), OAuthExchange.__table__.columns.keys())


def record_accepted(attempt: Attempt, issued: IssuedToken, happened_at: datetime) -> None:
    """Write an exchange and its token with the commit, for which the caller uses `commit_exchange`."""
    _INSERT.execute_with_commit(build_row(attempt, issued, happened_at, issued.exchange.client.entity))


def record_refused(attempt: Attempt, refusal: OAuthError, happened_at: datetime) -> None:
    """Write the event of a refusal and its rules with the commit, if the limits of the log allow it."""
    # Without an exchange, the client did not authenticate: its client id is unverified.
    exchange = attempt.exchange
    entity = find_entity(attempt.client_id) if exchange is None else exchange.client.entity
    _write_refusal(build_row(attempt, refusal, happened_at, entity), happened_at)


def record_refused_call(attempt: Attempt, call: RefusedCall, happened_at: datetime) -> None:
    """Write the event of a refused API call or login with the commit, if the limits of the log allow it."""
    _write_refusal(build_row(attempt, call, happened_at, call.entity), happened_at)


def _write_refusal(row: Columns, at: datetime) -> None:
    # Before this request writes: the counts have a transaction of their own, which on SQLite would wait in vain for
    # this one.
    write_counts(at)
    if not event_bounds().has_room(row["address"], row["entity"], row["correlation_id"], at):
        return
    _INSERT.execute_with_commit(row)


def report_of(event: OAuthExchange) -> list[RuleResult]:
    """Return the results of all rules that were checked in an exchange."""
    return read_rows(event.rules or ())


def advice_of(event: OAuthExchange) -> list[str]:
    """Return advice for a refusal, or for report-only conditions that failed."""
    # The hint of a rule may be more precise than the remedy for its reason.
    hints = [rule.hint for rule in report_of(event) if not rule.passed] or [find_hint(event.reason, None, None)]
    return [hint for hint in dict.fromkeys(hints) if hint]


def claims_of(event: OAuthExchange) -> dict[str, Any] | None:
    """Return the claims of an exchange's assertion if its signature was verified, else None."""
    claims: dict[str, Any] | None = event.claims
    return claims


def _oldest_kept(at: datetime) -> str:
    return earliest_correlation_id(at - timedelta(days=settings().event_retention_days))


def _oldest_with_report(at: datetime) -> str:
    return earliest_correlation_id(at - timedelta(days=settings().report_retention_days))


def _end_of_batch(correlation_id: Any, *due: ColumnElement[bool]) -> str | None:
    """Return the correlation ID of the first due event that is too many for one batch."""
    beyond = select(correlation_id).where(*due).order_by(correlation_id).offset(ROWS_AT_ONCE)
    end: str | None = connection().execute(beyond.limit(1)).scalar()
    return end


def _count(exchange: Any, *due: ColumnElement[bool]) -> int:
    return connection().execute(select(func.count()).select_from(exchange).where(*due)).scalar_one()


@cleans_up(
    "oauth.purge_exchanges",
    "events",
    lambda at: _count(LoggedExchange, LoggedExchange.correlation_id < _oldest_kept(at)),
)
def purge_expired(at: datetime) -> bool:
    """Delete up to twice `ROWS_AT_ONCE` old exchanges, after storing on their integrations when these were last used.

    Returns whether there may be more.
    """
    oldest_kept, tables = _oldest_kept(at), (OAuthThinnedExchange, OAuthExchange)
    ends = [_end_of_batch(table.correlation_id, table.correlation_id < oldest_kept) for table in tables]
    next_batch = min(filter(None, ends), default=None)
    oldest_kept = next_batch or oldest_kept
    lock_number(PURGE_LOCK)
    # Before the DELETE, and in its transaction. Otherwise, an integration that is rarely used would appear as never
    # used.
    note_last_exchanges(oldest_kept)
    for table in tables:
        connection().execute(delete(table).where(table.correlation_id < oldest_kept))
    purge_figures(oldest_kept)
    return next_batch is not None


def _has_old_report(at: datetime, end: str | None = None) -> tuple[ColumnElement[bool], ...]:
    """Return the clauses for exchanges to reduce: those in the figures that are kept for longer than their report.

    `end` is the first correlation ID after a batch. There is one upper bound, because SQLite would use any of several.
    """
    counted_until = connection().execute(select(OAuthExchangeWatermark.counted_until)).scalar_one()
    correlation_id, until = OAuthExchange.correlation_id, end or min(_oldest_with_report(at), counted_until)
    return correlation_id >= _oldest_kept(at), correlation_id < until


@cleans_up(
    "oauth.thin_reports",
    "reports of events",
    # Also those that are not counted yet: `changegate purge` shows how many are left.
    lambda at: _count(OAuthExchange, *_has_old_report(at, _oldest_with_report(at))),
)
def thin_reports(at: datetime) -> bool:
    """Reduce up to `ROWS_AT_ONCE` old exchanges to when, who, and with which result; return whether there may be more.

    Their tokens and assertions have expired, so that nothing finds them by hash or replay key any more.
    """
    next_batch = _end_of_batch(OAuthExchange.correlation_id, *_has_old_report(at))
    # One statement reads and deletes: of two transactions that reduce the same exchanges, one finds none.
    lock_number(PURGE_LOCK)
    table = OAuthExchange.__table__
    taken = delete(table).where(*_has_old_report(at, next_batch))
    keep_thinned(connection().execute(taken.returning(*(table.c[name] for name in KEPT_COLUMNS))).all())
    return next_batch is not None


def has_report(event: OAuthExchange, at: datetime) -> bool:
    """Return whether an event is recent enough for its report, which the retention removes earlier than the event."""
    return event.correlation_id >= _oldest_with_report(at)


def note_last_exchanges(oldest_kept: str) -> None:
    """Store on each integration the latest of its accepted exchanges that are about to be deleted.

    `oldest_kept` is the smallest correlation ID that stays in the log.
    """
    exchange = LoggedExchange
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
