"""The details of an approval: what it covers, who else is asked, earlier answers, and what has changed since these.

Callers who may see an approval see these details, also if they may not read the change.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import String, or_, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.models import SysapprovalApprover, SysUser, Task
from changegate.services.access.caller import Caller
from changegate.services.approvals.answers import why_unanswerable
from changegate.services.approvals.content import changed_fields, describe_differences, find_content, texts_of
from changegate.services.approvals.counting import list_open_rules
from changegate.services.approvals.delegation import find_delegated
from changegate.services.approvals.rollup import REQUESTED
from changegate.services.approvals.rounds import TABLE, Round, Row
from changegate.services.conflicts.detection import count_conflicts
from changegate.services.process.changes import find_change
from changegate.services.process.freezes import FREEZES, PLANNED, freeze_facts
from changegate.services.schedules.freezes import FrozenSpan
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.registry import get_table
from changegate.services.users.roles import ADMIN

MOST_EARLIER = 20
_APPROVALS = SysapprovalApprover.__table__
_ANSWERED = Prepared(
    select(_APPROVALS)
    .where(_APPROVALS.c["sysapproval"] == parameter("change", String), _APPROVALS.c["answered_at"].is_not(None))
    .order_by(_APPROVALS.c["answered_at"].desc(), _APPROVALS.c["sys_id"])
    .limit(MOST_EARLIER)
)
_TASKS, _APPROVERS, _REQUESTERS = Task.__table__, SysUser.__table__.alias(), SysUser.__table__.alias()
_WAITING = (
    select(
        *(_APPROVALS.c[name] for name in ("sys_id", "approver", "stage", "sys_created_on")),
        *(_TASKS.c[name] for name in ("number", "short_description", "start_date", "end_date", "risk", "requested_by")),
        _APPROVERS.c["name"].label("approver_name"),
        _REQUESTERS.c["name"].label("requester_name"),
    )
    .join(_TASKS, _TASKS.c["sys_id"] == _APPROVALS.c["sysapproval"])
    .join(_APPROVERS, _APPROVERS.c["sys_id"] == _APPROVALS.c["approver"])
    .outerjoin(_REQUESTERS, _REQUESTERS.c["sys_id"] == _TASKS.c["requested_by"])
    .where(_APPROVALS.c["state"] == REQUESTED, _APPROVALS.c["asked_by_policy"])
    .order_by(_APPROVALS.c["sys_created_on"].desc(), _APPROVALS.c["sys_id"].desc())
)


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """An answer that was given about a change, and a sentence for each covered field that has changed since."""

    row: Row
    differences: Sequence[str]


class AskedChange:
    """A change about which people are asked, as a caller who may see one of its approvals sees it."""

    def __init__(self, change: Row, caller: Caller) -> None:
        self.change, self.caller = change, caller
        self.round = Round(change, caller)

    @cached_property
    def answers(self) -> list[EarlierAnswer]:
        """The latest answers, also those of earlier rounds, newest first; each person's answer once."""
        rows = (dict(zip(_APPROVALS.c.keys(), row, strict=True)) for row in _ANSWERED.all({"change": self.sys_id}))
        # An approval that was accepted in a later state is a copy with the same time.
        given = {(row["answered_by"], row["answered_at"]): row for row in reversed([*rows])}
        return [EarlierAnswer(row, self.differences_since(row["content_hash"])) for row in reversed(given.values())]

    @property
    def sys_id(self) -> str:
        """The sys_id of the change."""
        return str(self.change["sys_id"])

    @cached_property
    def missing(self) -> Mapping[tuple[int, str], int]:
        """The number of approvals that are missing, by state and rule."""
        opened = list_open_rules(self.round)
        return {(each.stage.state, each.rule["rule"]): each.missing for each in opened if each.rule is not None}

    @cached_property
    def conflicts(self) -> int:
        """The number of other changes that are planned at the same time."""
        return count_conflicts(self.change)

    @cached_property
    def freezes(self) -> Sequence[FrozenSpan]:
        """The freezes that cover the planned window and are not overridden."""
        spans: Mapping[str, Sequence[FrozenSpan]] = freeze_facts(self.change)[FREEZES]
        return spans[PLANNED]

    def differences_since(self, content_hash: str | None) -> list[str]:
        """Return a sentence for each field of a content that has another value now."""
        before = find_content(content_hash)
        if before is None:
            return []
        present = self.round.content(before)
        changed = changed_fields(before, present)
        return describe_differences(*({name: each[name] for name in changed} for each in (before, present)))


