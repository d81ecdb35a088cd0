"""A change permanently stores which workload created it."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import insert

from changegate.database import connection
from changegate.extensions import db, now
from changegate.models import OAuthEntity, OAuthExchange, Task
from changegate.services.integrations.integrations import delete_integration
from changegate.services.oauth.events import purge_expired
from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.misbehaving_jwks import reply
from tests.support.provider_layouts import GITHUB
from tests.support.queries import statement_of
from tests.support.statements import counted_statements
from tests.support.token_desk import CHANGES, ISSUER, ROBOT, Integration, TokenDesk

ADMIN = basic("admin", ADMIN_PASSWORD)
ISSUED_BY = {"oauth_issuer": GITHUB.issuer, "oauth_subject": "repo:acme/shop:environment:production"}
SOURCE = {
    "source_repository": "acme/shop",
    "source_id": "613905472",
    "source_ref": "refs/heads/main",
    "source_commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
    "source_workflow": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
    "source_run": "9182736450",
    "source_run_url": "https://github.com/acme/shop/actions/runs/9182736450/attempts/1",
    "source_actor": "octo",
    "source_environment": "production",
}
FIELDS = ("oauth_client_id", "oauth_exchange", *ISSUED_BY, *SOURCE)


def onboarded(desk: TokenDesk, **changes: Any) -> Integration:
    """Register what an administrator would for GitHub Actions, with its key set at the URL."""
    desk.jwks.answer = reply(GITHUB.key_set)
    return desk.register(**{**GITHUB.fields(desk.jwks.url()), "run_as": ROBOT, **changes})


def token_of(desk: TokenDesk, integration: Integration, **claims: Any) -> str:
    return desk.token(integration, assertion=GITHUB.sign(desk.app.config["CLOCK"](), claims))


def created(desk: TokenDesk, token: str, **fields: Any) -> dict[str, Any]:
    answer = desk.call(token, json=fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.get_json()["result"]
    return made


def as_admin(desk: TokenDesk, method: str, path: str, **options: Any) -> Any:
    headers = ADMIN | options.pop("headers", {})
    with desk.app.app_context():
        return desk.client.open(path, method=method, headers=headers, **options)


def seen(desk: TokenDesk, sys_id: str) -> dict[str, str]:
    """Return the fields of provenance as the administrator reads them."""
    answer = as_admin(desk, "GET", f"{CHANGES}/{sys_id}?sysparm_fields={','.join(FIELDS)}")
    found: dict[str, str] = answer.get_json()["result"]
    return found


def found(desk: TokenDesk, query: str, table: str = "change_request") -> list[str]:
    path = f"/api/now/table/{table}?sysparm_fields=sys_id&sysparm_query={query}"
    return [record["sys_id"] for record in as_admin(desk, "GET", path).get_json()["result"]]


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_change_has_its_provenance_and_is_found_by_it(either_desk: TokenDesk, token_format: str) -> None:
    integration = onboarded(either_desk, token_format=token_format)
    change = created(either_desk, token_of(either_desk, integration))
    event = either_desk.last_event()
    expected = {"oauth_client_id": integration.client_id, "oauth_exchange": event.correlation_id} | ISSUED_BY | SOURCE
    assert {name: change[name] for name in FIELDS} == expected == seen(either_desk, change["sys_id"])
    other = as_admin(either_desk, "POST", CHANGES, json={}).get_json()["result"]
    assert {other[name] for name in FIELDS} == {""}
    for name, value in expected.items():
        assert found(either_desk, f"{name}={value}") == [change["sys_id"]], name
        assert found(either_desk, f"{name}ISEMPTY") == [other["sys_id"]], name
    assert found(either_desk, "source_repositorySTARTSWITHACME/^source_ref=refs/heads/main") == [change["sys_id"]]


def test_a_task_is_found_by_where_its_change_comes_from(desk: TokenDesk) -> None:
    change = created(desk, token_of(desk, onboarded(desk)))
    made = as_admin(desk, "POST", "/api/now/table/change_task", json={"change_request": change["sys_id"]})
    task = made.get_json()["result"]["sys_id"]
    assert found(desk, "change_request.source_commitSTARTSWITH0f1e", "change_task") == [task]
    assert found(desk, "change_request.source_repository=acme/other", "change_task") == []
    assert found(desk, "source_repository=acme/shop", "task") == [change["sys_id"]]


def test_each_change_has_the_exchange_of_its_own_token(desk: TokenDesk) -> None:
    integration = onboarded(desk)
    first, second = token_of(desk, integration, jti="1"), token_of(desk, integration, jti="2", sha="f" * 40)
    changes = [created(desk, token) for token in (first, second, first)]
    exchanges = [event.correlation_id for event in desk.events()]
    assert [change["oauth_exchange"] for change in changes] == [*exchanges, exchanges[0]]
    commit = SOURCE["source_commit"]
    assert [change["source_commit"] for change in changes] == [commit, "f" * 40, commit]


def test_issuer_and_subject_of_an_unknown_provider_are_stored(desk: TokenDesk) -> None:
    token = desk.token(desk.register(), assertion=desk.assertion(repository="acme/shop", sha="0" * 40))
    change = created(desk, token)
    assert (change["oauth_issuer"], change["oauth_subject"]) == (ISSUER, "build-42")
    assert {change[name] for name in SOURCE} == {""}


FORGED = dict.fromkeys(FIELDS, "evil") | {"oauth_entity": "0" * 32}


def test_provenance_cannot_be_set_at_creation(desk: TokenDesk) -> None:
    change = created(desk, token_of(desk, onboarded(desk)), **FORGED)
    assert {name: change[name] for name in SOURCE} == SOURCE
    made = as_admin(desk, "POST", CHANGES, json=FORGED).get_json()["result"]
    assert {made[name] for name in (*FIELDS, "oauth_entity")} == {""}
    body = "<request><entry>" + "".join(f"<{name}>evil</{name}>" for name in FIELDS) + "</entry></request>"
    xml = as_admin(desk, "POST", CHANGES, data=body, headers={"Content-Type": "application/xml"})
    assert xml.status_code == 201
    assert len(found(desk, "^".join(f"{name}ISEMPTY" for name in FIELDS))) == 2
    for name in FIELDS:
        template = {"name": "T", "template": f"{name}=evil^EQ"}
        refused = as_admin(desk, "POST", "/api/now/table/std_change_record_producer", json=template)
        assert refused.status_code == 400 and f"'{name}' is not a field" in refused.text


def test_provenance_cannot_be_changed(desk: TokenDesk) -> None:
    change = created(desk, token_of(desk, onboarded(desk)))
    before = seen(desk, change["sys_id"])
    path = f"{CHANGES}/{change['sys_id']}"
    for method in ("PUT", "PATCH"):
        assert as_admin(desk, method, path, json=FORGED).status_code == 200
        assert as_admin(desk, method, path, json=dict.fromkeys(FORGED, "")).status_code == 200
    inner = {"id": "1", "method": "PATCH", "url": path, "body": b64encode(orjson.dumps(FORGED)).decode()}
    batch = as_admin(desk, "POST", "/api/now/v1/batch", json={"batch_request_id": "1", "rest_requests": [inner]})
    assert batch.get_json()["serviced_requests"][0]["status_code"] == 200
    body = "<request><entry><source_commit>evil</source_commit></entry></request>"
    assert as_admin(desk, "PUT", path, data=body, headers={"Content-Type": "application/xml"}).status_code == 200
    assert seen(desk, change["sys_id"]) == before


def test_it_outlives_the_exchange_and_the_integration(either_desk: TokenDesk) -> None:
    integration = onboarded(either_desk)
    change = created(either_desk, token_of(either_desk, integration))
    before = seen(either_desk, change["sys_id"])
    with either_desk.app.app_context():
        purge_expired(now() + timedelta(days=31))
        assert db.session.query(OAuthExchange).count() == 0
        delete_integration(db.session.get(OAuthEntity, integration.sys_id), by="admin")
        db.session.commit()
    assert seen(either_desk, change["sys_id"]) == before
    assert before["oauth_client_id"] == integration.client_id


def test_a_claim_that_is_too_long_is_cut_and_its_end_shows(either_desk: TokenDesk) -> None:
    change = created(
        either_desk, token_of(either_desk, onboarded(either_desk), environment="production", ref="ä" * 900)
    )
    assert change["source_ref"] == "ä" * 254 + "…"
    assert seen(either_desk, change["sys_id"])["source_ref"] == change["source_ref"]


def test_where_it_comes_from_costs_no_statement(desk: TokenDesk) -> None:
    unknown = desk.token(desk.register("Other"))
    known = token_of(desk, onboarded(desk))
    counted = {}
    for token in (unknown, known):
        desk.call(token)
        with desk.app.app_context(), counted_statements() as statements:
            assert desk.call(token).status_code == 201
        counted[token] = [text.split()[0] for text in statements]
    assert counted[known] == counted[unknown]
    assert counted[known].count("INSERT") == 1


def test_an_index_serves_the_search_for_a_commit_or_a_repository(either_app: Flask) -> None:
    with either_app.app_context():
        of_class = {"sys_class_name": "change_request", "state": -5}
        rows = [
            {"number": f"CHG{at}", "source_commit": f"{at:x}", "source_repository": f"r{at}", **of_class}
            for at in range(1000)
        ]
        connection().execute(insert(Task.__table__), rows)
        connection().exec_driver_sql("ANALYZE task")
        explain = "EXPLAIN QUERY PLAN" if connection().dialect.name == "sqlite" else "EXPLAIN"
        for field in ("source_commit", "source_repository"):
            sql = statement_of(f"{field}=x", shown="sys_id").order_by(None)
            text = sql.compile(connection().engine, compile_kwargs={"literal_binds": True})
            assert f"ix_task_{field}_lower" in str(connection().exec_driver_sql(f"{explain} {text}").all())
