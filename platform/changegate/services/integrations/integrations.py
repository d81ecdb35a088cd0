"""The lifecycle of integrations: register, update, disable, enable, and delete."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.errors import InputInvalid, JwksFetchFailed, RecordNotFound
from changegate.extensions import db, now, settings
from changegate.models import OAuthEntity, SysAuthScope, SysUser
from changegate.models.auth_scope import MAX_SCOPES_LENGTH
from changegate.models.base import new_sys_id
from changegate.models.oauth_entity import JWT_BEARER
from changegate.services.integrations.connection_types import connection_type_of, has_secret, require_provider
from changegate.services.integrations.id_token_addresses import require_sole_addressee
from changegate.services.integrations.integration_fields import changing
from changegate.services.integrations.token_basis import basis_of, is_tightened, keys_of
from changegate.services.integrations.verifier_maps import store_keys
from changegate.services.keys.jwks_fetch import FetchPolicy
from changegate.services.keys.key_store import clear_cached_keys
from changegate.services.keys.key_timeline import forget_published, note_stored_keys
from changegate.services.keys.static_keys import static_keys_of
from changegate.services.keys.url_policy import admit_url
from changegate.services.oauth.access_tokens import revoke_all_so_far, revoke_tokens
from changegate.services.oauth.secrets import HINT_LENGTH, hash_client_secret, new_client_secret
from changegate.services.scopes.scopes import list_scopes

DEFAULT_SCOPE = "change_request.create"
TAKEN = "There is an integration named {} already."
JUST_CHANGED = "Somebody else has just changed this integration, or one of the same name. Try again."
NO_OVERLAP = timedelta(0)
MAX_CONDITIONS = 50


@dataclass(frozen=True, slots=True, repr=False)
class Registered:
    """A registered integration and its secret, which is shown only once; None for a public client."""

    entity: OAuthEntity
    client_secret: str | None


def register_integration(fields: dict[str, Any], *, by: str) -> Registered:
    """Create an integration from validated fields; raises `InputInvalid` for a taken name or an unknown user or scope.

    `fields` are those of the schema of the connection type: run_as is a user name, scopes are names.
    """
    named = fields.get("type", JWT_BEARER)
    entity = OAuthEntity(client_id=new_sys_id(), type=named, sys_created_by=by, sys_updated_by=by)
    _fill(entity, fields, by)
    secret = _give_secret(entity) if has_secret(entity) else None
    db.session.add(entity)
    try:
        db.session.flush()
    except IntegrityError:  # A concurrent request took the name after the check.
        db.session.rollback()
        raise InputInvalid({"name": [TAKEN.format(fields["name"])]}) from None
    _note_stored_keys(entity)
    return Registered(entity, secret)


def update_integration(entity: OAuthEntity, fields: dict[str, Any], *, by: str) -> str | None:
    """Update an integration; the changes take effect at the next request.

    If the JWKS URL or issuer changes, the cached key set is deleted in the same transaction. If the grounds of issued
    tokens change (see `token_basis`), the tokens are revoked. Returns the new secret of a client that was public until
    now, else None.
    """
    try:
        with changing(entity, by):
            return _update(entity, fields, by)
    except IntegrityError:
        db.session.rollback()
        raise InputInvalid({"name": [JUST_CHANGED]}) from None


def _update(entity: OAuthEntity, fields: dict[str, Any], by: str) -> str | None:
    trusted_before = (entity.jwks_url, entity.issuer)
    basis_before, keys_before = basis_of(entity), keys_of(entity)
    _fill(entity, fields, by)
    if basis_before["active"] and not entity.active:
        revoke_all_so_far(entity)
    elif is_tightened(basis_before, basis_of(entity)):
        revoke_tokens(entity)
    if (entity.jwks_url, entity.issuer) != trusted_before:
        clear_cached_keys(connection(), entity.sys_id)
        forget_published(connection(), entity.sys_id, now())
    secret = _give_secret(entity) if has_secret(entity) and not entity.client_secret_hash else None
    db.session.flush()
    if keys_of(entity) != keys_before:
        _note_stored_keys(entity)
    return secret


def set_active(entity: OAuthEntity, is_active: bool, *, by: str) -> None:
    """Enable or disable an integration; disabling revokes its tokens permanently.

    Raises `InputInvalid` if its ID tokens would fit another active integration as well.
    """
    with changing(entity, by):
        entity.active = is_active
        require_sole_addressee(entity)
        if not is_active:
            revoke_all_so_far(entity)


def constrain(entity: OAuthEntity, claim: str, value: object, *, report_only: bool = False, by: str) -> None:
    """Add a condition that a claim equals a value; with `report_only`, deviations are only reported.

    `claim` is a name, or a JSON pointer to a nested value. Raises `InputInvalid` for a value that a condition cannot
    hold.
    """
    require_provider(entity, "claim conditions", "claim_conditions")
    condition = {
        "claim": claim,
        "operator": "equals",
        "value_type": _value_type(claim, value),
        "value": value,
        "report_only": report_only,
    }
    conditions = list(entity.claim_conditions or ())
    if condition in conditions:
        return
    if len(conditions) >= MAX_CONDITIONS:
        raise InputInvalid({"claim_conditions": [f"At most {MAX_CONDITIONS} conditions."]})
    with changing(entity, by):
        entity.claim_conditions = [*conditions, condition]
        if not report_only:
            revoke_tokens(entity)


def _value_type(claim: str, value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list) and value and all(isinstance(member, str) for member in value):
        return "list"
    raise InputInvalid({"claim_conditions": [f"No condition can hold the value of {claim}."]})


def rotate_secret(entity: OAuthEntity, *, by: str, overlap: timedelta = NO_OVERLAP) -> str:
    """Give an integration a new secret and return it; the previous secret keeps working for `overlap`."""
    if not has_secret(entity):
        noun = "A public client" if entity.public_client else connection_type_of(entity).noun
        raise InputInvalid({"client_id": [f"{noun} has no secret."]})
    with changing(entity, by):
        entity.previous_client_secret_hash = entity.client_secret_hash if overlap else None
        entity.previous_client_secret_expires_at = now() + overlap if overlap else None
        return _give_secret(entity)


def end_tokens(entity: OAuthEntity, *, by: str) -> None:
    """Revoke every token of an integration, including tokens that are being issued at this moment."""
    with changing(entity, by):
        revoke_all_so_far(entity)


def delete_integration(entity: OAuthEntity) -> None:
    """Delete an integration with its keys, its events, and its tokens, which are rows of events."""
    # Lock the integration first, as `hold_owner` does. In another order, this and a refresh could deadlock.
    held = select(OAuthEntity.sys_id).where(OAuthEntity.sys_id == entity.sys_id).with_for_update()
    connection().execute(held.execution_options(locks_rows=True))
    # Load the maps, because the ORM deletes their certificates with them, and no foreign key does.
    db.session.refresh(entity, ["jwt_verifier_maps"])
    db.session.delete(entity)
    db.session.flush()


def list_integrations() -> list[OAuthEntity]:
    """Return all integrations by name."""
    return list(db.session.execute(select(OAuthEntity).order_by(func.lower(OAuthEntity.name))).scalars())


def get_integration(client_id: str) -> OAuthEntity:
    """Return an integration by client id; raises `RecordNotFound`."""
    return _one(select(OAuthEntity).where(OAuthEntity.client_id == client_id))


def lock_integration(client_id: str) -> OAuthEntity:
    """Return an integration, and lock it against changes until the commit; raises `RecordNotFound`."""
    # FOR NO KEY UPDATE: a full lock would block the foreign keys of exchanges. SQLite takes its write lock. The lock
    # may have waited for another change, hence populate_existing.
    statement = select(OAuthEntity).where(OAuthEntity.client_id == client_id).with_for_update(key_share=True)
    return _one(statement.execution_options(locks_rows=True, populate_existing=True))


def _one(statement: Select[Any]) -> OAuthEntity:
    entity: OAuthEntity | None = db.session.execute(statement).scalar_one_or_none()
    if entity is None:
        raise RecordNotFound
    return entity


def _note_stored_keys(entity: OAuthEntity) -> None:
    """Add keys that are stored with an integration to its key timeline, where they can be blocked like fetched keys."""
    stored = static_keys_of(entity)
    if stored is not None:
        note_stored_keys(connection(), entity.sys_id, stored.parse(), now())


def _fill(entity: OAuthEntity, fields: dict[str, Any], by: str) -> None:
    _require_free_name(entity, fields["name"])
    run_as = fields.get("run_as")
    entity.run_as = _get_active_user("run_as", run_as) if run_as else None
    owner = fields.get("owner")
    entity.owner = _get_active_user("owner", owner) if owner else None
    if fields.get("key_source") == "jwks_url":
        _admit_jwks_url(fields["jwks_url"])
    entity.scopes = _get_scopes(fields.get("scopes") or [DEFAULT_SCOPE])
    for name, value in fields.items():
        if name not in {"run_as", "owner", "scopes", "verifier_maps"}:
            setattr(entity, name, value)
    if connection_type_of(entity).has_provider:
        entity.audiences = entity.audiences or [entity.client_id]
        require_sole_addressee(entity)
        with db.session.no_autoflush:
            store_keys(entity, fields, by=by)


def fetch_policy() -> FetchPolicy:
    """Return the fetch policy of the administrator's settings."""
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


