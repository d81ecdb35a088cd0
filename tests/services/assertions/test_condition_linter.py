"""The linter: its examples are true, and it warns of conditions that accept too much or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.assertions.claim_conditions import evaluate_conditions, load_conditions
from changegate.services.assertions.condition_linter import ConditionFindings, LintFindings, lint_conditions

KINDS = {
    "repository_id": "immutable",
    "/kubernetes.io/namespace_uid": "immutable",
    "repository": "renamable",
    "ref": "renamable",
    "build_id": "run-specific",
    "sha": "immutable",
}


def condition(claim: str, operator: str, value: Any = None, value_type: str = "string", **more: Any) -> dict[str, Any]:
    stored = {"claim": claim, "operator": operator, "value_type": value_type, "value": value, "report_only": False}
    return stored | more


def lint(*stored: dict[str, Any]) -> LintFindings:
    return lint_conditions(stored, KINDS)


def one(*arguments: Any) -> ConditionFindings:
    (findings,) = lint(condition(*arguments)).conditions
    return findings


def about_all(*stored: dict[str, Any]) -> str:
    return " ".join(lint(*stored).warnings)


def admits(stored: dict[str, Any], value: Any) -> bool:
    (check,) = evaluate_conditions(load_conditions([stored]), {stored["claim"]: value})
    return check.reason is None


@pytest.mark.parametrize(
    ("stored", "admitted", "refused"),
    [
        (("x", "equals", "acme"), ['"acme"'], ['"acme-evil"']),
        (("x", "equals", "123"), ['"123"'], ['"1230"', "123"]),
        (("x", "equals", "007"), ['"007"'], ['"0070"']),
        (("x", "equals", "true"), ['"true"'], ['"true-evil"', "true"]),
        (("x", "equals", True, "boolean"), ["true"], ["false", '"true"']),
        (("x", "equals", 5, "number"), ["5"], ["6", '"5"']),
        (("x", "equals", ["a", "b"], "list"), ['["a", "b"]', '["b", "a"]'], ['["a", "b", "anything"]', '["a"]']),
        (("x", "one_of", list("abcdef")), ['"a"', '"b"', '"c"', '"d"', '"e"'], ['"a-evil"']),
        (("x", "one_of", [1, 2], "number"), ["1", "2"], ['"1"']),
        (("x", "contains", "a", "list"), ['["a"]', '["a", "anything"]', '["anything", "a"]'], ['["a-evil"]', '"a"']),
        (("x", "exists"), ['"anything"', '""', "0", "false", "[]"], ["null"]),
    ],
    ids=str,
)
def test_shows_values_that_a_condition_accepts_and_near_misses(
    stored: tuple[Any, ...], admitted: list[str], refused: list[str]
) -> None:
    findings = one(*stored)
    assert (list(findings.admits), list(findings.refuses)) == (admitted, refused)


@pytest.mark.parametrize(
    ("pattern", "admitted", "refused"),
    [
        ("repo:acme/*", "repo:acme/anything", "repo:acme-evil/anything"),
        ("repo:org*", "repo:org-evil", "repo:orgone/more"),
        ("acme/*", "acme/main", "acme-evil/anything"),
        ("refs/heads/*", "refs/heads/main", "refs/heads/one/more"),
        ("spiffe://*/ci", "spiffe://somebody-else/ci", "spiffe://anything/ci-evil"),
        ("refs/heads/main", "refs/heads/main", "refs/heads/main-evil"),
        ("a*b*c", "abc", "aone/moreb-evilc"),
    ],
)
def test_shows_values_that_a_pattern_accepts(pattern: str, admitted: str, refused: str) -> None:
    findings = one("x", "glob", pattern)
    assert json.dumps(admitted) in findings.admits
    assert json.dumps(refused) in findings.refuses


@given(st.text("aorg1/:*.-", min_size=1, max_size=16).filter(lambda text: "**" not in text))
def test_every_example_is_true(pattern: str) -> None:
    stored = condition("x", "glob", pattern)
    (findings,) = lint(stored).conditions
    assert 1 <= len(findings.admits) <= 5
    assert len(set(findings.admits)) == len(findings.admits)
    assert all(admits(stored, json.loads(value)) for value in findings.admits)
    assert 1 <= len(findings.refuses) <= 2
    assert not any(admits(stored, json.loads(value)) for value in findings.refuses)


@pytest.mark.parametrize(
    "stored", [("x", "glob", "*"), ("x", "glob", "*:*"), ("x", "glob", "*/*"), ("sub", "exists"), ("/iss", "exists")]
)
def test_warns_of_a_condition_that_accepts_everything(stored: tuple[Any, ...]) -> None:
    assert "admits everything" in one(*stored).warnings[0]


@pytest.mark.parametrize("pattern", ["repo:org*", "acme*", "refs/heads/main*", "a/*/acme*/b"])
def test_warns_of_a_name_that_others_can_extend(pattern: str) -> None:
    assert any("-evil" in warning for warning in one("x", "glob", pattern).warnings)


@pytest.mark.parametrize("pattern", ["repo:*/shop:environment:production", "*/shop", "spiffe://*/ci", "repo:*/*:x"])
def test_warns_of_a_first_name_that_is_left_open(pattern: str) -> None:
    assert any("left open" in warning for warning in one("x", "glob", pattern).warnings)


@pytest.mark.parametrize(
    "stored",
    [
        ("sub", "glob", "repo:acme/*:environment:production"),
        ("sub", "glob", "system:serviceaccount:prod:*"),
        ("ref", "glob", "refs/tags/v*"),
        ("ref", "glob", "refs/heads/release-*"),
        ("repository_id", "equals", "123"),
        ("ref_protected", "equals", "true"),
        ("groups", "contains", "deploy", "list"),
        ("zone", "exists"),
        ("sha", "equals", "f00"),
        ("email_verified", "equals", True, "boolean"),
        ("/nested/sub", "exists"),
    ],
    ids=str,
)
def test_does_not_warn_of_a_sound_condition(stored: tuple[Any, ...]) -> None:
    assert one(*stored).warnings == ()


@pytest.mark.parametrize("claim", ["jti", "/jti", "run_id", "build_id", "iat"])
def test_warns_of_a_claim_that_is_new_in_each_run(claim: str) -> None:
    assert "changes with each run" in one(claim, "equals", "1").warnings[0]
    assert one(claim, "exists").warnings == () or claim == "iat"


@pytest.mark.parametrize(
    "stored", [("ref_protected", "equals", True, "boolean"), ("project_id", "one_of", [1], "number")]
)
def test_warns_of_a_type_that_the_provider_does_not_write(stored: tuple[Any, ...]) -> None:
    assert any("as a string" in warning for warning in one(*stored).warnings)


def test_warns_of_a_word_that_may_be_a_boolean() -> None:
    assert "boolean" in one("email_verified", "equals", "true").warnings[0]


def test_warns_if_every_bound_claim_can_be_renamed() -> None:
    names = condition("repository", "equals", "acme/shop"), condition("ref", "glob", "refs/heads/*")
    assert "given up" in about_all(*names)
    assert "repository_id" in about_all(*names)
    pinned = condition("repository_id", "equals", "123")
    assert not about_all(*names, pinned)
    assert "given up" in about_all(*names, pinned | {"report_only": True})
    assert "given up" in about_all(*names, condition("repository_id", "exists"))
    assert not about_all(*names, condition("/kubernetes.io/namespace_uid", "equals", "u"))


def test_recognizes_a_claim_in_every_notation() -> None:
    assert not about_all(condition("repository", "equals", "a/b"), condition("/repository_id", "equals", "1"))


def test_does_not_warn_of_unknown_claims() -> None:
    assert lint_conditions([condition("repository", "equals", "a/b")]).warnings == ()


@pytest.mark.parametrize(
    "stored",
    [
        [("a", "equals", "1"), ("a", "equals", "2")],
        [("a", "equals", "1"), ("/a", "equals", "2")],
        [("a", "equals", "1"), ("a", "equals", 1, "number")],
        [("a", "one_of", ["1", "2"]), ("b", "exists"), ("a", "one_of", ["3", "4"])],
        [("a", "one_of", ["1", "2"]), ("a", "glob", "x*")],
        [("a", "equals", ["x"], "list"), ("a", "contains", "y", "list")],
        [("a", "glob", "x*"), ("a", "contains", "x", "list")],
        [("a", "glob", "x*"), ("a", "glob", "y*")],
        [("a", "glob", "*x"), ("a", "glob", "*y")],
    ],
    ids=str,
)
def test_warns_of_conditions_that_no_value_passes(stored: list[tuple[Any, ...]]) -> None:
    conditions = [condition(*arguments) for arguments in stored]
    assert "nothing will pass" in about_all(*conditions)
    assert not about_all(conditions[0] | {"report_only": True}, *conditions[1:])


@pytest.mark.parametrize(
    "stored",
    [
        [("a", "equals", "1"), ("b", "equals", "2")],
        [("a", "one_of", ["1", "2"]), ("a", "one_of", ["2", "3"]), ("a", "exists")],
        [("a", "glob", "x*"), ("a", "glob", "*y"), ("a", "glob", "xa*")],
        [("a", "contains", "x", "list"), ("a", "contains", "y", "list")],
    ],
    ids=str,
)
def test_does_not_warn_of_conditions_that_one_value_passes(stored: list[tuple[Any, ...]]) -> None:
    assert not about_all(*(condition(*arguments) for arguments in stored))


def test_warns_if_no_condition_is_enforced() -> None:
    only_reports = condition("zone", "equals", "eu", report_only=True)
    assert "nothing is refused" in about_all(only_reports)
    assert not about_all(only_reports, condition("zone", "exists"))
    assert not about_all()


@pytest.mark.parametrize(
    "stored", [5, {}, {"claim": "x"}, condition("x", "not_equals", "y"), condition("x", "glob", "**")]
)
def test_warns_that_a_condition_that_cannot_be_understood_accepts_nothing(stored: Any) -> None:
    findings = lint(stored, condition("zone", "exists"))
    assert findings.conditions[0].admits == ()
    assert "every token fails it" in findings.conditions[0].warnings[0]
    assert findings.conditions[1].claim == "zone"
