"""Replaying edited policies over the requests for approval of the past: what they would have led to.

    a file ──apply──> read_policies ──rollback──> replay ──> for each request: what was decided, what would be

Nothing of it is stored. People, groups, and what no decision and no history has recorded are those of today; `Replayed`
names the facts of which this is true.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Date, select

from changegate.database import connection
from changegate.models import ChgApprovalDef, ChgPolicyApproval, Task
from changegate.models.base import UTCDateTime
from changegate.services.approvals.claims import CLAIMS, claims_of
from changegate.services.approvals.policies import (
    APPROVED,
    FACTS,
    REJECTED,
    PolicySelection,
    choose_policy,
    facts_of_policies,
)
from changegate.services.approvals.requests import plan_request
from changegate.services.approvals.rounds import Round
from changegate.services.process.facts import gather_facts
from changegate.services.process.recording import ORIGIN, RECORDED
from changegate.services.process_files.past_requests import (
    ASKED,
    BY_CLAIMS,
    NOBODY,
    REJECTED_BY_CLAIMS,
    PastRequest,
    Verdict,
    list_past_requests,
)
from changegate.services.state_models.conditions import parse_condition
from changegate.services.state_models.shipped import CANCELED, CLOSED

# How changes end, beside their close codes.
CANCELED_AFTER_START, CANCELED_BEFORE, OPEN = "canceled after the work began", "canceled before", "not ended"
_POLICIES, _RULES = ChgPolicyApproval.__table__, ChgApprovalDef.__table__
# Facts that the history of a change restores, or that never change.
_RESTORED = frozenset((*RECORDED, *ORIGIN, *CLAIMS))
# Decisions have times as texts.
_TIMES = frozenset(column.key for column in Task.__table__.c if isinstance(column.type, UTCDateTime | Date))
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Policies:
    """The active policies in their order, their rules, and the facts that their conditions need."""

    rows: Sequence[Row]
    rules: Mapping[str, Sequence[Row]]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A request with what it led to, what the edited policies would have led to, and how the change ended.

    `of_today` are the facts with values of today that decided about it.
    """

    number: str
    change: str
    stage: int
    at: datetime
    decided: Verdict
    edited: Verdict
    ended: str
    of_today: frozenset[str]

    @property
    def differs(self) -> bool:
        """Return whether the result, the policy, or the people are others."""
        then, now = self.decided, self.edited
        return (then.result, then.policy, {*then.people}) != (now.result, now.policy, {*now.people})


@dataclass(frozen=True, slots=True)
class Replay:
    """The requests of a time, and how many more there were of changes that were deleted."""

    requests: Sequence[Replayed]
    deleted: int


def read_policies() -> Policies:
    """Return the policies as they are in this transaction."""
    active = select(_POLICIES).where(_POLICIES.c["active"]).order_by(_POLICIES.c["order"], _POLICIES.c["name"])
    rules = defaultdict[str, list[Row]](list)
    for rule in connection().execute(select(_RULES).order_by(_RULES.c["order"], _RULES.c["name"])).mappings():
        rules[rule["policy"]].append(dict(rule))
    rows = [dict(row) for row in connection().execute(active).mappings()]
    conditions = (parse_condition(row["condition"] or "", FACTS) for row in rows)
    return Policies(rows, rules, frozenset(name for condition in conditions for name in condition.fields))


def replay(policies: Policies, now: datetime, days: int) -> Replay:
    """Return what policies would have led to, for each request of the last days."""
    past = list_past_requests(now - timedelta(days=days))
    replayed = [None if request is None else _replay(policies, request) for request in past]
    requests = [request for request in replayed if request is not None]
    return Replay(requests, len(replayed) - len(requests))


def _replay(policies: Policies, request: PastRequest) -> Replayed:
    change, then = request.change, request.facts
    verified = claims_of(change, request.seq)
    verified |= {name: then[name] for name in verified.keys() & then.keys()}
    facts = facts_of_policies(change, gather_facts(change, needed=policies.needed), verified)
    facts |= {name: value for name, value in then.items() if name not in _TIMES}
    models = {None, change["chg_model"]}
    rows = [row for row in policies.rows if row["state"] == request.stage and row["chg_model"] in models]
    chosen = choose_policy(rows, policies.rules.__getitem__, change, facts, verified)
    of_today = chosen.facts.keys() - then.keys() - _RESTORED
    named = (request.number, change["sys_id"], request.stage, request.at)
    edited, ended = _verdict_of(request, chosen), how_ended(request.today)
    return Replayed(*named, request.verdict, edited, ended, frozenset(of_today))


def _verdict_of(request: PastRequest, chosen: PolicySelection) -> Verdict:
    name = None if chosen.policy is None else chosen.policy["name"]
    if chosen.verdict in {APPROVED, REJECTED}:
        return Verdict(BY_CLAIMS if chosen.verdict == APPROVED else REJECTED_BY_CLAIMS, name)
    plan = plan_request(_round_of(request), request.stage, chosen)
    if plan.reason is not None:
        return Verdict(NOBODY, name, (), plan.reason)
    return Verdict(ASKED, name, tuple(dict.fromkeys(user for rule in plan.rules for user in rule["asked"])))


def _round_of(request: PastRequest) -> Round:
    """Return the round with the answers that were given before the request, as far as it is the last one."""
    current = Round(request.change)
    answered = [row for row in current.rows if row["answered_at"] and row["answered_at"] <= request.at]
    if current.number != request.round:
        current.begin_next()
        answered = []
    current.rows = answered
    current.edits = dict(request.editors)
    return current


def how_ended(change: Row) -> str:
    """Return the close code of a closed change, or how it ended otherwise."""
    if change["state"] == CLOSED:
        return change["close_code"] or "closed without a close code"
    if change["state"] == CANCELED:
        return CANCELED_AFTER_START if change["work_start"] else CANCELED_BEFORE
    return OPEN
