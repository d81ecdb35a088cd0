"""The snippets of the page Run this, run as they stand there against a live server.

The commands of providers are given tokens by stand-ins for the providers. PowerShell and Ansible are not run: their
snippets are read in tests/services/integrations/.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from changegate.services.integrations.snippet_layouts import SNIPPET_LAYOUTS
from changegate.services.integrations.snippets import Snippet, SnippetContext, list_snippets
from tests.clients.conftest import PASSWORD, USER_NAME
from tests.clients.workload_sources import RUN, WorkloadSources, workload_sources
from tests.support.live_desk import AUDIENCE, CHANGES, INTEGRATIONS, LiveDesk, administer
from tests.support.servers import Running
from tests.support.snippet_texts import script_of

CREATED = re.compile(r"Created CHG[0-9]{7}\n\Z")
CLIENTS = ("shell", "python", "pysnc")
NOT_RUN = ("powershell", "ansible")


@pytest.fixture(scope="module")
def desk(server: Running, idp_url: str, ca: Path) -> Iterator[LiveDesk]:
    """An integration of public clients; its tokens may create changes."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("REQUESTS_CA_BUNDLE", str(ca))
        enrolled = LiveDesk.enrol(server, idp_url, public_client=True)
        yield enrolled
    enrolled.close()


@pytest.fixture
def sources(desk: LiveDesk, tmp_path: Path) -> Iterator[WorkloadSources]:
    with workload_sources(tmp_path, desk.sign) as opened:
        yield opened


def snippet_of(name: str, server: Running, client_id: str, **changes: Any) -> Snippet:
    usual = {"client_id": client_id, "is_public": True, "audience": AUDIENCE, "base_url": server.url, "issuer": ""}
    preset = None if SNIPPET_LAYOUTS[name].is_client else name
    target = SnippetContext(**{"preset": preset, **usual, **changes})
    return next(snippet for snippet in list_snippets(target) if snippet.name == name)


def run(snippet: Snippet, sources: WorkloadSources, **variables: str) -> subprocess.CompletedProcess[str]:
    script = script_of(snippet)
    # Providers run scripts with these options; the snippets must print refusals with them, too.
    program = ["bash", "-euo", "pipefail", "-c"] if script else [sys.executable, "-c"]
    command = [*program, sources.localized(script or snippet.text)]
    environment = sources.environment | {"CURL_CA_BUNDLE": os.environ["REQUESTS_CA_BUNDLE"]} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", [name for name in SNIPPET_LAYOUTS if name not in NOT_RUN])
def test_a_snippet_creates_a_change(name: str, server: Running, desk: LiveDesk, sources: WorkloadSources) -> None:
    done = run(snippet_of(name, server, desk.client_id, issuer=f"{sources.url}/"), sources)
    assert done.returncode == 0, done.stderr
    assert CREATED.search(done.stdout)
    if SNIPPET_LAYOUTS[name].run:
        number = done.stdout.split()[-1]
        [change] = administer(server, "GET", f"{CHANGES}?sysparm_query=number={number}&sysparm_fields=correlation_id")
        assert change == {"correlation_id": RUN}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_refusal_ends_the_run_and_shows_the_correlation_id(
    name: str, server: Running, desk: LiveDesk, sources: WorkloadSources
) -> None:
    done = run(snippet_of(name, server, desk.client_id), sources, ASSERTION=desk.sign(aud="https://other.example.com"))
    assert done.returncode == 1
    assert re.search('"correlation_id":"[0-9a-f]{32}"', done.stderr)
    assert not CREATED.search(done.stdout)


@pytest.mark.parametrize("name", ["shell", "python"])
def test_a_refused_call_ends_the_run_and_is_shown(
    name: str, server: Running, idp_url: str, sources: WorkloadSources
) -> None:
    reader = LiveDesk.enrol(server, idp_url, public_client=True, scopes=["change_request.read"])
    done = run(snippet_of(name, server, reader.client_id), sources)
    reader.close()
    assert done.returncode == 1
    assert "Missing required api access scope" in done.stderr
    assert not CREATED.search(done.stdout)


def test_a_provider_that_refuses_ends_the_run(server: Running, desk: LiveDesk, sources: WorkloadSources) -> None:
    for name, variable in (
        ("github-actions", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
        ("keycloak", "PROVIDER_CLIENT_SECRET"),
    ):
        wrong = {variable: "wrong"}
        done = run(snippet_of(name, server, desk.client_id, issuer=sources.url), sources, **wrong)
        assert done.returncode == 1
        assert "invalid_request" in done.stderr


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("type_", ["client_credentials", "password"])
def test_a_client_with_a_secret_creates_a_change(
    name: str, type_: str, server: Running, sources: WorkloadSources
) -> None:
    fields = {"run_as": USER_NAME} if type_ == "client_credentials" else {"issue_refresh_tokens": True}
    made = administer(
        server,
        *("POST", INTEGRATIONS),
        name=f"{type_} for {name}",
        provider_name="Example",
        type=type_,
        scopes=["useraccount"],
        **fields,
    )
    changes = {"is_public": False, "connection_type": type_, "gives_refresh_tokens": type_ == "password"}
    snippet = snippet_of(name, server, made["client_id"], **changes)
    secrets = {"CLIENT_SECRET": made["client_secret"], "USER_NAME": USER_NAME, "USER_PASSWORD": PASSWORD}
    done = run(snippet, sources, **secrets)
    assert done.returncode == 0, done.stderr
    assert CREATED.search(done.stdout)


@pytest.mark.parametrize("name", [*CLIENTS, "gitlab"])
def test_an_id_token_creates_a_change(name: str, server: Running, idp_url: str, sources: WorkloadSources) -> None:
    made = administer(
        server,
        *("POST", INTEGRATIONS),
        name=f"ID token for {name}",
        provider_name="Example",
        type="id_token",
        issuer=idp_url,
        jwks_url=f"{idp_url}/.well-known/jwks.json",
        audiences=[f"https://{name}.example.com"],
        run_as=USER_NAME,
        scopes=["change_request.create"],
    )
    snippet = snippet_of(name, server, made["client_id"], connection_type="id_token")
    desk = LiveDesk(server.url, idp_url, {})
    done = run(snippet, sources, ASSERTION=desk.sign(aud=f"https://{name}.example.com"))
    desk.close()
    assert done.returncode == 0, done.stderr
    assert CREATED.search(done.stdout)
