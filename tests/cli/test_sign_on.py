"""`changegate sign-on`."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

PROVIDER = ("--name", "Example", "--issuer", "https://idp.example.com", "--client-id", "desk")


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


def test_creates_changes_lists_and_deletes_a_provider(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a client secret\n")
    made = run("sign-on", "save", "example", *PROVIDER, "--client-secret-file", str(secret), "--create-users")
    assert made.code == 0 and made.out.endswith("/single-sign-on/example/callback\n")
    assert "a client secret" not in made.out
    assert run("sign-on", "save", "example", "--name", "Renamed", "--inactive").code == 0
    assert json.loads(run("sign-on", "list", "--json").out) == [
        {
            "alias": "example",
            "name": "Renamed",
            "issuer": "https://idp.example.com",
            "client_id": "desk",
            "active": False,
            "create_users": True,
        }
    ]
    assert "inactive  https://idp.example.com" in run("sign-on", "list").out
    assert run("sign-on", "delete", "example").out == "example is deleted.\n"
    assert run("sign-on", "list", "--json").out == "[]\n"


def test_replaces_claim_mappings_and_links_a_user(run: Run) -> None:
    mappings = ("--map", "groups=engineers:role:itil", "--map", "/realm/roles=a:b:group:CAB Approval")
    assert run("sign-on", "save", "example", *PROVIDER, *mappings).code == 0
    assert run("sign-on", "save", "example", "--map", "groups=engineers:role:itil").code == 0
    linked = run("sign-on", "link", "example", "admin", "subject-1")
    assert linked.out == "admin can sign in with the account subject-1.\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("save", "Example", *PROVIDER), "alias: Use lower-case letters"),
        (("save", "example", *PROVIDER, "--scopes", "email"), "scopes: The scopes must include openid."),
        (("save", "example", *PROVIDER, "--map", "groups=x:role:king"), "Field role: no record"),
        (("delete", "example"), "There is no identity provider example."),
        (("check", "example"), "There is no identity provider example."),
        (("link", "example", "nobody", "x"), "There is no user nobody."),
        (("link", "example", "admin", "x"), "There is no identity provider example."),
        (("save", "example", "--name", "x"), "mandatory: Issuer, Client ID"),
    ],
)
def test_reports_an_error_in_one_sentence(run: Run, arguments: tuple[str, ...], text: str) -> None:
    run("sign-on", *arguments).assert_refused(text)


@pytest.mark.parametrize("mapping", ["groups", "groups=x", "groups=x:king:y", "=x:role:y", "groups=x:role:"])
def test_a_mapping_has_a_form(run: Run, mapping: str) -> None:
    assert run("sign-on", "save", "example", *PROVIDER, "--map", mapping).code == 2


def test_checks_the_metadata(run: Run) -> None:
    run("sign-on", "save", "example", *PROVIDER, "--issuer", "http://127.0.0.1:9")
    run("sign-on", "check", "example").assert_refused("Nothing is published under this issuer. The port 9")
