"""The data types of presets: issuers, claims, and required conditions of an identity provider."""

import re
from dataclasses import dataclass
from string import Formatter

IMMUTABLE = "immutable"
RENAMABLE = "renamable"
RUN_SPECIFIC = "run-specific"
CLAIM_KINDS = {
    IMMUTABLE: "Never given to anybody else",
    RENAMABLE: "Can be changed, or taken over by another person",
    RUN_SPECIFIC: "Another value in each run",
}


@dataclass(frozen=True, slots=True)
class ClaimNote:
    """A claim, by name or JSON pointer (RFC 6901), with its stability (`CLAIM_KINDS`) and a description."""

    name: str
    kind: str
    says: str


def immutable(name: str, says: str) -> ClaimNote:
    """Describe a claim whose value never identifies another subject."""
    return ClaimNote(name, IMMUTABLE, says)


def renamable(name: str, says: str) -> ClaimNote:
    """Describe a claim whose value can change, or can later identify another subject."""
    return ClaimNote(name, RENAMABLE, says)


def run_specific(name: str, says: str) -> ClaimNote:
    """Describe a claim that differs between runs, so that conditions on it are useless."""
    return ClaimNote(name, RUN_SPECIFIC, says)


@dataclass(frozen=True, slots=True)
class Pin:
    """A claim that identifies the tenant if its value has a shape, a regular expression for all of it.

    `says` describes the shape, as in "a number", and `source` is a sentence about where to find the value.
    """

    claim: str
    shape: str
    says: str = ""
    source: str = ""

    def holds(self, value: object) -> bool:
        """Return whether the value identifies one tenant."""
        return isinstance(value, str) and re.fullmatch(self.shape, value, re.ASCII) is not None


@dataclass(frozen=True, slots=True)
class IssuerForm:
    """A place where a provider issues tokens: templates with `{placeholders}`.

    `{issuer}` in the JWKS template is the issuer without a final slash. A shared issuer signs for many tenants.
    `is_telling` is False for a template that fits any host, since a match does not identify the provider.
    """

    name: str
    label: str
    issuer: str
    jwks_url: str
    is_shared: bool = False
    is_telling: bool = True

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the names to fill in, in the order of the templates."""
        fields = [name for _, name, _, _ in Formatter().parse(self.issuer + self.jwks_url) if name]
        return tuple(name for name in dict.fromkeys(fields) if name != "issuer")


@dataclass(frozen=True, slots=True)
class Preset:
    """An identity provider: the values that the form fills in, and advice as sentences.

    A shared issuer requires a condition on one of `pins`. `bind` lists the best claims for conditions.
    """

    name: str
    label: str
    issuers: tuple[IssuerForm, ...]
    audience_advice: str
    claims: tuple[ClaimNote, ...]
    bind: tuple[str, ...]
    traps: tuple[str, ...]
    pins: tuple[Pin, ...] = ()
    # A regular expression for all of an issuer that identifies the provider, but not where its keys are.
    issuer_shape: str | None = None
    # What to do if the keys cannot be fetched from an issuer that fits none of `issuers`.
    keys_advice: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    audience_claim: str = "aud"
    # Whether tokens can be requested for the address of this server.
    is_audience_free: bool = True
    replay_policy: str = "jti-required-once"
    jti_claim: str = "jti"
    required_typ: str | None = None
    allow_missing_kid: bool = False
    allow_additional_audiences: bool = False
    max_assertion_lifetime_seconds: int = 3600
    subject_advice: str = "Let the tokens act as one dedicated user, and distinguish jobs by claim conditions."
