"""Findings: what is not as it should be with an integration or an account, and what to do about it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

HIGH, MEDIUM, LOW = "high", "medium", "low"
SEVERITIES = {HIGH: "High", MEDIUM: "Medium", LOW: "Low"}
INTEGRATION, ACCOUNT = "integration", "account"
F = TypeVar("F")


class Said(NamedTuple):
    """What a check has found: a sentence, what to do in the imperative, and the place to do it at.

    `anchor` is a field of the integration schema, or one of `keys`, `events` and `secret`.
    """

    sentence: str
    remedy: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Check(Generic[F]):
    """One thing that is looked at: `judge` is given the facts of a subject and the present instant."""

    code: str
    severity: str
    judge: Callable[[F, datetime], Iterable[Said]]


class Subject(NamedTuple):
    """What a finding is about.

    `kind` is integration or account, `key` a client id or a user name, `path` where it is to be found.
    """

    kind: str
    key: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; `target` is a path and an anchor, such as `integrations/<client id>#review_date`."""

    code: str
    severity: str
    subject_type: str
    subject: str
    name: str
    sentence: str
    remedy: str
    target: str


def findings_of(check: Check[F], facts: F, subject: Subject, at: datetime) -> Iterator[Finding]:
    """Return what one check finds about one subject."""
    for said in check.judge(facts, at):
        yield Finding(
            code=check.code,
            severity=check.severity,
            subject_type=subject.kind,
            subject=subject.key,
            name=subject.name,
            sentence=said.sentence,
            remedy=said.remedy,
            target=f"{subject.path}#{said.anchor}",
        )
