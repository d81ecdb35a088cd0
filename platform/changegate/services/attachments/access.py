"""Access to attachments: callers may read or write a file if they may read or write its record."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import ColumnElement, Select, and_, literal, or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import TableUnknown
from changegate.models import SysAttachment
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.display.display_values import CLASS_FIELD
from changegate.services.tables.reading.records import require_operation, require_row
from changegate.services.tables.registry import Table, find_table, get_table
from changegate.services.tables.visibility import Restriction, restriction_of, visibility, visible_rows

ATTACHMENTS = SysAttachment.__table__


def get_attachable(name: str) -> Table:
    """Return a table whose records may have files. Raises `TableUnknown`, also for sys_attachment itself."""
    if name == SysAttachment.__tablename__:
        raise TableUnknown(name)
    return get_table(name)


def readable_attachments(tables: Iterable[Table], permissions: Permissions) -> ColumnElement[bool]:
    """Return the clause for the files of those records of `tables` that a caller may see.

    Files are deleted with their records, so the records are looked up only in tables with a restriction.
    """
    readable = [table for table in tables if table.access.admits("read", permissions)]
    restrictions = {table: restriction_of(table, permissions) for table in readable}
    unrestricted = [table.name for table, restriction in restrictions.items() if not restriction]
    own = [_of_own_rows(table, restriction) for table, restriction in restrictions.items() if restriction]
    return or_(ATTACHMENTS.c["table_name"].in_(unrestricted), *own)


def _of_own_rows(table: Table, restriction: Restriction) -> ColumnElement[bool]:
    is_its_record = table.source.c["sys_id"] == ATTACHMENTS.c["table_sys_id"]
    record = select(literal(1)).select_from(table.source).where(is_its_record, *visible_rows(table, restriction))
    return and_(ATTACHMENTS.c["table_name"] == table.name, record.correlate(ATTACHMENTS).exists())


def find_owner(table: Table, caller: Caller, sys_id: str, *, is_kept: bool = False) -> Table:
    """Return the table of a record's own class, after checking that the caller may update the record.

    With `is_kept`, the record cannot be deleted until the transaction ends. Raises `RecordNotFound` and
    `AccessRefused`.
    """
    require_operation(table, caller.permissions, "read")
    restriction, who = visibility(table, caller)
    row = require_row(_record_statement(table, restriction, is_kept), {"sys_id": sys_id, **who})
    own = _own_table(table, row[0])
    require_operation(own, caller.permissions, "update")
    return own


def _own_table(table: Table, class_name: str) -> Table:
    """Return the table that serves a class stored in `table`, or `table` itself if no other table does."""
    own = find_table(class_name) if CLASS_FIELD in table.columns else None
    return own if own is not None and own.source is table.source and own.keeps_class else table


@lru_cache(maxsize=128)
def _record_statement(table: Table, restriction: Restriction, is_kept: bool) -> Prepared:
    columns = table.source.c
    visible = visible_rows(table, restriction)
    statement = select(columns[CLASS_FIELD] if CLASS_FIELD in columns else columns["sys_id"])
    statement = statement.where(columns["sys_id"] == parameter("sys_id"), *visible)
    return Prepared(_keeping(statement) if is_kept else statement)


def _keeping(statement: Select[tuple[str]]) -> Select[tuple[str]]:
    # FOR KEY SHARE: other transactions may read and update the record, but not delete it. SQLite has no row locks and
    # takes its write lock (database/engine.py).
    return statement.with_for_update(read=True, key_share=True).execution_options(locks_rows=True)
