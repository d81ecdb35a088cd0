"""What an integration remembers of the assertions it has seen; see tests/regressions for the attacks."""

from typing import Any

from sqlalchemy import func, select

from changegate.extensions import db
from changegate.models import OAuthExchange, SysUser
from changegate.services.oauth.events import purge_expired
from tests.conftest import Clock
from tests.support.jobs import run_due_jobs
from tests.support.token_desk import Integration, TokenDesk


def _tokens(desk: TokenDesk) -> int:
    return _count(desk, OAuthExchange.token_hash)


def _replay_keys(desk: TokenDesk) -> int:
    return _count(desk, OAuthExchange.replay_key)


def _count(desk: TokenDesk, column: Any) -> int:
    with desk.app.app_context():
        return db.session.execute(select(func.count(column))).scalar_one()


def test_refuses_an_assertion_seen_before(desk: TokenDesk, integration: Integration) -> None:
    assertion = desk.assertion()
    desk.token(integration, assertion=assertion)

    answer = desk.exchange(integration, assertion=assertion)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert desk.last_event().reason == "jti_replayed"
    assert _tokens(desk) == 1


def test_refuses_another_assertion_with_the_same_jti(desk: TokenDesk, integration: Integration) -> None:
    desk.token(integration, assertion=desk.assertion(jti="one"))

    assert desk.exchange(integration, assertion=desk.assertion(jti="one", sub="other")).status_code == 400


def test_a_replay_key_is_deleted_when_no_clock_could_accept_the_assertion(desk: TokenDesk, clock: Clock) -> None:
    desk.token(desk.register())
    clock.advance(days=31)

    with desk.app.app_context():
        purge_expired(clock())
        db.session.commit()

    assert _replay_keys(desk) == 0


def test_without_jti_verification_an_assertion_may_be_used_again(desk: TokenDesk) -> None:
    integration = desk.register(enable_jti_verification=False)
    assertion = desk.assertion(jti=...)

    assert [desk.exchange(integration, assertion=assertion).status_code for _ in range(3)] == [200] * 3
    assert _replay_keys(desk) == 0


def test_another_claim_can_be_the_unique_one(desk: TokenDesk) -> None:
    integration = desk.register(jti_claim="uti")
    assertion = desk.assertion(jti=..., uti="abc")

    assert desk.exchange(integration, assertion=assertion).status_code == 200
    assert desk.exchange(integration, assertion=assertion).status_code == 400


def test_old_events_and_tokens_are_purged_by_a_job(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    desk.token(integration)
    clock.advance(days=31)
    desk.token(integration)

    run_due_jobs(desk.app, "oauth.count_exchanges", "oauth.thin_reports", "oauth.purge_exchanges")

    assert (_tokens(desk), _replay_keys(desk)) == (1, 1)
    assert len(desk.events()) == 1


def test_the_users_who_may_act_are_read_at_each_exchange(desk: TokenDesk) -> None:
    integration = desk.register(run_as=..., user_field="user_name")
    robot = desk.add_user("builder", "itil")
    desk.token(integration, assertion=desk.assertion(sub="builder"))
    with desk.app.app_context():
        db.session.get(SysUser, robot).active = False
        db.session.commit()

    assert desk.exchange(integration, assertion=desk.assertion(sub="builder")).status_code == 400
