"""The OpenAPI document: valid, complete, deterministic, and consistent with the catalog, choices, and schemas."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from changegate.services.catalog import TABLES
from changegate.services.tables.registry import NOBODY
from tests.api.table.test_xml import XML
from tests.guards.audiences import list_endpoints
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import Integration, TokenDesk

PATH = "/api/now/openapi.json"
CHOICES = "/api/now/table/sys_choice"
TABLE_RULE = "/api/now/table/<table_name>"
Document = dict[str, Any]


@pytest.fixture
def document(client: FlaskClient, admin: dict[str, str]) -> Document:
    response = client.get(PATH, headers=admin)
    assert (response.status_code, response.content_type) == (200, "application/json;charset=UTF-8")
    found: Document = response.get_json()
    return found


def schema_of(document: Document, name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def test_is_valid(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    validate(document)


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
def test_is_the_same_every_time_and_in_every_version(client: FlaskClient, admin: dict[str, str], version: str) -> None:
    first = client.get(PATH, headers=admin).data
    assert client.get(f"/api/now{version}/openapi.json", headers=admin).data == first


def test_is_for_callers_only(client: FlaskClient) -> None:
    assert client.get(PATH).status_code == 401


def test_a_token_with_any_scope_may_have_it(desk: TokenDesk, integration: Integration) -> None:
    response = desk.call(desk.token(integration), "GET", PATH)
    assert response.status_code == 200


def test_comes_as_json_whatever_is_preferred(client: FlaskClient, admin: dict[str, str]) -> None:
    response = client.get(PATH, headers=admin | XML)
    assert response.get_json()["openapi"] == "3.1.0"


def test_another_method_is_refused_in_shape(client: FlaskClient, admin: dict[str, str]) -> None:
    response = client.post(PATH, headers=admin)
    assert response.status_code == 405
    assert error_of(response)[0] == "Method not supported"


def documented_operations(document: Document) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


def served_operations(app: Flask) -> set[str]:
    """Return the operations of every API by one of its versions; those on tables once for each table."""
    found = set()
    for endpoint in list_endpoints(app):
        rule = endpoint.rule
        if not rule.startswith(("/api/", "/oauth", "/healthz", "/readyz")) or re.match(
            "/api/(now|sn_chg_rest)/v[12]/", rule
        ):
            continue
        names = TABLES if rule.startswith(TABLE_RULE) else [""]
        for name in names:
            path = re.sub("<([a-z_]+)>", r"{\1}", rule.replace(TABLE_RULE, f"/api/now/table/{name}"))
            found.add(f"{endpoint.method} {path}")
    return found


def refused_to_all() -> set[str]:
    """Return the operations on tables that the catalog allows to no role."""
    found = set()
    for table in TABLES.values():
        path = f"/api/now/table/{table.name}"
        if table.access.create is NOBODY:
            found.add(f"POST {path}")
        if table.access.update is NOBODY:
            found |= {f"PUT {path}/{{sys_id}}", f"PATCH {path}/{{sys_id}}"}
        if table.access.delete is NOBODY:
            found.add(f"DELETE {path}/{{sys_id}}")
    return found


def test_describes_exactly_the_operations_that_a_role_allows(app: Flask, document: Document) -> None:
    assert documented_operations(document) == served_operations(app) - refused_to_all()


def test_operations_have_names_of_their_own(document: Document) -> None:
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for item in document["paths"].values() for found in item.values() for tag in found["tags"]} == tags


def test_every_parameter_has_a_description(document: Document) -> None:
    shared = document["components"]["parameters"].values()
    own = [
        parameter
        for item in document["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", [])
        if "$ref" not in parameter
    ]
    assert not [parameter["name"] for parameter in (*shared, *own) if not parameter.get("description")]


@pytest.mark.parametrize("name", TABLES)
def test_a_record_has_the_fields_of_its_table(
    client: FlaskClient, admin: dict[str, str], document: Document, name: str
) -> None:
    table = TABLES[name]
    properties = schema_of(document, name)["properties"]
    assert properties.keys() == {*table.entries, *table.blank_fields}
    assert {field: properties[field]["title"] for field in table.entries} == {
        field: entry.label for field, entry in table.entries.items()
    }
    for record in result_of(TableApi(client, admin, f"/api/now/table/{name}").page(limit=1)):
        assert record.keys() <= properties.keys()


def test_describes_the_roles_of_an_operation(document: Document) -> None:
    users, changes = (document["paths"][f"/api/now/table/{name}"] for name in ("sys_user", "change_request"))
    assert users["post"]["description"] == "Needs one of the roles admin."
    assert changes["post"]["description"] == "Needs one of the roles admin, change_manager, itil, sn_change_write."
    assert changes["get"]["description"] == "Every caller may."


def test_lengths_references_and_choices_are_those_of_the_dictionary(document: Document) -> None:
    record, changes = schema_of(document, "change_request"), schema_of(document, "change_request.changes")
    assert changes["properties"]["short_description"]["maxLength"] == 160
    assert changes["properties"]["assignment_group"]["description"] == "Refers to sys_user_group."
    assert changes["properties"]["state"]["enum"] == ["-5", "-4", "-3", "-2", "-1", "0", "3", "4", "", None]
    assert "`-5` New, `-4` Assess" in record["properties"]["state"]["description"]
    assert {"$ref": "#/components/schemas/Link"} in record["properties"]["assignment_group"]["anyOf"]


def test_the_time_zone_of_a_user_is_an_iana_name(document: Document) -> None:
    for name in ("sys_user", "sys_user.changes"):
        described = schema_of(document, name)["properties"]["time_zone"]["description"]
        assert described == "The name of an IANA time zone, such as Europe/Berlin; without one it is UTC."


def test_read_only_fields_are_answered_and_not_taken(document: Document) -> None:
    assert schema_of(document, "change_request")["properties"]["number"]["readOnly"]
    assert "number" not in schema_of(document, "change_request.changes")["properties"]
    assert "sys_id" in schema_of(document, "change_request.new")["allOf"][1]["properties"]


def test_a_secret_is_taken_only(document: Document) -> None:
    assert schema_of(document, "sys_user.changes")["properties"]["user_password"]["writeOnly"]


def test_what_must_be_given_is_required_of_new_records_only(document: Document) -> None:
    assert schema_of(document, "sys_user.new")["allOf"][1]["required"] == ["user_name"]
    assert "required" not in schema_of(document, "sys_user.changes")
    assert "required" not in schema_of(document, "change_request.new")["allOf"][1]


def test_a_new_integration_needs_no_name_if_its_provider_names_it(document: Document) -> None:
    new, replacement = schema_of(document, "Integration.new"), schema_of(document, "Integration.replacement")
    assert "required" not in new
    # Integrations of the other types have no provider that could name them.
    with_provider = {"type": {"enum": ["jwt_bearer", "id_token"]}}
    by_provider = [{"required": [name], "properties": with_provider} for name in ("issuer", "jwks_url")]
    assert new["anyOf"] == [{"required": ["name"]}, *by_provider]
    assert replacement["required"] == ["name"]
    [put] = document["paths"]["/api/now/oauth/integrations/{client_id}"]["put"]["requestBody"]["content"].values()
    assert put["schema"] == {"$ref": "#/components/schemas/Integration.replacement"}


def test_a_choice_that_an_administrator_adds_is_in_it_at_once(client: FlaskClient, admin: dict[str, str]) -> None:
    def categories() -> list[str]:
        document = client.get(PATH, headers=admin).get_json()
        found: list[str] = schema_of(document, "change_request.changes")["properties"]["category"]["enum"]
        return found

    assert "Facilities" not in categories()
    choice = {"name": "change_request", "element": "category", "value": "Facilities", "label": "Facilities"}
    added = TableApi(client, admin, CHOICES).created(**choice)
    assert "Facilities" in categories()
    TableApi(client, admin, CHOICES).update(added["sys_id"], {"inactive": "true"})
    assert "Facilities" not in categories()


def test_the_examples_create_records(client: FlaskClient, admin: dict[str, str], document: Document) -> None:
    for name, table in TABLES.items():
        item = document["paths"][f"/api/now/table/{name}"]
        example = (
            item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        )
        if example is None or any(table.entries[field].reference for field in example):
            continue
        api = TableApi(client, admin, f"/api/now/table/{name}")
        response = api.create(example)
        assert response.status_code == 201, (name, response.text)
        # Classes of one table share its unique names.
        api.delete(response.get_json()["result"]["sys_id"])


def test_describes_no_secret(document: Document, admin: dict[str, str]) -> None:
    text = str(document)
    assert "correct horse" not in text
    assert admin["Authorization"].partition(" ")[2] not in text
