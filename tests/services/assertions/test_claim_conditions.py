"""Claim conditions: accepted values, strict types, and refusal of what is not understood."""

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.models.claim_condition import OPERATORS, VALUE_TYPES
from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.assertions.claim_conditions import (
    evaluate_conditions,
    evaluate_report_only,
    load_conditions,
)
from changegate.services.assertions.report import Report, RuleResult
from tests.support.forge import NOW, claims, forge
from tests.support.trust import key_set, policy

ABSENT = object()


def condition(operator: str, value: Any = None, value_type: str = "string", claim: str = "x", **more: Any) -> Any:
    return {"claim": claim, "operator": operator, "value_type": value_type, "value": value, "report_only": False} | more


def is_met(stored: Any, value: Any) -> bool:
    (check,) = evaluate_conditions(load_conditions([stored]), {} if value is ABSENT else {"x": value})
    assert check.reason in (None, "claim_condition_failed")
    return check.reason is None


def result_of(stored: Any, **said: Any) -> RuleResult:
    (result,) = Report(evaluate_conditions(load_conditions([stored]), said)).results
    return result


CASES = [
    (condition("equals", "123"), ["123"], [123, "1234", "12", " 123", "", True, None, ["123"], {"123": 1}, ABSENT]),
    (condition("equals", "true"), ["true"], [True, "True", 1]),
    (condition("equals", True, "boolean"), [True], ["true", 1, 1.0, "1", None, False, ABSENT]),
    (condition("equals", False, "boolean"), [False], ["false", 0, "", None, [], True, ABSENT]),
    (condition("equals", 1, "number"), [1], [True, 1.9, 1.0, "1", 2, -1, [1], ABSENT]),
    (condition("equals", 0, "number"), [0], [False, None, "", "0", [], ABSENT]),
    (condition("equals", 1.5, "number"), [1.5], [1, 2, "1.5", 1.25]),
    (condition("equals", 2**53 - 1, "number"), [2**53 - 1], [2**53, 9007199254740991.0, 2**53 - 2]),
    (condition("equals", ["a", "b"], "list"), [["a", "b"], ["b", "a"], ["a", "a", "b"]], [["a"], ["a", "b", "c"]]),
    (condition("equals", ["a", "b"], "list"), [], ["a, b", "ab", {"a": 1, "b": 2}, [], [["a"], "b"], ["a", 1], ABSENT]),
    (condition("one_of", ["a", "b"]), ["a", "b"], ["ab", "", "A", ["a"], {"a": 1}, 1, None, ABSENT]),
    (condition("one_of", [1, 2.5], "number"), [1, 2.5], [True, 2, 1.0, "1", [1], ABSENT]),
    (condition("glob", "refs/heads/*"), ["refs/heads/main"], ["refs/heads/a/b", 5, ["refs/heads/main"], ABSENT]),
    (
        condition("contains", "dev", "list"),
        [["dev"], ["a", "dev"]],
        ["dev", "developer", ["devs"], {"dev": 1}, [["dev"]]],
    ),
    (condition("exists"), ["", "a", 0, False, [], {}], [None, ABSENT]),
]


@pytest.mark.parametrize(("stored", "admitted", "refused"), CASES, ids=lambda value: None)
def test_a_condition_accepts_its_values_and_refuses_similar_ones(
    stored: Any, admitted: list[Any], refused: list[Any]
) -> None:
    assert [value for value in admitted if not is_met(stored, value)] == []
    assert [value for value in refused if is_met(stored, value)] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("stored", [case[0] for case in CASES], ids=lambda stored: f"{stored['operator']}")
@given(value=json_values)
def test_no_claim_raises_and_every_claim_can_be_shown(stored: Any, value: Any) -> None:
    result = result_of(stored, x=value)
    assert result.passed is is_met(stored, value)
    assert result.rule == "claim x"
    assert result.expected
    assert result.received is not None
    assert len(result.received) <= 200


