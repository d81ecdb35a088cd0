"""Scope rules within the statement that finds a token: selected as one text, and parsed into a policy.

One text, because each request with a token runs that statement, and a join would return one row per rule.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, literal, select

from changegate.database import connection
from changegate.models import OAuthEntityScope, OAuthExchange, SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import USERACCOUNT
from changegate.services.access.scope_policy import ApiCall, CallLimits, ScopePolicy, ScopeRule

# Between the parts of a rule and between rules in the selected text. Names and fields hold no control characters.
PART_SEPARATOR, LINE_SEPARATOR = "\x1f", "\x1e"
_RULE = SysApiAccessScope.__table__.c


class _Line(NamedTuple):
    """A scope of an integration with one of its active rules, or None if the scope has no active rule."""

    scope: str
    is_useraccount: bool
    rule: ScopeRule | None


def rules_of_entity(entity: ColumnElement[str] | Any) -> Any:
    """Return a scalar subquery for the scopes of an exchange's integration, with one line per rule."""
    # The parts of a missing rule are NULL, and so is their concatenation. Without `coalesce`, the whole line and the
    # name of the scope would be NULL.
    rule = func.coalesce(_joined(*_parts()), "")
    return (
        select(func.aggregate_strings(_joined(SysAuthScope.name, SysAuthScope.sys_id, rule), LINE_SEPARATOR))
        .select_from(OAuthEntityScope)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        # An outer join, because a scope without a rule must be selected as well.
        .join(SysApiAccessScope, and_(_RULE.scope == SysAuthScope.sys_id, _RULE.active), isouter=True)
        .where(OAuthEntityScope.entity == entity)
        .correlate(OAuthExchange)
        .scalar_subquery()
    )


def all_rules() -> Any:
    """Return a scalar subquery for the active rules of all scopes, one per line."""
    lines = func.aggregate_strings(_joined(*_parts()), LINE_SEPARATOR)
    return select(lines).where(_RULE.active).scalar_subquery()


def name_missing_scopes(calls: Iterable[ApiCall], held: Iterable[str]) -> str:
    """Return a sentence with the scopes that cover one of `calls`, without the scopes that the token has already."""
    rows = connection().execute(select(SysAuthScope.name, *_parts()).join(SysApiAccessScope).where(_RULE.active)).all()
    rules = [(name, _rule(parts)) for name, *parts in rows]
    names = {name for call in calls for name, rule in rules if rule.covers(call)} - {*held}
    return f"This call needs the scope {' or '.join(sorted(names or {'useraccount'}))}"


def held_scopes(rules: str | None, requested: str | None) -> tuple[str, ...]:
    """Return the names of an integration's current scopes, limited to those that the token requested."""
    names = tuple(sorted({line.scope for line in _lines(rules)}))
    return names if requested is None else tuple(name for name in names if name in requested.split())


def scope_policy_of(rules: str | None, held: tuple[str, ...], others: str | None, *, is_enforced: bool) -> ScopePolicy:
    """Return the policy of a token with the `held` scopes of its integration.

    `others` has the rules of all scopes. If it is None, calls that no scope covers are refused as well.
    """
    lines = [line for line in _lines(rules) if line.scope in held]
    return ScopePolicy(
        held=tuple(line.rule for line in lines if line.rule),
        has_everything=any(line.is_useraccount for line in lines),
        protected=None if others is None else _rules(others),
        # All scopes of the integration, not only the held ones: the restriction belongs to the integration.
        named=tuple(line.rule for line in _lines(rules) if line.rule) if is_enforced else None,
    )


def fields_of_list(text: str) -> frozenset[str] | None:
    """Return the fields of a comma-separated list; None for an empty text, the empty set for a list without names."""
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    return names if text else None


def _parts() -> tuple[Any, ...]:
    own = case((_RULE.own_records, "1"), else_="0")
    fields = func.coalesce(_RULE.writable_fields, "")
    return (_RULE.rest_api, _RULE.http_method, _RULE.version, _RULE.table, own, fields)


def _joined(*parts: Any) -> Any:
    return reduce(lambda left, right: left + literal(PART_SEPARATOR) + right, parts)


def _lines(text: str | None) -> Iterator[_Line]:
    for line in text.split(LINE_SEPARATOR) if text else ():
        name, sys_id, *parts = line.split(PART_SEPARATOR)
        # The empty text of a missing rule is split into one empty part.
        yield _Line(name, sys_id == USERACCOUNT, _rule(parts) if parts[0] else None)


# Never stale, because the text is read again for each request; a changed rule is another entry.
@lru_cache(maxsize=64)
def _rules(text: str) -> tuple[ScopeRule, ...]:
    return tuple(_rule(line.split(PART_SEPARATOR)) for line in text.split(LINE_SEPARATOR) if line)


def _rule(parts: list[str]) -> ScopeRule:
    api, method, version, table, own, writable = parts
    return ScopeRule(api, method, version, table, CallLimits.of_rule(fields_of_list(writable), own_records=own == "1"))
