"""Planning over HTTP: items, services, conflicts, free times, and the workers that callers poll."""

import json
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from changegate.api.change import planning
from changegate.database import commit, connection
from changegate.models import ChgMgtWorker, CmdbCi, Job
from changegate.services.conflicts import detection
from changegate.services.jobs.leases import JOB_LEASE, claim
from changegate.services.process import planning_work
from changegate.services.workers import workers
from tests.conftest import Clock, basic
from tests.services.conflicts.calendar import at, hours
from tests.support.change_api import PREFIX, ChangeApi
from tests.support.jobs import run_due_jobs
from tests.support.table_api import TableApi, result_of

NOBODY = "0" * 32
HOUR = 3600
FREE = {"duration_in_seconds": HOUR, "planned_start_time": at(8)}


class Planner:
    """An administrator's calls, with the records that they are about."""

    def __init__(self, app: Flask, client: FlaskClient, headers: dict[str, str]) -> None:
        self.app, self.client, self.headers = app, client, headers
        self.api = ChangeApi(client, headers)

    def table(self, name: str) -> TableApi:
        return TableApi(self.client, self.headers, f"/api/now/table/{name}")

    def item(self, name: str, ci_class: str = "cmdb_ci_server", **fields: Any) -> str:
        return str(self.table("cmdb_ci").created(name=name, sys_class_name=ci_class, **fields)["sys_id"])

    def change(self, item: str | None = None, start: float = 8, end: float = 10, **fields: Any) -> str:
        named = {"cmdb_ci": item} if item else {}
        return self.api.new(**hours(start, end), **named, **fields)

    def done(self, response: Any, status: int = 202) -> dict[str, Any]:
        """Run the jobs, and return the worker that a call has started."""
        assert response.status_code == status, response.text
        worker = result_of(response)
        run_due_jobs(self.app)
        return self.polled(worker["worker"]["sysId"])

    def polled(self, worker: str) -> dict[str, Any]:
        polled = self.api.get(f"/worker/{worker}")
        assert polled.status_code == 200, polled.text
        found: dict[str, Any] = result_of(polled)
        return found

    def items_of(self, change: str, kind: str = "affected") -> list[str]:
        field = "ci_item" if kind == "affected" else "cmdb_ci_service"
        listed: list[str] = self.api.listed(f"/{change}/ci", field, association_type=kind)
        return listed


@pytest.fixture
def planner(either_app: Flask, admin: dict[str, str]) -> Planner:
    either_app.config["CLOCK"] = Clock()
    return Planner(either_app, either_app.test_client(), admin)


def error_of(response: Any) -> str:
    error = response.get_json()["error"]
    return f"{error['message']} {error['detail']}"


def test_a_worker_adds_affected_items_and_can_be_polled(planner: Planner) -> None:
    change, items = planner.change(), [planner.item("a"), planner.item("b")]
    response = planner.api.post(f"/{change}/ci", {"association_type": "affected", "cmdb_ci_sys_ids": items})
    started = result_of(response)
    assert response.status_code == 202
    assert started["state"] == {"value": 1, "display_value": "Waiting"}
    assert started["type"] == "affected"
    assert started["messages"] == {"errorMessages": [], "warningMessages": [], "infoMessages": []}
    assert json.loads(started["request"])["change_sys_id"] == change
    assert started["worker"]["link"].endswith(f"/api/sn_chg_rest/change/worker/{started['worker']['sysId']}")
    assert planner.items_of(change) == []

    done = planner.done(response)
    assert done["state"] == {"value": 3, "display_value": "Complete"}
    assert done["messages"]["infoMessages"] == ["2 affected CIs were added"]
    assert sorted(planner.items_of(change)) == sorted(items)
    again = planner.done(
        planner.api.post(f"/{change}/ci", association_type="affected", cmdb_ci_sys_ids=",".join(items))
    )
    assert again["messages"]["infoMessages"] == ["0 affected CIs were added"]


