"""OAuth clients: what the OAuth endpoints need to know of an integration, read in one statement.

`client_authentication` authenticates them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from changegate.database import connection
from changegate.database.json_rows import as_stored
from changegate.database.prepared import Prepared, Remembered, parameter
from changegate.models import JwksCache, OAuthEntity, OAuthEntityScope, SysAuthScope, SysUser
from changegate.models.integration_choices import ID_TOKEN, JWT_BEARER
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.assertions.claim_conditions import load_conditions
from changegate.services.assertions.trust_policy import TrustPolicy, accepted_typ
from changegate.services.keys.key_source import CachedFacts, KeySource
from changegate.services.keys.static_keys import static_keys_of

ClientRow = Any  # a row of `_statement`, by column name


@dataclass(frozen=True, slots=True)
class Client:
    """The properties of an integration that an exchange needs, read in one statement.

    `type` determines its grant; policy and source are meaningful only if an identity provider signs.
    `refresh_token_lifespan` is None if the integration issues no refresh tokens.
    """

    entity: str
    client_id: str
    is_public: bool
    policy: TrustPolicy
    source: KeySource
    scopes: tuple[str, ...]
    token_lifespan: timedelta
    token_generation: int
    token_format: str
    user_field: str | None
    run_as: str | None
    is_run_as_active: bool
    type: str
    refresh_token_lifespan: timedelta | None
    # For ID tokens only: the claim that `user_field` is compared with, whether an email must be verified, and the
    # instant after which tokens must have been issued.
    user_claim: str
    requires_email_verified: bool
    tokens_valid_from: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class StoredClient:
    """A client that may not be authenticated yet, with the hashes that its secret is compared with."""

    client: Client
    is_active: bool
    secrets: tuple[str | None, str | None, datetime | None]

    @classmethod
    def of_row(cls, row: ClientRow) -> "StoredClient":
        """Return the client of a row of `_statement`."""
        kept = (row.client_secret_hash, row.previous_client_secret_hash, row.previous_client_secret_expires_at)
        return cls(client_of(row), row.active, kept)


def find_client(client_id: str) -> StoredClient | None:
    """Return the client with an id, active or not."""
    # PostgreSQL refuses NUL characters in text, even in comparisons.
    return None if "\0" in client_id else _BY_CLIENT_ID.first({"client_id": client_id})


def find_public_client(assertion_text: str | None) -> StoredClient | None:
    """Return the public client that an assertion is for, by its unverified audience or issuer; None if several are."""
    if assertion_text is None:
        return None
    assertion = UnverifiedAssertion.parse(assertion_text)
    # Nothing is verified yet. The keys and the policy of the integration that is chosen here verify the assertion
    # later, so that forged claims lead to a refusal only.
    named = [*assertion.unverified_audience, assertion.unverified_issuer or ""]
    # Only the JWT bearer grant has an assertion; integrations of other types may have the same issuer.
    statement = _statement().where(OAuthEntity.public_client, OAuthEntity.type == JWT_BEARER)
    rows = connection().execute(statement.where(OAuthEntity.client_id.in_(named)).limit(2)).all()
    # Only active integrations here, so that an inactive one does not make the issuer ambiguous. Above, an inactive one
    # is named by its client id, and is refused as such.
    if not rows and assertion.unverified_issuer:
        of_issuer = statement.where(OAuthEntity.active, OAuthEntity.issuer == assertion.unverified_issuer)
        rows = connection().execute(of_issuer.limit(2)).all()
    # Two matches are ambiguous: the client has to send its id.
    return StoredClient.of_row(rows[0]) if len(rows) == 1 else None


def find_id_token_clients(assertion: UnverifiedAssertion) -> list[Client]:
    """Return the active ID token integrations that a token may be for, by its unverified issuer and audience.

    Returns at most two, as two are ambiguous already. If the audience fits no integration of the issuer, all of them
    count, so that the only integration of an issuer can report the wrong audience.
    """
    issuer = assertion.unverified_issuer
    rows = _BY_ISSUER.all({"issuer": issuer}) if issuer else []
    addressed = [row for row in rows if _is_addressed(row, assertion)] or rows
    return [client_of(row) for row in addressed[:2]]


def _is_addressed(row: ClientRow, assertion: UnverifiedAssertion) -> bool:
    return not frozenset(row.audiences or ()).isdisjoint(assertion.unverified_audience_by(row.audience_claim))


def find_entity(client_id: str | None) -> str | None:
    """Return the sys_id of the integration with a client id, without any authentication."""
    # Unprintable text, such as half of a surrogate pair, is never a client id, and a driver may refuse it.
    if client_id is None or not client_id.isprintable():
        return None
    row = _ENTITY.first({"client_id": client_id})
    return None if row is None else str(row.sys_id)


def _trust_policy_of(row: ClientRow) -> TrustPolicy:
    return TrustPolicy(
        issuer=row.issuer,
        audiences=frozenset(row.audiences or ()),
        algorithms=frozenset(row.algorithms or ()),
        clock_skew=timedelta(seconds=row.clock_skew_seconds),
        max_assertion_lifetime=timedelta(seconds=row.max_assertion_lifetime_seconds),
        jti_claim=row.jti_claim,
        replay_policy=row.replay_policy,
        audience_claim=row.audience_claim,
        allow_additional_audiences=row.allow_additional_audiences,
        allow_missing_kid=row.allow_missing_kid,
        accepted_typ=accepted_typ(row.required_typ),
        typ_required=row.required_typ is not None,
        conditions=load_conditions(row.claim_conditions),
        blocked_keys=frozenset(row.blocked_keys or ()),
    )


def client_of(row: ClientRow) -> Client:
    """Return the client of a row of `_statement`, or of an object with the same attributes."""
    source = KeySource(
        entity_id=row.sys_id,
        url=row.jwks_url,
        jwks_cache_minutes=row.jwks_cache_lifespan_minutes,
        cached=_cached_facts(row) if row.cached_url else None,
        static=static_keys_of(row),
    )
    return Client(
        entity=row.sys_id,
        client_id=row.client_id,
        is_public=row.public_client,
        policy=_trust_policy_of(row),
        source=source,
        scopes=tuple(sorted((row.scopes or "").split(","))) if row.scopes else (),
        token_lifespan=timedelta(seconds=row.access_token_lifespan_seconds),
        token_generation=row.token_generation,
        token_format=row.token_format,
        user_field=row.user_field,
        run_as=row.run_as,
        is_run_as_active=bool(row.user_active and not row.locked_out),
        type=row.type,
        refresh_token_lifespan=(
            timedelta(seconds=row.refresh_token_lifespan_seconds) if row.issue_refresh_tokens else None
        ),
        user_claim=row.user_claim,
        requires_email_verified=row.require_email_verified,
        tokens_valid_from=row.tokens_valid_from,
    )


def _cached_facts(row: ClientRow) -> CachedFacts:
    return CachedFacts(
        url=row.cached_url,
        document_sha256=row.document_sha256,
        fetched_at=row.fetched_at,
        fresh_until=row.fresh_until,
        failed_at=row.failed_at,
        failures=row.failures,
        unknown_kid_fetch_at=row.unknown_kid_fetch_at,
        fetch_lease_until=row.fetch_lease_until,
    )


NEEDED_COLUMNS = (
    # Every column that `client_of` and `StoredClient` read. Without one, every exchange fails with AttributeError.
    *("sys_id", "type", "client_id", "public_client", "active", "issuer", "audiences", "algorithms"),
    *("user_field", "run_as"),
    *("client_secret_hash", "previous_client_secret_hash", "previous_client_secret_expires_at"),
    *("key_source", "jwks_url", "jwks", "static_keys", "jwks_cache_lifespan_minutes", "blocked_keys"),
    *("replay_policy", "jti_claim", "audience_claim", "allow_additional_audiences", "allow_missing_kid"),
    *("required_typ", "claim_conditions", "token_format"),
    *("clock_skew_seconds", "max_assertion_lifetime_seconds", "access_token_lifespan_seconds", "token_generation"),
    *("issue_refresh_tokens", "refresh_token_lifespan_seconds"),
    *("user_claim", "require_email_verified", "tokens_valid_from"),
)


def _statement() -> Select[Any]:
    scopes = (
        select(func.aggregate_strings(SysAuthScope.name, ","))
        .join(OAuthEntityScope, OAuthEntityScope.scope == SysAuthScope.sys_id)
        .where(OAuthEntityScope.entity == OAuthEntity.sys_id)
        .correlate(OAuthEntity)
        .scalar_subquery()
    )
    cache = JwksCache
    return (
        select(
            *(as_stored(OAuthEntity.__table__.c[name]) for name in NEEDED_COLUMNS),
            cache.url.label("cached_url"),
            cache.document_sha256,
            cache.fetched_at,
            cache.fresh_until,
            cache.failed_at,
            cache.failures,
            cache.unknown_kid_fetch_at,
            cache.fetch_lease_until,
            SysUser.active.label("user_active"),
            SysUser.locked_out,
            scopes.label("scopes"),
        )
        # Outer joins: an integration whose keys were never fetched, or that has no `run_as`, must be found as well.
        .outerjoin(cache, cache.entity_id == OAuthEntity.sys_id)
        .outerjoin(SysUser, SysUser.sys_id == OAuthEntity.run_as)
    )


_ENTITY = Prepared(select(OAuthEntity.sys_id).where(OAuthEntity.client_id == parameter("client_id")))
_BY_CLIENT_ID = Remembered(
    Prepared(_statement().where(OAuthEntity.client_id == parameter("client_id"))), StoredClient.of_row
)
_BY_ISSUER = Prepared(
    _statement().where(OAuthEntity.type == ID_TOKEN, OAuthEntity.active, OAuthEntity.issuer == parameter("issuer"))
)
