"""Clients that keep the server waiting, without a login: the others are answered."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.support.servers import Running, count_sockets, running_changegate
from tests.support.slow_clients import (
    ADMIN,
    JSON,
    LITTLE_ROOM,
    UNFINISHED_FORMS,
    head,
    slow_clients,
    target_of,
)

CLIENTS = 500
PROBES = 20
TIMEOUT_SECONDS = 60
CHANGES = "/api/now/table/change_request"
FILE_BYTES = 8 * 1024 * 1024
# Slow clients are waited for until the test is over, so that those who wait for them wait too long.
LONGEST_WAIT_SECONDS = 120
LONG_WAITS = f"""
from changegate.server import waits
waits.SECONDS = {LONGEST_WAIT_SECONDS}
"""
SERVED = {"one worker": ([], False), "two workers": (["--workers", "2"], False), "TLS": ([], True)}


@pytest.fixture(scope="module", params=SERVED)
def server(request: pytest.FixtureRequest, new_instance: NewInstance) -> Iterator[Running]:
    options, tls = SERVED[request.param]
    settings = {"open_bodies_per_address": "1000"}
    with running_changegate(new_instance(), *options, tls=tls, patches=LONG_WAITS, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def call(server: Running) -> Iterator[Callable[..., requests.Response]]:
    with requests.Session() as session:
        session.trust_env = False
        session.auth = ("admin", ADMIN_PASSWORD)
        session.verify = str(server.instance / "tls" / "ca.pem")

        def send(method: str, path: str, **options: Any) -> requests.Response:
            return session.request(method, server.url + path, timeout=TIMEOUT_SECONDS, **options)

        yield send


@pytest.fixture(scope="module")
def download(call: Callable[..., requests.Response]) -> str:
    """Attach a file that fits into no buffer; return where it is."""
    change = call("POST", CHANGES, json={}).json()["result"]["sys_id"]
    where = {"table_name": "change_request", "table_sys_id": change, "file_name": "image.bin"}
    headers = {"Content-Type": "application/octet-stream"}
    made = call("POST", "/api/now/attachment/file", params=where, data=bytes(FILE_BYTES), headers=headers)
    assert made.status_code == 201, made.text
    return f"/api/now/attachment/{made.json()['result']['sys_id']}/file"


def test_500_slow_clients_do_not_delay_other_callers(
    server: Running, call: Callable[..., requests.Response], download: str
) -> None:
    with slow_clients(target_of(server), CLIENTS, download):
        for _ in range(PROBES):
            assert call("GET", "/healthz").status_code == 200
            assert call("GET", CHANGES, params={"sysparm_limit": 1}).status_code == 200
            assert call("POST", CHANGES, json={"short_description": "Deploy"}).status_code == 201
            time.sleep(0.1)
        assert len(call("GET", download).content) == FILE_BYTES


SHORT_WAITS = """
from changegate.server import waits
waits.SECONDS, waits.BYTES_PER_SECOND = 2.0, 2**20
"""
BUNDLE = "/static/swagger-ui-bundle.js"
DOWNLOADS = 300


def test_300_aborted_downloads_do_not_delay_other_callers(new_instance: NewInstance) -> None:
    with ExitStack() as opened, requests.Session() as session:
        running = opened.enter_context(running_changegate(new_instance(), patches=SHORT_WAITS))
        session.trust_env = False
        sockets = count_sockets(running)
        for _ in range(DOWNLOADS):
            connection = opened.enter_context(target_of(running).connect(room=LITTLE_ROOM))
            connection.sendall(head("GET", BUNDLE))
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        most = 0
        while (count := count_sockets(running)) > sockets + 1 or most < DOWNLOADS:
            assert time.monotonic() < end
            most = max(most, count)
            assert session.get(f"{running.url}/healthz", timeout=TIMEOUT_SECONDS).status_code == 200
            time.sleep(0.02)


BODIES = 200
BODIES_OF_ADDRESS = 100


def test_an_address_with_as_many_open_bodies_as_it_may_have_slows_no_other_address_down(
    new_instance: NewInstance,
) -> None:
    with ExitStack() as opened:
        running = opened.enter_context(running_changegate(new_instance(), patches=LONG_WAITS))
        target = target_of(running)
        session = opened.enter_context(session_from("127.0.0.2"))
        bodies = []
        for number in range(BODIES):
            bodies.append(opened.enter_context(target.connect()))
            bodies[-1].sendall(head(*UNFINISHED_FORMS[number % len(UNFINISHED_FORMS)]) + b"a")
        other = opened.enter_context(target.connect(source="127.0.0.2"))
        other.sendall(head("POST", CHANGES, JSON, ADMIN, "Content-Length: 2") + b"{")
        answers = [b""] * BODIES
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        while (refused := sum(bool(answer) for answer in answers)) < BODIES - BODIES_OF_ADDRESS:
            assert time.monotonic() < end, refused
            assert session.get(f"{running.url}/healthz", timeout=TIMEOUT_SECONDS).status_code == 200
            answer = session.get(running.url + CHANGES, params={"sysparm_limit": 1}, timeout=TIMEOUT_SECONDS)
            assert answer.status_code == 200
            answers = [answer or received(body) for answer, body in zip(answers, bodies, strict=True)]
        assert answers.count(b"") == BODIES_OF_ADDRESS
        assert sum(answer.startswith(b"HTTP/1.1 429") for answer in answers) == BODIES - BODIES_OF_ADDRESS
        other.sendall(b"}")
        assert other.recv(65536).startswith(b"HTTP/1.1 201")


@contextmanager
def session_from(address: str) -> Iterator[requests.Session]:
    """Give a session whose connections come from an address."""
    with requests.Session() as session:
        session.trust_env = False
        session.auth = ("admin", ADMIN_PASSWORD)
        session.get_adapter("http://").init_poolmanager(1, 1, source_address=(address, 0))
        yield session


def received(connection: socket.socket) -> bytes:
    """Return what a connection has received by now."""
    connection.settimeout(0)
    with suppress(BlockingIOError):
        return connection.recv(65536)
    return b""
