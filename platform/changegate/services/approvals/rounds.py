"""The current round of a change: its stages by state, its approvals, and the people who may not approve.

A round begins when the change leaves New. It has a stage for each state that requested approvals, such as Assess and
Authorize; `approval` of the change is approved only if every stage is. A rejection, a cancellation, and a return to New
end the round. Its approvals and decisions stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import String, func, insert, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgApprovalDecision, SysapprovalApprover
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.services.access.caller import SYSTEM_CALLER, Caller
from changegate.services.approvals.content import Content, find_content, read_content
from changegate.services.approvals.four_eyes import Initiators, editors_of, initiators_of, users_behind
from changegate.services.approvals.rollup import APPROVED, REJECTED, REQUESTED, Quorum
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.process_documents.versions import current_version
from changegate.services.state_models.shipped import ASSESS, AUTHORIZE
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import Values
from changegate.services.tables.writing.records import write_changes
from changegate.services.tables.writing.written_rows import insert_row

TABLE = "sysapproval_approver"
# States on whose entry approvals are requested.
STAGES = frozenset({ASSESS, AUTHORIZE})
CANCELLED, NOT_REQUIRED = "cancelled", "not_required"
ANSWERED = frozenset({APPROVED, REJECTED})
# Kinds of entries in the history about approvals that end.
WITHDRAWN, VOIDED, EXPIRED = "withdrawn", "voided", "expired"
# Key of an explanation: everyone whom a rule asked has left before enough of them answered.
EMPTIED = "emptied"
# Key of an explanation: the governed fields that users have edited since the first request of the round.
EDITORS = "editors"
# What a decision repeats of the one that defines its stage.
_DEFINING = ("stage", "policy", "policy_name", "policy_version", "facts", "explanation")
Row = Mapping[str, Any]
_APPROVALS, _DECISIONS = SysapprovalApprover.__table__, ChgApprovalDecision.__table__
_ROWS = Prepared(
    select(_APPROVALS)
    .where(
        _APPROVALS.c["sysapproval"] == parameter("change", String),
        _APPROVALS.c["asked_by_policy"],
        _APPROVALS.c["round"] == parameter("round"),
    )
    .order_by(_APPROVALS.c["sys_id"])
)
_OF_CHANGE = _DECISIONS.c["change_request"] == parameter("change", String)
_LATEST_ROUND = select(func.max(_DECISIONS.c["round"])).where(_OF_CHANGE).scalar_subquery()
_OF_ROUND = Prepared(
    select(_DECISIONS).where(_OF_CHANGE, _DECISIONS.c["round"] == _LATEST_ROUND).order_by(_DECISIONS.c["sequence"])
)
_INSERT_DECISION = Prepared(insert(_DECISIONS), _DECISIONS.c.keys())


@dataclass(frozen=True, slots=True)
class Stage:
    """A state in which approvals were requested: the decision that defines it, and the outcome of the latest one."""

    definition: Row
    outcome: str

    @property
    def state(self) -> int:
        """The state of the change on whose entry the approvals were requested."""
        return int(self.definition["stage"])

    @property
    def asks_people(self) -> bool:
        """Return whether people were asked; otherwise, claims have decided, or no user could be asked.

        A stage that everyone has left since then keeps its rules, so that its quorums do not fall.
        """
        return bool(self.definition["outcome"] == REQUESTED or self.definition["explanation"].get(EMPTIED))

    @property
    def rules(self) -> Sequence[Row]:
        """The rules with the approvals that they require, as they were when these were requested."""
        rules: Sequence[Row] = self.definition["explanation"].get("rules", ())
        return rules

    @property
    def quorums(self) -> list[Quorum]:
        """The rules in the form of the rollup."""
        return [Quorum(rule["rule"], rule["required"]) for rule in self.rules]

    @property
    def counts_person_once(self) -> bool:
        """Return whether a person counts for one rule only."""
        return bool(self.definition["explanation"].get("counts_person_once", True))

    def rule_of(self, row: Row) -> Row | None:
        """Return the rule under which an approval was requested."""
        return next((rule for rule in self.rules if rule["rule"] == row["approval_def"]), None)


class Round:
    """The current round of a locked change, and what a caller writes in it; everything is read once.

    `number` is 0 for a change without decisions, and `stages` are empty once the round has ended.
    """

    def __init__(self, change: Row, caller: Caller = SYSTEM_CALLER) -> None:
        self.change, self.caller = dict(change), caller
        self.number = self._sequence = 0
        self.stages: dict[int, Stage] = {}
        # The governed fields that users have edited since the first request, by user.
        self.edits: dict[str, list[str]] = {}
        self._content: dict[str, Any] = {}
        self._covered: dict[str | None, Content | None] = {}
        for row in _OF_ROUND.all({"change": change["sys_id"]}):
            decision = dict(zip(_DECISIONS.c.keys(), row, strict=True))
            parsed = {name: orjson.loads(decision[name] or "{}") for name in ("facts", "explanation")}
            self._follow(decision | parsed)

    @cached_property
    def rows(self) -> list[Values]:
        """The approvals that policies requested in the round, also those that have ended."""
        rows = _ROWS.all({"change": self.change["sys_id"], "round": self.number}) if self.number else ()
        return [dict(zip(_APPROVALS.c.keys(), row, strict=True)) for row in rows]

    @cached_property
    def initiators(self) -> Initiators:
        """The people who asked for the change."""
        return initiators_of(self.change)

    def editors(self, fields: frozenset[str]) -> Initiators:
        """Return the people who have edited some of the fields since approvals were requested."""
        edited = {user: [name for name in names if name in fields] for user, names in self.edits.items()}
        return editors_of({user: names for user, names in edited.items() if names})

    def remember_edit(self, fields: Iterable[str]) -> None:
        """Remember that the caller has edited governed fields; the next decision contains it."""
        names = {*fields}
        for user in users_behind(self.caller) if names else ():
            self.edits[user] = sorted(names.union(self.edits.get(user, ())))

    def content(self, fields: Iterable[str]) -> Content:
        """Return the present values of governed fields."""
        names = frozenset(fields)
        if missing := names - self._content.keys():
            self._content |= read_content(self.change, missing)
        return {name: self._content[name] for name in names}

    def covered_by(self, row: Row) -> Content | None:
        """Return the content that an approval covers, or None if none is stored."""
        digest = row["content_hash"]
        if digest not in self._covered:
            self._covered[digest] = find_content(digest)
        return self._covered[digest]

    def begin_next(self) -> None:
        """Begin another round; the approvals of this one stay."""
        self.number += 1
        self.stages, self.rows, self.edits = {}, [], {}

    def add(self, values: Row) -> str:
        """Request an approval, or copy one of an earlier stage; return its sys_id."""
        now, change = utc_now(), self.change["sys_id"]
        stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0}
        author = {"sys_created_by": self.caller.user_name, "sys_updated_by": self.caller.user_name}
        record = {"sysapproval": change, "document_id": change, "source_table": "change_request"}
        row = {"sys_id": new_ordered_sys_id(), "asked_by_policy": True, "round": self.number, **stamps, **author}
        self.rows.append({**dict.fromkeys(_APPROVALS.c.keys()), **row, **record, **values})
        insert_row(get_table(TABLE), self.rows[-1], self.caller)
        return str(row["sys_id"])

    def update(self, row: Values, changes: Values) -> None:
        """Change an approval past its rules, with the audit trail."""
        row |= write_changes(get_table(TABLE), dict(row), changes, self.caller)

    def end(self, ended: Iterable[tuple[Values, str]], kind: str = WITHDRAWN) -> None:
        """Cancel approvals, each with a reason, and append that to the history; given answers are void."""
        shown = []
        for row, reason in ended:
            voided_at = utc_now() if row["answered_at"] or kind != WITHDRAWN else None
            self.update(row, {"state": CANCELLED, "held_at": None, "void_reason": reason, "voided_at": voided_at})
            shown.append({"approval": row["sys_id"], "approver": row["approver"], "reason": reason})
        if shown:
            facts = {"round": self.number, "approvals": shown}
            append("change_request", self.change["sys_id"], kind, facts, actor_of(self.caller))

    def decide(self, outcome: str, values: Row, reason: str | None = None) -> None:
        """Append a decision, also to the history. `values` are those of the decision that defines the stage."""
        decision = {name: values.get(name) for name in _DEFINING}
        decision |= {"round": self.number, "outcome": outcome, "reason": reason}
        if self.edits and decision["explanation"]:
            decision["explanation"] = {**decision["explanation"], EDITORS: dict(self.edits)}
        now, self._sequence = utc_now(), self._sequence + 1
        stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0, "sys_id": new_ordered_sys_id()}
        author = {"sys_created_by": self.caller.user_name, "sys_updated_by": self.caller.user_name}
        of_change = {"change_request": self.change["sys_id"], "number": self.change["number"]}
        texts = {name: _text(decision[name] or {}) for name in ("facts", "explanation")}
        row = {**stamps, **author, **of_change, **decision, "sequence": self._sequence}
        _INSERT_DECISION.execute(row | texts)
        self._follow(row | {"explanation": decision["explanation"] or {}})
        kind = "requested" if outcome == REQUESTED else "decided"
        facts = {"sequence": self._sequence, **decision, "process_version": current_version()}
        append("change_request", self.change["sys_id"], kind, facts, actor_of(self.caller))

    def _follow(self, decision: Row) -> None:
        """Update the stages with the next decision of the round."""
        self.number, self._sequence = decision["round"], decision["sequence"]
        outcome, stage = decision["outcome"], self.stages.get(decision["stage"])
        if outcome in {REJECTED, CANCELLED}:
            self.stages.clear()
        elif stage is not None and stage.asks_people and outcome == APPROVED:
            self.stages[stage.state] = replace(stage, outcome=APPROVED)
        else:
            self.stages[decision["stage"]] = Stage(decision, outcome)
            self.edits |= decision["explanation"].get(EDITORS, {})


def is_open(row: Row) -> bool:
    """Return whether an approval waits for an answer, or will when a hold ends."""
    return bool(row["state"] == REQUESTED or row["held_at"])


def _text(value: Row) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
