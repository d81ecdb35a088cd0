"""The lifecycle of integrations after `saving`: find, disable, enable, rotate the secret, and delete."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select

from changegate.database import connection
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db, now
from changegate.models import OAuthEntity
from changegate.models.integration_choices import MAX_CONDITIONS
from changegate.services.integrations.connection_types import connection_type_of, has_secret, require_provider
from changegate.services.integrations.id_token_addresses import require_sole_addressee
from changegate.services.integrations.integration_fields import changing
from changegate.services.oauth.access_tokens import revoke_all_so_far, revoke_tokens
from changegate.services.oauth.secrets import HINT_LENGTH, hash_client_secret, new_client_secret
from changegate.services.tables.change_history import note_deletion

NO_OVERLAP = timedelta(0)


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
        return give_secret(entity)


def give_secret(entity: OAuthEntity) -> str:
    """Give an integration a new client secret in place of the current one, and return it."""
    secret = new_client_secret()
    entity.client_secret_hash = hash_client_secret(secret)
    entity.client_secret_hint = secret[-HINT_LENGTH:]
    entity.client_secret_created_at = now()
    return secret


def end_tokens(entity: OAuthEntity, *, by: str) -> None:
    """Revoke every token of an integration, including tokens that are being issued at this moment."""
    with changing(entity, by):
        revoke_all_so_far(entity)


def delete_integration(entity: OAuthEntity, *, by: str) -> None:
    """Delete an integration with its keys and refresh tokens; its history and events stay, but no token works."""
    # Lock the integration first, as `lock_owner` does. In another order, this and a refresh could deadlock.
    held = select(OAuthEntity.sys_id).where(OAuthEntity.sys_id == entity.sys_id).with_for_update()
    connection().execute(held.execution_options(locks_rows=True))
    # Load the maps, because the ORM deletes their certificates with them, and no foreign key does.
    db.session.refresh(entity, ["jwt_verifier_maps", "sys_mod_count"])
    note_deletion(entity, entity.name, by=by)
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
