"""The rows of a table that a caller may see, as SQL clauses; every statement that reads records uses them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, literal, or_, select

from changegate.database.prepared import parameter
from changegate.extensions import now
from changegate.models.auth_scope import REST_APIS
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.access.scope_policy import ApiCall, CallLimits, ScopePolicy
from changegate.services.tables.registry import ANYONE, NOW, OWNER, TABLES, OwnRows, Table

# The parameter that the sys_id of a token's integration is bound to.
INTEGRATION = "integration"


@dataclass(frozen=True, slots=True)
class Restriction:
    """The limits of a caller in a table: their own rows, records that their token's integration created, shown rows.

    All limits that are true apply.
    """

    own_rows: bool = False
    own_records: bool = False
    shown_rows: bool = False

    def __bool__(self) -> bool:
        """Return whether it restricts anything."""
        return self.own_rows or self.own_records or self.shown_rows


UNRESTRICTED = Restriction()


def may_read(table: Table, permissions: Permissions) -> bool:
    """Return whether the roles of the caller and the scopes of their token allow reading the table at all.

    Tables that every caller may read need no rule of a scope: a token that creates changes may name users and groups.
    """
    if not table.access.admits("read", permissions):
        return False
    grant = permissions.grant
    return grant is None or _is_readable_by_all(table) or bool(_reading_limits(table, grant.policy))


def fields_beside(table: Table, permissions: Permissions) -> tuple[str, ...]:
    """Return the fields that the caller may read in a table that is reached through a reference.

    A token without a rule to read the table gets only public fields, even if it acts as an administrator.
    """
    has_rule = permissions.grant is None or _reading_limits(table, permissions.grant.policy)
    return table.fields_for(permissions) if has_rule else table.public_fields


def restriction_of(table: Table, permissions: Permissions) -> Restriction:
    """Return the limits of the caller in the table that the request addresses."""
    return _restriction(table, permissions, own_records=permissions.only_own_records)


def _restriction_beside(table: Table, permissions: Permissions) -> Restriction:
    """Return the limits of the caller in a table that is reached through a reference.

    The scope rules of the request's own table are not enough: those that read this table apply as well.
    """
    limits = () if permissions.grant is None else _reading_limits(table, permissions.grant.policy)
    # Rules add up: one rule without the limit allows reading every record.
    is_limited = bool(limits) and all(limit.own_records for limit in limits)
    return _restriction(table, permissions, own_records=is_limited or permissions.only_own_records)


def permissions_beside(table: Table, permissions: Permissions) -> Permissions:
    """Return the permissions with the limits of the caller in a table that is reached through a reference."""
    is_limited = _restriction_beside(table, permissions).own_records
    if permissions.grant is None or permissions.only_own_records or not is_limited:
        return permissions
    limits = permissions.grant.limits_now.and_also(CallLimits(own_records=True))
    return Permissions(permissions.roles, permissions.grant.limited_to(limits))


def _restriction(table: Table, permissions: Permissions, *, own_records: bool) -> Restriction:
    own_rows = table.own_rows is not None and not permissions.has_role(table.reads_all)
    own_records = own_records and knows_integrations(table)
    shown_rows = table.shown_rows is not None and not permissions.has_role(table.reads_hidden)
    return Restriction(own_rows, own_records, shown_rows)


def _is_readable_by_all(table: Table) -> bool:
    return table.access.read is ANYONE and table.own_rows is None


@lru_cache(maxsize=1024)
def _reading_limits(table: Table, policy: ScopePolicy) -> tuple[CallLimits, ...]:
    """Return the limits of the calls with which a token may read a table, or a table with the same records."""
    # Access to the records under any name counts, because the caller can read them there as well.
    served = [other.name for other in TABLES.values() if other.source is table.source]
    limits = (policy.limits_of(call) for name in served for call in _reads_of(name))
    # In a table that does not store integrations, no record is an integration's own.
    return tuple(each for each in limits if each and (knows_integrations(table) or not each.own_records))


def _reads_of(table: str) -> Iterator[ApiCall]:
    """Return the calls that read the records of a table."""
    for name, api in REST_APIS.items():
        if api.reads_records and api.serves(table):
            yield from (ApiCall(name, "GET", table, version) for version in api.versions)


def knows_integrations(table: Table) -> bool:
    """Return whether the records of a table store the integration that created them."""
    return table.origin_field is not None


def visibility(table: Table, caller: Caller) -> tuple[Restriction, dict[str, Any]]:
    """Return the limits of the caller in the table that the request addresses, and the parameters of their clauses."""
    restriction = restriction_of(table, caller.permissions)
    return restriction, parameters_of(caller) if restriction else {}


def parameters_of(caller: Caller) -> dict[str, Any]:
    """Return the parameters of clauses that depend on the caller. Statements are shared; only these values differ."""
    return {OWNER: caller.sys_id, INTEGRATION: caller.grant.entity if caller.grant else None, NOW: now()}


def visible_rows(table: Table, restriction: Restriction = UNRESTRICTED) -> list[ColumnElement[bool]]:
    """Return the clauses that limit a statement to the table's records and to a restriction."""
    clauses = _class_clauses(table, table.source)
    if restriction.own_records:
        # Fail closed: a table without an origin field raises KeyError instead of showing all of its records.
        clauses.append(table.source.c[str(table.origin_field)] == parameter(INTEGRATION))
    if restriction.own_rows and table.own_rows is not None:
        clauses.append(_own_rows(table, table.own_rows))
    if restriction.shown_rows and table.shown_rows is not None:
        clauses.append(table.shown_rows(table))
    return clauses


@cache
def _own_rows(table: Table, clause: OwnRows) -> ColumnElement[bool]:
    """Return the clause for own rows, built once: its aliases of tasks copy all columns, which takes some 10 ms."""
    return clause(table)


def visible_rows_of(table: Table, source: FromClause, permissions: Permissions) -> list[ColumnElement[bool]]:
    """Return the clauses of `visible_rows` for a caller, over the table or an alias of it.

    `own_rows` is a clause on the table itself. For an alias, EXISTS looks the row up in the table by its sys_id.
    """
    if source is table.source:
        return visible_rows(table, restriction_of(table, permissions))
    restriction = _restriction_beside(table, permissions)
    if not restriction:
        return _class_clauses(table, source)
    own = select(literal(1)).select_from(table.source).where(table.source.c["sys_id"] == source.c["sys_id"])
    return [own.where(*visible_rows(table, restriction)).correlate(source).exists()]


def _class_clauses(table: Table, source: FromClause) -> list[ColumnElement[bool]]:
    # Equality instead of IN: SQLAlchemy expands an IN list into the SQL text at every execution.
    return [or_(*(source.c["sys_class_name"] == name for name in table.classes))] if table.classes else []
