"""The password grant: a password is exchanged for a token, and guessing is limited as everywhere else."""

import logging
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import Task
from changegate.services.oauth import password_grant
from changegate.services.oauth.events import purge_expired
from changegate.services.oauth.oldest_tokens import MOST_LIVE
from changegate.services.users import accounts, verified_passwords
from changegate.services.users.verified_passwords import VerifiedPasswords
from tests.conftest import ADMIN_PASSWORD, Clock, basic
from tests.support.grant_desk import MARIA, PASSWORD, GrantDesk
from tests.support.token_desk import (
    CHANGES,
    RFC_PATH,
    ROBOT,
    SERVICENOW_PATH,
    Integration,
    TokenDesk,
    basic_header,
    list_live_tokens,
)

pytestmark = pytest.mark.usefixtures("allowed_passwords")
GRANT = "password"
LIMIT = 20
WRONG = "not her password"
NOBODY = "nobody.at.all"
ELSEWHERE = "192.0.2.7"


@pytest.fixture
def mobile(grants: GrantDesk) -> Integration:
    return grants.register(GRANT, scopes=("change_request.create", "change_request.read"))


@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
def test_a_password_is_exchanged_for_a_token_of_its_user(grants: GrantDesk, mobile: Integration, path: str) -> None:
    answer = grants.by_password(mobile, path)

    body = answer.get_json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}, "no refresh token unless it is wanted"
    assert body["scope"] == "change_request.create change_request.read"
    assert answer.headers["Cache-Control"] == "no-store"
    assert grants.is_good(body["access_token"])


def test_who_asked_is_known_and_no_secret_is_kept(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        token = grants.by_password(mobile).get_json()["access_token"]
        grants.by_password(mobile, password=WRONG)
        grants.by_password(mobile, username=WRONG)
    made = desk.call(token).get_json()["result"]

    accepted, wrong, unknown = desk.events()
    assert accepted.user == grants.sys_id(MARIA)
    assert (accepted.issuer, accepted.subject, accepted.kid, accepted.claims) == (None,) * 4
    assert [row[0] for row in accepted.rules] == ["grant allowed", "client", "user name", "password", "user"]
    assert (wrong.reason, unknown.reason) == ("password_wrong", "user_unknown")
    kept = "".join(repr(vars(event)) + repr(event.rules) for event in (accepted, wrong, unknown))
    for secret in (PASSWORD, WRONG, token, mobile.secret or ""):
        assert secret not in kept and secret not in caplog.text
    with desk.app.app_context():
        task = db.session.execute(select(Task).where(Task.sys_id == made["sys_id"])).scalar_one()
        assert (task.oauth_client_id, task.opened_by) == (mobile.client_id, accepted.user)
        assert (task.oauth_issuer, task.oauth_subject) == (None, None)


def test_the_client_may_authenticate_with_basic(grants: GrantDesk, desk: TokenDesk, mobile: Integration) -> None:
    header = basic_header(mobile.client_id, mobile.secret or "")
    body = f"grant_type=password&username={MARIA}&password={PASSWORD.replace(' ', '+')}"

    assert desk.send(body, headers=header).status_code == 200


def test_a_name_counts_without_case_and_a_password_as_it_is(grants: GrantDesk, mobile: Integration) -> None:
    grants.set_password(" padded ")

    assert grants.by_password(mobile, username=MARIA.upper(), password=" padded ").status_code == 200
    assert grants.by_password(mobile, password="padded").status_code == 400
    assert grants.by_password(mobile, username=f" {MARIA}", password=" padded ").status_code == 400


@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
@pytest.mark.parametrize("missing", ["username", "password"])
def test_name_and_password_must_both_be_there(grants: GrantDesk, mobile: Integration, missing: str, path: str) -> None:
    for absent in (..., ""):
        answer = grants.by_password(mobile, path, **{missing: absent})
        expected = (400, "invalid_request") if path == RFC_PATH else (401, "server_error")
        assert (answer.status_code, answer.get_json()["error"]) == expected


@pytest.mark.parametrize("form", [{"username": "x" * 256}, {"password": "x" * 4097}, {"password": ["a", "b"]}])
def test_long_and_repeated_parameters_are_refused(grants: GrantDesk, mobile: Integration, form: dict[str, Any]) -> None:
    assert grants.by_password(mobile, **form).get_json()["error"] == "invalid_request"


@pytest.mark.parametrize("name", ["password", "refresh_token", "client_secret"])
def test_a_secret_in_the_address_is_refused(grants: GrantDesk, desk: TokenDesk, mobile: Integration, name: str) -> None:
    answer = grants.by_password(mobile, f"{RFC_PATH}?{name}=x")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert not any(event.is_accepted for event in desk.events())


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("password_wrong", {"password": WRONG}, {}),
    ("password_wrong", {"password": PASSWORD.upper()}, {}),
    ("user_unknown", {"username": NOBODY}, {}),
    ("user_unknown", {"username": "nul\0nul"}, {}),
    ("user_inactive", {}, {"active": False}),
    ("user_locked", {}, {"locked_out": True}),
    ("user_web_service_only", {}, {"web_service_access_only": True}),
    ("password_wrong", {}, {"user_password": None}),
]


