"""An integration that is saved as it is stored: nothing is written, whether by form, API, command, or file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from changegate.cli import main
from changegate.extensions import db
from changegate.models import OAuthEntity, SysAudit
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Visitor
from tests.support.certificates import certificate, pem
from tests.support.forge import jwk, key_set_document, rsa_key
from tests.support.integration_api import IntegrationApi

SECRET = "Tr0ub4dor&3-horse-staple-battery"
TRUST: dict[str, Any] = {"issuer": "https://ci.example.com", "user_field": "email", "audiences": ["b", "a"]}
CONDITIONS = ["ref glob refs/heads/*", "report-only: run_attempt equals 1"]
LINES = "Of the shop.\n\nAsk Ada first."
KINDS: dict[str, dict[str, Any]] = {
    "jwks_url": {**TRUST, "jwks_url": "https://ci.example.com/jwks.json", "algorithms": ["ES256", "RS256"]},
    "jwks": {**TRUST, "key_source": "jwks", "jwks": key_set_document(jwk(rsa_key())).decode().replace(",", ",\n")},
    "certificates": {
        **TRUST,
        "key_source": "certificates",
        "verifier_maps": [
            {"name": "Old", "certificate": pem(certificate()), "active": False},
            {"name": "New", "certificate": pem(certificate()), "kid": "n", "enforce_dates": False},
        ],
    },
    "shared_key": {
        **TRUST,
        "key_source": "shared_key",
        "algorithms": ["HS256"],
        "verifier_maps": [{"name": "Only", "shared_key": SECRET}],
    },
    "id_token": {
        **TRUST,
        "type": "id_token",
        "jwks_url": "https://ci.example.com/jwks.json",
        "algorithms": ["PS256", "ES256", "RS256"],
        "claim_conditions": CONDITIONS,
    },
    "client_credentials": {"type": "client_credentials", "run_as": "Admin", "owner": "ADMIN"},
    "password": {"type": "password", "issue_refresh_tokens": True, "scopes": ["useraccount", "change_request.read"]},
}
USUAL = {"name": "Shop", "provider_name": "Example CI", "comments": LINES, "review_date": "2030-01-31"}
Save = Callable[[str], None]


@pytest.fixture
def api(client: FlaskClient, admin: dict[str, str]) -> IntegrationApi:
    return IntegrationApi(client, admin)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command, insists on success, and returns its output."""

    def ran(*arguments: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(("integration", *arguments))
        assert not ended.value.code
        return capsys.readouterr().out

    return ran


@pytest.fixture
def ways(app: Flask, api: IntegrationApi, run: Callable[..., str], tmp_path: Path) -> dict[str, Save]:
    """Return the ways to save an integration: each takes a client ID and saves what is stored."""
    console = Visitor(app.test_client())
    console.sign_in("admin", ADMIN_PASSWORD)

    def by_form(client_id: str) -> None:
        path = f"/inbound-integrations/{client_id}"
        assert console.send(console.open(path), "integration").status_code == 302

    def by_api(client_id: str) -> None:
        read = api.result("GET", f"/{client_id}")
        for method, body in (("PUT", read), ("PATCH", read), ("PATCH", {})):
            api.result(method, f"/{client_id}", body)

    def by_command(client_id: str) -> None:
        assert run("update", client_id, "--name", USUAL["name"]) == "Shop is unchanged.\n"

    def by_file(client_id: str) -> None:
        file = tmp_path / "integrations.yaml"
        file.write_text(run("export", client_id))
        assert run("apply", "-f", str(file)) == "Shop: unchanged\n"

    return {"form": by_form, "API": by_api, "command": by_command, "file": by_file}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["form", "API", "command", "file"])
def test_saving_stored_values_changes_nothing(
    app: Flask, api: IntegrationApi, ways: dict[str, Save], way: str, kind: str
) -> None:
    path = f"/{api.created(**dict.fromkeys(('issuer', 'jwks_url', 'run_as'), ...) | USUAL | KINDS[kind])['client_id']}"
    before = state(app), api.send("GET", path).headers["ETag"]
    ways[way](path[1:])
    assert (state(app), api.send("GET", path).headers["ETag"]) == before


def state(app: Flask) -> list[Any]:
    """Return every column of the one integration, and how many audit rows there are."""
    with app.app_context():
        columns = OAuthEntity.__table__.columns
        rows = db.session.execute(select(*columns)).all()
        return [*map(tuple, rows), db.session.execute(select(func.count()).select_from(SysAudit)).scalar_one()]