def test_services_that_depend_on_the_items_are_found_also_in_a_cycle(planner: Planner) -> None:
    shop, gold, server = (
        planner.item("shop", "cmdb_ci_service"),
        planner.item("gold", "service_offering"),
        planner.item("server"),
    )
    for parent, child in ((gold, shop), (shop, server), (server, gold)):
        planner.table("cmdb_rel_ci").created(parent=parent, child=child)
    by_hand = planner.item("by hand", "cmdb_ci_service")
    change = planner.change()
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [server], "refresh_impacted_services": "true"}
    planner.done(planner.api.post(f"/{change}/ci", body))
    assert planner.items_of(change, "impacted") == [shop]
    assert planner.items_of(change, "offering") == [gold]

    planner.done(planner.api.post(f"/{change}/ci", {"association_type": "impacted", "cmdb_ci_sys_ids": [by_hand]}))
    [affected] = planner.table("task_ci").found(f"task={change}", "sys_id")
    planner.table("task_ci").delete(affected)
    done = planner.done(planner.api.post(f"/{change}/refresh_impacted_services"), 200)
    assert done["messages"]["infoMessages"] == ["0 impacted services were added, 2 were removed"]
    assert planner.items_of(change, "impacted") == [by_hand]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "association_type: one of affected, impacted, offering"),
        ({"association_type": "all"}, "association_type: one of affected, impacted, offering"),
        ({"association_type": ["affected"]}, "association_type: one of affected, impacted, offering"),
        ({"association_type": "affected"}, "cmdb_ci_sys_ids: a list of sys_ids is expected"),
        ({"association_type": "affected", "cmdb_ci_sys_ids": []}, "1 to 10000 sys_ids are expected"),
        ({"association_type": "affected", "cmdb_ci_sys_ids": [1]}, "a list of sys_ids is expected"),
        ({"association_type": "affected", "cmdb_ci_sys_ids": {"a": 1}}, "a list of sys_ids is expected"),
        ({"association_type": "affected", "cmdb_ci_sys_ids": "x\x00"}, "is not a sys_id"),
        (
            {"association_type": "affected", "cmdb_ci_sys_ids": [NOBODY]},
            f"no record of cmdb_ci has the sys_id {NOBODY}",
        ),
        (
            {"association_type": "affected", "cmdb_ci_sys_ids": [NOBODY], "refresh_impacted_services": "perhaps"},
            "refresh_impacted_services: true or false is expected",
        ),
        ({"association_type": "affected", "cmdb_ci_sys_ids": [f"{n:032d}" for n in range(10_001)]}, "1 to 10000"),
    ],
)
def test_items_that_cannot_be_added_are_a_400_that_names_the_field(
    planner: Planner, body: dict[str, Any], reason: str
) -> None:
    response = planner.api.post(f"/{planner.change()}/ci", body)
    assert response.status_code == 400
    assert reason in error_of(response)


def test_of_half_valid_items_none_is_added(planner: Planner) -> None:
    change, item = planner.change(), planner.item("a")
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [item, NOBODY]}
    assert planner.api.post(f"/{change}/ci", body).status_code == 400
    assert planner.api.post(f"/{change}/ci", {**body, "association_type": "impacted"}).status_code == 400
    run_due_jobs(planner.app)
    assert planner.items_of(change) == []


def test_an_item_that_is_deleted_before_the_work_is_an_error_of_the_worker(planner: Planner) -> None:
    change, item, other = planner.change(), planner.item("a"), planner.item("b")
    response = planner.api.post(f"/{change}/ci", {"association_type": "affected", "cmdb_ci_sys_ids": [other, item]})
    assert planner.table("cmdb_ci").delete(item).status_code == 204
    done = planner.done(response)
    assert done["state"] == {"value": 4, "display_value": "Error"}
    assert item in done["messages"]["errorMessages"][0]
    assert planner.items_of(change) == []


