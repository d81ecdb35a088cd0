"""Scope rules within the statement that finds a token: selected as one JSON array, and parsed into a policy.

One value, because each request with a token runs that statement, and a join would return one row per rule.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, and_, select

from changegate.database import connection
from changegate.database.json_rows import JsonRows
from changegate.models import OAuthEntityScope, OAuthExchange, SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import USERACCOUNT
from changegate.services.access.scope_policy import ApiCall, CallLimits, ScopePolicy, ScopeRule

_RULE = SysApiAccessScope.__table__.c
_PARTS = (_RULE.rest_api, _RULE.http_method, _RULE.version, _RULE.table, _RULE.own_records, _RULE.writable_fields)


class _HeldRule(NamedTuple):
    """A scope of an integration with one of its active rules, or None if the scope has no active rule."""

    scope: str
    is_useraccount: bool
    rule: ScopeRule | None


def rules_of_entity(entity: ColumnElement[str] | Any) -> Any:
    """Return a scalar subquery for the scopes of an exchange's integration, with one row per rule."""
    return (
        select(JsonRows(SysAuthScope.name, SysAuthScope.sys_id, *_PARTS))
        .select_from(OAuthEntityScope)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        # An outer join, because a scope without a rule must be selected as well.
        .join(SysApiAccessScope, and_(_RULE.scope == SysAuthScope.sys_id, _RULE.active), isouter=True)
        .where(OAuthEntityScope.entity == entity)
        .correlate(OAuthExchange)
        .scalar_subquery()
    )


def all_rules() -> Any:
    """Return a scalar subquery for the active rules of all scopes."""
    return select(JsonRows(*_PARTS)).where(_RULE.active).scalar_subquery()


def name_missing_scopes(calls: Iterable[ApiCall], held: Iterable[str]) -> str:
    """Return a sentence with the scopes that cover one of `calls`, without the scopes that the token has already."""
    rows = connection().execute(select(SysAuthScope.name, *_PARTS).join(SysApiAccessScope).where(_RULE.active)).all()
    rules = [(name, _rule(parts)) for name, *parts in rows]
    names = {name for call in calls for name, rule in rules if rule.covers(call)} - {*held}
    return f"This call needs the scope {' or '.join(sorted(names or {'useraccount'}))}"


def held_scopes(rules: str | None, requested: str | None) -> tuple[str, ...]:
    """Return the names of an integration's current scopes, limited to those that the token requested."""
    names = tuple(sorted({row.scope for row in _rows(rules)}))
    return names if requested is None else tuple(name for name in names if name in requested.split())


def scope_policy_of(rules: str | None, held: tuple[str, ...], others: str | None, *, is_enforced: bool) -> ScopePolicy:
    """Return the policy of a token with the `held` scopes of its integration.

    `others` has the rules of all scopes. If it is None, calls that no scope covers are refused as well.
    """
    rows = [*_rows(rules)]
    of_held = [row for row in rows if row.scope in held]
    return ScopePolicy(
        held=tuple(row.rule for row in of_held if row.rule),
        has_everything=any(row.is_useraccount for row in of_held),
        protected=None if others is None else _rules(others),
        # All scopes of the integration, not only the held ones: the restriction belongs to the integration.
        named=tuple(row.rule for row in rows if row.rule) if is_enforced else None,
    )


def fields_of_list(text: str) -> frozenset[str] | None:
    """Return the fields of a comma-separated list; None for an empty text, the empty set for a list without names."""
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    return names if text else None


def _rows(text: str | None) -> Iterator[_HeldRule]:
    for name, sys_id, *parts in orjson.loads(text) if text else ():
        # All parts of a missing rule are null.
        yield _HeldRule(name, sys_id == USERACCOUNT, _rule(parts) if parts[0] is not None else None)


# Never stale, because the text is read again for each request; a changed rule is another entry.
@lru_cache(maxsize=64)
def _rules(text: str) -> tuple[ScopeRule, ...]:
    return tuple(_rule(parts) for parts in orjson.loads(text))


def _rule(parts: Sequence[Any]) -> ScopeRule:
    api, method, version, table, own, writable = parts
    limits = CallLimits.of_rule(fields_of_list(writable or ""), own_records=bool(own))
    return ScopeRule(api, method, version, table, limits)
