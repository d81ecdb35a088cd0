"""The security score: one number from 0 to 100, where lower means riskier."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, Finding

BEST = 100
# What one finding takes from the score of its subject.
COSTS: Mapping[str, int] = {HIGH: 40, MEDIUM: 15, LOW: 5}


def score_of(findings: Iterable[Finding]) -> int:
    """Return the score of one subject: 100, less 40, 15 or 5 for each finding, and never less than 0."""
    return max(0, BEST - sum(COSTS[finding.severity] for finding in findings))


def score_all(subjects: Iterable[tuple[str, str]], findings: Iterable[Finding]) -> int:
    """Return the score of several subjects together: the mean of all and the worst, half and half, rounded down.

    The worst one counts by itself so that a single open door is seen among a hundred closed ones, the mean so that
    tidying up pays before the last one is shut. Without a subject there is no risk: 100. `subjects` are pairs of
    subject type and subject.
    """
    found: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        found[finding.subject_type, finding.subject].append(finding)
    scores = [score_of(found[subject]) for subject in subjects]
    if not scores:
        return BEST
    # Whole numbers: (mean + worst) / 2.
    return (sum(scores) + min(scores) * len(scores)) // (2 * len(scores))
