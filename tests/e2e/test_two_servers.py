"""Two server processes on one database: what one has seen, the other knows."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import JWT_BEARER, LiveDesk
from tests.support.postgres import prepared_postgres
from tests.support.servers import Running, running_changegate

__all__ = ["prepared_postgres"]

THREADS = 20


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """Serve one database from two processes."""
    settings: dict[str, Any] = {"admin_password": ADMIN_PASSWORD, "ratelimit_enabled": "0"}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("prepared_postgres")
    folder = tmp_path / "instance"
    with running_changegate(folder, **settings) as one, running_changegate(folder, **settings) as other:
        yield one, other


def test_one_assertion_buys_one_token_whichever_server_is_asked(servers: tuple[Running, Running], idp_url: str) -> None:
    desk = LiveDesk.register(servers[0], idp_url, "Pipeline")
    form = {"grant_type": JWT_BEARER, "assertion": desk.sign(), **desk.credentials}

    def send(number: int) -> requests.Response:
        return requests.post(f"{servers[number % 2].url}/oauth/token", data=form, timeout=30)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(send, range(THREADS)))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: THREADS - 1}
    [token] = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    for server in servers:
        desk.url = server.url
        assert desk.call(token).status_code == 201
    assert servers[0].changegate("integration", "disable", desk.client_id).returncode == 0
    for server in servers:
        desk.url = server.url
        assert desk.call(token).status_code == 401
    desk.close()