def test_ten_thousand_items_are_added_by_one_call(planner: Planner) -> None:
    rows = [{"sys_id": f"{n:032x}", "name": f"item {n}"} for n in range(1, 10_001)]
    with planner.app.app_context():
        connection().execute(CmdbCi.__table__.insert(), rows)
        commit()
    other = planner.change(f"{7:032x}")
    change = planner.change()
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [row["sys_id"] for row in rows]}
    done = planner.done(planner.api.post(f"/{change}/ci", body))
    assert done["messages"]["infoMessages"] == ["10000 affected CIs were added"]
    conflict = result_of(planner.api.get(f"/{change}/conflict"))
    assert (conflict["status"], conflict["record_count"], conflict["job_status"]) == ("Conflict", "1", "2")
    assert conflict["conflicts"][0]["conflicting_change"]["value"] == other
    history = planner.table("chg_history").found(f"subject_id={change}^kind=edited", "kind")
    assert len(history) == 20


def test_conflicts_have_the_form_of_the_api(planner: Planner) -> None:
    item = planner.item("router")
    first, second = planner.change(item), planner.change(item)
    run_due_jobs(planner.app)
    shown = result_of(planner.api.get(f"/{first}/conflict"))
    assert shown["status"] == "Conflict"
    assert shown["record_count"] == "1"
    assert shown["job_status"] == "2"
    assert shown["last_run"] == planner.table("change_request").found(f"sys_id={first}", "conflict_last_run")[0]
    [conflict] = shown["conflicts"]
    assert conflict["change"]["value"] == first
    assert conflict["conflicting_change"]["value"] == second
    assert conflict["conflicting_change"]["display_value"].startswith("CHG")
    assert conflict["type"] == {"value": "ci_already_scheduled", "display_value": "CI Already Scheduled"}
    assert conflict["configuration_item"] == {"value": item, "display_value": "router"}
    unplanned = result_of(planner.api.get(f"/{planner.api.new()}/conflict"))
    assert unplanned == {"status": "Not Run", "last_run": "", "record_count": "0", "job_status": "", "conflicts": []}


def test_a_check_is_started_by_post_and_canceled_by_delete(planner: Planner) -> None:
    change = planner.change(planner.item("router"))
    worker = result_of(planner.api.post(f"/{change}/conflict"))
    assert len(worker) == 32
    assert result_of(planner.api.get(f"/{change}/conflict"))["job_status"] == "0"
    canceled = planner.api.delete(f"/{change}/conflict")
    assert (canceled.status_code, canceled.data) == (200, b"")
    assert result_of(planner.api.get(f"/{change}/conflict"))["job_status"] == "3"
    assert planner.polled(worker)["messages"]["errorMessages"] == ["The work was canceled."]
    run_due_jobs(planner.app)
    assert planner.polled(worker)["state"]["value"] == 4
    # Without a check under way, nothing is canceled.
    assert planner.api.delete(f"/{change}/conflict").status_code == 200

    checked = result_of(planner.api.post(f"/{change}/conflict"))
    run_due_jobs(planner.app)
    assert planner.polled(checked)["messages"]["infoMessages"] == ["Conflict status: No Conflict"]
    assert result_of(planner.api.get(f"/{change}/conflict"))["job_status"] == "2"


def test_free_times_of_a_change_and_of_an_item_are_spans(planner: Planner) -> None:
    item = planner.item("router")
    planner.change(item, 8, 10)
    planner.change(item, 10.5, 12)
    change = planner.change(item, 20, 21)
    start = {"planned_start_time": at(8)}
    for response in (
        planner.api.get(f"/ci/{item}/schedule", duration_in_seconds=2 * HOUR, **start),
        planner.api.get(f"/{change}/schedule", duration_in_seconds=str(2 * HOUR), **start),
    ):
        done = planner.done(response)
        assert done["type"] == "schedule"
        first = done["payload"]["spans"][0]
        assert first["start"] == {"value": at(12), "display_value": at(12)}
    # The change does not stand in its own way.
    assert done["payload"]["spans"][0]["end"]["value"] > at(24)


