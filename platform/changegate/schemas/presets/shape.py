"""What is known about an identity provider: where its tokens come from and what in them may be relied on."""

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
    """A claim, by name or JSON pointer (RFC 6901): how long its value lasts (`CLAIM_KINDS`) and what it says."""

    name: str
    kind: str
    says: str


def immutable(name: str, says: str) -> ClaimNote:
    """Note a claim whose value stands for one thing for good."""
    return ClaimNote(name, IMMUTABLE, says)


def renamable(name: str, says: str) -> ClaimNote:
    """Note a claim whose value can be changed or can come to mean something else."""
    return ClaimNote(name, RENAMABLE, says)


def run_specific(name: str, says: str) -> ClaimNote:
    """Note a claim that no rule can be written on, since each run has another value."""
    return ClaimNote(name, RUN_SPECIFIC, says)


@dataclass(frozen=True, slots=True)
class Pin:
    """A claim that proves the tenant when its value has a shape (a regular expression for the whole of it)."""

    claim: str
    shape: str

    def holds(self, value: object) -> bool:
        """Return whether the value could only be one tenant's."""
        return isinstance(value, str) and re.fullmatch(self.shape, value, re.ASCII) is not None


@dataclass(frozen=True, slots=True)
class IssuerForm:
    """One of the places where a provider issues tokens: templates with `{placeholders}`.

    The JWKS template may say `{issuer}`, which is the issuer without a slash at its end. A shared issuer signs for
    strangers too. A template that would fit any host is not `is_telling`: what matches it may be anybody's.
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
    """Everything the form can be given when a provider is chosen; what fits no pattern is a sentence of advice.

    On a shared issuer one of `pins` is indispensable. `bind` names what rules are best written on.
    """

    name: str
    label: str
    issuers: tuple[IssuerForm, ...]
    audience_advice: str
    claims: tuple[ClaimNote, ...]
    bind: tuple[str, ...]
    traps: tuple[str, ...]
    pins: tuple[Pin, ...] = ()
    algorithms: tuple[str, ...] = ("RS256",)
    audience_claim: str = "aud"
    replay_policy: str = "jti-required-once"
    jti_claim: str = "jti"
    required_typ: str | None = None
    allow_missing_kid: bool = False
    allow_additional_audiences: bool = False
    max_assertion_lifetime_seconds: int = 3600
    subject_strategy: str = "run_as"
    subject_advice: str = "Let the tokens act as one dedicated user, and distinguish jobs by claim conditions."
