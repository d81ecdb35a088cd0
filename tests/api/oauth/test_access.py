"""What an access token grants; it is checked again at every call."""

from typing import Any

import pytest

from changegate.extensions import db
from changegate.models import (
    OAuthEntity,
    OAuthExchange,
    SysApiAccessScope,
    SysUser,
    SysUserHasRole,
)
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import change_integration
from tests.conftest import Clock
from tests.support.token_desk import CHANGES, ROBOT, Integration, TokenDesk

TABLES = "/api/now/table"
UNAUTHENTICATED = {
    "error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
    "status": "failure",
}


@pytest.fixture(params=["opaque", "jwt"])
def integration(desk: TokenDesk, request: pytest.FixtureRequest) -> Integration:
    """Register an integration for each format of tokens: the checks of a call do not depend on it."""
    return desk.register(token_format=request.param)


def _write(desk: TokenDesk, model: type, values: dict[str, Any], **where: Any) -> None:
    with desk.app.app_context():
        assert db.session.query(model).filter_by(**where).update(values) == 1
        db.session.commit()


def _assert_unauthenticated(desk: TokenDesk, token: str) -> None:
    answer = desk.call(token)
    assert answer.status_code == 401
    assert answer.get_json() == UNAUTHENTICATED
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
def test_the_token_creates_changes_under_every_version(desk: TokenDesk, integration: Integration, version: str) -> None:
    assert desk.call(desk.token(integration), path=f"/api/now{version}/table/change_request").status_code == 201


@pytest.mark.parametrize("scheme", ["Token", "Digest", "DPoP"])
def test_a_token_counts_as_a_bearer_token_only(desk: TokenDesk, integration: Integration, scheme: str) -> None:
    token = desk.token(integration)
    headers = {"Authorization": f"{scheme} {token}"}
    assert desk.client.post(CHANGES, json={}, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", CHANGES),
        ("HEAD", CHANGES),
        ("GET", f"{CHANGES}/{{sys_id}}"),
        ("PUT", f"{CHANGES}/{{sys_id}}"),
        ("PATCH", f"{CHANGES}/{{sys_id}}"),
        ("DELETE", f"{CHANGES}/{{sys_id}}"),
        ("GET", f"{CHANGES}/{'0' * 32}"),
        ("POST", f"{TABLES}/sys_user"),
        ("GET", f"{TABLES}/sys_user"),
        ("DELETE", f"{TABLES}/sys_user/6816f79cc0a8016401c5a33be04be441"),
    ],
)
def test_everything_else_misses_the_scope(desk: TokenDesk, integration: Integration, method: str, path: str) -> None:
    token = desk.token(integration)
    sys_id = desk.call(token).get_json()["result"]["sys_id"]

    answer = desk.call(token, method, path.format(sys_id=sys_id))

    assert answer.status_code == 403
    if method != "HEAD":
        assert answer.get_json()["error"]["message"] == "Missing required api access scope"


def test_a_scope_does_not_replace_the_roles_of_the_user(desk: TokenDesk) -> None:
    desk.add_user("intern")
    token = desk.token(desk.register(run_as="intern"))

    answer = desk.call(token)

    assert answer.status_code == 403
    assert answer.get_json()["error"]["message"] == "Operation Failed"


def test_a_role_taken_away_is_gone_at_once(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        robot = db.session.query(SysUser).filter_by(user_name=ROBOT).one()
        db.session.query(SysUserHasRole).filter_by(user=robot.sys_id).delete()
        db.session.commit()

    assert desk.call(token).status_code == 403


def test_a_revoked_token_stops_at_once(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    token = desk.token(integration)
    _write(desk, OAuthExchange, {"revoked_at": clock()}, entity=integration.sys_id)

    _assert_unauthenticated(desk, token)


def test_a_token_ends_with_its_lifespan(desk: TokenDesk, integration: Integration, clock: Clock) -> None:
    token = desk.token(integration)
    clock.advance(seconds=1790)
    assert desk.call(token).status_code == 201

    clock.advance(seconds=11)
    _assert_unauthenticated(desk, token)


def test_a_rule_switched_off_is_off_for_live_tokens(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    _write(desk, SysApiAccessScope, {"active": False}, rest_api="now/table", http_method="POST")

    assert desk.call(token).status_code == 403


def test_a_token_with_fewer_scopes_never_gains_others(desk: TokenDesk) -> None:
    integration = desk.register(scopes=["change_request.create", "change_request.read"])

    everything = desk.token(integration)
    reader = desk.token(integration, scope="change_request.read")

    assert (desk.call(everything).status_code, desk.call(everything, "GET").status_code) == (201, 200)
    assert (desk.call(reader).status_code, desk.call(reader, "GET").status_code) == (403, 200)


@pytest.mark.parametrize(
    "token", ["", "cgat_", "cgat_" + "A" * 64, "e30.e30.e30", "cgat_\0", "cgat_" + "A" * 10000, "é"]
)
def test_an_unknown_token_authenticates_no_user(desk: TokenDesk, token: str) -> None:
    _assert_unauthenticated(desk, token)


def test_assertions_and_tokens_are_not_interchangeable(desk: TokenDesk, integration: Integration) -> None:
    _assert_unauthenticated(desk, desk.assertion())
    assert desk.exchange(integration, assertion=desk.token(integration)).status_code == 400


def test_a_token_in_the_query_or_the_body_is_not_read(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)

    assert desk.client.post(f"{CHANGES}?access_token={token}", json={}).status_code == 401
    assert desk.client.post(CHANGES, data={"access_token": token}).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.example"},
        {"jwks_url": "https://other.example/jwks"},
        {"run_as": None, "user_field": "email"},
        {"public_client": True},
        {"active": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_tokens_end_with_the_trust_they_rest_on(
    desk: TokenDesk, integration: Integration, change: dict[str, Any]
) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        entity = get_integration(integration.client_id)
        change_integration(entity, _fields_of(entity) | change, by="admin")
        db.session.commit()
    _assert_unauthenticated(desk, token)


def test_tokens_outlive_a_change_of_words(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        entity = get_integration(integration.client_id)
        change_integration(entity, _fields_of(entity) | {"comments": "Ask the release team"}, by="admin")
        db.session.commit()
    assert desk.call(token).status_code == 201


def _fields_of(entity: OAuthEntity) -> dict[str, Any]:
    run_as = db.session.get(SysUser, entity.run_as) if entity.run_as else None
    fields = {name: getattr(entity, name) for name in SCHEMAS["jwt_bearer"].fields if name not in {"run_as", "scopes"}}
    scopes = [scope.name for scope in entity.scopes]
    return {**fields, "run_as": run_as.user_name if run_as else None, "scopes": scopes}
