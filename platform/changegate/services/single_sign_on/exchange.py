"""The authorization code flow with PKCE by Authlib's client, over the guarded fetches of the product.

authorization_url     state, nonce, code challenge ──> the provider's page
exchange_code         code, verifier ──> ID token ──> every check of an assertion, and those of an ID token
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client

from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.extensions import now
from changegate.models.claim_condition import MAX_JSON_DEPTH
from changegate.oauth_errors import AssertionRefused
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.assertions.trust_policy import TrustPolicy
from changegate.services.keys.fetches import Fetches
from changegate.services.keys.jwks_fetch import Form
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.key_store import key_store
from changegate.services.keys.signature import SCHEMES
from changegate.services.keys.strict_json import parse_json_strictly
from changegate.services.single_sign_on.attempts import SignOnAttempt
from changegate.services.single_sign_on.failures import LONGEST_DETAIL, SignOnFailed
from changegate.services.single_sign_on.metadata import BASIC, NONE, POST, Metadata
from changegate.services.single_sign_on.providers import Provider

CLOCK_SKEW = timedelta(minutes=1)
LONGEST_ID_TOKEN_LIFETIME = timedelta(days=1)


class TokenAnswer:
    """The answer of a token endpoint, with what Authlib's client reads of a response."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self._body = body

    def json(self) -> object:
        """Return the body; raises `ValueError`."""
        return parse_json_strictly(self._body, max_depth=MAX_JSON_DEPTH)

    def raise_for_status(self) -> None:
        """Do nothing: the client raises `ValueError` for a body that is not an object."""


class GuardedSession:
    """What Authlib's client uses of a session of requests, with the fetches of a fetch thread in its place."""

    def __init__(self, fetches: Fetches) -> None:
        self._fetches = fetches

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> TokenAnswer:
        """Send a form; raises `JwksFetchFailed`."""
        url, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        answer = self._fetches.send(url, Form(body.encode(), sent))
        return TokenAnswer(answer.status, answer.body)


def authorization_url(provider: Provider, metadata: Metadata, attempt: SignOnAttempt) -> str:
    """Return the address of the provider's page for an attempt."""
    client = _client(provider, metadata, None)
    url: str
    url, _ = client.create_authorization_url(
        metadata.authorization_endpoint, state=attempt.state, code_verifier=attempt.verifier, nonce=attempt.nonce
    )
    return url


def exchange_code(provider: Provider, metadata: Metadata, attempt: SignOnAttempt, code: str) -> VerifiedAssertion:
    """Exchange a code for an ID token and verify it. Raises `SignOnFailed` and, if supported, `Postponed`."""
    digest = hashlib.sha256(f"{attempt.state}\0{code}".encode("utf-8", "replace")).digest()
    name = "sign-on code", provider.sys_id, digest
    try:
        id_token, keys = key_store().search(
            name, lambda fetches: _ask(fetches, provider, metadata, attempt.verifier, code)
        )
    except (JwksFetchFailed, JwksUnusable) as problem:
        raise SignOnFailed("sign_on_unavailable", problem.message) from None
    except (AuthlibBaseError, ValueError) as problem:
        raise SignOnFailed("sign_on_code_refused", printable(str(problem), LONGEST_DETAIL)) from None
    return verify_id_token(provider, keys, id_token, attempt.nonce)


def _ask(fetches: Fetches, provider: Provider, metadata: Metadata, verifier: str, code: str) -> tuple[str, KeySet]:
    """Return the ID token of a code, and the provider's keys now. Runs on a fetch thread, without the application."""
    client = _client(provider, metadata, GuardedSession(fetches))
    token = client.fetch_token(
        metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
    )
    id_token = token.get("id_token")
    if not isinstance(id_token, str):
        raise ValueError("the answer of the token endpoint has no ID token")
    return id_token, fetches.probe(metadata.jwks_uri).key_set


def _client(provider: Provider, metadata: Metadata, session: GuardedSession | None) -> OAuth2Client:
    method = NONE
    if provider.client_secret:
        method = POST if metadata.takes_posted_secret_only else BASIC
    return OAuth2Client(
        session,
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        token_endpoint_auth_method=method,
        scope=provider.scopes,
        redirect_uri=provider.redirect_uri,
        code_challenge_method="S256",
    )


def verify_id_token(provider: Provider, keys: KeySet, id_token: str, nonce: str) -> VerifiedAssertion:
    """Verify an ID token (OpenID Connect Core 1.0 §3.1.3.7). Raises `SignOnFailed`."""
    policy = TrustPolicy(
        issuer=provider.issuer,
        audiences=frozenset({provider.client_id}),
        algorithms=frozenset(SCHEMES),
        clock_skew=CLOCK_SKEW,
        max_assertion_lifetime=LONGEST_ID_TOKEN_LIFETIME,
        jti_claim="jti",
        replay_policy="once-if-present",
        # Only together with the check of azp below.
        allow_additional_audiences=True,
        allow_missing_kid=True,
    )
    try:
        verified = UnverifiedAssertion.parse(id_token).verify(policy, keys, now=now())
        verified.report.add(*_checks_of_id_token(verified, provider.client_id, nonce))
        verified.report.require_passed()
    except AssertionRefused as refusal:
        raise SignOnFailed("sign_on_token_refused", _explain(refusal.report, refusal.reason)) from None
    return verified


def _checks_of_id_token(verified: VerifiedAssertion, client_id: str, nonce: str) -> tuple[RuleCheck, RuleCheck]:
    received, azp = verified.claims.get("nonce"), verified.claims.get("azp")
    is_for_others = len(verified.audience) > 1 or azp is not None
    return (
        RuleCheck("nonce", None if received == nonce else "nonce_mismatch", "the nonce of this sign-in", received),
        RuleCheck("azp", "azp_mismatch" if is_for_others and azp != client_id else None, client_id, azp),
    )


def _explain(report: object, reason: str) -> str:
    failed = [rule for rule in report.results if not rule.passed] if isinstance(report, Report) else []
    if not failed:
        return reason
    rule = failed[0]
    return printable(f"{rule.rule} ({reason}): expected {rule.expected}; received {rule.received}", LONGEST_DETAIL)