class ApprovalDetails:
    """An approval with what its approver needs to know; `asked` is None if its change does not exist any more."""

    def __init__(self, row: Row, asked: AskedChange | None) -> None:
        self.row, self.asked = row, asked
        self.stage = asked.round.stages.get(row["stage"]) if asked and row["round"] == asked.round.number else None
        self.rule = self.stage.rule_of(row) if self.stage else None

    @property
    def covered(self) -> Mapping[str, str]:
        """The texts of the covered fields as they are for an open approval, or were when it was answered."""
        return texts_of(find_content(self.row["content_hash"]) or {})

    @property
    def others(self) -> list[Row]:
        """The other approvals that were requested in the same state and are not void."""
        rows = self.asked.round.rows if self.asked and self.stage else ()
        return [
            row
            for row in rows
            if row["stage"] == self.row["stage"] and row["sys_id"] != self.row["sys_id"] and row["voided_at"] is None
        ]

    @property
    def missing(self) -> int:
        """The number of approvals that the rule still requires."""
        return self.asked.missing.get((self.row["stage"], self.row["approval_def"]), 0) if self.asked else 0

    @property
    def refusal(self) -> str | None:
        """Why the caller cannot answer, as a part of a sentence, or None if they can."""
        if self.asked is None:
            return "its change does not exist any more"
        if not self.row["asked_by_policy"]:
            caller = self.asked.caller
            may_answer = caller.sys_id == self.row["approver"] or ADMIN in caller.roles
            return None if may_answer else "it is requested from another user"
        return why_unanswerable(self.row, self.asked.round)

    @property
    def people(self) -> Collection[str]:
        """The users whom the details name."""
        earlier = (each.row for each in self.asked.answers) if self.asked else ()
        rows = (self.row, *self.others, *earlier)
        requester = (self.asked.change["requested_by"],) if self.asked else ()
        named = (*requester, *(row[name] for row in rows for name in ("approver", "answered_by")))
        return {sys_id for sys_id in named if sys_id}


def get_details(sys_id: str, caller: Caller) -> ApprovalDetails:
    """Return the details of an approval. Raises `RecordNotFound` if the caller may not see it."""
    table = get_table(TABLE)
    names = tuple(table.columns)
    row: dict[str, Any] = dict(zip(names, get_row(table, caller, sys_id, names), strict=True))
    change = find_change(row["sysapproval"]) if row["sysapproval"] else None
    return ApprovalDetails(row, AskedChange(change, caller) if change else None)


def list_waiting(change: Row, caller: Caller) -> list[ApprovalDetails]:
    """Return the approvals of a change that wait for the caller's own answer, or for one as a delegate."""
    asked = AskedChange(change, caller)
    users, approvals = find_delegated(caller.sys_id)
    rows = [
        row
        for row in asked.round.rows
        if row["state"] == REQUESTED and (row["approver"] in {caller.sys_id, *users} or row["sys_id"] in approvals)
    ]
    return [each for each in (ApprovalDetails(row, asked) for row in rows) if each.refusal is None]


def list_waiting_for(caller: Caller, most: int) -> list[Row]:
    """Return the approvals that wait for the caller's own answer, or for one as a delegate, the newest first.

    Each has facts of its change, also for callers who may not read the change.
    """
    users, approvals = find_delegated(caller.sys_id)
    is_asked = _APPROVALS.c["approver"].in_({caller.sys_id, *users})
    rows = connection().execute(
        _WAITING.where(or_(is_asked, _APPROVALS.c["sys_id"].in_(approvals)) if approvals else is_asked).limit(most)
    )
    found = (row._asdict() for row in rows)
    # A delegate does not see what they may not answer.
    return [
        each
        for each in found
        if each["approver"] == caller.sys_id or get_details(each["sys_id"], caller).refusal is None
    ]
