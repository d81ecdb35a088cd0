"""A token that one process revokes is refused, and not active, at the next request to another."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import TIMEOUT_SECONDS, LiveDesk
from tests.support.postgres import prepared_postgres
from tests.support.servers import Running, running_changegate

__all__ = ["prepared_postgres"]

Servers = tuple[Running, Running]


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    """Serve one database from two processes, which have one address for their clients."""
    settings: dict[str, Any] = {"admin_password": ADMIN_PASSWORD, "base_url": "https://desk.example.com"}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("prepared_postgres")
    folder = tmp_path / "instance"
    with running_changegate(folder, **settings) as one, running_changegate(folder, **settings) as other:
        yield one, other


def send(server: Running, path: str, **form: str) -> requests.Response:
    return requests.post(f"{server.url}{path}", data=form, timeout=TIMEOUT_SECONDS)


@pytest.fixture
def desks(servers: Servers, idp_url: str) -> Iterator[list[LiveDesk]]:
    """Two automations, one for each format of tokens."""
    made = [
        LiveDesk.register(servers[0], idp_url, name, "--token-format", name, "--scope", "change_request.create")
        for name in ("opaque", "jwt")
    ]
    yield made
    for desk in made:
        desk.close()


def test_a_revoked_token_ends_everywhere(servers: Servers, desks: list[LiveDesk]) -> None:
    for desk, path in product(desks, ("/oauth/revoke", "/oauth_revoke_token.do")):
        for revoking, asked in (servers, reversed(servers)):
            desk.url = asked.url
            token = desk.token()
            # Both processes know the token by now, and may remember that its signature is good.
            assert [call(server, desk, token) for server in servers] == [201, 201]
            credentials = desk.credentials if path == "/oauth/revoke" else {}
            revoked = send(revoking, path, token=token, **credentials)
            assert (revoked.status_code, revoked.content) == (200, b"")

            assert call(asked, desk, token) == 401
            assert send(asked, "/oauth/introspect", token=token, **desk.credentials).json() == {"active": False}


def call(server: Running, desk: LiveDesk, token: str) -> int:
    desk.url = server.url
    return desk.call(token).status_code
