"""Planning a change: its items and services, its conflicts, and free times."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response

from changegate.api import request_body
from changegate.api.auth import require_scope
from changegate.api.change import calls
from changegate.api.change.calls import CHANGE, REST_API, SERVICES, SHAPE, TASK_CI, bp, reader
from changegate.api.change.changes import change_call
from changegate.api.change.workers import worker_response
from changegate.api.envelopes import api_response, empty_response
from changegate.database import commit
from changegate.errors import RequestUnreadable
from changegate.extensions import now
from changegate.models.conflict import COMPLETE, ERROR, IN_PROGRESS, WAITING
from changegate.schemas.change_query import fields_of_parameters
from changegate.schemas.planning_input import (
    INSTANT,
    LONGEST_DURATION,
    limit_start,
    parse_association,
    parse_duration,
    parse_flag,
    parse_sys_ids,
)
from changegate.services.access.caller import Caller
from changegate.services.configuration_items.affected import OFFERING, SERVICE, require_items
from changegate.services.conflicts.detection import MOST_STORED, count_conflicts, is_large, is_promised
from changegate.services.process.planning_work import has_items, plan_first_available
from changegate.services.tables.queries.encoded_query import Condition, parse_encoded_query
from changegate.services.tables.reading.records import get_row, read_page, require_operation
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.values import INSTANT_FORMAT, parse_value, render_value
from changegate.services.workers.workers import cancel_waiting, find_latest, read_state, start, store_done
from changegate.unproxied import current_request

DURATION_MISSING = "Field duration_in_seconds: a number of seconds is missing"
CONFLICTS, ITEMS = "conflict", "cmdb_ci"
# Association type: table, field of the item, and class of the items. Without one, the items have any class.
ROWS = {
    "affected": (TASK_CI, "ci_item", None),
    "impacted": (SERVICES, "cmdb_ci_service", SERVICE),
    "offering": (SERVICES, "cmdb_ci_service", OFFERING),
}
# The states of a conflict check, by the state of its worker.
JOB_STATES = {WAITING: "0", IN_PROGRESS: "1", COMPLETE: "2", ERROR: "3"}


@bp.get("/change/<sys_id>/ci")
def list_items_view(sys_id: str) -> Response:
    """Return a page of the affected items, impacted services, or service offerings of a change."""
    kind = parse_association(fields_of_parameters(current_request().query_string))
    table, _, ci_class = ROWS[kind]
    who = require_scope(REST_API, table)
    _require_visible(sys_id)
    of_class = (Condition("cmdb_ci_service.sys_class_name", "=", ci_class),) if ci_class else ()
    parameters = ("association_type",)
    return calls.list_records(get_table(table), who, Condition("task", "=", sys_id), *of_class, unused=parameters)


@bp.post("/change/<sys_id>/ci")
def add_items_view(sys_id: str) -> Response:
    """Have a worker add items or services to a change."""
    sent = _sent()
    kind = parse_association(sent)
    table, field, ci_class = ROWS[kind]
    who = require_scope(REST_API, table)
    require_operation(get_table(table), who.permissions, "create")
    who.permissions.require_writable(("task", field))
    _require_visible(sys_id)
    items = parse_sys_ids(sent)
    is_refresh = kind == "affected" and parse_flag(sent, "refresh_impacted_services")
    if is_refresh:
        require_scope(REST_API, SERVICES)
    require_items(items, ci_class)
    request = {"change_sys_id": sys_id, "association_type": kind, "cmdb_ci_sys_ids": items}
    return _started(kind, {**request, "refresh_impacted_services": is_refresh}, who, sys_id)


@bp.post("/change/<sys_id>/refresh_impacted_services")
def refresh_services_view(sys_id: str) -> Response:
    """Have a worker find the services and offerings that depend on the items of a change."""
    who = require_scope(REST_API, SERVICES)
    require_operation(get_table(SERVICES), who.permissions, "create")
    who.permissions.require_writable(("task", "cmdb_ci_service"))
    _require_visible(sys_id)
    return _started("impacted", {"change_sys_id": sys_id}, who, sys_id, 200)


@bp.get("/change/<sys_id>/conflict")
def conflicts_view(sys_id: str) -> Response:
    """Return the conflicts of a change, and the state of the latest check."""
    table, who = change_call()
    change = _row(table, who, sys_id)
    conflicts = get_table(CONFLICTS)
    query = parse_encoded_query(f"change={sys_id}^ORDERBYtype^ORDERBYsys_id")
    page = read_page(conflicts, who, query, SHAPE, limit=MOST_STORED, offset=0)
    shown = [_without_hidden(record) for record in page.records]
    of_schedules = sum(bool(record["schedule"]["value"]) for record in shown)
    result = {
        "status": change["conflict_status"],
        "last_run": render_value(table.entries["conflict_last_run"], change["conflict_last_run"]),
        # Not the number of those that are stored, which is limited.
        "record_count": str(of_schedules + count_conflicts(change)),
        "job_status": _job_status(change),
        "conflicts": shown,
    }
    return api_response({"result": result})


@bp.post("/change/<sys_id>/conflict")
def check_conflicts_view(sys_id: str) -> Response:
    """Have a worker check the conflicts of a change; return the sys_id of the worker."""
    table, who = change_call()
    require_operation(table, who.permissions, "update")
    _require_visible(sys_id)
    worker = start("conflict", {"change_sys_id": sys_id}, who, change=sys_id)
    commit()
    return api_response({"result": worker})


@bp.delete("/change/<sys_id>/conflict")
def cancel_check_view(sys_id: str) -> Response:
    """Cancel the checks of a change that are not done; its conflicts stay as they are."""
    table, who = change_call()
    require_operation(table, who.permissions, "update")
    _require_visible(sys_id)
    cancel_waiting("conflict", sys_id)
    commit()
    return empty_response(200)


@bp.get("/change/<sys_id>/schedule")
def schedule_view(sys_id: str) -> Response:
    """Have a worker find the free times of a change."""
    table, who = change_call()
    change = _row(table, who, sys_id)
    request = _times(_sent(), change) | {"change_sys_id": sys_id}
    return _started("schedule", request, who, sys_id)


@bp.get("/change/ci/<sys_id>/schedule")
def schedule_of_item_view(sys_id: str) -> Response:
    """Have a worker find the free times of a configuration item."""
    _, who = change_call()
    get_row(get_table(ITEMS), who, sys_id, ("sys_id",))
    return _started("schedule", _times(_sent()) | {"ci_sys_id": sys_id}, who, None)


@bp.patch("/change/<sys_id>/schedule/first_available")
def first_available_view(sys_id: str) -> Response:
    """Plan a change for the first time without conflicts; a change of many items is left to a worker."""
    table, who = change_call()
    change = _row(table, who, sys_id)
    require_operation(table, who.permissions, "update")
    who.permissions.require_writable(("start_date", "end_date"), table.integration_of(change))
    sent = _sent()
    duration = parse_duration(sent)
    if duration is None:
        raise RequestUnreadable(DURATION_MISSING)
    request = _times(sent, change) | {"change_sys_id": sys_id, "first_available": True}
    if is_large(sys_id):
        return _started("schedule", request, who, sys_id)
    with calls.refusals(table, "updated"):
        outcome = plan_first_available(sys_id, duration, _start(sent), who)
    worker = store_done("schedule", request, who, outcome, change=sys_id)
    return _committed(worker, who)


def _sent() -> dict[str, Any]:
    """Return the parameters and the members of the body, which take precedence."""
    parameters: dict[str, Any] = dict(fields_of_parameters(current_request().query_string))
    return parameters if current_request().method == "GET" else {**parameters, **request_body.read_record()}


def _start(sent: Mapping[str, Any]) -> Any:
    return limit_start(parse_value("planned_start_time", INSTANT, sent.get("planned_start_time")), now())


def _times(sent: Mapping[str, Any], change: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the duration and the start that were sent; without them, the planned duration, and now."""
    if change is not None and not has_items(change):
        raise RequestUnreadable("The change has no configuration item. Set cmdb_ci, or add affected CIs")
    duration = parse_duration(sent) or _planned_duration(change or {})
    if not duration:
        raise RequestUnreadable(DURATION_MISSING)
    start_at = f"{_start(sent):{INSTANT_FORMAT}}+00:00"
    return {"duration_in_seconds": int(duration.total_seconds()), "planned_start_time": start_at, "timezone": "GMT"}


