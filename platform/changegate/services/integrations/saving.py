"""The saving of integrations, by one function to register and one to change, for form, API, command line, and file.

`change_integration` writes only if something differs. Otherwise, a form that is saved without a change, or a file that
is applied every hour, would stamp the record, add to its history, and revoke tokens each time.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from changegate.database import connection, rollback
from changegate.errors import InputInvalid, JwksFetchFailed
from changegate.extensions import db, now, settings
from changegate.models import OAuthEntity, SysAuthScope, SysUser, SysUserGroup
from changegate.models.auth_scope import MAX_SCOPES_LENGTH
from changegate.models.base import new_sys_id
from changegate.models.integration_choices import JWT_BEARER
from changegate.models.integration_field import Kind
from changegate.models.integration_fields import FIELDS
from changegate.services.integrations.connection_types import connection_type_of, has_secret
from changegate.services.integrations.id_token_addresses import require_sole_addressee
from changegate.services.integrations.integration_changes import Change, keep_equal, list_changes
from changegate.services.integrations.integration_fields import DEFAULT_SCOPE, changing
from changegate.services.integrations.integrations import give_secret
from changegate.services.integrations.token_grounds import grounds_of, has_lost_grounds, keys_of
from changegate.services.integrations.verifier_maps import ValidatedMap, store_keys, validate_keys
from changegate.services.keys.jwks_fetch import FetchPolicy
from changegate.services.keys.key_store import clear_cached_keys
from changegate.services.keys.key_timeline import forget_published, note_stored_keys
from changegate.services.keys.static_keys import static_keys_of
from changegate.services.keys.url_policy import admit_url
from changegate.services.oauth.access_tokens import revoke_all_so_far, revoke_tokens
from changegate.services.scopes.scopes import list_scopes

MAX_NAME_LENGTH = 100
TAKEN = "There is an integration named {} already."
NO_USER = "There is no active user {}."
NO_GROUP = "There is no active group {}."
CONFLICT = (
    "Another administrator has just changed this integration, one with the same name, or a user or an auth scope that "
    "it uses. Try again."
)


@dataclass(frozen=True, slots=True, repr=False)
class Registered:
    """A registered integration and its secret, which is shown only once; None for a public client."""

    entity: OAuthEntity
    client_secret: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Changed:
    """The fields that differed, and the secret of a client that was public until now; empty if nothing was written."""

    changes: Mapping[str, Change]
    client_secret: str | None = None


def register_integration(fields: Mapping[str, Any], *, by: str) -> Registered:
    """Create an integration from validated fields; raises `InputInvalid` for a taken name or an unknown user or scope.

    `fields` are those of the schema of the connection type: run_as is a user name, scopes are names.
    """
    named = fields.get("type", JWT_BEARER)
    entity = OAuthEntity(client_id=new_sys_id(), type=named, sys_created_by=by, sys_updated_by=by)
    _fill(entity, fields, _maps(entity, fields), by)
    secret = give_secret(entity) if has_secret(entity) else None
    db.session.add(entity)
    with _refusing_conflicts():
        db.session.flush()
    # After the flush: the timeline refers to the integration by its sys_id, which the flush assigns.
    _note_stored_keys(entity)
    return Registered(entity, secret)


def change_integration(entity: OAuthEntity, fields: Mapping[str, Any], *, by: str) -> Changed:
    """Change an integration to validated fields, or write nothing if no field differs; raises `InputInvalid`.

    The changes take effect at the next request. If the JWKS URL or issuer changes, the cached key set is deleted in the
    same transaction. If the grounds of issued tokens change (see `token_grounds`), the tokens are revoked.
    """
    fields = keep_equal(entity, fields)
    maps = _maps(entity, fields)
    changes = list_changes(entity, fields, maps)
    if not changes:
        return Changed({})
    with _refusing_conflicts(), changing(entity, by):
        return Changed(changes, _change(entity, fields, maps, by))


def _maps(entity: OAuthEntity, fields: Mapping[str, Any]) -> list[ValidatedMap]:
    if not connection_type_of(entity).has_provider:
        return []
    try:
        # Loading the stored maps must not flush anything before all errors are known.
        with db.session.no_autoflush:
            return validate_keys(entity, fields)
    except InputInvalid as problem:
        raise InputInvalid({**problem.fields, **find_refusals(fields, entity)}) from None


def _change(entity: OAuthEntity, fields: Mapping[str, Any], maps: Sequence[ValidatedMap], by: str) -> str | None:
    # Copied before `_fill`, which overwrites them: issued tokens are based on these values.
    trusted_before = (entity.jwks_url, entity.issuer)
    grounds_before, keys_before = grounds_of(entity), keys_of(entity)
    _fill(entity, fields, maps, by)
    if grounds_before["active"] and not entity.active:
        # More than `revoke_tokens`: ID tokens that were issued but never used must not be accepted either when the
        # integration is activated again.
        revoke_all_so_far(entity)
    elif has_lost_grounds(grounds_before, grounds_of(entity)):
        revoke_tokens(entity)
    if (entity.jwks_url, entity.issuer) != trusted_before:
        # In this transaction, so that no request sees the new URL together with the keys of the former one.
        clear_cached_keys(connection(), entity.sys_id)
        forget_published(connection(), entity.sys_id, now())
    secret = give_secret(entity) if has_secret(entity) and not entity.client_secret_hash else None
    # Within `_refusing_conflicts`: unique keys and foreign keys are checked here, not in the view's commit.
    db.session.flush()
    if keys_of(entity) != keys_before:
        _note_stored_keys(entity)
    return secret


@contextmanager
def _refusing_conflicts() -> Iterator[None]:
    """Raise `InputInvalid` for a conflict with another transaction that committed after the fields were checked."""
    try:
        yield
    except IntegrityError:
        # Our own checks have passed, so that another transaction has won. PostgreSQL refuses all further statements of
        # a failed transaction, so it ends here.
        rollback()
        raise InputInvalid({"name": [CONFLICT]}) from None


def _fill(entity: OAuthEntity, fields: Mapping[str, Any], maps: Sequence[ValidatedMap], by: str) -> None:
    refusals = find_refusals(fields, entity)
    if refusals:
        raise InputInvalid(refusals)
    references = {name: find(name, value) if value else None for name, find, value in _references(fields)}
    entity.scopes = _get_scopes(fields.get("scopes") or [DEFAULT_SCOPE])
    for name, value in {**fields, **references}.items():
        if name not in ("scopes", "verifier_maps"):
            setattr(entity, name, value)
    if connection_type_of(entity).has_provider:
        entity.audiences = entity.audiences or [entity.client_id]
        require_sole_addressee(entity)
        # Loading the stored maps must not flush the integration without its new ones.
        with db.session.no_autoflush:
            store_keys(entity, maps, by=by)


def find_refusals(fields: Mapping[str, Any], entity: OAuthEntity | None = None) -> dict[str, list[str]]:
    """Return the messages, by field, about a taken name, unknown users and scopes, and a JWKS URL that is not allowed.

    Fields that are refused already may be left out, so that a form can show all errors at once.
    """
    checks: list[Callable[[], object]] = []
    if fields.get("name"):
        checks.append(partial(_require_free_name, entity, fields["name"]))
    checks += [partial(find, name, value) for name, find, value in _references(fields) if value]
    if fields.get("key_source") == "jwks_url" and fields.get("jwks_url"):
        checks.append(partial(_admit_jwks_url, fields["jwks_url"]))
    if fields.get("scopes"):
        checks.append(partial(_get_scopes, fields["scopes"]))
    refusals: dict[str, list[str]] = {}
    for check in checks:
        try:
            check()
        except InputInvalid as problem:
            refusals |= problem.fields
    return refusals


def _references(fields: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[str, str], str], str | None]]:
    """Yield the fields that name a user or a group, with the function that finds its sys_id, and the name."""
    for name, value in fields.items():
        if name in FIELDS and FIELDS[name].kind in _FINDERS:
            yield name, _FINDERS[FIELDS[name].kind], value


def _admit_jwks_url(url: str) -> None:
    try:
        admit_url(url, FetchPolicy(settings().jwks_allow_loopback, settings().jwks_allowed_networks))
    except JwksFetchFailed as refusal:
        raise InputInvalid({"jwks_url": [refusal.message]}) from None


def _require_free_name(entity: OAuthEntity | None, name: str) -> None:
    if is_name_taken(name, entity):
        raise InputInvalid({"name": [TAKEN.format(name)]})


def is_name_taken(name: str, entity: OAuthEntity | None = None) -> bool:
    """Return whether an integration, other than `entity`, has a name, in any case."""
    own = entity.sys_id if entity else None
    is_called = func.lower(OAuthEntity.name) == name.lower()
    with db.session.no_autoflush:
        taken = db.session.execute(select(OAuthEntity.sys_id).where(is_called, OAuthEntity.sys_id != (own or "")))
    return taken.first() is not None


def find_free_name(wanted: str) -> str:
    """Return a name for a new integration: the wanted one, with a number if it is taken."""
    base = wanted[: MAX_NAME_LENGTH - len(" 9999")]
    names = (base if number == 1 else f"{base} {number}" for number in itertools.count(1))
    return next(name for name in names if not is_name_taken(name))


def find_user(user_name: str) -> SysUser | None:
    """Return a user by case-insensitive name, or None."""
    with db.session.no_autoflush:
        statement = select(SysUser).where(func.lower(SysUser.user_name) == user_name.lower())
        return db.session.execute(statement).scalar_one_or_none()


def _get_active_user(field: str, user_name: str) -> str:
    user = find_user(user_name)
    if user is None or not user.is_active:
        raise InputInvalid({field: [NO_USER.format(user_name)]})
    return user.sys_id


def _get_active_group(field: str, name: str) -> str:
    with db.session.no_autoflush:
        named = func.lower(SysUserGroup.name) == name.lower()
        exact_first = (SysUserGroup.name == name).desc()
        active = select(SysUserGroup.sys_id).where(named, SysUserGroup.active).order_by(exact_first)
        group: str | None = db.session.execute(active).scalars().first()
    if group is None:
        raise InputInvalid({field: [NO_GROUP.format(name)]})
    return group


_FINDERS: Mapping[Kind, Callable[[str, str], str]] = {Kind.USER: _get_active_user, Kind.GROUP: _get_active_group}


def _get_scopes(names: list[str]) -> list[SysAuthScope]:
    with db.session.no_autoflush:
        known = {scope.name: scope for scope in list_scopes()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputInvalid({"scopes": [f"There is no auth scope {unknown[0]}; scopes are {', '.join(sorted(known))}."]})
    if sum(len(name) + 1 for name in names) > MAX_SCOPES_LENGTH:
        raise InputInvalid({"scopes": ["Their names are too long together to be written on a token; choose fewer."]})
    return [known[name] for name in dict.fromkeys(names)]


def _note_stored_keys(entity: OAuthEntity) -> None:
    """Add keys that are stored with an integration to its key timeline, where they can be blocked like fetched keys."""
    stored = static_keys_of(entity)
    if stored is not None:
        note_stored_keys(connection(), entity.sys_id, stored.parse(), now())
