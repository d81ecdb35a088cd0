"""A server and a provider in processes of their own, and an automation that the one knows and the other trusts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running, running_changegate, running_demo_idp


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a module's instances are."""
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="module")
def idp_url() -> Iterator[str]:
    """Serve the demo identity provider and return its address."""
    with running_demo_idp() as url:
        yield url


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    """Serve the product as `changegate serve` does."""
    with running_changegate(folder / "instance", admin_password=ADMIN_PASSWORD) as running:
        yield running


@pytest.fixture
def desk(server: Running, idp_url: str, request: pytest.FixtureRequest) -> Iterator[LiveDesk]:
    """An automation with an integration of its own, whose keys the server has not fetched yet."""
    registered = LiveDesk.register(server, idp_url, request.node.name)
    yield registered
    registered.close()
