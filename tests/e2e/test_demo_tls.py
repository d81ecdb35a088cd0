"""`changegate demo --tls`: PySNC and the page of the identity provider work against it."""

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowJWTAuth

from changegate.cli.demo_steps import AUDIENCE
from tests.support.https_port import NAMED_INSTANCE, lead_to
from tests.support.live_users import CSRF_TOKEN
from tests.support.servers import LONGEST_SECONDS, RunningDemo, environment_of, free_port, running_demo

SNIPPET = re.compile(r'<code id="snippet-pysnc">(.*?)</code>', re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    folder = tmp_path_factory.mktemp("demo")
    ports = ("--port", str(free_port()), "--idp-port", str(free_port()))
    with running_demo("--tls", *ports, environment=environment_of(folder / "tls")) as running:
        yield running


@pytest.fixture
def console(demo: RunningDemo, monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """A browser that trusts the CA, in which the administrator is signed in."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", demo.shown("CA"))
    user_name, _, password = demo.shown("Sign in").partition(" / ")
    with requests.Session() as session:
        login = f"{_origin(demo)}/login"
        found = CSRF_TOKEN.search(session.get(login, timeout=LONGEST_SECONDS).text)
        assert found
        form = {"csrf_token": found[1], "user_name": user_name, "password": password}
        # Over TLS, forms must come from a page of the same origin, as those of browsers do.
        session.headers["Referer"] = login
        assert session.post(login, data=form, timeout=LONGEST_SECONDS).url == f"{_origin(demo)}/"
        yield session


def _origin(demo: RunningDemo) -> str:
    scheme, host, *_ = urlsplit(demo.shown("Integration"))
    assert scheme == "https"
    return f"{scheme}://{host}"


def _sign(demo: RunningDemo, audience: str = AUDIENCE) -> str:
    order = {"sub": "pipeline:shop", "aud": audience}
    signed = requests.post(f"{demo.shown('Identity provider')}sign", json=order, timeout=LONGEST_SECONDS)
    assertion: str = signed.json()["assertion"]
    return assertion


def test_the_shown_pages_exist_and_have_the_keys(demo: RunningDemo, console: requests.Session) -> None:
    for label in ("Integration", "Run this", "Change requests"):
        page = console.get(demo.shown(label), timeout=LONGEST_SECONDS)
        assert (page.status_code, page.url) == (200, demo.shown(label))
    [keys] = re.findall(r"^\s+(https://\S+/keys)$", demo.output, re.MULTILINE)
    assert 'id="keys"' in console.get(keys, timeout=LONGEST_SECONDS).text


def test_the_snippet_of_run_this_creates_a_change_with_pysnc(demo: RunningDemo, console: requests.Session) -> None:
    page = console.get(demo.shown("Run this"), params={"snippet": "pysnc"}, timeout=LONGEST_SECONDS)
    snippet = SNIPPET.search(page.text)
    assert snippet
    done = subprocess.run(
        [sys.executable, "-c", html.unescape(snippet[1])],
        env={"ASSERTION": _sign(demo), "REQUESTS_CA_BUNDLE": demo.shown("CA")},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert re.fullmatch(r"Created CHG\d{7}\n", done.stdout), done.stderr


def test_pysncs_own_class_creates_a_change_at_port_443_with_a_secret(
    demo: RunningDemo, console: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{_origin(demo)}/api/now/oauth/integrations"
    name, _, password = demo.shown("Sign in").partition(" / ")
    provider = demo.shown("Identity provider").rstrip("/")
    trusted = {"issuer": provider, "jwks_url": f"{provider}/.well-known/jwks.json", "audiences": ["pysnc"]}
    named = {"name": "With a secret", "provider_name": "Demo", "run_as": "release.bot"}
    fields = {**named, **trusted, "public_client": False}
    made = requests.post(url, json=fields, auth=(name, password), timeout=LONGEST_SECONDS).json()["result"]
    lead_to(urlsplit(url).port, monkeypatch)

    auth = ServiceNowJWTAuth(made["client_id"], made["client_secret"], _sign(demo, "pysnc"))
    client = ServiceNowClient(NAMED_INSTANCE, auth)
    record = client.GlideRecord("change_request")
    record.initialize()
    record.set_value("short_description", "Deploy checkout")
    assert record.insert()
    client.session.close()


def test_the_identity_provider_sends_tokens_over_tls(demo: RunningDemo) -> None:
    sent = requests.post(f"{demo.shown('Identity provider')}send", json={}, timeout=LONGEST_SECONDS).json()
    assert [answer["status"] for answer in sent["answers"]] == [200]


def test_the_oldest_event_has_a_page(demo: RunningDemo, console: requests.Session) -> None:
    name, _, password = demo.shown("Sign in").partition(" / ")
    url, query = f"{_origin(demo)}/api/now/oauth/events", {"limit": "500", "outcome": "refused"}
    answer = requests.get(url, params=query, auth=(name, password), timeout=LONGEST_SECONDS)
    event = answer.json()["result"][-1]
    page = console.get(
        f"{_origin(demo)}/inbound-integrations/events/{event['correlation_id']}", timeout=LONGEST_SECONDS
    )
    assert page.status_code == 200
    assert event["reason"] == "expired" and event["reason"] in page.text
