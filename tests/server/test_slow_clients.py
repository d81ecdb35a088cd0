"""Clients that keep the server waiting, without a login: the others are answered."""

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.servers import Running, environment_of, free_port, running_changegate, serving
from tests.support.slow_clients import LITTLE_ROOM, Target, head, slow_clients

CLIENTS = 500
HEALTH_SECONDS = 1.0
PROBES = 20
TIMEOUT_SECONDS = 20
CHANGES = "/api/now/table/change_request"
FILE_BYTES = 8 * 1024 * 1024
SERVED = {"one worker": ([], False), "two workers": (["--workers", "2"], False), "TLS": ([], True)}


@pytest.fixture(scope="module", params=SERVED)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    options, tls = SERVED[request.param]
    folder = tmp_path_factory.mktemp("slow")
    settings = {"admin_password": ADMIN_PASSWORD, "open_bodies_per_address": "1000"}
    with running_changegate(folder / "instance", *options, tls=tls, **settings) as running:
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


@pytest.fixture
def target(server: Running) -> Target:
    port = int(server.url.rpartition(":")[2])
    if not server.url.startswith("https"):
        return Target(port)
    return Target(port, ssl.create_default_context(cafile=str(server.instance / "tls" / "ca.pem")))


def test_500_slow_clients_keep_nobody_waiting(
    target: Target, call: Callable[..., requests.Response], download: str
) -> None:
    with slow_clients(target, CLIENTS, download):
        for _ in range(PROBES):
            begun = time.monotonic()
            assert call("GET", "/healthz").status_code == 200
            assert time.monotonic() - begun < HEALTH_SECONDS
            assert call("GET", CHANGES, params={"sysparm_limit": 1}).status_code == 200
            assert call("POST", CHANGES, json={"short_description": "Deploy"}).status_code == 201
            time.sleep(0.1)
        assert len(call("GET", download).content) == FILE_BYTES


SHORT_WAITS = """
from changegate.server import waits
waits.SECONDS, waits.BYTES_PER_SECOND = 4.0, 2**20
from changegate.cli import main
main()
"""
BUNDLE = "/static/swagger-ui/swagger-ui-bundle.js"
# Less than the bundle has.
BUNDLE_BYTES = 1024 * 1024
DOWNLOADS = 300


def test_300_downloads_that_are_cut_off_at_once_keep_nobody_waiting(tmp_path: Path) -> None:
    port = free_port()
    health = f"http://127.0.0.1:{port}/healthz"
    command = [sys.executable, "-c", SHORT_WAITS, "serve", "--port", str(port)]
    with ExitStack() as opened, requests.Session() as session:
        opened.enter_context(serving(command, health, environment_of(tmp_path / "instance")))
        session.trust_env = False
        connections = []
        for _ in range(DOWNLOADS):
            connection = opened.enter_context(Target(port).connect(room=LITTLE_ROOM))
            connection.sendall(head("GET", BUNDLE))
            connections.append(connection)
        end = time.monotonic() + 10
        slowest = 0.0
        while time.monotonic() < end:
            begun = time.monotonic()
            assert session.get(health, timeout=TIMEOUT_SECONDS).status_code == 200
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.02)
        assert slowest < HEALTH_SECONDS
        # The measure was taken while they were cut off.
        assert all(len(read_all(connection)) < BUNDLE_BYTES for connection in connections)


def read_all(connection: socket.socket) -> bytes:
    """Return what a connection still gives, up to its end."""
    data = bytearray()
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            data += piece
    return bytes(data)
