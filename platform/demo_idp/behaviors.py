"""The behaviors of the demo identity provider, and what Changegate must do about each.

This list drives the page, the HTTP interface, the `demo-idp` command, and the tests, which check every entry against a
Changegate application.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from demo_idp.key_ring import KeyChange
from demo_idp.orders import Deviation, Signer
from demo_idp.provider import Fault

# The code of a reason or a rule; None for a token that must be accepted.
Code = str | None
_CACHED = "Tokens are accepted as long as Changegate has the key in its cache. Without cached keys, the answer is 503."


class Group(StrEnum):
    """The groups of behaviors, by their headings."""

    ATTACK = "Attacks"
    FLAW = "Wrong tokens"
    KEYS = "Key rotation"
    FAULT = "Key set faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """What the provider does, and what Changegate must do.

    `reason` is the reason code and `rule` the failed rule of Changegate's token event; both are None if the token must
    be accepted. The reason of a fault is that of a Changegate without cached keys, and `shows` is part of its error.
    """

    name: str
    group: Group
    label: str
    does: str
    must: str
    reason: Code = None
    rule: Code = None
    shows: str | None = None
    deviation: Deviation | None = None
    change: KeyChange | None = None
    fault: Fault | None = None

    @property
    def must_be_refused(self) -> bool:
        """Return whether the token is wrong, so that Changegate must refuse it, whatever the key set is."""
        return self.deviation is not None and self.reason is not None

    def describe(self) -> dict[str, str | None]:
        """Return the texts and codes, without what implements them."""
        names = ("name", "group", "label", "does", "must", "reason", "rule", "shows")
        return {name: getattr(self, name) for name in names}


def _token(
    name: str, label: str, deviation: Deviation, does: str, must: str, reason: Code = None, rule: Code = None
) -> Behavior:
    return Behavior(
        name=name, group=Group.FLAW, label=label, does=does, must=must, reason=reason, rule=rule, deviation=deviation
    )


def _attack(name: str, label: str, reason: str, rule: str, does: str, must: str, deviation: Deviation) -> Behavior:
    return replace(_token(name, label, deviation, does, must, reason, rule), group=Group.ATTACK)


def _keys(change: KeyChange, label: str, does: str, must: str) -> Behavior:
    return Behavior(name=change.value, group=Group.KEYS, label=label, does=does, must=must, change=change)


def _fault(fault: Fault, label: str, does: str, shows: str) -> Behavior:
    return Behavior(
        name=fault.value,
        group=Group.FAULT,
        label=label,
        does=does,
        must=_CACHED,
        reason="jwks_fetch_failed",
        shows=shows,
        fault=fault,
    )


_LIST = (
    _attack(
        "forged-key",
        "Forge a token",
        "signature_invalid",
        "signature",
        "Signs with a key of the attacker and names the provider's kid.",
        "Refused: the published key does not verify the signature.",
        Deviation(signer=Signer.FORGED),
    ),
    _attack(
        "stolen-token",
        "Replay a stolen token",
        "jti_replayed",
        "replay",
        "Sends a token, and then sends the same token again as a thief would.",
        "The first exchange is accepted. The second is refused: a token can be exchanged only once.",
        Deviation(times=2),
    ),
    _attack(
        "tampered",
        "Change a signed token",
        "signature_invalid",
        "signature",
        "Replaces the subject after the token was signed.",
        "Refused: the signature does not fit the changed claims.",
        Deviation(tampered={"sub": "attacker"}),
    ),
    _attack(
        "embedded-key",
        "Bring the key along",
        "kid_unknown",
        "key",
        "Signs with a key of the attacker, and names it in the header (jwk and jku).",
        "Refused: keys come only from the JWKS URL of the integration. Changegate never opens the URL in the header.",
        Deviation(signer=Signer.EMBEDDED),
    ),
    _attack(
        "unsigned",
        "Leave the signature out",
        "assertion_not_compact_jws",
        "form",
        "Sends a token with the algorithm none and an empty signature.",
        "Refused: a token without a signature is not an assertion.",
        Deviation(signer=Signer.NONE),
    ),
    _attack(
        "confused-algorithm",
        "Use the public key as a secret",
        "alg_not_allowed",
        "alg",
        "Signs with HS256, with the published key as its secret.",
        "Refused: published keys verify RS and ES algorithms only.",
        Deviation(signer=Signer.PUBLIC_KEY),
    ),
    _token(
        "wrong-algorithm",
        "Wrong algorithm",
        Deviation(header={"alg": "RS512"}),
        "Signs with RS512, which the integration does not allow.",
        "Refused, unless the integration allows RS512.",
        "alg_not_allowed",
        "alg",
    ),
    _token(
        "wrong-issuer",
        "Wrong issuer",
        Deviation(claims={"iss": "https://other-idp.example"}),
        "Names another issuer.",
        "Refused: the issuer must match the integration's exactly.",
        "iss_mismatch",
        "iss",
    ),
    _token(
        "wrong-audience",
        "Wrong audience",
        Deviation(audience="https://other-service.example"),
        "Signs for another service.",
        "Refused: the token is not for Changegate.",
        "aud_mismatch",
        "aud",
    ),
    _token(
        "long-lifetime",
        "Too long a lifetime",
        Deviation(lifetime=timedelta(days=2)),
        "Signs a token that is valid for two days.",
        "Refused: no integration allows more than a day.",
        "lifetime_too_long",
        "lifetime",
    ),
    _token(
        "no-expiry",
        "No expiry",
        Deviation(claims={"exp": None}),
        "Leaves exp out.",
        "Refused: an assertion must expire.",
        "exp_missing",
        "exp",
    ),
    _token(
        "no-kid",
        "No kid",
        Deviation(header={"kid": None}),
        "Leaves kid out of the header.",
        "Refused, unless the integration accepts assertions without kid.",
        "kid_missing",
        "key",
    ),
    _token(
        "no-jti",
        "No jti",
        Deviation(claims={"jti": None, "uti": None}),
        "Leaves the unique claim out.",
        "Refused, unless the replay policy of the integration does not require it.",
        "jti_missing",
        "jti",
    ),
    _token(
        "foreign-key",
        "Foreign key",
        Deviation(signer=Signer.FOREIGN),
        "Signs with a key that was never published, under its own kid.",
        "Refused: the kid is not in the key set. Changegate fetches the key set once to make sure.",
        "kid_unknown",
        "key",
    ),
    _token(
        "retired-key",
        "Retired key",
        Deviation(signer=Signer.RETIRED),
        "Signs with the key that was retired last. If no key has been retired, rotates without overlap first.",
        "Refused as soon as Changegate has fetched the key set without that key.",
        "kid_unknown",
        "key",
    ),
    _token(
        "clock-drifts",
        "Clock drifts by 30 seconds",
        Deviation(clock=timedelta(seconds=30)),
        "Signs with a clock that is 30 seconds ahead.",
        "Accepted: the clock skew of an integration is 60 seconds by default.",
    ),
    _token(
        "clock-ahead",
        "Clock 10 minutes ahead",
        Deviation(clock=timedelta(minutes=10)),
        "Signs with a clock that is 10 minutes ahead.",
        "Refused: the token was issued in the future.",
        "iat_invalid",
        "iat",
    ),
    _token(
        "clock-behind",
        "Clock two days behind",
        Deviation(clock=timedelta(days=-2)),
        "Signs with a clock that is two days behind.",
        "Refused: the token has expired.",
        "expired",
        "exp",
    ),
    _keys(
        KeyChange.ROTATE,
        "Rotate with overlap",
        "Signs with new keys. The previous keys stay published.",
        "Tokens of new and previous keys are accepted. Changegate fetches the key set when it sees the new kid.",
    ),
    _keys(
        KeyChange.ROTATE_ABRUPTLY,
        "Rotate without overlap",
        "Signs with new keys and removes the previous keys from the key set.",
        "Tokens of the new keys are accepted, and tokens of the previous keys refused once Changegate has fetched.",
    ),
    _keys(
        KeyChange.PRE_PUBLISH,
        "Publish the next keys",
        "Publishes keys that do not sign yet. The next rotation uses them.",
        "Tokens are accepted. If Changegate refreshes the key set before the rotation, it needs no fetch after it.",
    ),
    _keys(
        KeyChange.RETIRE,
        "Retire the previous keys",
        "Removes the previous keys from the key set.",
        "Tokens of the current keys are accepted, and tokens of the retired keys refused once Changegate has fetched.",
    ),
    Behavior(
        name="recover",
        group=Group.FAULT,
        label="Recover",
        does="Serves the key set without a fault.",
        must="Tokens are accepted.",
        fault=Fault.NONE,
    ),
    _fault(Fault.DOWN, "Go down", "The key set is answered with status 503.", "status 503"),
    _fault(Fault.SLOW, "Answer slowly", "The key set takes 20 seconds.", "did not answer in time"),
    _fault(Fault.REDIRECT, "Redirect", "The key set is answered with a redirect.", "Redirects are not followed"),
    _fault(Fault.EMPTY, "Empty key set", "The key set holds no key.", "The key set is empty"),
    _fault(Fault.OVERSIZED, "Oversized key set", "The key set is one megabyte larger than necessary.", "larger than"),
    _fault(Fault.MALFORMED, "Malformed key set", "The key set is cut off in the middle.", "not a key set"),
    Behavior(
        name=Fault.DUPLICATE_KID.value,
        group=Group.FAULT,
        label="Duplicate kids",
        does="Each signing kid is also the kid of an unrelated key, which is listed first.",
        must="Tokens are accepted: Changegate tries each key with the kid.",
        fault=Fault.DUPLICATE_KID,
    ),
)

BEHAVIORS: Mapping[str, Behavior] = MappingProxyType({behavior.name: behavior for behavior in _LIST})
