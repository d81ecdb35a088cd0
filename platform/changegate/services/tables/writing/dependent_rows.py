"""Dependent rows of a record in other tables, which are deleted together with it."""

from collections.abc import Sequence

from sqlalchemy import delete

from changegate.database import connection
from changegate.models import SysJournalField
from changegate.services.tables.registry import delete_beside


def delete_dependent_rows(class_name: str, sys_ids: Sequence[str]) -> None:
    """Delete the journal entries of records, and the rows that other packages keep for them; the audit trail stays."""
    entries = SysJournalField.__table__
    of_records = (entries.c["element_id"].in_(sys_ids), entries.c["name"] == class_name)
    connection().execute(delete(entries).where(*of_records))
    delete_beside(class_name, sys_ids)
