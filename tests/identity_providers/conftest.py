"""A live server and an administrator at its console; every test has an integration of its own."""

from collections.abc import Callable, Iterator

import pytest
import requests

from tests.conftest import NewInstance
from tests.identity_providers.onboarding import Console, console, reason_for
from tests.support.servers import Running, running_changegate

ReasonFor = Callable[[requests.Response], str]


@pytest.fixture(scope="session")
def server(new_instance: NewInstance) -> Iterator[Running]:
    """Serve the product as `changegate serve` does."""
    with running_changegate(new_instance()) as running:
        yield running


@pytest.fixture(scope="session")
def administrator(server: Running) -> Iterator[Console]:
    """The administrator, signed in at the console."""
    with console(server) as signed_in:
        yield signed_in


@pytest.fixture
def reason(server: Running) -> ReasonFor:
    """Tell why an exchange was refused, by the event it left."""
    return lambda refused: reason_for(server, refused)