@pytest.mark.parametrize(("reason", "form", "columns"), REFUSED)
def test_whatever_is_wrong_with_a_user_the_answer_is_one(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, reason: str, form: dict[str, Any], columns: dict[str, Any]
) -> None:
    expected = grants.by_password(mobile, password=WRONG)
    if columns:
        grants.set_user(**columns)

    # Nor does a scope that is too wide tell that the password was right.
    for more in ({}, {"scope": "useraccount"}):
        answer = grants.by_password(mobile, **form, **more)

        assert answer.status_code == expected.status_code == 400
        assert without_id(answer.get_json()) == without_id(expected.get_json())
        assert answer.get_json()["error"] == "invalid_grant"
        assert (desk.last_event().reason, desk.last_event().user) == (reason, None)


def without_id(body: dict[str, str]) -> str:
    return repr(body).replace(body["correlation_id"], "")


def test_every_refusal_costs_one_hash(grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    check = verified_passwords.check_password_hash
    monkeypatch.setattr(
        verified_passwords, "check_password_hash", lambda *given: hashed.append(given[1]) or check(*given)
    )
    monkeypatch.setattr(accounts, "_verified_passwords", VerifiedPasswords())

    for form in ({"password": WRONG}, {"username": NOBODY}, {"password": WRONG}, {"username": NOBODY}):
        grants.by_password(mobile, **form)
    grants.set_user(active=False)
    grants.by_password(mobile, password=WRONG)

    assert hashed == [WRONG, PASSWORD, WRONG, PASSWORD, WRONG]


def test_wrong_passwords_are_counted_with_those_of_basic_and_the_login(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration
) -> None:
    other = grants.register(GRANT)
    for number in range(LIMIT):
        # Whichever client it is, and the name is the same whatever its case.
        client, name = (mobile, MARIA) if number % 2 else (other, MARIA.title())
        assert grants.by_password(client, username=name, password=WRONG).status_code == 400

    answer = grants.by_password(mobile, password=WRONG)
    assert (answer.status_code, answer.get_json()["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert grants.by_password(mobile, SERVICENOW_PATH, password=WRONG).status_code == 429
    assert grants.by_password(mobile, username="admin", password=ADMIN_PASSWORD).status_code == 200
    with desk.app.app_context():
        assert desk.client.get(CHANGES, headers=basic(MARIA, WRONG)).status_code == 429


def test_wrong_passwords_of_basic_count_here(grants: GrantDesk, desk: TokenDesk, mobile: Integration) -> None:
    for _ in range(LIMIT):
        with desk.app.app_context():
            assert desk.client.get(CHANGES, headers=basic(MARIA, WRONG)).status_code == 401

    assert grants.by_password(mobile, password=WRONG).status_code == 429
    # No other user is locked out, and she herself is not at another address.
    assert grants.by_password(mobile, username="admin", password=ADMIN_PASSWORD).status_code == 200
    desk.client.environ_base["REMOTE_ADDR"] = ELSEWHERE
    assert grants.by_password(mobile).status_code == 200


def test_inventing_names_is_limited_too(
    grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified_passwords, "check_password_hash", lambda *_: False)
    statuses = [grants.by_password(mobile, username=f"guess{number}").status_code for number in range(105)]

    assert statuses == [400] * 100 + [429] * 5


@pytest.mark.parametrize(("form", "active"), [({}, False), ({"username": "nul\0nul"}, True)])
def test_refusals_without_a_hash_are_limited_too(
    grants: GrantDesk, mobile: Integration, form: dict[str, str], active: bool
) -> None:
    assert grants.by_password(mobile).status_code == 200, "from here on her password is remembered"
    grants.set_user(active=active)

    statuses = [grants.by_password(mobile, **form).status_code for _ in range(LIMIT + 2)]

    assert statuses == [400] * LIMIT + [429] * 2


def test_a_user_who_is_locked_meanwhile_gets_nothing(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = password_grant.issue_token

    def locked_out_meanwhile(*given: Any) -> Any:
        grants.set_user(locked_out=True)
        return issue(*given)

    monkeypatch.setattr(password_grant, "issue_token", locked_out_meanwhile)

    assert grants.by_password(mobile).status_code == 400
    assert desk.last_event().reason == "user_locked"


def test_a_password_that_is_changed_meanwhile_is_refused(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = password_grant.issue_token

    def changed_meanwhile(*given: Any) -> Any:
        grants.set_password("another password")
        return issue(*given)

    monkeypatch.setattr(password_grant, "issue_token", changed_meanwhile)

    assert grants.by_password(mobile).status_code == 400
    assert desk.last_event().reason == "password_changed"


def test_a_disabled_user_ends_the_token(grants: GrantDesk, mobile: Integration) -> None:
    token = grants.by_password(mobile).get_json()["access_token"]
    grants.set_user(active=False)

    assert not grants.is_good(token)


def test_of_too_many_tokens_the_oldest_end(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, clock: Clock
) -> None:
    other = grants.register(GRANT)
    elsewhere = grants.by_password(other).get_json()["access_token"]
    of_admin = grants.by_password(mobile, username="admin", password=ADMIN_PASSWORD).get_json()["access_token"]
    tokens = []
    for _ in range(MOST_LIVE + 2):
        clock.advance(seconds=1)
        tokens.append(grants.by_password(mobile).get_json()["access_token"])

    assert [grants.is_good(token) for token in tokens] == [False] * 2 + [True] * MOST_LIVE
    assert grants.is_good(elsewhere) and grants.is_good(of_admin), "each client and user has its own"


def test_tokens_that_have_ended_take_no_room(grants: GrantDesk, mobile: Integration, clock: Clock) -> None:
    for _ in range(MOST_LIVE):
        grants.by_password(mobile)
    clock.advance(hours=1)
    first = grants.by_password(mobile).get_json()["access_token"]
    for _ in range(MOST_LIVE - 1):
        clock.advance(seconds=1)
        grants.by_password(mobile)

    assert grants.is_good(first)


def test_an_exchange_is_forgotten_with_the_others(grants: GrantDesk, desk: TokenDesk, mobile: Integration) -> None:
    grants.by_password(mobile)
    with desk.app.app_context():
        purge_expired(desk.events()[0].happened_at.replace(year=2040))
        db.session.commit()

    assert desk.events() == []


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_tokens_for_a_password_end_when_the_grant_is_switched_off(
    allowed_passwords: None, either_desk: TokenDesk, token_format: str
) -> None:
    grants = GrantDesk(either_desk)
    grants.add_maria()
    client = grants.register("password", issue_refresh_tokens=True, token_format=token_format)
    access_token, refresh_token = grants.both_tokens(client)
    other = either_desk.token(either_desk.register())
    assert grants.is_good(access_token)
    config = either_desk.app.config
    config["SETTINGS"] = replace(config["SETTINGS"], password_grant_enabled=False)

    assert either_desk.call(access_token).status_code == 401
    assert grants.refresh(client, refresh_token).status_code == 400
    asked = urlencode({"token": access_token, **client.credentials})
    assert either_desk.send(asked, "/oauth/introspect").get_json() == {"active": False}
    with either_desk.app.app_context():
        assert [token.user_name for token in list_live_tokens()] == [ROBOT]
    assert grants.is_good(other)
