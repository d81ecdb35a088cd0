"""The linter of claim conditions: shows an administrator what a list of conditions accepts before it is saved.

Findings are advice only: conditions with warnings can be saved, and may be correct.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

from changegate.services.assertions.claim_conditions import ClaimCondition, load_conditions, path_of
from changegate.services.assertions.condition_samples import list_near_misses, list_samples
from changegate.services.assertions.segment_glob import WILDCARD

IMMUTABLE, RENAMABLE, RUN_SPECIFIC = "immutable", "renamable", "run-specific"
NO_KINDS: Mapping[str, str] = MappingProxyType({})
# Claims that differ in each token or run, whichever the provider.
ALWAYS_NEW = frozenset({"jti", "iat", "exp", "nbf", "uti", "auth_time", "nonce", "run_id", "run_number", "sha"})
IN_EVERY_TOKEN = frozenset({"iss", "sub", "aud", "exp", "iat"})
# Claims that GitHub and GitLab write as strings, although their values look like booleans and numbers.
WRITTEN_AS_TEXT = frozenset(
    {
        *("ref_protected", "environment_protected", "repository_id", "repository_owner_id", "actor_id"),
        *("run_id", "run_number", "run_attempt", "project_id", "namespace_id", "user_id", "pipeline_id", "job_id"),
    }
)
LEAST_NAME = 3  # Shorter names, as in v*, usually match versions; acme* would also match the names of others.
INVALID_CONDITION = "The condition is invalid, so every token fails it."


@dataclass(frozen=True, slots=True)
class ConditionFindings:
    """The findings for one condition; `admits` and `refuses` are example values in JSON, which shows their type."""

    claim: str
    admits: tuple[str, ...]
    refuses: tuple[str, ...]
    warnings: tuple[str, ...]
    admits_everything: bool = False


@dataclass(frozen=True, slots=True)
class LintFindings:
    """The findings for each condition in the order given, and the warnings about all of them together."""

    conditions: tuple[ConditionFindings, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Linted:
    """A condition, and whether its claim is immutable, renamable, or run-specific, if known."""

    stored: Mapping[str, Any]
    condition: ClaimCondition
    kind: str | None

    @property
    def operator(self) -> str:
        return str(self.stored["operator"])

    @property
    def name(self) -> str:
        """The claim's name; empty for a claim nested in another claim."""
        return self.condition.path[0] if len(self.condition.path) == 1 else ""

    @property
    def pattern(self) -> str:
        """The value if it is a pattern with wildcards, else an empty string."""
        return self.stored["value"] if self.operator == "glob" and WILDCARD in self.stored["value"] else ""

    @property
    def admits_everything(self) -> bool:
        if self.operator == "exists":
            return self.name in IN_EVERY_TOKEN
        return bool(self.pattern) and set(self.pattern) <= set("*/:")


def lint_conditions(stored: Sequence[Mapping[str, Any]], kinds: Mapping[str, str] = NO_KINDS) -> LintFindings:
    """Return examples and warnings for conditions as `ClaimConditionSchema` loads them.

    `kinds` maps claims, by name or JSON pointer, to `immutable`, `renamable`, or `run-specific`.
    """
    known = {path_of(claim): kind for claim, kind in kinds.items()}
    items = [
        _Linted(item, condition, known.get(condition.path))
        for item, condition in zip(stored, load_conditions(stored), strict=False)
    ]
    understood = [item for item in items if item.condition.is_understood]
    return LintFindings(tuple(_findings(item) for item in items), tuple(_warn_of_all(understood, kinds)))


def _findings(item: _Linted) -> ConditionFindings:
    if not item.condition.is_understood:
        return ConditionFindings(item.condition.claim, (), (), (INVALID_CONDITION,))
    return ConditionFindings(
        claim=item.condition.claim,
        admits=_as_json(list_samples(item.stored, item.condition)),
        refuses=_as_json(list_near_misses(item.stored, item.condition)),
        warnings=tuple(_warn_of_one(item)),
        admits_everything=item.admits_everything,
    )


def _as_json(values: list[object]) -> tuple[str, ...]:
    return tuple(json.dumps(value, ensure_ascii=False) for value in values)


