"""Which rows of a table a caller may see, as clauses; every statement that reads records goes through here."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from sqlalchemy import ColumnElement, FromClause, literal, or_, select

from changegate.database.prepared import parameter
from changegate.services.access.caller import Caller
from changegate.services.access.scope_policy import VERSIONS, ApiCall, CallLimits, ScopePolicy
from changegate.services.tables.registry import ANYONE, OWNER, TABLES, Table

# The parameter that the sys_id of a token's integration is bound to.
INTEGRATION = "integration"
# The APIs whose reads tell what is in records.
READING_APIS = frozenset({"now/table", "now/stats"})


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a caller is kept to: rows that are his own, records that his token's integration created, or both."""

    own_rows: bool = False
    own_records: bool = False

    def __bool__(self) -> bool:
        """Tell whether it restricts anything."""
        return self.own_rows or self.own_records


UNRESTRICTED = Restriction()


def may_read(table: Table, caller: Caller) -> bool:
    """Tell whether the caller may read the table at all, by his roles and by the scopes of his token.

    What everybody reads needs no rule of a scope: a token that creates changes may name people and groups.
    """
    if not table.access.admits("read", caller):
        return False
    return caller.grant is None or _is_everybodys(table) or bool(_reading_limits(table, caller.grant.policy))


def fields_beside(table: Table, caller: Caller) -> tuple[str, ...]:
    """Return the fields that the caller may read in a table that he reaches from another.

    A token without a rule to read the table learns what everybody may, whoever it acts as.
    """
    has_rule = caller.grant is None or _reading_limits(table, caller.grant.policy)
    return table.fields_for(caller) if has_rule else table.public_fields


def restriction_of(table: Table, caller: Caller) -> Restriction:
    """Return what the caller is kept to in the table that he calls."""
    return _restriction(table, caller, own_records=caller.own_records_of is not None)


def _restriction_beside(table: Table, caller: Caller) -> Restriction:
    """Return what the caller is kept to in a table that he reaches from another: also what its own rules say."""
    limits = () if caller.grant is None else _reading_limits(table, caller.grant.policy)
    is_limited = bool(limits) and all(limit.own_records for limit in limits)
    return _restriction(table, caller, own_records=is_limited or caller.own_records_of is not None)


def _restriction(table: Table, caller: Caller, *, own_records: bool) -> Restriction:
    own_rows = table.own_rows is not None and not caller.has_role(table.reads_all)
    own_records = own_records and knows_integrations(table)
    return Restriction(own_rows, own_records) if own_rows or own_records else UNRESTRICTED


def _is_everybodys(table: Table) -> bool:
    return table.access.read is ANYONE and table.own_rows is None


@lru_cache(maxsize=1024)
def _reading_limits(table: Table, policy: ScopePolicy) -> tuple[CallLimits, ...]:
    """Return the limits of the calls by which a token reads a table, or one that shares its records."""
    served = (found.name for found in TABLES.values() if found.source is table.source)
    calls = (ApiCall(api, "GET", name, version) for api, name, version in product(READING_APIS, served, VERSIONS))
    found = (policy.limits_of(call) for call in calls)
    # Of a table that does not know integrations, nothing is an integration's own.
    return tuple(one for one in found if one and (knows_integrations(table) or not one.own_records))


def knows_integrations(table: Table) -> bool:
    """Tell whether a table's records say which integration created them."""
    return table.origin_field is not None


def visibility(table: Table, caller: Caller) -> tuple[Restriction, dict[str, str | None]]:
    """Return what the caller is kept to, with the parameters that say who he is."""
    restriction = restriction_of(table, caller)
    return restriction, parameters_of(caller) if restriction else {}


def parameters_of(caller: Caller) -> dict[str, str | None]:
    """Return the parameters of clauses about a caller's rows."""
    return {OWNER: caller.sys_id, INTEGRATION: caller.grant.entity if caller.grant else None}


def visible_rows(table: Table, restriction: Restriction = UNRESTRICTED) -> list[ColumnElement[bool]]:
    """Return the clauses that keep a statement to the table, and to what its caller is kept to."""
    clauses = _class_clauses(table, table.source)
    if restriction.own_records:
        # Raises KeyError for a table without such a field, rather than show all of its records.
        clauses.append(table.source.c[str(table.origin_field)] == parameter(INTEGRATION))
    if restriction.own_rows and table.own_rows is not None:
        clauses.append(table.own_rows(table))
    return clauses


def visible_rows_of(table: Table, source: FromClause, caller: Caller) -> list[ColumnElement[bool]]:
    """Return the same clauses for one caller over an alias of the table.

    The rule about own rows speaks of the table itself, so an alias is asked about through the row's sys_id.
    """
    if source is table.source:
        return visible_rows(table, restriction_of(table, caller))
    restriction = _restriction_beside(table, caller)
    if not restriction:
        return _class_clauses(table, source)
    own = select(literal(1)).select_from(table.source).where(table.source.c["sys_id"] == source.c["sys_id"])
    return [own.where(*visible_rows(table, restriction)).correlate(source).exists()]


def _class_clauses(table: Table, source: FromClause) -> list[ColumnElement[bool]]:
    # Equality, not IN: an IN list is expanded into the SQL text anew at every execution.
    return [or_(*(source.c["sys_class_name"] == name for name in table.classes))] if table.classes else []
