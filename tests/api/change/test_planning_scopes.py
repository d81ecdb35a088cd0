"""What a token may plan: scopes, own records, and writable fields hold on each path, and for workers."""

from typing import Any

import pytest

from tests.api.change.test_scopes import caller, with_rules
from tests.services.conflicts.calendar import at, hours
from tests.support.change_api import ChangeApi
from tests.support.jobs import run_due_jobs
from tests.support.scope_desk import put_scope
from tests.support.table_api import TableApi, result_of
from tests.support.token_desk import TokenDesk

SLOT = {"duration_in_seconds": 3600, "planned_start_time": at(8)}
CHANGES_AND_ITEMS = ("* change change_request own", "* change task_ci", "* change task_cmdb_ci_service")


@pytest.fixture
def item(desk: TokenDesk, api: ChangeApi) -> str:
    items = TableApi(api.client, api.headers, "/api/now/table/cmdb_ci")
    return str(items.created(name="router")["sys_id"])


def calls_about(change: str, item: str) -> list[tuple[str, str, dict[str, Any] | None]]:
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [item]}
    return [
        ("GET", f"/{change}/ci?association_type=affected", None),
        ("GET", f"/{change}/ci?association_type=impacted", None),
        ("POST", f"/{change}/ci", body),
        ("POST", f"/{change}/refresh_impacted_services", None),
        ("GET", f"/{change}/conflict", None),
        ("POST", f"/{change}/conflict", None),
        ("DELETE", f"/{change}/conflict", None),
        ("GET", f"/{change}/schedule?duration_in_seconds=60", None),
        ("PATCH", f"/{change}/schedule/first_available", SLOT),
    ]


def test_a_token_that_only_creates_changes_plans_nothing(desk: TokenDesk, api: ChangeApi, item: str) -> None:
    token = caller(desk, desk.register())
    change = token.new("/normal", cmdb_ci=item)
    for method, path, body in calls_about(change, item):
        response = token.call(method, path, body)
        # The rule for creations covers POST, but not the change itself.
        assert response.status_code in (403, 404), (method, path)
    worker = result_of(api.post(f"/{change}/conflict"))
    assert token.get(f"/worker/{worker}").status_code == 403


def test_a_token_limited_to_own_records_plans_own_changes_only(desk: TokenDesk, api: ChangeApi, item: str) -> None:
    token = with_rules(desk, *CHANGES_AND_ITEMS)
    foreign, own = api.new(cmdb_ci=item), token.new(cmdb_ci=item)
    for method, path, body in calls_about(foreign, item):
        assert token.call(method, path, body).status_code == 404, (method, path)
    for method, path, body in calls_about(own, item):
        response = token.call(method, path, body)
        assert response.status_code in (200, 202), (method, path, response.text)
    run_due_jobs(desk.app)


def test_a_token_sees_the_workers_of_its_integration_only(desk: TokenDesk, api: ChangeApi, item: str) -> None:
    token = with_rules(desk, *CHANGES_AND_ITEMS)
    own = token.new(cmdb_ci=item)
    mine, theirs = (result_of(each.post(f"/{own}/conflict")) for each in (token, api))
    assert [token.get(f"/worker/{worker}").status_code for worker in (mine, theirs)] == [200, 404]
    put_scope(desk, "others", *CHANGES_AND_ITEMS)
    other = caller(desk, desk.register("Other", scopes=["others"]))
    assert other.get(f"/worker/{mine}").status_code == 404
    assert api.get(f"/worker/{mine}").status_code == 200


def test_the_change_of_somebody_else_leaks_neither_number_nor_sys_id(
    desk: TokenDesk, api: ChangeApi, item: str
) -> None:
    token = with_rules(desk, *CHANGES_AND_ITEMS)
    foreign = api.created(cmdb_ci=item, **hours(8, 10))
    own = token.new(cmdb_ci=item, **hours(9, 11))
    secrets = (foreign["number"]["value"], foreign["sys_id"]["value"])

    shown = token.get(f"/{own}/conflict")
    assert (result_of(shown)["record_count"], len(result_of(shown)["conflicts"])) == ("1", 1)
    planned = token.patch(f"/{own}/schedule/first_available", SLOT)
    polled = token.get(f"/worker/{result_of(planned)['worker']['sysId']}")
    assert result_of(polled)["payload"]["rejected_count"] == 1
    # Nor does a wider token of the same integration leave it in the worker.
    for response in (shown, planned, polled):
        assert not [secret for secret in secrets if secret in response.text], response.text
    with_changes = api.get(f"/worker/{result_of(planned)['worker']['sysId']}")
    assert secrets[0] in with_changes.text


def test_fields_of_a_rule_limit_what_is_planned(desk: TokenDesk, api: ChangeApi, item: str) -> None:
    token = with_rules(
        desk,
        "GET change change_request",
        "POST change task_ci fields=manual_proposed_change",
        "PATCH change change_request fields=description,start_date",
    )
    change = api.new(cmdb_ci=item)
    refused = token.patch(f"/{change}/schedule/first_available", SLOT)
    assert "may not write the field end_date" in refused.text
    affected = token.post(f"/{change}/ci", {"association_type": "affected", "cmdb_ci_sys_ids": [item]})
    assert "may not write the field ci_item" in affected.text
    services = {"association_type": "impacted", "cmdb_ci_sys_ids": [item]}
    assert token.post(f"/{change}/ci", services).status_code == 403


def test_a_refresh_of_services_needs_its_own_rule(desk: TokenDesk, api: ChangeApi, item: str) -> None:
    token = with_rules(desk, "GET change change_request", "POST change task_ci")
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [item], "refresh_impacted_services": True}
    assert token.post(f"/{api.new()}/ci", body).status_code == 403


def test_the_conflicts_of_the_table_api_name_no_hidden_change(desk: TokenDesk, api: ChangeApi, item: str) -> None:
    token = with_rules(desk, "* change change_request own", "GET table conflict", "GET table change_request own")
    foreign = api.created(cmdb_ci=item, **hours(8, 10))
    own = token.new(cmdb_ci=item, **hours(9, 11))
    url = f"/api/now/table/conflict?sysparm_query=change={own}&sysparm_display_value=all"
    fields = "&sysparm_fields=conflicting_change,conflicting_change.number,conflicting_change.short_description"
    listed = token.client.get(url + fields, headers=token.headers)
    assert listed.status_code == 200
    assert foreign["number"]["value"] not in listed.text
    by_number = f"conflicting_change.numberSTARTSWITH{foreign['number']['value']}"
    found = token.client.get(f"/api/now/table/conflict?sysparm_query={by_number}", headers=token.headers)
    assert result_of(found) == []