@given(value=json_values, wanted=st.text(min_size=1) | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1))
def test_equal_values_of_different_types_are_not_equal(value: Any, wanted: Any) -> None:
    value_type = {str: "string", bool: "boolean", int: "number"}[type(wanted)]
    stored = condition("equals", wanted, value_type)
    assert is_met(stored, wanted)
    assert is_met(stored, value) is (type(value) is type(wanted) and value == wanted)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("kubernetes.io", {"kubernetes.io": "v"}),
        ("https://idp.example/role", {"https://idp.example/role": "v"}),
        ("a~1b", {"a~1b": "v"}),
        ("/plain", {"plain": "v"}),
        ("/kubernetes.io/namespace", {"kubernetes.io": {"namespace": "v"}}),
        ("/https:~1~1sts.example~1/account", {"https://sts.example/": {"account": "v"}}),
        ("/a/~01", {"a": {"~1": "v"}}),
        ("/a/0", {"a": {"0": "v"}}),
        ("/a/b/c/d/e/f/g/h", {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": "v"}}}}}}}}),
    ],
)
def test_finds_claims_by_name_and_by_pointer(claim: str, said: dict[str, Any]) -> None:
    stored = condition("equals", "v", claim=claim)
    assert result_of(stored, **said).passed
    assert result_of(stored, **said).rule == f"claim {claim}"
    assert result_of(stored, other="v").received == "absent"


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("a.b", {"a": {"b": "v"}}),
        ("a/b", {"a": {"b": "v"}}),
        ("/a/b", {"a/b": "v", "/a/b": "v"}),
        ("/a/0", {"a": ["v"]}),
        ("/a/b", {"a": "v"}),
        ("/a/b", {"a": None}),
        ("/a/b", {"a": [{"b": "v"}]}),
    ],
)
def test_a_claim_of_the_same_name_elsewhere_does_not_count(claim: str, said: dict[str, Any]) -> None:
    assert not result_of(condition("equals", "v", claim=claim), **said).passed


def test_a_member_that_is_missing_is_not_shown_as_null() -> None:
    stored = condition("equals", "v", claim="/a/b")
    assert [result_of(stored, a=said).received for said in ({}, {"b": None}, None)] == ["absent", "null", "absent"]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        5,
        "x equals y",
        {},
        condition("equals", "y", claim=""),
        condition("equals", "y", claim=5),
        condition("equals", "y", claim="/a~2"),
        condition("equals", "y", claim="/a~~01"),
        condition("not_equals", "y"),
        condition("equals", "y", "text"),
        condition("equals"),
        condition("equals", ""),
        condition("equals", 1),
        condition("equals", "1", "number"),
        condition("equals", True, "number"),
        condition("equals", 2**53, "number"),
        condition("equals", 1.0, "number"),
        condition("equals", "true", "boolean"),
        condition("equals", 1, "boolean"),
        condition("equals", [], "list"),
        condition("equals", ["a", 1], "list"),
        condition("one_of", []),
        condition("one_of", "abc"),
        condition("one_of", [True], "number"),
        condition("one_of", [True], "boolean"),
        condition("glob", ""),
        condition("glob", "a**"),
        condition("glob", "*", "number"),
        condition("contains", "y"),
        condition("contains", ["y"], "list"),
        condition("exists", "y"),
        condition(["equals"], "y"),
        condition("equals", "y", {}),
        condition("equals", "y", report_only="yes"),
        condition("equals", "y", negate=True),
    ],
    ids=str,
)
def test_a_stored_condition_that_cannot_be_understood_refuses(stored: Any) -> None:
    for value in ("y", "", 1, 1.0, 2**53, True, [], ["y"], ["a", 1], "a", None, ABSENT):
        assert not is_met(stored, value)
    assert "understood" in str(result_of(stored, x="y").expected)


@pytest.mark.parametrize(
    ("stored", "name"),
    [(condition("not_equals", "y"), "x"), (condition("equals", "y", claim=5), "condition"), (None, "condition")],
)
def test_a_condition_that_cannot_be_understood_is_named_after_its_claim(stored: Any, name: str) -> None:
    (found,) = load_conditions([stored])
    assert (found.claim, found.rule, found.is_understood) == (name, f"claim {name}", False)


@pytest.mark.parametrize("stored", [5, "x", "", {}, {"claim": "x"}, True])
def test_a_column_that_is_not_a_list_refuses(stored: Any) -> None:
    (check,) = evaluate_conditions(load_conditions(stored), {"x": "y"})
    assert check.reason == "claim_condition_failed"


def test_conditions_that_json_cannot_represent_refuse() -> None:
    assert not is_met(condition("equals", object()), "y")


@pytest.mark.parametrize("stored", [None, [], ()])
def test_without_conditions_nothing_is_checked(stored: Any) -> None:
    assert evaluate_conditions(load_conditions(stored), {"x": 1}) == []


def test_a_report_only_condition_that_is_not_understood_still_only_reports() -> None:
    newer = condition("not_equals", "y", report_only=True)
    conditions = load_conditions([newer])
    assert evaluate_conditions(conditions, {}) == []
    assert evaluate_report_only(conditions, {})[0].reason == "claim_condition_failed"


OLD_SUBJECT, NEW_SUBJECT = "repo:acme/shop:ref:refs/heads/main", "repo:acme@12/shop@34:ref:refs/heads/main"


