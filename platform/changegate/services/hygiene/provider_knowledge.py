"""The interface by which presets provide their knowledge of identity providers to the checks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

StoredCondition = Mapping[str, Any]


class ProviderKnowledge(Protocol):
    """The functions of the presets that the checks need; services must not import `schemas.presets`.

    A fault is a pair of what is wrong and the remedy.
    """

    def require_pins(
        self, issuer: str, preset: str | None, conditions: Sequence[StoredCondition], audiences: Sequence[str]
    ) -> list[str]:
        """Return sentences about what an integration lacks before its issuer can be trusted."""

    def find_claim_kinds(self, issuer: str, preset: str | None) -> Mapping[str, str]:
        """Return whether each claim is immutable, renamable, or run-specific."""

    def find_mistakes(self, fields: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
        """Return the values that cannot work, each with its field, what is wrong, and the remedy."""

    def find_open_trust(self, issuer: str, preset: str | None) -> tuple[str, str] | None:
        """Return the fault of an integration without a condition, or None if its provider is unknown."""

    def find_audience_fault(
        self, issuer: str, preset: str | None, audiences: Sequence[str], client_id: str
    ) -> tuple[str, str] | None:
        """Return the fault of audiences that the provider cannot issue, or None."""
