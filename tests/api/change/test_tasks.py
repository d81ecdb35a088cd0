"""Tasks of a change over the Change Management API."""

import pytest

from tests.support.change_api import ChangeApi, id_of
from tests.support.table_api import TableApi, error_of, result_of

NOBODY = "0" * 32
TASKS = "/api/now/table/change_task"


@pytest.fixture
def change(api: ChangeApi) -> str:
    return api.new(short_description="Deploy")


def test_a_task_belongs_to_the_change_of_its_path(api: ChangeApi, change: str) -> None:
    other = api.new()
    response = api.post(f"/{change}/task", {"short_description": "Back up", "change_request": other}, state="open")
    task = result_of(response)

    assert response.status_code == 200
    assert task["change_request"]["value"] == task["parent"]["value"] == change
    assert task["state"] == {"value": 1, "display_value": "Open"}
    assert task["__meta"] == {"ignoredFields": ["change_request"]}
    assert task["planned_end_date"] == {"value": "", "display_value": "", "display_value_internal": ""}
    assert api.listed(f"/{other}/task") == []


def test_tasks_are_listed_by_number(api: ChangeApi, change: str) -> None:
    for text in ("one", "two", "three"):
        api.new(f"/{change}/task", short_description=text)
    api.new(f"/{api.new()}/task", short_description="of another change")

    assert api.listed(f"/{change}/task") == ["one", "two", "three"]
    assert api.listed(f"/{change}/task", order="short_description") == ["one", "three", "two"]
    assert api.listed(f"/{change}/task", short_description="two") == ["two"]
    assert api.listed(f"/{change}/task", sysparm_query="short_description=one^NQchange_requestISNOTEMPTY") == [
        "one",
        "two",
        "three",
    ]
    assert api.get(f"/{change}/task", sysparm_limit=1).headers["X-Total-Count"] == "3"


def test_a_task_is_changed_and_deleted(api: ChangeApi, change: str) -> None:
    task = api.new(f"/{change}/task", short_description="Back up")
    changed = api.patch(f"/{change}/task/{task}", {"planned_end_date": "2021-07-15T08:00:00"}, state="In Progress")
    assert result_of(changed)["state"]["value"] == 2
    assert result_of(changed)["planned_end_date"]["value"] == "2021-07-15 08:00:00"

    gone = api.delete(f"/{change}/task/{task}")
    assert (gone.status_code, id_of(result_of(gone))) == (200, task)
    assert api.listed(f"/{change}/task") == []
    assert api.delete(f"/{change}/task/{task}").status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_task_is_not_found_under_another_change(api: ChangeApi, change: str, method: str) -> None:
    task, other = api.new(f"/{change}/task"), api.new()
    for path in (f"/{other}/task/{task}", f"/{NOBODY}/task/{task}", f"/{change}/task/{NOBODY}"):
        response = api.call(method, path, {} if method == "PATCH" else None)
        assert (response.status_code, error_of(response)[0]) == (404, "No Record found")
    assert api.listed(f"/{change}/task", "sys_id") == [task]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_change_that_does_not_exist_has_no_tasks(api: ChangeApi, method: str) -> None:
    assert api.call(method, f"/{NOBODY}/task", {} if method == "POST" else None).status_code == 404


def test_a_change_is_not_a_task_and_a_task_is_not_a_change(api: ChangeApi, change: str) -> None:
    task = api.new(f"/{change}/task")
    assert api.get(f"/{task}").status_code == api.get(f"/{task}/task").status_code == 404
    assert api.patch(f"/{change}/task/{change}").status_code == 404


def test_a_write_that_a_rule_aborts_is_a_400(api: ChangeApi, change: str) -> None:
    task = TableApi(api.client, api.headers, TASKS).created(change_request=change)["sys_id"]
    response = api.patch(f"/{change}/task/{task}", {"state": ""})
    assert response.status_code == 200  # emptying a choice is ignored
    assert result_of(response)["__meta"] == {"ignoredFields": ["state"]}