def _warn_of_one(item: _Linted) -> Iterator[str]:
    if item.admits_everything:
        yield f"This admits everything: {_why_everything(item)}."
    elif item.pattern:
        yield from _warn_of_wildcards(item.pattern)
    if _changes_each_run(item):
        yield "This claim changes with each run, so later runs fail."
    yield from _warn_of_types(item)


def _why_everything(item: _Linted) -> str:
    return "every token has this claim" if item.operator == "exists" else "no part of the pattern is a name"


def _warn_of_wildcards(pattern: str) -> Iterator[str]:
    head, *pieces, tail = pattern.replace(":", "/").split(WILDCARD)
    for name in (piece.rpartition("/")[2] for piece in (head, *pieces)):
        if len(name) >= LEAST_NAME and name[-1].isalnum():
            yield f"{name}* also admits {name}-evil: end the name with a separator, or compare the whole segment."
    names = [segment for segment in head.split("/") if segment]
    if len(names) <= 1 and head[-1:] in ("", "/") and "/" in (*"".join(pieces), *tail):
        yield "The first name is left open: tokens with any other first name pass too."


def _changes_each_run(item: _Linted) -> bool:
    if item.operator not in ("equals", "one_of"):
        return False
    return item.kind == RUN_SPECIFIC or (item.kind is None and item.name in ALWAYS_NEW)


def _warn_of_types(item: _Linted) -> Iterator[str]:
    claim, value_type = item.name, item.stored["value_type"]
    if item.operator not in ("equals", "one_of"):
        return
    if value_type in ("boolean", "number") and claim in WRITTEN_AS_TEXT:
        yield f"GitHub and GitLab write {claim} as a string: choose the type string."
    elif item.stored["value"] in ("true", "false") and claim not in WRITTEN_AS_TEXT:
        yield "This is the string; where the provider writes true or false without quotes, choose the type boolean."


def _warn_of_all(items: list[_Linted], kinds: Mapping[str, str]) -> Iterator[str]:
    enforced = [item for item in items if not item.condition.report_only]
    if items and not enforced:
        yield "Every condition only reports, so nothing is refused."
    for claim, group in _by_claim(enforced):
        if not _can_be_met(group):
            yield f"No value of {claim} meets all of its conditions, so nothing will pass."
    bound = [item for item in enforced if item.operator != "exists" and not item.admits_everything]
    renamable = list(dict.fromkeys(item.condition.claim for item in bound if item.kind == RENAMABLE))
    if renamable and not any(item.kind == IMMUTABLE for item in bound):
        yield _advise_immutable(renamable, [claim for claim, kind in kinds.items() if kind == IMMUTABLE])


def _advise_immutable(renamable: list[str], immutable: list[str]) -> str:
    names, better = ", ".join(renamable), " or ".join(immutable[:3])
    advice = f"Bind {better} as well." if better else "Bind an immutable claim as well."
    return f"Every bound name can be given up and taken by another party ({names}). {advice}"


def _by_claim(items: list[_Linted]) -> Iterator[tuple[str, list[_Linted]]]:
    def path(item: _Linted) -> tuple[str, ...]:
        return item.condition.path

    for _, group in groupby(sorted(items, key=path), key=path):
        members = list(group)
        yield members[0].condition.claim, members


def _can_be_met(group: list[_Linted]) -> bool:
    """Return whether one value can pass all conditions of a claim; True if that cannot be decided."""
    for item in group:
        if item.operator in ("equals", "one_of"):
            value = item.stored["value"]
            values = value if item.operator == "one_of" else [value]
            return any(all(other.condition.is_met_by(value) for other in group) for value in values)
    patterns = [item.stored["value"] for item in group if item.operator == "glob"]
    if patterns and any(item.operator == "contains" for item in group):
        return False
    return all(_may_overlap(left, right) for left in patterns for right in patterns)


def _may_overlap(left: str, right: str) -> bool:
    # Compares only the text before the first and after the last wildcard; what lies between might overlap.
    heads = [pattern.partition(WILDCARD)[0] for pattern in (left, right)]
    tails = [pattern.rpartition(WILDCARD)[2][::-1] for pattern in (left, right)]
    return all(a.startswith(b) or b.startswith(a) for a, b in (heads, tails))
