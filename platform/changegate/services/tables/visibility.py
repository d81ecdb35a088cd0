"""Which rows of a table a caller may see, as clauses; every statement that reads records goes through here."""

from sqlalchemy import ColumnElement, FromClause, literal, or_, select

from changegate.services.access import Caller
from changegate.services.tables.registry import OWNER, Table


def may_read(table: Table, caller: Caller) -> bool:
    """Tell whether the caller's roles let him read the table at all."""
    return table.access.admits("read", caller)


def is_restricted(table: Table, caller: Caller) -> bool:
    """Tell whether the caller sees only his own rows of the table."""
    return table.own_rows is not None and not caller.has_role(table.reads_all)


def visibility(table: Table, caller: Caller) -> tuple[bool, dict[str, str]]:
    """Tell whether the caller sees only his own rows, with the parameters that say which those are."""
    restricted = is_restricted(table, caller)
    return restricted, {OWNER: caller.sys_id} if restricted else {}


def visible_rows(table: Table, *, is_restricted: bool) -> list[ColumnElement[bool]]:
    """Return the clauses that keep a statement to the table, and where `is_restricted` to the caller's own rows."""
    clauses = _class_clauses(table, table.source)
    if is_restricted and table.own_rows is not None:
        clauses.append(table.own_rows(table))
    return clauses


def visible_rows_of(table: Table, source: FromClause, caller: Caller) -> list[ColumnElement[bool]]:
    """Return the same clauses for one caller over an alias of the table.

    The rule about own rows speaks of the table itself, so an alias is asked about through the row's sys_id.
    """
    restricted = is_restricted(table, caller)
    if source is table.source:
        return visible_rows(table, is_restricted=restricted)
    if not restricted:
        return _class_clauses(table, source)
    own = select(literal(1)).select_from(table.source).where(table.source.c["sys_id"] == source.c["sys_id"])
    return [own.where(*visible_rows(table, is_restricted=True)).correlate(source).exists()]


def _class_clauses(table: Table, source: FromClause) -> list[ColumnElement[bool]]:
    # Equality, not IN: an IN list is expanded into the SQL text anew at every execution.
    return [or_(*(source.c["sys_class_name"] == name for name in table.classes))] if table.classes else []
