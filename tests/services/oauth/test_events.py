"""The event log."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, event, func, select, update

from changegate.extensions import db, now
from changegate.models import (
    OAuthEntity,
    OAuthExchange,
    OAuthExchangeKind,
    OAuthExchangeWatermark,
    OAuthThinnedExchange,
    SysUser,
)
from changegate.models.integration_fields import FIELDS
from changegate.oauth_errors import AssertionRefused, InvalidClient
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.integrations.integrations import delete_integration, get_integration
from changegate.services.jobs.cleanups import CLEANUPS
from changegate.services.oauth import events, exchange_figures
from changegate.services.oauth.client_authentication import ClientCredentials, authenticate_client
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.event_search import EventFilter, get_event, list_events, search_events
from changegate.services.oauth.events import (
    claims_of,
    has_report,
    purge_expired,
    record_accepted,
    record_refused,
    report_of,
    thin_reports,
)
from changegate.services.oauth.exchange_log import EXCHANGE_LOG
from changegate.services.oauth.issuing import Exchange, make_token
from changegate.setting_parsers import LEAST_REPORT_DAYS
from tests.conftest import Clock
from tests.support.statements import counted_statements
from tests.support.token_desk import ROBOT, Integration, TokenDesk

KEPT_FOR = timedelta(days=30)
LIFETIMES = ("access_token_lifespan_seconds", "max_assertion_lifetime_seconds", "clock_skew_seconds")


def _count(model: type) -> int:
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def test_the_events_of_an_integration_come_newest_first(desk: TokenDesk) -> None:
    integration, other = desk.register(), desk.register("Another")
    desk.token(integration)
    desk.exchange(integration, scope="everything")
    desk.token(other)

    assert [event.reason for event in list_events(integration.sys_id)] == ["scope_invalid", None]
    assert len(list_events(integration.sys_id, limit=1)) == 1


def test_the_event_of_a_refusal_has_every_rule_that_was_checked(desk: TokenDesk) -> None:
    report = Report([RuleCheck("one", None, "a", "a"), RuleCheck("two", "iss_mismatch", "a", "b")])
    record_refused(Attempt("::1", "0" * 32), AssertionRefused("iss_mismatch", report=report), now())

    [event] = db.session.execute(select(OAuthExchange)).scalars()
    assert [rule.passed for rule in report_of(event)] == [True, False]
    assert (event.reason, event.is_accepted, event.address) == ("iss_mismatch", False, "::1")


@pytest.mark.parametrize("client_id", ["a\0b", "a\u202eb", "a\ud800b", "\x1b[2J", "x" * 300])
def test_a_client_id_is_kept_so_that_it_can_be_shown(desk: TokenDesk, client_id: str) -> None:
    record_refused(Attempt(None, "1" * 32, client_id), InvalidClient("client_unknown"), now())
    db.session.commit()

    [event] = db.session.execute(select(OAuthExchange)).scalars()
    assert event.client_id.isprintable() and len(event.client_id) <= 100


def test_only_expired_events_are_deleted(desk: TokenDesk) -> None:
    desk.token(desk.register())

    purge_expired(now() + timedelta(days=29, hours=23))
    assert _count(OAuthExchange) == 1
    purge_expired(now() + timedelta(days=30, minutes=1))
    assert _count(OAuthExchange) == 0


def test_a_report_is_kept_longer_than_its_tokens_and_assertion_are_valid() -> None:
    assert sum(FIELDS[name].most for name in LIFETIMES) < timedelta(days=LEAST_REPORT_DAYS).total_seconds()


def test_old_events_are_deleted_in_batches_and_their_latest_is_noted(
    either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = either_desk.app.config["CLOCK"] = Clock()
    monkeypatch.setattr(events, "ROWS_AT_ONCE", 2)
    with either_desk.app.app_context():
        integration = either_desk.register()
        for _ in range(5):
            either_desk.token(integration)
            clock.advance(days=2)
        second, last, ended = times(integration)[1], times(integration)[3], clock() - timedelta(days=2, minutes=1)
        outcomes = []
        for left, latest in ((3, second), (1, last), (1, last)):
            outcomes.append(purge_expired(ended + KEPT_FOR))
            db.session.commit()
            assert (_count(OAuthExchange), noted(integration)) == (left, latest)
    assert outcomes == [True, False, False]


def keep(desk: TokenDesk, **days: int) -> None:
    desk.app.config["SETTINGS"] = replace(desk.app.config["SETTINGS"], **days)


def test_events_are_kept_for_as_long_as_the_setting_says(desk: TokenDesk) -> None:
    keep(desk, event_retention_days=365)
    desk.token(desk.register())
    purge_expired(now() + timedelta(days=364))
    assert _count(OAuthExchange) == 1
    purge_expired(now() + timedelta(days=365, minutes=1))
    assert _count(OAuthExchange) == 0


KEPT = ("correlation_id", "happened_at", "entity", "user", "algorithm", "is_accepted", "would_refuse", "reason")


def thin(at: datetime) -> bool:
    """Reduce old exchanges, which are counted before."""
    exchange_figures.count_exchanges(at)
    is_more = thin_reports(at)
    db.session.commit()
    return is_more


def test_an_old_event_keeps_when_who_and_with_which_result(either_desk: TokenDesk) -> None:
    keep(either_desk, event_retention_days=365, report_retention_days=40)
    with either_desk.app.app_context():
        integration = either_desk.register()
        either_desk.token(integration)
        either_desk.exchange(integration, assertion=either_desk.assertion(aud="https://other.example.com"))
        unknown = replace(integration, client_id="unknown" * 4)
        either_desk.exchange(unknown)
        rows = select(EXCHANGE_LOG).order_by(EXCHANGE_LOG.c.correlation_id)
        before = db.session.execute(rows).mappings().all()
        assert not thin(now() + timedelta(days=39))
        assert _count(OAuthExchange) == 3

        later = now() + timedelta(days=40, minutes=1)
        assert not thin(later)
        assert _count(OAuthExchange) == 0
        after = db.session.execute(rows).mappings().all()
        assert [[row[name] for name in KEPT] for row in after] == [[row[name] for name in KEPT] for row in before]
        assert [row["client_id"] for row in after] == [None, None, "unknown" * 4]
        left = {name for row in after for name, value in row.items() if value is not None}
        assert left == {*KEPT, "client_id"} - {"would_refuse"}

        accepted, refused, _ = reversed(search_events(EventFilter()))
        assert get_event(accepted.correlation_id) is accepted
        assert list_events(integration.sys_id) == [refused, accepted]
        assert (refused.reason, report_of(refused), claims_of(accepted)) == ("aud_mismatch", [], None)
        assert [has_report(accepted, at) for at in (now(), later)] == [True, False]


def test_reports_are_deleted_in_batches_and_once(either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(either_desk, event_retention_days=365)
    monkeypatch.setattr(events, "ROWS_AT_ONCE", 2)
    with either_desk.app.app_context():
        integrations = [either_desk.register(), either_desk.register("Other")]
        for number in range(5):
            either_desk.token(integrations[number % 2])
        later = now() + timedelta(days=31)
        assert [thin(later) for _ in range(4)] == [True, True, False, False]
        assert (_count(OAuthExchange), _count(OAuthThinnedExchange), _count(OAuthExchangeKind)) == (0, 5, 2)


def test_two_processes_delete_events_one_after_the_other(postgres_app: Flask) -> None:
    statements: list[str] = []

    def check(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("DELETE FROM oauth_exchange ", "DELETE FROM oauth_thinned_exchange ")):
            statements.append(statement)
            with db.engine.connect() as other:
                assert not other.scalar(select(func.pg_try_advisory_xact_lock(events.PURGE_LOCK)))

    with postgres_app.app_context():
        event.listen(db.engine, "before_cursor_execute", check)
        for step in (thin_reports, purge_expired):
            step(now())
            db.session.rollback()
        event.remove(db.engine, "before_cursor_execute", check)
    assert len(statements) == 3


def test_events_that_are_deleted_soon_or_not_counted_keep_their_report(desk: TokenDesk) -> None:
    desk.token(desk.register())
    later = now() + timedelta(days=31)
    thin(later)
    assert _count(OAuthThinnedExchange) == 0
    keep(desk, event_retention_days=365)
    db.session.execute(update(OAuthExchangeWatermark).values(counted_until="0" * 32))
    db.session.commit()
    thin_reports(later)
    db.session.commit()
    assert (_count(OAuthThinnedExchange), CLEANUPS["oauth.thin_reports"].count(later)) == (0, 1)
    thin(later)
    assert _count(OAuthThinnedExchange) == 1


def test_an_old_event_is_deleted_and_noted_like_a_recent_one(
    either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(either_desk, event_retention_days=365)
    monkeypatch.setattr(events, "ROWS_AT_ONCE", 2)
    with either_desk.app.app_context():
        integration = either_desk.register()
        for _ in range(3):
            either_desk.token(integration)
        assert [thin(now() + timedelta(days=31)) for _ in range(2)] == [True, False]
        earliest = db.session.execute(select(func.min(EXCHANGE_LOG.c.happened_at))).scalar_one()
        later = now() + timedelta(days=366)
        assert CLEANUPS["oauth.purge_exchanges"].count(later) == 3
        assert [purge_expired(later) for _ in range(2)] == [True, False]
        assert (_count(OAuthExchange), _count(OAuthThinnedExchange)) == (0, 0)
        db.session.commit()
        assert noted(integration) >= earliest


def test_no_event_is_written_when_its_integration_and_user_are_deleted(either_desk: TokenDesk) -> None:
    """There may be millions, for which a request has no time, and other writers of SQLite none to wait."""
    keep(either_desk, event_retention_days=365)
    with either_desk.app.app_context():
        integration = either_desk.register()
        either_desk.token(integration)
        thin(now() + timedelta(days=31))
        either_desk.token(integration)
        before = db.session.execute(select(EXCHANGE_LOG)).all()
        delete_integration(get_integration(integration.client_id), by="admin")
        db.session.execute(delete(SysUser).where(SysUser.user_name == ROBOT))
        db.session.commit()
        assert db.session.execute(select(EXCHANGE_LOG)).all() == before
        assert {row.entity for row in before} == {integration.sys_id}


def test_a_token_of_an_event_without_report_does_not_work(desk: TokenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(desk, event_retention_days=365)
    token = desk.token(desk.register())
    thin(now() + timedelta(days=31))
    answer = desk.app.test_client().get("/api/now/table/change_request", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_requests_do_not_clean_up(desk: TokenDesk) -> None:
    integration = desk.register()
    credentials = ClientCredentials(integration.client_id, integration.secret, address="192.0.2.1")
    client = authenticate_client(credentials, None)
    for correlation_id, at in (("2" * 32, now() - timedelta(days=60)), ("3" * 32, now())):
        exchange = Exchange(client, correlation_id)
        token = make_token(exchange, user=None, scope="", has_all_scopes=True)
        record_accepted(Attempt(None, correlation_id, client.client_id, exchange), token, at)

    assert _count(OAuthExchange) == 2


def test_repr_of_an_attempt_contains_no_secret() -> None:
    assert "secret-client" not in repr(Attempt(None, "0" * 32, "secret-client"))


def noted(integration: Integration) -> datetime | None:
    db.session.rollback()
    statement = select(OAuthEntity.last_exchange_at).where(OAuthEntity.sys_id == integration.sys_id)
    return db.session.execute(statement).scalar_one()


def purge(at: datetime) -> None:
    purge_expired(at)
    db.session.commit()


def times(integration: Integration) -> list[datetime]:
    statement = select(OAuthExchange.happened_at).where(OAuthExchange.entity == integration.sys_id)
    return sorted(db.session.execute(statement).scalars())


def test_the_latest_exchange_that_is_forgotten_is_noted(either_desk: TokenDesk) -> None:
    clock = Clock()
    either_desk.app.config["CLOCK"] = clock
    with either_desk.app.app_context():
        used, unused = either_desk.register("Used"), either_desk.register("Unused")
        for _ in range(2):
            either_desk.token(used)
            clock.advance(minutes=10)
        _, latest = times(used)
        purge(clock())
        assert noted(used) is None
        purge(clock() + KEPT_FOR)
        assert times(used) == []
        assert (noted(used), noted(unused)) == (latest, None)


def test_a_refused_exchange_does_not_count_as_use(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register()
    desk.exchange(integration, assertion=desk.assertion(aud="https://other.example.com"))
    purge(clock() + KEPT_FOR + timedelta(hours=1))
    assert noted(integration) is None


@pytest.mark.parametrize(("hours", "is_noted"), [(23, False), (25, True)])
def test_the_latest_use_is_noted_once_a_day(desk: TokenDesk, clock: Clock, hours: int, is_noted: bool) -> None:
    integration = desk.register()
    desk.token(integration)
    purge(clock() + KEPT_FOR + timedelta(hours=1))
    first = noted(integration)
    clock.advance(hours=hours)
    desk.token(integration)
    with counted_statements() as statements:
        purge(clock() + KEPT_FOR + timedelta(hours=1))
    assert any(text.startswith("UPDATE oauth_entity") for text in statements) is is_noted
    assert (noted(integration) != first) is is_noted
