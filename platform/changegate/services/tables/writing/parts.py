"""Dependent records that are deleted together with another record, such as the tasks of a change."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.audit import record_deletions
from changegate.services.tables.writing.dependent_rows import delete_dependent_rows
from changegate.services.tables.writing.referrers import MOST_DEPENDENTS, empty_references, require_few

PARTS_AT_ONCE = 500


def remove_parts(table: Table, sys_id: str, caller: Caller) -> None:
    """Delete the dependent records of a record, with the rules, the audit trail, and the dependent rows of each.

    The caller needs no access to them: a caller who may delete a record may delete everything that belongs to it.
    Raises `OperationFailed` if it has too many.
    """
    for name, field in table.parts:
        part = get_table(name)
        rows = _parts_statement(part, field).all({"belongs_to": sys_id})
        require_few(len(rows))
        if rows:
            _remove(part, field, [dict(zip(part.source.c.keys(), row, strict=True)) for row in rows], caller)


def _remove(part: Table, field: str, records: Sequence[Mapping[str, Any]], caller: Caller) -> None:
    """Delete dependent records of one table. A change may have thousands of affected items."""
    for record in records:
        part.rules.before_delete(record, caller)
        remove_parts(part, record["sys_id"], caller)
        empty_references(part, record["sys_id"], caller)
    for at in range(0, len(records), PARTS_AT_ONCE):
        sys_ids = [record["sys_id"] for record in records[at : at + PARTS_AT_ONCE]]
        delete_dependent_rows(part.name, sys_ids)
        connection().execute(delete(part.source).where(part.source.c["sys_id"].in_(sys_ids)))
    if part.is_audited:
        record_deletions(part, records, caller)
    for record in records:
        part.rules.after_removal(field, record, caller)


@lru_cache(maxsize=32)
def _parts_statement(part: Table, field: str) -> Prepared:
    return Prepared(
        select(part.source).where(part.source.c[field] == parameter("belongs_to")).limit(MOST_DEPENDENTS + 1)
    )
