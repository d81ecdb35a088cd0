"""Whatever is sent, the response is one that the OpenAPI document describes."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.services.catalog import TABLES
from changegate.services.tables.registry import NOBODY, get_table
from tests.conftest import ADMIN_PASSWORD
from tests.support.api_contract import TABLES_OF_EVERY_KIND, Findings, check_contract, configuration
from tests.support.integration_api import IntegrationApi
from tests.support.table_api import TableApi, result_of
from tests.support.token_desk import TokenDesk

DOCUMENT = "/api/now/openapi.json"
# Records to be referred to and changed, each after those that it needs itself, which `@` names. The product's own stay
# as they are, or the administrator would soon be none.
RECORDS: dict[str, dict[str, str]] = {
    "sys_user": {"user_name": "somebody"},
    "sys_user_group": {"name": "Network"},
    "sys_user_grmember": {"user": "@sys_user", "group": "@sys_user_group"},
    "sys_user_role": {"name": "observer"},
    "sys_user_has_role": {"user": "@sys_user", "role": "@sys_user_role"},
    "cmdb_ci": {"name": "checkout"},
    "cmn_schedule_maintenance": {"name": "Nights", "time_zone": "Europe/Berlin"},
    "chg_model": {"name": "Restart"},
    "std_change_record_producer": {"name": "Restart"},
    "std_change_proposal": {"name": "Restart the router"},
    "risk_conditions": {"name": "Network", "condition": "category=Network", "risk": "2"},
    "sys_choice": {"name": "nothing", "element": "nothing", "value": "1", "label": "One"},
    "change_request": {},
    "change_task": {"change_request": "@change_request"},
    "task_ci": {"task": "@change_request", "ci_item": "@cmdb_ci"},
    "sysapproval_approver": {"approver": "@sys_user", "sysapproval": "@change_request"},
}
ITEMS = "/api/now/table/cmdb_ci"
ADMINISTRATOR = {"basic": {"username": "admin", "password": ADMIN_PASSWORD}}
Document = dict[str, Any]


@pytest.fixture
def settings() -> dict[str, str]:
    """Wrong credentials are tried all the time; the limit for them is tested elsewhere."""
    return {"ratelimit_enabled": "0", "base_url": "http://localhost"}


@pytest.fixture
def document(client: FlaskClient, admin: dict[str, str]) -> Document:
    found: Document = client.get(DOCUMENT, headers=admin).get_json()
    return found


@pytest.fixture
def sys_ids(client: FlaskClient, admin: dict[str, str]) -> dict[str, str]:
    """A record of each table that has any."""
    found: dict[str, str] = {}
    for name, fields in RECORDS.items():
        sent = {field: found[text[1:]] if text.startswith("@") else text for field, text in fields.items()}
        found[name] = TableApi(client, admin, f"/api/now/table/{name}").created(**sent)["sys_id"]
    found["task"] = found["change_request"]
    for name in ("cmdb_ci_service", "service_offering"):
        TableApi(client, admin, ITEMS).created(name=name, sys_class_name=name)
    for name in TABLES.keys() - found.keys():
        records = result_of(TableApi(client, admin, f"/api/now/table/{name}").page(limit=1, fields="sys_id"))
        found |= {table: record["sys_id"] for table, record in zip([name], records, strict=False)}
    found["integration"] = IntegrationApi(client, admin).created(name="Known")["client_id"]
    return found


def labels_of(document: Document) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


def require_nothing(findings: Findings) -> None:
    assert not findings.failures, "\n\n".join(f"{name}\n{text}" for name, text in findings.failures.items())


def test_every_answer_to_an_administrator_is_as_documented(
    app: Flask, document: Document, sys_ids: dict[str, str]
) -> None:
    config = configuration(ADMINISTRATOR, max_examples=6, max_stories=30)
    findings = check_contract(app, document, config, sys_ids)
    require_nothing(findings)
    assert findings.operations == labels_of(document)
    assert {status for _, status in findings.answers} >= {200, 201, 204, 400, 401, 403, 404, 405, 415}
    assert findings.answers.keys() >= {("POST", 201), ("GET", 200), ("PATCH", 200), ("PUT", 200), ("DELETE", 204)}
    assert findings.requests.keys() >= {"coverage", "fuzzing", "stateful"}


def test_every_answer_to_a_token_that_creates_changes_is_as_documented(
    desk: TokenDesk, document: Document, sys_ids: dict[str, str]
) -> None:
    token = desk.token(desk.register(scopes=["change_request.create"], access_token_lifespan_seconds=3600))
    config = configuration(
        {"bearer": {"bearer": token}}, max_examples=1, max_stories=4, covered="/api/now/table/change_request"
    )
    findings = check_contract(desk.app, document, config, sys_ids)
    require_nothing(findings)
    assert findings.operations == labels_of(document)
    assert findings.answers.keys() >= {("POST", 201), ("POST", 400), ("POST", 403), ("GET", 403), ("PATCH", 403)}
    assert findings.answers.keys().isdisjoint({("PATCH", 200), ("PUT", 200), ("DELETE", 204)})


def test_the_tables_whose_values_are_tried_one_by_one_have_fields_of_every_kind() -> None:
    assert kinds_of(*TABLES_OF_EVERY_KIND) == kinds_of(*TABLES)


def kinds_of(*names: str) -> set[tuple[str, bool]]:
    """Return the kinds of fields that can be written, and whether they have choices."""
    entries = (
        (name, entry)
        for table in map(get_table, names)
        if NOBODY is not table.access.create
        for name, entry in table.entries.items()
    )
    return {(e.kind, bool(e.choices)) for name, e in entries if not (e.is_read_only or name.startswith("sys_"))}


def say_shorter(document: Document) -> None:
    document["components"]["schemas"]["cmdb_ci.changes"]["properties"]["name"]["maxLength"] = 3


def say_never_refused(document: Document) -> None:
    del document["paths"][ITEMS]["post"]["responses"]["400"]


def say_number(document: Document) -> None:
    document["components"]["schemas"]["cmdb_ci"]["properties"]["name"]["type"] = "integer"


def say_header(document: Document) -> None:
    created = document["paths"][ITEMS]["post"]["responses"]["201"]
    created["headers"]["X-Nothing"] = {"required": True, "schema": {"type": "string"}}


def say_choice(document: Document) -> None:
    document["components"]["schemas"]["cmdb_ci.changes"]["properties"]["operational_status"]["enum"] = [
        "no such status"
    ]


LIES: dict[str, Callable[[Document], None]] = {
    "negative_body_rejection": say_shorter,
    "status_code_conformance": say_never_refused,
    "response_schema_conformance": say_number,
    "response_headers_conformance": say_header,
    "positive_data_acceptance": say_choice,
}


@pytest.mark.parametrize("check", LIES)
def test_a_document_that_is_wrong_is_found_out(
    app: Flask, document: Document, sys_ids: dict[str, str], check: str
) -> None:
    document["paths"] = {ITEMS: document["paths"][ITEMS]}
    del document["paths"][ITEMS]["post"]["responses"]["201"]["links"]
    LIES[check](document)
    findings = check_contract(app, document, configuration(ADMINISTRATOR, max_examples=8, max_stories=1), sys_ids)
    assert f"{check} of POST {ITEMS}" in findings.failures
