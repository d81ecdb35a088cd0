"""Exchanges over time, counted by the beginning of the correlation ID."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from changegate.extensions import db
from changegate.models import OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.hygiene.history import History, exchanges_by_day, exchanges_by_hour
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("either_app_context")
AT = datetime(2030, 3, 5, 14, 37, 12, 345000, UTC)
HOUR = AT.replace(minute=0, second=0, microsecond=0)
DAY = HOUR.replace(hour=0)
MILLISECOND = timedelta(milliseconds=1)


def row(at: datetime, *, reason: str | None = None, would_refuse: bool | None = None) -> dict[str, Any]:
    return {
        "correlation_id": earliest_correlation_id(at)[:12] + secrets.token_hex(10),
        "happened_at": at,
        "is_accepted": reason is None,
        "reason": reason,
        "would_refuse": would_refuse,
    }


def store(*rows: dict[str, Any]) -> None:
    db.session.execute(insert(OAuthExchange), list(rows))
    db.session.commit()


def counted(history: History) -> dict[datetime, tuple[int, int, int]]:
    return {
        period.starts_at: (period.accepted, period.refused, period.would_refuse)
        for period in history.periods
        if period.accepted or period.refused
    }


def test_each_exchange_is_counted_in_its_hour_to_the_millisecond() -> None:
    hours = [HOUR - timedelta(hours=number) for number in (0, 1, 7, 23)]
    for start in hours:
        store(row(start), row(start + timedelta(hours=1) - MILLISECOND, reason="expired"))
    store(row(HOUR - timedelta(hours=23) - MILLISECOND))
    assert counted(exchanges_by_hour(AT)) == dict.fromkeys(hours, (1, 1, 0))


def test_each_exchange_is_counted_in_its_day() -> None:
    days = [DAY - timedelta(days=number) for number in (0, 1, 16, 29)]
    for start in days:
        store(row(start), row(start + timedelta(days=1) - MILLISECOND))
    store(row(DAY - timedelta(days=29) - MILLISECOND))
    assert counted(exchanges_by_day(AT)) == dict.fromkeys(days, (2, 0, 0))


def test_every_period_is_there_and_the_present_one_is_last() -> None:
    hours, days = exchanges_by_hour(AT).periods, exchanges_by_day(AT).periods
    assert [period.starts_at for period in hours] == [HOUR - timedelta(hours=23 - number) for number in range(24)]
    assert [period.starts_at for period in days] == [DAY - timedelta(days=29 - number) for number in range(30)]


def test_what_would_have_been_refused_is_a_part_of_what_was_accepted() -> None:
    store(row(AT), row(AT, would_refuse=True), row(AT, reason="expired", would_refuse=True))
    assert counted(exchanges_by_hour(AT)) == {HOUR: (2, 1, 1)}


def test_reasons_come_by_their_number() -> None:
    store(*(row(AT, reason=reason) for reason in ("expired", "iss_mismatch", "expired", "aud_mismatch")), row(AT))
    store(row(AT - timedelta(days=2), reason="aud_mismatch"), row(AT - timedelta(days=2), reason="aud_mismatch"))
    assert exchanges_by_hour(AT).reasons == [("expired", 2), ("aud_mismatch", 1), ("iss_mismatch", 1)]
    assert exchanges_by_day(AT).reasons == [("aud_mismatch", 3), ("expired", 2), ("iss_mismatch", 1)]


def test_refused_calls_of_the_apis_are_not_exchanges() -> None:
    store({**row(AT, reason="credentials_missing"), "request": "GET /api/now/table/task"})
    store(row(AT, reason="aud_mismatch"))
    assert counted(exchanges_by_hour(AT)) == {HOUR: (0, 1, 0)}
    assert exchanges_by_hour(AT).reasons == [("aud_mismatch", 1)]


def test_one_statement_counts_them_all() -> None:
    store(*(row(AT - timedelta(days=number), reason=f"reason_{number}") for number in range(28)))
    with counted_statements() as statements:
        history = exchanges_by_day(AT)
    assert sum("GROUP BY" in text and text.startswith("SELECT") for text in statements) == 1
    assert len(history.reasons) == 10