def test_a_change_is_planned_for_the_first_free_time_and_earlier_ones_are_explained(planner: Planner) -> None:
    item = planner.item("router")
    busy = planner.change(item, 8, 10)
    later = planner.change(item, 10.5, 12)
    change = planner.api.new(cmdb_ci=item)
    response = planner.api.patch(f"/{change}/schedule/first_available", FREE)
    assert response.status_code == 202, response.text
    worker = result_of(response)
    assert worker["state"] == {"value": 3, "display_value": "Complete"}
    assert worker["messages"]["infoMessages"] == ["Change has been updated"]
    assert [span["start"]["value"] for span in worker["payload"]["spans"]] == [at(12)]
    reasons = [
        (each["start"]["value"], each["until"]["value"], each["change"]["value"])
        for each in worker["payload"]["rejected"]
    ]
    assert reasons == [(at(8), at(10), busy), (at(10), at(12), later)]
    assert worker["payload"]["rejected"][0]["type"]["display_value"] == "CI Already Scheduled"
    shown = result_of(planner.api.get(f"/{change}"))
    assert (shown["start_date"]["value"], shown["end_date"]["value"]) == (at(12), at(13))
    assert shown["conflict_status"]["value"] == "No Conflict"
    assert planner.polled(worker["worker"]["sysId"]) == worker


def test_the_number_of_explained_times_is_limited(planner: Planner) -> None:
    item = planner.item("router")
    for hour in range(25):
        planner.change(item, 8 + hour, 9 + hour)
    response = planner.api.patch(f"/{planner.api.new(cmdb_ci=item)}/schedule/first_available", FREE)
    payload = result_of(response)["payload"]
    assert (len(payload["rejected"]), payload["rejected_count"]) == (20, 25)


def test_without_a_free_time_in_ninety_days_the_change_stays_as_it_is(planner: Planner) -> None:
    item = planner.item("router")
    planner.change(item, 0, 24 * 91)
    change = planner.api.new(cmdb_ci=item)
    worker = result_of(planner.api.patch(f"/{change}/schedule/first_available", FREE))
    assert worker["state"]["value"] == 3
    assert worker["messages"]["infoMessages"] == ["No slots found for 90 days from now"]
    assert worker["payload"]["spans"] == []
    assert result_of(planner.api.get(f"/{change}"))["start_date"]["value"] == ""


def test_a_time_that_is_taken_during_the_search_is_a_409(planner: Planner) -> None:
    item = planner.item("router")
    change = planner.api.new(cmdb_ci=item)
    search = planning_work.find_obstacles

    def overtaken(*args: Any) -> Any:
        found = search(*args)
        planner.app.test_client().post(
            "/api/sn_chg_rest/change", json={"cmdb_ci": item, **hours(8, 9)}, headers=planner.headers
        )
        return found

    with mock.patch.object(planning_work, "find_obstacles", overtaken):
        response = planner.api.patch(f"/{change}/schedule/first_available", FREE)
    assert response.status_code == 409
    assert "was just taken" in error_of(response)
    assert result_of(planner.api.get(f"/{change}"))["start_date"]["value"] == ""


def test_a_change_that_is_edited_during_the_search_is_a_409(planner: Planner) -> None:
    item, other = planner.item("router"), planner.item("switch")
    change = planner.api.new(cmdb_ci=item)
    search = planning_work.find_obstacles

    def overtaken(*args: Any) -> Any:
        found = search(*args)
        path = f"/api/sn_chg_rest/change/{change}"
        planner.app.test_client().patch(path, json={"cmdb_ci": other}, headers=planner.headers)
        return found

    with mock.patch.object(planning_work, "find_obstacles", overtaken):
        response = planner.api.patch(f"/{change}/schedule/first_available", FREE)
    assert response.status_code == 409
    assert "was edited" in error_of(response)


