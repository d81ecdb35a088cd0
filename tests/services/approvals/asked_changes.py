"""Policies, groups, and changes that wait for approvals, without the process that moves them."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from changegate.database import connection
from changegate.models import ChgApprovalDecision, SysapprovalApprover, Task
from changegate.models.base import new_sys_id
from changegate.services.access.caller import Caller
from changegate.services.approvals import requests
from changegate.services.approvals.counting import facts_of, list_open_rules
from changegate.services.approvals.rounds import Round
from changegate.services.process.changes import lock_change
from changegate.services.state_models.conditions import COMPUTED
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record, write_changes
from tests.support.people import ROOT, add_account

NEW, ASSESS, AUTHORIZE, SCHEDULED = -5, -4, -3, -2


def add(table: str, **sent: Any) -> str:
    """Create a record as the administrator, and return its sys_id."""
    return str(create_record(get_table(table), ROOT, sent)["sys_id"])


def edit(table: str, sys_id: str, caller: Caller = ROOT, **sent: Any) -> None:
    update_record(get_table(table), caller, sys_id, sent)


def remove(table: str, sys_id: str) -> None:
    delete_record(get_table(table), ROOT, sys_id)


def add_group(name: str, *users: str, **sent: Any) -> str:
    """Add a group with members."""
    group = add("sys_user_group", name=name, **sent)
    for user in users:
        add("sys_user_grmember", user=user, group=group)
    return group


def add_people(*user_names: str) -> dict[str, str]:
    return {name: add_account(name) for name in user_names}


def add_policy(*rules: dict[str, Any], state: int = ASSESS, **sent: Any) -> str:
    """Add an active policy with rules, which takes precedence over the default policy."""
    policy = add("chg_policy_approval", **{"name": f"Policy {new_sys_id()[:6]}", "state": state, "order": 10, **sent})
    for at, rule in enumerate(rules):
        add("chg_approval_def", **{"policy": policy, "name": f"Rule {at}", "order": at, **rule})
    edit("chg_policy_approval", policy, active=True)
    return policy


def of_group(group: str, **sent: Any) -> dict[str, Any]:
    """Return the fields of a rule that asks a group."""
    return {"approver_source": "group", "group": group, **sent}


def of_users(*users: str, **sent: Any) -> dict[str, Any]:
    """Return the fields of a rule that asks users."""
    return {"approver_source": "users", "users": ",".join(users), **sent}


def change_of(sys_id: str) -> dict[str, Any]:
    row = connection().execute(select(Task.__table__).where(Task.__table__.c["sys_id"] == sys_id)).one()
    return dict(row._mapping)


def write(change: str, **values: Any) -> None:
    """Write fields of a change past its rules."""
    write_changes(get_table("change_request"), change_of(change), values, ROOT)


def facts() -> dict[str, Any]:
    """Return the facts of the process for a change without tasks, approvals, and conflicts."""
    return {name: "" if entry.kind == "string" else 0 for name, entry in COMPUTED.items()}


class Outcome(NamedTuple):
    """The approval of a change, and why no user was asked."""

    approval: str
    reason: str | None


class Waiting(NamedTuple):
    """A rule that is not passed."""

    rule: str | None
    missing: int
    users: list[str]
    reason: str | None
    expired_at: datetime | None


def round_of(change: str, caller: Caller = ROOT) -> Round:
    locked = lock_change(change)
    assert locked is not None
    return Round(locked, caller)


def enter(change: str, state: int = ASSESS, caller: Caller = ROOT) -> Outcome:
    """Move a change into a state past its state model, and request its approvals; no move follows."""
    moved = write_changes(get_table("change_request"), round_of(change).change, {"state": state}, caller)
    approval = requests.on_entry(Round(moved, caller), state, facts())
    write_changes(get_table("change_request"), moved, {"approval": approval}, caller)
    return Outcome(approval, decisions_of(change)[-1]["reason"] if approval == "not requested" else None)


def decide(change: str, outcome: str, state: int = ASSESS) -> None:
    """Append a decision about a change that asked no people."""
    current = round_of(change)
    if not current.number:
        current.begin_next()
    current.decide(outcome, {"stage": state})


def waiting_for(change: str) -> list[Waiting]:
    """Return what a change waits for."""
    return [
        Waiting(
            each.rule and each.rule["name"],
            each.missing,
            [row["approver"] for row in each.opened],
            each.reason,
            each.expired_at,
        )
        for each in list_open_rules(round_of(change))
    ]


def leave(change: str, state: int = -5, reason: str = "reverted", caller: Caller = ROOT) -> None:
    """Move a change to a state without approvals, as the process does."""
    moved = write_changes(get_table("change_request"), change_of(change), {"state": state}, caller)
    requests.end_round(Round(moved, caller), reason)


def approvals_of(change: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the approvals of a change that have values in fields, in the order in which they were requested."""
    table = SysapprovalApprover.__table__
    rows = connection().execute(select(table).where(table.c["document_id"] == change).order_by(table.c["sys_id"]))
    return [row for row in (dict(row._mapping) for row in rows) if all(row[name] == fields[name] for name in fields)]


def states_of(change: str, **fields: Any) -> dict[str, str]:
    """Return the states of the approvals of a change by approver."""
    return {row["approver"]: row["state"] for row in approvals_of(change, **fields)}


def answer(change: str, caller: Caller, state: str = "approved", *, approver: str | None = None, **sent: Any) -> None:
    """Answer the open approval of the caller, or of another approver, through the Table API."""
    row = approvals_of(change, approver=approver or caller.sys_id, state="requested")[-1]
    edit("sysapproval_approver", row["sys_id"], caller, state=state, **sent)


def decisions_of(change: str) -> list[dict[str, Any]]:
    table = ChgApprovalDecision.__table__
    statement = select(table).where(table.c["change_request"] == change).order_by(table.c["sequence"])
    return [dict(row._mapping) for row in connection().execute(statement)]


def outcomes_of(change: str) -> list[str]:
    return [row["outcome"] for row in decisions_of(change)]


def counts_of(change: str) -> dict[str, int]:
    """Return the facts about the approvals of a change."""
    return facts_of(change_of(change))
