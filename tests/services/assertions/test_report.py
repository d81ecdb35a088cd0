import pytest

from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.hints import TYPE_DIFFERS, find_hint
from changegate.services.assertions.phrases import Phrase
from changegate.services.assertions.report import Report, RuleCheck, RuleResult, read_rows


def only(expected: object, received: object) -> tuple[str | None, str | None]:
    (result,) = Report([RuleCheck("rule", None, expected, received)]).results
    return result.expected, result.received


def test_the_first_failure_is_the_reason() -> None:
    failures = RuleCheck("b", "expired", None, None), RuleCheck("c", "aud_mismatch", None, None)
    report = Report([RuleCheck("a", None, None, None), *failures])
    assert report.reason == "expired"
    assert report.has_passed("a")
    assert not report.has_passed("b")
    assert not report.has_passed("z")


def test_a_failure_is_raised_with_the_report() -> None:
    report = Report()
    report.require_passed()
    report.add(RuleCheck("a", "expired", "later", "earlier"))
    with pytest.raises(AssertionRefused) as refused:
        report.require_passed()
    assert refused.value.report is report
    assert refused.value.reason == "expired"


def test_values_are_clipped() -> None:
    assert only(None, "x" * 10_000) == (None, "x" * 200)


def test_values_are_printable() -> None:
    assert only("a\nb", "\x1b[31m\u202eevil\ud800") == ("a\ufffdb", "\ufffd[31m\ufffdevil\ufffd")


def test_values_of_any_type_are_shown() -> None:
    assert only(frozenset({"b", "a"}), ["x", 1]) == ("a, b", '["x", 1]')
    assert only(frozenset(), True) == ("nothing", "true")


def test_a_phrase_is_put_into_words_only_when_the_report_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    worded = []
    monkeypatch.setattr(Phrase, "__str__", lambda phrase: worded.append(phrase.stored[0]) or "words")
    report = Report([RuleCheck("exp", "expired", Phrase("after", 5), Phrase("instant", 4))])
    assert report.as_rows() == [["exp", "expired", ["after", 5], ["instant", 4]]]
    assert not worded
    assert report.results == [RuleResult("exp", False, "words", "words", "expired")]
    assert worded == ["after", "instant"]


def test_a_claim_that_looks_like_a_stored_phrase_is_shown_as_the_sender_wrote_it() -> None:
    assert only(None, ["after", 5]) == (None, '["after", 5]')


def test_results_are_stored_as_plain_values() -> None:
    report = Report([RuleCheck("iss", "iss_mismatch", "https://a/", "https://a"), RuleCheck("cnf", None, None, None)])
    report.add(RuleCheck("claim sha", "claim_condition_failed", "main", "the number 1", TYPE_DIFFERS))
    report.note(RuleCheck("claim ref", "claim_condition_failed", "main", "fork"))
    report.note(RuleCheck("claim job", "claim_condition_failed", "main", "the number 1", TYPE_DIFFERS))
    assert report.as_rows() == [
        ["iss", "iss_mismatch", "https://a/", "https://a"],
        ["cnf", None, None, None],
        ["claim sha", "claim_condition_failed", "main", "the number 1", False, "type_differs"],
        ["claim ref", "claim_condition_failed", "main", "fork", True],
        ["claim job", "claim_condition_failed", "main", "the number 1", True, "type_differs"],
    ]
    assert [result.passed for result in report.results] == [False, True, False, False, False]
    assert [result.only_reports for result in report.results] == [False, False, False, True, True]
    assert [result.hint_code for result in report.results] == [None, None, TYPE_DIFFERS, None, TYPE_DIFFERS]
    assert "slash" in str(report.results[0].hint)


def test_results_stored_by_a_former_release_can_be_read() -> None:
    kept = {"rule": "aud", "passed": False, "expected": "us", "received": "them", "reason": "x", "hint": "do this"}
    assert read_rows([kept]) == [RuleResult("aud", False, "us", "them", "x")]


def test_a_report_only_failure_refuses_nothing() -> None:
    report = Report([RuleCheck("iss", None, None, None)])
    assert not report.would_refuse
    report.note(RuleCheck("claim ref", "claim_condition_failed", "main", "fork"))
    report.require_passed()
    assert report.would_refuse
    assert report.reason is None


def test_is_printed_without_values() -> None:
    report = Report([RuleCheck("sub", "payload_invalid", None, "secret")])
    assert repr(report) == "<Report of 1 rules, reason payload_invalid>"


def test_common_mistakes_come_with_advice() -> None:
    assert "uti" in str(find_hint("jti_missing", None, None))
    assert "slash" in str(find_hint("iss_mismatch", "https://a/", "https://a"))
    assert "slash" not in str(find_hint("iss_mismatch", "https://a", "https://b"))
    assert find_hint(None, None, None) is None
    assert "narrow" in str(find_hint("claim_condition_failed", "main", "fork"))
    assert "another type" in str(find_hint("claim_condition_failed", "main", "the boolean true", TYPE_DIFFERS))
