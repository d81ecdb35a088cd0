"""PySNC with a JWT bearer grant: it rebuilds the token endpoint's address without the port, so 443 it must be."""

from collections.abc import Iterator
from typing import Any

import pytest
from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowJWTAuth
from pysnc.exceptions import RoleException

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.https_port import NAMED_INSTANCE
from tests.support.live_desk import LiveDesk

pytestmark = pytest.mark.usefixtures("road_to_the_server")


@pytest.fixture
def automation(desk: LiveDesk) -> Iterator[ServiceNowClient]:
    """A client with an assertion of the provider."""
    client = automation_with(desk, desk.sign())
    yield client
    client.session.close()


@pytest.fixture
def maria() -> Iterator[ServiceNowClient]:
    """The user herself, by her password."""
    client = ServiceNowClient(NAMED_INSTANCE, (USER_NAME, PASSWORD))
    yield client
    client.session.close()


def automation_with(desk: LiveDesk, assertion: str) -> ServiceNowClient:
    return ServiceNowClient(NAMED_INSTANCE, ServiceNowJWTAuth(**desk.credentials, jwt=assertion))


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


def test_a_jwt_bearer_client_reports_a_refused_assertion(desk: LiveDesk) -> None:
    client = automation_with(desk, desk.sign(aud="somebody-else"))

    with pytest.raises(AssertionError, match=r"Failed to auth.*access_denied"):
        insert(client, short_description="Deploy checkout")
    client.session.close()


def test_a_jwt_bearer_client_cannot_exchange_its_assertion_twice(desk: LiveDesk) -> None:
    assertion = desk.sign()
    first, second = automation_with(desk, assertion), automation_with(desk, assertion)

    assert insert(first, short_description="Deploy checkout")
    with pytest.raises(AssertionError, match=r"Failed to auth.*access_denied"):
        insert(second, short_description="Deploy checkout")
    for client in (first, second):
        client.session.close()
