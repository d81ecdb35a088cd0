"""Precomputed counts of the exchange log, so that no page reads the whole log.

    the log, by correlation ID:   counted by day │ counted by hour │ not counted: read as it is
                                                day            watermark             at - 5 min      at
    a reader ──> counts what is due, one batch per transaction ──> reads the figures, and the rest of the log
    another  ──> waits for the lock of the watermark           ──> finds the batch counted ──> counts the next one

A batch locks the watermark, so that only one of several readers counts it. A batch ends with an hour, or when it is
full, so that the rest is always small. An exchange is not counted while an older one may still be committed. Writing an
exchange costs nothing more.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError

from changegate.database import connection, holds_write_lock, is_interrupted
from changegate.database.dialects import age_of_oldest_transaction
from changegate.extensions import db
from changegate.models import OAuthExchange, OAuthExchangeFigure, OAuthExchangeWatermark
from changegate.models.oauth_exchange import earliest_correlation_id, instant_of
from changegate.services.jobs.repeating import repeating
from changegate.services.oauth.exchange_log import LoggedExchange

# Longer than a request takes from its correlation ID to its first write, with a margin for clocks that differ.
SETTLED_AFTER = timedelta(minutes=5)
# Exchanges per transaction. During one, other writers of SQLite wait for a few hundredths of a second.
MOST_AT_ONCE = 10_000
# How long a reader counts at most; it then reads the rest from the log, as slowly as without figures.
LONGEST_COUNTING_SECONDS = 2.0
COUNTING_INTERVAL = timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KINDS = ("entity", "user", "algorithm", "is_accepted", "reason")
NUMBERS = ("exchanges", "refreshed", "would_refuse")
FIGURE_COLUMNS = ("since", "latest", *KINDS, *NUMBERS)
log = logging.getLogger(__name__)


def exchange_numbers(at: datetime, *edges: datetime) -> Subquery:
    """Return the exchanges of the log as a table; a row is one exchange, or the total of like ones in a day or an hour.

    Its columns are `FIGURE_COLUMNS` of `OAuthExchangeFigure`; `since` of a single exchange is its correlation ID.
    Queries may compare `since` only with the beginnings of days, with hours of the day being counted, and with `edges`:
    the days of these are read by the hour, and their hours by the exchange.
    """
    until, day = _count_what_is_due(at)
    days = {_day_of(edge): None for edge in edges}
    hours = {_hour_of(edge): None for edge in edges if edge != _hour_of(edge)}
    figure, correlation_id = OAuthExchangeFigure, LoggedExchange.correlation_id
    by_day = _figures(figure.is_day, figure.since < day, figure.since.not_in(_ids(days)))
    # Excludes figures that another reader adds from now on: their exchanges are read from the log below.
    of_hours = (~figure.is_day, figure.since.not_in(_ids(hours)), figure.latest < until)
    by_hour = [_figures(*of_hours, *_within(figure.since, begin, DAY, day)) for begin in days]
    one_by_one = [_exchanges(*_within(correlation_id, begin, HOUR, until)) for begin in hours]
    latest = (_figures(*of_hours, figure.since >= day), _exchanges(correlation_id >= until))
    return union_all(by_day, *by_hour, *one_by_one, *latest).subquery()


def floor_of(value: ColumnElement[str], bounds: Sequence[str]) -> ColumnElement[Any]:
    """Return the expression for the last bound up to a value, by binary search: five comparisons for 30 bounds."""
    if len(bounds) == 1:
        return literal(bounds[0])
    middle = len(bounds) // 2
    return case((value < bounds[middle], floor_of(value, bounds[:middle])), else_=floor_of(value, bounds[middle:]))


def count_again(correlation_id: str, at_work: Connection) -> None:
    """Delete the figures from the hour of an exchange on, in the current transaction, so that they are counted again.

    Call it before the exchange is changed: the watermark stays locked until the commit, so that no reader counts the
    exchange in its old state meanwhile.
    """
    at, mark, figure = instant_of(correlation_id), OAuthExchangeWatermark, OAuthExchangeFigure
    hour, day = earliest_correlation_id(_hour_of(at)), earliest_correlation_id(_day_of(at))
    earlier = {"counted_until": _least(mark.counted_until, hour), "day": _least(mark.day, day)}
    # The watermark first, because its row is the lock. If the figures were deleted first, a reader could count and add
    # in between.
    at_work.execute(update(mark).values(earlier))
    at_work.execute(delete(figure).where(or_(figure.since >= hour, and_(figure.is_day, figure.since >= day))))


def purge_figures(oldest_kept: str) -> None:
    """Delete figures whose exchanges are all older than `oldest_kept`, the smallest correlation ID left in the log."""
    figure = OAuthExchangeFigure
    # `latest` decides; the other conditions follow from it, and let the database use an index.
    indexed = (figure.is_day.in_((True, False)), figure.since < oldest_kept)
    connection().execute(delete(figure).where(figure.latest < oldest_kept, *indexed))


@repeating("oauth.count_exchanges", every=COUNTING_INTERVAL)
def count_exchanges(at: datetime) -> bool:
    """Count settled exchanges, so that readers of a page find few that are not counted."""
    _count_what_is_due(at)
    return False


def _count_what_is_due(at: datetime) -> tuple[str, str]:
    """Count settled exchanges, and return the watermark and the day being counted.

    If counting fails, readers read more of the log: a page may be slow, but its numbers are right.
    """
    until, day, first = _read_next(connection())
    was_set_back = until > earliest_correlation_id(at)
    is_due = was_set_back or _is_before(first, at - SETTLED_AFTER)
    # Counting needs a transaction of its own. If this request holds SQLite's write lock, that transaction would wait in
    # vain, so that the exchanges are read from the log.
    if not is_due or holds_write_lock():
        return until, day
    try:
        if was_set_back:
            # The clock was set back: exchanges that are written from now on must not be before the watermark, where
            # nothing would count them.
            with db.engine.begin() as at_work:
                count_again(earliest_correlation_id(at), at_work)
        return _count_until(at - SETTLED_AFTER - age_of_oldest_transaction())
    except DBAPIError as problem:
        # The request has used up its time and must end. After any other failure, the page is only slower.
        if problem.orig is not None and is_interrupted(problem.orig):
            raise
        log.warning("exchanges are not counted: %s", type(problem.orig).__name__)
    return _read_next(connection())[:2]


def _count_until(settled: datetime) -> tuple[str, str]:
    begun = time.monotonic()
    while True:
        until, day, first = _read_next(connection())
        is_time_over = time.monotonic() - begun >= LONGEST_COUNTING_SECONDS
        if is_time_over or _end_of_batch(connection(), first, settled) is None:
            return until, day
        with db.engine.begin() as at_work:
            _count_batch(at_work, settled)


def _count_batch(at_work: Connection, settled: datetime) -> None:
    """Count one batch, unless another reader has counted it meanwhile."""
    mark = OAuthExchangeWatermark
    # An UPDATE without effect that locks the row, on SQLite the database. The watermark is read again under the lock,
    # because another reader may have moved it.
    at_work.execute(update(mark).values(day=mark.day))
    _, day, first = _read_next(at_work)
    end = _end_of_batch(at_work, first, settled)
    if first is None or end is None:
        return
    day_of_first = earliest_correlation_id(_day_of(instant_of(first)))
    at_work.execute(update(mark).values(counted_until=end, day=day_of_first))
    if day < day_of_first:
        _add_day(at_work, day, day_of_first)
    _add_hours(at_work, first, end)


def _end_of_batch(at_work: Connection, first: str | None, settled: datetime) -> str | None:
    """Return the correlation ID to count up to, exclusively; None if no hour has ended and no batch is full."""
    if first is None or not _is_before(first, settled):
        return None
    correlation_id, end_of_day = OAuthExchange.correlation_id, _day_of(instant_of(first)) + DAY
    countable = (correlation_id >= first, correlation_id < earliest_correlation_id(min(end_of_day, settled)))
    beyond = select(correlation_id).where(*countable).order_by(correlation_id).offset(MOST_AT_ONCE).limit(1)
    end: str | None = at_work.execute(beyond).scalar()
    # Less than a batch: only whole hours are counted. Otherwise, every reader would write figures for the few exchanges
    # since the last one.
    if end is None:
        end = earliest_correlation_id(min(end_of_day, _hour_of(settled)))
    return end if first < end else None


def _add_hours(at_work: Connection, first: str, end: str) -> None:
    """Add the figures by hour of the exchanges from `first` up to `end`, which are of one day."""
    begin = _day_of(instant_of(first))
    hours = [earliest_correlation_id(begin + number * HOUR) for number in range(24)]
    rows = _exchanges(LoggedExchange.correlation_id >= first, LoggedExchange.correlation_id < end).subquery().c
    values: dict[str, ColumnElement[Any]] = {name: rows[name] for name in FIGURE_COLUMNS}
    values["since"] = floor_of(rows.since, hours)
    # Of accepted exchanges only. In a refused one, the sender chose the text, and each invented name would become a
    # figure.
    values["algorithm"] = case((rows.is_accepted, rows.algorithm))
    _add_up(at_work, select(*(value.label(name) for name, value in values.items())), is_day=False)


def _add_day(at_work: Connection, day: str, end: str) -> None:
    """Add the figures of a day, as the totals of its hours."""
    figure = OAuthExchangeFigure
    columns = (getattr(figure, name) for name in FIGURE_COLUMNS if name != "since")
    of_day = select(literal(day).label("since"), *columns)
    _add_up(at_work, of_day.where(~figure.is_day, figure.since >= day, figure.since < end), is_day=True)


def _add_up(at_work: Connection, rows: Select[Any], *, is_day: bool) -> None:
    columns = rows.subquery().c
    alike = [columns[name] for name in ("since", *KINDS)]
    added = (func.max(columns.latest), *(func.sum(columns[name]) for name in NUMBERS))
    names = ["is_day", "since", *KINDS, "latest", *NUMBERS]
    figures = select(literal(is_day), *alike, *added).group_by(*alike)
    at_work.execute(insert(OAuthExchangeFigure).from_select(names, figures))


def _figures(*clauses: Any) -> Select[Any]:
    return select(*(getattr(OAuthExchangeFigure, name) for name in FIGURE_COLUMNS)).where(*clauses)


def _exchanges(*clauses: ColumnElement[bool]) -> Select[Any]:
    """Return the statement for exchanges in the form of figures, each with a count of 1."""
    exchange = LoggedExchange
    correlation_id = exchange.correlation_id
    columns = (
        *(correlation_id.label("since"), correlation_id.label("latest")),
        *(getattr(exchange, name) for name in KINDS),
        literal(1).label("exchanges"),
        case((exchange.refresh_token != correlation_id, 1), else_=0).label("refreshed"),
        case((exchange.would_refuse.is_(True), 1), else_=0).label("would_refuse"),
    )
    return select(*columns).where(exchange.request.is_(None), *clauses)


def _read_next(at_work: Connection) -> tuple[str, str, str | None]:
    """Return the watermark, the day being counted, and the first exchange from the watermark on."""
    correlation_id, mark = OAuthExchange.correlation_id, OAuthExchangeWatermark
    first = select(func.min(correlation_id)).where(correlation_id >= mark.counted_until).scalar_subquery()
    row = at_work.execute(select(mark.counted_until, mark.day, first)).one()
    return row[0], row[1], row[2]


def _is_before(correlation_id: str | None, at: datetime) -> bool:
    return correlation_id is not None and correlation_id < earliest_correlation_id(at)


def _within(value: Any, begin: datetime, length: timedelta, end: str) -> tuple[ColumnElement[bool], ...]:
    return value >= earliest_correlation_id(begin), value < min(earliest_correlation_id(begin + length), end)


def _ids(beginnings: Any) -> list[str]:
    return [earliest_correlation_id(begin) for begin in beginnings]


def _least(value: Any, other: str) -> ColumnElement[str]:
    return case((value > other, other), else_=value)


def _day_of(at: datetime) -> datetime:
    return _hour_of(at).replace(hour=0)


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
