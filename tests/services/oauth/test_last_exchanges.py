"""That an integration was in use is remembered when its exchanges leave the log."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange
from changegate.services.oauth.events import KEPT_FOR, purge_expired
from tests.conftest import Clock
from tests.support.statements import counted_statements
from tests.support.token_desk import Integration, TokenDesk


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


def test_a_refused_exchange_is_no_use(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register()
    desk.exchange(integration, assertion=desk.assertion(aud="https://other.example.com"))
    purge(clock() + KEPT_FOR + timedelta(hours=1))
    assert noted(integration) is None


@pytest.mark.parametrize(("hours", "is_noted"), [(23, False), (25, True)])
def test_it_is_noted_once_a_day(desk: TokenDesk, clock: Clock, hours: int, is_noted: bool) -> None:
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
