"""The interface by which presets provide their knowledge of identity providers to recognition."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class KnownProvider(Protocol):
    """A provider of the presets."""

    @property
    def name(self) -> str:
        """The name of the preset."""

    @property
    def label(self) -> str:
        """The name for people."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that the preset allows."""

    @property
    def audience_claim(self) -> str:
        """The claim that contains the audience."""

    @property
    def required_typ(self) -> str | None:
        """The required type of its tokens."""

    @property
    def max_assertion_lifetime_seconds(self) -> int:
        """The longest lifetime that the preset allows."""


class ProviderCatalog(Protocol):
    """The functions of the presets that recognition needs; services must not import `schemas.presets`."""

    def find_by_issuer(self, issuer: str) -> KnownProvider | None:
        """Return the provider of an issuer."""

    def find_refusal(self, issuer: str, preset: Any) -> str | None:
        """Return why an issuer can never be trusted."""

    def refuse_new_mistakes(self, fields: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, list[str]]:
        """Return error messages about values that cannot work, by field."""

    def find_keys_advice(self, issuer: str) -> str:
        """Return what to do if the keys of an issuer cannot be fetched, or an empty string."""

    def find_jwks_url(self, issuer: str) -> str | None:
        """Return the JWKS URL of a known issuer."""

    def list_issuers_of(self, jwks_url: str) -> Sequence[str]:
        """Return issuers that may use a JWKS URL."""
