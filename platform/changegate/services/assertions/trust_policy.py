"""The trust policy: what an integration requires of assertions."""

from dataclasses import dataclass
from datetime import timedelta

from changegate.models.integration_choices import REUSABLE
from changegate.services.assertions.claim_conditions import ClaimCondition
from changegate.services.keys.signature import SCHEMES

JWT_ONLY = frozenset({"jwt"})
MEDIA_TYPE_PREFIX = "application/"
JTI_REQUIRED = "jti-required-once"


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The rules for the assertions of an integration; without an issuer, audiences, or algorithms, all are refused.

    `accepted_typ` is lower-case and without `application/`; an assertion without `typ` passes unless `typ_required`.
    `jti_claim` names the claim that makes an assertion unique (Entra: `uti`), `audience_claim` the claim that holds the
    audience (Cognito: `client_id`). `blocked_keys` are thumbprints (RFC 7638).
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    clock_skew: timedelta
    max_assertion_lifetime: timedelta
    jti_claim: str
    replay_policy: str = JTI_REQUIRED
    audience_claim: str = "aud"
    allow_additional_audiences: bool = False
    allow_missing_kid: bool = False
    accepted_typ: frozenset[str] = JWT_ONLY
    typ_required: bool = False
    conditions: tuple[ClaimCondition, ...] = ()
    blocked_keys: frozenset[str] = frozenset()

    @property
    def jti_required(self) -> bool:
        """Whether every assertion must have the unique claim."""
        return self.replay_policy == JTI_REQUIRED

    @property
    def allows_reuse(self) -> bool:
        """Whether an assertion may be exchanged for more than one token."""
        return self.replay_policy == REUSABLE


# A policy for the rules of header, key, and signature alone; without issuer and audiences, every claim would fail.
SIGNATURE_ONLY = TrustPolicy(
    issuer="",
    audiences=frozenset(),
    algorithms=frozenset(SCHEMES),
    clock_skew=timedelta(0),
    max_assertion_lifetime=timedelta(0),
    jti_claim="jti",
    allow_missing_kid=True,
)


def accepted_typ(required: str | None) -> frozenset[str]:
    """Return the accepted values of `typ`, normalized: lower-case, without `application/`."""
    # Media types are case-insensitive, and senders may omit `application/` (RFC 7515 §4.1.9).
    return JWT_ONLY if required is None else frozenset({required.lower().removeprefix(MEDIA_TYPE_PREFIX)})
