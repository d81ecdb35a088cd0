import pytest

from changegate.errors import AssertionRefused
from changegate.services.oauth.hints import find_hint
from changegate.services.oauth.report import Report


def only(expected: object, received: object) -> tuple[str | None, str | None]:
    (result,) = Report([("rule", None, expected, received)]).results
    return result.expected, result.received


def test_the_first_failure_is_the_reason() -> None:
    failures = ("b", "expired", None, None), ("c", "aud_mismatch", None, None)
    report = Report([("a", None, None, None), *failures])
    assert report.reason == "expired"
    assert report.has_passed("a")
    assert not report.has_passed("b")
    assert not report.has_passed("z")


def test_a_failure_is_raised_with_the_report() -> None:
    report = Report()
    report.require_passed()
    report.add(("a", "expired", "later", "earlier"))
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
    assert only(lambda: 5, object) != (None, None)


def test_values_are_rendered_only_when_somebody_reads_them() -> None:
    rendered = []
    report = Report([("rule", None, lambda: rendered.append(1), None)])
    assert report.reason is None
    assert not rendered
    assert report.results
    assert rendered


def test_results_are_plain_values_for_json() -> None:
    (described,) = Report([("aud", "aud_mismatch", "us", "them")]).as_dicts()
    assert described == {
        "rule": "aud",
        "passed": False,
        "expected": "us",
        "received": "them",
        "reason": "aud_mismatch",
        "hint": None,
    }


def test_is_printed_without_values() -> None:
    report = Report([("sub", "payload_invalid", None, "secret")])
    assert repr(report) == "<Report of 1 rules, reason payload_invalid>"


def test_common_mistakes_come_with_advice() -> None:
    assert "uti" in str(find_hint("jti_missing", None, None))
    assert "slash" in str(find_hint("iss_mismatch", "https://a/", "https://a"))
    assert find_hint("iss_mismatch", "https://a", "https://b") is None
    assert find_hint(None, None, None) is None
