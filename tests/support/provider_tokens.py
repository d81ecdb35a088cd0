"""Tokens as real identity providers make them: header and claims in their layout, signed by a key of the tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from changegate.schemas.presets import defaults_of, fill, get_preset
from demo_idp.layouts import LAYOUTS
from tests.support.forge import forge, jwk, key_for, key_set_document

CHANGEGATE = "https://change.example.com"


@dataclass(frozen=True)
class ProviderToken:
    """A provider's token, and the integration that an administrator would make for it.

    `head` is the header without alg. Claims given as a function are of the time of issue, in seconds. `foreign` are
    tokens of others: by name, what differs, and the rules of the report that must fail for it and for nothing else.
    `settings` are what the administrator sets beyond what the preset does.
    """

    preset: str
    head: Mapping[str, Any]
    claims: Mapping[str, Any]
    conditions: tuple[str, ...]
    foreign: Mapping[str, tuple[Mapping[str, Any], set[str]]]
    alg: str = "RS256"
    place: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    audiences: tuple[str, ...] = (CHANGEGATE,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    other_keys: tuple[Mapping[str, Any], ...] = ()
    key_members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """Return the issuer that the preset's form gets."""
        return fill(get_preset(self.preset), self.parts, form=self.place).issuer

    @property
    def key_set(self) -> bytes:
        """Return the key set document of the provider."""
        members = {"alg": self.alg, **self.key_members}
        return key_set_document(jwk(key_for(self.alg), self.head.get("kid"), **members), *map(dict, self.other_keys))

    def fields(self, jwks_url: str) -> dict[str, Any]:
        """Return the integration as the preset fills in the form, with what the administrator adds."""
        return {
            **defaults_of(get_preset(self.preset)),
            "issuer": self.issuer,
            "jwks_url": jwks_url,
            "audiences": list(self.audiences),
            "claim_conditions": list(self.conditions),
            **self.settings,
        }

    def sign(self, now: datetime, changes: Mapping[str, Any] | None = None, **head: Any) -> str:
        """Return the token as issued now, with changes; objects are changed member by member, `...` leaves out."""
        issued = int(now.timestamp())
        claims = merged({"iss": self.issuer, "iat": issued, **self.claims}, changes or {})
        made = {name: value(issued) if callable(value) else value for name, value in claims.items()}
        return forge({"alg": self.alg, **self.head, **head}, made, alg=self.alg)


def after(seconds: int) -> Any:
    """Return a claim that is so many seconds after the time of issue."""
    return lambda issued: issued + seconds


def claims_of_layout(name: str, audience: str = CHANGEGATE) -> dict[str, Any]:
    """Return the claims of the demo identity provider's layout of this name."""
    layout = LAYOUTS[name]
    claims = layout.fill(audience=audience, issued_at=0)
    times = {claim: after(0) for claim, value in layout.claims.items() if value == "{issued_at}"}
    return {**claims, **times, "exp": after(layout.lifetime_seconds)}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with changes, also inside of it; what is `...` is left out."""
    inner = {
        name: merged(old[name], value) if isinstance(value, Mapping) and isinstance(old.get(name), Mapping) else value
        for name, value in new.items()
    }
    return {name: value for name, value in {**old, **inner}.items() if value is not ...}
