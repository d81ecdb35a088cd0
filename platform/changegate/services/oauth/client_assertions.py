"""Client authentication by a signed assertion: private_key_jwt (RFC 7523 §2.2, restricted by decision 0014)."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, insert, or_, update
from sqlalchemy.exc import IntegrityError

from changegate.extensions import db, now, settings
from changegate.models import OAuthClientAssertion, OAuthEntity
from changegate.oauth_errors import AssertionRefused, InvalidClient
from changegate.postponed import forbid_postponing
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.replay import replay_key_of
from changegate.services.assertions.report import RuleCheck
from changegate.services.assertions.trust_policy import JTI_REQUIRED, JWT_ONLY, TrustPolicy
from changegate.services.jobs.cleanups import deletes
from changegate.services.keys.key_store import KeyStore
from changegate.services.keys.signature import SCHEMES
from changegate.services.oauth.client_authentication import ClientCredentials, get_unauthenticated_client
from changegate.services.oauth.clients import Client
from changegate.services.oauth.jwt_bearer_grant import verify_for

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_AUTHENTICATION = "client-authentication+jwt"
# The paths of the token endpoint, whose URL client libraries use as the audience (Authlib does by default).
TOKEN_PATHS = ("/oauth/token", "/oauth_token.do")
# Authlib's default. Each assertion is accepted once only, so that a long lifetime allows no second use.
LONGEST_LIFETIME = timedelta(hours=1)
TOO_LONG = "lifetime_too_long"
# Public keys only: a shared key proves no more than a client secret does.
ALGORITHMS = frozenset(SCHEMES)
# Longer than the clock skew of any integration, so that a replay key outlives its assertion.
KEPT_AFTER_EXPIRY = timedelta(hours=1)
NOTED_EVERY = timedelta(days=1)


def find_named_client(text: str) -> str | None:
    """Return the unverified client id in an assertion, or None; use it only to choose a configuration."""
    try:
        return UnverifiedAssertion.parse(text).unverified_issuer
    except AssertionRefused:
        return None


def authenticate_by_assertion(credentials: ClientCredentials, key_store: KeyStore) -> Client:
    """Return the client that signed the assertion of its credentials; the assertion is accepted once only.

    Raises `InvalidClient`, and `TemporarilyUnavailable` if the client's keys are unavailable.
    """
    client = get_unauthenticated_client(credentials.client_id)
    if not client.is_public:
        # Otherwise the holder of the signing key would no longer need the client's secret.
        raise InvalidClient("client_assertion_refused", "this client has a secret and proves itself by that")
    assertion: UnverifiedAssertion | None = None
    try:
        assertion = UnverifiedAssertion.parse(credentials.assertion or "")
        verified = _verify(client, assertion, key_store, credentials.address)
        _use_once(client, verified)
    except AssertionRefused as refusal:
        remedy = _name_bound(client) if refusal.reason == TOO_LONG else None
        raise InvalidClient(
            refusal.reason, refusal.detail, report=refusal.report, assertion=assertion, remedy=remedy
        ) from None
    return client


def _longest_lifetime(client: Client) -> timedelta:
    return min(client.policy.max_assertion_lifetime, LONGEST_LIFETIME)


def _name_bound(client: Client) -> str:
    return f"a client assertion may live for at most {int(_longest_lifetime(client).total_seconds())} seconds"


def policy_for_client_assertions(client: Client, issuer: str) -> TrustPolicy:
    """Return the policy for assertions that authenticate a client to `issuer`; they are signed by its trusted keys.

    A JWT must not be usable both as a grant and as a client assertion of one integration. If both have the same issuer,
    only `typ` distinguishes them, and is therefore required.
    """
    own = client.policy
    accepted, is_typ_decisive = JWT_ONLY | {CLIENT_AUTHENTICATION}, own.issuer == client.client_id
    return replace(
        own,
        issuer=client.client_id,
        audiences=frozenset({issuer, *(issuer + path for path in TOKEN_PATHS)}),
        algorithms=own.algorithms & ALGORITHMS,
        max_assertion_lifetime=_longest_lifetime(client),
        jti_claim="jti",
        replay_policy=JTI_REQUIRED,
        audience_claim="aud",
        allow_additional_audiences=False,
        accepted_typ=accepted - own.accepted_typ if is_typ_decisive else accepted,
        typ_required=is_typ_decisive,
        conditions=(),
    )


def _verify(client: Client, assertion: UnverifiedAssertion, key_store: KeyStore, address: str) -> VerifiedAssertion:
    as_client = replace(client, policy=policy_for_client_assertions(client, settings().base_url))
    verified = verify_for(as_client, assertion, key_store, address)
    reason = None if verified.subject == client.client_id else "sub_mismatch"
    verified.report.add(RuleCheck("subject", reason, client.client_id, verified.subject))
    verified.report.require_passed()
    return verified


def _use_once(client: Client, verified: VerifiedAssertion) -> None:
    """Record the use of an assertion, or refuse it as replayed.

    A transaction of its own, so that the use is recorded even if the rest of the request is refused. The INSERT
    decides, so that exactly one of several processes succeeds.
    """
    replay_key = replay_key_of(client.entity, verified.issuer, verified.replay_digest)
    # A postponed request runs again from the start, and would then be refused as a replay of itself.
    forbid_postponing()
    try:
        with db.engine.begin() as at_work:
            at_work.execute(insert(OAuthClientAssertion).values(replay_key=replay_key, expires_at=verified.expires_at))
            _note_use(at_work, client)
    except IntegrityError:
        verified.report.add(RuleCheck("replay", "jti_replayed", "not seen before", "seen before"))
        verified.report.require_passed()


purge_client_assertions = deletes(
    "oauth.purge_client_assertions",
    "replay keys of client assertions that have expired",
    OAuthClientAssertion.replay_key,
    lambda at: OAuthClientAssertion.expires_at < at - KEPT_AFTER_EXPIRY,
)


def _note_use(at_work: Connection, client: Client) -> None:
    """Store on the integration when its client last signed, at most once a day, so that most uses write nothing."""
    noted, at = OAuthEntity.last_client_assertion_at, now()
    is_due = (OAuthEntity.sys_id == client.entity, or_(noted.is_(None), noted <= at - NOTED_EVERY))
    at_work.execute(update(OAuthEntity).where(*is_due).values(last_client_assertion_at=at))
