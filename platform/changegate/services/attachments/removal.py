"""Attachments go with their record."""

from collections.abc import Iterable

from sqlalchemy import delete

from changegate.database import connection
from changegate.models import SysAttachment

ATTACHMENTS = SysAttachment.__table__


def remove_attachments(table_name: str, sys_ids: Iterable[str]) -> None:
    """Delete the attachments of records, in the transaction at hand; the database drops their bytes with them."""
    of_records = (ATTACHMENTS.c["table_name"] == table_name, ATTACHMENTS.c["table_sys_id"].in_(list(sys_ids)))
    connection().execute(delete(ATTACHMENTS).where(*of_records))
