"""The outcome of every rule an assertion was judged by, for the administrator's eyes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from changegate.errors import AssertionRefused
from changegate.printable import printable
from changegate.services.assertions.hints import find_hint
from changegate.services.assertions.phrases import Phrase, put_into_words

SHOWN_LENGTH = 200

# Rule, reason code if it failed, expected, received. The last two are kept as text, where a callable is called for it,
# but for a phrase, which is a tuple: it is put into words when somebody reads it.
Judgement = tuple[str, str | None, object, object]
Kept = str | Phrase | list[str | float] | None


@dataclass(slots=True)
class RuleResult:
    """One rule; `expected` and `received` are printable, at most 200 characters; `hint` says what to do.

    One that `only_reports` has refused nothing, whether it was met or not.
    """

    rule: str
    passed: bool
    expected: str | None
    received: str | None
    reason: str | None
    only_reports: bool = False

    @property
    def hint(self) -> str | None:
        """Return advice where a failure is nearly always the same mistake."""
        return find_hint(self.reason, self.expected, self.received)


class Report:
    """Every rule in the order it was judged; holds values of claims but never the assertion itself."""

    __slots__ = ("_judgements", "_noted", "payload", "reason")

    def __init__(self, judgements: Iterable[Judgement] = ()) -> None:
        self._judgements: list[Judgement] = []
        self._noted: list[Judgement] = []
        # What the assertion claims, as it was signed, once its signature is known to be good.
        self.payload: bytes | None = None
        self.reason: str | None = None  # the reason code of the first rule that failed
        self.add(*judgements)

    def __repr__(self) -> str:
        return f"<Report of {len(self._judgements)} rules, reason {self.reason}>"

    def add(self, *judgements: Judgement) -> None:
        """Append judgements; rules that only the caller can judge (user, replay) join here too."""
        self._judgements += judgements
        for _, reason, _, _ in judgements:
            self.reason = self.reason or reason

    def note(self, *judgements: Judgement) -> None:
        """Append judgements that only report: none of them is a reason to refuse."""
        self._noted += judgements

    @property
    def would_refuse(self) -> bool:
        """Tell whether a rule that only reports was not met."""
        return any(reason for _, reason, _, _ in self._noted)

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """What was judged so far, unrendered."""
        return tuple(self._judgements)

    @property
    def results(self) -> list[RuleResult]:
        """Every rule, in words."""
        return read_rows(self.as_rows())

    def as_rows(self) -> list[list[Any]]:
        """Return what is kept of the results, as plain values for JSON; `read_rows` makes results of them again."""
        rows: list[list[Any]]
        rows = [[rule, reason, _kept(expected), _kept(got)] for rule, reason, expected, got in self._judgements]
        rows += [[rule, reason, _kept(expected), _kept(got), True] for rule, reason, expected, got in self._noted]
        return rows

    def has_passed(self, rule: str) -> bool:
        """Tell whether a rule was judged and met."""
        return any(name == rule and not reason for name, reason, _, _ in self._judgements)

    def require_passed(self) -> None:
        """Raise `AssertionRefused` with the first failed rule's reason, if any rule failed."""
        if self.reason:
            raise AssertionRefused(self.reason, report=self)


def read_rows(rows: Iterable[Any]) -> list[RuleResult]:
    """Return the results that were kept; a former release kept each as a dictionary."""
    return [_result_of_dict(row) if isinstance(row, dict) else _result(*row) for row in rows]


def _result(rule: str, reason: str | None, expected: Kept, received: Kept, only_reports: bool = False) -> RuleResult:
    return RuleResult(rule, not reason, _worded(expected), _worded(received), reason, only_reports)


def _worded(kept: Kept) -> str | None:
    return kept if kept is None or isinstance(kept, str) else printable(put_into_words(kept), SHOWN_LENGTH)


def _result_of_dict(row: dict[str, Any]) -> RuleResult:
    return _result(row["rule"], row["reason"], row["expected"], row["received"])


def _kept(value: object) -> Kept:
    if value is None or type(value) is tuple:
        return value
    text = value if type(value) is str else _text_of(value)
    return None if text is None else printable(text, SHOWN_LENGTH)


def _text_of(value: object) -> str | None:
    if callable(value):
        value = value()
    if value is None or isinstance(value, str):
        return value
    return _joined(value) if isinstance(value, frozenset) else json.dumps(value, ensure_ascii=False, default=str)


@lru_cache(maxsize=1024)
def _joined(members: frozenset[object]) -> str:
    return ", ".join(sorted(map(str, members))) or "nothing"
