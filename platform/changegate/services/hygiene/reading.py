"""The database reads of the checks, in a number of statements that does not grow with the number of integrations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, union

from changegate.database import connection
from changegate.models import (
    JwksCache,
    JwtVerifierMap,
    OAuthEntity,
    OAuthEntityKey,
    OAuthEntityScope,
    OAuthKeyAlert,
    SysAuthScope,
    SysCertificate,
    SysUser,
    SysUserGroup,
    Task,
)
from changegate.models.auth_scope import USERACCOUNT
from changegate.models.integration_choices import JWT_BEARER, REUSABLE
from changegate.services.access.permissions import expand_roles
from changegate.services.hygiene.checks_of_keys import ALERTED_FOR
from changegate.services.hygiene.facts import Account, KeyFacts, Row
from changegate.services.hygiene.log_reading import UseOfToken, read_claims, read_uses
from changegate.services.integrations.integration_fields import DEFAULT_SCOPE
from changegate.services.users.roles import is_administrator, roles_of_user
from changegate.services.users.user_names import is_named

FACT_COLUMNS = (
    *("sys_id", "type", "client_id", "name", "active", "public_client", "sys_created_on", "sys_updated_on"),
    *("sys_updated_by", "audience_claim", "user_claim", "require_email_verified"),
    *(
        "issuer",
        "preset",
        "audiences",
        "claim_conditions",
        "run_as",
        "user_field",
        "owner",
        "owner_group",
        "review_date",
    ),
    *("key_source", "jwks_url", "algorithms", "blocked_keys", "replay_policy", "jti_claim"),
    *("clock_skew_seconds", "access_token_lifespan_seconds", "max_assertion_lifetime_seconds", "last_exchange_at"),
    *("issue_refresh_tokens", "refresh_token_lifespan_seconds", "last_client_assertion_at"),
    *("client_secret_created_at", "previous_client_secret_expires_at"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of the database: integrations by name, accounts by sys_id, keys and claims by integration sys_id."""

    integrations: list[Row]
    accounts: Mapping[str, Account]
    uses: list[UseOfToken]
    keys: Mapping[str, KeyFacts]
    late_claims: Mapping[str, Mapping[str, Any]]


def read_all(at: datetime) -> Reading:
    """Read everything that the checks and the overview need."""
    integrations = _read_integrations()
    uses = read_uses(at)
    return Reading(
        integrations=integrations,
        accounts=_read_accounts({use.user for use in uses if use.user}),
        uses=uses,
        keys=_read_keys(at),
        late_claims=read_claims(_latest_of_reusable(integrations, uses)),
    )


def read_records(at: datetime) -> Reading:
    """Read what the checks need, without the uses of integrations in the event log."""
    return Reading(_read_integrations(), _read_accounts(set()), [], _read_keys(at), {})


def _read_integrations() -> list[Row]:
    entity, task = OAuthEntity.__table__, Task.__table__
    of_entity = OAuthEntityScope.entity == entity.c.sys_id
    # Correlated subqueries, because joins would return a row per scope or task.
    all_rights = select(OAuthEntityScope.scope).where(of_entity, OAuthEntityScope.scope == USERACCOUNT).exists()
    # Scopes of other names may allow creation, too; administrators who write rules choose accounts deliberately.
    creating = (
        select(OAuthEntityScope.scope)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        .where(of_entity, or_(SysAuthScope.name == DEFAULT_SCOPE, SysAuthScope.sys_id == USERACCOUNT))
        .exists()
    )
    by_administrator = select(SysUser.sys_id).where(
        is_named(SysUser.__table__.c["sys_id"], entity.c.sys_updated_by, entity), is_administrator()
    )
    created = select(func.max(task.c.sys_created_on)).where(task.c.oauth_entity == entity.c.sys_id)
    owning_group = select(SysUserGroup.sys_id).where(SysUserGroup.sys_id == entity.c.owner_group, SysUserGroup.active)
    statement = select(
        *(entity.c[name] for name in FACT_COLUMNS),
        entity.c.client_secret_hash.is_not(None).label("has_secret"),
        entity.c.previous_client_secret_hash.is_not(None).label("has_previous_secret"),
        all_rights.label("has_useraccount"),
        creating.label("has_creating_scope"),
        by_administrator.correlate(entity).exists().label("is_saved_by_administrator"),
        owning_group.correlate(entity).exists().label("has_owner_group"),
        created.correlate(entity).scalar_subquery().label("last_created_at"),
    )
    return list(connection().execute(statement.order_by(func.lower(entity.c.name))).all())


def _read_accounts(used: set[str]) -> dict[str, Account]:
    """Return the users that tokens acted as or may act as, the owners, and all machine accounts."""
    entity, user = OAuthEntity, SysUser
    named = union(select(entity.run_as).where(entity.run_as.is_not(None)), select(entity.owner))
    is_involved = user.sys_id.in_(named) | user.web_service_access_only | user.sys_id.in_(sorted(used))
    statement = select(
        *(user.sys_id, user.user_name, user.name, user.active, user.locked_out, user.web_service_access_only),
        user.user_password.is_not(None).label("has_password"),
        roles_of_user().label("roles"),
    ).where(is_involved)
    rows = connection().execute(statement).all()
    return {row.sys_id: _account(row) for row in rows}


def _account(row: Row) -> Account:
    facts: dict[str, Any] = {**row._mapping, "roles": expand_roles(row.roles)}
    return Account(**facts)


def _read_keys(at: datetime) -> dict[str, KeyFacts]:
    # Documents can be 256 KiB each, and the checks do not need them.
    cached = [column for column in JwksCache.__table__.c if column.name != "document"]
    caches = {row.entity_id: row for row in connection().execute(select(*cached)).all()}
    published = _by_entity(select(OAuthEntityKey.__table__).where(OAuthEntityKey.gone_at.is_(None)))
    alerts = _by_entity(select(OAuthKeyAlert.__table__).where(OAuthKeyAlert.happened_at >= at - ALERTED_FOR))
    certificates = _by_entity(_certificates())
    entities = {*caches, *published, *alerts, *certificates}
    return {
        entity: KeyFacts(caches.get(entity), published[entity], alerts[entity], certificates[entity])
        for entity in entities
    }


def _certificates() -> Any:
    map_, certificate = JwtVerifierMap, SysCertificate
    return (
        select(map_.entity, map_.name, map_.enforce_dates, certificate.expires)
        .join(certificate, certificate.sys_id == map_.sys_certificate)
        .where(map_.active)
        .order_by(map_.name)
    )


def _by_entity(statement: Any) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in connection().execute(statement).all():
        grouped[row.entity].append(row)
    return grouped


def _latest_of_reusable(integrations: Iterable[Row], uses: Iterable[UseOfToken]) -> list[str]:
    """Return the latest accepted exchange of each active integration whose assertions may be used again."""
    reusable = {
        row.sys_id for row in integrations if row.active and row.type == JWT_BEARER and row.replay_policy == REUSABLE
    }
    latest: dict[str, str] = {}
    for use in uses:
        if use.entity in reusable:
            latest[use.entity] = max(use.latest, latest.get(use.entity, ""))
    return list(latest.values())
