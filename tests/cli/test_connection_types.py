"""`changegate integration` for the connection types beside JWT bearer."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from changegate.schemas.integration.cautions import PASSWORDS, REFRESHED, STORED, SWITCHED_OFF
from tests.cli.conftest import Run

NAMED = ("--name", "Nightly", "--provider-name", "Scheduler")
TRUST = ("--issuer", "https://ci.example.com", "--jwks-url", "https://ci.example.com/jwks.json")


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


def create(run: Run, *options: str) -> dict[str, Any]:
    """Register an integration; answers what is shown of it."""
    made = run("integration", "create", *NAMED, *options, "--json")
    assert made.code == 0, made.err
    shown: dict[str, Any] = json.loads(made.out)
    return shown


def test_creates_client_credentials_and_says_what_would_be_better(run: Run) -> None:
    made = run("integration", "create", *NAMED, "--type", "client-credentials", "--run-as", "admin")
    assert made.code == 0 and made.err.startswith(f"! {STORED}\n")
    assert "Client secret:" in made.out


def test_shows_the_fields_of_the_type_and_no_others(run: Run) -> None:
    shown = create(run, "--type", "client_credentials", "--run-as", "admin", "--token-format", "JWT")
    assert (shown["type"], shown["run_as"], shown["token_format"]) == ("client_credentials", "admin", "jwt")
    assert {"issuer", "jwks_url", "public_client"}.isdisjoint(shown)
    assert run("integration", "show", shown["client_id"]).out.count("type: client_credentials") == 1


def test_warns_of_the_password_grant_while_it_is_off_and_when_it_is_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--type", "password", "--issue-refresh-tokens", "--refresh-token-lifespan", "3600")
    off = run("integration", "create", *NAMED, *options)
    assert (off.code, off.err) == (0, f"! {PASSWORDS}\n! {SWITCHED_OFF}\n! {REFRESHED}\n")
    monkeypatch.setenv("CHANGEGATE_PASSWORD_GRANT_ENABLED", "1")
    client_id = off.out.split("Client ID:")[1].split()[0]
    changed = run("integration", "update", client_id, "--no-issue-refresh-tokens")
    assert (changed.code, changed.err) == (0, f"! {PASSWORDS}\n")
    assert "issue_refresh_tokens: true -> false" in changed.out


def test_creates_an_id_token_integration_without_a_secret(run: Run) -> None:
    shown = create(run, "--type", "id-token", *TRUST, "--user-field", "email", "--user-claim", "mail")
    assert (shown["user_claim"], shown["client_secret"], shown["replay_policy"]) == ("mail", None, "reusable-until-exp")
    refused = run("integration", "rotate-secret", shown["client_id"])
    refused.assert_refused("An ID token integration has no secret.")


def test_refuses_in_the_words_of_the_form(run: Run) -> None:
    options = ("--type", "client-credentials", "--run-as", "admin", "--issuer", "https://ci.example.com")
    refused = run("integration", "create", *NAMED, *options)
    refused.assert_refused("A client credentials integration has no issuer.")
    run("integration", "create", *NAMED, "--type", "magic").assert_refused("Must be one of:")


def test_the_type_cannot_be_changed(run: Run) -> None:
    client_id = create(run, "--type", "password")["client_id"]
    refused = run("integration", "update", client_id, "--type", "id-token")
    refused.assert_refused("The connection type cannot be changed; register another integration.")
    assert run("integration", "update", client_id, "--type", "password", "--comments", "x").code == 0


def test_lists_each_with_its_type(run: Run) -> None:
    create(run, "--type", "client-credentials", "--run-as", "admin")
    [line] = run("integration", "list").out.splitlines()
    assert line.split()[1:] == ["active", "client_credentials", "Nightly"]


@pytest.mark.parametrize(
    ("command", "what"), [(("lint",), "claim conditions"), (("try",), "assertions"), (("refresh-keys",), "keys")]
)
def test_refuses_options_of_integrations_with_a_provider(
    run: Run, command: tuple[str, ...], what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a.b.c")
    client_id = create(run, "--type", "password")["client_id"]
    with (tmp_path / "token").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        run("integration", *command, client_id).assert_refused(f"A password integration has no {what}.")


def test_export_writes_what_apply_reads_as_the_same(run: Run, tmp_path: Path) -> None:
    create(run, "--type", "client-credentials", "--run-as", "admin")
    create(run, "--name", "Old", "--type", "password", "--issue-refresh-tokens")
    create(run, "--name", "Portal", "--type", "id-token", *TRUST, "--run-as", "admin", "--user-claim", "oid")
    create(run, "--name", "Once", "--type", "id-token", *TRUST, "--run-as", "admin", "--jti-verification")
    create(run, "--name", "Pipeline", *TRUST, "--run-as", "admin")
    text = run("integration", "export").out
    written = {one["name"]: one for one in yaml.safe_load(text)["integrations"]}
    assert written["Nightly"] == {
        "name": "Nightly", "type": "client_credentials", "provider_name": "Scheduler",
        "run_as": "admin", "scopes": ["change_request.create"],
    }  # fmt: skip
    assert written["Old"]["issue_refresh_tokens"] is True
    assert written["Portal"]["user_claim"] == "oid" and "replay_policy" not in written["Portal"]
    assert written["Once"]["replay_policy"] == "jti-required-once"
    assert "type" not in written["Pipeline"]
    file = tmp_path / "integrations.yaml"
    file.write_text(text)
    applied = json.loads(run("integration", "apply", "-f", str(file), "--json").out)
    assert {one["action"] for one in applied} == {"keep"}
    for one in json.loads(run("integration", "list", "--json").out):
        assert run("integration", "delete", one["client_id"], "--yes").code == 0
    again = json.loads(run("integration", "apply", "-f", str(file), "--json").out)
    assert [one["action"] for one in again] == ["create"] * 5
    assert [bool(one["client_secret"]) for one in again] == [one["name"] in ("Nightly", "Old") for one in again]
    without_ids = [line for line in text.splitlines() if "client id" not in line]
    assert [line for line in run("integration", "export").out.splitlines() if "client id" not in line] == without_ids


def test_a_file_without_a_type_means_jwt_bearer_on_every_instance(run: Run, tmp_path: Path) -> None:
    create(run, "--type", "password")
    file = tmp_path / "integrations.yaml"
    file.write_text("integrations:\n  - name: Nightly\n    provider_name: Scheduler\n")
    refused = run("integration", "apply", "-f", str(file))
    refused.assert_refused("line 2, column 5: type: The connection type cannot be changed")
