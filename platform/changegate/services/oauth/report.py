"""The outcome of every rule an assertion was judged by, for the administrator's eyes."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from changegate.errors import AssertionRefused
from changegate.services.oauth.hints import find_hint

SHOWN_LENGTH = 200

# Rule, reason code if it failed, expected, received. The last two are rendered only when somebody reads them:
# a callable is called, everything else is shown as text.
Judgement = tuple[str, str | None, object, object]


@dataclass(slots=True)
class RuleResult:
    """One rule; `expected` and `received` are printable, at most 200 characters; `hint` says what to do."""

    rule: str
    passed: bool
    expected: str | None
    received: str | None
    reason: str | None
    hint: str | None = None


class Report:
    """Every rule in the order it was judged; holds values of claims but never the assertion itself."""

    __slots__ = ("_judgements", "reason")

    def __init__(self, judgements: Iterable[Judgement] = ()) -> None:
        self._judgements: list[Judgement] = []
        self.reason: str | None = None  # the reason code of the first rule that failed
        self.add(*judgements)

    def __repr__(self) -> str:
        return f"<Report of {len(self._judgements)} rules, reason {self.reason}>"

    def add(self, *judgements: Judgement) -> None:
        """Append judgements; rules that only the caller can judge (user, replay) join here too."""
        self._judgements += judgements
        for _, reason, _, _ in judgements:
            self.reason = self.reason or reason

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """What was judged so far, unrendered."""
        return tuple(self._judgements)

    @property
    def results(self) -> list[RuleResult]:
        """Every rule, rendered."""
        return [_result(*judgement) for judgement in self._judgements]

    def as_dicts(self) -> list[dict[str, object]]:
        """Return the results as plain values for JSON."""
        return [asdict(result) for result in self.results]

    def has_passed(self, rule: str) -> bool:
        """Tell whether a rule was judged and met."""
        return any(name == rule and not reason for name, reason, _, _ in self._judgements)

    def require_passed(self) -> None:
        """Raise `AssertionRefused` with the first failed rule's reason, if any rule failed."""
        if self.reason:
            raise AssertionRefused(self.reason, report=self)


def _result(rule: str, reason: str | None, expected: object, received: object) -> RuleResult:
    expected, received = _shown(expected), _shown(received)
    return RuleResult(rule, not reason, expected, received, reason, find_hint(reason, expected, received))


def _shown(value: object) -> str | None:
    if callable(value):
        value = value()
    if value is None:
        return None
    if isinstance(value, frozenset):
        value = ", ".join(sorted(map(str, value))) or "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    # Claims come from outside: no control or bidirectional character may reach a log or a page.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:SHOWN_LENGTH])
