"""The security score: a number from 0 to 100, where lower means riskier."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, Finding

BEST = 100
# The points that a finding deducts from the score of its subject.
COSTS: Mapping[str, int] = {HIGH: 40, MEDIUM: 15, LOW: 5}


def score_of(findings: Iterable[Finding]) -> int:
    """Return the score of a subject: 100 minus 40, 15, or 5 for each finding, at least 0."""
    return max(0, BEST - sum(COSTS[finding.severity] for finding in findings))


def score_all(subjects: Iterable[tuple[str, str]], findings: Iterable[Finding]) -> int:
    """Return the score of several subjects: the average of their mean and their worst score, rounded down.

    The worst score counts for half, so that one risky subject shows among a hundred safe ones. The mean counts for
    half, so that every improvement shows. Without subjects, the score is 100. `subjects` are pairs of subject type and
    subject.
    """
    by_subject: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_subject[finding.subject_type, finding.subject].append(finding)
    scores = [score_of(by_subject[subject]) for subject in subjects]
    if not scores:
        return BEST
    # (mean + worst) / 2 in integers.
    return (sum(scores) + min(scores) * len(scores)) // (2 * len(scores))
