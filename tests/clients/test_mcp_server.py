"""mcp-server-servicenow, in an environment of its own: its self-check, and its tools over stdio."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.clients.conftest import PASSWORD, USER_NAME, create_as
from tests.clients.mcp_stdio import McpSession, mcp_session
from tests.support.client_environments import client_programs
from tests.support.servers import Running

REQUIREMENTS = Path(__file__).with_name("mcp-server-servicenow.txt")
CHANGES = {"table_name": "change_request"}


@pytest.fixture(scope="module")
def program() -> str:
    return str(client_programs(REQUIREMENTS) / "mcp-server-servicenow")


@pytest.fixture(scope="module")
def environment(server: Running, ca: Path) -> dict[str, str]:
    """The settings of the program, and the CA that its HTTP library trusts."""
    return {
        **os.environ,
        "SERVICENOW_INSTANCE_URL": server.url,
        "SERVICENOW_USERNAME": USER_NAME,
        "SERVICENOW_PASSWORD": PASSWORD,
        "REQUESTS_CA_BUNDLE": str(ca),
    }


@pytest.fixture(scope="module")
def group(server: Running, administrator: requests.Session) -> str:
    """A group, since the check reads one record of that table."""
    return create_as(administrator, server, "sys_user_group", name="MCP Team")


@pytest.fixture(scope="module")
def session(program: str, environment: dict[str, str]) -> Iterator[McpSession]:
    with mcp_session([program], environment) as opened:
        yield opened


def test_its_check_finds_nothing_to_complain_of(program: str, environment: dict[str, str], group: str) -> None:
    done = subprocess.run(
        [program, "--check"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    checks = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()[1:-1]}
    named = ("reach", "identity", "roles", "table", "record", "schema", "aggregate")
    assert {name: checks.get(name) for name in named} == dict.fromkeys(named, "ok"), done.stdout
    assert "maria.keller (Maria Keller)" in done.stdout
    assert "change_manager, itil (direct grants)" in done.stdout


def test_lists_the_tools_that_write(session: McpSession) -> None:
    names = {tool["name"] for tool in session.request("tools/list")["tools"]}

    assert {"list_records", "get_record", "create_record", "update_record", "delete_record"} <= names


def test_creates_reads_updates_and_deletes_a_record(session: McpSession) -> None:
    created = session.call("create_record", **CHANGES, data={"short_description": "Renew the certificate"})
    record = {**CHANGES, "sys_id": created["sys_id"]}

    read = session.call("get_record", **record, fields="number,opened_by.user_name", display_value="true")
    assert read == {"number": created["record"]["number"], "opened_by.user_name": USER_NAME}
    updated = session.call("update_record", **record, data={"short_description": "Renew two certificates"})
    assert updated["record"]["short_description"] == "Renew two certificates"
    assert session.call("delete_record", **record)["deleted"] is True
    assert "Not found (404)" in session.refusal("get_record", **record)


def test_lists_records_without_a_warning_about_its_query(session: McpSession) -> None:
    for risk in ("2", "3"):
        session.call("create_record", **CHANGES, data={"risk": risk, "correlation_id": "mcp risks"})

    query = "correlation_id=mcp risks^opened_by.user_name=maria.keller"
    listed = session.call("list_records", **CHANGES, query=query, fields="risk", order_by="-risk")
    assert listed == {"count": 2, "records": [{"risk": "3"}, {"risk": "2"}]}


def test_counts_records_by_group(session: McpSession) -> None:
    for risk in ("2", "3", "3"):
        session.call("create_record", **CHANGES, data={"risk": risk, "correlation_id": "mcp counts"})

    query = "correlation_id=mcp counts"
    assert session.call("aggregate_records", **CHANGES, query=query) == {"stats": {"count": "3"}}
    grouped = session.call("aggregate_records", **CHANGES, query=query, group_by="risk")["groups"]
    counts = {group["groupby_fields"][0]["value"]: group["stats"]["count"] for group in grouped}
    assert counts == {"2": "1", "3": "2"}


def test_knows_who_it_is(session: McpSession) -> None:
    me = session.call("get_current_user")

    assert (me["user_name"], me["user_display_name"]) == (USER_NAME, "Maria Keller")
    assert me["roles"] == ["change_manager", "itil"]


def test_reads_the_schema_of_a_table_and_of_its_parent(session: McpSession) -> None:
    schema = session.call("get_table_schema", table_name="change_request", limit=1000)

    assert schema["hierarchy"] == ["change_request", "task"]
    assert "note" not in schema
    fields = {field["name"]: field for field in schema["fields"]}
    assert (fields["risk"]["defined_in"], fields["number"]["defined_in"]) == ("change_request", "task")
    assert fields["assignment_group"]["reference"] == "sys_user_group"


def test_reads_the_history_of_a_record(session: McpSession) -> None:
    data = {"short_description": "With a note", "work_notes": "Restarted the pool"}
    created = session.call("create_record", **CHANGES, data=data)

    query = f"element_id={created['sys_id']}^element=work_notes"
    notes = session.call("list_records", table_name="sys_journal_field", query=query, fields="value")
    assert notes["records"] == [{"value": "Restarted the pool"}]


def test_manages_configuration_items(session: McpSession, server: Running, administrator: requests.Session) -> None:
    sys_id = create_as(administrator, server, "cmdb_ci", name="mcp-web-1")

    listed = session.call("list_ci", query="nameSTARTSWITHmcp-web", fields="name")
    assert listed["records"] == [{"name": "mcp-web-1"}]
    assert session.call("get_ci", sys_id=sys_id)["name"] == "mcp-web-1"


def test_an_unknown_table_is_named_in_the_error(session: McpSession) -> None:
    assert "Invalid table no_such_table" in session.refusal("list_records", table_name="no_such_table")
