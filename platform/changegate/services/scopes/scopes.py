"""The management of auth scopes: list, create, update, and delete; a change applies to the next call of every token."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from changegate.database import rollback
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthEntityScope, SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import ANY, USERACCOUNT
from changegate.models.base import utc_now
from changegate.services.scopes.checks import require_served
from changegate.services.scopes.rules import fields_of_list
from changegate.services.tables.change_history import note_changes

Change = tuple[Any, Any]  # the value before and after
FIELDS = ("name", "description", "rules")
TAKEN = "There is an auth scope {} already."
IN_USE = "It is used by {}. Remove it from them first."
KEEPS_NAME = "It is used by {}, whose pipelines and tokens name it; make another scope instead."
BUILT_IN = "useraccount is built in: it has this name and no rules."
CANNOT_BE_DELETED = "useraccount is built in and cannot be deleted."
MOST_NAMED = 5


def list_scopes() -> list[SysAuthScope]:
    """Return all auth scopes by name."""
    return list(db.session.execute(select(SysAuthScope).order_by(SysAuthScope.name)).scalars())


def get_scope(name: str) -> SysAuthScope:
    """Return a scope by name; raises `RecordNotFound`."""
    scope = find_scope(name)
    if scope is None:
        raise RecordNotFound
    return scope


def lock_scope(**identifier: str) -> SysAuthScope:
    """Return a scope by one of its fields, and lock it against changes until the commit; raises `RecordNotFound`."""
    if not all(text.isprintable() for text in identifier.values()):
        raise RecordNotFound
    # FOR NO KEY UPDATE: a full lock would block foreign keys, and with them giving the scope to an integration. SQLite
    # has no row locks and takes its write lock. The lock may have waited for another change, hence populate_existing.
    statement = select(SysAuthScope).filter_by(**identifier).with_for_update(key_share=True)
    locked = statement.execution_options(locks_rows=True, populate_existing=True)
    scope = db.session.execute(locked).scalar_one_or_none()
    if scope is None:
        raise RecordNotFound
    return scope


def find_scope(name: str) -> SysAuthScope | None:
    """Return a scope by name, or None."""
    if not name.isprintable():  # PostgreSQL refuses NUL characters even in comparisons.
        return None
    return db.session.execute(select(SysAuthScope).where(SysAuthScope.name == name)).scalar_one_or_none()


def create_scope(fields: Mapping[str, Any], *, by: str) -> SysAuthScope:
    """Create a scope from validated fields; raises `InputInvalid` for a taken name and for rules that cannot apply."""
    require_served(fields["rules"])
    scope = SysAuthScope(sys_created_by=by, sys_updated_by=by)
    _require_free_name(scope, fields["name"])
    _fill(scope, fields, by)
    db.session.add(scope)
    _flush(fields["name"])
    return scope


def update_scope(scope: SysAuthScope, fields: Mapping[str, Any], *, by: str) -> dict[str, Change]:
    """Update a scope to validated fields and return the changes by field; without changes, nothing is written.

    Every integration that has the scope is affected. Raises `InputInvalid` as `create_scope` does, and for a new name
    of a scope that is in use.
    """
    before = fields_of_scope(scope)
    changes = {name: (before[name], fields[name]) for name in FIELDS if _differ(before[name], fields[name])}
    if "name" in changes:
        _require_free_name(scope, fields["name"])
        _require_unused(scope, "name", KEEPS_NAME)
    if scope.sys_id == USERACCOUNT and changes.keys() & {"name", "rules"}:
        raise InputInvalid({name: [BUILT_IN] for name in changes if name != "description"})
    if "rules" in changes:
        require_served(fields["rules"])
    if changes:
        _fill(scope, fields, by)
        scope.sys_updated_by, scope.sys_updated_on = by, utc_now()
        scope.sys_mod_count += 1
        _flush(fields["name"])
        texts = {name: (text_of_field(name, old), text_of_field(name, new)) for name, (old, new) in changes.items()}
        note_changes(scope, texts, by=by)
    return changes


def delete_scope(scope: SysAuthScope) -> None:
    """Delete a scope with its rules; raises `InputInvalid` while integrations have it."""
    if scope.sys_id == USERACCOUNT:
        raise InputInvalid({"name": [CANNOT_BE_DELETED]})
    _require_unused(scope, "name", IN_USE)
    db.session.delete(scope)
    try:
        db.session.flush()
    except IntegrityError:  # A concurrent request has just given the scope to an integration.
        rollback()
        raise InputInvalid({"name": [IN_USE.format("an integration")]}) from None


def used_by(scope: SysAuthScope) -> list[OAuthEntity]:
    """Return the integrations that have a scope, by name."""
    statement = select(OAuthEntity).join(OAuthEntityScope, OAuthEntityScope.entity == OAuthEntity.sys_id)
    ordered = statement.where(OAuthEntityScope.scope == scope.sys_id).order_by(func.lower(OAuthEntity.name))
    return list(db.session.execute(ordered).scalars())


def list_uses() -> dict[str, list[tuple[str, str]]]:
    """Return the client ids and names of the integrations that have each scope, by the scope's sys_id."""
    columns = select(OAuthEntityScope.scope, OAuthEntity.client_id, OAuthEntity.name)
    joined = columns.join(OAuthEntity, OAuthEntity.sys_id == OAuthEntityScope.entity)
    uses: dict[str, list[tuple[str, str]]] = {}
    for scope, client_id, name in db.session.execute(joined.order_by(func.lower(OAuthEntity.name))).all():
        uses.setdefault(scope, []).append((client_id, name))
    return uses


