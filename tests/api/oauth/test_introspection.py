"""Token introspection (RFC 7662): whether a token is active and what it grants."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthEntityScope, OAuthTokenKey, SysApiAccessScope, SysAuthScope, SysUser
from changegate.services.integrations.integrations import get_integration
from changegate.services.oauth.token_keys import block_token_key
from tests.conftest import BASE_URL, Clock, basic
from tests.support.forge import unb64
from tests.support.statements import counted_statements
from tests.support.token_desk import ROBOT, Integration, TokenDesk, basic_header

INTROSPECT = "/oauth/introspect"
SCOPE = "token.introspect"
INACTIVE = {"active": False}
LIMIT = 20


@pytest.fixture(params=["opaque", "jwt"])
def of_format(desk: TokenDesk, request: pytest.FixtureRequest) -> Integration:
    """An integration whose tokens have one format, then one whose tokens have the other."""
    return desk.register(token_format=request.param)


@pytest.fixture
def resource_server(desk: TokenDesk) -> Integration:
    """A service that takes tokens of all integrations."""
    return desk.register("Resource server", scopes=[SCOPE])


def ask(desk: TokenDesk, client: Integration, token: str, **form: str) -> TestResponse:
    return desk.send(urlencode({"token": token, **client.credentials, **form}), INTROSPECT)


def found(desk: TokenDesk, client: Integration, token: str) -> dict[str, Any]:
    answer = ask(desk, client, token)
    assert answer.status_code == 200, answer.get_json()
    body: dict[str, Any] = answer.get_json()
    return body


def test_a_client_learns_what_its_token_grants(desk: TokenDesk, of_format: Integration, clock: Clock) -> None:
    token = desk.token(of_format)
    body = found(desk, of_format, token)

    event = desk.last_event()
    assert body["iat"] == pytest.approx(clock().timestamp(), abs=5)
    assert body == {
        "active": True,
        "scope": "change_request.create",
        "client_id": of_format.client_id,
        "username": ROBOT,
        "token_type": "Bearer",
        "exp": body["iat"] + 1800,
        "iat": body["iat"],
        "nbf": body["iat"],
        "sub": event.user,
        "aud": BASE_URL,
        "iss": BASE_URL,
        "jti": event.correlation_id,
    }


def test_introspection_of_a_jwt_token_matches_its_claims(desk: TokenDesk) -> None:
    integration = desk.register(token_format="jwt")
    token = desk.token(integration)
    claims = json.loads(unb64(token.split(".")[1]))

    body = found(desk, integration, token)

    assert {name: body[name] for name in claims} == claims


def test_nothing_may_keep_the_answer(desk: TokenDesk, of_format: Integration) -> None:
    answer = ask(desk, of_format, desk.token(of_format))

    assert answer.content_type == "application/json;charset=UTF-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_basic_will_do(desk: TokenDesk, of_format: Integration) -> None:
    headers = basic_header(of_format.client_id, of_format.secret or "")
    answer = desk.send(urlencode({"token": desk.token(of_format)}), INTROSPECT, headers=headers)

    assert answer.get_json()["active"] is True


def test_a_client_learns_nothing_about_foreign_tokens(desk: TokenDesk, of_format: Integration) -> None:
    other = desk.register("Other")

    assert found(desk, other, desk.token(of_format)) == INACTIVE


def test_a_resource_server_learns_about_every_token(
    desk: TokenDesk, of_format: Integration, resource_server: Integration
) -> None:
    body = found(desk, resource_server, desk.token(of_format))

    assert (body["active"], body["client_id"]) == (True, of_format.client_id)


def test_the_access_of_a_resource_server_is_checked_at_each_request(
    desk: TokenDesk, integration: Integration, resource_server: Integration
) -> None:
    token = desk.token(integration)
    rule = update(SysApiAccessScope).where(SysApiAccessScope.rest_api == "oauth/introspect")
    outcomes = []
    for statement in (
        rule.values(active=False),
        rule.values(active=True),
        delete(OAuthEntityScope).where(OAuthEntityScope.entity == resource_server.sys_id),
    ):
        with desk.app.app_context():
            db.session.execute(statement)
            db.session.commit()
        outcomes.append(found(desk, resource_server, token)["active"])

    assert outcomes == [False, True, False]


def test_a_scope_with_only_the_same_name_grants_nothing(desk: TokenDesk, integration: Integration) -> None:
    with desk.app.app_context():
        db.session.add(SysAuthScope(name="introspect everything", rules=[]))
        db.session.commit()
    similar = desk.register("Similar name", scopes=["introspect everything"])

    assert found(desk, similar, desk.token(integration)) == INACTIVE


def lock_user(desk: TokenDesk, _: Integration) -> None:
    db.session.execute(update(SysUser).where(SysUser.user_name == ROBOT).values(locked_out=True))


def sleep(desk: TokenDesk, integration: Integration) -> None:
    db.session.execute(update(OAuthEntity).where(OAuthEntity.sys_id == integration.sys_id).values(active=False))


def turn_generation(desk: TokenDesk, integration: Integration) -> None:
    get_integration(integration.client_id).token_generation += 1


def leave_time_pass(desk: TokenDesk, _: Integration) -> None:
    desk.app.config["CLOCK"].advance(hours=1)


@pytest.mark.parametrize("change", [lock_user, sleep, turn_generation, leave_time_pass])
def test_a_token_is_active_exactly_if_a_call_would_be_taken(
    desk: TokenDesk,
    of_format: Integration,
    resource_server: Integration,
    change: Callable[[TokenDesk, Integration], None],
) -> None:
    token = desk.token(of_format)
    assert found(desk, resource_server, token)["active"] is True
    with desk.app.app_context():
        change(desk, of_format)
        db.session.commit()

    assert found(desk, resource_server, token) == INACTIVE
    assert desk.call(token).status_code == 401


def test_a_revoked_token_is_not_active(desk: TokenDesk, of_format: Integration) -> None:
    token, other = desk.token(of_format), desk.token(of_format)
    assert desk.send(urlencode({"token": token}), "/oauth/revoke").status_code == 200

    assert found(desk, of_format, token) == INACTIVE
    assert found(desk, of_format, other)["active"] is True


def test_a_token_whose_key_was_blocked_is_not_active(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register(token_format="jwt")
    token = desk.token(integration)
    with desk.app.app_context():
        block_token_key(db.session.execute(select(OAuthTokenKey.kid)).scalar_one(), clock())

    assert found(desk, integration, token) == INACTIVE


def test_the_scope_contains_only_scopes_that_still_apply(desk: TokenDesk) -> None:
    integration = desk.register(scopes=["change_request.create", SCOPE])
    token, part = desk.token(integration), desk.token(integration, scope=SCOPE)
    assert found(desk, integration, token)["scope"].split() == ["change_request.create", SCOPE]
    assert found(desk, integration, part)["scope"] == SCOPE
    with desk.app.app_context():
        named = select(SysAuthScope.sys_id).where(SysAuthScope.name == "change_request.create")
        db.session.execute(delete(OAuthEntityScope).where(OAuthEntityScope.scope.in_(named)))
        db.session.commit()

    assert found(desk, integration, token)["scope"] == SCOPE


def test_a_bad_token_is_an_answer_and_no_refusal(desk: TokenDesk, resource_server: Integration) -> None:
    for token in [
        "x",
        "cgat_",
        "cgat_" + "A" * 64,
        "cgat_" + "é" * 64,
        "a.b.c",
        "..",
        "\x00",
        "\U0001f600",
        "x" * 60_000,
    ]:
        assert found(desk, resource_server, token) == INACTIVE


def test_an_assertion_is_not_a_token(desk: TokenDesk, resource_server: Integration) -> None:
    assert found(desk, resource_server, desk.assertion()) == INACTIVE


@pytest.mark.parametrize("how", ["nobody", "wrong", "missing", "unknown", "asleep", "user", "bearer"])
def test_an_unauthenticated_client_learns_nothing(desk: TokenDesk, integration: Integration, how: str) -> None:
    token = desk.token(integration)
    if how == "asleep":
        desk.set(integration, active=False)
    form = {
        "wrong": {**integration.credentials, "client_secret": "wrong"},
        "missing": {"client_id": integration.client_id},
        "unknown": {"client_id": "0" * 32, "client_secret": "x"},
        "asleep": integration.credentials,
    }.get(how, {})
    headers = {"user": basic("admin", "correct horse battery"), "bearer": {"Authorization": f"Bearer {token}"}}

    answer = desk.send(urlencode({"token": token, **form}), INTROSPECT, headers=headers.get(how, {}))

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert "active" not in answer.get_json() and "WWW-Authenticate" in answer.headers


def test_a_public_client_must_prove_more_than_its_name(desk: TokenDesk) -> None:
    public = desk.register(public_client=True)
    answer = ask(desk, public, desk.token(public))

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert desk.last_event().reason == "client_unproven"


def test_a_request_without_one_token_is_malformed(desk: TokenDesk, integration: Integration) -> None:
    for form in [{}, {"token": ""}, {"token": ["a", "b"]}]:
        answer = desk.send(urlencode(form | integration.credentials, doseq=True), INTROSPECT)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_a_token_in_the_query_string_is_not_read(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)

    assert desk.send(urlencode(integration.credentials), f"{INTROSPECT}?token={token}").status_code == 400
    assert desk.client.get(f"{INTROSPECT}?token={token}").status_code == 405


def test_wrong_secrets_are_limited_as_at_the_token_endpoint(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    statuses = [ask(desk, integration, token, client_secret="wrong").status_code for _ in range(LIMIT)]

    assert statuses == [401] * LIMIT
    assert ask(desk, integration, token).status_code == 429


def test_asking_has_no_limit_and_leaves_no_event(desk: TokenDesk, resource_server: Integration) -> None:
    assert {ask(desk, resource_server, f"cgat_{n}").status_code for n in range(LIMIT * 2)} == {200}
    assert desk.events() == []


def test_a_question_costs_few_statements_and_writes_nothing(desk: TokenDesk, of_format: Integration) -> None:
    token = desk.token(of_format)
    ask(desk, of_format, token)
    with desk.app.app_context(), counted_statements() as statements:
        ask(desk, of_format, token)

    assert len(statements) <= 3
    assert all(text.lstrip().upper().startswith("SELECT") for text in statements)


def test_both_databases_give_the_same_response(either_desk: TokenDesk) -> None:
    server = either_desk.register("Server", scopes=[SCOPE])
    for name in ("opaque", "jwt"):
        token = either_desk.token(either_desk.register(name, token_format=name))
        assert found(either_desk, server, token)["active"] is True
        either_desk.send(urlencode({"token": token}), "/oauth/revoke")
        assert found(either_desk, server, token) == INACTIVE
