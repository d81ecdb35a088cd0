"""What one integration demands of the assertions it trusts."""

from dataclasses import dataclass
from datetime import timedelta

JWT_ONLY = frozenset({"jwt"})


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The rules an assertion is judged by; anything empty here refuses everything.

    `accepted_typ` is lower-case and without `application/`; an assertion without `typ` always passes.
    `jti_claim` names the claim that makes an assertion unique (Entra: `uti`).
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    clock_skew: timedelta
    max_assertion_lifetime: timedelta
    jti_claim: str
    jti_required: bool
    allow_additional_audiences: bool = False
    accepted_typ: frozenset[str] = JWT_ONLY
