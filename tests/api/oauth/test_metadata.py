"""Metadata: each member describes an endpoint that is served."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from changegate.api.well_known import AUTHORIZATION_SERVER, PROTECTED_RESOURCE
from changegate.extensions import db
from changegate.models import SysAuthScope
from changegate.services.keys.signature import SCHEMES
from tests.conftest import BASE_URL, Clock
from tests.support.client_assertions import client_assertion, client_proof
from tests.support.forge import forge, header, unb64
from tests.support.token_desk import TokenDesk, basic_header

SERVER = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource"
ENDPOINTS = ("token", "revocation", "introspection")


@pytest.fixture
def described(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get(SERVER).get_json()
    return found


def path_of(address: str) -> str:
    assert address.startswith(f"{BASE_URL}/")
    return urlsplit(address).path


def test_what_the_server_offers(described: dict[str, Any]) -> None:
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    algorithms = sorted(SCHEMES)
    assert described == {
        "issuer": BASE_URL,
        "jwks_uri": f"{BASE_URL}/api/now/oauth/jwks",
        "token_endpoint": f"{BASE_URL}/oauth/token",
        "token_endpoint_auth_methods_supported": [*methods, "none"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": f"{BASE_URL}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": [*methods, "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": f"{BASE_URL}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "grant_types_supported": described["grant_types_supported"],
        "scopes_supported": described["scopes_supported"],
    }
    assert "urn:ietf:params:oauth:grant-type:jwt-bearer" in described["grant_types_supported"]


def test_a_list_of_nothing_is_left_out(desk: TokenDesk) -> None:
    """RFC 8414 §3.2 and RFC 9728 §3.2: members with zero elements must be omitted."""
    with desk.app.app_context():
        db.session.execute(delete(SysAuthScope))
        db.session.commit()
    for path in (AUTHORIZATION_SERVER, PROTECTED_RESOURCE):
        described = desk.client.get(path).get_json()
        assert [] not in described.values()
        assert {"scopes_supported", "response_types_supported"}.isdisjoint(described)


def test_no_algorithm_takes_a_secret_or_nothing(described: dict[str, Any]) -> None:
    named = {name for key, names in described.items() if "signing_alg" in key for name in names}
    assert named and not [name for name in named if name == "none" or name.startswith("HS")]


def test_the_tokens_are_issued_by_whom_the_metadata_name(desk: TokenDesk, described: dict[str, Any]) -> None:
    token = desk.token(desk.register(token_format="jwt"))
    claims, kid = (json.loads(unb64(part)) for part in (token.split(".")[1], token.split(".")[0]))
    keys = desk.client.get(path_of(described["jwks_uri"])).get_json()["keys"]

    assert claims["iss"] == described["issuer"]
    assert kid["kid"] in [key["kid"] for key in keys]


def test_every_grant_type_that_is_offered_is_taken_and_no_other(desk: TokenDesk, described: dict[str, Any]) -> None:
    integration, path = desk.register(), path_of(described["token_endpoint"])
    offered = described["grant_types_supported"]
    for grant_type in (*offered, "authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:saml2-bearer"):
        answer = desk.exchange(integration, path, grant_type=grant_type)
        is_refused = answer.status_code == 400 and answer.get_json()["error"] == "unsupported_grant_type"
        assert is_refused is (grant_type not in offered), grant_type


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_way_to_authenticate_that_is_offered_works_and_no_other(
    desk: TokenDesk, described: dict[str, Any], endpoint: str, method: str
) -> None:
    client = desk.register(public_client=method in {"private_key_jwt", "none"})
    form: dict[str, Any] = desk.form(client, client_id=..., client_secret=...)
    form["token"] = desk.token(client)
    headers = {}
    if method == "client_secret_basic":
        headers = basic_header(client.client_id, client.secret or "")
    else:
        form |= client_proof(desk, client) if method == "private_key_jwt" else client.credentials

    answer = desk.send(urlencode(form), path_of(described[f"{endpoint}_endpoint"]), headers=headers)

    is_offered = method in described[f"{endpoint}_endpoint_auth_methods_supported"]
    assert answer.status_code == (200 if is_offered else 401)


@pytest.mark.parametrize("alg", ["HS256", "none", "ES256K"])
def test_no_other_algorithm_proves_a_client(desk: TokenDesk, described: dict[str, Any], alg: str) -> None:
    assert alg not in described["introspection_endpoint_auth_signing_alg_values_supported"]
    client = desk.register(public_client=True)
    signed = client_assertion(desk, client)
    other = ".".join([forge(header(alg=alg)).split(".")[0], *signed.split(".")[1:]])

    answer = desk.send(urlencode({"token": "x", **client_proof(desk, client, other)}), "/oauth/introspect")

    assert answer.status_code == 401


def test_scopes_are_those_that_there_are_now(app: Flask, client: FlaskClient) -> None:
    def named() -> list[list[str]]:
        return [client.get(path).get_json()["scopes_supported"] for path in (SERVER, RESOURCE)]

    assert all("change_request.create" in names and "patch_plan.read" not in names for names in named())
    with app.app_context():
        db.session.add(SysAuthScope(name="patch_plan.read", rules=[]))
        db.session.commit()
    assert all("patch_plan.read" in names for names in named())


def test_what_the_resource_is(client: FlaskClient) -> None:
    root = client.get(RESOURCE).get_json()
    assert root["resource"] == BASE_URL
    for api in ("/api/now", "/api/sn_chg_rest"):
        assert client.get(f"{RESOURCE}{api}").get_json() == root | {"resource": f"{BASE_URL}{api}"}
    assert root["authorization_servers"] == [BASE_URL]
    assert root["bearer_methods_supported"] == ["header"]


def test_a_token_is_taken_in_the_header_and_nowhere_else(desk: TokenDesk) -> None:
    token = desk.token(desk.register())
    path = "/api/now/table/change_request"
    assert desk.call(token).status_code == 201
    assert desk.client.post(f"{path}?access_token={token}", json={}).status_code == 401
    assert desk.client.post(path, data={"access_token": token}).status_code == 401


@pytest.mark.parametrize("path", [SERVER, RESOURCE, f"{RESOURCE}/api/now"])
def test_copies_may_be_kept_for_minutes(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    again = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})

    assert answer.content_type == "application/json;charset=UTF-8"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-configuration",
        "/.well-known/webfinger",
        f"{SERVER}/api/now",
        f"{RESOURCE}/api/now/table",
        f"{RESOURCE}/..",
        f"{RESOURCE}//api/now",
    ],
)
def test_nothing_else_is_described(client: FlaskClient, path: str) -> None:
    """There is no sign-in: a discovery document for OpenID Connect would offer what does not exist."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.get_json()["status"] == "failure"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer cgat_no"}, {"Accept": "application/xml"}])
