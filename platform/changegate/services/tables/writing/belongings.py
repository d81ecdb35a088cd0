"""Belongings: what is kept beside a record and goes with it."""

from collections.abc import Sequence

from sqlalchemy import delete

from changegate.database import connection
from changegate.models import SysJournalField
from changegate.services.tables.registry import delete_beside


def remove_belongings(class_name: str, sys_ids: Sequence[str]) -> None:
    """Delete the journals of records and what other packages keep beside them; their audit trail stays."""
    entries = SysJournalField.__table__
    of_records = (entries.c["element_id"].in_(sys_ids), entries.c["name"] == class_name)
    connection().execute(delete(entries).where(*of_records))
    delete_beside(class_name, sys_ids)