def _planned_duration(change: Mapping[str, Any]) -> timedelta | None:
    start_date, end_date = change.get("start_date"), change.get("end_date")
    return min(end_date - start_date, LONGEST_DURATION) if start_date and end_date and start_date < end_date else None


def _started(kind: str, request: Mapping[str, Any], who: Caller, change: str | None, status: int = 202) -> Response:
    return _committed(start(kind, request, who, change=change), who, status)


def _committed(worker: str, who: Caller, status: int = 202) -> Response:
    response = worker_response(worker, who, status)
    # Last, so that a call that fails while its response is built has written nothing.
    commit()
    return response


def _require_visible(sys_id: str) -> None:
    """Check that the caller may read a change, within the limits of reading changes. Raises `RecordNotFound`."""
    calls.require_record(get_table(CHANGE), reader(), sys_id)


def _row(table: Table, who: Caller, sys_id: str) -> dict[str, Any]:
    names = tuple(table.columns)
    return dict(zip(names, get_row(table, who, sys_id, names), strict=True))


def _without_hidden(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conflict without the other change if the caller may not see that change."""
    other = record["conflicting_change"]
    # A record that the caller may not see has no name: its sys_id is shown instead.
    is_hidden = other["display_value"] == other["value"]
    return {**record, "conflicting_change": {"value": "", "display_value": ""} if is_hidden else other}


def _job_status(change: Mapping[str, Any]) -> str:
    if is_promised(change["sys_id"]):
        return JOB_STATES[WAITING]
    worker = find_latest("conflict", change["sys_id"])
    if worker is not None:
        return JOB_STATES[read_state(worker._asdict())[0]]
    return JOB_STATES[COMPLETE] if change["conflict_last_run"] else ""
