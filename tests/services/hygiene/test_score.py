"""The score: one number, where lower means riskier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, SEVERITIES, Finding
from changegate.services.hygiene.score import score_all, score_of

NAMES = ("a", "b", "c", "d")
SUBJECTS = [("integration", name) for name in NAMES]


def finding(severity: str, subject: str = "a") -> Finding:
    return Finding("code", severity, "integration", subject, subject, "Sentence.", "Remedy.", "target")


@pytest.mark.parametrize(
    ("severities", "score"),
    [
        ((), 100),
        ((LOW,), 95),
        ((MEDIUM,), 85),
        ((HIGH,), 60),
        ((HIGH, MEDIUM, LOW, LOW), 35),
        ((HIGH, HIGH, HIGH), 0),
    ],
)
def test_each_finding_costs_its_subject(severities: tuple[str, ...], score: int) -> None:
    assert score_of([finding(severity) for severity in severities]) == score


def test_half_the_score_is_the_mean_and_half_the_worst() -> None:
    assert score_all(SUBJECTS, [finding(HIGH), finding(LOW)]) == 71
    assert score_all(SUBJECTS, [finding(HIGH, name) for name in NAMES]) == 60


def test_one_open_door_is_seen_among_a_hundred_closed_ones() -> None:
    many = [("integration", str(number)) for number in range(100)]
    assert score_all(many, [finding(HIGH, "7"), finding(HIGH, "7"), finding(HIGH, "7")]) == 49


def test_an_account_and_an_integration_of_one_name_are_two_subjects() -> None:
    assert score_all([("integration", "a"), ("account", "a")], [finding(HIGH)]) == 70


def test_without_a_subject_there_is_no_risk() -> None:
    assert score_all([], []) == 100


FINDINGS = st.lists(st.builds(finding, st.sampled_from(list(SEVERITIES)), st.sampled_from(NAMES)), max_size=20)


@given(FINDINGS, st.sampled_from(list(SEVERITIES)), st.sampled_from(NAMES))
def test_a_finding_more_never_raises_the_score(found: list[Finding], severity: str, subject: str) -> None:
    score = score_all(SUBJECTS, found)
    assert 0 <= score_all(SUBJECTS, [*found, finding(severity, subject)]) <= score <= 100
