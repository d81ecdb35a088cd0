"""The identity provider itself: its issuer, its key set, what it signs and how it misbehaves."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from demo_idp.key_ring import KeyRing
from demo_idp.signing_key import ALGORITHMS, SigningKey

# More than any sensible client reads of a key set.
OVERSIZED_BYTES = 1024 * 1024


class Misbehaviour(StrEnum):
    """What can be wrong with an identity provider, on tap."""

    NONE = "none"
    DOWN = "down"
    EMPTY = "empty"
    OVERSIZED = "oversized"
    DUPLICATE_KID = "duplicate_kid"
    RETIRED_KEY = "retired_key"


MISBEHAVIOURS = {
    Misbehaviour.NONE: "normal operation",
    Misbehaviour.DOWN: "the key set returns 503",
    Misbehaviour.EMPTY: "the key set is empty",
    Misbehaviour.OVERSIZED: "the key set is one megabyte larger than necessary",
    Misbehaviour.DUPLICATE_KID: "each signing kid is also the kid of an unrelated key, which is listed first",
    Misbehaviour.RETIRED_KEY: "assertions are signed with a key that is no longer published",
}


@dataclass(frozen=True, slots=True)
class AssertionOrder:
    """What a caller wants signed; in `claims` and `header` a None leaves the member out."""

    subject: str
    audience: str | list[str]
    claims: Mapping[str, object]
    lifetime: timedelta
    algorithm: str
    header: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class SignedAssertion:
    """A compact JWS and the claims inside it."""

    assertion: str
    claims: Mapping[str, object]


def utc_now() -> datetime:
    """Return the present instant, aware."""
    return datetime.now(UTC)


class IdentityProvider:
    """An issuer that signs whatever it is asked to, truthfully or not."""

    def __init__(self, issuer: str, now: Callable[[], datetime]) -> None:
        self.issuer = issuer
        self.keys = KeyRing()
        self.misbehaviour = Misbehaviour.NONE
        self._now = now
        self._strangers: tuple[SigningKey, ...] = ()

    def misbehave(self, mode: Misbehaviour) -> None:
        """Switch to one misbehaviour, or back to none.

        Signing with a retired key needs one: if no key has been retired yet, the current ones are.
        """
        if mode is Misbehaviour.RETIRED_KEY and not self.keys.has_retired():
            self.keys.rotate(overlap=False)
        if mode is Misbehaviour.DUPLICATE_KID:
            self._strangers = tuple(SigningKey.generate(algorithm) for algorithm in ALGORITHMS)
        self.misbehaviour = mode

    def get_key_set(self) -> dict[str, object]:
        """Return the JWK Set (RFC 7517 §5) as the present misbehaviour has it."""
        if self.misbehaviour is Misbehaviour.EMPTY:
            return {"keys": []}
        jwks = [key.public_jwk for key in self.keys.published]
        if self.misbehaviour is Misbehaviour.DUPLICATE_KID:
            jwks = [*self._list_namesakes(), *jwks]
        if self.misbehaviour is Misbehaviour.OVERSIZED:
            return {"keys": jwks, "padding": "x" * OVERSIZED_BYTES}
        return {"keys": jwks}

    def sign(self, order: AssertionOrder) -> SignedAssertion:
        """Sign an assertion (RFC 7523 §3), with whatever lies the order asks for."""
        key = self._choose_key(order)
        claims = self._compose_claims(order)
        header = {"kid": key.kid, "typ": "JWT", **order.header}
        # Not jwt.encode(): it refuses the malformed claims that a verifier must be tested with.
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
        if self.misbehaviour is Misbehaviour.RETIRED_KEY:
            return self.keys.get_retired(order.algorithm)
        named = self.keys.find_published(order.header.get("kid"), order.algorithm)
        return named or self.keys.get_current(order.algorithm)

    def _list_namesakes(self) -> list[dict[str, str]]:
        return [
            {**stranger.public_jwk, "kid": self.keys.get_current(stranger.algorithm).kid}
            for stranger in self._strangers
        ]
