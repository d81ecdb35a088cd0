"""The rollup of answers: quorums, distinct people, and what is left to ask."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.approvals.rollup import (
    COUNTED_ELSEWHERE,
    COUNTED_TWICE,
    NOT_NEEDED,
    Answer,
    Quorum,
    can_be_approved,
    find_needless,
    required_approvals,
    roll_up,
)

RULES = ("peers", "managers", "board")
PEOPLE = ("ann", "bob", "cem", "dee")
STATES = ("requested", "approved", "rejected", "not_required", "cancelled")


def answer(rule: str, person: str, state: str, ignored_because: str | None = None) -> Answer:
    return Answer(f"{rule}-{person}", rule, person, state, ignored_because)


def approval_of(rules: list[Quorum], answers: list[Answer], *, once: bool = True) -> str:
    return roll_up(rules, answers, counts_person_once=once).approval


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Quorum], list[Answer], bool]:
    """Rules, at most one row for each rule and person in any order, and whether a person counts once."""
    names = draw(st.lists(st.sampled_from(RULES), unique=True, min_size=1))
    rules = [Quorum(name, draw(st.integers(0, 3))) for name in names]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(PEOPLE)), unique=True))
    ignored = st.sampled_from((None, None, None, "the requester"))
    answers = [answer(rule, person, draw(st.sampled_from(STATES)), draw(ignored)) for rule, person in pairs]
    return rules, answers, draw(st.booleans())


def is_enough(rules: list[Quorum], answers: list[Answer], *, once: bool) -> bool:
    """Say by trying every assignment of people to rules whether each rule has its approvals."""
    valid = {(each.rule, each.person) for each in answers if each.state == "approved" and each.ignored_because is None}
    if not rules or any(rule.required < 1 for rule in rules):
        return False
    if not once:
        return all(sum(rule == each.sys_id for rule, _ in valid) >= each.required for each in rules)
    choices = [[None, *(rule for rule, whose in valid if whose == person)] for person in PEOPLE]
    return any(all(chosen.count(rule.sys_id) >= rule.required for rule in rules) for chosen in product(*choices))


@given(situations())
def test_the_rollup_agrees_with_trying_every_assignment(situation: tuple[list[Quorum], list[Answer], bool]) -> None:
    rules, answers, once = situation
    approval = approval_of(rules, answers, once=once)
    is_rejected = any(each.state == "rejected" and each.ignored_because is None for each in answers)

    assert (approval == "rejected") == is_rejected
    assert (approval == "approved") == (not is_rejected and is_enough(rules, answers, once=once))


@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_change_the_result(
    situation: tuple[list[Quorum], list[Answer], bool], random: object
) -> None:
    rules, answers, once = situation
    shuffled = answers[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert approval_of(rules, answers, once=once) == approval_of(rules, shuffled, once=once)


@given(situations())
def test_needless_answers_cannot_change_what_can_still_happen(
    situation: tuple[list[Quorum], list[Answer], bool],
) -> None:
    rules, answers, once = situation
    needless = find_needless(rules, answers, counts_person_once=once)
    rest = [each for each in answers if each.sys_id not in needless]

    assert all(each.state == "requested" for each in answers if each.sys_id in needless)
    assert len(needless) == len(set(needless))
    possible = can_be_approved(rules, answers, counts_person_once=once)
    assert can_be_approved(rules, rest, counts_person_once=once) == possible


@given(situations())
def test_every_answer_that_does_not_count_has_a_reason(situation: tuple[list[Quorum], list[Answer], bool]) -> None:
    rules, answers, once = situation
    for result in roll_up(rules, answers, counts_person_once=once).results:
        counted = {each.sys_id for each in result.counted}
        approved = {each.sys_id for each in answers if each.rule == result.rule.sys_id and each.state == "approved"}
        assert counted | set(result.not_counted) >= approved
        assert not counted & set(result.not_counted)
        assert all(result.not_counted.values())
        assert len({each.person for each in result.counted}) == len(result.counted)


@pytest.mark.parametrize(
    ("wait_for", "value", "people", "required"),
    [
        ("percentage", 100, 200, 200),
        ("first", None, 5, 1),
        ("all", None, 5, 5),
        ("count", 2, 5, 2),
        ("count", 3, 2, 3),
        ("percentage", 50, 3, 2),
        ("percentage", 1, 2, 1),
        ("percentage", 100, 3, 3),
        ("percentage", 34, 3, 2),
    ],
)
def test_percentages_are_rounded_up(wait_for: str, value: int | None, people: int, required: int) -> None:
    assert required_approvals(wait_for, value, people) == required


@pytest.mark.parametrize("wait_for", ["first", "all", "count", "percentage"])
def test_a_rule_without_people_is_never_passed(wait_for: str) -> None:
    rules = [Quorum("board", required_approvals(wait_for, 0, 0))]

    assert rules[0].required == 1
    assert approval_of(rules, []) == "not requested"
    assert not can_be_approved(rules, [], counts_person_once=True)


def test_no_rules_approve_nothing() -> None:
    assert approval_of([], []) == "not requested"
    assert approval_of([], [answer("gone", "ann", "approved")]) == "not requested"


def test_one_person_in_two_groups_counts_for_one_rule() -> None:
    rules = [Quorum("peers", 1), Quorum("managers", 1)]
    twice = [answer("peers", "ann", "approved"), answer("managers", "ann", "approved")]
    rollup = roll_up(rules, twice, counts_person_once=True)

    assert rollup.approval == "requested"
    assert rollup.results[1].not_counted == {"managers-ann": COUNTED_ELSEWHERE}
    assert approval_of(rules, twice, once=False) == "approved"


def test_people_are_assigned_so_that_the_most_rules_are_passed() -> None:
    rules = [Quorum("peers", 1), Quorum("managers", 1)]
    answers = [
        answer("peers", "ann", "approved"),
        answer("managers", "ann", "approved"),
        answer("peers", "bob", "approved"),
    ]

    for order in permutations(answers):
        rollup = roll_up(rules, order, counts_person_once=True)
        assert rollup.approval == "approved"
        assert [[each.person for each in result.counted] for result in rollup.results] == [["bob"], ["ann"]]


def test_several_people_make_room_for_another_one() -> None:
    rules = [Quorum(name, 1) for name in RULES]
    pairs = (("peers", "ann"), ("managers", "ann"), ("managers", "bob"), ("board", "bob"), ("peers", "cem"))
    rollup = roll_up(rules, [answer(*pair, "approved") for pair in pairs], counts_person_once=True)

    assert rollup.approval == "approved"
    assert [[each.person for each in result.counted] for result in rollup.results] == [["cem"], ["ann"], ["bob"]]


def test_a_second_account_of_a_person_adds_nothing() -> None:
    rows = [Answer("row-1", "peers", "ann", "approved"), Answer("row-2", "peers", "ann", "approved")]
    rollup = roll_up([Quorum("peers", 2)], rows, counts_person_once=True)

    assert rollup.approval == "requested"
    assert rollup.results[0].not_counted == {"row-2": COUNTED_TWICE}


def test_an_approval_beyond_the_quorum_is_shown_as_not_needed() -> None:
    rows = [answer("peers", "ann", "approved"), answer("peers", "bob", "approved")]
    result = roll_up([Quorum("peers", 1)], rows, counts_person_once=True).results[0]

    assert result.not_counted == {"peers-bob": NOT_NEEDED}


def test_answers_that_the_quorum_made_needless_are_found() -> None:
    rules = [Quorum("peers", 1), Quorum("board", 1)]
    rows = [
        answer("peers", "ann", "approved"),
        answer("peers", "bob", "requested"),
        answer("board", "cem", "requested"),
    ]

    assert find_needless(rules, rows, counts_person_once=True) == ["peers-bob"]


def test_a_colleague_is_still_asked_if_that_may_free_a_person_for_another_rule() -> None:
    rules = [Quorum("peers", 1), Quorum("managers", 1)]
    rows = [
        answer("peers", "ann", "approved"),
        answer("peers", "bob", "requested"),
        answer("managers", "ann", "requested"),
    ]

    assert find_needless(rules, rows, counts_person_once=True) == []
    assert find_needless(rules, rows, counts_person_once=False) == ["peers-bob"]


def test_one_person_who_is_asked_under_two_rules_cannot_pass_both() -> None:
    rules = [Quorum("peers", 1), Quorum("managers", 1)]
    rows = [answer("peers", "ann", "requested"), answer("managers", "ann", "requested")]

    assert not can_be_approved(rules, rows, counts_person_once=True)
    assert can_be_approved(rules, rows, counts_person_once=False)


@pytest.mark.parametrize("state", ["rejected", "not_required", "cancelled"])
def test_only_open_approvals_can_still_be_given(state: str) -> None:
    assert not can_be_approved([Quorum("peers", 1)], [answer("peers", "ann", state)], counts_person_once=True)


def test_no_answer_is_needless_while_one_person_has_answered_under_two_rules() -> None:
    rules = [Quorum("peers", 1), Quorum("managers", 1)]
    rows = [
        answer("peers", "ann", "approved"),
        answer("managers", "ann", "approved"),
        answer("managers", "bob", "requested"),
    ]

    assert find_needless(rules, rows, counts_person_once=True) == []
    assert find_needless(rules, rows, counts_person_once=False) == ["managers-bob"]


def test_the_needless_answers_of_all_passed_rules_are_found() -> None:
    """Also if another rule can never be passed, because one person counts for one rule."""
    rules = [Quorum(name, 1) for name in ("peers", "board", "first", "second")]
    rows = [
        *(answer(name, f"{name} a", "approved") for name in ("peers", "board")),
        *(answer(name, f"{name} b", "requested") for name in ("peers", "board")),
        *(answer(name, "ann", "requested") for name in ("first", "second")),
    ]

    assert find_needless(rules, rows, counts_person_once=True) == ["peers-peers b", "board-board b"]


def test_a_later_approval_does_not_undo_a_rejection() -> None:
    rows = [answer("peers", "ann", "rejected"), answer("peers", "bob", "approved")]

    rollup = roll_up([Quorum("peers", 1)], rows, counts_person_once=True)
    assert (rollup.approval, rollup.rejections) == ("rejected", (rows[0],))
    assert approval_of([Quorum("peers", 1)], rows[::-1]) == "rejected"