def test_a_change_of_many_items_is_planned_by_a_worker(planner: Planner) -> None:
    item = planner.item("router")
    planner.change(item, 8, 10)
    change = planner.api.new(cmdb_ci=item)
    with mock.patch.object(planning, "is_large", lambda _: True):
        response = planner.api.patch(f"/{change}/schedule/first_available", FREE)
    assert result_of(response)["state"]["value"] == 1
    done = planner.done(response)
    assert done["messages"]["infoMessages"] == ["Change has been updated"]
    assert result_of(planner.api.get(f"/{change}"))["start_date"]["value"] == at(10)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "duration_in_seconds: a number of seconds is missing"),
        *(
            ({"duration_in_seconds": bad}, "a whole number from 1 to 7776000")
            for bad in (0, -1, 1.5, True, "1h", [1], "1_0")
        ),
        ({"duration_in_seconds": "9" * 5000}, "a whole number from 1 to 7776000"),
        ({"duration_in_seconds": 60, "planned_start_time": "tomorrow"}, "planned_start_time"),
        ({"duration_in_seconds": 60, "planned_start_time": "9998-12-31 00:00:00"}, "within the next ten years"),
    ],
)
def test_a_time_that_cannot_be_searched_is_a_400_that_names_the_field(
    planner: Planner, body: dict[str, Any], reason: str
) -> None:
    change = planner.api.new(cmdb_ci=planner.item("router"))
    response = planner.api.patch(f"/{change}/schedule/first_available", body)
    assert response.status_code == 400
    assert reason in error_of(response)


def test_free_times_need_an_item_and_a_duration(planner: Planner) -> None:
    change = planner.api.new()
    for response in (
        planner.api.get(f"/{change}/schedule", duration_in_seconds=60),
        planner.api.patch(f"/{change}/schedule/first_available", FREE),
    ):
        assert response.status_code == 400
        assert "no configuration item" in error_of(response)
    item = planner.item("router")
    assert planner.api.get(f"/ci/{item}/schedule").status_code == 400
    assert planner.api.get(f"/ci/{NOBODY}/schedule", duration_in_seconds=60).status_code == 404
    planned = planner.change(item, 8, 10)
    assert json.loads(result_of(planner.api.get(f"/{planned}/schedule"))["request"])["duration_in_seconds"] == 2 * HOUR


@pytest.mark.parametrize("id_", [NOBODY, "x", "x%00y", "worker"])
def test_a_change_or_worker_that_does_not_exist_is_a_404(planner: Planner, id_: str) -> None:
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [planner.item("a")], **FREE}
    for method, path in (
        ("GET", f"/{id_}/ci?association_type=affected"),
        ("POST", f"/{id_}/ci"),
        ("POST", f"/{id_}/refresh_impacted_services"),
        ("GET", f"/{id_}/conflict"),
        ("POST", f"/{id_}/conflict"),
        ("DELETE", f"/{id_}/conflict"),
        ("GET", f"/{id_}/schedule?duration_in_seconds=60"),
        ("GET", f"/ci/{id_}/schedule?duration_in_seconds=60"),
        ("PATCH", f"/{id_}/schedule/first_available"),
        ("GET", f"/worker/{id_}"),
    ):
        response = planner.api.call(method, path, None if method == "GET" else body)
        assert response.status_code == 404, (method, path, response.text)


def test_a_worker_survives_a_process_that_was_killed(planner: Planner) -> None:
    change = planner.change(planner.item("router"))
    worker = result_of(planner.api.post(f"/{change}/conflict"))
    with planner.app.app_context():
        # A process leases the job, and ends without a trace.
        while (lease := claim()) is not None and lease.kind != workers.WORK:
            pass
    assert planner.polled(worker)["state"] == {"value": 2, "display_value": "In-Progress"}
    run_due_jobs(planner.app)
    assert planner.polled(worker)["state"]["value"] == 2
    planner.app.config["CLOCK"].advance(seconds=JOB_LEASE.total_seconds() + 1)
    run_due_jobs(planner.app)
    assert planner.polled(worker)["state"]["value"] == 3


def test_a_worker_whose_job_failed_for_good_is_an_error(planner: Planner) -> None:
    change = planner.change(planner.item("router"))
    worker = result_of(planner.api.post(f"/{change}/conflict"))
    with planner.app.app_context():
        connection().execute(
            update(Job).where(Job.kind == workers.WORK).values(failed_at=planner.app.config["CLOCK"]())
        )
        commit()
    polled = planner.polled(worker)
    assert polled["state"]["value"] == 4
    assert polled["messages"]["errorMessages"] == [workers.GAVE_UP]


