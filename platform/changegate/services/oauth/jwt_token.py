"""Access tokens in JWT format (RFC 9068): their signing and verification."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import OAuthTokenKey
from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.compact_form import split_compact
from changegate.services.assertions.report import Report
from changegate.services.keys.base64url import decode_base64url
from changegate.services.keys.strict_json import parse_json_strictly
from changegate.services.oauth.token_key import Verifier, find_kid, header_of, load_verifier
from changegate.services.oauth.token_keys import get_signer

MAX_CLAIMS_DEPTH = 2
# A kid is a thumbprint of 43 characters, so that all headers have one length. Any other text costs neither decoding nor
# SQL.
_HEADER_LENGTH = len(header_of("x" * 43))
_KEY = Prepared(select(OAuthTokenKey.public_jwk).where(OAuthTokenKey.kid == parameter("kid")))


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The content of a token that this instance signed; whether it is still active depends on its row."""

    correlation_id: str
    kid: str


@dataclass(frozen=True, slots=True)
class _Signed:
    """The claims of a token that one of this instance's keys signed, possibly expired."""

    kid: str
    claims: Mapping[str, object]


class _NotIssuedHereError(Exception):
    """The text is not a token that one of this instance's keys signed."""


def sign_token(claims: Mapping[str, Any], at: datetime) -> str:
    """Return a token with these claims; raises `TemporarilyUnavailable` if no key is available."""
    return get_signer(at).sign(orjson.dumps(claims))


def looks_like_jwt(text: str) -> bool:
    """Return whether a text has three segments; nothing else is checked."""
    return text.count(".") == 2


def has_header_of_instance(text: str) -> bool:
    """Return whether a token's header is exactly that of one of this instance's keys; the signature is not verified."""
    try:
        _find_verifier(text.partition(".")[0])
    except _NotIssuedHereError:
        return False
    return True


def verify_token(text: str, *, issuer: str, at: datetime) -> VerifiedToken | None:
    """Verify a token (RFC 9068 §4): signature, issuer, audience, and expiry; return None if it is not valid.

    There is no leeway for clocks, because the instance that issued the token also verifies it.
    """
    try:
        signed = _read_signed(text)
    except _NotIssuedHereError:
        return None
    claims = signed.claims
    expires, jti = claims.get("exp"), claims.get("jti")
    is_for_us = claims.get("iss") == issuer and claims.get("aud") == issuer
    is_alive = type(expires) is int and expires > at.timestamp()
    return VerifiedToken(jti, signed.kid) if is_for_us and is_alive and isinstance(jti, str) else None


def claims_of_verified(text: str) -> Mapping[str, object]:
    """Return the claims of a token that `verify_token` has accepted."""
    return _read_signed(text).claims


# A signature that is valid stays valid, so that it is verified once. Everything that can change is checked at every
# call: times and issuer in `verify_token`; key, token, and integration by the statement that finds the token's row.
# Exceptions are not cached: invalid tokens leave no entry.
@lru_cache(maxsize=1024)
def _read_signed(text: str) -> _Signed:
    verifier = _find_verifier(text.partition(".")[0])
    try:
        form = split_compact(text, Report())
    except AssertionRefused:
        raise _NotIssuedHereError from None
    if not verifier.has_signed(form.signing_input, form.signature):
        raise _NotIssuedHereError
    return _Signed(verifier.kid, _read_claims(form.payload))


# Entries stay valid, because a kid is its key's thumbprint. The database is asked at every call whether the key still
# is published. Only existing keys are cached: an exception leaves no entry.
@lru_cache(maxsize=64)
def _find_verifier(header: str) -> Verifier:
    """Return the key of a header segment that is exactly as this instance writes it; raises `_NotIssuedHereError`."""
    verifier = _load(header) if len(header) == _HEADER_LENGTH else None
    if verifier is None:
        raise _NotIssuedHereError
    return verifier


def _load(header: str) -> Verifier | None:
    # Both accept one spelling only. Otherwise, each of several spellings of a header would become a cache entry.
    decoded = decode_base64url(header)
    kid = find_kid(decoded) if decoded is not None else None
    if kid is None:
        return None
    row = _KEY.first({"kid": kid})
    return load_verifier(kid, row.public_jwk) if row else None


def _read_claims(payload: bytes) -> Mapping[str, object]:
    try:
        claims = parse_json_strictly(payload, max_depth=MAX_CLAIMS_DEPTH)
    except ValueError:
        claims = None
    return claims if isinstance(claims, dict) else {}
