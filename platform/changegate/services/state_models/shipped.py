"""The shipped state models: normal, standard, and emergency (docs/change-process.md).

They are read-only rows, which `changegate prepare` brings up to date. A site copies a model and changes the copy.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update

from changegate.database import connection
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.state_models.stored import (
    CONDITIONS,
    MODELS,
    STATES,
    TRANSITIONS,
    insert_rows,
    new_version,
)
from changegate.services.tables.dictionary import sys_id_of

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
READ_ONLY = "read"
_GROUP = "assignment_group"
LABELS = {
    NEW: ("New", ""),
    ASSESS: ("Assess", _GROUP),
    AUTHORIZE: ("Authorize", _GROUP),
    SCHEDULED: ("Scheduled", _GROUP),
    IMPLEMENT: ("Implement", _GROUP),
    REVIEW: ("Review", _GROUP),
    CLOSED: ("Closed", f"{_GROUP},close_code,close_notes"),
    CANCELED: ("Canceled", ""),
}
# Name, encoded query, and a sentence that explains how to satisfy it.
CONDITION_TEXTS = {
    "released": ("Not On hold", "on_hold!=true", "Release the change from hold: set on_hold to false."),
    "approved": ("Approved", "approval=approved", "Wait until the people whose approval was requested have approved."),
    "rejected": ("Rejected", "approval=rejected", "Only a rejection makes this move."),
    "approvals_hold": (
        "No approval is missing",
        "approvalINapproved,not requested^approval.missing=0",
        "Wait until the approvals that were requested again are given.",
    ),
    "template": (
        "Created from an active standard change template",
        "std_change_producer_versionISNOTEMPTY^template.active=1",
        "Create the change from an active standard change template, or choose a type that people approve.",
    ),
    "no_planned_freeze": (
        "No freeze in the planned window",
        "freeze.planned=0",
        "Plan the change outside of the freeze, wait for its end, or have it overridden.",
    ),
    "no_freeze": ("No freeze now", "freeze.now=0", "Wait for the end of the freeze, or have it overridden."),
    "authorized": ("Not unauthorized", "unauthorized!=true", "An unauthorized change moves to Review instead."),
    "unauthorized": ("Unauthorized", "unauthorized=true", "Set unauthorized, if the work was done without approval."),
    "no_tasks": ("No active Change Tasks", "task.active=0", "Close or cancel the active change tasks."),
    "reviewed": (
        "Review task of an emergency or unauthorized change",
        "review.missing=0",
        "The review task is missing or canceled. Create a change task of the type review, and close it.",
    ),
    "last_task": (
        "Last Change Task closed",
        "task.active_work=0^event=task_closed",
        "Close the last active change task.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Shipped:
    """One shipped transition; `conditions` are names in `CONDITION_TEXTS`."""

    from_state: int
    to_state: int
    conditions: tuple[str, ...] = ("released",)
    is_automatic: bool = False


_ANY_TYPE = (
    _Shipped(SCHEDULED, IMPLEMENT, ("released", "approvals_hold", "no_freeze")),
    _Shipped(IMPLEMENT, REVIEW),
    _Shipped(IMPLEMENT, REVIEW, ("released", "last_task"), is_automatic=True),
    _Shipped(REVIEW, CLOSED, ("released", "no_tasks", "reviewed")),
    *(_Shipped(state, CANCELED, ()) for state in (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT)),
)
SHIPPED: Mapping[str, tuple[_Shipped, ...]] = {
    "normal": (
        _Shipped(NEW, ASSESS),
        _Shipped(ASSESS, AUTHORIZE, ("released", "approved"), is_automatic=True),
        _Shipped(ASSESS, NEW),
        _Shipped(ASSESS, NEW, ("released", "rejected"), is_automatic=True),
        _Shipped(AUTHORIZE, SCHEDULED, ("released", "approved", "no_planned_freeze"), is_automatic=True),
        _Shipped(AUTHORIZE, NEW, ("released", "rejected"), is_automatic=True),
        _Shipped(SCHEDULED, NEW, ("released", "rejected"), is_automatic=True),
        *_ANY_TYPE,
    ),
    "standard": (_Shipped(NEW, SCHEDULED, ("released", "template", "no_planned_freeze")), *_ANY_TYPE),
    "emergency": (
        _Shipped(NEW, AUTHORIZE),
        _Shipped(AUTHORIZE, REVIEW, ("released", "approved", "unauthorized"), is_automatic=True),
        _Shipped(AUTHORIZE, SCHEDULED, ("released", "approved", "authorized", "no_planned_freeze"), is_automatic=True),
        _Shipped(AUTHORIZE, NEW),
        _Shipped(AUTHORIZE, NEW, ("released", "rejected"), is_automatic=True),
        _Shipped(SCHEDULED, NEW, ("released", "rejected"), is_automatic=True),
        *_ANY_TYPE,
    ),
}


def refresh_shipped_models() -> None:
    """Store the shipped states, transitions, and conditions; models that match already are not written."""
    rows = connection().execute(select(MODELS.c["sys_id"], MODELS.c["states_version"]))
    versions = {row.sys_id: row.states_version for row in rows}
    for change_type, model in MODELS_OF_TYPES.items():
        shipped = list(_rows(change_type, model))
        version = hashlib.md5(repr([row for _, row in shipped]).encode(), usedforsecurity=False).hexdigest()
        if model in versions and versions[model] != version:
            _replace(model, shipped, version)


def _replace(model: str, rows: list[tuple[Any, dict[str, Any]]], version: str) -> None:
    # The transitions and conditions of a state are deleted with it.
    connection().execute(delete(STATES).where(STATES.c["sttrm_model"] == model))
    for table in (STATES, TRANSITIONS, CONDITIONS):
        insert_rows(table, (row for of_table, row in rows if of_table is table))
    connection().execute(update(MODELS).where(MODELS.c["sys_id"] == model).values(sys_policy=READ_ONLY))
    new_version(model, version)


def _rows(change_type: str, model: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the rows of a model with their tables; their sys_ids are the same on every instance."""
    transitions = SHIPPED[change_type]
    used = {state for each in transitions for state in (each.from_state, each.to_state)}
    ids = {state: sys_id_of("sttrm_state", change_type, str(state)) for state in used}
    for order, state in enumerate(state for state in LABELS if state in used):
        label, mandatory = LABELS[state]
        yield (
            STATES,
            {
                "sys_id": ids[state],
                "sttrm_model": model,
                "state_value": state,
                "state_label": label,
                "initial": state == NEW,
                "mandatory_fields": mandatory or None,
                "order": order,
            },
        )
    for order, each in enumerate(transitions):
        kind = "automatic" if each.is_automatic else "manual"
        sys_id = sys_id_of("sttrm_state_transition", change_type, str(each.from_state), str(each.to_state), kind)
        yield (
            TRANSITIONS,
            {
                "sys_id": sys_id,
                "sttrm_model": model,
                "name": f"{LABELS[each.from_state][0]} to {LABELS[each.to_state][0]}",
                "from_state": ids[each.from_state],
                "to_state": ids[each.to_state],
                "automatic_transition": each.is_automatic,
                "order": order,
                "active": True,
            },
        )
        yield from _condition_rows(sys_id, each.conditions)


def _condition_rows(transition: str, names: tuple[str, ...]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for order, key in enumerate(names):
        name, condition, description = CONDITION_TEXTS[key]
        yield (
            CONDITIONS,
            {
                "sys_id": sys_id_of("sttrm_transition_condition", transition, key),
                "transition": transition,
                "name": name,
                "condition": condition,
                "description": description,
                "order": order,
            },
        )
