"""The token endpoint's answers: what a client gets, byte for byte where it matters."""

import re
from datetime import timedelta

import pytest

from changegate.extensions import db
from changegate.models import OAuthExchange
from tests.support.token_desk import CHANGES, RFC_PATH, SERVICENOW_PATH, Integration, TokenDesk

BOTH_PATHS = pytest.mark.parametrize("path", [SERVICENOW_PATH, RFC_PATH])


@BOTH_PATHS
def test_an_assertion_is_exchanged_for_an_access_token(desk: TokenDesk, integration: Integration, path: str) -> None:
    answer = desk.exchange(integration, path)

    assert answer.status_code == 200
    body = answer.get_json()
    assert list(body) == ["access_token", "token_type", "expires_in", "scope"]
    assert re.fullmatch(r"cgat_[A-Za-z0-9_-]{64}", body["access_token"])
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 1800, "change_request.create")


@BOTH_PATHS
def test_the_answer_is_json_that_must_not_be_stored(desk: TokenDesk, integration: Integration, path: str) -> None:
    headers = desk.exchange(integration, path).headers

    assert headers["Content-Type"] == "application/json;charset=UTF-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Pragma"] == "no-cache"
    assert "Set-Cookie" not in headers


def test_the_correlation_id_of_an_answer_is_that_of_its_event(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration)

    [event] = desk.events()
    assert event.is_accepted
    assert event.correlation_id == answer.headers["X-Request-Id"]


def test_a_lifespan_in_the_form_is_the_lifespan_of_the_token(desk: TokenDesk) -> None:
    integration = desk.register(access_token_lifespan_seconds=60)

    assert desk.exchange(integration).get_json()["expires_in"] == 60


def test_each_exchange_gives_another_token(desk: TokenDesk, integration: Integration) -> None:
    assert desk.token(integration) != desk.token(integration)


def test_a_token_is_kept_as_a_hash_only(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)

    with desk.app.app_context():
        [row] = db.session.query(OAuthExchange).all()
        assert re.fullmatch("[0-9a-f]{64}", row.token_hash)
        assert row.expires_at - row.happened_at == timedelta(seconds=1800)
        assert token not in str(vars(row))


def test_the_token_creates_a_change_request_as_its_user(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.call(desk.token(integration))

    assert answer.status_code == 201
    assert answer.get_json()["result"]["number"] == "CHG0030001"
    assert answer.get_json()["result"]["sys_created_by"] == "release.bot"


def test_a_part_of_the_scope_can_be_asked_for(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration, scope="change_request.create")

    assert answer.get_json()["scope"] == "change_request.create"


@pytest.mark.parametrize("scope", ["useraccount", "change_request.create everything", "CHANGE_REQUEST.CREATE"])
def test_refuses_a_scope_that_the_integration_does_not_have(
    desk: TokenDesk, integration: Integration, scope: str
) -> None:
    answer = desk.exchange(integration, scope=scope)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_scope")
    assert desk.last_event().reason == "scope_invalid"
    assert desk.last_event().detail == f"not granted: {scope.split()[-1]}"


@BOTH_PATHS
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "PATCH", "DELETE"])
def test_other_methods_are_refused_in_json(desk: TokenDesk, path: str, method: str) -> None:
    answer = desk.client.open(path, method=method)

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert "GET" not in answer.headers["Allow"]
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    if method != "HEAD":
        assert answer.get_json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", [f"{SERVICENOW_PATH}/", f"{RFC_PATH}/", "/oauth_token", "/oauth/tokens"])
def test_there_is_nothing_beside_the_two_paths(desk: TokenDesk, integration: Integration, path: str) -> None:
    answer = desk.exchange(integration, path)

    assert answer.status_code == 404
    assert answer.get_json()["error"] == "invalid_request"


def test_a_browsers_session_is_neither_read_nor_set(desk: TokenDesk, integration: Integration) -> None:
    desk.client.set_cookie("changegate_session", "whatever")

    answer = desk.exchange(integration)

    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert desk.client.post(CHANGES, json={}).status_code == 401