def test_a_refusal_of_the_api_says_where_to_ask_for_a_token(client: FlaskClient, headers: dict[str, str]) -> None:
    """RFC 9728 §5.1; the challenge that ServiceNow's clients know comes first, as it always was."""
    answer = client.get("/api/now/table/change_request", headers=headers)
    basic, bearer = answer.headers.getlist("WWW-Authenticate")
    named = bearer.partition('resource_metadata="')[2].rstrip('"')

    assert basic == 'BASIC realm="Service-now"'
    assert bearer.startswith('BEARER realm="Service-now", ')
    assert client.get(path_of(named)).get_json()["resource"] == BASE_URL


class TestBehindAPath:
    """A product whose own address has a path: the suffix stands between host and path (RFC 8414 §3.1)."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"base_url": "https://tools.example.com/desk"}

    @pytest.fixture
    def client(self, app: Flask, clock: Clock) -> Iterator[FlaskClient]:
        del clock
        yield app.test_client()

    @pytest.mark.parametrize("path", ["", "/desk"])
    def test_the_server_is_described(self, client: FlaskClient, path: str) -> None:
        described = client.get(SERVER + path).get_json()
        assert described["issuer"] == "https://tools.example.com/desk"
        assert described["token_endpoint"] == "https://tools.example.com/desk/oauth/token"

    @pytest.mark.parametrize(("path", "resource"), [("", ""), ("/desk", ""), ("/desk/api/now", "/api/now")])
    def test_the_resource_is_described(self, client: FlaskClient, path: str, resource: str) -> None:
        found = client.get(RESOURCE + path).get_json()
        assert found["resource"] == f"https://tools.example.com/desk{resource}"

    def test_refusals_point_there(self, client: FlaskClient) -> None:
        answer = client.get("/api/now/table/change_request")
        assert answer.headers.getlist("WWW-Authenticate")[1].endswith(
            f'resource_metadata="https://tools.example.com{RESOURCE}/desk"'
        )
