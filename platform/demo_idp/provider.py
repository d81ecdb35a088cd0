"""The identity provider: issuer, key set with its faults, and signing."""

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Event

from jwt.utils import base64url_encode

from demo_idp.key_ring import KeyRing
from demo_idp.orders import NO_DEVIATION, Deviation, Signer, TokenOrder
from demo_idp.signing_key import ALGORITHMS, SigningKey, compact

# More than the size limit of clients for key sets.
OVERSIZED_BYTES = 1024 * 1024
# Longer than clients wait.
SLOW_SECONDS = 20.0
# The longest time until Changegate fetches the key set for an unknown kid again.
LONGEST_COOLDOWN = timedelta(seconds=60)
SHOWN_FETCHES = 5


class Fault(StrEnum):
    """A fault of the key set."""

    NONE = "none"
    DOWN = "down"
    SLOW = "slow"
    REDIRECT = "redirect"
    EMPTY = "empty"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    DUPLICATE_KID = "duplicate-kid"


# The faults that leave the key set usable.
USABLE = (Fault.NONE, Fault.DUPLICATE_KID)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch of the key set by Changegate, and the kids that it got; none if the answer had a fault."""

    at: datetime
    status: int
    kids: frozenset[str]


@dataclass(frozen=True, slots=True, repr=False)
class SignedToken:
    """A compact JWS with its header and claims."""

    assertion: str
    header: Mapping[str, object]
    claims: Mapping[str, object]


def utc_now() -> datetime:
    """Return the current time as an aware datetime."""
    return datetime.now(UTC)


class IdentityProvider:
    """An issuer that signs any claims, true or false."""

    def __init__(self, issuer: str, now: Callable[[], datetime] = utc_now) -> None:
        self.issuer = issuer
        self.keys = KeyRing()
        self.fault = Fault.NONE
        self.fetches: deque[Fetch] = deque(maxlen=SHOWN_FETCHES)
        self.now = now
        self._recovered = Event()
        self._known_kids: frozenset[str] = frozenset()
        self._namesakes: tuple[SigningKey, ...] = ()

    def switch(self, fault: Fault) -> None:
        """Switch to a fault of the key set, or to none."""
        if fault is Fault.DUPLICATE_KID:
            self._namesakes = tuple(SigningKey.generate(algorithm) for algorithm in ALGORITHMS)
        self.fault = fault
        # Requests that wait for a slow key set are answered now; later ones wait for the next event.
        self._recovered.set()
        self._recovered = Event()

    def wait_if_slow(self, fault: Fault) -> None:
        """Wait until the key set is no longer slow, but not forever."""
        if fault is Fault.SLOW:
            self._recovered.wait(SLOW_SECONDS)

    def get_key_set(self) -> dict[str, object]:
        """Return the JWK Set (RFC 7517 §5), with the current fault."""
        if self.fault is Fault.EMPTY:
            return {"keys": []}
        jwks = [key.public_jwk for key in self.keys.published]
        if self.fault is Fault.DUPLICATE_KID:
            jwks = [*self._list_namesakes(), *jwks]
        if self.fault is Fault.OVERSIZED:
            return {"keys": jwks, "padding": "x" * OVERSIZED_BYTES}
        return {"keys": jwks}

    def note_fetch(self, status: int, fault: Fault) -> None:
        """Record that Changegate has fetched the key set, with a fault or without."""
        is_good = status in (200, 304) and fault in USABLE
        kids = frozenset(key.kid for key in self.keys.published) if is_good else frozenset()
        self._known_kids = kids or self._known_kids
        self.fetches.appendleft(Fetch(self.now(), status, kids))

    def is_known_to_changegate(self, kid: object) -> bool:
        """Return whether the last good key set that Changegate has fetched holds a kid."""
        return kid in self._known_kids

    @property
    def fetched_again_at(self) -> datetime | None:
        """Return the latest time when Changegate fetches an unknown kid's key set again; None if at once."""
        if not self.fetches:
            return None
        latest = self.fetches[0].at + LONGEST_COOLDOWN
        return latest if latest > self.now() else None

    def sign(self, order: TokenOrder, deviation: Deviation = NO_DEVIATION) -> SignedToken:
        """Return an assertion (RFC 7523 §3) with the ordered claims, true or false, and what is wrong with it."""
        algorithm = order.algorithm or order.layout.algorithm
        claims = self._compose_claims(order, deviation)
        # Not jwt.encode(): it refuses malformed claims, which tests of verifiers need.
        payload = _encoded(claims)
        typ = order.layout.typ
        assertion, header = self._sign(
            payload, {"typ": typ, **order.header, **deviation.header}, algorithm, deviation.signer
        )
        if deviation.tampered:
            claims |= deviation.tampered
            head, _, signature = assertion.split(".")
            assertion = ".".join((head, base64url_encode(_encoded(claims)).decode(), signature))
        return SignedToken(assertion, header, claims)

    def _compose_claims(self, order: TokenOrder, deviation: Deviation) -> dict[str, object]:
        issued_at = int((self.now() + deviation.clock).timestamp())
        default = timedelta(seconds=order.layout.lifetime_seconds)
        lifetime = deviation.lifetime or order.lifetime or default
        claims: dict[str, object] = {
            "iss": self.issuer + order.layout.issuer_path,
            **order.layout.fill(audience=deviation.audience or order.audience, issued_at=issued_at),
            **({} if order.subject is None else {"sub": order.subject}),
            "iat": issued_at,
            "exp": issued_at + int(lifetime.total_seconds()),
            **order.claims,
            **deviation.claims,
        }
        # A null of the layout is a claim with that value; a null of the order or the deviation leaves the claim out.
        optional = {**order.claims, **deviation.claims}
        return {name: value for name, value in claims.items() if value is not None or name not in optional}

    def _sign(
        self, payload: bytes, extra: Mapping[str, object], algorithm: str, signer: Signer
    ) -> tuple[str, Mapping[str, object]]:
        key = self._choose_key(extra.get("kid"), algorithm, signer)
        header: dict[str, object] = {"alg": key.algorithm, "kid": key.kid, **extra}
        if signer is Signer.EMBEDDED:
            header |= {"jwk": key.public_jwk, "jku": "https://keys.attacker.example/jwks.json"}
        if signer is Signer.NONE:
            header["alg"] = "none"
            assertion = compact(header, payload, lambda _: b"")
        elif signer is Signer.PUBLIC_KEY:
            header["alg"] = "HS256"
            assertion = compact(header, payload, lambda text: hmac.digest(key.public_pem, text, hashlib.sha256))
        else:
            assertion = key.sign(payload, header)
        return assertion, {name: value for name, value in header.items() if value is not None}

    def _choose_key(self, kid: object, algorithm: str, signer: Signer) -> SigningKey:
        current = self.keys.get_current(algorithm)
        if signer in (Signer.FOREIGN, Signer.EMBEDDED):
            return SigningKey.generate(algorithm)
        if signer is Signer.FORGED:
            return SigningKey.generate(algorithm, current.kid)
        if signer is Signer.RETIRED:
            if not self.keys.has_retired():
                self.keys.rotate(overlap=False)
            return self.keys.get_retired(algorithm)
        return self.keys.find_published(kid, algorithm) or current

    def _list_namesakes(self) -> list[dict[str, str]]:
        return [{**other.public_jwk, "kid": self.keys.get_current(other.algorithm).kid} for other in self._namesakes]


def _encoded(claims: Mapping[str, object]) -> bytes:
    return json.dumps(claims, separators=(",", ":")).encode()
