"""People sign in with a provider that others have written: no kid, a list as audience, and no iss in its answer."""

from collections.abc import Iterator
from html import unescape
from urllib.parse import urlsplit

import pytest
import requests

from tests.console.single_sign_on.conftest import LINK
from tests.identity_providers.processes import Provider, running_oidc_provider_mock
from tests.support.live_desk import administer
from tests.support.servers import Running

TOKEN = 'name="csrf_token" value="'
TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_oidc_provider_mock() as running:
        yield running


def press(session: requests.Session, server: Running, page: str, path: str, **fields: str) -> requests.Response:
    """Send a form of a page."""
    shown = session.get(server.url + page, timeout=TIMEOUT_SECONDS).text
    token = shown.partition(TOKEN)[2].partition('"')[0]
    form = {"csrf_token": token, **fields}
    return session.post(server.url + path, data=form, timeout=TIMEOUT_SECONDS)


def name_on(session: requests.Session, server: Running) -> str:
    return session.get(f"{server.url}/preferences", timeout=TIMEOUT_SECONDS).text


def test_signs_in_with_oidc_provider_mock(server: Running, provider: Provider) -> None:
    fields = {"name": "Mock", "alias": "mock", "issuer": provider.issuer, "client_id": "change-desk"}
    table = "/api/now/table/oidc_provider_configuration"
    choices = {"client_secret": "a secret", "create_users": "true", "user_name_claim": "sub"}
    made = administer(server, "POST", table, **fields, **choices)
    with requests.Session() as session:
        way = unescape(LINK.search(press(session, server, "/login", "/single-sign-on/mock").text)[1])
        assert urlsplit(way).netloc == urlsplit(provider.issuer).netloc
        person = {"sub": "erika.mustermann"}
        chosen = session.post(way, data=person, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        back = session.get(chosen.headers["Location"], timeout=TIMEOUT_SECONDS)
        assert back.url == f"{server.url}/", back.text
        assert "erika.mustermann" in name_on(session, server)
        page = press(session, server, "/preferences", "/logout")
        assert unescape(LINK.search(page.text)[1]).startswith(f"{provider.issuer}/")
        assert "erika" not in name_on(session, server)
    administer(server, "DELETE", f"{table}/{made['sys_id']}")
