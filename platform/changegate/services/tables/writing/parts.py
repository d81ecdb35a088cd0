"""Dependent records that are deleted together with another record, such as the tasks of a change."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.audit import record_deletion
from changegate.services.tables.writing.dependent_rows import delete_dependent_rows
from changegate.services.tables.writing.referrers import empty_references


def remove_parts(table: Table, sys_id: str, caller: Caller) -> None:
    """Delete the dependent records of a record, with the rules, the audit trail, and the dependent rows of each.

    The caller needs no access to them: a caller who may delete a record may delete everything that belongs to it.
    """
    for name, field in table.parts:
        part = get_table(name)
        for row in _parts_statement(part, field).all({"belongs_to": sys_id}):
            _remove_part(part, field, dict(zip(part.source.c.keys(), row, strict=True)), caller)


def _remove_part(part: Table, field: str, record: Mapping[str, Any], caller: Caller) -> None:
    part.rules.before_delete(record, caller)
    remove_parts(part, record["sys_id"], caller)
    empty_references(part, record["sys_id"], caller)
    delete_dependent_rows(part.name, [record["sys_id"]])
    if part.is_audited:
        record_deletion(part, part.name, record, caller)
    connection().execute(delete(part.source).where(part.source.c["sys_id"] == record["sys_id"]))
    part.rules.after_removal(field, record, caller)


@lru_cache(maxsize=32)
def _parts_statement(part: Table, field: str) -> Prepared:
    return Prepared(select(part.source).where(part.source.c[field] == parameter("belongs_to")))
