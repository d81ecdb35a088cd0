"""The interface by which presets provide their knowledge of identity providers to the checks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

StoredCondition = Mapping[str, Any]


def _no_faults(
    issuer: str, preset: str | None, conditions: Sequence[StoredCondition], audiences: Sequence[str]
) -> list[str]:
    return []


def _no_kinds(issuer: str, preset: str | None) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ProviderKnowledge:
    """Two functions of the presets, which services must not import.

    `find_faults` returns sentences about what an integration lacks before its issuer can be trusted. `find_kinds` maps
    claims to immutable, renamable, or run-specific.
    """

    find_faults: Callable[[str, str | None, Sequence[StoredCondition], Sequence[str]], list[str]] = _no_faults
    find_kinds: Callable[[str, str | None], Mapping[str, str]] = _no_kinds


NOTHING_KNOWN = ProviderKnowledge()