@pytest.mark.parametrize(
    ("stored", "value", "advice"),
    [
        (condition("equals", "true"), True, "another type"),
        (condition("equals", True, "boolean"), "true", "another type"),
        (condition("equals", 1, "number"), True, "another type"),
        (condition("equals", "a"), {"a": 1}, "another type"),
        (condition("equals", "main"), "the boolean true", "too narrow"),
        (condition("equals", 1, "number"), 2, "too narrow"),
        (condition("one_of", [1, 2], "number"), 3, "too narrow"),
        (condition("one_of", [1, 2], "number"), "1", "another type"),
        (condition("contains", "dev", "list"), ["ops"], "too narrow"),
        (condition("equals", ["a"], "list"), ["b"], "too narrow"),
        (condition("equals", "a"), ABSENT, "too narrow"),
        (condition("exists"), None, "too narrow"),
        (condition("equals", OLD_SUBJECT), NEW_SUBJECT, "numbered"),
        (condition("glob", "repo:acme/shop:*"), NEW_SUBJECT, "numbered"),
        (condition("one_of", [OLD_SUBJECT, "b"]), NEW_SUBJECT, "numbered"),
        (condition("equals", "repo:acme@12/shop@34:environment:x"), NEW_SUBJECT, "too narrow"),
        (condition("glob", "repo:acme@12/shop@34:environment:*"), NEW_SUBJECT, "too narrow"),
        (condition("one_of", ["b", "repo:acme@12/shop@34:environment:x"]), NEW_SUBJECT, "too narrow"),
        ({"claim": "x", "operator": "unknown"}, "a", "too narrow"),
    ],
    ids=lambda value: None,
)
def test_advice_follows_types_and_values_and_not_the_words_of_the_report(stored: Any, value: Any, advice: str) -> None:
    assert advice in str(result_of(stored, **({} if value is ABSENT else {"x": value})).hint)


@pytest.mark.parametrize(
    ("stored", "value", "expected", "received"),
    [
        (condition("equals", "main"), "fork", "main", "fork"),
        (condition("equals", "true"), True, "true", "the boolean true"),
        (condition("equals", True, "boolean"), "true", "the boolean true", "the string true"),
        (condition("equals", 1, "number"), 1.9, "the number 1", "the number 1.9"),
        (condition("equals", ["a", "b"], "list"), ["a"], "a list of exactly a, b", 'the list ["a"]'),
        (condition("one_of", ["a", "b"]), None, "one of a, b", "null"),
        (condition("one_of", [1, 2], "number"), {}, "one of the numbers 1, 2", "an object"),
        (condition("glob", "v*"), ABSENT, "like v*", "absent"),
        (condition("contains", "dev", "list"), "dev", "a list with dev", "the string dev"),
        (condition("exists"), None, "present", "null"),
    ],
)
def test_a_refusal_shows_what_was_expected_and_received(stored: Any, value: Any, expected: str, received: str) -> None:
    result = result_of(stored, **({} if value is ABSENT else {"x": value}))
    assert (result.passed, result.reason) == (False, "claim_condition_failed")
    assert (result.expected, result.received) == (expected, received)


def verified(*stored: Any, **said: Any) -> Report:
    token = forge(payload=claims(**said))
    demands = policy(conditions=load_conditions(stored))
    return UnverifiedAssertion.parse(token).verify(demands, key_set(), now=NOW).report


def test_every_condition_must_hold() -> None:
    stored = condition("equals", "1"), condition("equals", "main", claim="ref"), condition("exists", claim="zone")
    assert not verified(*stored, x="1", ref="main", zone="eu").reason
    with pytest.raises(AssertionRefused) as refused:
        verified(*stored, x="1", ref="fork")
    report = refused.value.report
    assert isinstance(report, Report)
    assert report.reason == "claim_condition_failed"
    passed = {result.rule: result.passed for result in report.results if result.rule.startswith("claim ")}
    assert passed == {"claim x": True, "claim ref": False, "claim zone": False}


def test_a_report_only_condition_is_checked_and_refuses_nothing() -> None:
    stored = condition("equals", "1", report_only=True), condition("exists", claim="ref")
    assert not verified(*stored, x="1", ref="main").would_refuse
    report = verified(*stored, x="2", ref="main")
    assert report.reason is None
    assert report.would_refuse
    assert [(result.rule, result.passed) for result in report.results if result.only_reports] == [("claim x", False)]


def test_a_condition_is_enforced_unless_it_only_reports() -> None:
    stored = {"claim": "x", "operator": "equals", "value_type": "string", "value": "y"}
    assert is_met(stored, "y")
    assert not is_met(stored, "z")


def test_the_order_of_members_and_conditions_is_kept() -> None:
    stored = [condition("exists", claim=name) for name in "cab"]
    assert [condition.claim for condition in load_conditions(stored)] == ["c", "a", "b"]


def test_any_mapping_is_a_stored_condition() -> None:
    assert is_met(MappingProxyType(condition("equals", "y")), "y")


def test_operators_and_types_are_those_of_the_vocabulary() -> None:
    assert {stored["operator"] for stored, _, _ in CASES} == set(OPERATORS)
    assert {stored["value_type"] for stored, _, _ in CASES} == set(VALUE_TYPES)
