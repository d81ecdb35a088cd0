"""The identity provider: issuer, key set, signing, and deliberate faults."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from demo_idp.key_ring import KeyRing
from demo_idp.signing_key import ALGORITHMS, SigningKey

# More than the size limit of clients for key sets.
OVERSIZED_BYTES = 1024 * 1024


class Misbehavior(StrEnum):
    """Deliberate faults of the provider, for tests of clients."""

    NONE = "none"
    DOWN = "down"
    EMPTY = "empty"
    OVERSIZED = "oversized"
    DUPLICATE_KID = "duplicate_kid"
    RETIRED_KEY = "retired_key"


MISBEHAVIORS = {
    Misbehavior.NONE: "normal operation",
    Misbehavior.DOWN: "the key set returns 503",
    Misbehavior.EMPTY: "the key set is empty",
    Misbehavior.OVERSIZED: "the key set is one megabyte larger than necessary",
    Misbehavior.DUPLICATE_KID: "each signing kid is also the kid of an unrelated key, which is listed first",
    Misbehavior.RETIRED_KEY: "assertions are signed with a key that is no longer published",
}


@dataclass(frozen=True, slots=True)
class AssertionOrder:
    """The assertion to sign; None in `claims` or `header` leaves a member out."""

    subject: str
    audience: str | list[str]
    claims: Mapping[str, object]
    lifetime: timedelta
    algorithm: str
    header: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class SignedAssertion:
    """A compact JWS and its claims."""

    assertion: str
    claims: Mapping[str, object]


def utc_now() -> datetime:
    """Return the current time as an aware datetime."""
    return datetime.now(UTC)


class IdentityProvider:
    """An issuer that signs any claims, true or false."""

    def __init__(self, issuer: str, now: Callable[[], datetime]) -> None:
        self.issuer = issuer
        self.keys = KeyRing()
        self.misbehavior = Misbehavior.NONE
        self._now = now
        self._strangers: tuple[SigningKey, ...] = ()

    def misbehave(self, mode: Misbehavior) -> None:
        """Switch to a fault, or to none.

        To sign with a retired key, the current keys are retired if there are no retired ones.
        """
        if mode is Misbehavior.RETIRED_KEY and not self.keys.has_retired():
            self.keys.rotate(overlap=False)
        if mode is Misbehavior.DUPLICATE_KID:
            self._strangers = tuple(SigningKey.generate(algorithm) for algorithm in ALGORITHMS)
        self.misbehavior = mode

    def get_key_set(self) -> dict[str, object]:
        """Return the JWK Set (RFC 7517 §5), with the current fault."""
        if self.misbehavior is Misbehavior.EMPTY:
            return {"keys": []}
        jwks = [key.public_jwk for key in self.keys.published]
        if self.misbehavior is Misbehavior.DUPLICATE_KID:
            jwks = [*self._list_namesakes(), *jwks]
        if self.misbehavior is Misbehavior.OVERSIZED:
            return {"keys": jwks, "padding": "x" * OVERSIZED_BYTES}
        return {"keys": jwks}

    def sign(self, order: AssertionOrder) -> SignedAssertion:
        """Return an assertion (RFC 7523 §3) with the ordered claims, true or false."""
        key = self._choose_key(order)
        claims = self._compose_claims(order)
        header = {"kid": key.kid, "typ": "JWT", **order.header}
        # Not jwt.encode(): it refuses malformed claims, which tests of verifiers need.
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return SignedAssertion(key.sign(payload, header), claims)

    def _compose_claims(self, order: AssertionOrder) -> dict[str, object]:
        issued_at = int(self._now().timestamp())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "sub": order.subject,
            "aud": order.audience,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + int(order.lifetime.total_seconds()),
            "jti": str(uuid4()),
            **order.claims,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def _choose_key(self, order: AssertionOrder) -> SigningKey:
        if self.misbehavior is Misbehavior.RETIRED_KEY:
            return self.keys.get_retired(order.algorithm)
        named = self.keys.find_published(order.header.get("kid"), order.algorithm)
        return named or self.keys.get_current(order.algorithm)

    def _list_namesakes(self) -> list[dict[str, str]]:
        return [
            {**stranger.public_jwk, "kid": self.keys.get_current(stranger.algorithm).kid}
            for stranger in self._strangers
        ]
