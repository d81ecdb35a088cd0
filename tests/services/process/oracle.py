"""An oracle of the change process, written from docs/change-process.md and docs/approvals.md.

It imports nothing of the product: where it and the product disagree, one of them is wrong.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
# States that only a site's own model has: the second one is final.
PEER_CHECK, ABANDONED = 10, 11
STATES = (NEW, ASSESS, AUTHORIZE, SCHEDULED, PEER_CHECK, IMPLEMENT, REVIEW, CLOSED, CANCELED, ABANDONED)
FINAL = frozenset({CLOSED, CANCELED, ABANDONED})
# Without approvals that an edit could void, and without people to ask.
UNBOUND = FINAL | {NEW, IMPLEMENT, REVIEW}
LOW = 4
OWN = "own"
# The moves that a caller may request. The others are automatic.
_NORMAL = {(NEW, ASSESS), (ASSESS, NEW)}
_OWN = {(SCHEDULED, PEER_CHECK), (PEER_CHECK, IMPLEMENT), (PEER_CHECK, ABANDONED), (PEER_CHECK, CANCELED)}
BY_HAND = {
    "normal": _NORMAL,
    OWN: _NORMAL | _OWN,
    "standard": {(NEW, SCHEDULED)},
    "emergency": {(NEW, AUTHORIZE), (AUTHORIZE, NEW)},
}
CANCELABLE = frozenset({NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT})
FOR_ALL_MODELS = {
    (SCHEDULED, IMPLEMENT),
    (IMPLEMENT, REVIEW),
    (REVIEW, CLOSED),
    *((each, CANCELED) for each in CANCELABLE),
}
# Possible on hold, and without anything else.
UNCONDITIONAL = {(state, CANCELED) for state in (*CANCELABLE, PEER_CHECK)} | {(PEER_CHECK, ABANDONED)}
PENDING, APPROVED, NEEDLESS, REJECTED = "requested", "approved", "not_required", "rejected"
NOT_REQUESTED = "not requested"
PLAN, RISK, GROUP = "implementation_plan", "risk", "assignment_group"
# The answer of an administrator who has approved in another state, and this administrator.
UNCOUNTED, ADMINISTRATOR = "uncounted", "admin"
PEERS, MANAGER, CAB = "peers", "manager", "cab"


@dataclass
class People:
    """Who is in which group, and which accounts cannot be asked; it changes while changes wait."""

    members: dict[str, set[str]]
    managers: dict[str, str | None]
    cab: set[str]
    # Accounts of one person: the second belongs to the first.
    twins: dict[str, str]
    absent: set[str] = field(default_factory=set)
    # Pairs of the user who delegates, and the delegate.
    delegations: set[tuple[str, str]] = field(default_factory=set)

    def eligible(self, names: Iterable[str], initiators: Collection[str]) -> set[str]:
        """Return who of these people may be asked: present, and without a part in asking for the change."""
        persons = {self.person(name) for name in initiators}
        return {name for name in names if name not in self.absent and self.person(name) not in persons}

    def person(self, name: str) -> str:
        return self.twins.get(name, name)


@dataclass
class Task:
    """A change task: who created it, and whether it is still active."""

    is_open: bool = True
    is_from_process: bool = False
    is_review: bool = False
    is_canceled: bool = False


def covers(rule: str, name: str) -> bool:
    """Return whether answers under a rule depend on a field."""
    return name in {PLAN, RISK} or (name == GROUP and rule in {PEERS, MANAGER})


@dataclass
class Stage:
    """A state that requested approvals: by which rule, from whom, and with what result."""

    rule: str
    rows: dict[str, str]
    outcome: str
    # Whether there was anybody to ask when the approvals were requested.
    asks_people: bool
    # Who has answered, by approver.
    by: dict[str, str] = field(default_factory=dict)

    @property
    def is_approved(self) -> bool:
        return APPROVED in self.rows.values()

    def covers(self, name: str) -> bool:
        """Return whether answers depend on a field: who approves under these rules follows from the group."""
        return covers(self.rule, name)


@dataclass
class Change:
    """A change as the oracle expects it."""

    people: People
    type: str
    initiators: frozenset[str]
    has_own_model: bool = False
    group: str = ""
    risk: int = 3
    is_unauthorized: bool = False
    state: int = NEW
    approval: str = NOT_REQUESTED
    on_hold: bool = False
    has_close_code: bool = False
    stages: dict[int, Stage] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    # Who was ever asked, and whose groups: their departure is followed.
    asked: set[str] = field(default_factory=set)
    # The fields that people have edited since the first request of the round.
    edited: dict[str, set[str]] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def model(self) -> str:
        return OWN if self.has_own_model else self.type

    # Moves.

    def move(self, to: int) -> bool:
        """Move by hand; return whether the product must allow it."""
        if to == self.state:
            return True
        if not self.may_move(to):
            return False
        self._enter(to)
        return True

    def may_move(self, to: int) -> bool:
        """Return whether a caller can move the change to another state now."""
        step = (self.state, to)
        if step not in BY_HAND[self.model] | FOR_ALL_MODELS:
            return False
        if step in UNCONDITIONAL:
            return True
        if self.on_hold or (to != NEW and not self.group):
            return False
        if to == IMPLEMENT:
            return self.approval == APPROVED
        if to == CLOSED:
            return self.has_close_code and not any(task.is_open for task in self.tasks) and not self._lacks_review()
        return True

    def _enter(self, state: int) -> None:
        was, self.state = self.state, state
        if state in {ASSESS, AUTHORIZE}:
            self._request(state)
            self._settle()
        elif state == NEW:
            self.stages, self.edited = {}, {}
            self.approval = self.approval if self.approval == REJECTED else NOT_REQUESTED
        elif state == SCHEDULED and was == NEW:
            self.approval = APPROVED
        elif state == IMPLEMENT:
            self.tasks += [Task(is_from_process=True), Task(is_from_process=True)]
            self._open_review()
        elif state == REVIEW:
            self.stages = {}
            self._cancel_tasks(lambda task: task.is_from_process)
            self._open_review()
        elif state in {CANCELED, ABANDONED}:
            self.on_hold, self.stages = False, {}
            self._cancel_tasks(lambda _task: True)
            self.approval = "cancelled" if self.approval == PENDING else self.approval

    def set_type(self, kind: str) -> bool:
        """Change the type, and with it the model; return whether the product must allow it."""
        if kind == self.type:
            return True
        is_possible = self.state == NEW and self.approval in {NOT_REQUESTED, REJECTED} and kind != "standard"
        if not is_possible or self.is_unauthorized:
            return False
        self.type, self.has_own_model = kind, False
        return True

    def set_unauthorized(self) -> bool:
        """State that the work was done without approval; return whether the product must allow it."""
        if self.type != "emergency":
            return False
        self.put("is_unauthorized", True, "unauthorized")
        return True

    def hold(self) -> bool:
        """Put on hold; return whether the product must allow it."""
        if self.state == NEW or self.is_final:
            return False
        self.on_hold = True
        self.edit()
        return True

    def release(self) -> bool:
        """Release from a hold, which asks those again who had not answered."""
        self.on_hold = False
        self._advance()
        self.edit()
        return True

    # Approvals.

    def waiting(self) -> list[tuple[int, str]]:
        """Return the state and the approver of each open approval."""
        return [
            (state, name)
            for state, each in sorted(self.stages.items())
            for name in sorted(each.rows)
            if each.rows[name] == PENDING
        ]

    def answer(self, approvers: Collection[str], answer: str, state: int | None = None, by: str = "") -> bool:
        """Answer the open approvals of some approvers, or that of one state; return whether this is possible."""
        rows = [row for row in self.waiting() if row[1] in approvers and state in {None, row[0]}]
        answered = []
        for stage, name in () if self.on_hold else rows:
            counts = self._may_approve(by or name, stage, self.stages[stage].rule)
            if counts or by == ADMINISTRATOR:
                self.stages[stage].rows[name] = answer if counts else UNCOUNTED
                self.stages[stage].by[name] = by or name
                answered.append(stage)
        if not answered:
            return False
        if answer == REJECTED and counts:
            self.stages, self.approval, self.edited = {}, REJECTED, {}
            self._advance()
            return True
        is_open_elsewhere = any(stage != answered[0] for stage, _ in self._needed())
        if by == ADMINISTRATOR or is_open_elsewhere:
            self._redraw()
        self._settle()
        return True

    def _needed(self) -> list[tuple[int, str]]:
        """Return the open approvals of the states that are not approved."""
        return [(state, name) for state, name in self.waiting() if not self.stages[state].is_approved]

    def may_answer_for(self, delegate: str, approver: str, state: int | None = None) -> bool:
        """Return whether a user may answer an open approval of another one."""
        rows = [row for row in self.waiting() if row[1] == approver and state in {None, row[0]}]
        may_approve = any(self._may_approve(delegate, each, self.stages[each].rule) for each, _ in rows)
        return (approver, delegate) in self.people.delegations and may_approve

    def _may_approve(self, name: str, state: int, rule: str) -> bool:
        """Return whether four eyes allow a person to approve in a state: initiators, editors, one state for each."""
        editors = {each for each, fields in self.edited.items() if any(covers(rule, one) for one in fields)}
        elsewhere = {
            each.by[approver]
            for other, each in self.stages.items()
            for approver, answer in each.rows.items()
            if other != state and rule != MANAGER and answer == APPROVED
        }
        return bool(self.people.eligible([name], self.initiators | editors | elsewhere))

    def edit(self, *names: str, by: str = "") -> None:
        """Edit fields: answers that cover them are void, and policies are selected again."""
        if self.state in UNBOUND or self.approval in {REJECTED, "cancelled"}:
            return
        is_touched = self.approval == NOT_REQUESTED
        for stage in self.stages.values():
            if by and stage.asks_people:
                self.edited.setdefault(by, set()).update(name for name in names if stage.covers(name))
            covered = [name for name, state in stage.rows.items() if state in {PENDING, APPROVED}]
            if covered and any(stage.covers(each) for each in names):
                is_touched = True
                stage.rows = {name: state for name, state in stage.rows.items() if state != APPROVED}
        if self._waits_for_anybody():
            is_touched = True
            self._request(self.state)
        else:
            self._reselect(self.stages)
        if is_touched:
            self._redraw()
        self._settle()

    def put(self, name: str, value: object, field_name: str, by: str = "") -> None:
        """Set a value that approvals depend on."""
        if getattr(self, name) != value:
            setattr(self, name, value)
            self.edit(field_name, by=by)

    def note_the_result(self) -> None:
        """Set the close code and close notes."""
        self.put("has_close_code", True, "close_code")

    def mates_of(self, name: str) -> set[str]:
        """Return the members of the groups of a user."""
        groups = (self.people.cab, *self.people.members.values())
        return {each for group in groups if name in group for each in group}

    def follow(self, names: Collection[str]) -> None:
        """Follow departures and arrivals of these people: approvals are requested from those who can be asked now."""
        if self.state in UNBOUND or self.approval in {REJECTED, "cancelled"}:
            return
        if self.approval != NOT_REQUESTED and not self.asked & {*names}:
            return
        if self._waits_for_anybody():
            self.edit()
            return
        self._reselect([state for state, each in self.stages.items() if not each.is_approved])
        self._redraw()
        self._settle()

    def _waits_for_anybody(self) -> bool:
        """Return whether there was nobody to ask when the change entered its state."""
        stage = self.stages.get(self.state)
        return self.state in {ASSESS, AUTHORIZE} and (stage is None or not stage.asks_people)

    def _rule_in(self, state: int) -> str:
        if state == ASSESS:
            return PEERS
        manager = self.people.managers[self.group]
        is_for_manager = self.type == "normal" and self.risk == LOW and manager and manager not in self.people.absent
        return MANAGER if is_for_manager else CAB

    def _eligible(self, rule: str, state: int) -> set[str]:
        manager = self.people.managers[self.group]
        names = {PEERS: self.people.members[self.group], MANAGER: {manager} if manager else set(), CAB: self.people.cab}
        return {name for name in names[rule] if self._may_approve(name, state, rule)}

    def _request(self, state: int) -> None:
        rule = self._rule_in(state)
        asked = self._eligible(rule, state)
        self.asked |= asked
        given = {
            name: each.by[name]
            for each in self.stages.values()
            for name, answer in each.rows.items()
            if answer == APPROVED and name in asked and rule == MANAGER
        }
        rows = {name: APPROVED if name in given else PENDING for name in asked}
        self.stages[state] = Stage(rule, rows, PENDING if asked else NOT_REQUESTED, bool(asked), given)

    def _reselect(self, stages: Iterable[int]) -> None:
        """Request approvals again where another policy applies now, or where there was nobody to ask."""
        for state in list(stages):
            if self.stages[state].rule != self._rule_in(state) or not self.stages[state].asks_people:
                del self.stages[state]
                self._request(state)

    def _redraw(self) -> None:
        """Request the open approvals from those who can be asked now, and from fewer people if that is enough."""
        for state, stage in self.stages.items():
            if stage.is_approved or not stage.asks_people:
                continue
            eligible = self._eligible(stage.rule, state)
            stage.rows = {name: state for name, state in stage.rows.items() if state != PENDING or name in eligible}
            is_enough = PENDING in stage.rows.values() or eligible - stage.rows.keys()
            fresh = eligible - stage.rows.keys() if is_enough else eligible
            stage.rows |= dict.fromkeys(fresh, PENDING)
            self.asked |= fresh
            stage.outcome = PENDING if PENDING in stage.rows.values() else NOT_REQUESTED

    def _settle(self) -> None:
        """Drop the requests that are no longer needed, and move on automatically once every state's are given."""
        if not self.stages:
            return
        for stage in self.stages.values():
            if stage.is_approved:
                stage.rows = {name: NEEDLESS if state == PENDING else state for name, state in stage.rows.items()}
                stage.outcome = APPROVED
            elif stage.outcome == APPROVED:
                stage.outcome = PENDING
        outcomes = {stage.outcome for stage in self.stages.values()}
        self.approval = NOT_REQUESTED if NOT_REQUESTED in outcomes else PENDING if PENDING in outcomes else APPROVED
        self._advance()

    def _advance(self) -> None:
        """Make the automatic move that follows a decision."""
        if self.on_hold or self.state not in {ASSESS, AUTHORIZE, SCHEDULED}:
            return
        if self.approval == REJECTED:
            self._enter(NEW)
        elif self.approval == APPROVED and self.state == ASSESS:
            self._enter(AUTHORIZE)
        elif self.approval == APPROVED and self.state == AUTHORIZE:
            self._enter(REVIEW if self.is_unauthorized else SCHEDULED)

    # Tasks.

    def close_task(self, task: Task, *, is_canceled: bool = False) -> None:
        """Close or cancel a task; after the last one that is no review, a change in Implement moves on."""
        task.is_open, task.is_canceled = False, is_canceled
        if self.state == IMPLEMENT and not self.on_hold and all(each.is_review for each in self.tasks if each.is_open):
            self._enter(REVIEW)

    def _lacks_review(self) -> bool:
        is_due = self.type == "emergency" or self.is_unauthorized
        return is_due and all(task.is_canceled for task in self.tasks if task.is_review)

    def _open_review(self) -> None:
        if self._lacks_review():
            self.tasks.append(Task(is_review=True))

    def _cancel_tasks(self, is_concerned: Callable[[Task], bool]) -> None:
        for task in self.tasks:
            if task.is_open and is_concerned(task):
                task.is_open, task.is_canceled = False, True
