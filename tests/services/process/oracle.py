"""An oracle of the change process, written from docs/change-process.md and docs/approvals.md.

It imports nothing of the product: where it and the product disagree, one of them is wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
FINAL = frozenset({CLOSED, CANCELED})
MODERATE, LOW = 3, 4
# The moves that a person or a token may ask for. The others are automatic.
BY_HAND = {
    "normal": {(NEW, ASSESS), (ASSESS, NEW)},
    "standard": {(NEW, SCHEDULED)},
    "emergency": {(NEW, AUTHORIZE), (AUTHORIZE, NEW)},
}
FOR_ALL_TYPES = {(SCHEDULED, IMPLEMENT), (IMPLEMENT, REVIEW), (REVIEW, CLOSED)}
CANCELABLE = frozenset({NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT})
HOLDABLE = frozenset({ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW})
PENDING, APPROVED, REJECTED = "requested", "approved", "rejected"


@dataclass(frozen=True)
class Crew:
    """Who is asked: the members of the assignment group, its manager, and the members of CAB Approval."""

    members: frozenset[str]
    manager: str | None
    cab: frozenset[str]


@dataclass
class Task:
    """A change task, with who created it: the process or a person."""

    is_open: bool = True
    is_from_process: bool = False


@dataclass
class Change:
    """A change as the oracle expects it."""

    type: str
    crew: Crew
    requester: str
    has_group: bool = False
    risk: int = MODERATE
    state: int = NEW
    approval: str = "not requested"
    on_hold: bool = False
    has_close_code: bool = False
    # The pending and given answers of each state that asked for approvals, in this round.
    answers: dict[int, dict[str, str]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    def move(self, to: int) -> bool:
        """Move by hand; return whether the product must allow it."""
        if to == self.state:
            return True
        if not self._may_move(to):
            return False
        self._enter(to)
        return True

    def _may_move(self, to: int) -> bool:
        if to == CANCELED:
            return self.state in CANCELABLE
        if self.on_hold or (self.state, to) not in BY_HAND[self.type] | FOR_ALL_TYPES:
            return False
        if self.state == NEW and not self.has_group:
            return False
        if (self.state, to) == (SCHEDULED, IMPLEMENT):
            return self.type == "standard" or self.approval == APPROVED
        if to == CLOSED:
            return self.has_close_code and not any(task.is_open for task in self.tasks)
        return True

    def _enter(self, state: int) -> None:
        self.state = state
        if state in {ASSESS, AUTHORIZE}:
            self._ask()
        elif state == NEW:
            self.answers, self.approval = {}, "not requested"
        elif state == IMPLEMENT:
            self.tasks += [Task(is_from_process=True), Task(is_from_process=True)]
        elif state == REVIEW:
            self._close_tasks(lambda task: task.is_from_process)
        elif state == CANCELED:
            self.on_hold = False
            self._close_tasks(lambda _task: True)
            self.answers = {}
            if self.approval == PENDING:
                self.approval = "cancelled"
        elif state == SCHEDULED and self.type == "standard":
            self.approval = APPROVED

    def _ask(self) -> None:
        asked = self._whom_to_ask() - {self.requester}
        self.answers[self.state] = dict.fromkeys(asked, PENDING)
        self.approval = PENDING if asked else "not requested"
        self._settle()

    def _whom_to_ask(self) -> frozenset[str]:
        """Return who is asked in the state, or was asked in Authorize."""
        if self.state == ASSESS:
            return self.crew.members
        manager = self.crew.manager
        if self.type == "emergency" or self.risk < LOW or manager is None:
            return self.crew.cab
        return frozenset({manager})

    def _settle(self) -> None:
        """Drop the requests that are no longer needed, and move on automatically once every state's are given."""
        if self.on_hold:
            return
        for stage, answers in self.answers.items():
            if self._is_approved(stage):
                self.answers[stage] = {name: a for name, a in answers.items() if a != PENDING}
        if not self.answers or not all(self._is_approved(stage) for stage in self.answers):
            return
        self.approval = APPROVED
        if self.state in {ASSESS, AUTHORIZE}:
            self._enter(AUTHORIZE if self.state == ASSESS else SCHEDULED)

    def _is_approved(self, stage: int) -> bool:
        """Return whether one person who was asked has approved; the manager's approval in Assess counts for both."""
        if APPROVED in self.answers[stage].values():
            return True
        manager = self.crew.manager or ""
        is_up_to_the_manager = stage == AUTHORIZE and self._whom_to_ask() == {manager}
        return is_up_to_the_manager and self.answers.get(ASSESS, {}).get(manager) == APPROVED

    def edit(self) -> None:
        """Edit the plan: those who have approved are asked again."""
        if self.state not in {ASSESS, AUTHORIZE, SCHEDULED} or self.type == "standard":
            return
        if any(APPROVED in answers.values() for answers in self.answers.values()):
            self.approval = PENDING
        self.answers = {
            stage: {name: PENDING if a == APPROVED else a for name, a in answers.items()}
            for stage, answers in self.answers.items()
        }

    def waiting(self) -> frozenset[str]:
        """Return who is asked now."""
        return frozenset(name for answers in self.answers.values() for name, a in answers.items() if a == PENDING)

    def answer(self, person: str, answer: str) -> bool:
        """Answer for oneself; return whether the product must allow it."""
        if self.on_hold or person not in self.waiting():
            return False
        for answers in self.answers.values():
            if answers.get(person) == PENDING:
                answers[person] = answer
        if answer == REJECTED:
            self.answers, self.approval, self.state = {}, REJECTED, NEW
        else:
            self._settle()
        return True

    def hold(self) -> bool:
        """Put on hold; return whether the product must allow it."""
        if self.state not in HOLDABLE:
            return False
        self.on_hold = True
        return True

    def release(self) -> bool:
        """Release from a hold, which asks those again who had not answered."""
        self.on_hold = False
        self._settle()
        return True

    def close_task(self, task: Task) -> None:
        """Close a task; after the last one, a change in Implement moves on."""
        task.is_open = False
        if self.state == IMPLEMENT and not self.on_hold and not any(self._open_tasks()):
            self._enter(REVIEW)

    def _open_tasks(self) -> Iterator[Task]:
        return (task for task in self.tasks if task.is_open)

    def _close_tasks(self, is_concerned: Callable[[Task], bool]) -> None:
        for task in self.tasks:
            if is_concerned(task):
                task.is_open = False
