"""Access tokens in JWT format (RFC 9068): signed here, and verified when they come back."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AssertionRefused
from changegate.models import OAuthTokenKey
from changegate.services.assertions.compact_form import split_compact
from changegate.services.assertions.report import Report
from changegate.services.keys.strict_json import parse_json_strictly
from changegate.services.oauth.token_key import Verifier, find_kid, header_of, load_verifier
from changegate.services.oauth.token_keys import get_signer

MAX_DEPTH = 2
_HEADER_LENGTH = len(header_of("x" * 43))
_KEY = Prepared(select(OAuthTokenKey.public_jwk).where(OAuthTokenKey.kid == parameter("wanted")))
# By header. A kid is its key's thumbprint, so that what was loaded once stays right; whether the key still counts is
# asked of the database at every call. Only keys that were found are kept, and there are few.
_verifiers: dict[str, Verifier] = {}


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token says that this product signed; whether it is still good for anything, its row knows."""

    correlation_id: str
    kid: str


@dataclass(frozen=True, slots=True)
class _Signed:
    """The claims of a token that one of our keys signed, whenever that was."""

    kid: str
    claims: Mapping[str, object]


class _NotOursError(Exception):
    """A text is no token that one of our keys signed."""


def sign_token(claims: Mapping[str, Any], at: datetime) -> str:
    """Return a token with these claims; raises `TemporarilyUnavailable` where no key can be had."""
    return get_signer(at).sign(orjson.dumps(claims))


def looks_like_jwt(text: str) -> bool:
    """Tell whether a text has three segments; nothing else about it is known."""
    return text.count(".") == 2


def is_written_as_ours(text: str) -> bool:
    """Tell whether a token's header is, to the letter, that of one of our keys; its signature is not looked at."""
    try:
        _find_verifier(text.partition(".")[0])
    except _NotOursError:
        return False
    return True


def verify_token(text: str, *, issuer: str, at: datetime) -> VerifiedToken | None:
    """Return what a token says, or None unless it is this issuer's, for itself, by a key of its own, and not expired.

    RFC 9068 §4, with no leeway: who issues and who verifies have one clock.
    """
    try:
        signed = _read_signed(text)
    except _NotOursError:
        return None
    claims = signed.claims
    expires, jti = claims.get("exp"), claims.get("jti")
    is_for_us = claims.get("iss") == issuer and claims.get("aud") == issuer
    is_alive = type(expires) is int and expires > at.timestamp()
    return VerifiedToken(jti, signed.kid) if is_for_us and is_alive and isinstance(jti, str) else None


# That a key has signed a text stays true, so it is found out once. All that can change is judged at every call: times
# and issuer above, key, token and trust by the statement that finds the token's row.
@lru_cache(maxsize=1024)
def _read_signed(text: str) -> _Signed:
    verifier = _find_verifier(text.partition(".")[0])
    try:
        form = split_compact(text, Report())
    except AssertionRefused:
        raise _NotOursError from None
    if not verifier.has_signed(form.signing_input, form.signature):
        raise _NotOursError
    return _Signed(verifier.kid, _read_claims(form.payload))


def _find_verifier(header: str) -> Verifier:
    """Return the key of a header segment, which is written as ours are, to the letter."""
    verifier = _verifiers.get(header) or (_load(header) if len(header) == _HEADER_LENGTH else None)
    if verifier is None:
        raise _NotOursError
    return verifier


def _load(header: str) -> Verifier | None:
    try:
        kid = find_kid(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except ValueError:
        return None
    if kid is None or header_of(kid) != header:
        return None
    row = _KEY.first({"wanted": kid})
    verifier = load_verifier(kid, row.public_jwk) if row else None
    if verifier:
        _verifiers[header] = verifier
    return verifier


def _read_claims(payload: bytes) -> Mapping[str, object]:
    try:
        claims = parse_json_strictly(payload, max_depth=MAX_DEPTH)
    except ValueError:
        claims = None
    return claims if isinstance(claims, dict) else {}
