"""Changes: those of every type, and those of one type under a path of its own."""

from flask import Response

from changegate.api.auth import require_scope
from changegate.api.change import calls
from changegate.api.change.calls import CHANGE, REST_API, bp
from changegate.api.preconditions import if_match
from changegate.services.access.caller import Caller
from changegate.services.process.risk_requests import calculate_risk
from changegate.services.tables.queries.encoded_query import Condition
from changegate.services.tables.registry import Table, get_table

TYPES = ("normal", "emergency", "standard")
# Standard changes are created from a template.
CREATED_BY_TYPE = frozenset(TYPES) - {"standard"}


def change_call() -> tuple[Table, Caller]:
    """Return the table of changes, and the caller with the limits of this call. Raises `ScopeMissing`."""
    return get_table(CHANGE), require_scope(REST_API, CHANGE)


def list_view(kind: str | None = None) -> Response:
    """Return a page of changes."""
    return calls.list_records(*change_call(), *((Condition("type", "=", kind),) if kind else ()))


def create_view(kind: str | None = None) -> Response:
    """Create a change."""
    return calls.create(*change_call(), {"type": kind} if kind else {})


def get_view(sys_id: str, kind: str | None = None) -> Response:
    """Return a change."""
    table, who = change_call()
    _require_type(table, who, sys_id, kind)
    return calls.get_record(table, who, sys_id)


def update_view(sys_id: str, kind: str | None = None) -> Response:
    """Change fields of a change."""
    table, who = change_call()
    _require_type(table, who, sys_id, kind)
    return calls.update(table, who, sys_id)


def delete_view(sys_id: str, kind: str | None = None) -> Response:
    """Delete a change."""
    table, who = change_call()
    _require_type(table, who, sys_id, kind)
    return calls.delete(table, who, sys_id)


def calculate_risk_view(sys_id: str, kind: str | None = None) -> Response:
    """Calculate the risk of a change, also if it was explicit, and return the change."""
    table, who = change_call()
    _require_type(table, who, sys_id, kind)
    with calls.refusals(table, "updated"):
        values = calculate_risk(sys_id, who, condition=if_match())
        record = dict(zip(table.fields_for(who.permissions), values, strict=True))
        return calls.written(table, who, record, list(calls.sent_fields(table)))


def _require_type(table: Table, who: Caller, sys_id: str, kind: str | None) -> None:
    """Check that a change has the type of the path, if the path names one. Raises `RecordNotFound`."""
    if kind:
        calls.require_record(table, who, sys_id, type=kind)


def _add_paths() -> None:
    for kind in (None, *TYPES):
        path, name, values = (f"/change/{kind}", f"{kind}_", {"kind": kind}) if kind else ("/change", "", {})
        record = f"{path}/<sys_id>"
        bp.add_url_rule(path, f"{name}list", list_view, defaults=values)
        if kind is None or kind in CREATED_BY_TYPE:
            bp.add_url_rule(path, f"{name}create", create_view, defaults=values, methods=["POST"])
        bp.add_url_rule(record, f"{name}get", get_view, defaults=values)
        bp.add_url_rule(record, f"{name}update", update_view, defaults=values, methods=["PATCH"])
        bp.add_url_rule(record, f"{name}delete", delete_view, defaults=values, methods=["DELETE"])
        bp.add_url_rule(f"{record}/risk", f"{name}risk", calculate_risk_view, defaults=values, methods=["PATCH"])


_add_paths()
