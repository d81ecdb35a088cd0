"""What the checks have to be told of identity providers, by those who may know them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Condition = Mapping[str, Any]


def _no_faults(issuer: str, preset: str | None, conditions: Sequence[Condition], audiences: Sequence[str]) -> list[str]:
    return []


def _no_kinds(issuer: str, preset: str | None) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ProviderKnowledge:
    """Two functions of the presets, which services cannot import.

    `find_faults` returns, in sentences, what an integration lacks before its issuer may be trusted, `find_kinds` of
    each claim whether its value is immutable, renamable or run-specific.
    """

    find_faults: Callable[[str, str | None, Sequence[Condition], Sequence[str]], list[str]] = _no_faults
    find_kinds: Callable[[str, str | None], Mapping[str, str]] = _no_kinds


NOTHING_KNOWN = ProviderKnowledge()
