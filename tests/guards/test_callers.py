"""Every blueprint says who may call it, and every endpoint keeps to it."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.api import auth
from changegate.console import guards
from tests.conftest import ADMIN_PASSWORD, basic
from tests.guards.audiences import AUDIENCES, Audience, Endpoint, list_endpoints
from tests.support.token_desk import TokenDesk

GUARDS = {
    auth.allow_anyone,
    auth.require_caller,
    auth.require_integration_administrator,
    guards.allow_anyone,
    guards.require_login,
    guards.require_administrator,
    guards.require_integration_administrator,
}
BASIC_OR_BEARER = {Audience.CALLERS, Audience.INTEGRATION_ADMINISTRATORS_BY_API}
# What people without a role are answered where integrations are.
REFUSED_PEOPLE = {Audience.INTEGRATION_ADMINISTRATORS: 403, Audience.INTEGRATION_OWNERS: 404}
PASSWORD = "itil itil itil"


@pytest.fixture
def endpoints(app: Flask) -> list[Endpoint]:
    return list(list_endpoints(app))


def call(client: FlaskClient, endpoint: Endpoint) -> TestResponse:
    # Buffered: a static file would stay open.
    return client.open(endpoint.path, method=endpoint.method, buffered=True)


@pytest.fixture
def without_csrf(app: Flask) -> None:
    """Let forms pass without their token: it is refused before the guard of the blueprint gets to speak."""
    app.config["WTF_CSRF_ENABLED"] = False


def test_every_blueprint_says_who_may_call_it_exactly_once(app: Flask) -> None:
    said = {
        name: [function for function in app.before_request_funcs.get(name, []) if function in GUARDS]
        for name in app.blueprints
    }
    assert not {name: found for name, found in said.items() if len(found) != 1}


def test_every_endpoint_belongs_to_a_blueprint(endpoints: list[Endpoint]) -> None:
    assert not [endpoint.name for endpoint in endpoints if not endpoint.blueprint]


def test_the_table_of_audiences_names_every_endpoint_and_no_other(endpoints: list[Endpoint]) -> None:
    assert {endpoint.name for endpoint in endpoints} == AUDIENCES.keys()


@pytest.mark.usefixtures("without_csrf")
def test_an_unauthenticated_caller_gets_the_expected_answer(client: FlaskClient, endpoints: list[Endpoint]) -> None:
    surprises = {}
    for endpoint in endpoints:
        got = answer_to_unauthenticated(client, endpoint)
        if got != expected_answer(AUDIENCES[endpoint.name]):
            surprises[endpoint.name] = got
    assert not surprises


def expected_answer(audience: Audience) -> str:
    if audience in REFUSED_PEOPLE:
        audience = Audience.PEOPLE
    if audience is Audience.INTEGRATION_ADMINISTRATORS_BY_API:
        audience = Audience.CALLERS
    return audience.value


def answer_to_unauthenticated(client: FlaskClient, endpoint: Endpoint) -> str:
    response = call(client, endpoint)
    if response.status_code == 401 and response.is_json and "WWW-Authenticate" in response.headers:
        # The endpoints for clients say 401 too, of a client; they have no caller to ask for.
        return Audience.ANYONE.value if endpoint.blueprint.startswith("oauth") else Audience.CALLERS.value
    if endpoint.blueprint != "sign_in" and response.headers.get("Location", "").startswith("/login"):
        return Audience.PEOPLE.value
    if endpoint.blueprint != "sign_in" and response.status_code == 403 and 'action="/login"' in response.text:
        return Audience.PEOPLE.value
    return Audience.ANYONE.value if response.status_code < 500 else f"a {response.status_code}"


@pytest.mark.usefixtures("without_csrf")
def test_integrations_are_closed_to_people_without_a_role(
    app: Flask, endpoints: list[Endpoint], add_user: Callable[..., str]
) -> None:
    add_user("ines", "itil", password=PASSWORD)
    client = app.test_client()
    assert client.post("/login", data={"user_name": "ines", "password": PASSWORD}).status_code == 302
    for audience, status in REFUSED_PEOPLE.items():
        answers = {
            endpoint.name: call(client, endpoint).status_code
            for endpoint in endpoints
            if AUDIENCES[endpoint.name] is audience
        }
        assert answers
        assert set(answers.values()) == {status}, answers


def test_the_admin_api_is_closed_to_users_without_a_role_and_to_every_access_token(
    desk: TokenDesk, endpoints: list[Endpoint], add_user: Callable[..., str]
) -> None:
    """Whether what a path names exists, or the body can be read, makes no difference."""
    add_user("ines", "itil", password=PASSWORD)
    integration = desk.register(run_as="admin")
    bearer = {"Authorization": f"Bearer {desk.token(integration)}"}
    answers = {
        (endpoint.name, path.endswith("0" * 32), method.__name__): (response.status_code, response.get_json()["status"])
        for endpoint in endpoints
        if AUDIENCES[endpoint.name] is Audience.INTEGRATION_ADMINISTRATORS_BY_API
        for path in (endpoint.path, endpoint.path.replace("0" * 32, integration.client_id))
        for method, headers in ((basic, basic("ines", PASSWORD)), (desk.token, bearer))
        if (response := desk.client.open(path, method=endpoint.method, headers=headers, data=b"{"))
    }
    assert answers
    assert set(answers.values()) == {(403, "failure")}, answers


def test_no_form_of_the_console_is_taken_without_its_token(client: FlaskClient, endpoints: list[Endpoint]) -> None:
    forms = [endpoint for endpoint in endpoints if endpoint.method == "POST" and is_console(endpoint)]
    assert forms
    assert {call(client, form).status_code for form in forms} == {400}


def is_console(endpoint: Endpoint) -> bool:
    return AUDIENCES[endpoint.name] not in BASIC_OR_BEARER and not endpoint.blueprint.startswith("oauth")


@pytest.mark.usefixtures("without_csrf")
def test_a_browsers_session_opens_no_api(app: Flask, endpoints: list[Endpoint]) -> None:
    client = app.test_client()
    signed_in = client.post("/login", data={"user_name": "admin", "password": ADMIN_PASSWORD})
    assert signed_in.status_code == 302
    apis = [endpoint for endpoint in endpoints if AUDIENCES[endpoint.name] in BASIC_OR_BEARER]
    answers = [call(client, endpoint) for endpoint in apis]
    assert {answer.status_code for answer in answers} == {401}
    assert not [answer for answer in answers if "Set-Cookie" in answer.headers]
