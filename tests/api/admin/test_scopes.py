"""The admin API of auth scopes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.integration_api import AdminApi
from tests.support.token_desk import CHANGES, TokenDesk, basic_header

SCOPES = "/api/now/oauth/scopes"
PASSWORD = "itil itil itil"


ScopeApi = partial(AdminApi, base=SCOPES)


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> AdminApi:
    return ScopeApi(client, admin)


def test_creates_a_scope_and_describes_it(api: AdminApi) -> None:
    response = api.send("POST", "", {"name": "deploy", "rules": ["POST table change_request fields=description"]})
    made = response.get_json()["result"]

    assert response.status_code == 201
    assert response.headers["Location"] == f"https://change.example.com{SCOPES}/deploy"
    assert response.headers["Cache-Control"] == "no-store"
    assert made["allows"] == "May create change requests, setting only description."
    assert (made["used_by"], made["rules"][0]["writable_fields"]) == ([], ["description"])
    assert api.result("GET", "/deploy") == made
    assert made in api.result("GET")


def test_a_browser_may_ask_for_the_methods_without_a_login(client: FlaskClient) -> None:
    assert client.options(SCOPES).status_code == 204
    assert client.get(SCOPES).status_code == 401


def test_patch_changes_given_fields_and_put_replaces_all(api: AdminApi) -> None:
    api.result("POST", "", {"name": "deploy", "description": "x", "rules": ["GET table change_request"]})

    changed = api.result("PATCH", "/deploy", {"rules": ["GET table change_request own"]})
    assert (changed["description"], changed["allows"]) == ("x", "May read change requests that it created.")
    replaced = api.result("PUT", "/deploy", {"name": "deploy"})
    assert (replaced["description"], replaced["rules"]) == (None, [])
    assert api.send("DELETE", "/deploy").status_code == 204
    assert api.refused("GET", "/deploy", status=404) == "No Record found"


def test_what_was_read_can_be_sent_back(api: AdminApi) -> None:
    made = api.result("POST", "", {"name": "deploy", "rules": ["GET table change_request"]})
    assert api.result("PUT", "/deploy", made) == made
    assert api.refused("PUT", "/deploy", {**made, "sys_id": "0" * 32}) == "sys_id: This field is read-only."
    assert api.refused("POST", "", {**made, "name": "other"}) == "sys_id: This field is read-only."


def test_a_scope_shows_its_integrations_and_cannot_be_deleted_while_in_use(api: AdminApi, desk: TokenDesk) -> None:
    integration = desk.register()

    shown = api.result("GET", "/change_request.create")
    assert shown["used_by"] == [{"client_id": integration.client_id, "name": "Pipeline"}]
    assert api.refused("DELETE", "/change_request.create") == "name: It is used by Pipeline. Remove it from them first."


def test_an_edit_counts_at_the_next_call_of_a_token(api: AdminApi, desk: TokenDesk) -> None:
    api.result("POST", "", {"name": "deploy", "rules": ["POST table change_request"]})
    token = desk.token(desk.register(scopes=["deploy"]))
    assert desk.call(token).status_code == 201

    api.result("PATCH", "/deploy", {"rules": ["POST table change_request inactive"]})
    assert desk.call(token).status_code == 403


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "two words"}, "name: Letters, digits and . _ : - only, the first one a letter or digit."),
        ({"name": "deploy", "rules": ["GET table bunk"]}, "rules: There is no table bunk."),
        ({"name": "deploy", "rule": []}, "rule: Unknown field."),
        ({"name": "Change_Request.Create"}, "name: There is an auth scope change_request.create already."),
        ({}, "name: This field is required."),
    ],
)
def test_refuses_in_words_that_name_the_field(api: AdminApi, body: dict[str, Any], message: str) -> None:
    assert api.refused("POST", "", body) == message


@given(
    body=st.dictionaries(
        st.sampled_from(["name", "description", "rules", "sys_id", "allows"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=6,
        ),
    )
)
@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_a_server_error(api: AdminApi, body: dict[str, Any]) -> None:
    for method, path in (("POST", ""), ("PUT", "/change_request.read"), ("PATCH", "/change_request.read")):
        assert api.send(method, path, body).status_code in {200, 201, 400}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_is_for_integration_administrators_and_never_for_tokens(
    client: FlaskClient, desk: TokenDesk, add_user: Callable[..., str], method: str
) -> None:
    add_user("ines", "itil", password=PASSWORD)
    add_user("otto", "oauth_admin", password=PASSWORD)
    body = {"name": "deploy"}

    assert ScopeApi(client, {}).send(method, "", body).status_code == 401
    assert ScopeApi(client, basic_header("ines", PASSWORD)).send(method, "", body).status_code == 403
    token = desk.token(desk.register(run_as="admin", scopes=["useraccount"]))
    assert desk.call(token, "GET", CHANGES).status_code == 200
    assert ScopeApi(client, {"Authorization": f"Bearer {token}"}).send(method, "", body).status_code == 403
    assert ScopeApi(client, basic_header("otto", PASSWORD)).send(method, "", body).status_code in {200, 201}
