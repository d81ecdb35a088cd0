"""One assertion buys one token, whoever asks and however often (oauth_jwt.md §4.5, §6.5)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select

from changegate.extensions import db
from changegate.models import OAuthExchange, SysUser
from changegate.services.oauth.events import purge_expired
from tests.conftest import Clock
from tests.support.forge import b64, ec_key, forge, header, jwk, key_set_document, unb64
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import FORM, RFC_PATH, Integration, TokenDesk

THREADS = 20
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _tokens(desk: TokenDesk) -> int:
    return _count(desk, OAuthExchange.token_hash)


def _claims(desk: TokenDesk) -> int:
    return _count(desk, OAuthExchange.assertion_claim)


def _count(desk: TokenDesk, column: Any) -> int:
    with desk.app.app_context():
        return db.session.execute(select(func.count(column))).scalar_one()


def _statuses(desk: TokenDesk, form: str) -> Counter[int]:
    def send(_number: int) -> int:
        return desk.app.test_client().post(RFC_PATH, data=form, content_type=FORM).status_code

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(send, range(THREADS)))


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


def test_of_twenty_threads_with_one_assertion_one_gets_a_token(either_desk: TokenDesk) -> None:
    statuses = _statuses(either_desk, urlencode(either_desk.form(either_desk.register())))

    assert statuses[200] == 1
    assert set(statuses) <= {200, 400, 429}
    assert (_tokens(either_desk), _claims(either_desk)) == (1, 1)


def test_a_failed_attempt_does_not_burn_an_assertion(desk: TokenDesk) -> None:
    integration = desk.register(run_as=..., user_field="email")
    assertion = desk.assertion(sub="build@example.com")
    assert desk.exchange(integration, assertion=assertion).status_code == 400
    assert desk.exchange(integration, assertion=assertion, scope="everything").status_code == 400

    desk.add_user("builder", "itil", email="build@example.com")

    assert desk.exchange(integration, assertion=assertion).status_code == 200


def test_one_jti_under_two_integrations_buys_two_tokens(desk: TokenDesk, integration: Integration) -> None:
    other = desk.register("Another pipeline")
    assertion = desk.assertion()

    assert desk.exchange(integration, assertion=assertion).status_code == 200
    assert desk.exchange(other, assertion=assertion).status_code == 200


@pytest.mark.parametrize("step", ["changegate.services.oauth.grants.new_token", "changegate.api.oauth.record_accepted"])
def test_a_crash_before_the_commit_leaves_neither_claim_nor_token(
    desk: TokenDesk, integration: Integration, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    desk.app.testing = False
    assertion = desk.assertion()
    with monkeypatch.context() as patch:
        patch.setattr(step, lambda *_, **__: 1 / 0)
        assert desk.exchange(integration, assertion=assertion).status_code == 500
    assert (_tokens(desk), _claims(desk)) == (0, 0)

    assert desk.exchange(integration, assertion=assertion).status_code == 200


def test_a_claim_outlives_the_assertion_and_its_skew(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register(clock_skew_seconds=30)
    now = int(clock().timestamp())
    assertion = desk.assertion(iat=now, exp=now + 100)
    desk.token(integration, assertion=assertion)
    clock.advance(seconds=110)  # past exp, within the skew

    with desk.app.app_context():
        purge_expired(clock())
        db.session.commit()

    assert desk.exchange(integration, assertion=assertion).status_code == 400
    assert desk.last_event().reason == "jti_replayed"


def test_a_claim_is_forgotten_when_no_clock_could_accept_the_assertion(desk: TokenDesk, clock: Clock) -> None:
    desk.token(desk.register())
    clock.advance(days=31)

    with desk.app.app_context():
        purge_expired(clock())
        db.session.commit()

    assert _claims(desk) == 0


@pytest.mark.parametrize(("seconds_left", "status"), [(1, 200), (0, 400), (-1, 400)])
def test_without_skew_an_assertion_ends_at_its_exp(desk: TokenDesk, seconds_left: int, status: int) -> None:
    integration = desk.register(clock_skew_seconds=0)
    now = int(desk.app.config["CLOCK"]().timestamp())
    desk.app.config["CLOCK"] = _frozen(desk, now)

    answer = desk.exchange(integration, assertion=desk.assertion(iat=now - 100, exp=now + seconds_left))

    assert answer.status_code == status


def _frozen(desk: TokenDesk, timestamp: int) -> object:
    instant = desk.app.config["CLOCK"]()
    standing = instant - timedelta(seconds=instant.timestamp() - timestamp)
    return lambda: standing


def test_another_spelling_of_the_signature_is_the_same_assertion(desk: TokenDesk) -> None:
    desk.jwks.answer = reply(key_set_document(jwk(ec_key())))
    integration = desk.register(jti_claim="absent", enable_jti_verification=False)
    desk.set(integration, enable_jti_verification=True)
    claims = {"iss": "https://ci.example.com", "sub": "a", "aud": "https://change.example.com"}
    now = int(desk.app.config["CLOCK"]().timestamp())
    assertion = forge(header(alg="ES256"), claims | {"iat": now, "exp": now + 60, "absent": "x"}, alg="ES256")
    head, payload, signature = assertion.split(".")
    raw = unb64(signature)
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)

    assert desk.exchange(integration, assertion=assertion).status_code == 200
    assert desk.exchange(integration, assertion=f"{head}.{payload}.{b64(twin)}").status_code == 400


def test_without_jti_verification_an_assertion_may_be_used_again(desk: TokenDesk) -> None:
    integration = desk.register(enable_jti_verification=False)
    assertion = desk.assertion(jti=...)

    assert [desk.exchange(integration, assertion=assertion).status_code for _ in range(3)] == [200] * 3
    assert _claims(desk) == 0


def test_another_claim_can_be_the_unique_one(desk: TokenDesk) -> None:
    integration = desk.register(jti_claim="uti")
    assertion = desk.assertion(jti=..., uti="abc")

    assert desk.exchange(integration, assertion=assertion).status_code == 200
    assert desk.exchange(integration, assertion=assertion).status_code == 400


def test_old_events_and_tokens_are_purged_by_the_way(
    desk: TokenDesk, integration: Integration, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.token(integration)
    clock.advance(days=31)
    monkeypatch.setattr("changegate.services.oauth.events.random.random", lambda: 0.0)

    desk.token(integration)

    assert (_tokens(desk), _claims(desk)) == (1, 1)
    assert len(desk.events()) == 1


def test_the_users_who_may_act_are_read_at_each_exchange(desk: TokenDesk) -> None:
    integration = desk.register(run_as=..., user_field="user_name")
    robot = desk.add_user("builder", "itil")
    desk.token(integration, assertion=desk.assertion(sub="builder"))
    with desk.app.app_context():
        db.session.get(SysUser, robot).active = False
        db.session.commit()

    assert desk.exchange(integration, assertion=desk.assertion(sub="builder")).status_code == 400
