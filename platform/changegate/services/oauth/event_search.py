"""Searches of the event log."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select

from changegate.database.text_search import contains
from changegate.errors import RecordNotFound
from changegate.extensions import db, now
from changegate.models import OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.oauth.event_bounds import write_counts
from changegate.services.oauth.exchange_figures import exchange_numbers
from changegate.services.oauth.exchange_log import LoggedExchange

# The period that the console reports about.
REPORTED_FOR = timedelta(days=30)
ID_LENGTH = 32
_CORRELATION_ID = re.compile(r"[0-9a-f]{10,32}")
OUTCOMES = {"accepted": "Accepted", "refused": "Refused", "would_refuse": "Would have been refused"}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """The criteria of a search; None matches every event.

    `entity` is an integration's sys_id, `outcome` a key of `OUTCOMES`, `text` a part of subject, user name,
    address, request, issuer, kid, or client id; `since` and `until` are aware instants.
    """

    entity: str | None = None
    outcome: str | None = None
    reason: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def search_events(criteria: EventFilter, limit: int = 50, before: str | None = None) -> list[OAuthExchange]:
    """Return the latest matching events, newest first; `before` is the last correlation ID of the previous page."""
    write_counts()
    clauses = [*_clauses(criteria)]
    if before is not None:
        clauses.append(LoggedExchange.correlation_id < before)
    events = select(LoggedExchange).where(and_(True, *clauses)).order_by(LoggedExchange.correlation_id.desc())
    return list(db.session.execute(events.limit(limit)).scalars())


def get_event(correlation_id: str) -> OAuthExchange:
    """Return an event; raises `RecordNotFound`."""
    write_counts()
    is_asked = LoggedExchange.correlation_id == correlation_id
    event = db.session.execute(select(LoggedExchange).where(is_asked)).scalar_one_or_none()
    if event is None:
        raise RecordNotFound
    return event


def find_events_by_id(text: str, limit: int = 50) -> list[OAuthExchange]:
    """Return the latest events whose correlation ID begins with a text of at least ten digits, in either case."""
    digits = text.strip().lower()
    if not _CORRELATION_ID.fullmatch(digits):
        return []
    write_counts()
    # A range of the primary key, which LIKE would not use in every collation.
    is_alike = LoggedExchange.correlation_id.between(digits.ljust(ID_LENGTH, "0"), digits.ljust(ID_LENGTH, "f"))
    events = select(LoggedExchange).where(is_alike).order_by(LoggedExchange.correlation_id.desc()).limit(limit)
    return list(db.session.execute(events).scalars())


def list_events(entity: str, limit: int = 20) -> list[OAuthExchange]:
    """Return an integration's latest events, newest first."""
    return search_events(EventFilter(entity=entity), limit)


def latest_events(entities: Iterable[str]) -> dict[str, OAuthExchange]:
    """Return the latest exchange of each integration, by its sys_id."""
    numbers = exchange_numbers(now()).c
    latest = select(func.max(numbers.latest)).where(numbers.entity.in_([*entities])).group_by(numbers.entity)
    events = select(LoggedExchange).where(LoggedExchange.correlation_id.in_(latest))
    return {event.entity: event for event in db.session.execute(events).scalars() if event.entity is not None}


def count_would_refuse(since: datetime) -> dict[str, int]:
    """Return the number of exchanges that report-only conditions would have refused, by the integration's sys_id."""
    numbers = exchange_numbers(now(), since).c
    lately = (numbers.since >= earliest_correlation_id(since), numbers.would_refuse > 0, numbers.entity.is_not(None))
    counted = select(numbers.entity, func.sum(numbers.would_refuse)).where(*lately).group_by(numbers.entity)
    return {row[0]: row[1] for row in db.session.execute(counted).all()}


def _clauses(criteria: EventFilter) -> Iterable[ColumnElement[bool]]:
    event = LoggedExchange
    if criteria.entity is not None:
        yield event.entity == criteria.entity
    if criteria.outcome in ("accepted", "refused"):
        yield event.is_accepted.is_(criteria.outcome == "accepted")
    if criteria.outcome == "would_refuse":
        yield event.would_refuse.is_(True)
    if criteria.reason is not None:
        yield event.reason == criteria.reason
    if criteria.text is not None:
        places = (event.subject, event.address, event.request, event.issuer, event.kid, event.client_id)
        yield or_(*(contains(place, criteria.text).build() for place in places))
    # A correlation ID begins with its time and is the primary key, so that no other index is needed.
    if criteria.since is not None:
        yield event.correlation_id >= earliest_correlation_id(criteria.since)
    if criteria.until is not None:
        yield event.correlation_id < earliest_correlation_id(criteria.until)
