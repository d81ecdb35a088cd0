"""ID tokens in an attacker's hands: what was cut off stays cut off, also in a process that knows the token."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.integrations.integrations import get_integration
from changegate.services.oauth import id_token_rows
from changegate.services.oauth.access_tokens import revoke_all_so_far
from tests.conftest import Clock
from tests.support.certificates import certificate, pem
from tests.support.forge import header
from tests.support.id_token_desk import register_id_token
from tests.support.token_desk import TokenDesk

JANE = "jane@example.com"


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop the tokens that this process has verified in other tests."""
    monkeypatch.setattr(id_token_rows, "_verified_tokens", id_token_rows._VerifiedTokens())


def assert_refused(desk: TokenDesk, token: str, reason: str) -> None:
    assert desk.call(token).status_code == 401
    assert desk.last_event().reason == reason


def change_user(desk: TokenDesk, called: str, /, **columns: Any) -> None:
    """Write columns of a user as another process would."""
    with desk.app.app_context():
        db.session.execute(update(SysUser).where(SysUser.user_name == called).values(columns))
        db.session.commit()


@pytest.mark.parametrize("verified", [False, "false", 0, None, "yes", ["true"], ...])
def test_an_unverified_email_matches_no_user(desk: TokenDesk, verified: object) -> None:
    register_id_token(desk, run_as=..., user_field="email", user_claim="email")
    desk.add_user("jane", "admin", email=JANE)

    assert_refused(desk, desk.assertion(email=JANE, email_verified=verified), "email_unverified")


@pytest.mark.parametrize("verified", [True, "true", ...])
def test_an_integration_that_does_not_require_it_takes_an_email_of_which_nothing_is_said(
    desk: TokenDesk, verified: object
) -> None:
    fields = {"run_as": ..., "user_field": "email", "user_claim": "email", "require_email_verified": False}
    register_id_token(desk, **fields)
    desk.add_user("jane", "itil", email=JANE)

    assert desk.call(desk.assertion(email=JANE, email_verified=verified)).status_code == 201
    assert_refused(desk, desk.assertion(email=JANE, email_verified=False), "email_unverified")


@pytest.mark.parametrize("verified", [True, "true"])
def test_a_verified_email_matches_its_user(desk: TokenDesk, verified: object) -> None:
    register_id_token(desk, run_as=..., user_field="email", user_claim="email")
    desk.add_user("jane", "itil", email=JANE)

    assert desk.call(desk.assertion(email=JANE, email_verified=verified)).status_code == 201


def test_whether_an_email_is_verified_matters_to_no_other_claim(desk: TokenDesk) -> None:
    register_id_token(desk, run_as=..., user_field="user_name", user_claim="preferred_username")
    desk.add_user("jane", "itil")

    assert desk.call(desk.assertion(preferred_username="jane", email_verified=False)).status_code == 201


@pytest.mark.parametrize("field", ["user_name", "email", "employee_number"])
def test_a_user_whose_field_has_changed_is_no_longer_matched(desk: TokenDesk, field: str) -> None:
    register_id_token(desk, run_as=..., user_field=field)
    desk.add_user("build-42", "itil", email="build-42", employee_number="build-42")
    token = desk.assertion()
    assert [desk.call(token).status_code for _ in range(2)] == [201, 201]
    change_user(desk, "build-42", **{field: "somebody-else"})

    assert_refused(desk, token, "sub_unmapped")


def test_a_name_that_passes_to_another_user_acts_as_that_one(desk: TokenDesk) -> None:
    register_id_token(desk, run_as=..., user_field="email")
    desk.add_user("joe", "itil", email="build-42")
    desk.add_user("jane", "itil")
    token = desk.assertion()
    assert desk.call(token).get_json()["result"]["sys_created_by"] == "joe"
    change_user(desk, "joe", email=None)
    change_user(desk, "jane", email="build-42")

    assert desk.call(token).get_json()["result"]["sys_created_by"] == "jane"


def test_a_user_may_be_identified_by_sys_id(desk: TokenDesk) -> None:
    register_id_token(desk, run_as=..., user_field="sys_id")
    token = desk.assertion(sub=desk.add_user("jane", "itil"))

    assert [desk.call(token).status_code for _ in range(2)] == [201, 201]
    with desk.app.app_context():
        assert id_token_rows.find_known_caller(token) is not None


@pytest.mark.parametrize("typ", ["JWT", ...])
def test_logout_and_event_tokens_are_not_accepted_as_id_tokens_or_grants(desk: TokenDesk, typ: object) -> None:
    """Providers have sent logout tokens of no type of their own (OpenID Connect Back-Channel Logout 1.0 §2.4)."""
    register_id_token(desk)
    pipeline = desk.register()
    head = {name: value for name, value in header(typ=typ).items() if value is not ...}
    token = desk.assertion(head, events={"http://schemas.openid.net/event/backchannel-logout": {}})

    assert_refused(desk, token, "payload_invalid")
    assert desk.exchange(pipeline, assertion=token).get_json()["error"] == "invalid_grant"
    assert desk.last_event().rules[-1] == ["events", "payload_invalid", "absent", "present"]


def test_a_token_ends_with_the_certificate_of_its_key(desk: TokenDesk, clock: Clock) -> None:
    dated = pem(certificate(begins_at=clock() - timedelta(days=1), ends_at=clock() + timedelta(minutes=2)))
    maps = [{"name": "Signer", "certificate": dated, "kid": header()["kid"]}]
    register_id_token(desk, key_source="certificates", verifier_maps=maps, jwks_url=...)
    token = desk.assertion()
    assert [desk.call(token).status_code for _ in range(2)] == [201, 201]
    clock.advance(minutes=3)

    assert_refused(desk, token, "certificate_expired")


def test_all_at_once_includes_those_of_a_provider_whose_clock_is_ahead(desk: TokenDesk, clock: Clock) -> None:
    integration = register_id_token(desk)
    ahead = int(clock().timestamp()) + 50
    token = desk.assertion(iat=ahead, exp=ahead + 300)
    assert desk.call(token).status_code == 201
    clock.advance(seconds=5)
    with desk.app.app_context():
        revoke_all_so_far(get_integration(integration.client_id))
        db.session.commit()

    assert_refused(desk, token, "token_revoked")
