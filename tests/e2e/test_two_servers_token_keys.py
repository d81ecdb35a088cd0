"""Two server processes, one database, tokens in JWT format: what one does, the other obeys at the next request."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from tests.conftest import ADMIN_PASSWORD, BASE_URL
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running, running_changegate

JWKS = "/api/now/oauth/jwks"
TIMEOUT_SECONDS = 15
THREADS = 8


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """Serve one database from two processes."""
    settings = {"admin_password": ADMIN_PASSWORD, "ratelimit_enabled": "0", "base_url": BASE_URL}
    folder = tmp_path / "instance"
    with running_changegate(folder, **settings) as one, running_changegate(folder, **settings) as other:
        yield one, other


@pytest.fixture
def desk(servers: tuple[Running, Running], idp_url: str) -> Iterator[LiveDesk]:
    registered = LiveDesk.register(servers[0], idp_url, "Pipeline", "--token-format", "JWT")
    yield registered
    registered.close()


def kids(server: Running) -> list[str]:
    keys = requests.get(server.url + JWKS, timeout=TIMEOUT_SECONDS).json()["keys"]
    return [key["kid"] for key in keys]


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def status_at(server: Running, desk: LiveDesk, token: str) -> int:
    desk.url = server.url
    return desk.call(token).status_code


def token_from(server: Running, desk: LiveDesk) -> str:
    desk.url = server.url
    return desk.token()


def test_both_take_what_either_issued_and_stop_it_as_soon_as_either_is_told(
    servers: tuple[Running, Running], desk: LiveDesk
) -> None:
    one, other = servers
    first = both_need_the_first_key_at_once(servers, desk)
    assert {status_at(server, desk, token) for server in servers for token in first} == {201}

    # A key is blocked through one, after both have verified tokens by it.
    assert one.changegate("token-key", "block", kid_of(first[0])).returncode == 0
    assert [status_at(other, desk, token) for token in first] == [401] * THREADS
    assert status_at(one, desk, first[0]) == 401
    second = token_from(other, desk)
    assert kids(one) == kids(other) == [kid_of(second)] != [kid_of(first[0])]
    assert {status_at(server, desk, second) for server in servers} == {201}

    # A rotation publishes a key at both, and neither signs with it yet.
    waiting = json.loads(other.changegate("token-key", "rotate", "--json").stdout)["kid"]
    assert kids(one) == kids(other) == [kid_of(second), waiting]
    assert {kid_of(token_from(server, desk)) for server in servers} == {kid_of(second)}

    # The integration is disabled through the other.
    assert other.changegate("integration", "disable", desk.client_id).returncode == 0
    assert {status_at(server, desk, second) for server in servers} == {401}


def both_need_the_first_key_at_once(servers: tuple[Running, Running], desk: LiveDesk) -> list[str]:
    """Return tokens that both processes issued at one time, none of them having a key before."""
    assertions = [desk.sign() for _ in range(THREADS)]

    def exchange(number: int) -> Any:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertions[number]}
        url = f"{servers[number % 2].url}/oauth/token"
        return requests.post(url, data=form | desk.credentials, timeout=TIMEOUT_SECONDS).json()

    with ThreadPoolExecutor(THREADS) as pool:
        tokens: list[str] = [answer["access_token"] for answer in pool.map(exchange, range(THREADS))]
    assert len({kid_of(token) for token in tokens}) == 1
    assert kids(servers[0]) == [kid_of(tokens[0])]
    return tokens
