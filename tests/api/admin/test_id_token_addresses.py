"""No two active ID token integrations take the same tokens: refused wherever one is saved, in the same words."""

from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from tests.cli.conftest import Run, run
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Visitor
from tests.support.integration_api import LEAST, IntegrationApi

__all__ = ["run"]

AUDIENCE = "api://desk"
FIELDS: dict[str, Any] = {**LEAST, "type": "id_token", "audiences": [AUDIENCE, "api://other"]}
SENTENCE = (
    "The ID token integration Pipeline takes the tokens of this issuer for api://desk already."
    " Give each an audience of its own."
)
TAKEN = f"audiences: {SENTENCE}"


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> IntegrationApi:
    made = IntegrationApi(client, admin)
    made.created(**FIELDS)
    return made


def second(**changes: Any) -> dict[str, Any]:
    return {**FIELDS, "name": "Second", "audiences": [AUDIENCE], **changes}


def test_a_second_one_is_not_registered(api: IntegrationApi) -> None:
    assert TAKEN in api.refused("POST", "", second())
    assert [one["name"] for one in api.result("GET")] == ["Pipeline"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_no_integration_becomes_a_duplicate(api: IntegrationApi, method: str) -> None:
    made = api.created(**second(audiences=["api://second"]))
    path = f"/{made['client_id']}"
    wanted = api.result("GET", path) | {"audiences": ["api://second", AUDIENCE]}

    assert TAKEN in api.refused(method, path, wanted)
    assert api.result("GET", path)["audiences"] == ["api://second"]


def test_an_inactive_duplicate_is_allowed_but_cannot_be_activated(api: IntegrationApi) -> None:
    path = f"/{api.created(**second(active=False))['client_id']}"

    assert TAKEN in api.refused("POST", f"{path}/enable")
    assert TAKEN in api.refused("PATCH", path, {"active": True})
    assert api.result("GET", path)["active"] is False


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example.com"},
        {"audiences": ["api://Desk"]},
        {"audiences": []},
        {"audience_claim": "client_id"},
        {"type": "jwt_bearer"},
    ],
)
def test_one_with_other_tokens_is_taken(api: IntegrationApi, changes: dict[str, Any]) -> None:
    assert api.created(**second(**changes))["name"] == "Second"


def test_an_integration_with_the_same_tokens_can_be_edited(api: IntegrationApi) -> None:
    [made] = api.result("GET")
    path = f"/{made['client_id']}"

    assert api.result("PATCH", path, {"comments": "Ours"})["comments"] == "Ours"
    assert api.result("POST", f"{path}/enable")["active"] is True


def test_command_line_and_file_refuse_it_in_the_same_words(api: IntegrationApi, run: Run, tmp_path: Path) -> None:
    options = {"name": "Second", "provider-name": "CI", "issuer": LEAST["issuer"], "jwks-url": LEAST["jwks_url"]}
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    given += ["--type", "id-token", "--run-as", "admin", "--audience"]
    run("integration", "create", *given, AUDIENCE).assert_refused(TAKEN)

    file = tmp_path / "integrations.yaml"
    file.write_text(yaml.safe_dump({"integrations": [second()]}))
    applied = run("integration", "apply", "-f", str(file))
    assert applied.code == 1 and SENTENCE in applied.err
    client_id = api.created(**second(active=False))["client_id"]
    run("integration", "enable", client_id).assert_refused(TAKEN)


def test_the_form_refuses_it_in_the_same_words(api: IntegrationApi, app: Flask) -> None:
    visitor = Visitor(app.test_client())
    visitor.sign_in("admin", ADMIN_PASSWORD)
    typed = {name: str(second()[name]) for name in ("name", "provider_name", "issuer", "jwks_url", "run_as")}

    page = visitor.open("/inbound-integrations/new/id-token")
    answer = visitor.send(page, "integration", {**typed, "audiences": AUDIENCE})
    assert answer.status_code == 400 and SENTENCE in unescape(answer.text)

    path = f"/inbound-integrations/{api.created(**second(active=False))['client_id']}"
    answer = visitor.send(visitor.open(path), f"{path}/enable")
    assert answer.status_code == 400 and SENTENCE in unescape(answer.text)
