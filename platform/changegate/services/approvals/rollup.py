"""The rollup: what the answers of people add up to under the rules of a policy, and why.

Pure functions of plain values. Rules are joined by AND. A rule needs at least one approval, so that nothing is approved
because no user could be asked. One rejection that counts rejects.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

NOT_REQUESTED, REQUESTED, APPROVED, REJECTED = "not requested", "requested", "approved", "rejected"
ALL, COUNT, PERCENTAGE = "all", "count", "percentage"
COUNTED_ELSEWHERE = "this person's approval already counts for another rule"
COUNTED_TWICE = "this person's approval already counts for this rule"
NOT_NEEDED = "the rule already has the approvals that it requires"


@dataclass(frozen=True, slots=True)
class Quorum:
    """A rule as it was when approvals were requested: `required` approvals, of which none can be withdrawn later."""

    sys_id: str
    required: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An approval row that a policy requested: a person's answer under a rule, or that none was given yet.

    Rows of the same `person` are of one human being, whatever accounts they use. `ignored_because` is the reason why
    the answer does not count, or None.
    """

    sys_id: str
    rule: str
    person: str
    state: str
    ignored_because: str | None = None


@dataclass(frozen=True, slots=True)
class QuorumResult:
    """The result of a rule: the answers that count, and those that do not, with the reason for each."""

    rule: Quorum
    counted: tuple[Answer, ...]
    not_counted: Mapping[str, str]

    @property
    def is_passed(self) -> bool:
        """Return whether enough approvals count. A rule that requires none is never passed."""
        return 0 < self.rule.required <= len(self.counted)


@dataclass(frozen=True, slots=True)
class Rollup:
    """The value of the field `approval` that follows, the result of each rule, and the rejections that count."""

    approval: str
    results: tuple[QuorumResult, ...]
    rejections: tuple[Answer, ...]


def required_approvals(wait_for: str, value: int | None, people: int) -> int:
    """Return how many of `people` must approve: rounded up, and at least one, even if there are fewer people."""
    if wait_for == ALL:
        return max(1, people)
    if wait_for == COUNT:
        return max(1, value or 1)
    if wait_for == PERCENTAGE:
        return max(1, math.ceil(people * (value or 0) / 100))
    return 1


def roll_up(rules: Sequence[Quorum], answers: Sequence[Answer], *, counts_person_once: bool) -> Rollup:
    """Return what the answers add up to.

    With `counts_person_once`, a person counts for one rule only; persons are assigned to rules such that as many
    required approvals as possible are given. The order of `answers` breaks ties.
    """
    by_rule = {rule.sys_id: rule for rule in rules}
    valid = [answer for answer in answers if answer.ignored_because is None and answer.rule in by_rule]
    rejections = tuple(answer for answer in valid if answer.state == REJECTED)
    approvals = [answer for answer in valid if answer.state == APPROVED]
    counted = _assign(by_rule, approvals, counts_person_once=counts_person_once)
    results = tuple(_result(rule, counted, answers) for rule in rules)
    if rejections:
        approval = REJECTED
    elif rules and all(result.is_passed for result in results):
        approval = APPROVED
    else:
        approval = REQUESTED if rules and answers else NOT_REQUESTED
    return Rollup(approval, results, rejections)


def can_be_approved(rules: Sequence[Quorum], answers: Sequence[Answer], *, counts_person_once: bool) -> bool:
    """Return whether the change is approved if everyone who is still asked approves."""
    best = roll_up(rules, _as_if_approved(answers), counts_person_once=counts_person_once)
    return best.approval == APPROVED


def find_needless(rules: Sequence[Quorum], answers: Sequence[Answer], *, counts_person_once: bool) -> list[str]:
    """Return the sys_ids of the open rows whose answers cannot change the result any more.

    These are all open rows once the change is approved or rejected, and before that the open rows of passed rules. If a
    person counts for one rule only, an open row of a passed rule is kept as long as it may free another person.
    """
    rollup = roll_up(rules, answers, counts_person_once=counts_person_once)
    still_open = [answer for answer in answers if answer.state == REQUESTED]
    if rollup.approval in {APPROVED, REJECTED}:
        return [answer.sys_id for answer in still_open]
    passed = [result.rule.sys_id for result in rollup.results if result.is_passed]
    needless: list[str] = []
    remaining = list(answers)
    most = _most_counted(rules, remaining, counts_person_once=counts_person_once)
    # All open rows of a rule at once, then those that could not go together one by one.
    of_rules = [[answer.sys_id for answer in still_open if answer.rule == sys_id] for sys_id in passed]
    for sys_ids in (*of_rules, *([sys_id] for of_rule in of_rules for sys_id in of_rule)):
        others = [answer for answer in remaining if answer.sys_id not in sys_ids]
        if len(others) < len(remaining) and _most_counted(rules, others, counts_person_once=counts_person_once) == most:
            remaining = others
            needless += sys_ids
    return needless


def _most_counted(rules: Sequence[Quorum], answers: Sequence[Answer], *, counts_person_once: bool) -> int:
    best = roll_up(rules, _as_if_approved(answers), counts_person_once=counts_person_once)
    return sum(min(len(result.counted), result.rule.required) for result in best.results)


def _as_if_approved(answers: Iterable[Answer]) -> list[Answer]:
    return [replace(answer, state=APPROVED) if answer.state == REQUESTED else answer for answer in answers]


def _assign(
    rules: Mapping[str, Quorum], approvals: Sequence[Answer], *, counts_person_once: bool
) -> dict[str, dict[str, Answer]]:
    """Return the approvals that count, by rule and person: a maximum matching of persons to required approvals."""
    counted: dict[str, dict[str, Answer]] = {sys_id: {} for sys_id in rules}
    by_person: dict[str, dict[str, Answer]] = {}
    for answer in approvals:
        by_person.setdefault(answer.person, {}).setdefault(answer.rule, answer)
    for person, of_rules in by_person.items():
        if counts_person_once:
            _place(person, by_person, rules, counted, set())
        else:
            for rule, answer in of_rules.items():
                counted[rule][person] = answer
    return counted


def _place(
    person: str,
    by_person: Mapping[str, Mapping[str, Answer]],
    rules: Mapping[str, Quorum],
    counted: dict[str, dict[str, Answer]],
    tried: set[str],
) -> bool:
    """Count a person for a rule, moving others to other rules if needed (an augmenting path); return whether it worked.

    The number of approvals that count for a rule never falls.
    """
    for sys_id, answer in by_person[person].items():
        if sys_id in tried:
            continue
        tried.add(sys_id)
        placed = counted[sys_id]
        if len(placed) < rules[sys_id].required:
            placed[person] = answer
            return True
        for other in tuple(placed):
            if _place(other, by_person, rules, counted, tried):
                del placed[other]
                placed[person] = answer
                return True
    return False


def _result(rule: Quorum, counted: Mapping[str, Mapping[str, Answer]], answers: Iterable[Answer]) -> QuorumResult:
    placed = counted[rule.sys_id]
    elsewhere = {person for other, persons in counted.items() if other != rule.sys_id for person in persons}
    not_counted = {}
    for answer in answers:
        if answer.rule != rule.sys_id:
            continue
        if answer.ignored_because is not None:
            not_counted[answer.sys_id] = answer.ignored_because
        elif answer.state == APPROVED and answer not in placed.values():
            if answer.person in placed:
                not_counted[answer.sys_id] = COUNTED_TWICE
            else:
                not_counted[answer.sys_id] = COUNTED_ELSEWHERE if answer.person in elsewhere else NOT_NEEDED
    return QuorumResult(rule, tuple(placed.values()), not_counted)
