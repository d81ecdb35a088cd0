"""What a change waits for: the missing conditions of its next move, who can satisfy each, and how."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import String, select

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import ChgHistory, SysUser
from changegate.services.approvals.counting import OpenRule, list_open_rules
from changegate.services.approvals.delegation import list_delegates
from changegate.services.approvals.eligibility import list_exclusions
from changegate.services.approvals.rollup import NOT_REQUESTED
from changegate.services.approvals.rounds import Round
from changegate.services.process.changes import list_active_tasks
from changegate.services.process.facts import REVIEW
from changegate.services.process.freezes import FREEZE_FACTS, list_freezes
from changegate.services.process.moves import decide_about
from changegate.services.process.recording import MOVED
from changegate.services.schedules.overrides import roles_that_override
from changegate.services.state_models.decision import Decision, Move
from changegate.services.state_models.model import TransitionCondition
from changegate.services.state_models.shipped import CANCELED, IMPLEMENT
from changegate.services.tables.values import INSTANT_FORMAT

WRITERS = tuple({"type": "role", "name": name} for name in ("itil", "sn_change_write", "change_manager", "admin"))
CHANGES, TASKS = "/api/now/table/change_request", "/api/now/table/change_task"
CHANGE_API = "/api/sn_chg_rest/change"
OVERRIDES = "/api/now/table/chg_freeze_override"
APPROVALS = "/api/now/table/sysapproval_approver"
# Who makes sure that enough users can approve a change.
MANAGERS = ({"type": "role", "name": "change_manager"}, {"type": "role", "name": "admin"})
_HISTORY = ChgHistory.__table__.c
_MOVED = Prepared(
    select(_HISTORY["sys_created_on"])
    .where(_HISTORY["subject_id"] == parameter("change"), _HISTORY["kind"] == MOVED)
    .order_by(_HISTORY["seq"].desc())
    .limit(1)
)
# Blockers of a kind come one after the other, in this order.
ORDER = ("on_hold", "field", "task", "approval", "freeze", "condition", "move")


@dataclass(frozen=True, slots=True)
class Call:
    """The request that removes a blocker. An empty text in the body stands for a value that the caller chooses."""

    method: str
    path: str
    body: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that a change waits for.

    `since` is when the change entered its state, or when the task or the approval came up. `who_can` names users,
    groups, or roles, each as {"type", "name"} and, except for roles, "sys_id". A role with a "path" sends the request
    there. `not_before` is the end of a freeze, or the planned start of an implementation or a task.
    """

    code: str
    sentence: str
    field: str | None = None
    approval: str | None = None
    task: str | None = None
    since: datetime | None = None
    who_can: tuple[Mapping[str, str], ...] = ()
    how: Call | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A change, the decision about it, and the move that it waits for."""

    change: Mapping[str, Any]
    decision: Decision
    move: Move
    # When the change entered its state.
    since: datetime


def list_blockers(change: Mapping[str, Any]) -> list[Blocker]:
    """Return what a change waits for before its next move forward; nothing for a change in a final state."""
    decision = decide_about(change)
    forward = [move for move in decision.moves if _is_forward(decision, move)]
    if not forward:
        return []
    move = min(forward, key=lambda move: (len(move.missing), move.transition.to_state))
    moved = _MOVED.first({"change": change["sys_id"]})
    since = change["sys_created_on"] if moved is None else moved.sys_created_on
    blockers = list(_blockers_of(_Waiting(change, decision, move, since)))
    return sorted(blockers, key=lambda blocker: ORDER.index(blocker.code))


def _is_forward(decision: Decision, move: Move) -> bool:
    """Return whether a move leads on: neither back to the beginning nor to Canceled."""
    return move.transition.to_state not in {CANCELED, decision.model.initial}


def _blockers_of(waiting: _Waiting) -> Iterator[Blocker]:
    if waiting.move.is_available:
        yield _pending_move(waiting)
    for condition in waiting.move.missing:
        fields = set(condition.condition.fields)
        if any(name.startswith("task.") for name in fields):
            yield from _active_tasks(waiting, condition)
        elif any(name.partition(".")[0] == "approval" for name in fields):
            yield from _missing_approvals(waiting, condition)
        elif fields <= FREEZE_FACTS:
            yield from _freezes(waiting, condition)
        elif "review.missing" in fields:
            yield _missing_review(waiting, condition)
        else:
            yield _missing_field(waiting, condition)


def _pending_move(waiting: _Waiting) -> Blocker:
    state = waiting.move.transition.to_state
    sentence = f"The change can move to {waiting.decision.model.label_of(state)}. Move it."
    planned = waiting.change["start_date"] if state == IMPLEMENT else None
    return replace(_writable(waiting, "move", sentence, "state", str(state)), not_before=_if_future(planned))


def _if_future(planned: datetime | None) -> datetime | None:
    """Return a planned time, or None if it has passed."""
    return planned if planned is not None and planned > now() else None


def _missing_field(waiting: _Waiting, condition: TransitionCondition) -> Blocker:
    name = condition.field or condition.condition.fields[0]
    if name == "on_hold":
        return _writable(waiting, "on_hold", condition.description, name, "false")
    if condition.field:
        return _writable(waiting, "field", condition.description, name, "")
    if name == "std_change_producer_version":
        # The template cannot change after the creation; another type is approved by people.
        return _writable(waiting, "condition", condition.description, "type", "normal")
    return Blocker("condition", condition.description, field=name, since=waiting.since)


def _writable(waiting: _Waiting, code: str, sentence: str, name: str, value: str) -> Blocker:
    """Return a blocker that one write of a field of the change removes."""
    how = Call("PATCH", f"{CHANGES}/{waiting.change['sys_id']}", {name: value})
    return Blocker(code, sentence, field=name, since=waiting.since, who_can=WRITERS, how=how)


def _active_tasks(waiting: _Waiting, condition: TransitionCondition) -> Iterator[Blocker]:
    body = {"state": "3", "close_code": "", "close_notes": ""}
    for task in list_active_tasks(waiting.change["sys_id"]):
        sentence = f"{condition.description} {task['number']} is active: {task['short_description'] or ''}".rstrip(": ")
        how = Call("PATCH", f"{TASKS}/{task['sys_id']}", body)
        times = {"since": task["sys_created_on"], "not_before": _if_future(task["planned_start_date"])}
        yield Blocker("task", sentence, task=task["sys_id"], who_can=WRITERS, how=how, **times)


def _missing_review(waiting: _Waiting, condition: TransitionCondition) -> Blocker:
    """Return a blocker that a new review task replaces, which must then be closed."""
    body = {"change_request": waiting.change["sys_id"], "change_task_type": REVIEW, "short_description": ""}
    how = Call("POST", TASKS, body)
    return Blocker("task", condition.description, since=waiting.since, who_can=WRITERS, how=how)


def _freezes(waiting: _Waiting, condition: TransitionCondition) -> Iterator[Blocker]:
    for each, sentence in list_freezes(condition, waiting.decision.facts):
        roles = roles_that_override(each.freeze)
        body = {"change_request": waiting.change["sys_id"], "freeze": each.freeze.sys_id, "reason": ""}
        yield Blocker(
            "freeze",
            f"{sentence} {condition.description}",
            since=max(each.start, waiting.since),
            # Without such a role, an administrator can only change or end the freeze.
            who_can=tuple({"type": "role", "name": name} for name in roles or ("admin",)),
            how=Call("POST", OVERRIDES, body) if roles else None,
            not_before=each.known_end,
        )


def _missing_approvals(waiting: _Waiting, condition: TransitionCondition) -> Iterator[Blocker]:
    current = Round(waiting.change)
    missing = [*list_open_rules(current)]
    if not missing:
        yield Blocker("approval", condition.description, field="approval", since=waiting.since)
    if any(each.expired_at for each in missing):
        yield _past_window(waiting)
    for each in missing:
        if each.expired_at is None:
            yield _missing_approval(current, each, condition)


def _past_window(waiting: _Waiting) -> Blocker:
    """Return the blocker of a change whose planned end has passed: until it has another one, no answer is valid."""
    end = f"{waiting.change['end_date']:{INSTANT_FORMAT}}"
    sentence = f"The planned end of the change was {end}. Plan a new window: set start_date and end_date."
    how = Call("PATCH", f"{CHANGES}/{waiting.change['sys_id']}", {"start_date": "", "end_date": ""})
    return Blocker("field", sentence, field="end_date", since=waiting.change["end_date"], who_can=WRITERS, how=how)


def _missing_approval(current: Round, missing: OpenRule, condition: TransitionCondition) -> Blocker:
    since = missing.stage.definition["sys_created_on"]
    is_unasked = not missing.opened and missing.stage.outcome == NOT_REQUESTED
    if missing.rule is None or is_unasked:
        sentence = f"Approval could not be requested: {missing.reason}."
        return Blocker("approval", sentence, field="approval", since=since, who_can=MANAGERS)
    count = "1 more approval" if missing.missing == 1 else f"{missing.missing} more approvals"
    sentence = f"{condition.description} {missing.rule['name']}: {count} required."
    if not missing.opened:
        sentence += f" {missing.reason}. It is requested again automatically."
        who_can = _users([row["approver"] for row in missing.uncounted])
        return Blocker("approval", sentence, field="approval", since=since, who_can=who_can)
    if missing.reason is not None:
        sentence += f" Too few users can approve: {missing.reason}."
    users, approval = [row["approver"] for row in missing.opened], missing.opened[0]["sys_id"]
    delegates = {user for row in missing.opened for user in list_delegates(row, current)}.difference(users)
    excluded = list_exclusions(current, missing.stage.state, missing.rule, delegates) if delegates else {}
    # An administrator answers for another user by the approval itself.
    administrator = {"type": "role", "name": "admin", "path": f"{APPROVALS}/{approval}"}
    who_can = (*_users([*users, *sorted(delegates - excluded.keys())]), administrator)
    how = Call("PATCH", f"{CHANGE_API}/{current.change['sys_id']}/approvals", {"state": "approved"})
    return Blocker("approval", sentence, "approval", approval, since=since, who_can=who_can, how=how)


def _users(users: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    names = _names_of(users)
    return tuple({"type": "user", "name": names[user], "sys_id": user} for user in users)


def _names_of(users: Collection[str]) -> dict[str, str]:
    if not users:
        return {}
    # Padded to a power of two, so that a few statements serve every number of users.
    listed = sorted(users)
    size = 1 << (len(listed) - 1).bit_length()
    rows = _names_statement(size).all({f"user_{at}": listed[min(at, len(listed) - 1)] for at in range(size)})
    return {row.sys_id: row.name for row in rows}


@lru_cache(maxsize=16)
def _names_statement(size: int) -> Prepared:
    listed = [parameter(f"user_{at}", String) for at in range(size)]
    return Prepared(select(SysUser.sys_id, SysUser.name).where(SysUser.sys_id.in_(listed)))
