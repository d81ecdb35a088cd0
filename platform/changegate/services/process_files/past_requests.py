"""Past requests for approval, and the changes as they were then.

A change is the stored one, without the edits that its history has after the decision. Fields that the history does not
record have the values of today.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import String, func, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import RequestUnreadable
from changegate.models import ChgApprovalDecision, ChgHistory, Task
from changegate.models.base import UTCDateTime
from changegate.services.approvals.content import CHANGE
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED
from changegate.services.approvals.rounds import EDITORS
from changegate.services.history.chain import CHANGES
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import parse_text

# What a request for approval leads to.
BY_CLAIMS, REJECTED_BY_CLAIMS, ASKED, NOBODY = "approved", "rejected", "asked", "nobody"
_RESULTS = {APPROVED: BY_CLAIMS, REJECTED: REJECTED_BY_CLAIMS, REQUESTED: ASKED}
_DECIDED = frozenset({"requested", "decided"})
_DECISIONS, _TASKS, _HISTORY = ChgApprovalDecision.__table__, Task.__table__, ChgHistory.__table__
_TASK = Prepared(select(_TASKS).where(_TASKS.c["sys_id"] == parameter("change", String)))
_ENTRIES = Prepared(
    select(_HISTORY.c["seq"], _HISTORY.c["kind"], _HISTORY.c["facts"])
    .where(_HISTORY.c["subject_table"] == CHANGE, _HISTORY.c["subject_id"] == parameter("change", String))
    .order_by(_HISTORY.c["seq"])
)
_DECISION = Prepared(select(_DECISIONS).where(_DECISIONS.c["sys_id"] == parameter("decision", String)))
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request led to: the policy, the people who were asked, and why nobody was."""

    result: str
    policy: str | None
    people: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A request of the past: the change as it was then and as it is now, and what the request led to.

    `facts` are those that were read, with their values; `seq` is the number of the request in the history. `editors`
    are the governed fields that users had edited before, by user.
    """

    number: str
    stage: int
    at: datetime
    change: Row
    today: Row
    facts: Row
    verdict: Verdict
    seq: int
    round: int
    editors: Mapping[str, list[str]]


def list_past_requests(since: datetime) -> Iterator[PastRequest | None]:
    """Yield the requests since a time, the earliest first; None for one whose change was deleted."""
    first = (
        select(_DECISIONS.c["change_request"], func.min(_DECISIONS.c["sequence"]).label("sequence"))
        .group_by(_DECISIONS.c["change_request"], _DECISIONS.c["round"], _DECISIONS.c["stage"])
        .subquery()
    )
    is_first = (
        first.c["change_request"] == _DECISIONS.c["change_request"],
        first.c["sequence"] == _DECISIONS.c["sequence"],
    )
    requests = (
        select(_DECISIONS.c["sys_id"])
        .where(*is_first, _DECISIONS.c["sys_created_on"] >= parameter("since", UTCDateTime()))
        .order_by(_DECISIONS.c["sys_created_on"], _DECISIONS.c["sys_id"])
    )
    for sys_id in connection().execute(requests, {"since": since}).scalars().all():
        yield _read(_DECISION.first({"decision": sys_id}))


def _read(decision: Any) -> PastRequest | None:
    row = _TASK.first({"change": decision.change_request})
    if row is None:
        return None
    today = dict(zip(_TASKS.c.keys(), row, strict=True))
    change, seq = _as_of(today, decision.sequence)
    facts, explanation = (orjson.loads(text or "{}") for text in (decision.facts, decision.explanation))
    stage, verdict, editors = decision.stage, _verdict_of(decision, explanation), explanation.get(EDITORS, {})
    # The approval begins again whenever it is requested.
    change |= {"state": stage, "approval": NOT_REQUESTED}
    at = decision.sys_created_on
    return PastRequest(decision.number, stage, at, change, today, facts, verdict, seq, decision.round, editors)


def _verdict_of(decision: Any, explanation: Row) -> Verdict:
    people = dict.fromkeys(user for rule in explanation.get("rules", ()) for user in rule["asked"])
    result = _RESULTS.get(decision.outcome, NOBODY)
    return Verdict(result, decision.policy_name, tuple(people) if result == ASKED else (), decision.reason)


def _as_of(today: Row, sequence: int) -> tuple[dict[str, Any], int]:
    """Return a change as it was when a decision was made, and the number of the decision in the history."""
    entries = [(row.seq, row.kind, orjson.loads(row.facts)) for row in _ENTRIES.all({"change": today["sys_id"]})]
    is_decision = (seq for seq, kind, facts in entries if kind in _DECIDED and facts.get("sequence") == sequence)
    at = next(is_decision, 0)
    change = dict(today)
    for _, _, facts in reversed([entry for entry in entries if entry[0] > at]):
        changes = facts.get(CHANGES, {})
        change |= {name: _parsed(name, old) for name, (old, _) in changes.items() if name in change}
    return change, at


def _parsed(name: str, text: Any) -> Any:
    # A value is restored even if it is no longer one of the choices.
    entry = replace(get_table(CHANGE).entries[name], choices=None)
    try:
        return parse_text(name, entry, text)
    except RequestUnreadable:
        return None
