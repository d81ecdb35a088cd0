"""servicenow-cli, a compiled program that trusts the CA which SSL_CERT_FILE names."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients.conftest import PASSWORD, USER_NAME, create_as
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running

PROGRAM = Path(sys.executable).with_name("servicenow")
NOT_FOUND, REFUSED, UNAUTHENTICATED = 4, 5, 3

Command = Callable[..., subprocess.CompletedProcess[str]]
Ask = Callable[..., Any]


@pytest.fixture
def command(server: Running, ca: Path, tmp_path: Path) -> Command:
    """Run the program in a home of its own."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SERVICENOW_CACHE_DIR": str(tmp_path / "cache"),
        "SERVICENOW_INSTANCE": server.url,
        "SERVICENOW_USERNAME": USER_NAME,
        "SERVICENOW_PASSWORD": PASSWORD,
        "SSL_CERT_FILE": str(ca),
    }

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PROGRAM), *arguments],
            env=environment | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def ask(command: Command) -> Ask:
    """Run the program, insist on success and return the JSON that it prints."""

    def run(*arguments: str) -> Any:
        done = command(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout or "null")

    return run


@pytest.fixture
def change(ask: Ask) -> dict[str, str]:
    """A change that the program created."""
    created = ask("tables", "create", "change_request", "--data", '{"short_description":"Renew the certificate"}')
    found: dict[str, str] = created["result"]
    return found


def test_its_doctor_is_content(ask: Ask) -> None:
    report = ask("doctor")

    assert report["ok"] is True
    checks = {check["name"]: check["detail"] for check in report["checks"] if check["ok"]}
    assert (checks["authentication"], checks["table_api"]) == (USER_NAME, "incident table is readable")


def test_creates_and_gets_a_record(ask: Ask, change: dict[str, str]) -> None:
    got = ask("tables", "get", "change_request", change["sys_id"])["result"]

    assert got["number"] == {"display_value": change["number"], "value": change["number"]}
    assert got["state"] == {"display_value": "New", "value": "-5"}
    assert got["opened_by"]["display_value"] == "Maria Keller"


def test_lists_records_with_a_query_and_fields(ask: Ask, change: dict[str, str]) -> None:
    query = f"number={change['number']}^opened_by.user_name={USER_NAME}"
    listed = ask("tables", "list", "change_request", "--query", query, "--fields", "short_description,opened_by.name")

    assert listed["count"] == 1
    assert listed["result"] == [{"short_description": "Renew the certificate", "opened_by.name": "Maria Keller"}]


def test_lists_every_page(ask: Ask, server: Running, administrator: requests.Session) -> None:
    for number in range(7):
        create_as(administrator, server, "change_request", short_description=str(number), correlation_id="cli pages")
    options = ("--query", "correlation_id=cli pages^ORDERBYshort_description", "--fields", "short_description")
    listed = ask("tables", "list", "change_request", *options, "--all", "--limit", "3")

    assert [row["short_description"] for row in listed["result"]] == [str(number) for number in range(7)]


def test_updates_and_deletes_a_record(ask: Ask, command: Command, change: dict[str, str]) -> None:
    record = ("change_request", change["sys_id"])

    updated = ask("tables", "update", *record, "--field", "short_description=Renew two certificates")
    assert updated["result"]["short_description"] == "Renew two certificates"
    ask("tables", "delete", *record, "--yes")
    assert command("tables", "get", *record).returncode == NOT_FOUND


def test_uploads_lists_downloads_and_deletes_a_file(ask: Ask, change: dict[str, str], tmp_path: Path) -> None:
    plan = tmp_path / "plan.txt"
    plan.write_text("1. Drain the pool\n2. Restart\n")

    ask("attachments", "upload", "change_request", change["number"], str(plan))
    [listed] = ask("attachments", "list", "change_request", change["number"])["result"]
    assert listed["file_name"] == "plan.txt"
    ask("attachments", "download", listed["sys_id"], str(tmp_path / "read.txt"))
    assert (tmp_path / "read.txt").read_text() == plan.read_text()
    ask("attachments", "delete", listed["sys_id"], "--yes")
    assert ask("attachments", "list", "change_request", change["number"])["result"] == []


def test_reads_the_schema_of_a_table(ask: Ask) -> None:
    """The program reads a table's own fields and not its parent's, as it does with ServiceNow."""
    described = json.dumps(ask("schema", "change_request", "--refresh"))

    assert all(name in described for name in ("chg_model", "implementation_plan", "std_change_producer_version"))


@pytest.mark.parametrize(
    ("table", "field", "labels"),
    [
        ("change_request", "close_code", {"Successful", "Successful with issues", "Unsuccessful"}),
        ("task", "priority", {"1 - Critical", "2 - High", "3 - Moderate", "4 - Low"}),
    ],
)
def test_reads_the_choices_of_a_field(ask: Ask, table: str, field: str, labels: set[str]) -> None:
    choices = json.dumps(ask("choices", table, field))

    assert all(f'"{label}"' in choices for label in labels)


def test_resolves_a_user_and_a_group(ask: Ask, server: Running, administrator: requests.Session) -> None:
    sys_id = create_as(administrator, server, "sys_user_group", name="CLI Team")

    assert ask("resolve", "user", USER_NAME)["result"]["user_name"]["value"] == USER_NAME
    assert ask("resolve", "group", "CLI Team")["result"]["sys_id"]["value"] == sys_id


def test_finds_no_incidents(ask: Ask) -> None:
    assert ask("incidents", "list") == {"count": 0, "result": []}


def test_reports_an_unknown_table(command: Command) -> None:
    done = command("tables", "list", "no_such_table")

    assert done.returncode == REFUSED
    assert "Invalid table no_such_table" in done.stderr


def test_reports_missing_credentials(command: Command) -> None:
    done = command("doctor", SERVICENOW_PASSWORD="wrong")

    assert done.returncode == UNAUTHENTICATED


def test_creates_a_change_with_a_token(command: Command, desk: LiveDesk) -> None:
    signed_in = {"SERVICENOW_TOKEN": desk.token(), "SERVICENOW_AUTH_TYPE": "bearer", "SERVICENOW_PASSWORD": ""}

    done = command("tables", "create", "change_request", "--data", '{"short_description":"Deploy"}', **signed_in)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["sys_created_by"] == USER_NAME
