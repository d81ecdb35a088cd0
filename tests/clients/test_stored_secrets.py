"""Clients that have no other grant than one with a stored secret: PySNC's flows and pysnow's OAuth client."""

import secrets
import time
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowClientCredentialsFlow, ServiceNowPasswordGrantFlow
from pysnc.exceptions import AuthenticationException

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.live_desk import INTEGRATIONS, TIMEOUT_SECONDS, administer
from tests.support.servers import Running

with warnings.catch_warnings():
    # On a machine without libmagic the client says so, and sends files as text/plain.
    warnings.simplefilter("ignore", UserWarning)
    # What it needs calls a function that Python 3.12 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import pysnow
    from pysnow.exceptions import InvalidUsage, TokenCreateError

Credentials = tuple[str, str]
CHANGES = "/table/change_request"


def registered(server: Running, type_: str, **fields: Any) -> Credentials:
    """Register an integration and return its client's id and secret."""
    named = {"name": f"{type_} {secrets.token_hex(4)}", "provider_name": "Example", "type": type_}
    made = administer(server, "POST", INTEGRATIONS, scopes=["useraccount"], **named, **fields)
    return made["client_id"], made["client_secret"]


@pytest.fixture
def mobile(server: Running) -> Credentials:
    """A client that takes passwords and gets refresh tokens."""
    return registered(server, "password", issue_refresh_tokens=True)


@pytest.fixture
def machine(server: Running) -> Credentials:
    """A client that acts as the change manager."""
    return registered(server, "client_credentials", run_as=USER_NAME)


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    """What is to be closed in the end."""
    things: list[Any] = []
    yield things
    for thing in things:
        thing.close()


def insert(client: ServiceNowClient) -> Any:
    record = client.GlideRecord("change_request")
    record.initialize()
    record.set_value("short_description", "Renew the certificate")
    assert record.insert()
    return record


def test_pysnc_works_with_client_credentials(server: Running, machine: Credentials, opened: list[Any]) -> None:
    client = ServiceNowClient(server.url, ServiceNowClientCredentialsFlow(*machine))
    opened.append(client.session)

    made = insert(client)
    found = client.GlideRecord("change_request")

    assert found.get(made.sys_id)
    assert found.get_display_value("opened_by") == "Maria Keller"


def test_pysnc_reports_a_wrong_secret(server: Running, machine: Credentials) -> None:
    with pytest.raises(AuthenticationException, match=r"401 .* access_denied"):
        ServiceNowClient(server.url, ServiceNowClientCredentialsFlow(machine[0], "wrong"))


def test_pysnc_works_with_a_password_and_refreshes(server: Running, mobile: Credentials, opened: list[Any]) -> None:
    client = ServiceNowClient(server.url, ServiceNowPasswordGrantFlow(USER_NAME, PASSWORD, *mobile))
    opened.append(client.session)
    first = dict(client.session.token)
    assert insert(client).get_value("sys_created_by") == USER_NAME

    client.session.token = {**first, "expires_at": time.time() - 1, "expires_in": -1}
    # requests-oauthlib has no place for the new token, and says so by a warning that it raises: TokenUpdated.
    with pytest.raises(Warning) as updated:
        client.session.get(f"{server.url}/api/now{CHANGES}?sysparm_limit=1", timeout=TIMEOUT_SECONDS)

    refreshed: dict[str, Any] = vars(updated.value)["token"]
    assert refreshed["refresh_token"] == first["refresh_token"]
    assert refreshed["access_token"] != first["access_token"]
    client.session.token = refreshed
    assert insert(client)


def test_pysnc_reports_a_wrong_password(server: Running, mobile: Credentials) -> None:
    with pytest.raises(Exception, match="access_denied"):
        ServiceNowClient(server.url, ServiceNowPasswordGrantFlow(USER_NAME, "wrong", *mobile))


def opened_by(server: Running, credentials: Credentials, **options: Any) -> pysnow.OAuthClient:
    host = urlsplit(server.url).netloc
    return pysnow.OAuthClient(client_id=credentials[0], client_secret=credentials[1], host=host, **options)


def test_pysnow_works_with_a_password_and_refreshes(server: Running, mobile: Credentials, opened: list[Any]) -> None:
    kept: list[dict[str, Any]] = []
    client = opened_by(server, mobile, token_updater=kept.append)
    token = client.generate_token(USER_NAME, PASSWORD)
    client.set_token(token)
    changes = client.resource(api_path=CHANGES)
    opened.append(client.session)
    assert changes.create({"short_description": "Renew the certificate"})["sys_created_by"] == USER_NAME

    client.set_token({**token, "expires_at": time.time() - 1})
    changes = client.resource(api_path=CHANGES)
    opened.append(client.session)
    assert changes.create({"short_description": "Renew another"})["number"].startswith("CHG")

    [refreshed] = kept
    assert refreshed["refresh_token"] == token["refresh_token"]
    assert refreshed["access_token"] != token["access_token"]


def test_pysnow_needs_refresh_tokens(server: Running) -> None:
    client = opened_by(server, registered(server, "password"))
    token = client.generate_token(USER_NAME, PASSWORD)

    assert "refresh_token" not in token
    with pytest.raises(InvalidUsage, match="refresh_token"):
        client.set_token(token)


def test_pysnow_reports_a_wrong_password(server: Running, mobile: Credentials) -> None:
    with pytest.raises(TokenCreateError):
        opened_by(server, mobile).generate_token(USER_NAME, "wrong")
