"""PySNC, unmodified, over TLS: with a JWT bearer grant and with a user's password."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowJWTAuth
from pysnc.exceptions import AuthenticationException, NotFoundException, RoleException

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running, running_changegate

INSTANCE = "https://localhost"
PASSWORD = "maria maria maria"
HTTPS = 443
MARIA = ("maria.keller", "--role", "change_manager", "--password", PASSWORD, "--name", "Maria Keller")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    """Serve TLS, as `changegate serve --tls` does, with somebody who works on changes."""
    with running_changegate(folder / "instance", tls=True, base_url=INSTANCE, admin_password=ADMIN_PASSWORD) as running:
        assert running.changegate("user", "create", *MARIA).returncode == 0
        yield running


@pytest.fixture(autouse=True)
def road_to_the_server(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let https://localhost lead to the server's port, and let requests trust the server's CA.

    PySNC rebuilds the token endpoint's address without the port, so 443 it must be; the client itself stays as it is.
    """
    resolve, port = socket.getaddrinfo, urlsplit(server.url).port

    def resolve_to_the_server(host: Any, wanted: Any, *rest: Any, **options: Any) -> Any:
        place = ("127.0.0.1", port) if (host, wanted) == ("localhost", HTTPS) else (host, wanted)
        return resolve(*place, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_to_the_server)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.instance / "tls" / "ca.pem"))


@pytest.fixture
def maria() -> Iterator[ServiceNowClient]:
    """A client with the password of a change manager."""
    client = ServiceNowClient(INSTANCE, ("maria.keller", PASSWORD))
    yield client
    client.session.close()


@pytest.fixture(scope="module")
def desk(server: Running, idp_url: str) -> Iterator[LiveDesk]:
    """An automation that acts as her."""
    registered = LiveDesk.register(server, idp_url, "Pipeline", "--run-as", "maria.keller")
    yield registered
    registered.close()


@pytest.fixture
def automation(desk: LiveDesk) -> Iterator[ServiceNowClient]:
    """A client with an assertion of the provider."""
    client = automation_with(desk, desk.sign())
    yield client
    client.session.close()


def automation_with(desk: LiveDesk, assertion: str) -> ServiceNowClient:
    return ServiceNowClient(INSTANCE, ServiceNowJWTAuth(**desk.credentials, jwt=assertion))


def insert(client: ServiceNowClient, **fields: str) -> Any:
    record = client.GlideRecord("change_request")
    record.initialize()
    for name, value in fields.items():
        record.set_value(name, value)
    assert record.insert()
    return record


def test_a_jwt_bearer_client_inserts_a_change(automation: ServiceNowClient, maria: ServiceNowClient) -> None:
    inserted = insert(automation, short_description="Deploy checkout", type="standard")

    found = maria.GlideRecord("change_request")
    assert found.get(inserted.sys_id)
    assert found.get_value("number") == inserted.get_value("number")
    assert found.get_display_value("type") == "Standard"
    assert found.get_display_value("opened_by") == "Maria Keller"


def test_a_jwt_bearer_client_inserts_again_with_the_token_it_has(automation: ServiceNowClient) -> None:
    numbers = {insert(automation, short_description=f"Deploy {part}").get_value("number") for part in "abc"}

    assert len(numbers) == 3


def test_a_jwt_bearer_client_can_do_nothing_else(automation: ServiceNowClient) -> None:
    inserted = insert(automation, short_description="Deploy checkout")

    with pytest.raises(RoleException, match="Missing required api access scope"):
        automation.GlideRecord("sys_user").get("user_name", "admin")
    inserted.set_value("short_description", "Deploy something else")
    with pytest.raises(RoleException, match="Missing required api access scope"):
        inserted.update()
    with pytest.raises(RoleException, match="Missing required api access scope"):
        inserted.delete()


def test_a_jwt_bearer_client_is_told_that_its_assertion_is_refused(desk: LiveDesk) -> None:
    client = automation_with(desk, desk.sign(aud="somebody-else"))

    with pytest.raises(AssertionError, match=r"Failed to auth.*access_denied"):
        insert(client, short_description="Deploy checkout")
    client.session.close()


def test_a_jwt_bearer_client_buys_no_second_token_with_its_assertion(desk: LiveDesk) -> None:
    assertion = desk.sign()
    first, second = automation_with(desk, assertion), automation_with(desk, assertion)

    assert insert(first, short_description="Deploy checkout")
    with pytest.raises(AssertionError, match=r"Failed to auth.*access_denied"):
        insert(second, short_description="Deploy checkout")
    for client in (first, second):
        client.session.close()


def test_a_user_inserts_finds_changes_and_deletes(maria: ServiceNowClient) -> None:
    sys_id = insert(maria, short_description="Renew the certificate", category="Software").sys_id

    record = maria.GlideRecord("change_request")
    assert record.get(sys_id)
    record.set_value("short_description", "Renew two certificates")
    assert record.update()
    assert record.get_value("short_description") == "Renew two certificates"
    again = maria.GlideRecord("change_request")
    assert again.get("short_description", "Renew two certificates")
    assert again.sys_id == sys_id
    assert again.get_value("category") == "Software"
    assert again.delete()
    assert not maria.GlideRecord("change_request").get(sys_id)


def test_a_user_reads_a_query_page_by_page(maria: ServiceNowClient) -> None:
    wanted = [f"Patch host {number}" for number in range(7)]
    for short_description in wanted:
        insert(maria, short_description=short_description, correlation_id="patches")

    record = maria.GlideRecord("change_request", batch_size=3)
    record.add_query("correlation_id", "patches")
    record.order_by("short_description")
    record.query()

    assert record.get_row_count() == len(wanted)
    assert [row.get_value("short_description") for row in record] == wanted


def test_a_user_chooses_conditions_fields_and_a_limit(maria: ServiceNowClient) -> None:
    for risk in ("2", "3", "4"):
        insert(maria, short_description="Open a port", risk=risk, correlation_id="ports")

    record = maria.GlideRecord("change_request")
    record.add_query("correlation_id", "ports")
    record.add_query("risk", ">", "2").add_or_condition("short_description", "STARTSWITH", "Close")
    record.order_by_desc("risk")
    record.fields = ["risk", "opened_by"]
    record.limit = 1
    record.query()

    assert [(row.get_value("risk"), row.get_display_value("opened_by")) for row in record] == [("4", "Maria Keller")]


def test_a_user_may_choose_the_id_of_a_record(maria: ServiceNowClient) -> None:
    record = maria.GlideRecord("change_request")
    record.initialize()
    record.set_new_guid_value("A" * 32)
    record.set_value("short_description", "With an id of its own")

    assert record.insert() == "A" * 32
    assert maria.GlideRecord("change_request").get("A" * 32)


def test_a_wrong_password_is_an_authentication_error() -> None:
    client = ServiceNowClient(INSTANCE, ("maria.keller", "wrong"))

    with pytest.raises(
        AuthenticationException, match=r"(?i)user not authenticated.*required to provide auth information"
    ):
        client.GlideRecord("change_request").get("number", "CHG0000001")


def test_a_missing_record_is_not_found(maria: ServiceNowClient) -> None:
    record = maria.GlideRecord("change_request")

    assert not record.get("f" * 32)
    with pytest.raises(NotFoundException):
        maria.table_api.get(record, "f" * 32)