def find_user(user_name: str) -> SysUser | None:
    """Return a user by case-insensitive name, or None."""
    with db.session.no_autoflush:
        statement = select(SysUser).where(func.lower(SysUser.user_name) == user_name.lower())
        return db.session.execute(statement).scalar_one_or_none()


def _get_active_user(field: str, user_name: str) -> str:
    user = find_user(user_name)
    if user is None or not user.is_active:
        raise InputInvalid({field: [f"There is no active user {user_name}."]})
    return user.sys_id


def _get_scopes(names: list[str]) -> list[SysAuthScope]:
    with db.session.no_autoflush:
        known = {scope.name: scope for scope in list_scopes()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputInvalid({"scopes": [f"There is no auth scope {unknown[0]}; scopes are {', '.join(sorted(known))}."]})
    if sum(len(name) + 1 for name in names) > MAX_SCOPES_LENGTH:
        raise InputInvalid({"scopes": ["Their names are too long together to be written on a token; choose fewer."]})
    return [known[name] for name in dict.fromkeys(names)]


def _give_secret(entity: OAuthEntity) -> str:
    secret = new_client_secret()
    entity.client_secret_hash = hash_client_secret(secret)
    entity.client_secret_hint = secret[-HINT_LENGTH:]
    entity.client_secret_created_at = now()
    return secret
