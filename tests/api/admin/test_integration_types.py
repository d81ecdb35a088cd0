"""The admin API of integrations of each connection type."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from changegate.models.connection_type import TYPES
from tests.support.integration_api import LEAST, IntegrationApi
from tests.support.token_desk import TokenDesk

OTHERS: dict[str, dict[str, Any]] = {
    "client_credentials": {"issuer": ..., "jwks_url": ...},
    "password": {"issuer": ..., "jwks_url": ..., "run_as": ...},
    "id_token": {"user_claim": "oid"},
    "jwt_bearer": {},
}


@pytest.mark.parametrize("connection_type", TYPES)
def test_answers_the_fields_of_its_type_as_the_document_says(
    api: IntegrationApi, client: FlaskClient, admin: dict[str, str], connection_type: str
) -> None:
    made = api.created(type=connection_type, **OTHERS[connection_type])
    read = api.result("GET", f"/{made['client_id']}")
    assert read.keys() == {"sys_id", "client_id", *TYPES[connection_type].fields}
    assert made["client_secret"] if TYPES[connection_type].has_secret else made["client_secret"] is None
    schemas = client.get("/api/now/openapi.json", headers=admin).get_json()["components"]["schemas"]
    name = schemas["Integration"]["discriminator"]["mapping"][read["type"]].rpartition("/")[2]
    assert made.keys() == schemas[name]["properties"].keys()
    assert read.keys() == {*schemas[name]["required"]}


@pytest.mark.parametrize("connection_type", TYPES)
def test_what_was_read_may_be_written_back(api: IntegrationApi, connection_type: str) -> None:
    made = api.created(type=connection_type, **OTHERS[connection_type])
    path = f"/{made['client_id']}"
    read = api.result("GET", path)
    assert api.result("PUT", path, read) == api.result("PATCH", path, read) == read
    assert api.result("PATCH", path, {"comments": "x"}) == read | {"comments": "x"}


def test_refuses_a_field_of_another_type_in_the_words_of_the_form(api: IntegrationApi) -> None:
    wrong = {**LEAST, "type": "client_credentials"}
    message = api.refused("POST", "", wrong)
    assert "A client credentials integration has no issuer." in message
    assert "A client credentials integration has no JWKS URL." in message


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_type_cannot_be_changed(api: IntegrationApi, method: str) -> None:
    made = api.created()
    read = api.result("GET", f"/{made['client_id']}")
    message = api.refused(method, f"/{made['client_id']}", read | {"type": "id_token"})
    assert "The connection type cannot be changed; register another integration." in message
    assert api.result("GET", f"/{made['client_id']}") == read


@pytest.mark.parametrize("value", [7, ["password"], {"a": 1}, "magic", "\0"])
def test_an_unknown_type_is_refused(api: IntegrationApi, value: object) -> None:
    assert "Must be one of" in api.refused("POST", "", {**LEAST, "type": value})


def test_without_a_type_an_integration_is_for_jwt_bearer(api: IntegrationApi) -> None:
    assert api.created(type=None)["type"] == "jwt_bearer"


def test_actions_for_assertions_are_refused_for_other_types(api: IntegrationApi) -> None:
    path = f"/{api.created(type='password', **OTHERS['password'])['client_id']}"
    assert "has no keys" in api.refused("POST", f"{path}/refresh-keys")
    assert "has no keys" in api.refused("POST", f"{path}/keys/{'a' * 43}/block")
    assert "has no assertions" in api.refused("POST", f"{path}/try", {"assertion": "a.b.c"})
    assert api.result("GET", f"{path}/keys")["keys"] == []


def test_an_id_token_is_tried_like_an_assertion(desk: TokenDesk, admin: dict[str, str]) -> None:
    api = IntegrationApi(desk.client, admin)
    trust = {"issuer": "https://ci.example.com", "jwks_url": desk.jwks.url()}
    made = api.created(type="id_token", **trust)
    tried = api.result("POST", f"/{made['client_id']}/try", {"assertion": desk.assertion(aud=made["client_id"])})
    assert (tried["accepted"], tried["user"]) == (True, "admin")
    refused = api.result("POST", f"/{made['client_id']}/try", {"assertion": desk.assertion()})
    assert refused["reason"] == "aud_mismatch"