def test_a_worker_of_a_deleted_change_is_gone_and_its_job_does_nothing(planner: Planner) -> None:
    change = planner.change(planner.item("router"))
    worker = result_of(planner.api.post(f"/{change}/conflict"))
    assert planner.api.delete(f"/{change}").status_code == 200
    assert planner.api.get(f"/worker/{worker}").status_code == 404
    run_due_jobs(planner.app)


def test_old_workers_are_deleted(planner: Planner) -> None:
    worker = result_of(planner.api.post(f"/{planner.change()}/conflict"))
    run_due_jobs(planner.app)
    planner.app.config["CLOCK"].advance(days=8)
    run_due_jobs(planner.app, "change.workers.cleanup")
    assert planner.api.get(f"/worker/{worker}").status_code == 404
    with planner.app.app_context():
        assert connection().execute(ChgMgtWorker.__table__.select()).first() is None


def test_requesters_see_their_own_workers_and_no_change_of_others(
    planner: Planner,
) -> None:
    users = planner.table("sys_user")
    rita = users.created(user_name="rita", user_password="itil itil itil")["sys_id"]
    requester = ChangeApi(planner.client, basic("rita", "itil itil itil"))
    item = planner.item("router")
    busy = planner.change(item, 8, 10)
    own = planner.change(item, 9, 11, requested_by=rita)
    number = result_of(planner.api.get(f"/{busy}"))["number"]["value"]

    conflict = requester.get(f"/{own}/conflict")
    assert result_of(conflict)["conflicts"][0]["conflicting_change"] == {"value": "", "display_value": ""}
    assert result_of(conflict)["conflicts"][0]["configuration_item"]["value"] == item
    assert number not in conflict.text and busy not in conflict.text
    assert requester.get(f"/{busy}/conflict").status_code == 404
    # Neither plans a change without the role.
    assert requester.patch(f"/{own}/schedule/first_available", FREE).status_code == 403
    assert requester.post(f"/{own}/conflict").status_code == 403
    assert requester.post(f"/{own}/refresh_impacted_services").status_code == 403
    body = {"association_type": "affected", "cmdb_ci_sys_ids": [item]}
    assert requester.post(f"/{own}/ci", body).status_code == 403

    mine = result_of(requester.get(f"/{own}/schedule", duration_in_seconds=60))["worker"]["sysId"]
    theirs = result_of(planner.api.patch(f"/{own}/schedule/first_available", FREE))
    assert theirs["payload"]["rejected"][0]["change"] == {"value": busy, "display_value": number}
    assert requester.get(f"/worker/{mine}").status_code == 200
    assert requester.get(f"/worker/{theirs['worker']['sysId']}").status_code == 404


def test_a_large_change_shows_that_its_conflicts_are_of_the_last_run(planner: Planner) -> None:
    item = planner.item("router")
    change, other = planner.change(), planner.change(item)
    with mock.patch.object(detection, "MOST_ITEMS", 0):
        planner.table("task_ci").created(task=change, ci_item=item)
        shown = result_of(planner.api.get(f"/{change}/conflict"))
        assert (shown["job_status"], shown["conflicts"], shown["last_run"]) == ("0", [], "")
        run_due_jobs(planner.app)
        shown = result_of(planner.api.get(f"/{change}/conflict"))
    assert (shown["job_status"], shown["record_count"]) == ("2", "1")
    assert shown["conflicts"][0]["conflicting_change"]["value"] == other
    assert shown["last_run"]


def test_xml_is_an_answer_as_well(planner: Planner) -> None:
    item = planner.item("router")
    planner.change(item, 8, 10)
    change = planner.api.new(cmdb_ci=item)
    worker = result_of(planner.api.patch(f"/{change}/schedule/first_available", FREE))["worker"]["sysId"]
    for method, path in (
        ("GET", f"/worker/{worker}"),
        ("GET", f"/{change}/conflict"),
        ("POST", f"/{change}/conflict"),
        ("GET", f"/{change}/ci?association_type=affected"),
    ):
        headers = {**planner.headers, "Accept": "application/xml"}
        response = planner.client.open(f"{PREFIX}{path}", method=method, headers=headers)
        assert (response.status_code, response.mimetype) == (200, "application/xml"), (path, response.text)
