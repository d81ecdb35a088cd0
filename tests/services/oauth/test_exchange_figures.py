"""Figures of the exchange log: the same answers as a reading of the whole log, on both databases."""

import logging
import secrets
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import OperationalError

from changegate.database import connection
from changegate.extensions import db
from changegate.models import (
    OAuthEntity,
    OAuthExchange,
    OAuthExchangeFigure,
    OAuthExchangeWatermark,
    OAuthThinnedExchange,
    SysUser,
)
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.hygiene.history import History, exchanges_by_day, exchanges_by_hour
from changegate.services.hygiene.log_reading import read_uses
from changegate.services.oauth import exchange_figures
from changegate.services.oauth.event_search import count_would_refuse, latest_events
from changegate.services.oauth.events import purge_expired, thin_reports
from changegate.services.oauth.exchange_figures import SETTLED_AFTER, count_exchanges
from changegate.services.oauth.exchange_log import EXCHANGE_LOG
from changegate.services.oauth.id_token_rows import renew
from tests.support.statements import counted_statements

AT = datetime(2030, 3, 5, 14, 37, 12, 345000, UTC)
# Longer than any wait of a test that passes.
LONGEST_SECONDS = 60
HOUR, DAY, MILLISECOND = timedelta(hours=1), timedelta(days=1), timedelta(milliseconds=1)
INTEGRATIONS, USERS = ("a" * 32, "b" * 32, "c" * 32), ("d" * 32, "e" * 32)
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def at_work(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run every test in the context of an application on either database, with integrations and users."""
    # A busy machine counts less within the usual time.
    monkeypatch.setattr(exchange_figures, "LONGEST_COUNTING_SECONDS", LONGEST_SECONDS)
    either_app.config["CLOCK"] = lambda: AT
    with either_app.app_context():
        for sys_id in USERS:
            db.session.add(SysUser(sys_id=sys_id, user_name=sys_id[:1], name=sys_id[:1]))
        for sys_id in INTEGRATIONS:
            db.session.add(OAuthEntity(sys_id=sys_id, name=sys_id[:1], client_id=sys_id[:1], type="jwt_bearer"))
        db.session.commit()
        yield
        db.session.remove()


def exchange(at: datetime, **values: Any) -> Row:
    correlation_id = earliest_correlation_id(at)[:12] + secrets.token_hex(10)
    usual = {"is_accepted": True, "entity": INTEGRATIONS[0], "user": USERS[0], "algorithm": "RS256"}
    return {"correlation_id": correlation_id, "happened_at": at, **usual, **values}


def store(*rows: Row) -> None:
    alike = defaultdict(list)
    for row in rows:
        alike[frozenset(row)].append(row)
    for group in alike.values():
        db.session.execute(insert(OAuthExchange.__table__), group)
    db.session.commit()


def uneven_rows() -> list[Row]:
    """Return a log with exchanges at the edges of all windows, bursts, gaps, and everything that can be different."""
    random, rows = Random(5), []
    edges = [AT - timedelta(days=days) for days in (0, 1, 7, 14, 29, 30)]
    edges += [edge.replace(minute=0, second=0, microsecond=0) for edge in edges]
    edges += [edge.replace(hour=0) for edge in edges[6:]] + [AT - SETTLED_AFTER]
    times = [
        edge + offset for edge in edges for offset in (-MILLISECOND, timedelta(0), MILLISECOND, HOUR - MILLISECOND)
    ]
    times += [AT - timedelta(minutes=random.uniform(0, 31 * 24 * 60)) for _ in range(80)]
    times += [AT - timedelta(days=3, seconds=random.uniform(0, 60)) for _ in range(40)]
    for at in sorted(instant for instant in times if instant <= AT):
        row = exchange(at, entity=random.choice((*INTEGRATIONS, None)), user=random.choice((*USERS, None)))
        row["algorithm"] = random.choice(("RS256", "ES256", None))
        row["would_refuse"] = random.choice((True, None, False))
        row["refresh_token"] = random.choice((None, row["correlation_id"], "f" * 32))
        if random.random() < 0.3:
            row |= {"is_accepted": False, "reason": random.choice(("expired", "iss_mismatch", None))}
        if random.random() < 0.1:
            row |= {"is_accepted": False, "reason": "credentials_missing", "request": "GET /api/now/table/task"}
        rows.append(row)
    return rows


def read_log() -> list[Any]:
    """Return every exchange of the log, one by one."""
    return [row for row in db.session.execute(select(EXCHANGE_LOG)).all() if row.request is None]


def expected_uses(at: datetime) -> dict[Any, Any]:
    late, reported = (earliest_correlation_id(at - timedelta(days=days)) for days in (7, 14))
    grouped = defaultdict(list)
    for row in read_log():
        if row.is_accepted and row.entity:
            grouped[row.entity, row.user, row.algorithm].append(row)
    return {
        key: (
            max(row.correlation_id for row in rows),
            sum(row.correlation_id >= late for row in rows),
            sum(row.correlation_id >= late and row.refresh_token not in (None, row.correlation_id) for row in rows),
            sum(row.correlation_id >= reported for row in rows),
            sum(row.correlation_id >= reported and bool(row.would_refuse) for row in rows),
        )
        for key, rows in grouped.items()
    }


def expected_history(starts: Sequence[datetime]) -> tuple[Any, Any]:
    bounds = [earliest_correlation_id(start) for start in starts]
    periods, reasons = [[0, 0, 0] for _ in starts], Counter[str]()
    for row in read_log():
        place = sum(bound <= row.correlation_id for bound in bounds) - 1
        if place >= 0:
            periods[place][0] += row.is_accepted
            periods[place][1] += not row.is_accepted
            periods[place][2] += row.is_accepted and bool(row.would_refuse)
            if not row.is_accepted:
                reasons[row.reason or "unknown"] += 1
    return periods, sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))


def shown(history: History) -> tuple[Any, Any]:
    return [[one.accepted, one.refused, one.would_refuse] for one in history.periods], history.reasons


def require_same_answers(at: datetime) -> None:
    """Compare every answer that is read from figures with one from the log as a whole."""
    uses = {
        (use.entity, use.user, use.algorithm): (use.latest, use.lately, use.refreshed, use.reported, use.would_refuse)
        for use in read_uses(at)
    }
    assert uses == expected_uses(at)
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    assert shown(exchanges_by_hour(at)) == expected_history([this_hour - number * HOUR for number in range(23, -1, -1)])
    today = this_hour.replace(hour=0)
    assert shown(exchanges_by_day(at)) == expected_history([today - number * DAY for number in range(29, -1, -1)])
    edge = earliest_correlation_id(at - 30 * DAY)
    refused = Counter(
        row.entity for row in read_log() if row.would_refuse and row.correlation_id >= edge and row.entity
    )
    assert count_would_refuse(at - 30 * DAY) == refused
    latest: dict[str, str] = {}
    for row in read_log():
        if row.entity in INTEGRATIONS:
            latest[row.entity] = max(row.correlation_id, latest.get(row.entity, ""))
    assert {entity: event.correlation_id for entity, event in latest_events(INTEGRATIONS).items()} == latest


def watermark() -> str:
    return db.session.execute(select(OAuthExchangeWatermark.counted_until)).scalar_one()


def counted() -> int:
    """Return how many exchanges are in the figures of hours."""
    number = select(func.coalesce(func.sum(OAuthExchangeFigure.exchanges), 0)).where(~OAuthExchangeFigure.is_day)
    return int(db.session.execute(number).scalar_one())


@pytest.mark.parametrize("most_at_once", [7, 10_000])
def test_figures_answer_as_the_whole_log_does(
    either_app: Flask, monkeypatch: pytest.MonkeyPatch, most_at_once: int
) -> None:
    monkeypatch.setattr(exchange_figures, "MOST_AT_ONCE", most_at_once)
    rows, stored = uneven_rows(), 0
    for at in (AT - 20 * DAY, AT - 7 * DAY, AT - DAY, AT - HOUR, AT - timedelta(minutes=3), AT):
        either_app.config["CLOCK"] = lambda at=at: at
        due = [row for row in rows if row["happened_at"] <= at]
        store(*due[stored:])
        stored = len(due)
        require_same_answers(at)
        require_same_answers(at)
    assert counted() > 100


def test_old_exchanges_without_a_report_still_count(either_app: Flask) -> None:
    store(*uneven_rows())
    require_same_answers(AT)
    kept = {"event_retention_days": 365, "report_retention_days": 15}
    either_app.config["SETTINGS"] = replace(either_app.config["SETTINGS"], **kept)
    thin_reports(AT)
    db.session.commit()
    assert db.session.execute(select(func.count()).select_from(OAuthThinnedExchange)).scalar_one() > 50
    require_same_answers(AT)


def test_an_old_log_is_counted_in_batches_at_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    store(*uneven_rows())
    log, batches, count = read_log(), [], exchange_figures._add_hours

    def note(at_work: Any, first: str, end: str) -> None:
        batches.append(sum(first <= row.correlation_id < end for row in log))
        count(at_work, first, end)

    monkeypatch.setattr(exchange_figures, "MOST_AT_ONCE", 11)
    monkeypatch.setattr(exchange_figures, "_add_hours", note)
    require_same_answers(AT)
    assert max(batches) == 11
    assert sum(batches) == counted() > len(batches)
    uncounted = [row for row in read_log() if row.correlation_id >= watermark()]
    settled = earliest_correlation_id(AT - SETTLED_AFTER)
    assert sum(row.correlation_id < settled for row in uncounted) <= 11
    with counted_statements() as statements:
        read_uses(AT)
    assert len(statements) <= 5


def test_what_takes_too_long_to_count_is_read_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_figures, "LONGEST_COUNTING_SECONDS", 0)
    store(*uneven_rows())
    require_same_answers(AT)
    assert counted() == 0


def test_what_is_counted_during_a_reading_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    store(*uneven_rows())
    with monkeypatch.context() as patched:
        patched.setattr(exchange_figures, "LONGEST_COUNTING_SECONDS", 0)
        numbers = exchange_figures.exchange_numbers(AT).c
    read_uses(AT)
    assert counted() > 0
    assert db.session.execute(select(func.sum(numbers.exchanges))).scalar_one() == len(read_log())


def test_days_that_are_over_are_read_from_figures_of_days() -> None:
    store(*uneven_rows())
    require_same_answers(AT)
    figure = OAuthExchangeFigure
    long_ago = figure.since < earliest_correlation_id((AT - 16 * DAY).replace(hour=0))
    db.session.execute(delete(figure).where(~figure.is_day, long_ago))
    db.session.commit()
    uses = {(use.entity, use.user, use.algorithm): use.latest for use in read_uses(AT)}
    assert uses == {key: values[0] for key, values in expected_uses(AT).items()}


def test_of_two_readers_one_counts_a_batch(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    store(*(exchange(AT - 2 * HOUR) for _ in range(5)))
    find_end = exchange_figures._end_of_batch

    def overtaken(*arguments: Any) -> str | None:
        monkeypatch.setattr(exchange_figures, "_end_of_batch", find_end)
        found = find_end(*arguments)
        with either_app.app_context():
            read_uses(AT)
        return found

    monkeypatch.setattr(exchange_figures, "_end_of_batch", overtaken)
    [use] = read_uses(AT)
    assert (use.lately, counted()) == (5, 5)


def test_readers_at_the_same_time_count_each_exchange_once(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_figures, "MOST_AT_ONCE", 5)
    store(*uneven_rows())
    expected, answers = expected_uses(AT), []
    ready = threading.Barrier(4)

    def read() -> None:
        with either_app.app_context():
            ready.wait()
            answers.append({(use.entity, use.user, use.algorithm): use.lately for use in read_uses(AT)})

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{key: values[1] for key, values in expected.items()}] * 4
    assert counted() == sum(row.correlation_id < watermark() for row in read_log())
    require_same_answers(AT)


def test_an_exchange_that_is_committed_late_is_counted(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader waits for the writer on SQLite, and counts nothing beside it on PostgreSQL."""
    monkeypatch.setattr(exchange_figures, "MOST_AT_ONCE", 1)
    find_age, has_asked = exchange_figures.age_of_oldest_transaction, threading.Event()
    opened_at = None

    def find_longer_age() -> timedelta:
        """Let a transaction that is as old as the late one be a quarter of an hour older."""
        has_asked.set()
        since_opened = timedelta(seconds=time.monotonic() - (opened_at or 0))
        age = find_age()
        return age + timedelta(minutes=15) if age >= since_opened else age

    def read() -> None:
        with either_app.app_context():
            read_uses(AT)

    monkeypatch.setattr(exchange_figures, "age_of_oldest_transaction", find_longer_age)
    begin = AT - timedelta(minutes=10)
    late = exchange(begin)
    store(*(exchange(begin + number * MILLISECOND) for number in range(1, 4)))
    reader = threading.Thread(target=read)
    with db.engine.connect() as slow:
        slow.execute(insert(OAuthExchange).values(late))
        opened_at = time.monotonic()
        reader.start()
        if db.engine.dialect.name == "sqlite":
            assert has_asked.wait(LONGEST_SECONDS)
            reader.join(0.3)
            assert reader.is_alive()
        else:
            reader.join(LONGEST_SECONDS)
            assert not reader.is_alive()
            assert watermark() <= late["correlation_id"]
        slow.commit()
    reader.join()
    require_same_answers(AT)
    assert watermark() > late["correlation_id"]
    assert [use.lately for use in read_uses(AT)] == [4]


@pytest.mark.parametrize("ahead", [timedelta(minutes=20), 3 * DAY, 5000 * DAY])
def test_a_clock_that_was_set_back_hides_no_exchange(either_app: Flask, ahead: timedelta) -> None:
    store(*uneven_rows())
    store(exchange(AT + ahead - 2 * HOUR))
    either_app.config["CLOCK"] = lambda: AT + ahead
    require_same_answers(AT + ahead)
    either_app.config["CLOCK"] = lambda: AT
    require_same_answers(AT)
    store(exchange(AT))
    require_same_answers(AT)


def test_figures_end_with_the_exchanges_that_they_stand_for() -> None:
    old = AT - 30 * DAY
    store(*uneven_rows(), exchange(old - MILLISECOND, algorithm="ES512"), exchange(old, algorithm="ES384"))
    require_same_answers(AT)
    purge_expired(AT)
    db.session.commit()
    require_same_answers(AT)
    algorithms = {use.algorithm for use in read_uses(AT)}
    assert "ES384" in algorithms
    assert "ES512" not in algorithms
    purge_expired(AT + 31 * DAY)
    db.session.commit()
    assert db.session.execute(select(func.count()).select_from(OAuthExchangeFigure)).scalar_one() == 0
    assert read_uses(AT) == []


@pytest.mark.parametrize("model", [OAuthEntity, SysUser])
def test_figures_follow_the_deletion_of_an_integration_or_a_user(model: Any) -> None:
    store(*uneven_rows())
    require_same_answers(AT)
    db.session.execute(delete(model).where(model.sys_id.in_([INTEGRATIONS[0], USERS[0]])))
    db.session.commit()
    require_same_answers(AT)


@pytest.mark.parametrize("age", [2 * HOUR, 2 * DAY])
def test_an_id_token_that_acts_as_another_user_is_counted_again(age: timedelta) -> None:
    row = exchange(AT - age)
    store(*uneven_rows(), row)
    require_same_answers(AT)
    kept = SimpleNamespace(**row)
    client = SimpleNamespace(entity=INTEGRATIONS[1], client_id="b", token_generation=0)
    renew(kept, client, USERS[1], AT + HOUR)  # type: ignore[arg-type]
    db.session.commit()
    assert counted() < sum(row.correlation_id < earliest_correlation_id(AT - SETTLED_AFTER) for row in read_log())
    require_same_answers(AT)


def failing(problem: BaseException) -> Callable[..., None]:
    def fail(*_arguments: Any) -> None:
        raise OperationalError("INSERT", None, problem)

    return fail


def test_a_database_that_takes_no_figures_still_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store(*uneven_rows())
    monkeypatch.setattr(exchange_figures, "_count_batch", failing(sqlite3.OperationalError("disk full")))
    with caplog.at_level(logging.WARNING, exchange_figures.__name__):
        require_same_answers(AT)
    assert counted() == 0
    assert "exchanges are not counted: OperationalError" in caplog.text


def test_a_unit_of_work_that_has_written_does_not_wait_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    store(*uneven_rows())
    connection().execute(update(SysUser).values(title="Robot"))
    counts, count = [], exchange_figures._count_until
    monkeypatch.setattr(exchange_figures, "_count_until", lambda settled: counts.append(settled) or count(settled))
    assert {use.latest for use in read_uses(AT)} == {values[0] for values in expected_uses(AT).values()}
    assert len(counts) == (0 if db.engine.dialect.name == "sqlite" else 1)


def test_a_request_that_has_had_its_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    store(*uneven_rows())
    interrupted = sqlite3.OperationalError("interrupted")
    interrupted.sqlite_errorname = "SQLITE_INTERRUPT"
    monkeypatch.setattr(exchange_figures, "_count_batch", failing(interrupted))
    with pytest.raises(OperationalError):
        read_uses(AT)


def test_a_job_counts_so_that_the_first_reader_does_not_have_to() -> None:
    store(*uneven_rows())
    assert not count_exchanges(AT)
    assert counted() > 100
    with counted_statements() as statements:
        read_uses(AT)
    assert not any(text.startswith(("INSERT", "UPDATE")) for text in statements)
