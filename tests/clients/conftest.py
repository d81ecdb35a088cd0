"""A server with TLS, a change manager, and the settings of a client's machine for both."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.support.https_port import lead_to
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running, running_changegate, running_demo_idp

USER_NAME = "maria.keller"
PASSWORD = "maria maria maria"
MARIA = (USER_NAME, "--role", "change_manager", "--role", "itil", "--password", PASSWORD, "--name", "Maria Keller")


@pytest.fixture(scope="session")
def server(new_instance: NewInstance) -> Iterator[Running]:
    """Serve TLS as `changegate serve --tls` does; one server for all clients, each of which uses records of its own."""
    with running_changegate(new_instance(), tls=True, password_grant_enabled="1") as running:
        assert running.changegate("user", "create", *MARIA, "--email", "maria@example.com").returncode == 0
        yield running


@pytest.fixture(scope="session")
def idp_url() -> Iterator[str]:
    """Serve the demo identity provider and return its address."""
    with running_demo_idp() as url:
        yield url


@pytest.fixture(scope="session")
def desk(server: Running, idp_url: str, ca: Path) -> Iterator[LiveDesk]:
    """An automation that acts as her, with tokens in place of a password."""
    registered = LiveDesk.register(server, idp_url, "Pipeline", "--run-as", USER_NAME)
    registered.session.verify = str(ca)
    yield registered
    registered.close()


@pytest.fixture(scope="session")
def ca(server: Running) -> Path:
    """The certificate of the CA that signed the server's."""
    return server.instance / "tls" / "ca.pem"


@pytest.fixture(autouse=True)
def trust(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client trust that CA by the variable that its HTTP library reads."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))


@pytest.fixture
def road_to_the_server(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let https://localhost lead to the server's port, for a client that knows no other port than 443."""
    lead_to(urlsplit(server.url).port, monkeypatch)


@pytest.fixture(scope="session")
def administrator(server: Running, ca: Path) -> Iterator[requests.Session]:
    """The administrator, who prepares what clients look up."""
    with requests.Session() as session:
        session.auth = ("admin", ADMIN_PASSWORD)
        session.verify = str(ca)
        # A CA bundle in the environment would win over this session's own.
        session.trust_env = False
        yield session


def create_as(session: requests.Session, server: Running, table: str, **fields: str) -> str:
    """Create a record of any table; answers its sys_id."""
    answer = session.post(f"{server.url}/api/now/table/{table}", json=fields, timeout=60)
    assert answer.status_code == 201, answer.text
    sys_id: str = answer.json()["result"]["sys_id"]
    return sys_id
