"""Workers of the Change Management API, as callers poll them."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response

from changegate.api.auth import caller
from changegate.api.change.calls import CHANGE, bp, reader
from changegate.api.change.changes import change_call
from changegate.api.envelopes import api_response
from changegate.errors import RecordNotFound
from changegate.extensions import settings
from changegate.models.conflict import CONFLICT_TYPES, ERROR, WORKER_STATES
from changegate.services.access.caller import Caller
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import local_text
from changegate.services.workers.workers import read_state

WORKERS, SCHEDULES = "chg_mgt_worker", "cmn_schedule"
WORKER_PATH = "/api/sn_chg_rest/change/worker"
NO_MESSAGES: Mapping[str, list[str]] = {"errorMessages": [], "warningMessages": [], "infoMessages": []}


@bp.get("/change/worker/<sys_id>")
def worker_view(sys_id: str) -> Response:
    """Return a worker, with its outcome once it is done."""
    _, who = change_call()
    return api_response({"result": shown_worker(sys_id, who)})


def shown_worker(sys_id: str, who: Caller) -> dict[str, Any]:
    """Return a worker in the form of the API. Raises `RecordNotFound` if the caller may not see it."""
    table = get_table(WORKERS)
    names = tuple(table.columns)
    row = dict(zip(names, get_row(table, who, sys_id, names), strict=True))
    state, errors = read_state(row)
    messages = orjson.loads(row["messages"]) if row["messages"] else dict(NO_MESSAGES)
    shown = {
        "worker": {"sysId": row["sys_id"], "link": f"{settings().base_url}{WORKER_PATH}/{row['sys_id']}"},
        "request": row["request"],
        "state": {"value": state, "display_value": WORKER_STATES[str(state)]},
        "type": row["type"],
        "messages": messages | ({"errorMessages": errors} if state == ERROR else {}),
    }
    return shown | ({"payload": _payload(orjson.loads(row["payload"]))} if row["payload"] else {})


def worker_response(sys_id: str, who: Caller, status: int = 202) -> Response:
    """Return the answer of a call that has started a worker."""
    return api_response({"result": shown_worker(sys_id, who)}, status)


def _payload(stored: dict[str, Any]) -> dict[str, Any]:
    return {
        **stored,
        **({"spans": [_times(span, ("start", "end")) for span in stored["spans"]]} if "spans" in stored else {}),
        **({"rejected": [_rejected(each) for each in stored["rejected"]]} if "rejected" in stored else {}),
    }


def _rejected(stored: dict[str, Any]) -> dict[str, Any]:
    kind = {"value": stored["type"], "display_value": CONFLICT_TYPES[stored["type"]]}
    named = {"change": _named(CHANGE, stored["change"]), "schedule": _named(SCHEDULES, stored["schedule"])}
    return {**_times(stored, ("start", "end", "until")), "type": kind, **named}


def _times(stored: Mapping[str, str], names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    zone = caller().time_zone
    shown = ((name, stored[name]) for name in names)
    return {name: {"value": at, "display_value": local_text(zone, at) if zone else at} for name, at in shown}


def _named(table_name: str, sys_id: str | None) -> dict[str, str]:
    """Return a record that the caller may see by name; another one is empty, also its sys_id."""
    table = get_table(table_name)
    try:
        [name] = get_row(table, reader() if table_name == CHANGE else caller(), sys_id or "", (table.display_field,))
    except RecordNotFound:
        return {"value": "", "display_value": ""}
    return {"value": sys_id or "", "display_value": name}
