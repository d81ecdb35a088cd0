"""Client authentication by a signed assertion: private_key_jwt (RFC 7523 §2.2, narrowed as in decision 0014)."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, or_, update
from sqlalchemy.exc import IntegrityError

from changegate.database.cleanup import is_time_to_clean_up
from changegate.errors import AssertionRefused, InvalidClient
from changegate.extensions import db, now, settings
from changegate.models import OAuthClientAssertion, OAuthEntity
from changegate.postponed import forbid_postponing
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.replay import assertion_claim
from changegate.services.assertions.trust_policy import JTI_REQUIRED, JWT_ONLY, TrustPolicy
from changegate.services.keys.key_store import KeyStore
from changegate.services.keys.signature import SCHEMES
from changegate.services.oauth.clients import Client, ClientCredentials, get_unproven_client
from changegate.services.oauth.jwt_bearer_grant import verify_for

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_AUTHENTICATION = "client-authentication+jwt"
# The token endpoint: client libraries take its URL for the audience of what they sign (Authlib does by default).
TOKEN_PATHS = ("/oauth/token", "/oauth_token.do")
# Authlib's default. A claim is used once, so that a longer life gives a thief no second use.
LONGEST_LIFETIME = timedelta(hours=1)
TOO_LONG = "lifetime_too_long"
# Public keys only: a key that both sides know proves nothing that a secret would not.
ALGORITHMS = frozenset(SCHEMES)
# Longer than any clock skew that an integration may have: a claim outlives what it was claimed by.
KEPT_AFTER_EXPIRY = timedelta(hours=1)
NOTED_EVERY = timedelta(days=1)
_CLAIMS = OAuthClientAssertion.__table__


def find_named_client(text: str) -> str | None:
    """Return the client that an assertion says it is from, or None; that chooses a configuration and nothing else."""
    try:
        return UnverifiedAssertion.parse(text).unverified_issuer
    except AssertionRefused:
        return None


def authenticate_by_assertion(credentials: ClientCredentials, key_store: KeyStore) -> Client:
    """Return the client that signed the assertion of its credentials, which is good for this once.

    Raises `InvalidClient`, and `TemporarilyUnavailable` where its keys cannot be had.
    """
    client = get_unproven_client(credentials.client_id)
    if not client.is_public:
        # Else whoever has the signing key would need no secret any more.
        raise InvalidClient("client_assertion_refused", "this client has a secret and proves itself by that")
    assertion: UnverifiedAssertion | None = None
    try:
        assertion = UnverifiedAssertion.parse(credentials.assertion or "")
        verified = _verify(client, assertion, key_store)
        _claim(client, verified)
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
    """Return the rules for what a client signs to prove who it is to `issuer`, by the keys that it is trusted by.

    No JWT is both a grant and a client assertion of one integration: where the two have one issuer, `typ` must tell
    them apart.
    """
    own = client.policy
    accepted, is_telling = JWT_ONLY | {CLIENT_AUTHENTICATION}, own.issuer == client.client_id
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
        accepted_typ=accepted - own.accepted_typ if is_telling else accepted,
        typ_required=is_telling,
        conditions=(),
    )


def _verify(client: Client, assertion: UnverifiedAssertion, key_store: KeyStore) -> VerifiedAssertion:
    as_client = replace(client, policy=policy_for_client_assertions(client, settings().base_url))
    verified = verify_for(as_client, assertion, key_store)
    reason = None if verified.subject == client.client_id else "sub_mismatch"
    verified.report.add(("subject", reason, client.client_id, verified.subject))
    verified.report.require_passed()
    return verified


def _claim(client: Client, verified: VerifiedAssertion) -> None:
    """Spend an assertion, in a transaction of its own: what it was sent with may still be refused.

    One INSERT decides, so that of several processes exactly one takes it.
    """
    claim = assertion_claim(client.entity, verified.issuer, verified.replay_digest)
    # If the request ran again, its own claim would refuse it.
    forbid_postponing()
    try:
        with db.engine.begin() as at_work:
            if is_time_to_clean_up():
                at_work.execute(delete(_CLAIMS).where(_CLAIMS.c.expires_at < now() - KEPT_AFTER_EXPIRY))
            at_work.execute(insert(_CLAIMS).values(claim=claim, expires_at=verified.expires_at))
            _note_use(at_work, client)
    except IntegrityError:
        verified.report.add(("replay", "jti_replayed", "not seen before", "seen before"))
        verified.report.require_passed()


def _note_use(at_work: Connection, client: Client) -> None:
    """Store on the integration when its client signed, at most once a day, so that most uses write nothing."""
    noted, at = OAuthEntity.last_client_assertion_at, now()
    is_due = (OAuthEntity.sys_id == client.entity, or_(noted.is_(None), noted <= at - NOTED_EVERY))
    at_work.execute(update(OAuthEntity).where(*is_due).values(last_client_assertion_at=at))
