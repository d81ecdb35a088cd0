"""The report on an assertion: the outcome of each rule, for administrators only."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from changegate.oauth_errors import AssertionRefused
from changegate.printable import printable
from changegate.services.assertions.hints import find_hint
from changegate.services.assertions.phrases import Phrase, StoredPhrase

SHOWN_LENGTH = 200

StoredText = str | StoredPhrase | None


# Not frozen and not a NamedTuple, which take up to three times as long to make: each exchange makes about twenty.
@dataclass(slots=True)
class RuleCheck:
    """The check of a rule; `reason` is the reason code if it failed, else None.

    `expected` and `received` are shown and never read by a rule: a text, a `Phrase`, a set of texts, or the value of a
    claim. All but phrases are stored as text. `hint_code` names the cause of a failure if the advice depends on it.
    """

    rule: str
    reason: str | None
    expected: object
    received: object
    hint_code: str | None = None


@dataclass(slots=True)
class RuleResult:
    """The result of a rule; `expected` and `received` are printable and have at most 200 characters.

    A rule that `only_reports` does not refuse the assertion, even if it fails.
    """

    rule: str
    passed: bool
    expected: str | None
    received: str | None
    reason: str | None
    only_reports: bool = False
    hint_code: str | None = None

    @property
    def hint(self) -> str | None:
        """A sentence of advice if the failure nearly always has the same cause."""
        return find_hint(self.reason, self.expected, self.received, self.hint_code)


class Report:
    """The results of all rules in the order of their checks; holds values of claims but never the assertion itself."""

    __slots__ = ("_checks", "_noted", "payload", "reason")

    def __init__(self, checks: Iterable[RuleCheck] = ()) -> None:
        self._checks: list[RuleCheck] = []
        self._noted: list[RuleCheck] = []
        # The signed bytes of the payload, set once the signature is verified.
        self.payload: bytes | None = None
        self.reason: str | None = None  # the reason code of the first failed rule
        self.add(*checks)

    def __repr__(self) -> str:
        return f"<Report of {len(self._checks)} rules, reason {self.reason}>"

    def add(self, *checks: RuleCheck) -> None:
        """Append results, including those of rules that only the caller can check (user, replay)."""
        self._checks += checks
        for check in checks:
            # The first failure keeps its place: the same assertion is then always refused for the same reason.
            self.reason = self.reason or check.reason

    def note(self, *checks: RuleCheck) -> None:
        """Append results that are only reported and never cause a refusal."""
        self._noted += checks

    @property
    def would_refuse(self) -> bool:
        """Whether a rule that only reports has failed."""
        return any(check.reason for check in self._noted)

    @property
    def checks(self) -> tuple[RuleCheck, ...]:
        """The results so far, not put into words."""
        return tuple(self._checks)

    @property
    def results(self) -> list[RuleResult]:
        """The results of all rules, in words."""
        return read_rows(self.as_rows())

    def as_rows(self) -> list[list[Any]]:
        """Return the results as plain values for JSON, to be stored; `read_rows` is the inverse."""
        rows = []
        for checks, only_reports in ((self._checks, False), (self._noted, True)):
            for check in checks:
                row: list[Any] = [check.rule, check.reason, _as_stored(check.expected), _as_stored(check.received)]
                if check.hint_code:
                    row += [only_reports, check.hint_code]
                elif only_reports:
                    row.append(True)
                rows.append(row)
        return rows

    def has_passed(self, rule: str) -> bool:
        """Return whether a rule was checked and passed."""
        return any(check.rule == rule and not check.reason for check in self._checks)

    def require_passed(self) -> None:
        """Raise `AssertionRefused` with the reason of the first failed rule, if any rule has failed."""
        if self.reason:
            raise AssertionRefused(self.reason, report=self)


def read_rows(rows: Iterable[Any]) -> list[RuleResult]:
    """Return the results of stored rows; a former release stored each row as a dictionary."""
    return [_result_of_dict(row) if isinstance(row, dict) else _result(*row) for row in rows]


def _result(
    rule: str,
    reason: str | None,
    expected: StoredText,
    received: StoredText,
    only_reports: bool = False,
    hint_code: str | None = None,
) -> RuleResult:
    return RuleResult(rule, not reason, _worded(expected), _worded(received), reason, only_reports, hint_code)


def _worded(stored: StoredText) -> str | None:
    return stored if stored is None or isinstance(stored, str) else printable(str(Phrase(*stored)), SHOWN_LENGTH)


def _result_of_dict(row: dict[str, Any]) -> RuleResult:
    return _result(row["rule"], row["reason"], row["expected"], row["received"])


def _as_stored(value: object) -> StoredText:
    if value is None:
        return None
    if type(value) is str and len(value) <= SHOWN_LENGTH and value.isprintable():
        return value
    # By the type, so that a list in a claim is never mistaken for a phrase of this product.
    if type(value) is Phrase:
        return value.stored
    # Claims are written by the sender: they must not bring control characters or unlimited text into the log.
    return printable(value if isinstance(value, str) else _text_of(value), SHOWN_LENGTH)


def _text_of(value: object) -> str:
    return _joined(value) if isinstance(value, frozenset) else json.dumps(value, ensure_ascii=False, default=str)


# The members come from the policies of integrations, which are few, and never from an assertion.
@lru_cache(maxsize=1024)
def _joined(members: frozenset[object]) -> str:
    return ", ".join(sorted(map(str, members))) or "nothing"
