"""The client credentials grant: a secret is exchanged for a token of the OAuth Application User, and only that."""

from typing import Any

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import Task
from tests.support.client_assertions import ASSERTION_TYPE
from tests.support.grant_desk import GrantDesk
from tests.support.token_desk import FORM, RFC_PATH, ROBOT, SERVICENOW_PATH, Integration, TokenDesk, basic_header

GRANT = "client_credentials"


@pytest.fixture
def grants(desk: TokenDesk) -> GrantDesk:
    return GrantDesk(desk)


@pytest.fixture
def machine(grants: GrantDesk) -> Integration:
    return grants.register(GRANT, scopes=("change_request.create", "change_request.read"))


@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
def test_a_secret_is_exchanged_for_a_token(grants: GrantDesk, machine: Integration, path: str) -> None:
    answer = grants.send(GRANT, machine, path)

    body = answer.get_json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}, "no refresh token (RFC 6749 §4.4.3)"
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 1800)
    assert body["scope"] == "change_request.create change_request.read"
    assert grants.is_good(body["access_token"])


def test_the_token_acts_as_the_application_user(grants: GrantDesk, desk: TokenDesk, machine: Integration) -> None:
    token = grants.send(GRANT, machine).get_json()["access_token"]
    made = desk.call(token).get_json()["result"]

    event = desk.events()[0]
    assert event.is_accepted and event.user == grants.sys_id(ROBOT)
    assert (event.issuer, event.subject, event.kid, event.claims, event.jti_digest) == (None,) * 5
    assert grants.rules() == {"grant allowed": True, "client": True, "user": True}
    with desk.app.app_context():
        task = db.session.execute(select(Task).where(Task.sys_id == made["sys_id"])).scalar_one()
        assert (task.oauth_client_id, task.oauth_exchange) == (machine.client_id, event.correlation_id)
        assert (task.oauth_issuer, task.oauth_subject) == (None, None)
        assert task.opened_by == grants.sys_id(ROBOT)


def test_the_secret_may_stand_in_a_basic_header(grants: GrantDesk, desk: TokenDesk, machine: Integration) -> None:
    header = basic_header(machine.client_id, machine.secret or "")

    assert desk.send(f"grant_type={GRANT}", headers=header).status_code == 200
    assert desk.send(f"grant_type={GRANT}", content_type=f"{FORM}; charset=UTF-8", headers=header).status_code == 200


def test_the_format_may_be_jwt(grants: GrantDesk) -> None:
    machine = grants.register(GRANT, token_format="jwt")
    token = grants.send(GRANT, machine).get_json()["access_token"]

    assert token.count(".") == 2
    assert grants.is_good(token)


def test_a_scope_is_narrowed_and_never_widened(grants: GrantDesk, desk: TokenDesk, machine: Integration) -> None:
    narrow = grants.send(GRANT, machine, scope="change_request.read").get_json()

    assert narrow["scope"] == "change_request.read"
    assert desk.call(narrow["access_token"]).status_code == 403
    refused = grants.send(GRANT, machine, scope="change_request.read useraccount")
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"client_secret": "wrong"}, "client_secret_bad"),
        ({"client_secret": ...}, "client_secret_bad"),
        ({"client_id": "0" * 32}, "client_unknown"),
    ],
)
def test_without_the_secret_there_is_nothing(
    grants: GrantDesk, desk: TokenDesk, machine: Integration, form: dict[str, Any], reason: str
) -> None:
    answer = grants.send(GRANT, machine, **form)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert desk.last_event().reason == reason


def test_a_signature_does_not_authenticate_a_client_without_keys(
    grants: GrantDesk, desk: TokenDesk, machine: Integration
) -> None:
    answer = grants.send(
        GRANT, machine, client_secret=..., client_assertion=desk.assertion(), client_assertion_type=ASSERTION_TYPE
    )

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert desk.last_event().reason == "client_assertion_refused"


def test_a_client_that_became_public_proves_nothing(grants: GrantDesk, desk: TokenDesk) -> None:
    machine = grants.register(GRANT, public_client=True)

    answer = grants.send(GRANT, machine, client_secret=...)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert desk.last_event().reason == "client_unproven"


@pytest.mark.parametrize("columns", [{"active": False}, {"locked_out": True}])
def test_a_user_who_may_not_act_gets_no_token_and_ends_the_one_there_is(
    grants: GrantDesk, desk: TokenDesk, machine: Integration, columns: dict[str, bool]
) -> None:
    token = grants.send(GRANT, machine).get_json()["access_token"]
    grants.set_user(ROBOT, **columns)

    answer = grants.send(GRANT, machine)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")
    assert desk.last_event().reason == "user_inactive"
    assert grants.rules()["user"] is False
    assert not grants.is_good(token)


def test_without_an_application_user_there_is_no_token(grants: GrantDesk, desk: TokenDesk) -> None:
    machine = grants.register(GRANT, run_as=None)

    assert grants.send(GRANT, machine).get_json()["error"] == "unauthorized_client"
    assert desk.last_event().reason == "user_inactive"


def test_a_disabled_integration_gets_no_token(grants: GrantDesk, desk: TokenDesk, machine: Integration) -> None:
    token = grants.send(GRANT, machine).get_json()["access_token"]
    desk.set(machine, active=False)

    assert grants.send(GRANT, machine).status_code == 401
    assert not grants.is_good(token)
