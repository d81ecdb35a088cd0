"""Versions of integrations and scopes: the admin API writes over nothing that its caller has not read (RFC 6585 §3)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import SysAudit
from changegate.services.integrations.integrations import get_integration
from tests.support.certificates import certificate, pem
from tests.support.integration_api import LEAST, AdminApi, IntegrationApi

RACERS = 6
BLOCKED = "A" * 43
SCOPE = {"name": "deploy.read", "rules": ["GET table change_request"]}


@pytest.fixture
def api(either_app: Flask, admin: dict[str, str]) -> IntegrationApi:
    return IntegrationApi(either_app.test_client(), admin)


@pytest.fixture
def scopes(either_app: Flask, admin: dict[str, str]) -> AdminApi:
    return AdminApi(either_app.test_client(), admin, "/api/now/oauth/scopes")


@pytest.fixture
def path(api: IntegrationApi) -> str:
    return f"/{api.created(claim_conditions=['repository equals acme/shop'])['client_id']}"


def tag_of(api: AdminApi, path: str) -> str:
    return api.send("GET", path).headers["ETag"]


def without_condition(api: AdminApi, method: str, path: str, body: Any) -> Any:
    return api.client.open(f"{api.base}{path}", method=method, headers=dict(api.headers), json=body)


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"comments": "x"}), ("PUT", {**LEAST})])
def test_a_write_that_names_no_version_is_refused_and_writes_nothing(
    api: IntegrationApi, path: str, method: str, body: dict[str, Any]
) -> None:
    before = api.result("GET", path)
    answer = without_condition(api, method, path, body)
    assert (answer.status_code, answer.get_json()["status"]) == (428, "failure")
    assert answer.get_json()["error"]["message"] == "Precondition Required"
    assert "If-Match" in answer.get_json()["error"]["detail"]
    assert api.result("GET", path) == before


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("PATCH", "", {"comments": "x"}),
        ("PUT", "", {**LEAST}),
        ("DELETE", "", None),
        ("POST", "/disable", None),
        ("POST", "/rotate-secret", None),
        ("POST", f"/keys/{BLOCKED}/block", None),
    ],
)
def test_no_stale_write_takes_a_condition_away(
    api: IntegrationApi, path: str, method: str, suffix: str, body: dict[str, Any] | None
) -> None:
    stale = tag_of(api, path)
    conditions = ["repository equals acme/shop", "ref equals refs/heads/main"]
    newer = api.send("PATCH", path, {"claim_conditions": conditions}, If_Match=stale)
    refused = api.send(method, path + suffix, body, If_Match=stale)
    error = refused.get_json()["error"]
    assert (refused.status_code, error["message"]) == (412, "Precondition Failed")
    assert "admin (claim_conditions, token_generation)" in error["detail"]
    assert refused.headers["ETag"] == newer.headers["ETag"] == tag_of(api, path)
    assert len(api.result("GET", path)["claim_conditions"]) == 2
    assert api.send(method, path + suffix, body, If_Match=newer.headers["ETag"]).status_code in {200, 204}


def test_every_answer_with_an_integration_carries_its_version(api: IntegrationApi) -> None:
    made = api.send("POST", "", {**LEAST})
    path = f"/{made.get_json()['result']['client_id']}"
    tags = [made.headers["ETag"]]
    assert tags[0] == tag_of(api, path)
    for method, suffix, body in (
        ("PATCH", "", {"comments": "x"}),
        ("PUT", "", {**LEAST, "comments": "y"}),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
    ):
        tags.append(api.send(method, path + suffix, body).headers["ETag"])
        assert tags[-1] == tag_of(api, path)
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["useraccount"]},
        {"claim_conditions": []},
        {"key_source": "certificates", "verifier_maps": [{"name": "a", "certificate": pem(certificate())}]},
        {"owner": "admin"},
    ],
)
def test_the_version_covers_rows_that_belong_to_the_integration(
    api: IntegrationApi, path: str, change: dict[str, Any]
) -> None:
    stale = tag_of(api, path)
    api.result("PATCH", path, change)
    assert api.send("PATCH", path, {"comments": "x"}, If_Match=stale).status_code == 412


def test_a_write_of_equal_values_makes_no_new_version(api: IntegrationApi, path: str) -> None:
    tag, read = tag_of(api, path), api.result("GET", path)
    assert api.send("PUT", path, read, If_Match=tag).headers["ETag"] == tag


def test_what_changed_is_on_record_without_secrets_or_keys(either_app: Flask, api: IntegrationApi) -> None:
    secrets = ["first shared key of the map, long enough", "second shared key of the map, long enough"]
    maps = [[{"name": "a", "shared_key": secret}] for secret in secrets]
    shared = {"key_source": "shared_key", "algorithms": ["HS256"]}
    path = f"/{api.created(**shared, jwks_url=..., verifier_maps=maps[0])['client_id']}"
    api.result("PATCH", path, {"verifier_maps": maps[1]})
    rotated = api.result("POST", f"{path}/rotate-secret")["client_secret"]
    with either_app.app_context():
        entity = get_integration(path[1:])
        rows = db.session.query(SysAudit).filter_by(documentkey=entity.sys_id).order_by(SysAudit.sys_id).all()
        noted = {row.fieldname: (row.oldvalue, row.newvalue, row.user) for row in rows}
    assert noted["verifier_maps"] == ("a (shared key)", "a (shared key) (changed)", "admin")
    assert noted["client_secret_hash"] == (None, "(changed)", "admin")
    assert not [secret for secret in (*secrets, rotated) if secret in str(noted)]


@pytest.mark.parametrize("what", ["integration", "scope"])
def test_of_writers_with_one_version_exactly_one_wins(
    either_app: Flask, api: IntegrationApi, scopes: AdminApi, path: str, what: str
) -> None:
    known, at, field = (api, path, "comments") if what == "integration" else (scopes, "/deploy.read", "description")
    if what == "scope":
        scopes.result("POST", "", SCOPE)
    tag, start = tag_of(known, at), Barrier(RACERS)

    def race(number: int) -> int:
        caller = AdminApi(either_app.test_client(), known.headers, known.base)
        start.wait()
        return caller.send("PATCH", at, {field: f"racer {number}"}, If_Match=tag).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        statuses = sorted(pool.map(race, range(RACERS)))
    assert statuses == [200, *[412] * (RACERS - 1)]


@pytest.mark.parametrize(
    ("method", "body"), [("PATCH", {"description": "x"}), ("PUT", {**SCOPE, "description": "y"}), ("DELETE", None)]
)
def test_a_stale_write_takes_no_rule_of_a_scope_away(
    scopes: AdminApi, method: str, body: dict[str, Any] | None
) -> None:
    stale = scopes.send("POST", "", SCOPE).headers["ETag"]
    assert tag_of(scopes, "/deploy.read") == stale
    if method != "DELETE":
        assert without_condition(scopes, method, "/deploy.read", body).status_code == 428
    rules = ["GET table change_request own", "GET table task"]
    newer = scopes.send("PATCH", "/deploy.read", {"rules": rules}, If_Match=stale)
    refused = scopes.send(method, "/deploy.read", body, If_Match=stale)
    assert (refused.status_code, refused.headers["ETag"]) == (412, newer.headers["ETag"])
    assert "admin (rules)" in refused.get_json()["error"]["detail"]
    assert len(scopes.result("GET", "/deploy.read")["rules"]) == 2
    assert scopes.send(method, "/deploy.read", body, If_Match=newer.headers["ETag"]).status_code in {200, 204}
