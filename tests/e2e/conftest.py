"""Servers and a provider in processes of their own, and an automation that the ones know and the other trusts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.support.live_desk import LiveDesk
from tests.support.postgres import prepared_database_of_postgres
from tests.support.servers import Running, free_port, running_changegate, running_demo_idp

Servers = tuple[Running, Running]


@pytest.fixture(scope="package")
def idp_url() -> Iterator[str]:
    """Serve the demo identity provider and return its address."""
    with running_demo_idp() as url:
        yield url


@pytest.fixture(scope="module")
def server(new_instance: NewInstance) -> Iterator[Running]:
    """Serve the product as `changegate serve` does."""
    with running_changegate(new_instance()) as running:
        yield running


@pytest.fixture
def desk(server: Running, idp_url: str) -> Iterator[LiveDesk]:
    """An automation with an integration of its own, whose keys the server has not fetched yet."""
    registered = LiveDesk.enrol(server, idp_url)
    yield registered
    registered.close()


@contextmanager
def two_servers(instance: Path, database_url: str) -> Iterator[Servers]:
    """Serve one database from two processes, which have one address for their clients and start at the same time."""
    ports = [free_port(), free_port()]
    settings = {
        "admin_password": ADMIN_PASSWORD,
        "ratelimit_enabled": "0",
        "base_url": f"http://127.0.0.1:{ports[0]}",
        "database_url": database_url,
    }
    with ExitStack() as stack, ThreadPoolExecutor() as pool:

        def start(port: int) -> Running:
            return stack.enter_context(running_changegate(instance, port=port, **settings))

        one, other = pool.map(start, ports)
        yield one, other


@pytest.fixture(scope="package")
def sqlite_servers(new_instance: NewInstance) -> Iterator[Servers]:
    """Two processes on a file; starting them takes so long that all tests share them, each with records of its own."""
    instance = new_instance()
    with two_servers(instance, f"sqlite:///{instance / 'changegate.db'}") as servers:
        yield servers


@pytest.fixture(scope="package")
def postgresql_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Two processes on PostgreSQL, shared in the same way."""
    instance = tmp_path_factory.mktemp("postgresql") / "instance"
    with prepared_database_of_postgres() as url, two_servers(instance, url) as servers:
        yield servers


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest) -> Servers:
    """Return two processes on one database: what is done through one is seen at the other."""
    found: Servers = request.getfixturevalue(f"{request.param}_servers")
    return found
