"""Integrations: registered, changed, switched off and on."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from changegate.errors import InputInvalid, JwksFetchFailed, RecordNotFound
from changegate.extensions import connection, db, now, settings
from changegate.models import OAuthEntity, SysAuthScope, SysUser
from changegate.models.base import new_sys_id, utc_now
from changegate.services.oauth.access_tokens import revoke_tokens
from changegate.services.oauth.jwks_fetch import FetchPolicy
from changegate.services.oauth.key_store import clear_cached_keys
from changegate.services.oauth.secrets import HINT_LENGTH, hash_client_secret, new_client_secret
from changegate.services.oauth.url_policy import admit_url

DEFAULT_SCOPE = "change_request.create"
TAKEN = "There is an integration named {} already."
NO_OVERLAP = timedelta(0)


@dataclass(frozen=True, slots=True, repr=False)
class Registered:
    """A registered integration and its secret, which is shown now and never again; None for a public client."""

    entity: OAuthEntity
    client_secret: str | None


def register_integration(fields: dict[str, Any], *, by: str) -> Registered:
    """Add an integration from validated fields; raises `InputInvalid` for a taken name or an unknown user or scope.

    `fields` are those of the integration schema: run_as is a user name, scopes are names.
    """
    client_id = new_sys_id()
    entity = OAuthEntity(client_id=client_id, sys_created_by=by, sys_updated_by=by)
    _fill(entity, fields)
    entity.audiences = entity.audiences or [client_id]
    secret = None if entity.public_client else _give_secret(entity)
    db.session.add(entity)
    try:
        db.session.flush()
    except IntegrityError:  # somebody else took the name between the check and now
        db.session.rollback()
        raise InputInvalid({"name": [TAKEN.format(fields["name"])]}) from None
    return Registered(entity, secret)


def update_integration(entity: OAuthEntity, fields: dict[str, Any], *, by: str) -> str | None:
    """Change an integration; what is trusted from now on takes effect at the next request.

    A new JWKS URL or issuer forgets the cached key set in the same transaction, and tokens issued under another trust
    are revoked. Returns the secret of a client that was public until now and needs one, else None.
    """
    trusted_before = (entity.jwks_url, entity.issuer)
    trust_before = _trust(entity)
    _fill(entity, fields)
    if _trust(entity) != trust_before:
        revoke_tokens(entity)
    entity.audiences = entity.audiences or [entity.client_id]
    if (entity.jwks_url, entity.issuer) != trusted_before:
        clear_cached_keys(connection(), entity.sys_id)
    secret = None if entity.public_client or entity.client_secret_hash else _give_secret(entity)
    _stamp(entity, by)
    return secret


def set_active(entity: OAuthEntity, is_active: bool, *, by: str) -> None:
    """Enable or disable an integration; its live tokens end with it, and no enabling brings them back."""
    entity.active = is_active
    if not is_active:
        revoke_tokens(entity)
    _stamp(entity, by)


def rotate_secret(entity: OAuthEntity, *, by: str, overlap: timedelta = NO_OVERLAP) -> str:
    """Give an integration a new secret and return it; the old one works on for `overlap`."""
    if entity.public_client:
        raise InputInvalid({"client_id": ["A public client has no secret."]})
    entity.previous_client_secret_hash = entity.client_secret_hash if overlap else None
    entity.previous_client_secret_expires_at = now() + overlap if overlap else None
    secret = _give_secret(entity)
    _stamp(entity, by)
    return secret


def list_integrations() -> list[OAuthEntity]:
    """Return all integrations by name."""
    return list(db.session.execute(select(OAuthEntity).order_by(func.lower(OAuthEntity.name))).scalars())


def get_integration(client_id: str) -> OAuthEntity:
    """Return an integration by client id; raises `RecordNotFound`."""
    found = db.session.execute(select(OAuthEntity).where(OAuthEntity.client_id == client_id)).scalar_one_or_none()
    if found is None:
        raise RecordNotFound
    return found


def list_scopes() -> list[SysAuthScope]:
    """Return all auth scopes by name."""
    return list(db.session.execute(select(SysAuthScope).order_by(SysAuthScope.name)).scalars())


def _trust(entity: OAuthEntity) -> tuple[object, ...]:
    """Return what a token of an integration rests on; scopes are not of it, since they are read at each call."""
    return (entity.active, entity.issuer, entity.jwks_url, entity.run_as, entity.user_field, entity.public_client)


def _fill(entity: OAuthEntity, fields: dict[str, Any]) -> None:
    _require_free_name(entity, fields["name"])
    run_as = fields.get("run_as")
    entity.run_as = _get_run_as(run_as) if run_as else None
    _admit_jwks_url(fields["jwks_url"])
    entity.scopes = _get_scopes(fields.get("scopes") or [DEFAULT_SCOPE])
    for name, value in fields.items():
        if name not in {"run_as", "scopes"}:
            setattr(entity, name, value)


def fetch_policy() -> FetchPolicy:
    """Return what the administrator's settings admit for the fetch of key sets."""
    return FetchPolicy(settings().jwks_allow_loopback, settings().jwks_allowed_networks)


def _admit_jwks_url(url: str) -> None:
    try:
        admit_url(url, fetch_policy())
    except JwksFetchFailed as refusal:
        raise InputInvalid({"jwks_url": [refusal.message]}) from None


def _require_free_name(entity: OAuthEntity, name: str) -> None:
    with db.session.no_autoflush:
        taken = db.session.execute(
            select(OAuthEntity.sys_id).where(
                func.lower(OAuthEntity.name) == name.lower(), OAuthEntity.sys_id != (entity.sys_id or "")
            )
        ).first()
    if taken:
        raise InputInvalid({"name": [TAKEN.format(name)]})


def _get_run_as(user_name: str) -> str:
    with db.session.no_autoflush:
        statement = select(SysUser).where(func.lower(SysUser.user_name) == user_name.lower())
        user = db.session.execute(statement).scalar_one_or_none()
    if user is None or not user.is_active:
        raise InputInvalid({"run_as": [f"There is no active user {user_name}."]})
    return user.sys_id


def _get_scopes(names: list[str]) -> list[SysAuthScope]:
    with db.session.no_autoflush:
        found = {scope.name: scope for scope in list_scopes()}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise InputInvalid({"scopes": [f"There is no auth scope {unknown[0]}; scopes are {', '.join(sorted(found))}."]})
    return [found[name] for name in dict.fromkeys(names)]


def _give_secret(entity: OAuthEntity) -> str:
    secret = new_client_secret()
    entity.client_secret_hash = hash_client_secret(secret)
    entity.client_secret_hint = secret[-HINT_LENGTH:]
    return secret


def _stamp(entity: OAuthEntity, by: str) -> None:
    entity.sys_updated_by = by
    entity.sys_updated_on = utc_now()
    entity.sys_mod_count += 1
    db.session.flush()
