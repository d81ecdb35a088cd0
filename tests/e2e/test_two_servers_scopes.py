"""Two server processes on one database: what an administrator does to scopes through one, the other obeys at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import CHANGES, LiveDesk
from tests.support.postgres import prepared_postgres
from tests.support.servers import Running, running_changegate

__all__ = ["prepared_postgres"]

ADMIN = ("admin", ADMIN_PASSWORD)
OAUTH = "/api/now/oauth"
USERS = "/api/now/table/sys_user"
TIMEOUT_SECONDS = 15


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """Serve one database from two processes."""
    settings: dict[str, Any] = {"admin_password": ADMIN_PASSWORD, "ratelimit_enabled": "0"}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("prepared_postgres")
    folder = tmp_path / "instance"
    with running_changegate(folder, **settings) as one, running_changegate(folder, **settings) as other:
        yield one, other


def administer(server: Running, method: str, path: str, **body: Any) -> None:
    """Make a call of the admin API."""
    answer = requests.request(method, f"{server.url}{OAUTH}{path}", json=body, auth=ADMIN, timeout=TIMEOUT_SECONDS)
    assert answer.ok, answer.text


def test_what_is_done_to_scopes_counts_at_the_next_request_everywhere(
    servers: tuple[Running, Running], idp_url: str
) -> None:
    one, other = servers
    administer(one, "POST", "/scopes", name="deploy", rules=["POST table change_request", "GET table change_request"])
    desk = LiveDesk.register(one, idp_url, "Pipeline", "--scope", "deploy", "--scope", "change_request.create")
    token = desk.token()
    desk.url = other.url
    integration = f"/integrations/{desk.client_id}"

    def status(method: str, path: str = CHANGES, **body: Any) -> int:
        return desk.call(token, method, path, **body).status_code

    assert (status("POST", priority="2"), status("GET"), status("GET", USERS)) == (201, 200, 403)

    # A rule is edited, switched off, and switched on again.
    administer(one, "PATCH", "/scopes/change_request.create", rules=["POST table change_request inactive"])
    administer(one, "PATCH", "/scopes/deploy", rules=["POST table change_request fields=description"])
    assert (status("POST", priority="2"), status("POST", description="x"), status("GET")) == (403, 201, 403)
    administer(one, "PATCH", "/scopes/deploy", rules=["POST table change_request inactive"])
    assert status("POST", description="x") == 403
    administer(one, "PATCH", "/scopes/deploy", rules=["POST table change_request"])
    assert status("POST", description="x") == 201

    # The integration gets another scope in place of those it has.
    administer(one, "PATCH", integration, scopes=["change_request.read"])
    assert (status("POST", description="x"), status("GET")) == (403, 200)

    # What no scope protects is the user's to do, until a scope does, and until that is switched off.
    administer(one, "PATCH", integration, scope_restriction=False)
    assert status("GET", USERS) == 200
    administer(one, "POST", "/scopes", name="people", rules=["GET table sys_user"])
    assert status("GET", USERS) == 403
    administer(one, "DELETE", "/scopes/people")
    assert status("GET", USERS) == 200
    administer(one, "PATCH", integration, enforce_token_restriction=True)
    assert (status("GET", USERS), status("GET")) == (403, 200)
    desk.close()
