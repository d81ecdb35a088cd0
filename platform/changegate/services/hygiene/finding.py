"""Findings: faults of integrations and accounts, with their remedies."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

HIGH, MEDIUM, LOW = "high", "medium", "low"
SEVERITIES = {HIGH: "High", MEDIUM: "Medium", LOW: "Low"}
INTEGRATION, ACCOUNT = "integration", "account"
F = TypeVar("F")


class Fault(NamedTuple):
    """The result of a check: a sentence, the remedy in the imperative, and the place to apply it.

    `anchor` is a field of the record, or one of `keys`, `events`, and `secret`.
    """

    sentence: str
    remedy: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Check(Generic[F]):
    """A check; `evaluate` is called with the facts of a subject and the current time.

    A check that `warns` is also evaluated when an integration is saved, because a mistake causes its findings.
    """

    code: str
    severity: str
    evaluate: Callable[[F, datetime], Iterable[Fault]]
    warns: bool = False


class Subject(NamedTuple):
    """The integration or account that a finding is about.

    `kind` is integration or account, `key` a client id or a user name, `path` the path of its page.
    """

    kind: str
    key: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding; `target` is a path and an anchor, such as `integrations/<client id>#review_date`."""

    code: str
    severity: str
    subject_type: str
    subject: str
    name: str
    sentence: str
    remedy: str
    target: str


def findings_of(check: Check[F], facts: F, subject: Subject, at: datetime) -> Iterator[Finding]:
    """Yield the findings of a check about a subject."""
    for fault in check.evaluate(facts, at):
        yield Finding(
            code=check.code,
            severity=check.severity,
            subject_type=subject.kind,
            subject=subject.key,
            name=subject.name,
            sentence=fault.sentence,
            remedy=fault.remedy,
            target=f"{subject.path}#{fault.anchor}",
        )
