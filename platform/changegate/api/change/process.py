"""The process of a change: its next states, and what it waits for."""

from dataclasses import asdict
from typing import Any

from flask import Response

from changegate.api.change.calls import bp
from changegate.api.change.changes import change_call
from changegate.api.envelopes import api_response
from changegate.services.process.blockers import Blocker, list_blockers
from changegate.services.process.next_states import next_states
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.registry import Table
from changegate.services.tables.values import render_value


@bp.get("/change/<sys_id>/nextstates")
def next_states_view(sys_id: str) -> Response:
    """Return the states that the change can move to, with the conditions of each transition."""
    _, change = _visible_change(sys_id)
    return api_response({"result": next_states(change)})


@bp.get("/change/<sys_id>/blockers")
def blockers_view(sys_id: str) -> Response:
    """Return what the change waits for, since when, and who can do what about it."""
    table, change = _visible_change(sys_id)
    return api_response({"result": [_rendered(table, blocker) for blocker in list_blockers(change)]})


def _visible_change(sys_id: str) -> tuple[Table, dict[str, Any]]:
    """Return the table of changes, and all values of a change that the caller may see. Raises `RecordNotFound`."""
    table, who = change_call()
    fields = tuple(table.columns)
    return table, dict(zip(fields, get_row(table, who, sys_id, fields), strict=True))


def _rendered(table: Table, blocker: Blocker) -> dict[str, Any]:
    instant = table.entries["sys_created_on"]
    times = {name: render_value(instant, getattr(blocker, name)) or None for name in ("since", "not_before")}
    return {**asdict(blocker), **times}
