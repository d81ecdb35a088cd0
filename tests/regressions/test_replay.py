"""One assertion is exchanged for one token only, and a token ends with the trust that it was issued under."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select

from changegate.extensions import db
from changegate.models import OAuthEntityScope, OAuthExchange
from changegate.services.oauth.events import purge_expired
from tests.conftest import Clock
from tests.support.attack_forms import padded, rewritten_ecdsa
from tests.support.forge import ec_key, forge, header, jwk, key_set_document
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import AUDIENCE, FORM, ISSUER, RFC_PATH, Integration, TokenDesk

THREADS = 20


def counted(desk: TokenDesk, column: Any) -> int:
    """Return in how many rows a column is set."""
    with desk.app.app_context():
        count: int = db.session.execute(select(func.count(column))).scalar_one()
        return count


def tokens_and_replay_keys(desk: TokenDesk) -> tuple[int, int]:
    return counted(desk, OAuthExchange.token_hash), counted(desk, OAuthExchange.replay_key)


def send_at_once(desk: TokenDesk, form: str) -> Counter[int]:
    def send(_number: int) -> int:
        return desk.app.test_client().post(RFC_PATH, data=form, content_type=FORM).status_code

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(send, range(THREADS)))


@pytest.mark.regression("replay: jti window")
def test_a_replay_key_outlives_the_assertion_and_its_skew(desk: TokenDesk, clock: Clock) -> None:
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


@pytest.mark.regression("replay: check then set")
def test_of_twenty_threads_with_one_assertion_one_gets_a_token(either_desk: TokenDesk) -> None:
    statuses = send_at_once(either_desk, urlencode(either_desk.form(either_desk.register())))

    assert statuses[200] == 1
    assert set(statuses) <= {200, 400, 429}
    assert tokens_and_replay_keys(either_desk) == (1, 1)


@pytest.mark.regression("replay: cross-tenant burn")
def test_one_jti_under_two_integrations_is_exchanged_twice(desk: TokenDesk, integration: Integration) -> None:
    other = desk.register("Another pipeline")
    assertion = desk.assertion()

    assert desk.exchange(integration, assertion=assertion).status_code == 200
    assert desk.exchange(other, assertion=assertion).status_code == 200


@pytest.mark.regression("replay: second spelling")
def test_another_spelling_of_a_used_assertion_is_refused(desk: TokenDesk) -> None:
    desk.jwks.answer = reply(key_set_document(jwk(ec_key())))
    integration = desk.register(replay_policy="once-if-present")
    now = int(desk.app.config["CLOCK"]().timestamp())
    claims = {"iss": ISSUER, "sub": "a", "aud": AUDIENCE, "iat": now, "exp": now + 60}
    assertion = forge(header(alg="ES256"), claims, alg="ES256")
    signing_input, _, signature = assertion.rpartition(".")

    assert desk.exchange(integration, assertion=assertion).status_code == 200

    assert desk.exchange(integration, assertion=rewritten_ecdsa(assertion)).status_code == 400
    assert desk.last_event().reason == "jti_replayed"
    assert desk.exchange(integration, assertion=f"{signing_input}.{padded(signature)}").status_code == 400
    assert desk.last_event().reason == "assertion_not_compact_jws"


@pytest.mark.regression("replay: failure burns jti")
def test_a_failed_attempt_does_not_burn_an_assertion(desk: TokenDesk) -> None:
    integration = desk.register(run_as=..., user_field="email")
    assertion = desk.assertion(sub="build@example.com")
    assert desk.exchange(integration, assertion=assertion).status_code == 400
    assert desk.exchange(integration, assertion=assertion, scope="everything").status_code == 400

    desk.add_user("builder", "itil", email="build@example.com")

    assert desk.exchange(integration, assertion=assertion).status_code == 200


@pytest.mark.regression("replay: crash half-way")
@pytest.mark.parametrize(
    "step", ["changegate.services.oauth.issuing.new_token", "changegate.api.oauth.record_accepted"]
)
def test_a_crash_before_the_commit_stores_neither_replay_key_nor_token(
    desk: TokenDesk, integration: Integration, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    desk.app.testing = False
    assertion = desk.assertion()
    with monkeypatch.context() as patch:
        patch.setattr(step, lambda *_, **__: 1 / 0)
        assert desk.exchange(integration, assertion=assertion).status_code == 500
    assert tokens_and_replay_keys(desk) == (0, 0)

    assert desk.exchange(integration, assertion=assertion).status_code == 200


@pytest.mark.regression("replay: token outlives trust")
def test_a_scope_taken_from_the_integration_is_taken_from_its_tokens(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        db.session.query(OAuthEntityScope).filter_by(entity=integration.sys_id).delete()
        db.session.commit()

    assert desk.call(token).get_json()["error"]["message"] == "Missing required api access scope"


@pytest.mark.regression("clock skew")
@pytest.mark.parametrize(("seconds_left", "status"), [(1, 200), (0, 400), (-1, 400)])
def test_without_skew_an_assertion_ends_at_its_exp(desk: TokenDesk, seconds_left: int, status: int) -> None:
    integration = desk.register(clock_skew_seconds=0)
    standing: datetime = desk.app.config["CLOCK"]().replace(microsecond=0)
    desk.app.config["CLOCK"] = lambda: standing
    now = standing.timestamp()

    answer = desk.exchange(integration, assertion=desk.assertion(iat=now - 100, exp=now + seconds_left))

    assert answer.status_code == status
