"""The stored approvals and decisions of a change. All functions require that the caller holds the lock of its row."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import String, func, insert, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgApprovalDecision, SysapprovalApprover
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.process_documents.versions import current_version
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import write_changes
from changegate.services.tables.writing.written_rows import insert_row

TABLE = "sysapproval_approver"
_APPROVALS, _DECISIONS = SysapprovalApprover.__table__, ChgApprovalDecision.__table__
_ROWS = Prepared(
    select(_APPROVALS)
    .where(
        _APPROVALS.c["sysapproval"] == parameter("change", String),
        _APPROVALS.c["asked_by_policy"],
        _APPROVALS.c["round"] == parameter("round"),
    )
    .order_by(_APPROVALS.c["answered_at"], _APPROVALS.c["sys_id"])
)
_OF_CHANGE = Prepared(
    select(_DECISIONS)
    .where(_DECISIONS.c["change_request"] == parameter("change", String))
    .order_by(_DECISIONS.c["sequence"])
)
_LATEST = Prepared(
    select(func.max(_DECISIONS.c["sequence"]).label("sequence")).where(
        _DECISIONS.c["change_request"] == parameter("change", String)
    )
)
_INSERT_DECISION = Prepared(insert(_DECISIONS), _DECISIONS.c.keys())
_CHANGE_OF = Prepared(
    select(_APPROVALS.c["sysapproval"]).where(_APPROVALS.c["sys_id"] == parameter("approval", String))
)


def find_change_of(approval: str) -> str | None:
    """Return the sys_id of the task that an approval is for."""
    row = _CHANGE_OF.first({"approval": approval})
    return None if row is None else row.sysapproval


def list_approvals(change: str, of_round: int) -> list[dict[str, Any]]:
    """Return the approvals that policies requested in a round, those answered first coming first."""
    rows = _ROWS.all({"change": change, "round": of_round})
    return sorted(
        (dict(zip(_APPROVALS.c.keys(), row, strict=True)) for row in rows),
        key=lambda row: (row["answered_at"] is None, row["answered_at"] or 0, row["sys_id"]),
    )


def add_approval(change: Mapping[str, Any], values: Mapping[str, Any], caller: Caller) -> str:
    """Insert an approval that a policy requests, and return its sys_id."""
    now, sys_id = utc_now(), new_ordered_sys_id()
    stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0}
    author = {"sys_created_by": caller.user_name, "sys_updated_by": caller.user_name}
    record = {"sysapproval": change["sys_id"], "document_id": change["sys_id"], "source_table": "change_request"}
    flags = {"asked_by_policy": True, "is_held": False}
    insert_row(get_table(TABLE), {"sys_id": sys_id, **stamps, **author, **record, **flags, **values})
    return sys_id


def update_approval(row: Mapping[str, Any], changes: Mapping[str, Any], caller: Caller) -> None:
    """Change an approval past its rules, with the audit trail."""
    write_changes(get_table(TABLE), dict(row), dict(changes), caller)


def withdraw(change: Mapping[str, Any], ended: Sequence[tuple[Mapping[str, Any], str]], caller: Caller) -> None:
    """Cancel approvals, each with a reason, and append that to the history of the change; given answers are voided."""
    for row, reason in ended:
        voided = {"voided_at": utc_now()} if row["answered_at"] else {}
        update_approval(row, {"state": "cancelled", "is_held": False, "void_reason": reason, **voided}, caller)
    if ended:
        shown = [{"approval": row["sys_id"], "approver": row["approver"], "reason": reason} for row, reason in ended]
        append("change_request", change["sys_id"], "withdrawn", {"approvals": shown}, actor_of(caller))


def list_decisions(change: str) -> list[dict[str, Any]]:
    """Return the decisions about a change, oldest first, with parsed facts and explanations."""
    rows = (dict(zip(_DECISIONS.c.keys(), row, strict=True)) for row in _OF_CHANGE.all({"change": change}))
    return [{**row, **{name: orjson.loads(row[name] or "{}") for name in ("facts", "explanation")}} for row in rows]


def add_decision(change: Mapping[str, Any], values: Mapping[str, Any], caller: Caller) -> None:
    """Append a decision, also to the history of the change. `facts` and `explanation` are stored as JSON."""
    now = utc_now()
    stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0}
    author = {"sys_created_by": caller.user_name, "sys_updated_by": caller.user_name}
    texts = {name: _text(values.get(name) or {}) for name in ("facts", "explanation")}
    latest = _LATEST.first({"change": change["sys_id"]})
    sequence = ((latest.sequence if latest else None) or 0) + 1
    of_change = {"change_request": change["sys_id"], "number": change["number"], "sequence": sequence}
    _INSERT_DECISION.execute({**stamps, **author, "sys_id": new_ordered_sys_id(), **of_change, **values, **texts})
    kind = "requested" if values["outcome"] == "requested" else "decided"
    facts = {"sequence": sequence, **values, "process_version": current_version()}
    append("change_request", change["sys_id"], kind, facts, actor_of(caller))


def _text(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
