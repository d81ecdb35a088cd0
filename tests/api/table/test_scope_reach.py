"""How far a token sees beyond the table it calls: what walks, counts and answers to writes tell of other records."""

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.api.table.test_scope_limits import GET, OWN, PATCH, POST, allow, call, create
from tests.support.table_api import result_of
from tests.support.token_desk import CHANGES, Integration, TokenDesk

TABLES = "/api/now/table"
SECRET = "Move the vault"
HIDDEN = {"parent.short_description", "parent.work_notes", "parent.assigned_to.user_name"}
NOTHING = {name: {"display_value": "", "value": ""} for name in HIDDEN}
OF_SECRET = quote(f"RLQUERYchange_request.requested_by,>=1^short_description={SECRET}^ENDRLQUERY")


@pytest.fixture
def parent(client: FlaskClient, admin: dict[str, str]) -> str:
    """A change that no integration has created."""
    fields = {"short_description": SECRET, "work_notes": SECRET, "assigned_to": "admin"}
    return str(result_of(client.post(CHANGES, json=fields, headers=admin))["sys_id"])


def _walked(desk: TokenDesk, token: str, method: str, path: str, **body: str) -> dict[str, Any]:
    asked = f"sysparm_display_value=all&sysparm_fields={','.join(sorted(HIDDEN))}"
    found: dict[str, Any] = result_of(call(desk, token, method, f"{path}?{asked}", json=body))
    return found


def test_a_token_that_creates_reads_nothing_of_the_changes_it_refers_to(
    desk: TokenDesk, integration: Integration, parent: str
) -> None:
    shown = _walked(desk, desk.token(integration), "POST", CHANGES, parent=parent)

    assert shown == NOTHING


def test_a_token_that_changes_reads_nothing_of_the_changes_it_refers_to(
    desk: TokenDesk, integration: Integration, parent: str
) -> None:
    token = allow(desk, integration, POST, PATCH)
    own = create(desk, token, parent=parent)

    assert _walked(desk, token, "PATCH", f"{CHANGES}/{own}", description="x") == NOTHING


def test_tables_that_every_user_reads_need_no_rule_for_dot_walks(desk: TokenDesk, integration: Integration) -> None:
    path = f"{CHANGES}?sysparm_fields=requested_by.user_name"
    answer = call(desk, desk.token(integration), "POST", path, json={"requested_by": "admin"})

    assert result_of(answer) == {"requested_by.user_name": "admin"}


def test_a_token_that_reads_changes_walks_among_them(desk: TokenDesk, integration: Integration, parent: str) -> None:
    token = allow(desk, integration, POST, GET)
    own = create(desk, token, parent=parent)

    shown = call(desk, token, "GET", f"{CHANGES}/{own}?sysparm_fields=parent.short_description")

    assert result_of(shown) == {"parent.short_description": SECRET}


def test_a_walk_from_another_table_keeps_to_own_records(
    desk: TokenDesk, integration: Integration, parent: str, admin: dict[str, str]
) -> None:
    token = allow(desk, integration, POST, {**GET, **OWN}, {**GET, "table": "sysapproval_approver"})
    own = create(desk, token, short_description="Mine")
    for change in (own, parent):
        approval = {"sysapproval": change, "approver": "admin"}
        desk.client.post(f"{TABLES}/sysapproval_approver", json=approval, headers=admin)

    path = f"{TABLES}/sysapproval_approver?sysparm_fields=sysapproval.short_description"
    shown = [record["sysapproval.short_description"] for record in result_of(call(desk, token, "GET", path))]

    assert sorted(shown) == ["", "Mine"]


@pytest.mark.parametrize("rules", [(), ({**GET, **OWN},)])
def test_related_changes_are_counted_as_far_as_they_may_be_read(
    desk: TokenDesk, integration: Integration, parent: str, rules: tuple[dict[str, Any], ...]
) -> None:
    token = allow(desk, integration, {**GET, "table": "sys_user"}, *rules)

    found = call(desk, token, "GET", f"{TABLES}/sys_user?sysparm_query={OF_SECRET}^user_name=admin")
    told = call(desk, token, "GET", f"{TABLES}/sys_user?sysparm_query={OF_SECRET.replace('vault', 'none')}")

    # Without a rule the table is unknown to the token; with one for own records, no change is its own.
    assert {found.status_code, told.status_code} == {200 if rules else 400}
    assert (found.get_json().get("result"), told.get_json().get("result")) == (([], []) if rules else (None, None))


def test_related_changes_are_counted_where_they_may_be_read(
    desk: TokenDesk, integration: Integration, parent: str
) -> None:
    token = allow(desk, integration, {**GET, "table": "sys_user"}, GET)

    found = call(desk, token, "GET", f"{TABLES}/sys_user?sysparm_fields=user_name&sysparm_query={OF_SECRET}")

    assert result_of(found) == [{"user_name": "admin"}]
