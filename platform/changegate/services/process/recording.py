"""The history of a change: its creation, moves, edits, and deletion, and the moves and deletion of its tasks."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import Task
from changegate.services.access.caller import Caller
from changegate.services.approvals.content import ATTACHMENTS, GOVERNED_FIELDS, is_written_by_process
from changegate.services.approvals.eligibility import covered_fields
from changegate.services.approvals.rounds import Round
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import CHANGES, CREATED, Event, append, describe_beginning
from changegate.services.process_documents.versions import current_version
from changegate.services.state_models.shipped import CLOSED, IMPLEMENT, NEW, REVIEW
from changegate.services.tables.values import render_value
from changegate.services.users.user_names import users_named

CHANGE, TASK = "change_request", "change_task"
MOVED, EDITED, DEVIATED, DELETED, TASK_MOVED = "moved", "edited", "deviated", "deleted", "task_moved"
# From here on, an edit of what was approved is a deviation.
IMPLEMENTING_STATES = frozenset({IMPLEMENT, REVIEW, CLOSED})
# Fields that never change: the record, and who and what created it.
ORIGIN = (
    "number",
    "opened_by",
    "oauth_entity",
    "oauth_issuer",
    "oauth_subject",
    "source_repository",
    "source_ref",
    "source_commit",
    "source_workflow",
    "source_run",
    "source_actor",
    "source_environment",
)
# Fields that approvals depend on, and those that show how the change went.
RECORDED = (
    "short_description",
    "description",
    "state",
    "approval",
    "type",
    "chg_model",
    "risk",
    "risk_assessment",
    "risk_explanation",
    "requested_by",
    "assignment_group",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
    "change_plan",
    "risk_impact_analysis",
    "cmdb_ci",
    "business_service",
    "service_offering",
    "start_date",
    "end_date",
    "std_change_producer_version",
    "unauthorized",
    "on_hold",
    "on_hold_reason",
    "close_code",
    "close_notes",
)
Values = Mapping[str, Any]
_TASKS = Task.__table__
_CREATION = Prepared(
    select(
        *(_TASKS.c[name] for name in (*ORIGIN, *RECORDED, "sys_created_on", "sys_created_by")),
    ).where(_TASKS.c.sys_id == parameter("sys_id"))
)


def subject_of(record: Values) -> tuple[str, str]:
    """Return table and sys_id of the chain that records a change or task: a task is recorded with its change."""
    change = record.get("change_request") if record["sys_class_name"] == TASK else None
    return (CHANGE, change) if change else (record["sys_class_name"], record["sys_id"])


def record_move(before: Values, change: Values, caller: Caller, transition: str | None) -> None:
    """Append a move of a locked change, with the fields that were written together with the state.

    An automatic move has the name of its transition.
    """
    facts = {**_facts_of(before, change), "automatic": transition is not None, "transition": transition}
    facts["process_version"] = current_version()
    append(CHANGE, change["sys_id"], MOVED, facts, actor_of(caller))


def record_edits(before: Values, changes: Values, caller: Caller) -> None:
    """Append the edits of a locked change whose state stays, if fields were edited that are recorded."""
    facts = _facts_of(before, {**before, **changes})
    if facts[CHANGES]:
        append(CHANGE, before["sys_id"], DEVIATED if "deviations" in facts else EDITED, facts, actor_of(caller))


def record_item(change: Values, name: str, removed: Any, added: Any, caller: Caller) -> None:
    """Append that an affected CI or an attachment of a locked change was removed, added, or replaced (both are set)."""
    is_deviation = change["state"] in IMPLEMENTING_STATES and not (name == ATTACHMENTS and removed is None)
    facts = {CHANGES: {name: [removed, added]}, **({"deviations": [name]} if is_deviation else {})}
    append(CHANGE, change["sys_id"], DEVIATED if is_deviation else EDITED, facts, actor_of(caller))


def _facts_of(before: Values, after: Values) -> dict[str, Any]:
    """Return the recorded fields that differ, and those of them that deviate from what was approved.

    A rule may govern further fields. They are looked up only if such a field was edited after approvals were requested.
    """
    changed = {name for name in after if before[name] != after[name]}
    edited = {name for name in changed if not is_written_by_process(name)}
    governed = set(GOVERNED_FIELDS)
    if before["state"] != NEW and not edited <= governed:
        governed |= covered_fields(Round(before))
    recorded = (*RECORDED, *sorted(governed.difference(RECORDED)))
    differing = [name for name in recorded if name in changed and name != "approval"]
    old, new = (rendered(row, differing) for row in (before, after))
    facts: dict[str, Any] = {CHANGES: {name: [old.get(name), new.get(name)] for name in differing}}
    deviations = [name for name in differing if name in governed]
    return facts | ({"deviations": deviations} if deviations and before["state"] in IMPLEMENTING_STATES else {})


def record_task_move(task: Values, changes: Values, caller: Caller) -> None:
    """Append a move of a task to the history of its locked change; a task without a change has no history of moves."""
    if task["change_request"] and changes.get("state", task["state"]) != task["state"]:
        moved = {**task, **changes}
        # Not as `changes`, which are those of the change.
        facts = {"task_state": [str(task["state"]), str(moved["state"])], **rendered(moved, ("number", "close_code"))}
        append(CHANGE, task["change_request"], TASK_MOVED, {TASK: task["sys_id"], **facts}, actor_of(caller))


def record_deletion(record: Values, caller: Caller) -> None:
    """Append the deletion of a change or task."""
    facts = rendered(record, ("number", "state", "approval"))
    if record["sys_class_name"] == TASK:
        facts[TASK] = record["sys_id"]
    append(*subject_of(record), DELETED, facts, actor_of(caller))


def rendered(record: Values, names: Iterable[str]) -> dict[str, str]:
    """Return fields of a task that have a value, as the Table API shows them."""
    return {
        name: render_value(_TASKS.c[name].info["entry"], record[name]) for name in names if record[name] is not None
    }


def _describe(sys_id: str) -> Event | None:
    row = _CREATION.first({"sys_id": sys_id})
    if row is None:
        return None
    values = row._asdict()
    actor = {"user": min(users_named(row.sys_created_by), default=None), "user_name": row.sys_created_by}
    actor |= rendered(values, tuple(name for name in ORIGIN if name.startswith(("oauth_", "source_"))))
    return Event(CREATED, rendered(values, (*ORIGIN, *RECORDED)), actor, row.sys_created_on)


for _table in (CHANGE, TASK):
    describe_beginning(_table, _describe)