def fields_of_scope(scope: SysAuthScope) -> dict[str, Any]:
    """Return a scope's fields as plain values, in the form that its schema loads."""
    return {"name": scope.name, "description": scope.description, "rules": [rule_fields(rule) for rule in scope.rules]}


def rule_fields(rule: SysApiAccessScope) -> dict[str, Any]:
    """Return a rule's fields in the form that its schema loads; `writable_fields` is None for all fields."""
    names = fields_of_list(rule.writable_fields or "")
    plain = {name: getattr(rule, name) for name in ("rest_api", "http_method", "version", "table", "active")}
    return {**plain, "writable_fields": None if names is None else sorted(names), "own_records": rule.own_records}


def text_of_field(name: str, value: Any) -> str:
    """Return a field of a scope as text; rules have one line each."""
    return "\n".join(sorted(map(_rule_text, value))) if name == "rules" else (value or "")


def _rule_text(rule: Mapping[str, Any]) -> str:
    version = "" if rule["version"] == ANY else rule["version"]
    names = rule["writable_fields"]
    words = [rule["http_method"], rule["rest_api"], rule["table"] or "", version, "own" if rule["own_records"] else ""]
    words += [] if names is None else [f"fields {','.join(sorted(names))}"]
    return " ".join(filter(None, [*words, "" if rule["active"] else "(not active)"]))


def _fill(scope: SysAuthScope, fields: Mapping[str, Any], by: str) -> None:
    """Set the fields of a scope; rules that remain keep their record and its sys_id."""
    scope.name, scope.description = fields["name"], fields["description"]
    kept = {_key(rule_fields(rule)): rule for rule in scope.rules}
    rules = []
    for values in fields["rules"]:
        rule = kept.get(_key(values)) or SysApiAccessScope(sys_created_by=by)
        if rule.sys_id is None or rule_fields(rule) != values:
            _fill_rule(rule, values, by)
        rules.append(rule)
    scope.rules = rules


def _fill_rule(rule: SysApiAccessScope, values: Mapping[str, Any], by: str) -> None:
    names = values["writable_fields"]
    for name, value in values.items():
        setattr(rule, name, value)
    rule.writable_fields = None if names is None else ",".join(names)
    rule.sys_updated_by, rule.sys_updated_on = by, utc_now()


def _key(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    return rule["rest_api"], rule["table"], rule["http_method"], rule["version"]


def _differ(before: Any, after: Any) -> bool:
    if isinstance(before, list):
        return sorted(before, key=_key) != sorted(after, key=_key)
    # Browsers send every line break as CRLF.
    return bool((before or "").splitlines() != (after or "").splitlines())


def _flush(name: str) -> None:
    try:
        db.session.flush()
    except IntegrityError:  # A concurrent request took the name after the check.
        rollback()
        raise InputInvalid({"name": [TAKEN.format(name)]}) from None


def _require_free_name(scope: SysAuthScope, name: str) -> None:
    # Case-insensitive: programs distinguish names that differ only in case, people overlook the difference.
    is_other = SysAuthScope.sys_id != (scope.sys_id or "")
    taken = select(SysAuthScope.name).where(func.lower(SysAuthScope.name) == name.lower(), is_other)
    if taken_name := db.session.execute(taken).scalars().first():
        raise InputInvalid({"name": [TAKEN.format(taken_name)]})


def _require_unused(scope: SysAuthScope, field: str, sentence: str) -> None:
    names = [entity.name for entity in used_by(scope)]
    if names:
        shown = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if names[MOST_NAMED:] else "")
        raise InputInvalid({field: [sentence.format(shown)]})


def count_scope_uses() -> dict[str, int]:
    """Return the number of integrations that have each scope, by sys_id; scopes without integrations are left out."""
    counted = select(OAuthEntityScope.scope, func.count()).group_by(OAuthEntityScope.scope)
    return {row[0]: row[1] for row in db.session.execute(counted).all()}
